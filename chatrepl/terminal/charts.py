"""Column charts of block characters, as lines of text."""

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:#"
"""How full a character's cell may be, for a terminal with blocks and for one without."""


def columns(shares: Sequence[float | None], cell: int, height: int, steps: str) -> list[str]:
    """Draw a column for each share, from 0 to 1, in `height` lines; the first line is the top.

    A column is `cell` characters wide with the gap behind it. What is more than nothing can be
    seen; None, of which nobody knows how much it is, is a "?".

    >>> print("\\n".join(columns([0.5, 0, 1, 0.01, None], 2, 2, PLAIN)))
        #
    #   # . ?
    """
    parts = len(steps) - 1
    wide = max(cell - 1, 1)
    lines = []
    for line in range(height - 1, -1, -1):
        cells = []
        for share in shares:
            level = max(round((share or 0) * height * parts), 1 if share else 0)
            mark = steps[min(max(level - line * parts, 0), parts)]
            cells.append(("?" if share is None and not line else mark) * wide)
        lines.append((" " * (cell - wide)).join(cells).rstrip())
    return lines
