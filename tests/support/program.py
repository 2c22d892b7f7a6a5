"""Running the real program: in a pipe, and in a pseudo-terminal read back with pyte."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

import pexpect
import pyte

COMMAND = [sys.executable, "-m", "chatrepl"]

KEYS = {
    "enter": "\r",
    "alt-enter": "\x1b\r",
    "ctrl-c": "\x03",
    "ctrl-d": "\x04",
    "ctrl-j": "\n",
    "ctrl-r": "\x12",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "escape": "\x1b",
}


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: no keys, no settings but those below `home`.

    Every proxy variable points to a port where nobody listens, so that whatever tries to reach
    beyond loopback fails at once.
    """
    nobody = "http://127.0.0.1:9"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CHATREPL_HOME": str(home / "chatrepl"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "HTTP_PROXY": nobody,
        "HTTPS_PROXY": nobody,
        "ALL_PROXY": nobody,
        "http_proxy": nobody,
        "https_proxy": nobody,
        **(more or {}),
    }


def run(
    *arguments: str,
    home: Path,
    stdin: str | bytes | None = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run the program with pipes; `stdin` None leaves standard input at the end of file."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=data if data is not None else b"",
        capture_output=True,
        env=environment(home, env),
        timeout=timeout,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def been_here(home: Path) -> None:
    """Leave what a first run leaves: who has been here is not greeted again."""
    file = home / "chatrepl" / "data" / "history"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(0o600)


class Terminal:
    """The program in a pseudo-terminal, and the screen that a person would see.

    `first` says that it is somebody's who has never been here.
    """

    command: ClassVar[list[str]] = COMMAND

    def __init__(
        self,
        *arguments: str,
        home: Path,
        env: Mapping[str, str] | None = None,
        columns: int = 80,
        lines: int = 24,
        first: bool = False,
    ) -> None:
        if not first:
            been_here(home)
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.process: pexpect.spawn[bytes] = pexpect.spawn(
            self.command[0],
            [*self.command[1:], *arguments],
            env=environment(home, env),
            dimensions=(lines, columns),
            timeout=30,
        )
        self.process.delaybeforesend = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.close(force=True)
        except pexpect.ExceptionPexpect:  # it gives a killed process a tenth of a second to end
            assert self.process.pid is not None
            os.waitpid(self.process.pid, 0)

    def type(self, text: str) -> None:
        """Type as a person does; a long text needs `paste`."""
        self.process.send(text)

    def key(self, name: str) -> None:
        self.process.send(KEYS[name])

    def say(self, text: str) -> None:
        """Type a line and send it."""
        self.type(text)
        self.key("enter")

    def paste(self, text: str) -> None:
        """Paste as a terminal does, in brackets and with carriage returns."""
        self.process.send("\x1b[200~" + text.replace("\n", "\r") + "\x1b[201~")

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size; what is on the screen stays where it is."""
        self._screen.resize(lines, columns)
        self.process.setwinsize(lines, columns)

    def read(self, seconds: float = 0.1) -> None:
        """Take in what the program writes for a while, answering where the cursor is."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                data = self.process.read_nonblocking(65536, timeout=left)
            except pexpect.TIMEOUT:
                return
            except pexpect.EOF:
                time.sleep(left)
                return
            self.raw += data
            self._stream.feed(data)
            if b"\x1b[6n" in data:  # prompt_toolkit asks for the cursor's position
                cursor = self._screen.cursor
                self.process.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")

    @property
    def screen(self) -> str:
        """What is on the screen now."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def colour(self, text: str) -> str:
        """What colour a text has where it stands last on the screen, in pyte's words."""
        row = max(y for y, line in enumerate(self._screen.display) if text in line)
        line = self._screen.buffer[row]
        column = self._screen.display[row].rindex(text)
        return str(line[column].fg)

    @property
    def scrollback(self) -> str:
        """Everything since the start, scrolled off or not."""
        width = self._screen.columns
        gone = [
            "".join(line[x].data for x in range(width)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*gone, self.screen])

    def wait_until(self, seen: Callable[[], object], what: str, timeout: float = 20) -> None:
        """Read until `seen` is true of the screen; fail with the screen if it never is."""
        end = time.monotonic() + timeout
        while not seen():
            assert time.monotonic() < end, f"never saw {what} in:\n{self.scrollback}"
            self.read(0.05)

    def wait_for(self, text: str, timeout: float = 20, times: int = 1) -> None:
        """Read until a text is there so many times, scrollback included."""
        self.wait_until(lambda: self.scrollback.count(text) >= times, repr(text), timeout)

    def wait_for_prompt(self, timeout: float = 20) -> None:
        """Read until an empty prompt waits on the last line of the talk."""
        self.wait_until(lambda: re.search(r"^>$", self.screen, re.MULTILINE), "a prompt", timeout)

    def wait_for_end(self, timeout: float = 20) -> int:
        """Read until the program has ended, and give its exit status."""
        self.wait_until(lambda: not self.process.isalive(), "the end", timeout)
        before = -1
        while len(self.raw) > before:  # what it wrote last may not have been read
            before = len(self.raw)
            self.read(0.02)
        self.process.close()
        status = self.process.exitstatus
        return status if status is not None else -(self.process.signalstatus or 0)
