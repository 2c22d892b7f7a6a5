"""What only POSIX systems have, and what stands in its place on Windows.

Nothing outside of this module asks on which system it runs, or uses what only some have: a test
reads the sources (tests/test_rooms.py).
"""

import os
import select
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import termios
except ImportError:  # Windows, whose console echoes nothing that is not read
    termios = None  # type: ignore[assignment]

IS_POSIX = os.name == "posix"

LOGIN_SHELLS = sys.platform == "darwin"
"""Whether a terminal's shell is a login shell, so that bash reads no .bashrc by itself."""

HUNG_UP: int | None = getattr(signal, "SIGHUP", None)
"""The signal that the terminal was closed, where there is one."""

ENDING = tuple(n for n in (signal.SIGINT, signal.SIGTERM, HUNG_UP) if n is not None)
"""The signals that ask a program to end."""

APART: Mapping[str, Any] = {"start_new_session": True} if IS_POSIX else {"creationflags": 0x200}
"""How a child process is started that Ctrl-C in the terminal is not for (subprocess.Popen).

On Windows it is CREATE_NEW_PROCESS_GROUP, of which subprocess has a name only there.
"""

Modes = list[Any]
"""How a terminal reads the keyboard, as termios has it."""


def keyboard_modes() -> Modes | None:
    """Give how standard input reads; None where it is no terminal, or has no such modes."""
    if termios is None or not sys.stdin.isatty():
        return None
    modes: Modes = termios.tcgetattr(sys.stdin)
    return modes


def set_keyboard_modes(modes: Modes) -> None:
    """Have standard input read so from now on; a terminal that is gone does nothing."""
    with suppress(termios.error):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)


def silent(modes: Modes) -> Modes:
    """Give modes in which nothing is echoed and every key is kept as it was typed."""
    changed = [*modes[:6], list(modes[6])]
    changed[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
    # Not line by line either: Ctrl-D would be taken for the end of the input.
    changed[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON)
    changed[3] |= termios.NOFLSH  # Ctrl-C takes nothing away of what was typed before it
    changed[6][termios.VSUSP] = b"\0"
    return changed


def has_come(file: int | IO[str]) -> bool:
    """Whether something can be read, or the end of it; True where nobody can tell."""
    try:
        return bool(select.select([file], [], [], 0)[0])
    except (OSError, ValueError):  # Windows asks sockets only
        return True


def others_may_read(file: Path) -> bool:
    """Whether other users may; False where permissions are none of the file's mode."""
    with suppress(OSError):
        return IS_POSIX and bool(file.stat().st_mode & 0o077)
    return False


def keep_to_owner(path: Path, mode: int) -> None:
    """Take away what others may do with a file or folder. Raises OSError."""
    if others_may_read(path):
        path.chmod(mode)


def limit(memory: int, seconds: int) -> None:
    """Let this process have so many bytes of memory and seconds of a processor, and be ended then.

    Where the system has no such bounds it has none: Windows, and for memory macOS.
    """
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - no start needs it

        for what, most in [(resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)]:
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))
