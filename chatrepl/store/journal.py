"""The journal of a reply: what has come of it is written down while it streams."""

import threading
from collections.abc import Callable
from functools import partial

EVERY = 0.5
"""Seconds between two writings: no more of a reply is lost to kill -9.

Unless another program holds the database all the while.
"""


class Journal:
    """Writes the pieces of a reply a few times a second, from a thread that ends with the reply.

    `failed` counts the writings in a row that did not succeed, up to the last one.
    """

    def __init__(self, write: Callable[[str], bool]) -> None:
        self.failed = 0
        self._write = write
        self._pieces: list[str] = []
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin with another reply."""
        self._pieces, self._ended, self._thread = [], threading.Event(), None

    def add(self, piece: str) -> None:
        """Take a piece."""
        self._pieces.append(piece)
        if self._thread is None:
            work = partial(self._work, self._pieces, self._ended)
            self._thread = threading.Thread(target=work, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Write no more of this reply: what is being written will be by the time this returns."""
        self._ended.set()
        with self._writing:
            pass

    def _work(self, pieces: list[str], ended: threading.Event) -> None:
        while not ended.is_set():
            with self._writing:
                count = len(pieces)
                if count and not ended.is_set():
                    if self._write("".join(pieces[:count])):
                        self.failed = 0
                        del pieces[:count]
                    else:
                        self.failed += 1
            ended.wait(EVERY)
