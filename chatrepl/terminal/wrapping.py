"""Where a line may be broken: between words, and between characters that need no blank there.

Chinese and Japanese text has few blanks or none. rich takes what stands between two of
them for one word, puts that on a line of its own and leaves the line before it nearly empty.
"""

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells
from rich.containers import Lines
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

# What such text is made of; punctuation stays with what it belongs to (JIS X 4051, in the main).
_WIDE = "\u2e80-\u2fff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CLOSING = "、。，．・：；？！）］｝〕〉》」』】〙〗〟”’…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
_OPENING = "（［｛〔〈《「『【〘〖〝“‘"
_HAS_WIDE = re.compile(f"[{_WIDE}]")
_PIECE = re.compile(
    rf"\s*(?:[{_OPENING}]*[{_WIDE}](?:[{_CLOSING}]|[!-/:-@\]-`}}~])*"
    rf"|(?:(?![{_WIDE}]|[{_OPENING}]+[{_WIDE}])\S)+)\s*"
)
_BLANKS = re.compile(r"\s*\S+\s*")


def breaks(line: str, width: int) -> list[int]:
    """Give where in a line the next ones begin, so that each is at most `width` columns wide.

    Blanks at a line's end do not count. A word that is wider than that is broken anywhere.

    >>> breaks("one two three", 8), breaks("我喜欢 Python 和狗", 8), breaks("aaaaa", 2)
    ([8], [4, 11], [2, 4])
    """
    found, used = [], 0
    for start, piece in _pieces(line):
        word = piece.rstrip()
        if used and used + cell_len(word) > width:
            found.append(start)
            used = 0
        if cell_len(word) > width:
            lines = chop_cells(word, width)
            found += list(accumulate(map(len, lines[:-1]), initial=start))[1:]
            used = cell_len(lines[-1] + piece[len(word) :])
        else:
            used += cell_len(piece)
    return found


def _pieces(line: str) -> Iterator[tuple[int, str]]:
    pattern = _PIECE if _HAS_WIDE.search(line) else _BLANKS
    return ((found.start(), found[0]) for found in pattern.finditer(line))


def wrapped(text: str, width: int) -> str:
    """Break the lines of a text between words.

    >>> wrapped("one two three", 8)
    'one two\\nthree'
    """
    lines = []
    for line in text.split("\n"):
        places = [0, *breaks(line, width), len(line)]
        lines += [line[start:end].rstrip() for start, end in pairwise(places)]
    return "\n".join(lines)


class Flowing(Text):
    """A text whose lines are broken here rather than by rich, where that makes a difference."""

    @classmethod
    def of(cls, text: Text) -> Text:
        """Give a text that looks the same."""
        if not _HAS_WIDE.search(text.plain):
            return text
        looks: dict[str, Any] = {"justify": text.justify, "overflow": text.overflow}
        return cls(text.plain, text.style, **looks, end=text.end, spans=text.spans)

    def wrap(self, console: "Console", width: int, **options: Any) -> Lines:
        """Break the lines to fit a width in columns."""
        lines = Lines()
        for line in self.split(allow_blank=True):
            line.expand_tabs()
            parts = line.divide(breaks(line.plain, width))
            for part in parts:
                part.rstrip_end(width)
            parts.justify(console, width, options.get("justify") or self.justify or "default")
            lines.extend(parts)
        return lines
