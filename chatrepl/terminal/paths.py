"""The files and folders that a path may be gone on with."""

import os
from collections.abc import Iterator
from pathlib import Path

_MOST = 500
"""So many are looked at: a key does not wait for a folder of a hundred thousand."""


def paths(typed: str) -> Iterator[tuple[str, str]]:
    """Give what is in the folder that a path names so far: its path as typed, and its size.

    A folder's path ends with a slash. Those whose name begins with a dot are given when that is
    typed. `~` is the home folder. A folder that can't be read has nothing in it.
    """
    folder, _, start = typed.rpartition("/")
    given = f"{folder}/" if "/" in typed else ""
    if typed == "~":
        yield "~/", "home"
        return
    found: list[tuple[str, str]] = []
    try:
        with os.scandir(Path(given or ".").expanduser()) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(start) and name.startswith(".") == start.startswith("."):
                    found.append(_described(entry, given))
                if len(found) == _MOST:
                    break
    except (OSError, RuntimeError, ValueError):  # not to be read, no such home, a NUL
        return
    yield from sorted(found, key=lambda each: (not each[0].endswith("/"), each[0].lower()))


def _described(entry: "os.DirEntry[str]", given: str) -> tuple[str, str]:
    try:
        if entry.is_dir():
            return f"{given}{entry.name}/", "folder"
        return f"{given}{entry.name}", sized(entry.stat().st_size)
    except OSError:  # a link to nowhere
        return f"{given}{entry.name}", ""


def sized(size: int) -> str:
    """Say how large a file is.

    >>> sized(0), sized(1), sized(999), sized(1_500), sized(12_345_678)
    ('0 bytes', '1 byte', '999 bytes', '1.5 kB', '12.3 MB')
    """
    if size < 1_000:
        return f"{size} byte{'s' * (size != 1)}"
    scaled = size / 1_000
    for unit in ("kB", "MB"):
        if scaled < 1_000:
            return f"{scaled:.1f} {unit}"
        scaled /= 1_000
    return f"{scaled:.1f} GB"
