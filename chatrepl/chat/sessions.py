"""Session: a conversation saved under an id, as the rest of the program sees it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion, Spending
from chatrepl.chat.tree import Tree

if TYPE_CHECKING:
    from datetime import datetime

_TITLE = 60  # characters


@dataclass(frozen=True, slots=True)
class Session:
    """A saved conversation: `messages` counts what was said on its current branch.

    `provider` and `model` are who answered last, at `base_url` if no config file says where.
    """

    id: str
    title: str
    created: "datetime"
    updated: "datetime"
    provider: str
    model: str
    messages: int
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message in which a search has found something."""

    session: Session
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A whole session: `conversation` is its current branch, `tree` has them all.

    `unsent` is a last message that never got a reply, or empty, `unsent_files` what was attached
    to it, and `unsent_id` its exchange. `spent` is what its completions used, oldest first.
    """

    session: Session
    conversation: Conversation
    tree: Tree
    unsent: str = ""
    unsent_id: int = 0
    unsent_files: tuple[Attachment, ...] = ()
    spent: tuple[Completion, ...] = ()

    def spending(self) -> Spending:
        """Give what it has used so far, to be gone on with."""
        return Spending(list(self.spent))


def title_of(text: str) -> str:
    """Make a title of a message: the beginning of its first line on which there is something.

    >>> title_of("\\n  What is   the capital of France?\\nAnd of Spain?")
    'What is the capital of France?'
    >>> title_of("")
    'Untitled'
    """
    lines = (" ".join(line.split()) for line in text.splitlines() if is_visible(line))
    line = next(lines, "Untitled")
    if len(line) <= _TITLE:
        return line
    cut = line[:_TITLE].rfind(" ")
    return line[: cut if cut > _TITLE // 2 else _TITLE - 1] + "…"


def is_visible(text: str) -> bool:
    """Tell whether anything of a text can be seen.

    >>> is_visible(" x"), is_visible("\\u200b \\t")
    (True, False)
    """
    return any(character.isprintable() and not character.isspace() for character in text)
