"""Chat.say: one turn, from what was typed to a kept exchange."""

import re
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.calibration import Calibration, Scale
from chatrepl.chat.catalogue import ASSUMED_WINDOW, ModelCard
from chatrepl.chat.condensing import for_summary, plan, read_note
from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.events import (
    Assumed,
    Condensed,
    Condensing,
    Event,
    Finished,
    LegacyMarkup,
    NotCondensed,
    ReasoningDelta,
    Refitted,
    TextDelta,
    Trimmed,
    UsageReport,
)
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import NoRecorder, Provider, Recorder, Request
from chatrepl.chat.schema import Schema
from chatrepl.chat.thinking import thoughts_apart
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.tree import Tree
from chatrepl.chat.trimming import Window, check_images, fit, too_full
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    BadReplyError,
    ChatreplError,
    ConnectionFailedError,
    ContextOverflowError,
    PromptTooLongError,
)

Overflow = Literal["trim", "ask", "summarize"]
"""What to do when the conversation outgrows the window."""

_SMALL = ASSUMED_WINDOW // 2
_REFITS = 3
_REST = 4  # turns without a summary after one that could not be made
_GO_ON = Message(
    "user",
    "Your last message was cut off. Go on with it from the exact place where it stopped, "
    "with no word before, and repeat nothing.",
)
_CHATML = re.compile(r"<\|(?:im_start|im_end|im_sep|endoftext|endofprompt)\|>")


