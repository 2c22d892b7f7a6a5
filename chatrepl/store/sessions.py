"""Sessions: the saved conversations, listed, found, read and changed."""

import gc
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.sessions import Hit, Saved, Session
from chatrepl.chat.tree import Tree
from chatrepl.chat.usage import Usage
from chatrepl.errors import SettingsError
from chatrepl.store.attachments import read_attachments
from chatrepl.store.database import Database
from chatrepl.store.rows import (
    Marks,
    Opening,
    PlainMessage,
    PlainNote,
    encodable,
    stamp,
    write_reply,
)
from chatrepl.store.spent import read_completions

_T = TypeVar("_T", bound=msgspec.Struct)
_ABANDONED = timedelta(minutes=1)  # a reply of which nothing has been written for so long
_TRIGRAM = 3

_SESSION = """
    SELECT session.id, title, created, updated, session.provider, session.model, base_url,
           coalesce(exchange.messages, 0)
    FROM session LEFT JOIN exchange ON exchange.id = session.head
"""

# What a killed call has used at least: four bytes are taken for a token, as wherever nothing may be
# loaded, of all that stands before the reply, and of the reply. Only of the embedded model the
# cost is known.
_BILL_ABANDONED = """
    WITH RECURSIVE before (id, parent) AS (
        SELECT id, parent FROM exchange WHERE id = :exchange
        UNION SELECT exchange.id, exchange.parent FROM exchange JOIN before
        ON exchange.id = before.parent
    )
    INSERT INTO completion (exchange, ended, purpose, provider, model, persona, prompt_tokens,
        completion_tokens, cached_tokens, reasoning_tokens, estimated, cost, priced_by)
    SELECT id, (SELECT max(written) FROM piece WHERE exchange = :exchange), 'reply', provider,
        model, '',
        (SELECT (coalesce(sum(length(CAST(content AS BLOB))), 0) + 3) / 4 FROM message
         WHERE exchange IN (SELECT id FROM before)),
        (:size + 3) / 4, 0, 0, 1, CASE provider WHEN 'embedded' THEN 0 END,
        CASE provider WHEN 'embedded' THEN provider ELSE '' END
    FROM exchange WHERE id = :exchange
"""


