"""Rendering a reply as Markdown while it streams.

Sanitise, split into blocks, print each finished block once and for ever into the scrollback, and
redraw only the open block below it, at a bounded rate and never taller than the screen.
"""

import itertools
import re
import threading
import time
from types import TracebackType
from typing import Any, Self

from rich.markdown import Markdown
from rich.text import Text

from chatrepl.terminal.blocks import Block, BlockSplitter, is_container
from chatrepl.terminal.sanitize import Sanitizer
from chatrepl.terminal.screen import Screen

FRAME = 0.05
"""Seconds between two drawings of the open block, at least."""

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PADDING = re.compile(r"[ ]+$", re.MULTILINE)
# The colours of the terminal's own palette suit a dark and a light background alike. A link's
# target is shown, not hidden behind its text.
_MARKDOWN: dict[str, Any] = {"code_theme": "ansi_dark", "hyperlinks": False}


class MarkdownReply:
    """Renders Markdown block by block. A thread keeps the spinner and the open block moving."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._console = console = screen.out
        self._moving = console.is_terminal and not console.is_dumb_terminal
        self._sanitizer = Sanitizer()
        self._splitter = BlockSplitter()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn: list[int] = []  # widths of the lines of the open block on the screen
        self._drawn_at = 0.0
        self._changed = False
        self._begun = False
        self._gap = False  # a blank line is due before the next block
        self._spinner = itertools.cycle(_SPINNER)

    def __enter__(self) -> Self:
        """Begin with a spinner, until the first piece."""
        if self._moving:
            self._write("\x1b[?25l")
            self._thread = threading.Thread(target=self._keep_moving, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print what is still open as it is."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            blocks = self._splitter.feed(self._sanitizer.flush()) + self._splitter.flush()
            self._draw(blocks, "")
            if self._moving:
                self._write("\x1b[?25h")

    def text(self, piece: str) -> None:
        """Take a piece; draw it now unless the last drawing was a moment ago."""
        with self._lock:
            text = self._sanitizer.feed(piece)
            if not self._begun:
                text = text.lstrip()
                self._begun = bool(text)
            blocks = self._splitter.feed(text)
            self._changed = True
            if blocks or time.monotonic() - self._drawn_at >= FRAME:
                self._draw(blocks, self._preview())

    def notice(self, line: str) -> None:
        """Print a line above the open block."""
        with self._lock:
            self._replace("", "")
            self._screen.notice(line)
            self._draw([], self._preview())

    def _keep_moving(self) -> None:
        while not self._done.wait(FRAME if self._begun else 2 * FRAME):
            with self._lock:
                if self._changed or not self._begun:
                    try:
                        self._draw([], self._preview())
                    except OSError:  # the terminal has gone; the main thread will find out
                        return

    def _preview(self) -> str:
        """Render the open block, or the spinner; no more of it than the screen holds."""
        if not self._moving:
            return ""
        if not self._begun:
            return next(self._spinner)
        height = max(1, self._console.height - 1)
        source = self._splitter.tail(height, self._console.width)
        if not source.strip():
            return ""
        markdown = Markdown(source, **_MARKDOWN)
        lead = "\n" if self._gap and not is_container(markdown.parsed) else ""
        lines = (lead + self._rendered(markdown)).splitlines()
        return "\n".join(lines[-height:])

    def _draw(self, blocks: list[Block], preview: str) -> None:
        parts = []
        for block in blocks:
            markdown = Markdown("", **_MARKDOWN)
            markdown.parsed = block.tokens
            lead = "\n" if self._gap and not is_container(block.tokens) else ""
            parts.append(lead + self._rendered(markdown))
            self._gap = block.tokens[-1].type != "hr"  # rich sets no blank line after a rule
        if blocks and preview:
            preview = self._preview()
        self._replace("".join(parts), preview)
        self._drawn_at = time.monotonic()
        self._changed = False

    def _replace(self, settled: str, preview: str) -> None:
        """Take the open block off the screen, print what is settled, draw the open block again."""
        lines = preview.splitlines()
        self._write(self._erasing() + settled + "\n".join(lines))
        self._drawn = [Text.from_ansi(line).cell_len for line in lines]

    def _erasing(self) -> str:
        if not self._drawn:
            return ""
        # A terminal that became narrower has wrapped the lines that were drawn wider.
        width = self._console.width
        rows = sum(max(1, -(-cells // width)) for cells in self._drawn)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J"

    def _rendered(self, markdown: Markdown) -> str:
        with self._console.capture() as capture:
            self._console.print(markdown)
        return _PADDING.sub("", capture.get())

    def _write(self, text: str) -> None:
        if text:
            self._console.file.write(text)
            self._console.file.flush()
