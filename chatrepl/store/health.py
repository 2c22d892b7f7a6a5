"""Looking whether the session database is sound, and changing nothing."""

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from chatrepl.errors import StorageError
from chatrepl.store.migrations import format_of

_ELSEWHERE = "Mend that, or set CHATREPL_HOME to another folder."


def examine(file: Path) -> int | None:
    """Read the whole of a session database; give how many sessions it holds, None without one.

    Unlike `Database` this makes no file, and sets none aside. Raises StorageError, with what to do
    as its hint.
    """
    try:
        if file.exists():
            return _read(file)
        folder = next(each for each in file.parents if each.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            text = f"The session database {file} can't be made: {folder} can't be written to."
            raise StorageError(text, _ELSEWHERE)
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise _told(file, error) from error
    return None


def _read(file: Path) -> int:
    if not os.access(file, os.R_OK | os.W_OK):
        text = f"The session database {file} can't be read and written."
        raise StorageError(text, f"chmod 600 {shlex.quote(str(file))}")
    # To read beside a journal takes files of its own, which such a reader leaves behind. Without
    # one nobody writes just now, and nothing needs to be made.
    journal = file.with_name(f"{file.name}-wal")
    mode = "mode=ro" if journal.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True)) as connection:
        version = format_of(connection, file)
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise sqlite3.DatabaseError(said)
        if not version:
            return 0
        return int(connection.execute("SELECT count(*) FROM session").fetchone()[0])


def _told(file: Path, error: Exception) -> StorageError:
    why = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError | sqlite3.OperationalError):
        return StorageError(f"The session database {file} can't be read: {why}.", _ELSEWHERE)
    place = shlex.quote(str(file))
    return StorageError(
        f"The session database {file} is damaged: {why}.",
        "The next chat sets it aside and begins a new one. To save what is in it: "
        f"sqlite3 {place} .recover | sqlite3 saved.db",
    )