class Sessions:
    """The sessions of a database. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def all(self, limit: int = -1) -> list[Session]:
        """List the sessions, newest first."""
        if not self.database.file.exists():
            return []
        self.end_abandoned()
        with self.database.reading() as connection:
            order = "ORDER BY updated DESC, session.rowid DESC LIMIT ?"
            return [_session(row) for row in connection.execute(f"{_SESSION} {order}", (limit,))]

    def search(self, text: str, limit: int = 50) -> list[Hit]:
        """Find the messages that hold every word of a text, in any case; newest first."""
        words = encodable(text).replace("\0", " ").split()
        if not words or not self.database.file.exists():
            return []
        self.end_abandoned()
        conditions, values = _conditions(words)
        query = f"""
            SELECT found.role, found.content, listed.*
            FROM (SELECT message.id, role, content, session FROM message
                  JOIN exchange ON exchange.id = message.exchange
                  WHERE {" AND ".join(conditions)} ORDER BY message.id DESC LIMIT ?) AS found
            JOIN ({_SESSION}) AS listed ON listed.id = found.session
            ORDER BY found.id DESC
        """  # noqa: S608 - only placeholders are put together
        with self.database.reading() as connection:
            connection.create_function("holds", 2, _holds, deterministic=True)
            rows = connection.execute(query, (*values, limit)).fetchall()
        hits = (Hit(_session(row[2:]), row[0], row[1]) for row in rows)
        return list(dict.fromkeys(hits))  # what was asked again stands on two branches

    def find(self, name: str) -> list[Session]:
        """Find the sessions that a person may mean, the likeliest first.

        By id, or else the beginning of one, or else words of the title, or else of a message.
        Raises SettingsError if there is none.
        """
        sessions = self.all()
        word = encodable(name).strip().lower()
        chosen = [s for s in sessions if s.id == word]
        chosen = chosen or [s for s in sessions if len(word) >= _TRIGRAM and s.id.startswith(word)]
        chosen = chosen or [s for s in sessions if word and word == s.title.lower()]
        chosen = chosen or [s for s in sessions if word and word in s.title.lower()]
        chosen = chosen or list({hit.session.id: hit.session for hit in self.search(name)}.values())
        if chosen:
            return chosen
        text = f"There is no session '{name}'." if sessions else "There is no session yet."
        hint = "chatrepl sessions lists them; in a chat, /sessions." if sessions else ""
        raise SettingsError(text, hint)

    def load(self, name: str) -> Saved:
        """Read a session by its id, with all its branches. Raises SettingsError if it is gone."""
        self.end_abandoned()
        with self.database.reading() as connection, _much_made():
            row = connection.execute(f"{_SESSION} WHERE session.id = ?", (name,)).fetchone()
            if row is None:
                raise SettingsError(f"There is no session '{name}'.")
            head, opening, marks = connection.execute(
                "SELECT head, opening, marks FROM session WHERE id = ?", (name,)
            ).fetchone()
            exchanges, parents = _exchanges(connection, name)
            spent = read_completions(connection, name)
        tree, unsent = _grow(exchanges, parents, head or 0)
        last = head if head in tree.exchanges else parents.get(head, 0)
        last = last if last in tree.exchanges else 0
        talk = _begin(_decoded(opening, Opening))
        plain = _decoded(marks, Marks)
        tree.marked(*([i for i in ids if i in tree.exchanges] for ids in (plain.pins, plain.drops)))
        talk = tree.follow(talk, last)
        unsent_id = 0 if unsent is None else head
        text, files = (unsent.content, unsent.attachments) if unsent else ("", ())
        talk = _noted(talk, plain.note)
        return Saved(_session(row), talk, tree, text, unsent_id, files, spent)

    def rename(self, name: str, title: str) -> None:
        """Give a session another title."""
        with self.database.writing() as connection:
            query = "UPDATE session SET title = ? WHERE id = ?"
            connection.execute(query, (encodable(title), name))

    def remove(self, name: str) -> None:
        """Delete a session and all its branches, so that nothing said can be read in the file."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM session WHERE id = ?", (name,))
        with self.database.writing() as connection:
            # Until its parts are merged, the index has each three letters of it, and their places.
            connection.execute("INSERT INTO message_text (message_text) VALUES ('optimize')")

    def end_abandoned(self, now: datetime | None = None) -> None:
        """Make replies of the pieces that killed programs have left, and bill them by estimate."""
        if not self.database.file.exists():
            return
        before = stamp((now or datetime.now(UTC)) - _ABANDONED)
        found = "SELECT exchange FROM piece GROUP BY exchange HAVING max(written) < ?"
        with self.database.reading() as connection:
            if connection.execute(found, (before,)).fetchone() is None:
                return
        with self.database.writing() as connection:
            for (exchange,) in connection.execute(found, (before,)).fetchall():
                text = "".join(_pieces(connection, exchange))
                connection.execute(
                    _BILL_ABANDONED, {"exchange": exchange, "size": len(text.encode())}
                )
                write_reply(connection, exchange, text, goes_on=True)
                connection.execute(
                    "UPDATE exchange SET ended = ? WHERE id = ?", (stamp(), exchange)
                )


@contextmanager
def _much_made() -> Iterator[None]:
    """Look for no garbage while much is made that stays, and not among that later.

    Of 100,000 exchanges that is a third of the time, and a key would wait for it again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()


def _session(row: Iterable[Any]) -> Session:
    name, title, created, updated, provider, model, base_url, messages = row
    begun, changed = _time(created), _time(updated)
    return Session(name, title, begun, changed, provider, model, messages, base_url)


def _time(text: str) -> datetime:
    """Read a time; what can't be one, which we have not written, is long ago."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def _conditions(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Say in SQL that a message holds every word: by the index, or for short ones by a scan."""
    indexed = [word for word in words if len(word) >= _TRIGRAM]
    short = [word for word in words if word not in indexed]
    conditions, values = ["holds(content, ?)"] * len(short), [word.lower() for word in short]
    if indexed:
        matching = "SELECT rowid FROM message_text WHERE message_text MATCH ?"
        conditions.insert(0, f"message.id IN ({matching})")
        values.insert(0, " ".join('"' + word.replace('"', '""') + '"' for word in indexed))
    return conditions, values


