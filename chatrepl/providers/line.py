"""The line to whoever is asked: who waits for an answer can end it from another thread."""

import time
from collections.abc import Callable
from contextvars import ContextVar

from chatrepl.errors import ConnectionFailedError


class Line:
    """What the one who waits and the thread that asks know of each other.

    `is_cut` says that nobody waits any more, `answering` that a server's answer has begun,
    `heard` when something of it came last, by the monotonic clock, be it only a comment that
    keeps the connection alive.
    """

    def __init__(self) -> None:
        self.is_cut = False
        self.answering = False
        self.heard = time.monotonic()
        self._ends: set[Callable[[], None]] = set()

    def on_cut(self, end: Callable[[], None]) -> None:
        """Have `end` called when the line is cut, from the thread that cuts it.

        Raises ConnectionFailedError if it has been cut already.
        """
        self._ends.add(end)
        self.check()

    def check(self) -> None:
        """Raise ConnectionFailedError if the line has been cut; nobody will see it."""
        if self.is_cut:
            raise ConnectionFailedError("Nobody waits for the answer any more.")

    def cut(self) -> None:
        """End what is asked, as soon as it can be ended; this does not wait for it."""
        self.is_cut = True
        for end in self._ends.copy():
            end()


current: ContextVar[Line | None] = ContextVar("line", default=None)
"""The line that this thread asks on, if somebody waits at its other end."""
