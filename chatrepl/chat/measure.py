"""Who answers, and how much of a conversation fits there."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from chatrepl.chat.calibration import Calibration, Scale
from chatrepl.chat.catalogue import ASSUMED_WINDOW, ModelCard
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.extras import NOTHING, Extra
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider
from chatrepl.chat.tokens import TokenCounter, rough, rough_request
from chatrepl.chat.trimming import Window, fit
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    ChatreplError,
    ConnectionFailedError,
    ContextOverflowError,
    PromptTooLongError,
)

_SMALL = ASSUMED_WINDOW // 2
_MUCH = 4  # times the window that is assumed; what fills more of it is no count


class Measured:
    """What is measured by the model that answers now: the half of a chat that counts.

    `reply_limit` is the longest reply in tokens, or None for the model's default. `counter` and
    `calibration` count for the model; `measuring` is held while they do, since the toolbar counts
    beside the prompt. `draft` is the line that was counted for it last.
    """

    def __init__(
        self, provider: Provider, card: ModelCard, scale: Scale | None, reply_limit: int | None
    ) -> None:
        self.reply_limit = reply_limit
        self.measuring = threading.RLock()
        self._asking = threading.RLock()
        self._extra = NOTHING
        self.use(provider, card, scale)

    def use(self, provider: Provider, card: ModelCard, scale: Scale | None = None) -> None:
        """Let another model answer from now on; `scale` is what is known of its tokenizer."""
        with self.measuring:
            self.provider = provider
            self.card = card
            self.counter = TokenCounter(card)
            self.calibration = Calibration(self.counter, scale, self._extra)
            self._asked = not card.ask_server
            self.draft: Message | None = None

    def send_beside(self, extra: Extra) -> None:
        """Count from now on what each request has beside its messages."""
        with self.measuring:
            self._extra = self.calibration.extra = extra

    @property
    def max_tokens(self) -> int:
        """How many tokens a reply may have."""
        return self.reply_limit or self.card.default_max_tokens

    def ask_limits(self) -> None:
        """Ask the server how large its window is, if it may know better; again if it may later.

        One that does not say is no trouble, and one that does not answer will be when it is
        asked for a reply.
        """
        with self._asking:  # not `measuring`: who only counts does not wait for a server
            if self._asked:
                return
            provider, served, is_final = self.provider, None, True
            try:
                served = provider.look_up(self.card.name)
            except ChatreplError as error:
                is_final = not isinstance(error, ConnectionFailedError)  # it may only be down
            with self.measuring:
                if self.provider is not provider:
                    return  # another model answers by now
                self._asked = is_final
                if served is not None:
                    self.card = self.card.told(served)
                    self._asked = not served.assumed

    def ask_limits_for(self, draft: Conversation) -> None:
        """Ask for them before something is said, unless they surely do not matter to it."""
        if not self._asked and not (self.card.window_known and self._is_small(draft)):
            self.ask_limits()

    def _is_small(self, draft: Conversation) -> bool:
        """Tell whether a prompt surely fits half of the window that is assumed of any model."""
        with self.measuring:
            return self.calibration.surely_within(draft.messages, _SMALL)

    def window(self, conversation: Conversation, limit: int | None = None) -> Window:
        """Give what would be sent for a conversation that ends with a user message.

        `limit` is taken for the context window if it is smaller. A note goes unsent where there is
        no room for it. Raises PromptTooLongError.
        """
        size = min(self.card.context_window, limit or self.card.context_window)
        card = replace(self.card, context_window=size)
        max_tokens = self.reply_limit or card.default_max_tokens
        sizes = {"context_window": size, "max_tokens": max_tokens}
        with self.measuring:
            try:
                return fit(conversation, self.calibration, **sizes)
            except PromptTooLongError:
                if conversation.note is None:
                    raise
            return fit(replace(conversation, note=None), self.calibration, **sizes)

    def learn(
        self, sent: Window, prompt_tokens: int, extra: Extra, *, refused: bool = False
    ) -> None:
        """Learn how the server counts: so many tokens for what was sent, and `extra` beside it.

        What it can't have taken teaches nothing, or no later message would seem to have room.
        """
        most = self.card.context_window * (1 if self.card.window_known else _MUCH)
        if prompt_tokens > most and not refused:
            return
        with self.measuring:
            if extra.text:
                self.calibration.observe_extra(sent.messages, prompt_tokens, extra)
            else:
                self.calibration.observe(sent.messages, prompt_tokens, refused=refused)

    def estimate(self, messages: Sequence[Message], said: str) -> Usage:
        """Give what a call has used by our own count, for the server told nothing.

        Nothing is loaded for that, and nobody waits who has pressed Ctrl-C: until something has
        had to be counted, it is a rough one.
        """
        if not self.counter.loaded:
            return self.rough_estimate(messages, said)
        with self.measuring:
            completion = self.counter.text(said)
            if not self.calibration.exact:
                completion = round(completion * self.calibration.scale.mean)
            return Usage(self.calibration.request(messages), completion)

    def rough_estimate(self, messages: Sequence[Message], said: str) -> Usage:
        """Give about what a call has used, rather too much than too little; at once."""
        return Usage(rough_request(messages) + rough(self._extra.text), rough(said))

    def learn_taken(self, window: Window) -> None:
        """Note that the server has taken as much, where nothing else is known of its window."""
        if not self.card.window_known:
            taken = self.calibration.request(window.messages) + window.max_tokens
            self.card = replace(self.card, context_window=taken)

    def learn_limits(
        self, overflow: ContextOverflowError, window: Window, extra: Extra
    ) -> int | None:
        """Take the server's word for the window, and for how it counts.

        Whatever it told, the next request must be a smaller one. If its numbers don't make it so,
        the window for that is a guess, which is given: two thirds of what was too much.
        """
        self._asked = True  # it has told more than its list does
        told = overflow.context_window
        if told:
            smaller = min(self.card.context_window, told)
            self.card = replace(self.card, context_window=smaller, window_known=True)
        with self.measuring:
            if overflow.prompt_tokens:
                self.learn(window, overflow.prompt_tokens, extra, refused=True)
            ours = self.calibration.request(window.messages)
        if self.card.context_window - self.max_tokens < ours:
            return None
        if not told:
            self.card = replace(self.card, window_known=False)
        room = int(ours / 1.5)
        return room + self.reply_limit if self.reply_limit else room * 4 // 3
