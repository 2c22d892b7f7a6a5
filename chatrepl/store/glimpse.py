"""A look at the newest sessions that changes nothing: for the Tab of a shell."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 0.2  # seconds; somebody has pressed Tab


class Glimpse(NamedTuple):
    """A session as it is told in a line; what it had as provider and model may be empty."""

    id: str
    title: str
    provider: str
    model: str


def newest(file: Path, limit: int = 50) -> list[Glimpse]:
    """Give the newest sessions of a database; none if it can't be read.

    A `Database` would mend or renew the file where that has to be done, and say so.
    """
    query = """
        SELECT id, title, coalesce(provider, ''), coalesce(model, '')
        FROM session ORDER BY updated DESC, rowid DESC LIMIT ?
    """
    try:
        where = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(where, uri=True, timeout=_PATIENCE)) as connection:
            return [Glimpse(*row) for row in connection.execute(query, (limit,))]
    except sqlite3.Error:
        return []
