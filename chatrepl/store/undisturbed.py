"""Letting signals wait until something is written whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chatrepl.posix import ENDING


@contextmanager
def undisturbed() -> Iterator[list[int]]:
    """Let Ctrl-C and requests to end wait for the end of the block; give those that have come.

    What a program does about a signal it does at any place: between a commit and the note of it,
    too. In other threads than the main one there is nothing to wait for.
    """
    come: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield come
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    for number in handled:
        signal.signal(number, lambda number, _: come.append(number))
    try:
        yield come
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        if come:
            signal.raise_signal(come[0])
