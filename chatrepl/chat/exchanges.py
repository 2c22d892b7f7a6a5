"""Exchange: a user message and its reply; Exchanges: many of them."""

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
    own. `finish_reason` is the API's; None means that the reply was interrupted. `usage` is what
    the reply cost, with all that was asked to go on with it; `model` and `provider` are who
    answered. `id` is its place in the session's tree, or 0 where it has none yet.
    """

    messages: tuple[Message, ...]
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    provider: str = ""
    id: int = field(default=0, compare=False)

    @property
    def prompt(self) -> Message | None:
        """The user message, if there is one."""
        return self.messages[0] if self.messages[0].role == "user" else None

    @property
    def reply(self) -> Message | None:
        """The assistant's message, if it has answered."""
        last = self.messages[-1]
        return last if last.role == "assistant" else None

    @property
    def is_whole(self) -> bool:
        """Whether the reply has come to its end by itself."""
        return self.finish_reason not in {None, "length", "content_filter"}

    def answered(
        self, reply: Message, finish_reason: str | None, usage: Usage | None
    ) -> "Exchange":
        """Append the reply, or put it, gone on with, in the place of the one that is there."""
        said = self.messages if self.reply is None else self.messages[:-1]
        return replace(self, messages=(*said, reply), finish_reason=finish_reason, usage=usage)


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


def counted(exchanges: int) -> str:
    """Say how many.

    >>> counted(1), counted(1204)
    ('1 exchange', '1,204 exchanges')
    """
    return "1 exchange" if exchanges == 1 else f"{exchanges:,} exchanges"


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> int:
    """Count how many at the beginning are the very same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a is not b), min(len(one), len(other)))
