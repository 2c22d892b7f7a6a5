"""Showing a download."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from chatrepl.terminal.screen import Screen


@contextmanager
def download(name: str, size: int, screen: Screen) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many bytes of how many have come.

    A bar on a terminal, a line elsewhere.
    """
    line = f"fetching {name}, once: {size / 1e6:,.0f} MB"
    if screen.quiet or screen.accessible or not sys.stderr.isatty():
        screen.notice(line)
        yield lambda _done, _total: None
        if screen.accessible:
            screen.notice(f"{name} is fetched")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=screen.err, transient=True) as bars:
        task = bars.add_task(f"fetching {name}, once", total=size)
        yield lambda done, total: bars.update(task, completed=done, total=total)
