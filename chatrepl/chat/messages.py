"""Message: one role and its text, with what is attached."""

from dataclasses import dataclass, field
from typing import Any, Literal

from chatrepl.chat.attachments import HEAD, AttachedImage, Attachment, encodable

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the Chat Completions API.

    `content` is what was said; `attachments` go with it. `name` tells apart several speakers of
    one role (few-shot examples use it). `size` is the number of UTF-8 bytes of all that: no
    byte-level tokenizer makes more tokens of it than that. An image adds its most tokens.

    Lone surrogates can't be sent as UTF-8 by anybody: they become U+FFFD. Everything else,
    NUL and ChatML markers included, stays as it was written.
    """

    role: Role
    content: str
    name: str | None = None
    attachments: tuple[Attachment, ...] = ()
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make the text encodable and note its size."""
        content = encodable(self.content)
        object.__setattr__(self, "content", content)
        size = len(content.encode())
        if self.attachments:  # most have none, and a long session has many messages
            size = len(self.head.encode()) + sum(each.size for each in self.attachments)
        if self.name is not None:
            name = encodable(self.name)
            object.__setattr__(self, "name", name)
            size += len(name.encode())
        object.__setattr__(self, "size", size)

    @property
    def head(self) -> str:
        """What is sent before the attachments: what was said, and what they are."""
        has_block = any(each.has_block for each in self.attachments)  # which may be megabytes
        return self.content + HEAD if has_block else self.content

    @property
    def text(self) -> str:
        """All text that is sent, that of the attachments included."""
        return self.head + "".join(each.block for each in self.attachments)

    @property
    def images(self) -> tuple[AttachedImage, ...]:
        """The images that are attached."""
        return tuple(each for each in self.attachments if isinstance(each, AttachedImage))

    def as_openai(self) -> dict[str, Any]:
        """Give the message as the API's JSON object; its content is in parts if it has images."""
        message: dict[str, Any] = {"role": self.role, "content": self.text}
        if images := self.images:
            parts = [image.as_openai() for image in images]
            message["content"] = [{"type": "text", "text": self.text}, *parts]
        if self.name is not None:
            message["name"] = self.name
        return message