def _holds(text: str, word: str) -> bool:
    return word in text.lower()


def _pieces(connection: sqlite3.Connection, exchange: int) -> Iterator[str]:
    query = "SELECT text FROM piece WHERE exchange = ? ORDER BY rowid"
    return (text for (text,) in connection.execute(query, (exchange,)))


def _exchanges(
    connection: sqlite3.Connection, session: str
) -> tuple[dict[int, Exchange], dict[int, int]]:
    """Read the exchanges of a session by id, and what each of them follows."""
    messages: dict[int, list[Message]] = {}
    attached = read_attachments(connection, session)
    for number, exchange, role, content, name in connection.execute(
        "SELECT message.id, exchange, role, content, message.name FROM message "
        "JOIN exchange ON exchange.id = exchange WHERE session = ? ORDER BY exchange, position",
        (session,),
    ):
        message = Message(role, str(content), name, attached.get(number, ()))
        messages.setdefault(exchange, []).append(message)
    late = {number for (number,) in connection.execute("SELECT DISTINCT exchange FROM piece")}
    exchanges, parents = {}, {}
    for row in connection.execute(
        "SELECT * FROM exchange WHERE session = ? ORDER BY id", (session,)
    ):
        number = row[0]
        said = messages.get(number, [])
        if number in late:  # a reply that is still coming, or was
            begun = said.pop().content if said and said[-1].role == "assistant" else ""
            said.append(Message("assistant", begun + "".join(_pieces(connection, number))))
        if said:
            exchanges[number] = _exchange(row, said)
            parents[number] = row[2] or 0
    return exchanges, parents


def _exchange(row: tuple[Any, ...], messages: list[Message]) -> Exchange:
    number, _, _, _, _, provider, model, finish_reason, *counts, _ = row
    usage = None if counts[0] is None else Usage(*(count or 0 for count in counts))
    return Exchange(tuple(messages), finish_reason, usage, model, provider, number)


def _grow(
    exchanges: Mapping[int, Exchange], parents: Mapping[int, int], head: int
) -> tuple[Tree, Message | None]:
    """Put the exchanges together; give the message of the last one if it never got a reply.

    What was asked in vain elsewhere is no branch.
    """
    followed = set(parents.values())
    tree = Tree()
    tree.reserve(max(exchanges, default=0))
    unsent = None
    for number, exchange in exchanges.items():
        if exchange.reply is None and number not in followed:
            if number == head:
                unsent = exchange.messages[-1]
        else:  # a parent that is not there is damage: better a branch of its own than none
            tree.put(parents[number] if parents[number] in tree.exchanges else 0, exchange)
    return tree, unsent


def _begin(opening: Opening) -> Conversation:
    system = _message(opening.system) if opening.system else None
    return Conversation(system, tuple(map(_message, opening.examples)))


def _message(plain: PlainMessage) -> Message:
    role: Any = plain.role
    return Message(role, plain.content, plain.name)


def _noted(talk: Conversation, note: PlainNote | None) -> Conversation:
    """Give a conversation the note that was made of it, if it is on this branch."""
    place = {exchange.id: index for index, exchange in enumerate(talk.exchanges)}
    if note is None or note.upto not in place:
        return talk
    untold = frozenset(place[i] for i in note.untold if i in place)
    return replace(talk, note=Note(note.text, note.first, place[note.upto] + 1, untold))


def _decoded(plain: str, shape: type[_T]) -> _T:
    """Read JSON of our own; what somebody else made of it counts as nothing."""
    try:
        return msgspec.json.decode(plain, type=shape)
    except msgspec.MsgspecError:
        return shape()
