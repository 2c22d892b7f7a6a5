"""What is seen of a model's thoughts: a line that is alive while they come, and one that stays."""

import time
from collections.abc import Callable

from chatrepl.terminal.sanitize import Sanitizer

_TAIL = 500
"""Characters of the latest thoughts that are kept for the line."""

_ROOMY = 20
"""Columns for the latest words from which it is worth while to show them."""


class Thinking:
    """What a model thinks before it answers, and for how many seconds. Times are the clock's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pieces: list[str] = []
        self._sanitizer = Sanitizer()
        self._tail = ""
        self._began = 0.0
        self._ended: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there are any thoughts."""
        return bool(self._pieces)

    @property
    def text(self) -> str:
        """The thoughts so far, as they came."""
        return "".join(self._pieces)

    @property
    def seconds(self) -> float:
        """For how long it has thought, or did."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    def take(self, piece: str) -> None:
        """Take a piece."""
        if not self._pieces:
            self._began = self._clock()
        self._pieces.append(piece)
        self._tail = (self._tail + self._sanitizer.feed(piece))[-_TAIL:]

    def end(self) -> bool:
        """Stop the clock. Tells whether there was anything to stop."""
        if self._ended is not None or not self._pieces:
            return False
        self._ended = self._clock()
        return True

    def line(self, width: int) -> str:
        """Give the line for now, at most `width` columns wide: how long, and the latest words.

        Nothing once it is over. May be called from any thread.
        """
        if self._ended is not None:
            return ""
        line = f"thinking {_duration(self.seconds)}"
        words = _last_words(self._tail, width - len(line) - 3)
        return f"{line} · {words}" if words else line[:width]

    def summary(self, tokens: str = "", hint: str = "") -> str:
        """Give the line that stays, with a count and a hint if there are any.

        >>> Thinking(lambda: 0.0).summary("340", "/thoughts shows it")
        'thought for 0 s, 340 tokens; /thoughts shows it'
        """
        counted = f", {tokens} tokens" if tokens else ""
        return f"thought for {_duration(self.seconds)}{counted}" + (f"; {hint}" if hint else "")


def _duration(seconds: float) -> str:
    """Say how long.

    >>> _duration(0.7), _duration(72)
    ('1 s', '1 min 12 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _last_words(text: str, width: int) -> str:
    """Give as much of a text's end as there is room for, in whole words where there are any."""
    from rich.cells import cell_len  # noqa: PLC0415 - the first prompt does not wait for rich

    if width < _ROOMY:
        return ""
    shown = " ".join(text.split())
    if cell_len(shown) <= width:
        return shown
    while cell_len(shown) > width - 1:
        shown = shown[1:]
    _, blank, words = shown.partition(" ")
    return "…" + (words if blank and len(words) > len(shown) // 2 else shown)
