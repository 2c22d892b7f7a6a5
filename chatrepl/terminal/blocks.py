"""Splitting a growing Markdown text into parts that are final, whatever comes next.

Measured on real files (docs/decisions): when a text is cut at a line's end, every top-level
block but the last is final. So a block is given out as soon as another one has begun after it,
and only the last one, the open block, may still change. Where that grows long it is given out in
parts: the items of a list, the rows of a table, the lines of a fence, the words of a paragraph.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.lheading import lheading
from markdown_it.rules_block.table import table
from markdown_it.token import Token

FIRST_ROWS = 10
"""A table's columns are as wide as its header and its first so many rows need."""

LONG = 600
"""Characters from which a paragraph is one, and no heading that is underlined at its end."""

_EXTENSIONS = ["strikethrough", "table"]
_LINES = {"hr"}  # end with their line
_CLOSED = {*_LINES, "heading_open", "paragraph_open", "table_open"}  # end before a blank one
_GROWTH, _LEAST = 9 / 8, 200
_SHORT = 2_000  # characters up to which an open block is parsed again at a blank line
_TRIES = 8  # places in a paragraph that are looked at

_GONE = "\ufdd0 "
"""Stands for the words of a paragraph that have been given out: no text has this character."""

_SPECIAL = re.compile(r"[*_~`\[\]]")
_PLACE = re.compile(r"(?<=[^\s\\])[ \n](?=\S)")
# In the text that the parser leaves: what a later character could still give a meaning to.
_PENDING = re.compile(r"[`\[]|(?:\*+|~~+|(?<!\w)_+)(?=\S)")
_BRACKETS = re.compile(r"\[[^\[\]]*\](?![(\[:])")


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level block, or a part of a long one: its Markdown, and the parser's tokens for it.

    `begins` and `ends` say whether the block's beginning and its end are in it. A part of a table
    has the header again.
    """

    source: str
    tokens: list[Token]
    begins: bool = True
    ends: bool = True

    @property
    def kind(self) -> str:
        """What it is: the type of its first token."""
        return self.tokens[0].type


class BlockSplitter:
    """Takes a text piece by piece and gives its blocks as they are finished.

    The cost is proportional to the text: the open block is parsed again only where it may have
    ended, and only after it has grown by an eighth. Without `in_parts` no block is divided.
    """

    def __init__(self, *, in_parts: bool = True) -> None:
        self._parser = new_parser()
        self._env: dict[str, Any] = {}  # link definitions
        self._in_parts = in_parts
        self._lines: list[str] = []  # whole lines of the open block
        self._rest = ""  # the last line, not ended yet
        self._size = 0  # of the whole lines
        self._parse_at = 0.0
        self._closing: re.Pattern[str] | None = None  # of the fence that is open
        self._divided = False  # whether a part of the open block has been given out
        self._number = 1  # of the first item that has not, in a list with numbers

    @property
    def open(self) -> str:
        """The Markdown of what has not been given out yet."""
        return "".join(self._lines) + self._rest

    def open_block(self, lines: int, width: int) -> Block | None:
        """Give what is open so far; of one that is long, about the last so many screen lines."""
        is_short = self._size + len(self._rest) < _SHORT
        source = self.open if self._divided and is_short else self._tail(lines, width)
        tokens = self._parse(source)
        return self._block(source, tokens, ends=False) if tokens else None

    def feed(self, text: str) -> list[Block]:
        """Take a piece and give the blocks that it has finished, and parts of the open one."""
        *whole, self._rest = (self._rest + text).split("\n")
        finished: list[Block] = []
        for line in whole:
            self._lines.append(line + "\n")
            self._size += len(line) + 1
            if self._may_have_ended(line):
                finished += self._settle()
        if self._in_parts:
            finished += self._code() if self._closing is not None else self._long_line()
        return finished

    def flush(self) -> list[Block]:
        """Give the last block: the text has ended."""
        source, self._lines, self._rest = self.open, [], ""
        return self._whole(source, list(_top_level(self._parser.parse(source, self._env))))

    def _parse(self, source: str) -> list[Token]:
        """Parse a part of a block: the links defined so far are known, and none is added."""
        references = dict(self._env.get("references", {}))
        return self._parser.parse(source, {"references": references})

    def _tail(self, lines: int, width: int) -> str:
        """Give the end of the open block, as Markdown of its own: a fence keeps its first line."""
        size = lines * width
        tail = "".join(self._lines[-lines:])[-size:] + self._rest[-size:]
        if self._closing is not None and len(tail) < self._size + len(self._rest):
            return self._lines[0] + tail
        return tail

    def _may_have_ended(self, line: str) -> bool:
        """Tell cheaply whether the line may have begun a block, and so ended the open one."""
        if self._closing is not None:
            if self._closing.match(line):
                self._closing = None
                self._parse_at = 0
            return False
        return self._size >= self._parse_at or (not line.strip() and self._size < _SHORT)

    def _settle(self, *, in_line: bool = False) -> list[Block]:
        """Give the blocks before the open one, and as much of that as is final.

        `in_line` says that the last line is looked at too although it has not ended, which makes
        a paragraph of it for good if it is long.
        """
        source = self.open if in_line else "".join(self._lines)
        self._parse_at = len(source) * _GROWTH
        blocks = list(_top_level(self._parser.parse(source, self._env)))
        if not blocks or (in_line and blocks[-1][0].type != "paragraph_open"):
            return []
        is_blank = not in_line and not self._lines[-1].strip()
        if blocks[-1][0].type in (_CLOSED if is_blank else _LINES):
            finished, self._lines, self._size = self._whole(source, blocks), [], 0
            self._parse_at = 0
            return finished
        open_block = blocks.pop()
        start = _start(open_block)
        finished = self._whole(source, blocks, start)
        del self._lines[:start]
        match open_block[0].type:
            case "fence":
                self._watch(open_block[0])
            case "paragraph_open" if self._in_parts:
                finished += self._words(in_line=in_line)
            case "table_open" if self._in_parts:
                finished += self._rows(open_block)
            case "bullet_list_open" | "ordered_list_open" if self._in_parts:
                finished += self._items(open_block, start)
        self._size = sum(map(len, self._lines))
        size = self._size + (len(self._rest) if in_line else 0)
        self._parse_at = max(size * _GROWTH, size + _LEAST if self._divided else 0)
        return finished

    def _whole(self, source: str, blocks: list[list[Token]], end: int | None = None) -> list[Block]:
        """Give blocks that have ended; of one that was divided, the last part."""
        lines = re.split(r"(?<=\n)", source)  # not splitlines: it knows other line ends too
        given = []
        for block, following in zip(blocks, [*blocks[1:], None], strict=False):
            to = end if following is None else _start(following)
            given.append(self._block("".join(lines[_start(block) : to]), block))
            self._divided = False
        return given

    def _block(self, source: str, tokens: list[Token], *, ends: bool = True) -> Block:
        if self._divided and tokens[0].type == "ordered_list_open":
            tokens[0].attrs["start"] = self._number
        if self._divided and tokens[0].type == "paragraph_open":
            words = (tokens[1].children or [Token("text", "", 0)])[0]
            words.content = words.content.removeprefix(_GONE.strip()).lstrip()
        return Block(source, tokens, begins=not self._divided, ends=ends)

    def _part(self, source: str, tokens: list[Token]) -> Block:
        block = self._block(source, tokens, ends=False)
        self._divided = True
        return block

    def _watch(self, fence: Token) -> None:
        """Look for the end of a fence, unless it has come already."""
        closing = re.compile(rf" {{0,3}}{fence.markup[0]}{{{len(fence.markup)},}}[ \t]*$")
        if not any(map(closing.match, self._lines[1:])):
            self._closing = closing

    def _code(self) -> list[Block]:
        """Give the whole lines of the fence that is open."""
        if len(self._lines) < 2:
            return []
        source = "".join(self._lines)
        del self._lines[1:]
        self._size = len(self._lines[0])
        return [self._part(source, self._parse(source))]

    def _items(self, tokens: list[Token], start: int) -> list[Block]:
        """Give the items of a list but the last one."""
        items = [i for i, token in enumerate(tokens) if _is(token, "list_item_open", 1)]
        if len(items) < 2:
            return []
        if not self._divided:
            self._number = int(tokens[0].attrs.get("start", 1))
        end = _start(tokens[items[-1] :]) - start
        source = "".join(self._lines[:end])
        part = self._part(source, [*tokens[: items[-1]], tokens[-1]])
        self._number += len(items) - 1
        del self._lines[:end]
        return [part]

    def _rows(self, tokens: list[Token]) -> list[Block]:
        """Give the rows of a table, once there are enough to know how wide its columns are."""
        rows = [i for i, token in enumerate(tokens) if _is(token, "tr_open", 2)][1:]
        if not rows or (len(rows) < FIRST_ROWS and not self._divided):
            return []
        head, end = tokens[: rows[0]], tokens[-2:]
        more = [] if self._divided else rows[FIRST_ROWS:]
        first = (more or [len(tokens) - 2])[0]
        parts = [tokens[rows[0] : first], tokens[first:-2]]
        source = "".join(self._lines)
        del self._lines[2:]
        return [self._part(source, [*head, *part, *end]) for part in parts if part]

    def _long_line(self) -> list[Block]:
        """Look at the last line before it has ended, if it is long enough to know what it is."""
        is_known = len(self._rest) > LONG or (not self._lines and self._rest.startswith(_GONE))
        if is_known and self._size + len(self._rest) >= self._parse_at:
            return self._settle(in_line=True)
        return []

    def _words(self, *, in_line: bool) -> list[Block]:
        """Give the words of a long paragraph that no later character gives a meaning to."""
        text = self.open if in_line else "".join(self._lines)
        is_long = self._divided or len(text.strip()) > LONG
        end, tokens = _divided(text, self._parse) if is_long else (0, [])
        if not end:
            return []
        part = self._part(text[:end].removeprefix(_GONE), tokens)
        left = _GONE + text[end + 1 :]
        *lines, rest = left.split("\n")
        self._lines = [line + "\n" for line in lines]
        if in_line:
            self._rest = rest
        return [part]


def new_parser() -> MarkdownIt:
    """Make the parser of replies: what rich renders, and tables wherever they are.

    It drops the rest of a text that nests deeper than it is told, 20 by default. HTML is text
    here: rich would leave it out, and with it half of List<String>.
    """
    parser = MarkdownIt("commonmark", {"maxNesting": 100, "html": False}).enable(_EXTENSIONS)
    parser.block.ruler.at("lheading", _short_heading)
    parser.block.ruler.at("table", _short_table, {"alt": ["paragraph", "reference"]})
    return parser


def _short_heading(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a heading that is underlined; a long paragraph is none, for it may be shown already."""
    tokens, line, parent = len(state.tokens), state.line, state.parentType
    if not lheading(state, start, end, silent):
        return False
    content = state.tokens[tokens + 1].content
    if len(content) <= LONG and not content.startswith(_GONE.strip()):
        return True
    del state.tokens[tokens:]
    state.line, state.parentType = line, parent
    return False


