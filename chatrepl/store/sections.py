"""What a reader of an exported conversation is shown: its messages, with nothing that steers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chatrepl.chat.attachments import AttachedImage, Attachment
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message

# C0 but tab and newline, DEL, C1, bidi overrides and isolates, lone surrogates, tag characters.
UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)

# How a reply is marked that did not end by itself.
_CUTS = {
    None: "(interrupted)",
    "length": "(cut off: it reached max_tokens)",
    "content_filter": "(cut off by the server's content filter)",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A message as a reader sees it: `cut` is what to say of a reply that was cut off.

    `attached` is what was attached, as Markdown, or nothing; `images` are those that it names.
    """

    role: str
    heading: str
    text: str
    cut: str
    attached: str = ""
    images: tuple[AttachedImage, ...] = ()


def sections_of(conversation: Conversation) -> Iterator[Section]:
    """Give what a reader is shown, in order."""
    for message in conversation.preamble:
        yield _section(message, "")
    for exchange in conversation.exchanges:
        for message in exchange.messages:
            is_reply = message is exchange.reply
            yield _section(message, _CUTS.get(exchange.finish_reason, "") if is_reply else "")


def _section(message: Message, cut: str) -> Section:
    heading = message.role.capitalize()
    if message.name:
        heading += f" ({one_line(message.name)})"
    attached = "\n\n".join(map(_as_markdown, message.attachments))
    return Section(message.role, heading, safe(message.content), cut, attached, message.images)


def _as_markdown(attachment: Attachment) -> str:
    """Show a text in a fence that it can't leave, and of an image what it is."""
    name = one_line(attachment.name).replace("`", "'")
    if isinstance(attachment, AttachedImage):
        return f"Attached: `{name or 'image'}`, {attachment.width} × {attachment.height} pixels"
    text = safe(attachment.text).removesuffix("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    kind = re.search(r"\.(\w+)$", name)
    return f"Attached: `{name}`\n\n{fence}{kind[1] if kind else ''}\n{text}\n{fence}"


def one_line(text: str) -> str:
    """Give a text as one line, with nothing in it that steers."""
    return " ".join(safe(text).split())


def safe(text: str) -> str:
    """Give a text with nothing in it that steers: what did is U+FFFD."""
    return UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
