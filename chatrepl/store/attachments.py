"""What is attached to messages, as rows of the database."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from chatrepl.chat.attachments import AttachedImage, AttachedText, Attachment


def write_attachments(
    connection: sqlite3.Connection, message: int, attachments: Iterable[Attachment]
) -> None:
    """Write what is attached to a message, by its row."""
    for position, each in enumerate(attachments):
        image: tuple[object, ...] = (None,) * 5
        if isinstance(each, AttachedImage):
            image = each.media_type, each.data, each.width, each.height, each.detail
        text = each.text if isinstance(each, AttachedText) else None
        connection.execute(
            "INSERT INTO attachment (message, position, name, text, media_type, data, width, "
            "height, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (message, position, each.name, text, *image),
        )


def read_attachments(
    connection: sqlite3.Connection, session: str
) -> dict[int, tuple[Attachment, ...]]:
    """Read what is attached to the messages of a session, by their rows."""
    found: dict[int, tuple[Attachment, ...]] = {}
    for message, *row in connection.execute(
        "SELECT message, attachment.name, text, media_type, data, width, height, detail "
        "FROM attachment JOIN message ON message.id = message "
        "JOIN exchange ON exchange.id = exchange WHERE session = ? "
        "ORDER BY message, attachment.position",
        (session,),
    ):
        found[message] = (*found.get(message, ()), _attachment(*row))
    return found


def _attachment(name: str, text: str | None, *image: Any) -> Attachment:
    return AttachedImage(name, *image) if text is None else AttachedText(name, text)
