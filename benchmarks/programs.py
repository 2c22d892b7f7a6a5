"""Running a program in a pseudo-terminal of 80 by 24, and what it cost."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import sysconfig
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyte

LINES, COLUMNS = 24, 80
_PATIENCE = 120.0  # seconds that a program may take
_FLOORS = Path(__file__).parent / "floors"


def floor(name: str) -> list[str]:
    """Give the command that runs one of the floors."""
    return [sys.executable, str(_FLOORS / f"{name}.py")]


def chatrepl() -> list[str]:
    """Give the command that this interpreter's installation has put there, as users run it."""
    script = Path(sysconfig.get_path("scripts"), "chatrepl")
    return [str(script)] if script.exists() else [sys.executable, "-m", "chatrepl"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: CPU (user and system) in seconds, peak memory and output in bytes."""

    cpu: float
    memory: int
    output: int


class Program:
    """A program in a pseudo-terminal, whose every byte is read at once.

    `hear` is called with the time and the bytes of each read. With `piped` its standard input is
    at its end, as in a script; its output still goes to the terminal. As terminals do it answers
    where the cursor is, and that it knows synchronised output.
    """

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        *,
        piped: bool = False,
        hear: Callable[[float, bytes], object] = lambda _time, _data: None,
    ) -> None:
        self._hear = hear
        self._output = 0
        self._last = b""
        self._row = 1
        self._over = False
        self._cost: Cost | None = None
        self.begun = time.monotonic()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            _become(command, environment, piped=piped)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it as a closed terminal does, if it has not ended."""
        if self._cost is None:
            os.kill(self._pid, signal.SIGHUP)
            self._end(5)

    def type(self, text: str) -> float:
        """Type something, and give the time before it was there to be read."""
        now = time.monotonic()
        os.write(self._terminal, text.encode())
        return now

    def read(self, timeout: float, *others: int) -> None:
        """Wait until it writes something, or one of the other files can be read."""
        files = [*others, *([] if self._over else [self._terminal])]
        if self._terminal not in select.select(files, [], [], max(0.0, timeout))[0]:
            return
        try:
            data = os.read(self._terminal, 65_536)
        except OSError:  # Linux: nobody has the other side any more
            data = b""
        self._over = not data
        self._output += len(data)
        self._last = (self._last + data)[-1_000:]
        self._answer(data)
        self._hear(time.monotonic(), data)

    def read_until(self, seen: Callable[[], object], what: str, *others: int) -> None:
        """Read until something is so. Raises TimeoutError, or EOFError if the program ends."""
        end = time.monotonic() + _PATIENCE
        while not seen():
            if self._over:
                raise EOFError(f"the program has ended before {what}")
            if time.monotonic() > end:
                raise TimeoutError(f"never came: {what}")
            self.read(1, *others)

    def read_for(self, seconds: float) -> None:
        """Read for a while."""
        end = time.monotonic() + seconds
        while not self._over and (left := end - time.monotonic()) > 0:
            self.read(left)

    def wait(self) -> Cost:
        """Read to the end, and give what it cost. Raises RuntimeError if it failed."""
        cost, status = self._end(_PATIENCE)
        if status:
            last = self._last.decode(errors="replace")
            raise RuntimeError(f"the program ended with {status}, and this: {last}")
        return cost

    def _end(self, patience: float) -> tuple[Cost, int]:
        end = time.monotonic() + patience
        while not self._over:
            if time.monotonic() > end:
                os.kill(self._pid, signal.SIGKILL)
            self.read(1)
        _, status, usage = os.wait4(self._pid, 0)
        os.close(self._terminal)
        unit = 1 if sys.platform == "darwin" else 1_024
        cpu = usage.ru_utime + usage.ru_stime
        self._cost = Cost(cpu, usage.ru_maxrss * unit, self._output)
        return self._cost, os.waitstatus_to_exitcode(status)

    def _answer(self, data: bytes) -> None:
        self._row = min(LINES, self._row + data.count(b"\n"))
        for question in re.findall(rb"\x1b\[(?:6n|c|\?2026\$p)", data):
            answers = {b"\x1b[6n": f"\x1b[{self._row};1R", b"\x1b[c": "\x1b[?62;22c"}
            self.type(answers.get(question, "\x1b[?2026;2$y"))


def _become(command: list[str], environment: Mapping[str, str], *, piped: bool) -> None:
    """Turn the forked child into the program."""
    try:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
        if piped:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(environment["HOME"])
        os.execve(command[0], command, dict(environment))  # noqa: S606 - our own commands
    finally:
        os._exit(127)


class Seen:
    """What a person would see on the terminal; its `feed` is what a program's `hear` may be."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.changed = 0.0  # when the last bytes came

    def feed(self, now: float, data: bytes) -> None:
        """Take in what came."""
        self.changed = now
        self._stream.feed(re.sub(rb"\x1b\[\?[\d;]*\$[a-z]", b"", data))  # pyte would show it

    @property
    def typed(self) -> str | None:
        """What stands after the prompt at which the cursor is; None without one."""
        line = str(self._screen.display[self._screen.cursor.y])
        return line[1:].strip() if line.startswith(">") else None
