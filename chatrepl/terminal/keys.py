"""The keys of the prompt, and the keyboard while a reply streams."""

import codecs
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prompt_toolkit.filters import is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

HELP = (
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Up, Down", "go through the history; Ctrl-R searches it"),
    ("Tab", "complete a command"),
    ("Ctrl-C", "clear the line; stop a reply and keep what came"),
    ("Ctrl-D, Ctrl-Z", "leave, suspend"),
)


def bindings() -> KeyBindings:
    """Enter sends; Alt-Enter and Ctrl-J make a new line. A pasted line end is just that."""
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j", filter=~is_searching)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


Typed = Callable[[], str]
"""Takes what has been typed since the last time, without waiting for more."""


@contextmanager
def unechoed() -> Iterator[Typed | None]:
    """Keep what is typed meanwhile off the screen, as it was typed, for the next prompt.

    Not line by line either: Ctrl-D would be taken for the end of the input. Gives a way to take
    it before the prompt does; None where there is no such keyboard.
    """
    try:
        import termios  # noqa: PLC0415 - POSIX has it
    except ImportError:
        yield None
        return
    if not sys.stdin.isatty():
        yield None
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = before[:]
    silent[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON)
    silent[3] |= termios.NOFLSH  # Ctrl-C takes nothing away of what was typed before it
    # Ctrl-Z waits for the prompt: else the shell would run what was typed ahead.
    silent[6] = list(before[6])
    silent[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def typed() -> str:
        data = b""
        while select.select([terminal], [], [], 0)[0] and (more := os.read(terminal, 4096)):
            data += more
        return decoder.decode(data)

    try:
        yield typed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
