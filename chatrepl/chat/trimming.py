"""Window: what is really sent, when not everything can be.

The prompt and the reply share the model's context window: prompt tokens plus max_tokens must
not exceed it. Trimming leaves out the oldest exchanges until that holds. It decides what is
sent and deletes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from chatrepl.chat.calibration import Calibration
from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.exchanges import counted
from chatrepl.chat.messages import Message
from chatrepl.errors import PromptTooLongError, SettingsError, WindowFullError


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that is not sent: its index in the conversation's messages, and its tokens."""

    index: int
    role: str
    tokens: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out for want of room, in numbers; `exact` says whether all was counted."""

    exchanges: int = 0
    tokens: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent and what is left out. All sizes are in tokens.

    The exchanges from index `first` on are sent, and of those before it what is pinned.
    `prompt_tokens` is None where nothing had to be counted to know that everything fits.
    """

    conversation: Conversation
    first: int
    left_out: LeftOut
    prompt_tokens: int | None
    max_tokens: int
    context_window: int
    _cost: Callable[[Message], int] = field(compare=False, repr=False)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is sent, in order."""
        talk = self.conversation
        early = sorted(index for index in talk.pins | talk.reminders if index < self.first)
        indexes = [*early, *range(self.first, len(talk.exchanges))]
        return (*talk.opening, *(m for index in indexes for m in self.sent_of(index)))

    @property
    def outgrown(self) -> bool:
        """Whether exchanges have to go that neither the user nor a note has taken out."""
        return self.first > _start(self.conversation) and self.left_out.exchanges > 0

    def standing(self, index: int) -> str:
        """Say of an exchange: "sent", "pinned", "dropped", "in the note" or "left out"."""
        talk = self.conversation
        if index in talk.drops and index != len(talk.exchanges) - 1:
            return "dropped"
        if index in talk.pins:
            return "pinned"
        if index >= self.first:
            return "sent"
        return "in the note" if talk.note and talk.note.tells_of(index) else "left out"

    def sent_of(self, index: int) -> tuple[Message, ...]:
        """Give the messages of an exchange that are sent."""
        messages = self.conversation.exchanges[index].messages
        match self.standing(index):
            case "sent" | "pinned":
                return messages
            case "dropped":
                return ()
            case _:
                return tuple(message for message in messages if message.role == "system")

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Every message that is not sent, whatever the reason."""
        return tuple(self._dropped())

    def _dropped(self) -> Iterator[Dropped]:
        place = len(self.conversation.preamble)
        for index, exchange in enumerate(self.conversation.exchanges):
            sent = self.sent_of(index)
            if len(sent) < len(exchange.messages):
                for offset, message in enumerate(exchange.messages):
                    if message.role != "system" or not sent:
                        yield Dropped(place + offset, message.role, self._cost(message))
            place += len(exchange.messages)


def fit(
    conversation: Conversation, calibration: Calibration, *, context_window: int, max_tokens: int
) -> Window:
    """Choose what to send so that prompt plus `max_tokens` stay within `context_window`.

    System messages, a note, examples, pins and the last exchange always stay. The oldest other
    exchanges go first and whole, so that what is sent never begins with a reply whose question
    is gone. Each step costs what it looks at: what is left out is not gone through.

    Raises PromptTooLongError when what must stay does not fit.
    """
    budget = context_window - max_tokens
    first = _start(conversation)
    used: int | None = None
    if not calibration.surely_within(_newest_first(conversation, first), budget):
        used = fixed_cost(conversation, calibration)
        if used > budget:
            raise too_long(
                conversation,
                calibration,
                used,
                max_tokens=max_tokens,
                context_window=context_window,
            )
        first, used = _newest_that_fit(conversation, calibration, used, budget)
    return Window(
        conversation,
        first,
        _left_out(conversation, calibration, first),
        used,
        max_tokens,
        context_window,
        calibration.cost,
    )


def fixed_cost(conversation: Conversation, calibration: Calibration) -> int:
    """Give the tokens of all that is always sent, the last exchange among it."""
    last = len(conversation.exchanges) - 1
    whole = (conversation.pins.difference(conversation.drops) | {last}) - {-1}
    used = calibration.request(conversation.opening)
    used += sum(_cost(conversation, calibration, index) for index in whole)
    for index in conversation.reminders - whole:
        if index not in conversation.drops:
            messages = conversation.exchanges[index].messages
            used += sum(calibration.cost(m) for m in messages if m.role == "system")
    return used


