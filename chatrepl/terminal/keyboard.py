"""The keyboard between two prompts: nothing is echoed, and nothing typed is lost."""

import codecs
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

try:
    import termios
except ImportError:  # Windows, whose console echoes nothing that is not read
    termios = None  # type: ignore[assignment]


class Keyboard:
    """The terminal's keyboard, held from the first prompt to the last.

    What is typed while it is held stays off the screen, as it was typed, for the next prompt:
    Enter is Enter there, and not a line end; Ctrl-Z waits too, else the shell would run what was
    typed ahead. Ctrl-C is a signal as ever. Where standard input is no terminal, or has no such
    modes, nothing is held.
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None
        self._kept = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def is_held(self) -> bool:
        """Whether `typed` gives what is typed."""
        return self._before is not None

    @property
    def has_kept(self) -> bool:
        """Whether something was typed before it was released: only `typed` gives that."""
        return bool(self._kept)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it."""
        if termios is None or not sys.stdin.isatty() or self.is_held:
            yield
            return
        self._before = termios.tcgetattr(sys.stdin)
        try:
            self._set(_silent(self._before))
            yield
        finally:
            before, self._before = self._before, None
            self._set(before)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Give it to another program, or to a question, as it was before it was held."""
        before = self._before
        if before is None:
            yield
            return
        self._kept = self.typed()  # it was not typed for what comes now
        try:
            self._set(before)
            self._before = None
            yield
        finally:
            self._before = before
            self._set(_silent(before))

    def typed(self) -> str:
        """Take what has been typed since the last time, without waiting for more."""
        kept, self._kept = self._kept, ""
        data = b""
        keys = sys.stdin.fileno()
        while (
            self.is_held and select.select([keys], [], [], 0)[0] and (more := os.read(keys, 4096))
        ):
            data += more
        return kept + self._decoder.decode(data)

    @staticmethod
    def _set(modes: list[Any]) -> None:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)


def _silent(modes: list[Any]) -> list[Any]:
    silent = [*modes[:6], list(modes[6])]
    silent[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
    # Not line by line either: Ctrl-D would be taken for the end of the input.
    silent[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON)
    silent[3] |= termios.NOFLSH  # Ctrl-C takes nothing away of what was typed before it
    silent[6][termios.VSUSP] = b"\0"
    return silent


def as_text(keys: str) -> str:
    r"""Give what was typed as the text that it means: Enter and a pasted line end are line ends.

    >>> as_text("one\r\x1b[200~two\r\nthree\x1b[201~")
    'one\ntwo\nthree'
    """
    for mark in ("\x1b[200~", "\x1b[201~"):
        keys = keys.replace(mark, "")
    return keys.replace("\r\n", "\n").replace("\r", "\n")
