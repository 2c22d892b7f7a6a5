"""Ledger: what completions cost, added up from the database."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import add

from chatrepl.chat.bill import Bar, Bill, By, Row
from chatrepl.chat.costs import Total
from chatrepl.chat.usage import Usage
from chatrepl.store.database import Database
from chatrepl.store.rows import COST_SUMS, midnight, summed

_LONG_AGO = date(1970, 1, 1)  # when nobody kept a ledger
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_NONE, _UNPRICED = (0,) * 9, 7

_SUMS = f"""
    count(*), {", ".join(f"sum(completion.{name})" for name in _COUNTS)},
    {COST_SUMS}, sum(cost IS NULL), sum(estimated)
"""

_NAMES: Mapping[By, str] = {
    "day": "NULL",
    "model": "completion.provider, completion.model",
    "session": "exchange.session",
    "persona": "nullif(persona, '')",
}

_Names = tuple[str | None, ...]
_Counts = tuple[int, ...]


class Ledger:
    """The completions of a database. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def bill(self, by: By, since: date | None, today: date, until: date | None = None) -> Bill:
        """Draw up a bill of all that ended from `since` to `until`, by the user's local days.

        Days are in their order; all else has what cost most first. What is reserved for requests
        under way is not in it.
        """
        days: dict[date, _Counts] = {}
        rows: dict[_Names, _Counts] = {}
        titles: dict[str | None, str] = {}
        unpriced: tuple[tuple[str, str], ...] = ()
        if self.database.file.exists():
            with self.database.reading() as connection:
                for day, names, counts in _cells(connection, by, since, until):
                    days[day] = _plus(days[day], counts) if day in days else counts
                    rows[names] = _plus(rows[names], counts) if names in rows else counts
                if by == "session":
                    titles = dict(connection.execute("SELECT id, title FROM session"))
                if any(counts[_UNPRICED] for counts in days.values()):
                    unpriced = _unpriced(connection, since, until)
        if by == "day":
            rows = {(str(day),): counts for day, counts in sorted(days.items())}
        elif by == "session":
            rows = {(name, titles.get(name)): counts for (name,), counts in rows.items()}
        billed = [Row(names, _total(counts)) for names, counts in rows.items()]
        if by != "day":
            billed.sort(key=_dearest_first)
        total = _total(_plus(_NONE, *days.values()))
        timeline = _timeline(days, since, min(today, until or today))
        start, end = (None if day is None else str(day) for day in (since, until))
        return Bill(by, start, tuple(billed), timeline, total, unpriced, end)


def _cells(
    connection: sqlite3.Connection, by: By, since: date | None, until: date | None
) -> Iterator[tuple[date, _Names, _Counts]]:
    """Give the sums of each day by names, in one pass: a day at a time, by the index of times.

    A day begins at local midnight, so one on which clocks are changed has 23 or 25 hours. Days
    without completions are skipped.
    """
    columns = _NAMES[by]
    session = "LEFT JOIN exchange ON exchange.id = exchange" if by == "session" else ""
    query = f"""
        SELECT {columns}, {_SUMS} FROM completion {session}
        WHERE completion.ended >= ? AND completion.ended < ? GROUP BY {columns}
    """  # noqa: S608 - nothing of it is from outside
    start = midnight(since) if since else ""
    while True:
        first = _first(connection, start)
        if first is None or first >= _after(until):
            return
        day, end = _day_of(first)
        if since is None or day >= since:  # what is no time may come after all that are
            for row in connection.execute(query, (first, end)):
                yield day, row[: -len(_NONE)], row[-len(_NONE) :]
        start = end


def _first(connection: sqlite3.Connection, start: str) -> str | None:
    query = "SELECT min(ended) FROM completion WHERE ended >= ?"
    found: str | None = connection.execute(query, (start,)).fetchone()[0]
    return found


def _day_of(ended: str) -> tuple[date, str]:
    """Give the local day of a time, and the time when the next one begins.

    What is no time, which we have not written, is long ago, and the next one follows at once, as
    at the end of the calendar.
    """
    try:
        when = datetime.fromisoformat(ended)
    except ValueError:
        return _LONG_AGO, ended + " "
    day, end = when.date(), ""
    with suppress(ValueError, OverflowError, OSError):  # at the ends of the calendar
        day = when.astimezone().date()
        end = midnight(day + timedelta(days=1))
    return max(day, _LONG_AGO), end if end > ended else ended + " "


def _after(until: date | None) -> str:
    """Give the time when a day is over; of none, what comes after all times."""
    return "~" if until is None else midnight(until + timedelta(days=1))


def _unpriced(
    connection: sqlite3.Connection, since: date | None, until: date | None
) -> tuple[tuple[str, str], ...]:
    query = """
        SELECT provider, model FROM completion WHERE cost IS NULL AND ended >= ? AND ended < ?
        GROUP BY provider, model ORDER BY count(*) DESC, provider, model
    """
    return tuple(connection.execute(query, (midnight(since) if since else "", _after(until))))


def _plus(*counts: _Counts) -> _Counts:
    total = _NONE
    for each in counts:
        total = tuple(map(add, total, each))
    return total


def _total(counts: _Counts) -> Total:
    requests, prompt, completion, cached, reasoning, parts, rest, unpriced, estimated = counts
    usage = Usage(prompt, completion, cached, reasoning)
    return Total(requests, usage, summed(parts, rest), unpriced, estimated)


def _dearest_first(row: Row) -> tuple[Decimal, int, Sequence[str]]:
    return -row.total.cost, -row.total.completions, [name or "" for name in row.names]


def _timeline(days: Mapping[date, _Counts], since: date | None, today: date) -> tuple[Bar, ...]:
    """Give every day from the first to today.

    Where a clock was ahead, there is tomorrow too, and with it in a bar whatever is later.
    """
    if not days:
        return ()
    first, latest = max(since or min(days), _LONG_AGO), max(today, *days)
    last = min(latest, max(first, today + timedelta(days=1)))
    nothing = Total()
    every = (first + timedelta(days=number) for number in range((last - first).days))
    bars = [Bar(str(day), str(day), _total(days[day]) if day in days else nothing) for day in every]
    rest = _plus(_NONE, *(counts for day, counts in days.items() if day >= last))
    return (*bars, Bar(str(last), str(latest), _total(rest)))
