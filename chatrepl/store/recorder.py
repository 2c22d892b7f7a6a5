"""SessionRecorder: keeps a chat as a session, exchange by exchange and while a reply streams."""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.sessions import Saved, title_of
from chatrepl.errors import StorageError
from chatrepl.store.budgets import Budgets, remove_reservations
from chatrepl.store.database import Database
from chatrepl.store.journal import Journal
from chatrepl.store.rows import (
    Marks,
    PlainNote,
    as_json,
    encodable,
    is_there,
    may_become,
    opening_of,
    stamp,
    write_completion,
    write_exchange,
    write_reply,
    write_usage,
)
from chatrepl.undisturbed import undisturbed

_PATIENCE = 3.0  # seconds that another program may hold it for
_SHORT_PATIENCE = 0.2  # where it has held it that long before
_FAILED = 4  # short ones of the journal in a row, after which it has: they take about 3 seconds

# What another program wrote of a reply that it took for a killed one's: it was only slow.
_NOT_KILLED = """
    DELETE FROM completion
    WHERE exchange = ? AND ended >= ? AND purpose = 'reply' AND estimated
        AND coalesce(cost, 0) = 0
"""

_LETTERS = "bcdfghjkmnpqrstvwxz"  # they spell no words


class SessionRecorder:
    """Keeps a chat as a session, which begins with its first message, or goes on.

    Whatever the database does, the chat goes on: `say` is told once that it is not saved, and
    once that it is again. What could not be written is written as soon as it can be. `session` is
    the id, None before there is one; `title` None until there is one; `unsaved` says that
    something could not be written, `base_url` where the model is, `persona` which one is taken.
    `shown` gives what is seen of a text, of which a title is made; `budgets` holds what was
    reserved for what is said, if anything is.
    """

    def __init__(
        self,
        database: Database,
        say: Callable[[str], None],
        title: str | None = None,
        shown: Callable[[str], str] = str,
        budgets: Budgets | None = None,
    ) -> None:
        self.session: str | None = None
        self.title = title
        self.base_url = ""
        self.persona = ""
        self._database = database
        self._say = say
        self._shown = shown
        self._budgets = budgets
        self.unsaved = False
        self._rows: dict[int, int] = {}  # of exchanges, by their ids in the tree
        self._new: list[int] = []  # of these, what this transaction has added
        self._talk = Conversation()
        self._spent: list[Completion] = []
        self._begun = ""  # when
        self._ends: list[_End] = []  # not written yet
        self._vain: tuple[int, int] | None = None  # a place, and what was asked there in vain
        self._kept: dict[str, object] = {}  # what is written of where the talk stands
        self._untitled = False  # whether the title is not written yet
        self._journal = Journal(self._write_piece)

    def go_on(self, saved: Saved) -> None:
        """Go on with a session as it was read from the database."""
        self.session, self.title = saved.session.id, saved.session.title
        self._rows = {number: number for number in saved.tree.exchanges}
        talk = saved.conversation
        if saved.unsent_id:
            self._rows[saved.unsent_id] = saved.unsent_id
            self._vain = (talk.head, saved.unsent_id)
        self._kept = _state(talk, *saved.tree.marks(talk))

    def begin(self, talk: Conversation) -> None:
        """Write the last exchange of a talk, and whatever before it is not written yet."""
        self._talk, self._spent, self._vain, self._begun = talk, [], None, stamp()
        self._attempt(self._write_head)
        self._journal.begin()

    def text(self, delta: str) -> None:
        """Take a piece of the reply: it is written within a second, by another thread."""
        self._journal.add(delta)

    def spent(self, completion: Completion) -> None:
        """Take what a completion used."""
        self._spent.append(completion)

    def end(
        self,
        exchange: Exchange | None,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        """Write how the exchange ended, and where the talk stands."""
        if exchange is not None:
            self._talk = self._talk.with_last(exchange)
        if self._talk.exchanges[-1].reply is None:
            self._vain = (self._talk.parent, self._talk.head)
        with undisturbed():  # what is taken over would count no more if it were lost here
            reserved = self._budgets.take_over() if self._budgets else []
            answered = exchange is not None
            self._ends.append(_End(self._talk, answered, self._spent, reserved, self._begun))
            self._kept.pop("head", None)
            self._journal.end()
            self.keep(talk, pins, drops)

    def keep(self, talk: Conversation, pins: Sequence[int], drops: Sequence[int]) -> None:
        """Write where the talk stands, if that has changed, and what could not be written."""
        state = _state(talk, pins, drops)
        owing = self.unsaved or self._ends
        if not owing and (self.session is None or state == self._kept):
            return
        if self._attempt(lambda connection: self._write_state(connection, talk, pins, drops)):
            self._kept = state

    def save(self, talk: Conversation) -> None:
        """Write a whole talk now: a session that begins with what was said elsewhere."""
        self._talk = talk
        self._attempt(self._write_head)

    def rename(self, title: str) -> None:
        """Give the session a title, at once if it has begun."""
        self.title = encodable(title)
        if self.session is not None:
            self._untitled = True
            self._attempt(self._write_title)

    def _write_title(self, connection: sqlite3.Connection) -> None:
        query = "UPDATE session SET title = ? WHERE id = ?"
        connection.execute(query, (self.title, self.session))

    def close(self) -> None:
        """Try once more to write what could not be written."""
        if (self.unsaved or self._ends) and self._talk.exchanges:
            self._attempt(self._write_head)

    def _attempt(self, write: Callable[[sqlite3.Connection], None]) -> bool:
        """Write something and what was left over; what goes wrong is said once.

        Whoever presses Ctrl-C does not wait for another program.
        """
        held = self.unsaved or self._journal.failed >= _FAILED
        with undisturbed() as signals:
            self._new, ends, before = [], len(self._ends), self.session
            try:
                patience = _SHORT_PATIENCE if held else _PATIENCE
                self._transact(write, patience, lambda: signals)
            except BaseException as error:
                self.session = before
                for added in self._new:
                    self._rows.pop(added, None)
                if not isinstance(error, StorageError):
                    raise
                if not self.unsaved:
                    hint = error.hint or "What is said is saved as soon as that is possible again."
                    self._say(f"This chat is not saved. {error.text} {hint}")
                self.unsaved = True
                return False
            del self._ends[:ends]
            self._untitled = False
            self._journal.failed = 0
            if before is not None and before != self.session:
                self._say(f"The saved session {before} is gone: it goes on as {self.session}.")
            if self.unsaved:
                self.unsaved = False
                self._say("This chat is saved again.")
            return True

    def _transact(
        self,
        write: Callable[[sqlite3.Connection], None],
        patience: float,
        give_up: Callable[[], object],
    ) -> None:
        """Write in one transaction, once more if the database was found damaged and renewed."""
        renewed = self._database.renewed
        try:
            with self._database.writing(patience, give_up) as connection:
                self._write_all(connection, write)
        except StorageError:
            if self._database.renewed == renewed:
                raise
            self._forget()
            with self._database.writing(patience, give_up) as connection:
                self._write_all(connection, write)

    def _write_all(
        self, connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], None]
    ) -> None:
        if self.session is not None and not is_there(connection, self.session):
            self._forget()  # it was deleted, or the whole database set aside
        for end in self._ends:
            self._write_end(connection, end)
        self._write_path(connection, self._talk)
        write(connection)
        if self._untitled:
            self._write_title(connection)

    def _forget(self) -> None:
        """Begin the session anew: all that is known of it will be written again."""
        self.session = None
        self._rows = {}
        self._kept = {}

    def _write_head(self, connection: sqlite3.Connection) -> None:
        last = self._talk.exchanges[-1]
        self._write_time(connection, last)
        connection.execute(
            "UPDATE session SET head = ? WHERE id = ?", (self._rows[last.id], self.session)
        )

    def _write_time(self, connection: sqlite3.Connection, last: Exchange) -> None:
        connection.execute(
            "UPDATE session SET updated = ?, provider = ?, model = ?, base_url = ? WHERE id = ?",
            (stamp(), last.provider, last.model, self.base_url, self.session),
        )

    def _write_path(self, connection: sqlite3.Connection, talk: Conversation) -> None:
        """Write what is not written yet of the exchanges of a talk."""
        said = talk.exchanges
        if said and self.session is None:
            self._write_session(connection)
        first = len(said)
        while first and said[first - 1].id not in self._rows:
            first -= 1
        before = said[first - 1].id if first else 0
        for exchange in said[first:]:
            self._rows[exchange.id] = self._write_exchange(connection, before, exchange)
            self._new.append(exchange.id)
            before = exchange.id

    def _write_session(self, connection: sqlite3.Connection) -> None:
        name = "".join(secrets.choice(_LETTERS) for _ in range(6))
        prompts = (e.prompt for e in self._talk.exchanges if e.prompt is not None)
        if self.title is None:
            text = next((prompt.content for prompt in prompts), "")
            self.title = title_of(self._shown(text))
        connection.execute(
            "INSERT INTO session (id, title, created, updated, provider, model, opening) "
            "VALUES (?, ?, ?, ?, '', '', ?)",
            (name, self.title, stamp(), stamp(), opening_of(self._talk)),
        )
        self.session = name

    def _write_exchange(
        self, connection: sqlite3.Connection, before: int, exchange: Exchange
    ) -> int:
        assert self.session is not None
        return write_exchange(connection, self.session, self._rows.get(before), exchange)

    def _write_piece(self, text: str) -> bool:
        try:
            with self._database.writing(_SHORT_PATIENCE) as connection:
                row = self._rows.get(self._talk.head)
                if row is None:
                    return True  # it could not be begun: the end will write it whole
                connection.execute(
                    "INSERT INTO piece (exchange, written, text) VALUES (?, ?, ?)",
                    (row, stamp(), text),
                )
        except StorageError:
            return False  # it is tried again with the next one, and the end says it
        return True

    def _write_end(self, connection: sqlite3.Connection, end: "_End") -> None:
        self._write_path(connection, end.talk)
        exchange = end.talk.exchanges[-1]
        row = self._rows[exchange.id]
        self._write_time(connection, exchange)
        if end.spent:
            connection.execute(_NOT_KILLED, (row, end.begun))
        for completion in end.spent:
            write_completion(connection, row, exchange, completion, self.persona)
        remove_reservations(connection, end.reserved)
        if end.answered and exchange.reply is not None:
            if not may_become(connection, row, exchange.reply.content):
                # Another program has gone on with the same reply: that one stays as it is.
                row = self._write_exchange(connection, end.talk.parent, exchange)
                self._rows[exchange.id] = row
            write_reply(connection, row, exchange.reply.content)
            connection.execute(
                "UPDATE exchange SET finish_reason = ?, provider = ?, model = ? WHERE id = ?",
                (encodable(exchange.finish_reason), exchange.provider, exchange.model, row),
            )
            write_usage(connection, row, exchange.usage)
        connection.execute("UPDATE exchange SET ended = ? WHERE id = ?", (stamp(), row))

    def _write_state(
        self,
        connection: sqlite3.Connection,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        rows, note, head = self._rows, None, talk.head
        if self._vain is not None and self._vain[0] == head:
            head = self._vain[1]  # what was asked in vain comes back with the session
        if talk.note is not None and talk.exchanges[talk.note.end - 1].id in rows:
            untold = [rows[talk.exchanges[i].id] for i in sorted(talk.note.untold)]
            upto = rows[talk.exchanges[talk.note.end - 1].id]
            note = PlainNote(talk.note.text, talk.note.first, upto, untold)
        marks = Marks(
            [rows[i] for i in pins if i in rows], [rows[i] for i in drops if i in rows], note
        )
        now = {"head": rows.get(head), "opening": opening_of(talk), "marks": as_json(marks)}
        state = _state(talk, pins, drops)
        for column, value in now.items():  # another program may have changed the others
            if state[column] != self._kept.get(column, self):
                query = f"UPDATE session SET {column} = ? WHERE id = ?"  # noqa: S608 - ours
                connection.execute(query, (value, self.session))


@dataclass(frozen=True, slots=True)
class _End:
    """How the last exchange of a talk ended, what it used and had reserved, and when it began."""

    talk: Conversation
    answered: bool
    spent: list[Completion]
    reserved: list[int]
    begun: str


def _state(talk: Conversation, pins: Sequence[int], drops: Sequence[int]) -> dict[str, object]:
    """Give what is written of where a talk stands, by the column that has it."""
    return {
        "head": talk.head,
        "opening": (talk.system, talk.examples),
        "marks": (tuple(pins), tuple(drops), talk.note),
    }
