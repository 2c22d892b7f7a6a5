"""What the rules of a chat need from outside: somebody who answers, somebody who keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chatrepl.chat.budgets import Amounts, Cap, Standing
from chatrepl.chat.catalogue import ModelCard, Served
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.events import Event
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the model: messages, and at most `max_tokens` tokens of reply.

    `parameters` are the others, by the API's names: temperature, top_p… None is not sent.
    """

    card: ModelCard
    messages: tuple[Message, ...]
    max_tokens: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    """Who answers."""

    @property
    def name(self) -> str:
        """Give the provider's name in the settings."""

    @property
    def goes_on(self) -> bool:
        """Whether it goes on with a reply that ends a request, rather than answer it."""

    def prepare(self) -> None:
        """Load what the first request needs, so that it does not wait. May be skipped."""

    def served(self) -> Sequence[Served]:
        """List the models that it offers. Raises ChatreplError."""

    def look_up(self, model: str) -> Served | None:
        """Ask what the server knows of a model; None if it says nothing. Raises ChatreplError."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model, and give its reply piece by piece; the last event is `Finished`.

        `Answering` comes before a wait for the first piece, as soon as the server has taken the
        request. Closing the iterator ends the request. Raises ChatreplError.
        """

    def close(self) -> None:
        """Let go of connections and processes."""


class Recorder(Protocol):
    """Who keeps what is said, while it is being said. Nothing that goes wrong is raised."""

    @property
    def session(self) -> str | None:
        """Give the id under which it is kept; None before there is one."""

    @property
    def unsaved(self) -> bool:
        """Whether something should be kept and could not be."""

    def begin(self, talk: Conversation) -> None:
        """Note a talk whose last exchange begins, or goes on: called before a request leaves."""

    def text(self, delta: str) -> None:
        """Note a piece of the reply."""

    def spent(self, completion: Completion) -> None:
        """Note what a completion used."""

    def end(
        self,
        exchange: Exchange | None,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        """Note the exchange as it ended, None when nothing came, and where the talk stands."""

    def keep(self, talk: Conversation, pins: Sequence[int], drops: Sequence[int]) -> None:
        """Note where the talk stands: its path, system message, examples, note, and marks by id."""


class NoRecorder:
    """Keeps nothing: the conversation lives in memory only."""

    session = None
    unsaved = False

    def begin(self, talk: Conversation) -> None:
        """Keep nothing."""

    def text(self, delta: str) -> None:
        """Keep nothing."""

    def spent(self, completion: Completion) -> None:
        """Keep nothing."""

    def end(
        self,
        exchange: Exchange | None,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        """Keep nothing."""

    def keep(self, talk: Conversation, pins: Sequence[int], drops: Sequence[int]) -> None:
        """Keep nothing."""


class Purse(Protocol):
    """Who knows what may still be spent, and shares it with others."""

    @property
    def caps(self) -> Sequence[Cap]:
        """Give the caps of the budget; if there are none, nothing need be reserved."""

    def reserve(
        self, most: Amounts, session: str | None, so_far: Amounts, *, anyway: bool = False
    ) -> Sequence[Standing]:
        """Reserve what a request may take at most, and give how the caps stood before.

        `so_far` is what was spent in a session that has no id yet, or will have none. Raises
        BudgetError if a cap would be passed, unless it is to be sent `anyway`, and StorageError if
        that can't be found out; then nothing is reserved.
        """

    def standings(self, session: str | None, so_far: Amounts) -> Sequence[Standing]:
        """Give how the caps stand. Raises StorageError."""

    def release(self) -> None:
        """Let go of what is still reserved: the turn has ended."""


class NoPurse:
    """Lets everything be spent."""

    caps: tuple[Cap, ...] = ()

    def reserve(
        self,
        most: Amounts,
        session: str | None,
        so_far: Amounts,
        *,
        anyway: bool = False,
    ) -> Sequence[Standing]:
        """Reserve nothing."""
        return ()

    def standings(self, session: str | None, so_far: Amounts) -> Sequence[Standing]:
        """Know no cap."""
        return ()

    def release(self) -> None:
        """Do nothing."""
