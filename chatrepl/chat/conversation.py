"""Conversation: all that has been said, as a value. Changing it makes a new one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chatrepl.chat.exchanges import Exchange, Exchanges
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage


@dataclass(frozen=True, slots=True)
class Note:
    """The model's summary of the exchanges from index `first` up to, not with, `end`.

    `untold` are those among them that it does not tell of. It is sent in their place, after the
    system message, in a system message that says what it is.
    """

    text: str
    first: int
    end: int
    untold: frozenset[int] = frozenset()
    message: Message = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Mark the text as what it is."""
        message = Message("system", f"{NOTE_MARK}\n{self.text}")
        object.__setattr__(self, "message", message)

    def tells_of(self, index: int) -> bool:
        """Whether it stands for an exchange."""
        return self.first <= index < self.end and index not in self.untold


NOTE_MARK = "Note: a summary, written by the model, of earlier messages that are not sent any more."


@dataclass(frozen=True, slots=True)
class Conversation:
    """System message, few-shot examples and exchanges, oldest first.

    Exchanges are known by their index, which never changes. `pins` are always sent; `drops` are
    never sent, in the order in which the user dropped them; `reminders` hold system messages,
    which are always sent. `note` stands for exchanges that are not sent any more.
    """

    system: Message | None = None
    examples: tuple[Message, ...] = ()
    exchanges: Sequence[Exchange] = ()
    pins: frozenset[int] = frozenset()
    drops: tuple[int, ...] = ()
    reminders: frozenset[int] = frozenset()
    note: Note | None = None

    def __post_init__(self) -> None:
        """Take any sequence of exchanges."""
        if not isinstance(self.exchanges, Exchanges):
            object.__setattr__(self, "exchanges", Exchanges(self.exchanges))

    @property
    def head(self) -> int:
        """The id of the last exchange, 0 if there is none."""
        return self.exchanges[-1].id if self.exchanges else 0

    @property
    def parent(self) -> int:
        """The id of the exchange before the last, 0 if there is none."""
        return self.exchanges[-2].id if len(self.exchanges) > 1 else 0

    @property
    def said(self) -> Exchanges:
        """The exchanges, as what they are kept in."""
        assert isinstance(self.exchanges, Exchanges)
        return self.exchanges

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message that was said, in order; a note is not among them."""
        said = (message for exchange in self.exchanges for message in exchange.messages)
        return (*self.preamble, *said)

    @property
    def preamble(self) -> tuple[Message, ...]:
        """System message and examples, which are never trimmed."""
        return (self.system, *self.examples) if self.system else self.examples

    @property
    def opening(self) -> tuple[Message, ...]:
        """What is sent before the exchanges: system message, note, examples."""
        first = (self.system, self.note and self.note.message)
        return (*(message for message in first if message), *self.examples)

    def exchange_of(self, index: int) -> int | None:
        """Find the exchange that a message belongs to, by its index in `messages`.

        None is the system message's or an example's. Raises IndexError.
        """
        left = index - len(self.preamble)
        if left < 0:
            return None
        for number, exchange in enumerate(self.exchanges):
            left -= len(exchange.messages)
            if left < 0:
                return number
        raise IndexError(index)

    def asking(self, prompt: Message) -> "Conversation":
        """Append a user message that has no reply yet."""
        return replace(self, exchanges=self.said.appended(Exchange((prompt,))))

    def answered(
        self, reply: Message, finish_reason: str | None, usage: Usage | None
    ) -> "Conversation":
        """Append the reply to the last exchange, or put it in the place of the one it has."""
        return self.with_last(self.exchanges[-1].answered(reply, finish_reason, usage))

    def with_last(self, exchange: Exchange) -> "Conversation":
        """Put an exchange in the place of the last one."""
        return replace(self, exchanges=self.said.without_last().appended(exchange))

    def unanswered(self) -> "Conversation":
        """Take the reply off the last exchange."""
        last = len(self.exchanges) - 1
        said = tuple(m for m in self.exchanges[-1].messages if m.role != "assistant")
        return replace(
            self,
            exchanges=self.said.without_last().appended(Exchange(said)),
            drops=tuple(index for index in self.drops if index != last),
            note=None if self.note and self.note.end > last else self.note,
        )

    def without_last(self) -> "Conversation":
        """Step back by one exchange."""
        last = len(self.exchanges) - 1
        return replace(
            self,
            exchanges=self.said.without_last(),
            pins=self.pins - {last},
            drops=tuple(index for index in self.drops if index != last),
            reminders=self.reminders - {last},
            note=None if self.note and self.note.end > last else self.note,
        )

    def pinned(self, index: int) -> "Conversation":
        """Always send an exchange from now on, even if it was dropped."""
        return replace(
            self, pins=self.pins | {index}, drops=tuple(i for i in self.drops if i != index)
        )

    def unpinned(self, index: int) -> "Conversation":
        """Let an exchange be left out again."""
        return replace(self, pins=self.pins - {index})

    def dropped(self, index: int) -> "Conversation":
        """Never send an exchange again, pinned or not. A note that tells of it goes too."""
        told = self.note is not None and self.note.tells_of(index)
        return replace(
            self,
            drops=(*(i for i in self.drops if i != index), index),
            note=None if told else self.note,
        )

    def undropped(self) -> "Conversation":
        """Send the exchange that was dropped last again."""
        return replace(self, drops=self.drops[:-1])

    def cleared(self) -> "Conversation":
        """Keep the system message and the examples only."""
        return Conversation(self.system, self.examples)

    def with_system(self, text: str) -> "Conversation":
        """Set the system message; an empty text removes it."""
        return replace(self, system=Message("system", text) if text else None)


def from_messages(messages: Iterable[Message]) -> Conversation:
    """Read a flat list of messages: the first, if it is a system message, is the system message.

    >>> talk = from_messages([Message("system", "Be kind."), Message("user", "Hello")])
    >>> talk.system.content, len(talk.exchanges)
    ('Be kind.', 1)
    """
    said = list(messages)
    system = said.pop(0) if said and said[0].role == "system" else None
    groups: list[list[Message]] = []
    for message in said:
        if message.role == "user" or not groups:
            groups.append([])
        groups[-1].append(message)
    exchanges = tuple(
        Exchange(tuple(group), "stop" if group[-1].role == "assistant" else None)
        for group in groups
    )
    reminders = (
        number for number, group in enumerate(groups) if any(m.role == "system" for m in group)
    )
    return Conversation(system, (), exchanges, reminders=frozenset(reminders))
