"""What the rules of a chat need from outside: somebody who answers, somebody who keeps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatrepl.chat.catalogue import ModelCard, Served
from chatrepl.chat.events import Event
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the model: messages, and at most `max_tokens` tokens of reply."""

    card: ModelCard
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None


class Provider(Protocol):
    """Who answers."""

    @property
    def name(self) -> str:
        """Give the provider's name in the settings."""

    def prepare(self) -> None:
        """Load what the first request needs, so that it does not wait. May be skipped."""

    def served(self) -> Sequence[Served]:
        """List the models that it offers. Raises ChatreplError."""

    def look_up(self, model: str) -> Served | None:
        """Ask what the server knows of a model; None if it says nothing. Raises ChatreplError."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model, and give its reply piece by piece; the last event is `Finished`.

        Closing the iterator ends the request. Raises ChatreplError.
        """

    def close(self) -> None:
        """Let go of connections and processes."""


class Recorder(Protocol):
    """Who keeps what is said, while it is being said."""

    def begin(self, prompt: Message) -> None:
        """Note that an exchange has begun: called before the request leaves."""

    def text(self, delta: str) -> None:
        """Note a piece of the reply."""

    def end(self, reply: Message | None, finish_reason: str | None, usage: Usage | None) -> None:
        """Note how the exchange ended; `reply` is None when nothing came."""


class NoRecorder:
    """Keeps nothing: the conversation lives in memory only."""

    def begin(self, prompt: Message) -> None:
        """Keep nothing."""

    def text(self, delta: str) -> None:
        """Keep nothing."""

    def end(self, reply: Message | None, finish_reason: str | None, usage: Usage | None) -> None:
        """Keep nothing."""
