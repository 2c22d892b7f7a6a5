"""Keeping a scripted chat in a real database, and looking at the file from outside."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.events import Event, TextDelta
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.ports import Provider
from chatrepl.chat.sessions import Saved
from chatrepl.chat.tree import Tree
from chatrepl.chat.turn import Chat
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.store.database import Database
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.rows import stamp, write_completion
from chatrepl.store.sessions import Sessions


class Desk:
    """One run of the program with one database: a recorder, a chat, and what was said of both.

    `chat.provider` is replaced to script the next turn, or by `say`'s arguments.
    """

    def __init__(self, file: Path, saved: Saved | None = None) -> None:
        self.notices: list[str] = []
        self.database = Database(file, self.notices.append)
        self.sessions = Sessions(self.database)
        self.recorder = SessionRecorder(self.database, self.notices.append)
        self.chat = Chat(ScriptedProvider(), card_for("gpt-4"))
        if saved is None:
            self.chat.begin(Conversation(), self.recorder)
        else:
            self.go_on(saved)

    def go_on(self, saved: Saved) -> None:
        self.recorder.go_on(saved)
        self.chat.begin(saved.conversation, self.recorder, saved.tree, saved.spending())

    @property
    def session(self) -> str:
        assert self.recorder.session is not None
        return self.recorder.session

    def say(self, text: str, reply: str | Iterable[Any] = "Yes.") -> str:
        """Say something to a provider with this script; what it raises is raised."""
        self.chat.provider = ScriptedProvider(reply)
        return hear(self.chat.say(text))

    def retry(self, reply: str | Iterable[Any]) -> str:
        self.chat.provider = ScriptedProvider(reply)
        return hear(self.chat.retry())

    def go_on_with_reply(self, reply: str | Iterable[Any]) -> str:
        self.chat.provider = ScriptedProvider(reply)
        return hear(self.chat.go_on())

    def close(self) -> None:
        self.recorder.close()
        self.database.close()


@contextmanager
def desk(file: Path, saved: Saved | None = None) -> Iterator[Desk]:
    with closing(Desk(file, saved)) as opened:
        yield opened


@contextmanager
def sessions_in(file: Path) -> Iterator[Sessions]:
    """Open the database as another run of the program would; it must have nothing to say."""
    notices: list[str] = []
    with closing(Database(file, notices.append)) as database:
        yield Sessions(database)
    assert notices == []


def load(file: Path, session: str) -> Saved:
    with sessions_in(file) as sessions:
        return sessions.load(session)


def hear(events: Iterator[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def rows(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the database through a connection of our own."""
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        return connection.execute(query, values).fetchall()


def count(file: Path, table: str) -> int:
    return int(rows(file, f"SELECT count(*) FROM {table}")[0][0])


def assert_sound(file: Path) -> None:
    """Assert that SQLite finds nothing wrong, in the file and in the index of words."""
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        check = "INSERT INTO message_text (message_text, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)
        connection.rollback()


def texts(talk: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in talk.messages]


Shape = tuple[object, ...]


def shape(tree: Tree, talk: Conversation) -> tuple[list[Shape], list[str]]:
    """Give all of a tree by its texts alone, marks included, and the drops in their order.

    Two runs of the program number exchanges differently.
    """
    pins, drops = tree.marks(talk)

    def below(parent: int) -> list[Shape]:
        numbers = sorted(number for number, above in tree.parents.items() if above == parent)
        return [
            (
                tuple((m.role, m.content, m.name) for m in tree.exchanges[number].messages),
                tree.exchanges[number].finish_reason,
                number in pins,
                number in drops,
                *below(number),
            )
            for number in numbers
        ]

    return below(0), [tree.exchanges[number].messages[0].content for number in drops]


def provider(of: Provider) -> Provider:
    """Have mypy check that a provider of a test is one."""
    return of


def spend(
    file: Path,
    completion: Completion,
    *,
    ended: datetime | None = None,
    persona: str = "",
    exchange: int | None = None,
    times: int = 1,
) -> None:
    """Write a completion into the ledger as a chat does, as if it had ended at a time."""
    with closing(Database(file, print)) as database, database.writing() as connection:
        for _ in range(times):
            write_completion(connection, exchange, Exchange(()), completion, persona)
            if ended is not None:
                query = "UPDATE completion SET ended = ? WHERE id = last_insert_rowid()"
                connection.execute(query, (stamp(ended),))
