"""What is written of a session, row by row: for the recorder, which knows when."""

import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TypeVar

import msgspec

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import COST_UNITS, Completion, units
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage
from chatrepl.store.attachments import write_attachments

_PART = 10**6
COST_SUMS = f"coalesce(sum(cost / {_PART}), 0), coalesce(sum(cost % {_PART}), 0)"
"""The columns that sum costs up in two parts, for `summed`: one sum would overflow."""

Encodable = TypeVar("Encodable", str, str | None)


class PlainMessage(msgspec.Struct, omit_defaults=True):
    """A message as the database has it in JSON."""

    role: str
    content: str
    name: str | None = None


class Opening(msgspec.Struct, omit_defaults=True):
    """What stands before the exchanges of a session."""

    system: PlainMessage | None = None
    examples: list[PlainMessage] = []


class PlainNote(msgspec.Struct):
    """A note, and the exchanges by id up to which it tells."""

    text: str
    first: int
    upto: int
    untold: list[int] = []


class Marks(msgspec.Struct, omit_defaults=True):
    """What the user marked, by the ids of exchanges, and the note."""

    pins: list[int] = []
    drops: list[int] = []
    note: PlainNote | None = None


def stamp(when: datetime | None = None) -> str:
    """Write a time, by default now, as the database has it."""
    when = when or datetime.now(UTC)
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def midnight(day: date) -> str:
    """Give the time when a local day begins, as the database has times; "" beyond the calendar.

    On a day that has no midnight, since clocks go forward then, `timestamp` gives the time when
    they do, and `astimezone` would give an hour before.
    """
    try:
        return stamp(datetime.fromtimestamp(datetime.combine(day, time.min).timestamp(), UTC))
    except (ValueError, OverflowError, OSError):
        return ""


def encodable(text: Encodable) -> Encodable:
    """Replace lone surrogates, which no file can hold."""
    return text and text.encode(errors="replace").decode()


def write_reply(
    connection: sqlite3.Connection, exchange: int, text: str, *, goes_on: bool = False
) -> None:
    """Write the reply of an exchange in the place of its journal, or append what came to it."""
    last = connection.execute(
        "SELECT position, role, content FROM message WHERE exchange = ? "
        "ORDER BY position DESC LIMIT 1",
        (exchange,),
    ).fetchone()
    position, role, before = last or (-1, "", "")
    if role == "assistant":
        text = before + text if goes_on else text
        connection.execute(
            "UPDATE message SET content = ? WHERE exchange = ? AND position = ?",
            (text, exchange, position),
        )
    else:
        connection.execute(
            "INSERT INTO message (exchange, position, role, content) VALUES (?, ?, ?, ?)",
            (exchange, position + 1, "assistant", text),
        )
        connection.execute("UPDATE exchange SET messages = messages + 1 WHERE id = ?", (exchange,))
    connection.execute("DELETE FROM piece WHERE exchange = ?", (exchange,))


def write_exchange(
    connection: sqlite3.Connection, session: str, parent: int | None, exchange: Exchange
) -> int:
    """Write an exchange that follows another one, or begins a session, and give its id."""
    row = connection.execute("SELECT messages FROM exchange WHERE id = ?", (parent,)).fetchone()
    spoken = sum(message.role != "system" for message in exchange.messages)
    added = connection.execute(
        "INSERT INTO exchange (session, parent, begun, ended, provider, model, finish_reason, "
        "messages) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session,
            parent,
            stamp(),
            stamp() if exchange.reply else None,
            exchange.provider,
            exchange.model,
            exchange.finish_reason,
            spoken + (row[0] if row else 0),
        ),
    ).lastrowid
    assert added is not None
    for position, message in enumerate(exchange.messages):
        row_of_message = connection.execute(
            "INSERT INTO message (exchange, position, role, content, name) VALUES (?, ?, ?, ?, ?)",
            (added, position, message.role, message.content, message.name),
        ).lastrowid
        assert row_of_message is not None
        write_attachments(connection, row_of_message, message.attachments)
    write_usage(connection, added, exchange.usage)
    return added


def write_completion(
    connection: sqlite3.Connection,
    row: int | None,
    exchange: Exchange,
    completion: Completion,
    persona: str,
) -> None:
    """Write what a completion used, for an exchange or for a summary before it."""
    connection.execute(
        "INSERT INTO completion (exchange, ended, purpose, provider, model, persona, "
        "prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, estimated, cost, "
        "priced_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row,
            stamp(),
            completion.purpose,
            completion.provider or exchange.provider,
            completion.model or exchange.model,
            persona,
            *_counts(completion.usage),
            completion.estimated,
            units(completion.cost),
            completion.priced_by,
        ),
    )


def summed(parts: int, rest: int) -> Decimal:
    """Give what COST_SUMS add up to, in US dollars."""
    return Decimal(parts * _PART + rest).scaleb(1 - len(str(COST_UNITS)))


def may_become(connection: sqlite3.Connection, row: int, reply: str) -> bool:
    """Tell whether a reply is the one that is written already, or goes on with it."""
    query = "SELECT content FROM message WHERE exchange = ? AND role = 'assistant'"
    said = connection.execute(f"{query} ORDER BY position DESC LIMIT 1", (row,)).fetchone()
    return said is None or reply.startswith(said[0])


def is_there(connection: sqlite3.Connection, session: str) -> bool:
    """Tell whether a session is in the database."""
    query = "SELECT 1 FROM session WHERE id = ?"
    return connection.execute(query, (session,)).fetchone() is not None


def _counts(usage: Usage) -> tuple[int, ...]:
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    )


def write_usage(connection: sqlite3.Connection, row: int, usage: Usage | None) -> None:
    """Write what an exchange used, if that is known."""
    if usage is not None:
        connection.execute(
            "UPDATE exchange SET prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?, "
            "reasoning_tokens = ? WHERE id = ?",
            (*_counts(usage), row),
        )


def _plain(message: Message) -> PlainMessage:
    return PlainMessage(message.role, message.content, message.name)


def opening_of(talk: Conversation) -> str:
    """Give what stands before the exchanges of a talk, as it is written."""
    system = _plain(talk.system) if talk.system else None
    return as_json(Opening(system, [_plain(message) for message in talk.examples]))


def as_json(value: msgspec.Struct) -> str:
    """Write a value of ours as JSON."""
    return msgspec.json.encode(value).decode()
