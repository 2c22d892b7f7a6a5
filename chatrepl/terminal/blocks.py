"""Splitting a growing Markdown text into its top-level blocks.

Measured on real files (docs/decisions): when a text is cut at a line's end, every top-level
block but the last is final, whatever comes next. So a block is given out as soon as another one
has begun after it, and only the last one, the open block, may still change.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

_EXTENSIONS = ["strikethrough", "table"]
_GROWTH = 9 / 8


@dataclass(frozen=True, slots=True)
class Block:
    """A finished top-level block: its Markdown, and the parser's tokens for it."""

    source: str
    tokens: list[Token]


class BlockSplitter:
    """Takes a text piece by piece and gives its blocks as they are finished.

    The cost is proportional to the text: the open block is parsed again only where it may have
    ended, and only after it has grown by an eighth.
    """

    def __init__(self) -> None:
        # The extensions that rich.markdown turns on, but the parser drops the rest of a text
        # that nests deeper than it is told: 20 by default. HTML is text here: rich would leave
        # it out, and with it half of List<String>. Link definitions stay in _env.
        options = {"maxNesting": 100, "html": False}
        self._parser = MarkdownIt("commonmark", options).enable(_EXTENSIONS)
        self._env: dict[str, Any] = {}
        self._lines: list[str] = []  # whole lines of the open block
        self._rest = ""  # the last line, not ended yet
        self._size = 0
        self._parse_at = 0.0
        self._closing: re.Pattern[str] | None = None  # of the fence that is open

    @property
    def open(self) -> str:
        """The open block's Markdown so far."""
        return "".join(self._lines) + self._rest

    def parse(self, source: str) -> list[Token]:
        """Parse a text with the definitions of links that have come so far, adding none."""
        references = dict(self._env.get("references", {}))
        return self._parser.parse(source, {"references": references})

    def tail(self, lines: int, width: int) -> str:
        """Give about the last `lines` screen lines of the open block, as Markdown of its own.

        A fence keeps its first line, so that the end of a long code block is still code.
        """
        size = lines * width
        tail = "".join(self._lines[-lines:])[-size:] + self._rest[-size:]
        if self._closing is not None and len(tail) < self._size + len(self._rest):
            return self._lines[0] + tail
        return tail

    def feed(self, text: str) -> list[Block]:
        """Take a piece and give the blocks that it has finished."""
        *whole, self._rest = (self._rest + text).split("\n")
        finished: list[Block] = []
        for line in whole:
            self._lines.append(line + "\n")
            self._size += len(line) + 1
            if self._may_have_ended(line):
                finished += self._settle(at_end=False)
        return finished

    def flush(self) -> list[Block]:
        """Give the last block: the text has ended."""
        self._lines.append(self._rest)
        self._rest = ""
        return self._settle(at_end=True)

    def _may_have_ended(self, line: str) -> bool:
        """Tell cheaply whether the line may have begun a block, and so ended the open one."""
        if self._closing is not None:
            if self._closing.match(line):
                self._closing = None
                self._parse_at = 0
            return False
        return self._size >= self._parse_at

    def _settle(self, *, at_end: bool) -> list[Block]:
        source = "".join(self._lines)
        blocks = list(_top_level(self._parser.parse(source, self._env)))
        if not blocks:
            return []
        open_block = None if at_end else blocks.pop()
        first_open = len(self._lines) if open_block is None else _start(open_block)
        finished = []
        for block, following in zip(blocks, [*blocks[1:], None], strict=False):
            end = first_open if following is None else _start(following)
            finished.append(Block("".join(self._lines[_start(block) : end]), block))
        del self._lines[:first_open]
        self._size = sum(map(len, self._lines))
        self._parse_at = self._size * _GROWTH
        if open_block is not None and open_block[0].type == "fence":
            fence = open_block[0].markup
            closing = re.compile(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*$")
            if not any(map(closing.match, self._lines[1:])):
                self._closing = closing
        return finished


def _start(tokens: list[Token]) -> int:
    lines = tokens[0].map
    assert lines is not None
    return lines[0]


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    """Group the parser's tokens by top-level block."""
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []
