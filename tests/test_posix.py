"""What only some systems have, and that a single answer needs none of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatrepl import posix
from tests.support.loopback import Loopback
from tests.support.program import environment

# As on Windows, where these are not.
WITHOUT = """
import sys
for name in ("termios", "fcntl", "tty", "pty", "pwd", "grp", "resource"):
    sys.modules[name] = None
from chatrepl.__main__ import main
main()
"""


def test_a_single_answer_needs_no_module_that_only_some_systems_have(
    home: Path, server: Loopback
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "--base-url", server.base_url, "-m", "gpt-4", "Hi"],
        input=b"",
        capture_output=True,
        env=environment(home),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"You said: Hi\n"), done.stderr


def test_what_has_come_is_known_without_reading_it() -> None:
    reading, writing = os.pipe()
    try:
        assert not posix.has_come(reading)
        os.write(writing, b"x")
        assert posix.has_come(reading)
        assert os.read(reading, 2) == b"x"
        os.close(writing)
        assert posix.has_come(reading), "the end has come"
    finally:
        os.close(reading)
    assert posix.has_come(-1), "nobody can tell"


@pytest.mark.skipif(not posix.IS_POSIX, reason="a file's mode says nothing of others here")
def test_what_others_may_read_is_taken_from_them(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o644)
    assert posix.others_may_read(file)
    posix.keep_to_owner(file, 0o600)
    assert not posix.others_may_read(file)
    assert not posix.others_may_read(tmp_path / "nothing")


def test_a_pipe_has_no_keyboard() -> None:
    code = "from chatrepl import posix; print(posix.keyboard_modes())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"", capture_output=True, timeout=60, check=True
    )
    assert done.stdout.strip() == b"None"


def test_a_process_that_is_limited_has_no_more_memory_than_that() -> None:
    code = "from chatrepl.posix import limit; limit(500_000_000, 9); bytearray({})"
    for size, status in [(1_000_000, 0), (600_000_000, 1)]:
        command = [sys.executable, "-c", code.format(size)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == status, done.stderr
        assert (b"MemoryError" in done.stderr) == bool(status)
