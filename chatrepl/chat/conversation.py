"""Conversation: all that has been said, as a value. Changing it makes a new one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import overload

from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user message and its reply.

    A history loaded from a file may hold more: whatever follows a user message up to the next
    one belongs to its exchange, and messages before the first user message form one of their
    own. `finish_reason` is the API's; None means that the reply was interrupted.
    """

    messages: tuple[Message, ...]
    finish_reason: str | None = None
    usage: Usage | None = None

    @property
    def prompt(self) -> Message | None:
        """The user message, if there is one."""
        return self.messages[0] if self.messages[0].role == "user" else None

    @property
    def reply(self) -> Message | None:
        """The assistant's message, if it has answered."""
        last = self.messages[-1]
        return last if last.role == "assistant" else None


class Exchanges(Sequence[Exchange]):
    """What a tuple of exchanges is, in pages that all share which have grown from one another.

    So a turn in a long conversation costs no more than one in a short one.
    """

    __slots__ = ("_pages", "_tail")
    _PAGE = 64

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        said = tuple(exchanges)
        starts = range(0, len(said) - len(said) % self._PAGE, self._PAGE)
        self._pages = tuple(said[start : start + self._PAGE] for start in starts)
        self._tail = said[len(starts) * self._PAGE :]

    @classmethod
    def _of(
        cls, pages: tuple[tuple[Exchange, ...], ...], tail: tuple[Exchange, ...]
    ) -> "Exchanges":
        made = cls()
        made._pages, made._tail = pages, tail
        return made

    def appended(self, exchange: Exchange) -> "Exchanges":
        """Give these and one more."""
        tail = (*self._tail, exchange)
        if len(tail) < self._PAGE:
            return self._of(self._pages, tail)
        return self._of((*self._pages, tail), ())

    def without_last(self) -> "Exchanges":
        """Give all but the last."""
        if self._tail:
            return self._of(self._pages, self._tail[:-1])
        return self._of(self._pages[:-1], self._pages[-1][:-1])

    def common(self, other: "Exchanges") -> int:
        """Count how many at the beginning are the very same, a page at a time and then one by one.

        A page that was made anew counts as another one.
        """
        pages = _same(self._pages, other._pages)
        mine, theirs = ((*each._pages[pages : pages + 1], each._tail)[0] for each in (self, other))
        return pages * self._PAGE + _same(mine, theirs)

    def __len__(self) -> int:
        """Count them."""
        return len(self._pages) * self._PAGE + len(self._tail)

    @overload
    def __getitem__(self, index: int) -> Exchange: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Exchange, ...]: ...

    def __getitem__(self, index: int | slice) -> Exchange | tuple[Exchange, ...]:
        """Give one, or a tuple of some."""
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        index += len(self) if index < 0 else 0
        if not 0 <= index < len(self):
            raise IndexError(index)
        page, place = divmod(index, self._PAGE)
        return (self._pages[page] if page < len(self._pages) else self._tail)[place]

    def __iter__(self) -> Iterator[Exchange]:
        """Go through them, oldest first."""
        return chain(chain.from_iterable(self._pages), self._tail)

    def __eq__(self, other: object) -> bool:
        """Compare with another, or with a tuple."""
        return isinstance(other, Exchanges | tuple) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Hash as a tuple does."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Show them as a tuple."""
        return repr(tuple(self))


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> int:
    """Count how many at the beginning are the very same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a is not b), min(len(one), len(other)))


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
        """Append the reply to the last exchange."""
        last = Exchange((*self.exchanges[-1].messages, reply), finish_reason, usage)
        return replace(self, exchanges=self.said.without_last().appended(last))

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
