"""Showing a reply while it streams: as the text it is, or (rendering.py) as Markdown."""

import sys
from collections.abc import Callable
from typing import Protocol, Self

from chatrepl.terminal.sanitize import Sanitizer
from chatrepl.terminal.screen import Screen

THINKING = "thinking …"
"""Said where no line can be drawn that is alive."""


class Reply(Protocol):
    """Somewhere that a reply is shown."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Show what is still held back, and leave the cursor on a line of its own."""

    def text(self, piece: str) -> None:
        """Show a piece of the reply."""

    def think(self, line: Callable[[int], str]) -> None:
        """Show that the model thinks, until its text comes: a line of so many columns at most."""

    def notice(self, line: str) -> None:
        """Say a line about the turn."""


class PlainReply:
    """Writes each piece as it comes; into a pipe or a file it is not even filtered.

    The last line of what was `before` is written again first.
    """

    def __init__(self, screen: Screen, before: str = "") -> None:
        self._screen = screen
        self._before = before.rpartition("\n")[2]
        self._out = sys.stdout
        self._sanitizer = Sanitizer() if screen.on_terminal else None
        self._last = "\n"

    def __enter__(self) -> Self:
        """Begin with the line that is gone on with."""
        if self._before:
            self.text(self._before)
        return self

    def __exit__(self, *_: object) -> None:
        """End the last line."""
        if self._sanitizer is not None:
            self._write(self._sanitizer.flush())
        if self._last != "\n":
            self._write("\n")

    def text(self, piece: str) -> None:
        """Write a piece at once."""
        self._write(self._sanitizer.feed(piece) if self._sanitizer is not None else piece)

    def think(self, line: Callable[[int], str]) -> None:
        """Say so on a terminal, once."""
        if self._screen.on_terminal:
            self.notice(THINKING)

    def notice(self, line: str) -> None:
        """Say a line on standard error; on a terminal it begins a line of its own."""
        if self._screen.on_terminal and self._last != "\n":
            self._write("\n")
        self._screen.notice(line)

    def _write(self, text: str) -> None:
        if text:
            self._last = text[-1]  # first: Ctrl-C may come once the text is out
            self._out.write(text)
            self._out.flush()


def reply_on(screen: Screen, *, plain: bool, before: str = "") -> Reply:
    """Choose how to show a reply: Markdown on a terminal, or lines for a screen reader; else text.

    `before` is the block in which it goes on: it is shown again, or as text its last line is.
    """
    if plain or not screen.on_terminal:
        return PlainReply(screen, before)
    if screen.accessible:
        from chatrepl.terminal.linear import LinearReply  # noqa: PLC0415 - imports the parser

        return LinearReply(screen, before)
    from chatrepl.terminal.rendering import MarkdownReply  # noqa: PLC0415 - imports rich.markdown

    return MarkdownReply(screen, before)


def announced(reply: Reply, screen: Screen, model: str) -> Reply:
    """Give a reply of which is said that it is waited for, and whose words they are."""
    from chatrepl.terminal.linear import Announced  # noqa: PLC0415 - imports the parser

    return Announced(reply, screen, model)


def open_block(text: str) -> str:
    """Give the last block of a text that was cut off: what comes next may belong to it."""
    from chatrepl.terminal.blocks import BlockSplitter  # noqa: PLC0415 - imports the parser

    splitter = BlockSplitter(in_parts=False)
    splitter.feed(text)
    return splitter.open