def _short_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a table; a long line is no header of one, for it may be shown already."""
    line = state.src[state.bMarks[start] : state.eMarks[start]]
    if len(line) > LONG or line.startswith(_GONE.strip()):
        return False
    return table(state, start, end, silent)


def _divided(text: str, parse: Callable[[str], list[Token]]) -> tuple[int, list[Token]]:
    """Find the last blank in a paragraph before which nothing can change; 0 for none.

    Gives the tokens of what stands before it, too.
    """
    if "\t" in text or "![" in text or text.lstrip().startswith("["):  # that may be a definition
        return 0, []
    last_lines = text.rstrip("\n").rsplit("\n", 2)[-2:]
    end = len(text)
    if "|" in "".join(last_lines):  # a row below would make a table of the line above it
        end = max(0, len(text.rstrip("\n")) - len("\n".join(last_lines)) - 1)
    places = [place.start() for place in _PLACE.finditer(text, len(_GONE), end)]
    stops = [end, *(special.start() for special in reversed([*_SPECIAL.finditer(text, 0, end)]))]
    tried = 0
    for stop in stops[:_TRIES]:
        place = next((place for place in reversed(places) if place < stop), 0)
        if place < _LEAST:
            break
        if place != tried and not _is_pending(tokens := parse(text[:place])):
            return place, tokens
        tried = place
    return 0, []


def _is_pending(tokens: list[Token]) -> bool:
    """Tell whether there is anything in a paragraph that could still become a part of markup."""
    words = (child.content for child in tokens[1].children or () if child.type == "text")
    return any(_PENDING.search(_BRACKETS.sub("", text)) for text in words)


def _is(token: Token, kind: str, level: int) -> bool:
    return token.type == kind and token.level == level


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
