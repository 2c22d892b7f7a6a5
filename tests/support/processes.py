"""Looking at processes from outside. Linux only: it reads /proc."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked at through /proc"
)


def wait_until(condition: Callable[[], object], what: str, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def children(pid: int | None = None) -> set[int]:
    """The running children of a process, by default of this one."""
    parent = str(pid or os.getpid())
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and is_alive(int(folder.name)):
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            if stat.rpartition(")")[2].split()[1] == parent:
                found.add(int(folder.name))
    return found


def running(word: str) -> set[int]:
    """The processes that have this word in their command line."""
    return {
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and any(word in part for part in command_of(int(folder.name)))
    }
