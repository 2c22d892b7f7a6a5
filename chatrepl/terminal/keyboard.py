"""The keyboard between two prompts: nothing is echoed, and nothing typed is lost."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chatrepl.posix import Modes, has_come, keyboard_modes, set_keyboard_modes, silent

PASTE, PASTED = "\x1b[200~", "\x1b[201~"
"""What a terminal sends around a text that is pasted."""


class Keyboard:
    """The terminal's keyboard, held from the first prompt to the last.

    What is typed while it is held stays off the screen, as it was typed, for the next prompt:
    Enter is Enter there, and not a line end; Ctrl-Z waits too, else the shell would run what was
    typed ahead. Ctrl-C is a signal as ever. Where standard input is no terminal, or has no such
    modes, nothing is held.
    """

    def __init__(self) -> None:
        self._before: Modes | None = None
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
        before = None if self.is_held else keyboard_modes()
        if before is None:
            yield
            return
        self._before = before
        try:
            set_keyboard_modes(silent(before))
            yield
        finally:
            self._before = None
            set_keyboard_modes(before)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Give it to another program, or to a question, as it was before it was held."""
        before = self._before
        if before is None:
            yield
            return
        self._kept = self.typed()  # it was not typed for what comes now
        try:
            set_keyboard_modes(before)
            self._before = None
            yield
        finally:
            self._before = before
            set_keyboard_modes(silent(before))

    def typed(self) -> str:
        """Take what has been typed since the last time, without waiting for more."""
        kept, self._kept = self._kept, ""
        data = b""
        keys = sys.stdin.fileno()
        while self.is_held and has_come(keys) and (more := os.read(keys, 4096)):
            data += more
        return kept + self._decoder.decode(data)


def as_text(keys: str) -> str:
    r"""Give what was typed as the text that it means: Enter and a pasted line end are line ends.

    >>> as_text("one\r\x1b[200~two\r\nthree\x1b[201~")
    'one\ntwo\nthree'
    """
    for mark in (PASTE, PASTED):
        keys = keys.replace(mark, "")
    return keys.replace("\r\n", "\n").replace("\r", "\n")
