"""Letting signals wait until something is whole: what is written, or a prompt that is ending."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from chatrepl.posix import ENDING


@contextmanager
def undisturbed(
    numbers: Iterable[int] = ENDING, come_now: Callable[[], object] = bool
) -> Iterator[list[int]]:
    """Let Ctrl-C and requests to end wait for the end of the block; give those that have come.

    `come_now` is called as one comes, by the signal handler. What a program does about a signal
    it does at any place: between a commit and the note of it, too. In other threads than the main
    one there is nothing to wait for.
    """
    come: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield come
        return
    before = {number: signal.getsignal(number) for number in numbers}
    handled = {number: handler for number, handler in before.items() if callable(handler)}

    def note(number: int, _: object) -> None:
        come.append(number)
        come_now()

    for number in handled:
        signal.signal(number, note)
    try:
        yield come
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        if come:
            # One is raised, the most final: a request to end goes before Ctrl-C.
            signal.raise_signal(max(come, key=lambda number: number != signal.SIGINT))
