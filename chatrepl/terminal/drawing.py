"""Drawing the last lines on the screen again and again, and everything above them once."""

from itertools import takewhile

from rich.console import Console
from rich.text import Text

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""A terminal that knows mode 2026 shows what is between at once; others pass it over."""


class Drawing:
    """What has been drawn and may change. The cursor waits at its end.

    Only what is different is written, and a line that goes on is written on: most frames are a
    few characters. Lines are erased one by one, since some terminals keep a copy of a screen
    that is cleared as a whole.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: list[str] = []
        self._width = 0

    def show(self, settled: str, lines: list[str]) -> None:
        """Put whole lines in the place of what has been drawn, for good, and `lines` below them."""
        shown = [*settled.split("\n")[:-1], *lines]
        width, self._width = self._width, self._console.width
        same = 0
        if width == self._width:  # else the terminal may have wrapped lines
            pairs = zip(self._lines, shown, strict=False)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if lines and same == len(shown) < len(self._lines):
            same -= 1  # the cursor has to come back to the end of this one
        old, new = self._lines[same:], shown[same:]
        text = self._change(old, new, below=same > 0)
        if not lines and (new or (shown and not old)):
            text += "\n"
        self._lines = lines
        self.write(text)

    def write(self, text: str) -> None:
        """Write something at once."""
        if text:
            self._console.file.write(text)
            self._console.file.flush()

    def _change(self, old: list[str], new: list[str], *, below: bool) -> str:
        """Give what makes the last lines others; `below` lines that stay."""
        if not old:
            return ("\n" if below and new else "") + "\n".join(new)
        if len(old) == 1 and new and new[0].startswith(old[0]) and self._width >= len(old[0]):
            return "\n".join(new)[len(old[0]) :]
        rows, new_rows = self._rows(old), self._rows(new)
        up = min(rows, self._console.height) - 1
        start = "\r" + (f"\x1b[{up}A" if up else "")
        erased = [f"\x1b[K{line}" for line in new]
        if rows > new_rows:
            erased[-1:] = [f"\x1b[J{line}" for line in new[-1:] or [""]]
        return _BEGIN + start + "\n".join(erased) + _END

    def _rows(self, lines: list[str]) -> int:
        """Count rows of the screen; a terminal that became narrower has wrapped wider lines."""
        cells = (Text.from_ansi(line).cell_len for line in lines)
        return sum(max(1, -(-each // self._width)) for each in cells)