def _newest_that_fit(
    conversation: Conversation, calibration: Calibration, used: int, budget: int
) -> tuple[int, int]:
    """Go back from the newest exchange until one does not fit; give the last that did."""
    first = len(conversation.exchanges) - 1
    settled = conversation.pins.union(conversation.drops)
    for index in range(first - 1, _start(conversation) - 1, -1):
        if index not in settled:
            cost = _cost(conversation, calibration, index, but=index in conversation.reminders)
            if used + cost > budget:
                break
            used += cost
        first = index
    return first, used


def _cost(
    conversation: Conversation, calibration: Calibration, index: int, *, but: bool = False
) -> int:
    """Cost an exchange, `but` for its system messages, which are counted already."""
    messages = conversation.exchanges[index].messages
    return sum(calibration.cost(m) for m in messages if not (but and m.role == "system"))


def _start(conversation: Conversation) -> int:
    """Give the index of the first exchange that is not in the note; the last one never is."""
    note = conversation.note
    return min(note.end, len(conversation.exchanges) - 1) if note else 0


def _newest_first(conversation: Conversation, start: int) -> Iterator[Message]:
    yield from conversation.opening
    early = [index for index in conversation.pins | conversation.reminders if index < start]
    for index in chain(early, range(len(conversation.exchanges) - 1, start - 1, -1)):
        if index not in conversation.drops:
            yield from conversation.exchanges[index].messages


def _left_out(conversation: Conversation, calibration: Calibration, first: int) -> LeftOut:
    """Sum up what is left out for want of room, without going through it."""
    note = conversation.note
    spans = [(0, note.first), (note.end, first)] if note else [(0, first)]
    spans += [(index, index + 1) for index in note.untold] if note else []
    spans = [(begin, end) for begin, end in spans if begin < end]
    if not spans:
        return LeftOut()
    counter = calibration.counter
    sums = counter.sums(conversation.said)
    exchanges = sum(end - begin for begin, end in spans)
    tokens = sum(sums[end] - sums[begin] for begin, end in spans)
    settled = conversation.pins.union(conversation.drops)
    for index in settled | conversation.reminders:
        if any(begin <= index < end for begin, end in spans):
            messages = conversation.exchanges[index].messages
            gone = [m for m in messages if index in settled or m.role == "system"]
            exchanges -= len(gone) == len(messages)
            tokens -= sum(map(counter.message, gone))
    tokens = max(0, tokens)  # a pinned one is counted, of the others maybe a sample
    return LeftOut(exchanges, round(tokens * calibration.factor), counter.sums_exact)


def too_long(
    conversation: Conversation,
    calibration: Calibration,
    prompt: int,
    *,
    max_tokens: int,
    context_window: int,
) -> PromptTooLongError:
    """Say with its numbers that a prompt can't be sent."""
    pins = len(conversation.pins - {len(conversation.exchanges) - 1})
    pinned = f" and {pins:,} pinned exchange{'s' * (pins > 1)}" if pins else ""
    unpin = "unpin something, " if pins else ""
    extra, beside = calibration.extra.name, calibration.extra_tokens
    smaller = f"make {extra} smaller (≈{beside:,} tokens), " if beside else ""
    also = f" and {extra}" if beside else ""
    window = f"a window of {context_window:,}"
    error = PromptTooLongError(
        f"The message does not fit: {calibration.about}{prompt:,} tokens with the system message"
        f"{pinned}{also}, and {max_tokens:,} kept for the reply, in {window}.",
        f"Shorten it, {unpin}{smaller}lower max_tokens, or choose a model with a larger window.",
    )
    error.commands = "/unpin N unpins." if pins else ""
    return error


def too_full(window: Window, about: str) -> WindowFullError:
    """Say what would have to be left out, to a user who wants to be asked first."""
    out = window.left_out
    about = about if out.exact else "≈"
    return WindowFullError(
        f"The conversation has outgrown the window: {counted(out.exchanges)}, {about}"
        f"{out.tokens:,} tokens, would have to be left out.",
        "--overflow trim leaves them out, --overflow summarize condenses them.",
    )


def check_images(messages: Iterable[Message], card: ModelCard) -> None:
    """Raise SettingsError if an image would be sent to a model that is known to take none."""
    if card.takes_images:
        return
    for message in messages:
        for image in message.images:
            what = image.name or f"an image of a {message.role} message"
            text = f"{card.name} takes no images: {what} can't be sent to it."
            error = SettingsError(text, "Choose another model, or leave it out.")
            error.commands = "/model NAME sets one; /drop N takes a message out."
            raise error
