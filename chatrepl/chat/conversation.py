"""Conversation: all that has been said, as a value. Changing it makes a new one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Conversation:
    """System message, few-shot examples and exchanges, oldest first."""

    system: Message | None = None
    examples: tuple[Message, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message in the order in which it is sent."""
        said = (message for exchange in self.exchanges for message in exchange.messages)
        return (*self.preamble, *said)

    @property
    def preamble(self) -> tuple[Message, ...]:
        """What stands before the exchanges and is never trimmed."""
        return (self.system, *self.examples) if self.system else self.examples

    def asking(self, prompt: Message) -> "Conversation":
        """Append a user message that has no reply yet."""
        return replace(self, exchanges=(*self.exchanges, Exchange((prompt,))))

    def answered(
        self, reply: Message, finish_reason: str | None, usage: Usage | None
    ) -> "Conversation":
        """Append the reply to the last exchange."""
        last = Exchange((*self.exchanges[-1].messages, reply), finish_reason, usage)
        return replace(self, exchanges=(*self.exchanges[:-1], last))

    def unanswered(self) -> "Conversation":
        """Take the reply off the last exchange."""
        said = [m for m in self.exchanges[-1].messages if m.role != "assistant"]
        return replace(self, exchanges=(*self.exchanges[:-1], Exchange(tuple(said))))

    def without_last(self) -> "Conversation":
        """Step back by one exchange."""
        return replace(self, exchanges=self.exchanges[:-1])

    def cleared(self) -> "Conversation":
        """Keep the system message and the examples only."""
        return replace(self, exchanges=())

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
    return Conversation(system, (), exchanges)
