"""CountsRecorder: of a chat that is not saved, what it used, so that a budget holds."""

import sqlite3
from collections.abc import Callable, Sequence

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.ports import NoRecorder
from chatrepl.errors import StorageError
from chatrepl.store.budgets import Budgets, remove_reservations
from chatrepl.store.database import Database
from chatrepl.store.rows import write_completion
from chatrepl.undisturbed import undisturbed


class CountsRecorder(NoRecorder):
    """Keeps the time, the model, the tokens and the cost of each completion, and no word.

    What can't be written is tried again with the next one, and `say` is told once.
    """

    def __init__(
        self, database: Database, say: Callable[[str], None], budgets: Budgets, persona: str = ""
    ) -> None:
        self.persona = persona
        self._database = database
        self._say = say
        self._budgets = budgets
        self._exchange = Exchange(())
        self._spent: list[tuple[Exchange, Completion]] = []  # not written yet
        self._reserved: list[int] = []  # for these
        self._failed = False

    def begin(self, talk: Conversation) -> None:
        """Note who answers."""
        self._exchange = talk.exchanges[-1]

    def spent(self, completion: Completion) -> None:
        """Take what a completion used."""
        self._spent.append((self._exchange, completion))

    def end(
        self,
        exchange: Exchange | None,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        """Write what the turn used."""
        with undisturbed():
            self._reserved += self._budgets.take_over()
            self.close()

    def close(self) -> None:
        """Write what is not written yet."""
        if not self._spent and not self._reserved:
            return
        with undisturbed() as signals:
            try:
                with self._database.writing(give_up=lambda: signals) as connection:
                    self._write(connection)
            except StorageError as error:
                if not self._failed:
                    self._failed = True
                    self._say(f"What this used is not counted in the budget yet. {error.text}")
                return
            self._spent, self._reserved, self._failed = [], [], False

    def _write(self, connection: sqlite3.Connection) -> None:
        for exchange, completion in self._spent:
            write_completion(connection, None, exchange, completion, self.persona)
        remove_reservations(connection, self._reserved)
