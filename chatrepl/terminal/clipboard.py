"""Copying: by the terminal (OSC 52), which works over SSH too, and into the system's clipboard.

This file is also a program of its own: pyperclip calls others (xclip, wl-copy, pbcopy…), which
may hang, or write on the terminal. So it runs in a process that can be ended and heard nothing of.
"""

import base64
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LONGEST = 74_994
"""Bytes of text that OSC 52 may carry: hterm takes sequences of up to 100,000, others more."""

_PATIENCE = 3.0
"""Seconds that a program may take to take a text."""


def osc52(text: str, *, in_tmux: bool = False) -> str:
    r"""Give the sequence that has the terminal take a text into its clipboard.

    tmux takes it where its set-clipboard is on, and hands it on inside a sequence of its own where
    allow-passthrough is: there both are given. By default it does neither, see `copy_to_tmux`.

    >>> osc52("hi")
    '\x1b]52;c;aGk=\x07'
    """
    data = base64.b64encode(text.encode(errors="replace")).decode()
    plain = f"\x1b]52;c;{data}\x07"
    return plain + f"\x1bPtmux;\x1b{plain}\x1b\\" if in_tmux else plain


def fits_osc52(text: str) -> bool:
    """Whether a text is short enough for terminals to take it."""
    return len(text.encode(errors="replace")) <= LONGEST


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether the user is at another machine, whose clipboard only their terminal can reach."""
    return any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def copy_to_tmux(text: str) -> bool:
    """Put a text into a buffer of the tmux that this runs in, and its terminal's clipboard.

    tmux does both from 3.2 on. False if it does not.
    """
    return _is_taken(text, ["tmux", "load-buffer", "-w", "-"])


def copy_to_system(text: str, *, patience: float = _PATIENCE) -> bool:
    """Put a text into the clipboard of this machine; False if there is none that takes it."""
    return _is_taken(text, [sys.executable, "-P", str(Path(__file__))], patience)


def _is_taken(text: str, command: list[str], patience: float = _PATIENCE) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - this very file, or tmux
            command,
            input=text.encode(errors="replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _main() -> int:
    """Copy standard input. Not every program tells that it failed: what was copied is read back."""
    import pyperclip  # noqa: PLC0415 - in this process only

    text = sys.stdin.buffer.read().decode()
    pyperclip.copy(text)
    return int(pyperclip.paste().splitlines() != text.splitlines())


if __name__ == "__main__":
    sys.exit(_main())