@dataclass(slots=True)
class _Turn:
    """What has come of a reply so far."""

    pieces: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    thoughts: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Take in what a provider said."""
        match event:
            case TextDelta(text):
                self.pieces.append(text)
            case ReasoningDelta(text):
                self.thoughts.append(text)
            case UsageReport(usage):
                self.usage = usage
            case Finished(finish_reason):
                self.finish_reason = finish_reason


class Chat:
    """A conversation with a model.

    `reply_limit` is the longest reply in tokens, or None for the model's default. `usage` sums
    what the server reported in this chat; `sent` is what was sent last. `counter` and
    `calibration` count for the model that answers now; `measuring` is held while they do, since
    the toolbar counts beside the prompt. `draft` is the line that was counted for it last.
    `thoughts` are those before the last reply, as far as they came; nobody keeps them.
    `parameters` are sent with each request; `schema`, if any, is what a reply is to hold to.
    """

    def __init__(  # noqa: PLR0913 - the parts that a chat is made of
        self,
        provider: Provider,
        card: ModelCard,
        conversation: Conversation | None = None,
        *,
        reply_limit: int | None = None,
        overflow: Overflow = "trim",
        scale: Scale | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.begin(conversation or Conversation(), recorder)
        self.usage = Usage()
        self.ask_for({})
        self.reply_limit = reply_limit
        self.overflow: Overflow = overflow
        self._warned = False
        self._assumed: Assumed | None = None
        self.measuring = threading.RLock()
        self._asking = threading.RLock()
        self.use(provider, card, scale)

    def ask_for(self, parameters: Mapping[str, Any], schema: Schema | None = None) -> None:
        """Take what each request is to have besides, and the form that replies are to have."""
        form = {"response_format": schema.response_format} if schema else {}
        self.parameters = {**parameters, **form}
        self.schema = schema

    def begin(
        self, conversation: Conversation, recorder: Recorder | None, tree: Tree | None = None
    ) -> None:
        """Take up a session: a path through its tree, and who keeps it."""
        self.tree = tree or Tree()
        self.conversation = conversation if tree else self.tree.adopt(conversation)
        self.recorder = recorder or NoRecorder()
        self.sent: Window | None = None
        self.thoughts = ""
        self._left_out: tuple[object, ...] = ()
        self._rest_until = 0  # exchanges; no summary is tried before there are so many

    def use(self, provider: Provider, card: ModelCard, scale: Scale | None = None) -> None:
        """Let another model answer from now on; `scale` is what is known of its tokenizer."""
        with self.measuring:
            self.provider = provider
            self.card = card
            self.counter = TokenCounter(card)
            self.calibration = Calibration(self.counter, scale)
            self._asked = not card.ask_server
            self.draft: Message | None = None

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

    def say(self, text: str, attachments: tuple[Attachment, ...] = ()) -> Iterator[Event]:
        """Say something and give the reply piece by piece.

        Whatever ends the turn (the last piece, an error, closing the generator), a reply of
        which something came is kept, marked as interrupted if it is not whole; if nothing came
        the conversation is as it was before, but for a note that was made. Raises ChatreplError.
        """
        prompt = Message("user", text, attachments=attachments)
        return self._exchange(self.conversation.asking(prompt))

    def retry(self) -> Iterator[Event]:
        """Ask for another reply to the last user message; the old one stays in the tree.

        There must be an exchange that begins with a user message.
        """
        last = self.conversation.exchanges[-1]
        waits = last.reply is None
        return self._exchange(self.conversation if waits else self.conversation.unanswered())

    def go_on(self) -> Iterator[Event]:
        """Go on with the last reply, which there must be; what comes is appended to it."""
        last = len(self.conversation.exchanges) - 1
        talk = self.conversation.pinned(last)  # what is gone on with must be sent
        return self._exchange(talk if self.provider.goes_on else talk.asking(_GO_ON), goes_on=True)

    def go_to(self, exchange: int) -> None:
        """Make another path the conversation: the one that ends with an exchange, 0 for none."""
        self.conversation = self.tree.follow(self.conversation, exchange)
        self.thoughts = ""

    def keep(self) -> None:
        """Have the recorder keep where the talk stands."""
        self.recorder.keep(self.conversation, *self.tree.marks(self.conversation))

    def _exchange(self, draft: Conversation, *, goes_on: bool = False) -> Iterator[Event]:
        prompt = draft.exchanges[-1].messages[0]
        if prompt == self.draft:
            self.draft = None  # it is one no longer: its count stays
        yield from self._warn(draft, prompt)
        window = self.window(draft)
        check_images(window.messages, self.card)
        if window.outgrown and self.overflow == "ask":
            raise too_full(window, self.calibration.about)
        talk = self.conversation if goes_on else draft.with_last(self._placed(draft.exchanges[-1]))
        turn = _Turn()
        try:
            self.recorder.begin(talk)
            draft, window = yield from self._make_room(draft, window)
            for event in self._ask(window):
                turn.take(event)
                if isinstance(event, UsageReport):
                    self._count(event.usage)
                elif isinstance(event, TextDelta):
                    self.recorder.text(event.text)
                yield event
        finally:
            before = [self.thoughts] if goes_on and self.thoughts else []
            self.thoughts = "\n\n".join([*before, "".join(turn.thoughts)]).rstrip()
            self._keep_reply(replace(talk, note=draft.note), turn)

    def _placed(self, exchange: Exchange) -> Exchange:
        """Give an exchange that begins a place of its own in the tree, unless it has one."""
        if exchange.id:
            return exchange
        return self._signed(replace(exchange, id=self.tree.new_id()))

    def _signed(self, exchange: Exchange) -> Exchange:
        """Note on an exchange who answers."""
        return replace(exchange, model=self.card.name, provider=self.provider.name)

    def _keep_reply(self, talk: Conversation, turn: "_Turn") -> None:
        """Keep the reply, or as much of it as came, and go on with the one that is there."""
        if not turn.pieces:
            self._end(None)
            return
        last = talk.exchanges[-1]
        reply = Message("assistant", "".join(turn.pieces))
        usage = turn.usage
        if last.reply is not None:
            reply = Message("assistant", last.reply.content + reply.content)
            usage = last.usage + usage if last.usage and usage else usage or last.usage
        elif usage is not None and not turn.thoughts and not usage.reasoning_tokens:
            self.calibration.observe_reply(reply, usage.completion_tokens)
        self.tree.marked(*self.tree.marks(self.conversation))  # of a reply that is left
        exchange = self._signed(last.answered(reply, turn.finish_reason, usage))
        self.conversation = talk.with_last(exchange)
        self.tree.put(talk.parent, exchange)
        self._end(exchange)

    def _end(self, exchange: Exchange | None) -> None:
        talk = self.conversation
        self.recorder.end(exchange, talk, *self.tree.marks(talk))

    def _warn(self, draft: Conversation, prompt: Message) -> Iterator[Event]:
        """Say what the user may not know: once, each."""
        if not self._asked and not (self.card.window_known and self._is_small(draft)):
            self.ask_limits()
        assumed = Assumed(self.card.name, self.card.context_window)
        if not self.card.window_known and assumed != self._assumed:
            self._assumed = assumed
            yield assumed
        found = None if self._warned else _CHATML.search(prompt.content)
        if found is not None:
            self._warned = True
            yield LegacyMarkup(found[0])

    def _is_small(self, draft: Conversation) -> bool:
        """Tell whether a prompt surely fits half of the window that is assumed of any model."""
        with self.measuring:
            return self.calibration.surely_within(draft.messages, _SMALL)

    def _make_room(
        self, draft: Conversation, window: Window
    ) -> Generator[Event, None, tuple[Conversation, Window]]:
        """Condense what has no room, if the user wants that; else it is left out."""
        if not window.outgrown or self.overflow != "summarize":
            return draft, window
        if len(draft.exchanges) < self._rest_until:
            return draft, window
        try:
            note = yield from self._condense(window)
            condensed = replace(draft, note=note)
            window = self.window(condensed)
        except ChatreplError as error:
            self._rest_until = len(draft.exchanges) + _REST
            yield NotCondensed(error.text)
            return draft, window
        self.conversation = replace(self.conversation, note=note)
        return condensed, window

    def _condense(self, window: Window) -> Generator[Event, None, Note]:
        """Have the model condense the oldest exchanges into a note. Raises ChatreplError."""
        with self.measuring:
            planned = plan(window, self.calibration, thinks=self.card.thinks)
        if not planned.exchanges:
            raise PromptTooLongError("What has to go is too long for the model to condense.")
        yield Condensing(planned.exchanges)
        asked = planned.request
        parameters = for_summary(self.parameters)
        request = Request(self.card, asked.messages, asked.max_tokens, parameters)
        note = planned.note((yield from read_note(self._stream(request), self._spend_on_note)))
        with self.measuring:
            tokens = self.calibration.cost(note.message)
            about = self.calibration.about
        if tokens >= planned.tokens:
            words = f"The summary ({about}{tokens:,} tokens) is no shorter than what it condenses."
            raise BadReplyError(words)
        yield Condensed(planned.exchanges, planned.tokens, tokens, not about)
        return note

    def _spend_on_note(self, usage: Usage) -> None:
        """Add up what the server reports of a summary."""
        self.usage += usage
        self.recorder.spent("summary", usage)

    def _count(self, usage: Usage) -> None:
        """Add up what the server reports of a reply, and learn from it how it counts."""
        self.usage += usage
        self.recorder.spent("reply", usage)
        if self.sent is not None and usage.prompt_tokens:
            with self.measuring:
                self.calibration.observe(self.sent.messages, usage.prompt_tokens)

    def _stream(self, request: Request) -> Iterator[Event]:
        return thoughts_apart(self.provider.stream(request))

    def _ask(self, window: Window) -> Iterator[Event]:
        """Send the window; trim further and send again where the server says it is too much."""
        limit: int | None = None
        for refits_left in reversed(range(_REFITS + 1)):
            self.sent = window
            yield from self._receipt(window)
            request = Request(self.card, window.messages, window.max_tokens, self.parameters)
            began = False
            try:
                for event in self._stream(request):
                    began = began or isinstance(event, TextDelta)
                    yield event
            except ContextOverflowError as overflow:
                if began or refits_left == 0:
                    raise
                limit = self._learn(overflow, window)
                try:
                    window = self.window(window.conversation, limit)
                except PromptTooLongError:
                    if limit is None:
                        raise
                    raise overflow from None  # our guess is no reason to give
                if self.overflow == "ask" and window.outgrown:
                    raise too_full(window, self.calibration.about) from None
                if refits_left == _REFITS:
                    yield Refitted(overflow.context_window)
            else:
                if limit is not None and not self.card.window_known:
                    # What was taken now is all that is known of it.
                    taken = self.calibration.request(window.messages) + window.max_tokens
                    self.card = replace(self.card, context_window=taken)
                return

    def _receipt(self, window: Window) -> Iterator[Trimmed]:
        talk, out = window.conversation, window.left_out
        pins, drops = ({i for i in s if i < window.first} for s in (talk.pins, talk.drops))
        left_out = (window.first, pins, drops, talk.note) if out.exchanges else ()
        if left_out and left_out != self._left_out:
            yield Trimmed(out.exchanges, out.tokens, self.calibration.exact)
        self._left_out = left_out

    def _learn(self, overflow: ContextOverflowError, window: Window) -> int | None:
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
                self.calibration.observe(window.messages, overflow.prompt_tokens, refused=True)
            ours = self.calibration.request(window.messages)
        if self.card.context_window - self.max_tokens < ours:
            return None
        if not told:
            self.card = replace(self.card, window_known=False)
        room = int(ours / 1.5)
        return room + self.reply_limit if self.reply_limit else room * 4 // 3
