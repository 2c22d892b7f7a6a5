"""What is spent of a budget, which all programs with one database share."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from chatrepl.chat.budgets import Amounts, Cap, Period, Standing, check
from chatrepl.chat.costs import units
from chatrepl.errors import StorageError
from chatrepl.store.database import Database
from chatrepl.store.rows import COST_SUMS, midnight, stamp, summed
from chatrepl.undisturbed import undisturbed

LEFT_BEHIND = timedelta(hours=1)
"""How long a reservation counts, since its program may have been killed.

So that of a turn which takes longer, as where the computer sleeps meanwhile, counts no more until
the turn has ended: others may then reserve what it is still using.
"""

_LOST = "The session database was damaged: what was spent before is not known."

_SUMS = f"""
    SELECT coalesce(sum(prompt_tokens + completion_tokens), 0), {COST_SUMS}
    FROM completion
"""  # noqa: S608 - nothing of it is from outside
_RESERVED = f"""
    SELECT coalesce(sum(tokens), 0), {COST_SUMS} FROM reservation WHERE made >= ?
"""  # noqa: S608


class Budgets:
    """Reserves what a request may take, against caps, in the database where completions are.

    What is reserved is `held` by this program until who writes the completion takes it over and
    removes it in the same transaction, or it is released. `now` tells the time.
    """

    def __init__(
        self,
        database: Database,
        caps: Sequence[Cap],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.caps = tuple(caps)
        self._database = database
        self._now = now
        self._held: list[int] = []
        self._renewed = 0  # how often the user has been told that the bills are lost
        self._unsaved = f"unsaved {secrets.token_hex(8)}"  # a session that has no id, or none yet

    def reserve(
        self, most: Amounts, session: str | None, so_far: Amounts, *, anyway: bool = False
    ) -> Sequence[Standing]:
        """Reserve what a request may take at most, and give how the caps stood before.

        Raises BudgetError if it would pass a cap, unless it is to be sent `anyway`, and
        StorageError if that can't be found out, or once after the bills were lost with a damaged
        database; then nothing is reserved.
        """
        number = secrets.randbits(62)  # the id of a row that is gone may be used again
        with undisturbed() as signals, self._checking():
            with self._database.writing(give_up=lambda: signals) as connection:
                if self._lost():
                    raise StorageError(_LOST)
                left = (stamp(self._now() - LEFT_BEHIND),)
                connection.execute("DELETE FROM reservation WHERE made < ?", left)
                standings = self._standings(connection, session, so_far)
                if not anyway:
                    check(standings, most)
                connection.execute(
                    "INSERT INTO reservation (id, made, session, tokens, cost) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (
                        number,
                        stamp(self._now()),
                        session or self._unsaved,
                        most.tokens,
                        units(most.cost),
                    ),
                )
            self._held.append(number)
        return standings

    def standings(self, session: str | None, so_far: Amounts) -> Sequence[Standing]:
        """Give how the caps stand. Raises StorageError."""
        with self._database.reading() as connection:
            return self._standings(connection, session, so_far)

    def take_over(self) -> list[int]:
        """Give what is reserved to who will remove it with the completion that it was for."""
        held, self._held = self._held, []
        return held

    def release(self) -> None:
        """Remove what is still reserved; what can't be removed goes when it is too old."""
        if not self._held:
            return
        with undisturbed(), suppress(StorageError):
            held = self.take_over()
            with self._database.writing() as connection:
                remove_reservations(connection, held)

    def _standings(
        self, connection: sqlite3.Connection, session: str | None, so_far: Amounts
    ) -> list[Standing]:
        found = []
        for cap in self.caps:
            spent, begun = so_far, self._begun(cap.period)
            if begun:
                spent = _sum(connection, _SUMS + "WHERE ended >= ?", begun)
            elif session is not None:
                of_session = "WHERE exchange IN (SELECT id FROM exchange WHERE session = ?)"
                spent = _sum(connection, _SUMS + of_session, session)
            reserved = self._reserved(connection, cap.period, session)
            found.append(Standing(cap, cap.of(spent), cap.of(reserved), begun))
        return found

    def _reserved(
        self, connection: sqlite3.Connection, period: Period, session: str | None
    ) -> Amounts:
        since = stamp(self._now() - LEFT_BEHIND)
        if period == "session":
            ours = " AND session IN (?, ?)"
            return _sum(connection, _RESERVED + ours, since, session, self._unsaved)
        return _sum(connection, _RESERVED, since)

    def _begun(self, period: Period) -> str:
        """Give when the day or the month began, by the local calendar; "" for a session."""
        today = self._now().astimezone().date()
        first = {"day": today, "month": today.replace(day=1)}.get(period)
        return midnight(first) if first else ""

    def _lost(self) -> bool:
        """Tell, once, that the bills of this day or month are in a database that was set aside."""
        known, self._renewed = self._renewed, self._database.renewed
        return known < self._renewed and any(cap.period != "session" for cap in self.caps)

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Say of a database that can't be used that the budget is why nothing was sent."""
        try:
            yield
        except StorageError as error:
            text = f"The budget can't be checked, so nothing was sent. {error.text}"
            hint = error.hint or "Mend that; or take the budget out of the config file to go on."
            if error.text == _LOST or self._lost():
                hint = "The next request counts from zero."
            raise StorageError(text, hint) from error


def remove_reservations(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove what was reserved, in a transaction that writes what came of it."""
    for number in numbers:
        connection.execute("DELETE FROM reservation WHERE id = ?", (number,))


def _sum(connection: sqlite3.Connection, query: str, *values: object) -> Amounts:
    tokens, *parts = connection.execute(query, values).fetchone()
    return Amounts(tokens, summed(*parts))
