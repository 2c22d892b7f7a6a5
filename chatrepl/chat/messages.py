"""Message: one role and its text."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the Chat Completions API.

    `name` tells apart several speakers of one role (few-shot examples use it). `size` is the
    number of UTF-8 bytes of content and name: no byte-level tokenizer makes more tokens of
    them than that.

    Lone surrogates can't be sent as UTF-8 by anybody: they become U+FFFD. Everything else,
    NUL and ChatML markers included, stays as it was written.
    """

    role: Role
    content: str
    name: str | None = None
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make the text encodable and note its size."""
        content, size = _encodable(self.content)
        object.__setattr__(self, "content", content)
        if self.name is not None:
            name, name_size = _encodable(self.name)
            object.__setattr__(self, "name", name)
            size += name_size
        object.__setattr__(self, "size", size)

    def as_openai(self) -> dict[str, str]:
        """Give the message as the API's JSON object."""
        message = {"role": self.role, "content": self.content}
        if self.name is not None:
            message["name"] = self.name
        return message


def _encodable(text: str) -> tuple[str, int]:
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:
        # Through UTF-16 a surrogate pair becomes its character, and only lone halves are replaced.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text, len(text.encode())
