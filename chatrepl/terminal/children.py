"""While another program has the terminal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_passed_on() -> Iterator[None]:
    """Leave Ctrl-C to a child process: both hear it, and it must not end what waits for the child.

    It is not ignored, for that is inherited.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
