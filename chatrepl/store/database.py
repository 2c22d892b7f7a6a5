"""The file that sessions are kept in: opened with care, and never destroyed."""

import os
import shlex
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from chatrepl.errors import StorageError
from chatrepl.posix import keep_to_owner
from chatrepl.store.migrations import format_of, migrate

_PATIENCE = 3.0  # seconds that another program may hold the database for
_SLEEP, _LEAST_SLEEP = 0.01, 0.001  # seconds between two looks: at first, and from the first second


class Database:
    """A SQLite file that several programs may use at once; opened when it is first needed.

    A damaged one is set aside under another name, which `say` is told, and a new one begun;
    `renewed` counts how often that was.
    """

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self.file = file
        self._say = say
        self.renewed = 0
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._lock = threading.RLock()  # the journal is written beside the chat

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection. Raises StorageError."""
        with self._lock, self._told():
            yield self._open()

    @contextmanager
    def writing(
        self, patience: float = _PATIENCE, give_up: Callable[[], object] = bool
    ) -> Iterator[sqlite3.Connection]:
        """Give the connection in a transaction: all that is done with it is kept, or nothing.

        Waits for another program, up to `patience` seconds or until `give_up` is true. Raises
        StorageError.
        """
        with self._lock, self._told():
            self._leave_if_replaced()
            connection = self._open()
            try:
                _patiently(lambda: connection.execute("BEGIN IMMEDIATE"), patience, give_up)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _leave_if_replaced(self) -> None:
        """Close a file that has been removed or renamed: what is written into it is lost."""
        if self._connection is None:
            return
        with suppress(OSError):
            if self.file.stat().st_ino == self._inode:
                return
        self.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        _make_private(self.file)
        self._inode = self.file.stat().st_ino
        connection = sqlite3.connect(
            self.file,
            timeout=0,  # C code would wait: Ctrl-C is not heard meanwhile
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            _patiently(lambda: format_of(connection, self.file), _PATIENCE)
            for pragma in ("synchronous = FULL", "secure_delete = ON", "journal_mode = WAL"):
                _patiently(partial(connection.execute, f"PRAGMA {pragma}"), _PATIENCE)
            _patiently(lambda: migrate(connection, self.file), _PATIENCE)
        except BaseException as error:
            if _is_damage(error):
                self._set_aside()
            connection.close()  # after that: it would delete the journal
            raise
        return connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            if _is_damage(error) and self._connection is not None:
                with suppress(OSError):
                    self._set_aside()
                self.close()
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise StorageError(f"The session database {self.file}: {why}.") from error

    def _set_aside(self) -> None:
        """Rename a damaged database with all that belongs to it, unless another has done it."""
        if self.file.stat().st_ino != self._inode:
            return
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside = self.file.with_name(f"{self.file.stem}.damaged-{stamp}-{os.getpid()}.db")
        for end in ("-wal", "-shm", ""):
            part = self.file.with_name(self.file.name + end)
            if part.exists():
                part.rename(aside.with_name(aside.name + end))
        self.renewed += 1
        self._say(
            f"The session database was damaged. It is kept as {aside}; a new one is begun. To save "
            f"what is in it: sqlite3 {shlex.quote(str(aside))} .recover | sqlite3 saved.db"
        )


def _patiently(
    act: Callable[[], object], patience: float, give_up: Callable[[], object] = bool
) -> None:
    """Try again for a while when another program has locked the database.

    Whoever has just written may write again before one who sleeps has looked: the longer
    somebody has waited, the shorter the sleeps, so that of several programs none waits for ever.
    """
    begin = time.monotonic()
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            waited = time.monotonic() - begin
            if not locked or waited > patience or give_up():
                raise
            time.sleep(max(_LEAST_SLEEP, _SLEEP * (1 - waited)))
        else:
            return


def _is_damage(error: BaseException) -> bool:
    """Tell whether a file is no sound database; of a broken table even the message is no text."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    damage = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return code in damage or isinstance(error, UnicodeDecodeError)


def _make_private(file: Path) -> None:
    """Make a file and its folder that only the owner can read, or make them so."""
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    for path, mode in ((folder, 0o700), (file, 0o600)):
        keep_to_owner(path, mode)
