"""Chat.say: one turn, from what was typed to a kept exchange."""

from collections.abc import Iterator
from dataclasses import replace

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.events import Event, Finished, Refitted, TextDelta, Trimmed, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import NoRecorder, Provider, Recorder, Request
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.trimming import Window, fit
from chatrepl.chat.usage import Usage
from chatrepl.errors import ContextOverflowError, PromptTooLongError

_REFITS = 3
_TELLING = 200
"""A prompt of so many tokens shows how a server counts."""


class Chat:
    """A conversation with a model.

    `reply_limit` is the longest reply in tokens, or None for the model's default. `usage` sums
    what the server reported in this chat; `sent` is what was sent last.
    """

    def __init__(  # noqa: PLR0913 - the parts that a chat is made of
        self,
        provider: Provider,
        card: ModelCard,
        conversation: Conversation | None = None,
        *,
        reply_limit: int | None = None,
        temperature: float | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.conversation = conversation or Conversation()
        self.usage = Usage()
        self.temperature = temperature
        self.reply_limit = reply_limit
        self._recorder = recorder or NoRecorder()
        self.sent: Window | None = None
        self._left_out: tuple[int, ...] = ()
        self.use(provider, card)

    def use(self, provider: Provider, card: ModelCard) -> None:
        """Let another model answer from now on."""
        self.provider = provider
        self.card = card
        self.counter = TokenCounter(card)
        self._slack = 1.0

    @property
    def max_tokens(self) -> int:
        """How many tokens a reply may have."""
        return self.reply_limit or self.card.default_max_tokens

    def window(self, conversation: Conversation) -> Window:
        """Give what would be sent for a conversation that ends with a user message."""
        return fit(
            conversation,
            self.counter,
            context_window=self.card.context_window,
            max_tokens=self.max_tokens,
            slack=self._slack,
        )

    def fitted(self) -> Window | None:
        """Give what is sent of the conversation as it is; None if it is empty or can't fit."""
        try:
            return self.window(self.conversation) if self.conversation.exchanges else None
        except PromptTooLongError:
            return None

    def say(self, text: str) -> Iterator[Event]:
        """Say something and give the reply piece by piece.

        Whatever ends the turn (the last piece, an error, closing the generator), a reply of
        which something came is kept, marked as interrupted if it is not whole; if nothing came
        the conversation is as it was before. Raises ChatreplError.
        """
        return self._exchange(self.conversation.asking(Message("user", text)))

    def retry(self) -> Iterator[Event]:
        """Ask for another reply to the last user message; the old one goes once a new one comes.

        There must be an exchange that begins with a user message.
        """
        return self._exchange(self.conversation.unanswered())

    def _exchange(self, draft: Conversation) -> Iterator[Event]:
        prompt = draft.exchanges[-1].prompt
        assert prompt is not None
        window = self.window(draft)
        self._recorder.begin(prompt)
        pieces: list[str] = []
        finish_reason: str | None = None
        usage: Usage | None = None
        try:
            for event in self._ask(draft, window):
                match event:
                    case TextDelta(text):
                        pieces.append(text)
                        self._recorder.text(text)
                    case UsageReport(usage):
                        self.usage += usage
                        if self.sent is not None and not self.counter.exact:
                            self._calibrate(usage.prompt_tokens, self.sent)
                    case Finished(finish_reason):
                        pass
                yield event
        finally:
            reply = Message("assistant", "".join(pieces)) if pieces else None
            if reply is not None:
                self.conversation = draft.answered(reply, finish_reason, usage)
            self._recorder.end(reply, finish_reason, usage)

    def _ask(self, draft: Conversation, window: Window) -> Iterator[Event]:
        """Send the window; trim further and send again where the server says it is too much."""
        for refits_left in reversed(range(_REFITS + 1)):
            self.sent = window
            yield from self._receipt(window)
            request = Request(self.card, window.messages, window.max_tokens, self.temperature)
            began = False
            try:
                for event in self.provider.stream(request):
                    began = began or isinstance(event, TextDelta)
                    yield event
            except ContextOverflowError as overflow:
                if began or refits_left == 0:
                    raise
                self._learn(overflow, window)
                window = self.window(draft)
                yield Refitted(self.card.context_window)
            else:
                return

    def _receipt(self, window: Window) -> Iterator[Trimmed]:
        left_out = tuple(dropped.index for dropped in window.dropped)
        if left_out and left_out != self._left_out:
            tokens = sum(dropped.tokens for dropped in window.dropped)
            yield Trimmed(window.dropped_exchanges, len(left_out), tokens, self.counter.exact)
        self._left_out = left_out

    def _learn(self, overflow: ContextOverflowError, window: Window) -> None:
        """Take the server's word for the window, and for how it counts.

        Whatever it told, the next request must be a smaller one: by a third, if not by more.
        """
        if overflow.context_window:
            smaller = min(self.card.context_window, overflow.context_window)
            self.card = replace(self.card, context_window=smaller, window_known=True)
        self._calibrate(overflow.prompt_tokens, window)
        ours = self.counter.request(window.messages) * self._slack
        if self.card.context_window - self.max_tokens >= ours:
            less = int(ours / 1.5) + self.max_tokens
            self.card = replace(self.card, context_window=less)

    def _calibrate(self, theirs: int | None, window: Window) -> None:
        """Note by how much the server counts more than we do, on the safe side.

        A short prompt says little of that: most of it is frame.
        """
        ours = self.counter.request(window.messages)
        if theirs and theirs > ours >= _TELLING:
            self._slack = max(self._slack, 1.02 * theirs / ours)
