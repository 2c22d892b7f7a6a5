"""The program in tmux: a terminal that folds its lines anew when its size changes."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from tests.support.program import COMMAND, been_here, environment

_SETTINGS = """
set -g history-limit 20000
set -g status off
set -g default-terminal tmux-256color
"""


class Tmux:
    """A tmux of its own, with the program in its only window."""

    def __init__(self, *arguments: str, home: Path, columns: int = 80, lines: int = 24) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        been_here(home)
        self._folder = tempfile.TemporaryDirectory()  # a socket's path must be short
        settings = Path(self._folder.name) / "tmux.conf"
        settings.write_text(_SETTINGS)
        self._environment = environment(home, {"TMUX_TMPDIR": self._folder.name})
        size = ("-x", str(columns), "-y", str(lines))
        # The screen is full, as it mostly is: of one that is not, tmux pushes the first lines off
        # when those below take more room, and what has been pushed off can't be drawn again.
        command = f"seq {2 * lines}; exec " + shlex.join([*COMMAND, *arguments])
        self._tmux("-f", str(settings), "new-session", "-d", *size, command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")
        self._folder.cleanup()

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def say(self, text: str) -> None:
        """Type a line and send it."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size, and wait until the program can know it."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))
        end = time.monotonic() + 20
        with Path(self._tmux("display-message", "-p", "#{pane_tty}").strip()).open() as terminal:
            while os.get_terminal_size(terminal.fileno()) != (columns, lines):
                assert time.monotonic() < end, "tmux does not resize its window"
                time.sleep(0.01)

    @property
    def screen(self) -> str:
        """What is on the screen now."""
        return self._tmux("capture-pane", "-p", "-J")

    @property
    def scrollback(self) -> str:
        """Everything since the start, with folded lines put together again."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-")

    def wait_until(self, seen: Callable[[], object], what: str, timeout: float = 20) -> None:
        """Wait until `seen` is true; fail with the screen if it never is."""
        end = time.monotonic() + timeout
        while not seen():
            assert time.monotonic() < end, f"never saw {what} in:\n{self.scrollback}"
            time.sleep(0.02)
