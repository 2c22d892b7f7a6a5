"""Chat.say: one turn, from what was typed to a kept exchange."""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chatrepl.chat.allowance import Allowance
from chatrepl.chat.attachments import Attachment
from chatrepl.chat.calibration import Scale
from chatrepl.chat.calling import call
from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.condensing import for_summary, plan, read_note
from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.costs import NoPricing, Pricing, Spending
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
from chatrepl.chat.extras import Extra, extra_of, formless
from chatrepl.chat.measure import Measured
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import NoPurse, NoRecorder, Provider, Purse, Recorder, Request
from chatrepl.chat.schema import Schema
from chatrepl.chat.tree import Tree
from chatrepl.chat.trimming import Window, check_images, too_full
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    BadReplyError,
    ChatreplError,
    ContextOverflowError,
    PromptTooLongError,
)

Overflow = Literal["trim", "ask", "summarize"]
"""What to do when the conversation outgrows the window."""

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
    """What has come of a reply so far, and what was asked for beside the messages."""

    parameters: Mapping[str, Any]
    pieces: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    thoughts: list[str] = field(default_factory=list)

    @property
    def extra(self) -> Extra:
        """What of that goes into the prompt."""
        return extra_of(self.parameters)

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


class Chat(Measured):
    """A conversation with a model, which measures it.

    `spending` is what its session has used, `pricing` who knows what that costs; `sent` is what
    was sent last. `thoughts` are those before the last reply, as far as they came; nobody keeps
    them. `parameters` are sent with each request; `schema`, if any, is what a reply is to hold to.
    `allowance` is asked before each request whether the budget has room for it.
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
        pricing: Pricing | None = None,
        purse: Purse | None = None,
    ) -> None:
        super().__init__(provider, card, scale, reply_limit)
        self.pricing: Pricing = pricing or NoPricing()
        self.allowance = Allowance(purse or NoPurse())
        self.begin(conversation or Conversation(), recorder)
        self.ask_for({})
        self.overflow: Overflow = overflow
        self._warned = False
        self._assumed: Assumed | None = None

    def ask_for(self, parameters: Mapping[str, Any], schema: Schema | None = None) -> None:
        """Take what each request is to have besides, and the form that replies are to have."""
        form = {"response_format": schema.response_format} if schema else {}
        self.parameters = {**parameters, **form}
        self.schema = schema
        self.send_beside(extra_of(self.parameters))

    @property
    def usage(self) -> Usage:
        """What the session has used, by the server's count and where it told none by ours."""
        return self.spending.total.usage

    def begin(
        self,
        conversation: Conversation,
        recorder: Recorder | None,
        tree: Tree | None = None,
        spending: Spending | None = None,
    ) -> None:
        """Take up a session: a path through its tree, who keeps it, and what it has used."""
        self.spending = spending or Spending()
        self.tree = tree or Tree()
        self.conversation = conversation if tree else self.tree.adopt(conversation)
        self.recorder = recorder or NoRecorder()
        self.allowance.begin()
        self.sent: Window | None = None
        self.thoughts = ""
        self._left_out: tuple[object, ...] = ()
        self._rest_until = 0  # exchanges; no summary is tried before there are so many

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
        """Go on with the last reply, which there must be; what comes is appended to it.

        No form is asked for: the rest of a JSON text is none.
        """
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
        """Say a draft; however that ends, nothing stays reserved for it."""
        try:
            yield from self._answer(draft, goes_on=goes_on)
            yield from self.allowance.look(self)
        finally:
            self.allowance.release()

    def _answer(self, draft: Conversation, *, goes_on: bool) -> Iterator[Event]:
        prompt = draft.exchanges[-1].messages[0]
        if prompt == self.draft:
            self.draft = None  # it is one no longer: its count stays
        yield from self._warn(draft, prompt)
        window = self.window(draft)
        check_images(window.messages, self.card)
        if window.outgrown and self.overflow == "ask":
            raise too_full(window, self.calibration.about)
        yield from self.allowance.afford(self, window)
        talk = self.conversation if goes_on else draft.with_last(self._placed(draft.exchanges[-1]))
        turn = _Turn(formless(self.parameters) if goes_on else self.parameters)
        try:
            self.recorder.begin(talk)
            draft, window = yield from self._make_room(draft, window)
            with closing(self._ask(window, turn)) as events:
                for event in events:
                    turn.take(event)
                    if isinstance(event, UsageReport):
                        self._learn(event.usage, turn.extra)
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
        elif usage and not (turn.thoughts or usage.reasoning_tokens or turn.extra.text):
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
        self.ask_limits_for(draft)
        assumed = Assumed(self.card.name, self.card.context_window)
        if not self.card.window_known and assumed != self._assumed:
            self._assumed = assumed
            yield assumed
        found = None if self._warned else _CHATML.search(prompt.content)
        if found is not None:
            self._warned = True
            yield LegacyMarkup(found[0])

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
        asked = planned.request
        yield from self.allowance.afford(self, asked)
        yield Condensing(planned.exchanges)
        parameters = for_summary(self.parameters)
        request = Request(self.card, asked.messages, asked.max_tokens, parameters)
        with closing(call(self, request, "summary")) as events:
            note = planned.note((yield from read_note(events)))
        with self.measuring:
            tokens = self.calibration.cost(note.message)
            about = self.calibration.about
        if tokens >= planned.tokens:
            words = f"The summary ({about}{tokens:,} tokens) is no shorter than what it condenses."
            raise BadReplyError(words)
        yield Condensed(planned.exchanges, planned.tokens, tokens, not about)
        return note

    def _learn(self, usage: Usage, extra: Extra) -> None:
        """Learn from what the server reports of a reply how it counts."""
        if self.sent is not None and usage.prompt_tokens:
            self.learn(self.sent, usage.prompt_tokens, extra)

    def _ask(self, window: Window, turn: _Turn) -> Generator[Event]:
        """Send the window; trim further and send again where the server says it is too much."""
        limit: int | None = None
        for refits_left in reversed(range(_REFITS + 1)):
            self.sent = window
            yield from self._receipt(window)
            request = Request(self.card, window.messages, window.max_tokens, turn.parameters)
            began = False
            try:
                with closing(call(self, request, "reply")) as events:
                    for event in events:
                        began = began or isinstance(event, TextDelta)
                        yield event
            except ContextOverflowError as overflow:
                if began or refits_left == 0:
                    raise
                limit = self.learn_limits(overflow, window, turn.extra)
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
                if limit is not None:
                    self.learn_taken(window)
                return

    def _receipt(self, window: Window) -> Iterator[Trimmed]:
        talk, out = window.conversation, window.left_out
        pins, drops = ({i for i in s if i < window.first} for s in (talk.pins, talk.drops))
        left_out = (window.first, pins, drops, talk.note) if out.exchanges else ()
        if left_out and left_out != self._left_out:
            yield Trimmed(out.exchanges, out.tokens, self.calibration.exact and out.exact)
        self._left_out = left_out
