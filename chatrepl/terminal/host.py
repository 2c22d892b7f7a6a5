"""What the loop asks of the program around it."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.sessions import Hit, Saved, Session
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError
from chatrepl.terminal.keys import Submit
from chatrepl.terminal.persona_commands import Shelf


class Sessions(Protocol):
    """The saved sessions. Its methods raise ChatreplError."""

    def all(self, limit: int = -1) -> list[Session]:
        """List them, newest first."""

    def search(self, text: str, limit: int = 50) -> list[Hit]:
        """Find the messages that hold every word of a text."""


class Keeping(Protocol):
    """Keeps chats in sessions. Its methods raise ChatreplError."""

    @property
    def sessions(self) -> Sessions:
        """The saved sessions."""

    def open(self, chat: Chat, name: str) -> Saved:
        """Go on with a saved session instead."""

    def begin(self, chat: Chat) -> None:
        """Begin a new session, with the same system message and examples."""

    def forget(self, chat: Chat) -> None:
        """Remove the session of a chat that has come to nothing."""

    def fork(self, chat: Chat) -> None:
        """Go on in a session of its own, which begins with what was said in this one."""

    def title(self, chat: Chat, text: str) -> str | None:
        """Give the session's title, and change it first if there is a text; None if unsaved."""

    def export(self, chat: Chat, file: Path) -> None:
        """Write the conversation into a file, in the form of its suffix."""


class Host(Protocol):
    """What the loop asks of the program around it. Its methods raise ChatreplError."""

    @property
    def model(self) -> str:
        """Name the model, before the chat is there to be asked."""

    @property
    def plain(self) -> bool:
        """Whether replies are shown as text."""

    def unforeseen(self, error: Exception) -> ChatreplError:
        """Keep a fault of the program's own, and say so."""

    def open_chat(self) -> Chat:
        """Build the chat: may load packages, so it runs beside the prompt."""

    def use_model(self, chat: Chat, name: str) -> None:
        """Let another model answer."""

    def use_persona(self, chat: Chat, name: str) -> None:
        """Take a persona's system message, examples and settings."""

    def use_overflow(self, chat: Chat, how: str) -> None:
        """Do something else from now on when the window is full."""

    @property
    def keeping(self) -> Keeping:
        """What keeps the chat."""

    def models(self) -> Iterable[tuple[str, str]]:
        """List models by name, each with a few words."""

    @property
    def vi(self) -> bool:
        """Whether the keys of the prompt are those of vi at first."""

    @property
    def submit(self) -> Submit:
        """The key that sends a message."""

    @property
    def shelf(self) -> Shelf:
        """The personas there are."""

    @property
    def persona(self) -> str | None:
        """Name the persona that is taken."""

    def parameters(self) -> Iterable[tuple[str, str, str]]:
        """List the request's parameters: name, value or "", and where it was set."""

    def parameter_of(self, typed: str) -> str:
        """Give the parameter that somebody means."""

    def set_parameter(self, chat: Chat, name: str, text: str) -> None:
        """Set a parameter from now on; "default" takes that back."""

    def attach(self, names: Iterable[str]) -> tuple[Attachment, ...]:
        """Read what is to be attached, and say what is to be known of it."""

    def mentioned(self, line: str, known: Collection[str]) -> tuple[str, list[str]]:
        """Find the files that a line names after an @; `known` are attached already."""
