"""How the program ends when it is ended from outside, and in terminals that can do little."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.loopback import Cut, Loopback, Part, Reply, chunk, fails, says
from tests.support.processes import children, needs_proc
from tests.support.program import COMMAND, Terminal, environment, run
from tests.support.talk import say_and_hear, talk

HALF = "Half a sentence"
SOON = 2  # seconds

ENDS = pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["SIGTERM", "SIGHUP"]
)


@pytest.fixture
def stalled(server: Loopback) -> Iterator[None]:
    """The server says half a sentence, and nothing more until the test is over."""
    over = threading.Event()
    server.then(Reply([chunk({"content": "Half a "}), chunk({"content": "sentence"}), over]))
    yield
    over.set()


def shell_status(status: int) -> int:
    """The status as a shell tells it: a process that a signal has ended has 128 more."""
    return status if status >= 0 else 128 - status


def assert_kept(home: Path, prompt: str, reply: str) -> None:
    """The saved session has what was said and what came of the reply."""
    listed = run("sessions", "--json", home=home)
    assert listed.returncode == 0, listed.stderr
    [session] = json.loads(listed.stdout)
    shown = run("sessions", "show", session["id"], "--json", home=home)
    messages = [(said["role"], said["content"]) for said in json.loads(shown.stdout)["messages"]]
    assert messages == [("user", prompt), ("assistant", reply)]


# Signals.


@ENDS
@pytest.mark.usefixtures("stalled")
def test_a_signal_ends_a_one_shot_and_what_came_is_kept(
    home: Path, server: Loopback, how: signal.Signals, status: int
) -> None:
    with subprocess.Popen(
        [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4", "hello"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(len(HALF)) == HALF.encode()
        process.send_signal(how)
        began = time.monotonic()
        try:
            assert shell_status(process.wait(20)) == status
            assert time.monotonic() - began < SOON
        finally:
            process.kill()
        assert process.stdout.read() in {b"", b"\n"}
        assert process.stderr.read() == b""
    assert_kept(home, "hello", HALF)


class Shell(Terminal):
    """A shell that runs the program: it is still there to find how the terminal was left.

    A terminal forgets that when the first program in it ends.
    """

    command: ClassVar[list[str]] = ["sh", "-c", '"$@"; echo "status $?"; sleep 60', "sh", *COMMAND]

    def end(self, how: signal.Signals) -> int:
        """Send the program a signal, and give its status as the shell sees it."""
        assert self.process.pid is not None
        [program] = children(self.process.pid)
        began = time.monotonic()
        os.kill(program, how)
        self.wait_until(lambda: re.search(r"status \d+", self.screen), "a status")
        assert time.monotonic() - began < SOON
        assert "Traceback" not in self.scrollback
        assert "unforeseen" not in self.scrollback
        found = re.search(r"^status (\d+)$", self.screen, re.MULTILINE)
        assert found, f"the cursor was left in a line:\n{self.screen}"
        return int(found[1])


@contextmanager
def shell(home: Path, server: Loopback) -> Iterator[Shell]:
    with Shell("--base-url", server.base_url, "-m", "gpt-4", home=home) as terminal:
        terminal.wait_for_prompt()
        yield terminal


def assert_left_well(terminal: Terminal) -> None:
    """Echo, lines and Ctrl-C are on again, the cursor shows, and nothing is bold or coloured."""
    _, output, _, local, *_ = termios.tcgetattr(terminal.process.child_fd)
    needed = {"ECHO": termios.ECHO, "ICANON": termios.ICANON, "ISIG": termios.ISIG}
    assert [name for name, flag in needed.items() if not local & flag] == []
    assert output & termios.OPOST
    assert re.findall(rb"\x1b\[\?25[hl]", terminal.raw)[-1:] in ([], [b"\x1b[?25h"])
    assert re.findall(rb"\x1b\[\?2004[hl]", terminal.raw)[-1:] in ([], [b"\x1b[?2004l"])
    assert re.findall(rb"\x1b\[[\d;]*m", terminal.raw)[-1:] in ([], [b"\x1b[m"], [b"\x1b[0m"])


@ENDS
@needs_proc
@pytest.mark.usefixtures("stalled")
def test_a_signal_ends_a_streaming_talk_and_leaves_the_terminal_well(
    home: Path, server: Loopback, how: signal.Signals, status: int
) -> None:
    with shell(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_for(HALF)
        assert terminal.end(how) == status
        assert_left_well(terminal)
        assert terminal.scrollback.count(HALF) == 1
    assert_kept(home, "hello", HALF)


@ENDS
@needs_proc
def test_a_signal_at_the_prompt_leaves_the_terminal_well(
    home: Path, server: Loopback, how: signal.Signals, status: int
) -> None:
    with shell(home, server) as terminal:
        say_and_hear(terminal, "hello")
        terminal.type("half a thought")
        terminal.wait_for("half a thought")
        assert terminal.end(how) == status
        assert_left_well(terminal)
    assert_kept(home, "hello", "You said: hello")


@pytest.mark.usefixtures("stalled")
def test_a_window_that_is_closed_ends_the_talk(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_for(HALF)
        began = time.monotonic()
        os.close(terminal.process.child_fd)
        terminal.process.child_fd = -1
        while terminal.process.isalive():
            assert time.monotonic() - began < SOON
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            terminal.process.close()
    assert_kept(home, "hello", HALF)


# Output that nobody reads, and no terminal.


@pytest.mark.parametrize("count", [1, 40_000])
def test_a_reader_that_has_seen_enough_ends_it_quietly(
    home: Path, server: Loopback, count: int
) -> None:
    server.then(says("\n".join(f"{number}: line " for number in range(count)), pause=0.0))
    script = '"$@" | head -n 1; echo "${PIPESTATUS[@]}"'
    asking = [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4", "hello"]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *asking],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"0: line \n0 0\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["-q", "hello"], ["--json", "hello"], ["--version"]])
def test_a_full_disk_is_told_and_where_the_reply_is_kept(
    home: Path, server: Loopback, arguments: list[str]
) -> None:
    flags = [] if "--version" in arguments else ["--base-url", server.base_url, "-m", "gpt-4"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *flags, *arguments],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first == "The output can't be written: No space left on device"
    if not flags:
        assert rest == []
        return
    kept, _, command = rest[0].partition(": chatrepl ")
    assert (kept, len(rest)) == ("What came of the reply is kept", 1)
    assert re.search(r"^assistant.*\nYou", run(*command.split(), home=home).stdout, re.MULTILINE)


def test_a_talk_needs_a_terminal_for_its_output(home: Path, server: Loopback) -> None:
    keyboard, handle = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4"],
            env=environment(home),
            stdin=handle,
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(handle)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"terminal" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert server.requests == []


@pytest.mark.parametrize(
    ("prompt", "status", "stdout"), [(["hello"], 0, b"You said: hello\n"), ([], 2, b"")]
)
def test_with_a_closed_stdin_there_is_nothing_to_read(
    home: Path, server: Loopback, prompt: list[str], status: int, stdout: bytes
) -> None:
    asking = [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4", *prompt]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *asking],
        env=environment(home),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, stdout)
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (0 if prompt else 1)


# Terminals that can do little.


LITTLE = pytest.mark.parametrize(
    ("columns", "env"), [(20, {}), (80, {"TERM": "dumb"}), (20, {"TERM": "dumb"})]
)


@LITTLE
def test_a_small_or_dumb_terminal_is_enough_for_a_talk_with_a_fault(
    home: Path, server: Loopback, columns: int, env: dict[str, str]
) -> None:
    words = [f"word{number}" for number in range(30)]
    server.then(
        says(" ".join(words)),
        fails(401, "The key is old."),
        Reply([chunk({"content": "Half a "}), chunk({"content": "story"}), 0.2, Cut()]),
    )
    with talk(home, server, columns=columns, env=env) as terminal:
        wait_for_keys(terminal, env)
        terminal.say("one")
        wait_for_words(terminal, "word29")
        terminal.wait_for_prompt()
        assert "".join(words) in "".join(terminal.scrollback.split())
        wait_for_keys(terminal, env)
        terminal.say("two")
        wait_for_words(terminal, "The key is old.")
        terminal.wait_until(
            lambda: terminal.scrollback.count("\n> two") == 2, "the text back at the prompt"
        )
        wait_for_keys(terminal, env)
        terminal.say("b")
        wait_for_words(terminal, "closed the connection")
        terminal.wait_for_prompt()
        assert terminal.scrollback.count("Half a story") == 1
        wait_for_keys(terminal, env)
        say_and_hear(terminal, "go on")
        assert "Traceback" not in terminal.scrollback
        assert "unforeseen" not in terminal.scrollback
    last = server.requests[-1].said
    assert last[2:] == [("user", "twob"), ("assistant", "Half a story"), ("user", "go on")]


def wait_for_keys(terminal: Terminal, env: dict[str, str]) -> None:
    """Wait until a dumb prompt reads key by key: it is written a moment before it does."""
    if env:
        terminal.wait_until(lambda: not terminal.process.getecho(), "the prompt to read")


def wait_for_words(terminal: Terminal, words: str) -> None:
    """Wait for words that may be broken into lines, even in the middle."""
    bare = words.replace(" ", "")
    terminal.wait_until(lambda: bare in "".join(terminal.scrollback.split()), repr(words))


def test_while_the_window_changes_each_line_is_shown_once(home: Path, server: Loopback) -> None:
    parts: list[Part] = []
    for number in range(60):
        parts += [chunk({"content": f"line-{number}\n\n"}), 0.02]
    server.then(Reply([*parts, chunk({}, "stop")]))
    with talk(home, server, lines=12) as terminal:
        terminal.say("count")
        for columns in (60, 100, 20, 40, 80) * 3:
            terminal.read(0.08)
            terminal.resize(columns, 12)
        terminal.wait_for("line-59")
        terminal.wait_for_prompt()
        shown = re.findall(r"line-\d+", terminal.scrollback)
    assert shown == [f"line-{number}" for number in range(60)]
