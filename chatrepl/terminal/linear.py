"""For a screen reader: a reply as lines that are read in their order, and what happens in words.

Nothing is drawn twice, nothing stands side by side. What is seen elsewhere by its place or its
colour is a word here: headings, code, quotes, and each row of a table as "column: value".
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from chatrepl.terminal.blocks import Block, BlockSplitter
from chatrepl.terminal.replies import THINKING, Reply
from chatrepl.terminal.sanitize import Sanitizer, clean
from chatrepl.terminal.screen import Screen


class LinearReply:
    """Writes each block when it has ended, a long one in parts. `before` is how it begins."""

    def __init__(self, screen: Screen, before: str = "") -> None:
        self._screen = screen
        self._before = before
        self._sanitizer = Sanitizer()
        self._splitter = BlockSplitter()
        self._below = False  # whether the next block stands below another one

    def __enter__(self) -> Self:
        """Begin with the block that is gone on with."""
        self.text(self._before)
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is still open."""
        blocks = self._splitter.feed(self._sanitizer.flush())
        self._write(blocks + self._splitter.flush())

    def text(self, piece: str) -> None:
        """Take a piece, and write the blocks that it has ended."""
        self._write(self._splitter.feed(self._sanitizer.feed(piece)))

    def think(self, line: Callable[[int], str]) -> None:
        """Say so, once."""
        self._screen.notice(THINKING)

    def notice(self, line: str) -> None:
        """Say a line about the turn."""
        self._screen.notice(line)

    def _write(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            lines = list(linear(block, shutil.get_terminal_size().columns))
            if lines and block.begins and self._below:
                lines.insert(0, "")
            self._below = self._below or bool(lines)
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()


class Announced:
    """A reply in a chat: that it is waited for, and who speaks once it comes, are said."""

    def __init__(self, reply: Reply, screen: Screen, model: str) -> None:
        self._reply = reply
        self._screen = screen
        self._model = model
        self._begun = False

    def __enter__(self) -> Self:
        """Say that the reply is waited for."""
        self._screen.notice(f"waiting for {self._model}")
        return self

    def __exit__(self, *_: object) -> None:
        """End the reply, if it has begun."""
        if self._begun:
            self._reply.__exit__(None, None, None)

    def text(self, piece: str) -> None:
        """Show a piece of the reply; before the first one, say whose words these are."""
        if not self._begun:
            self._begun = True
            print("assistant:", flush=True)
            self._reply.__enter__()
        self._reply.text(piece)

    def think(self, line: Callable[[int], str]) -> None:
        """Say that the model thinks."""
        self._reply.think(line)

    def notice(self, line: str) -> None:
        """Say a line about the turn."""
        (self._reply if self._begun else self._screen).notice(line)


def linear(block: Block, width: int) -> Iterator[str]:
    """Give the lines of a block, or of a part of one, broken between words at a width in columns.

    Code is not broken: it may be copied.
    """
    for node in SyntaxTreeNode(block.tokens).children:
        yield from _lines(node, width, begins=block.begins, ends=block.ends)


def _lines(
    node: SyntaxTreeNode, width: int, *, begins: bool = True, ends: bool = True
) -> Iterator[str]:
    match node.type:
        case "heading":
            yield from _broken(f"Heading {node.tag[1:]}: {_text_of(node)}", width)
        case "fence" | "code_block":
            yield from _code(node, begins=begins, ends=ends)
        case "bullet_list":
            for item in node.children:
                yield from _hanging("- ", item, width)
        case "ordered_list":
            for number, item in enumerate(node.children, int(node.attrs.get("start", 1))):
                yield from _hanging(f"{number}. ", item, width)
        case "blockquote":
            yield "Quote:"
            yield from (line for child in node.children for line in _lines(child, width))
            yield "End of quote."
        case "table":
            yield from _rows(node, width)
        case "hr":
            return
        case _:
            yield from _broken(_text_of(node), width)


def _code(node: SyntaxTreeNode, *, begins: bool, ends: bool) -> Iterator[str]:
    language = clean(" ".join(node.info.split()[:1]))
    if begins:
        yield f"Code, {language}:" if language else "Code:"
    if node.content:
        yield from clean(node.content).removesuffix("\n").split("\n")
    if ends:
        yield "End of code."


def _hanging(mark: str, item: SyntaxTreeNode, width: int) -> Iterator[str]:
    """Give the lines of a list's item, those after the first below its text."""
    inner = max(8, width - len(mark))
    lines = [line for child in item.children for line in _lines(child, inner)] or [""]
    for number, line in enumerate(lines):
        yield f"{' ' * len(mark) if number else mark}{line}".rstrip()


def _rows(table: SyntaxTreeNode, width: int) -> Iterator[str]:
    head, *bodies = table.children
    names = [_text_of(cell) for cell in head.children[0].children]
    rows = [row for body in bodies for row in body.children]
    if not rows:
        yield from _broken(f"Table with no rows: {', '.join(names)}", width)
    for row in rows:
        pairs = zip(names, map(_text_of, row.children), strict=False)
        cells = (f"{name}: {value}" if name else value for name, value in pairs if value)
        yield from _broken("; ".join(cells) or "Empty row.", width)


def _broken(text: str, width: int) -> list[str]:
    from chatrepl.terminal.wrapping import wrapped  # noqa: PLC0415 - imports rich

    return wrapped(clean(text), width).split("\n")


def _text_of(node: SyntaxTreeNode) -> str:
    inline = next((each for each in node.children if each.type == "inline"), None)
    if inline is None or inline.token is None:
        return ""
    return "".join(_words(inline.token.children or ())).strip()


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    """Give the text of a line less its marks; a link's target stands behind it."""
    targets: list[str] = []
    said: list[str] = []
    for token in tokens:
        match token.type:
            case "link_open":
                targets.append(str(token.attrs.get("href", "")))
                said.clear()
                continue
            case "link_close":
                target = targets.pop()
                words = "" if target in {"".join(said), ""} else f" ({target})"
            case "image":
                words = f"image: {token.content} ({token.attrs['src']})"
            case "softbreak":
                words = " "
            case "hardbreak":
                words = "\n"
            case "s_open":
                words = "(struck out: "
            case "s_close":
                words = ")"
            case _:
                words = token.content
        said.append(words)
        yield words
