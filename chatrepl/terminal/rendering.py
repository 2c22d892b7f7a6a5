"""Rendering a reply as Markdown while it streams.

Sanitise, split into blocks, print each finished block once and for ever into the scrollback, and
redraw only the open block below it, at a bounded rate and no more of it than a few lines.
"""

import itertools
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console
from rich.syntax import SyntaxTheme
from rich.text import Text

from chatrepl.terminal.blocks import Block, BlockSplitter, new_parser
from chatrepl.terminal.drawing import Drawing
from chatrepl.terminal.elements import Growth, Markdown
from chatrepl.terminal.highlighting import colours_of
from chatrepl.terminal.replies import THINKING
from chatrepl.terminal.sanitize import Sanitizer, clean
from chatrepl.terminal.screen import Screen

FRAME = 0.05
"""Seconds between two drawings of the open block, at least."""

_TALL = 10
"""Lines of the open block that are drawn at most; the others are drawn when they are final."""

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PADDING = re.compile(r"(?:\x1b\[[0-9;]*m|[ ])*[ ](?:\x1b\[0m)?$", re.MULTILINE)
_ABOVE = MarkdownIt().parse("above")


def render(  # noqa: PLR0913 - what a block looks like depends on that much
    console: Console,
    block: Block,
    growth: Growth,
    colours: SyntaxTheme,
    *,
    below: bool,
    top: bool = False,
    previewed: bool = False,
) -> str:
    """Render a block, or a part of one, as it looks in the whole document.

    It begins `below` another one that is set off, or at the `top`. Code has the `colours`. Where
    rich fails on what the parser made of it, its source is shown.
    """
    below = below or not block.begins
    with console.capture() as capture:
        try:
            for token in block.tokens:
                prepare(token)
            before = _ABOVE if below else ()
            console.print(Markdown(block, growth, colours, before, previewed=previewed))
        except Exception:  # noqa: BLE001 - whatever it is, the reply must be read
            above = "above\n\n" if below else ""
            console.print(Text(above + clean(block.source).rstrip("\n")))
    rendered = _PADDING.sub(lambda blanks: "\x1b[0m" * ("m" in blanks[0]), capture.get())
    rendered = rendered.partition("\n")[2] if below else rendered
    if top and block.kind not in {"fence", "code_block"}:
        return rendered.removeprefix("\n")  # rich sets off a list even from nothing
    return rendered if block.begins else rendered.removeprefix("\n")


def render_whole(text: str, screen: Screen) -> str:
    """Render a whole reply, filtered already, as it looks once it has ended."""
    block = Block(text, new_parser().parse(text))
    return render(screen.out, block, Growth(), colours_of(screen.theme.styles), below=False)


def prepare(token: Token) -> None:
    """Filter again: the parser decodes entities and percent signs, in links above all.

    An image becomes a text: rich would show it before the list or the table that it is in.
    """
    if token.type == "image":
        token.type, token.tag, token.children = "text", "", None
        token.content = f"[image: {token.content}] ({token.attrs['src']})"
    token.content = clean(token.content)
    for name, value in token.attrs.items():
        token.attrs[name] = clean(str(value)) if isinstance(value, str) else value
    for child in token.children or ():
        prepare(child)


class MarkdownReply:
    """Renders Markdown block by block.

    On a terminal a thread does all the drawing: pieces that arrive together are drawn together,
    the spinner turns while the main thread waits for the server, and Ctrl-C, which interrupts
    the main thread, never interrupts a drawing. `before` is what the first block begins with.
    """

    def __init__(self, screen: Screen, before: str = "") -> None:
        self._screen = screen
        self._console = console = screen.out
        self._colours = colours_of(screen.theme.styles)
        self._moving = console.is_terminal and not console.is_dumb_terminal
        self._sanitizer = Sanitizer()
        self._splitter = BlockSplitter()
        self._pieces: deque[str] = deque()
        self._come = threading.Event()
        self._done = threading.Event()
        self._drawing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._open = Drawing(console)
        self._growth = Growth()  # of the open block, if it is shown in parts
        self._lead: str | None = ""  # blanks that the reply began with; None once it has begun
        self._below = False  # whether the next block stands below one that rich sets off
        self._top = True  # whether nothing stands above it
        self._spinner = itertools.cycle(_SPINNER)
        self._thinking: Callable[[int], str] | None = None
        if before:
            self._pieces.append(before)

    def __enter__(self) -> Self:
        """Begin with a spinner, until the first piece."""
        self._screen.above = self.notice
        if self._moving:
            self._open.write("\x1b[?25l")
            self._thread = threading.Thread(target=self._keep_drawing, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Print what is still open as it is."""
        try:
            self._done.set()
            self._come.set()
            if self._thread is not None:
                self._thread.join()
            with self._drawing:
                blocks = self._take()
                blocks += self._splitter.feed(self._begun(self._sanitizer.flush()))
                blocks += self._splitter.flush()
                self._draw(blocks, moving=False)
        finally:  # Ctrl-C a second time
            self._screen.above = None
            if self._moving:
                self._open.write("\x1b[?25h")

    def text(self, piece: str) -> None:
        """Take a piece; it is drawn within a moment."""
        self._pieces.append(piece)
        self._come.set()
        if not self._moving:
            self._draw(self._take(), moving=False)

    def think(self, line: Callable[[int], str]) -> None:
        """Show a line beside the spinner, until the first piece."""
        self._thinking = line
        if not self._moving:
            self.notice(THINKING)

    def notice(self, line: str) -> None:
        """Print a line above the open block; may be called from any thread."""
        with self._drawing:
            blocks = self._take()
            self._draw(blocks, moving=False)
            self._screen.say(line)
            # Another thread may come here when the reply has ended in the meantime.
            self._draw([], moving=self._moving and not self._done.is_set())

    def _keep_drawing(self) -> None:
        while not self._done.is_set():
            came = self._come.wait(2 * FRAME if self._lead is not None else None)
            self._come.clear()
            if self._done.is_set():
                return
            start = time.monotonic()
            with self._drawing:
                try:
                    if came or self._lead is not None:
                        self._draw(self._take(), moving=True)
                except Exception:  # noqa: BLE001 - the main thread will meet it at the end
                    return
            self._done.wait(FRAME - (time.monotonic() - start))

    def _take(self) -> list[Block]:
        """Split what has come since the last time, and give the blocks that it has finished."""
        pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
        return self._splitter.feed(self._begun(self._sanitizer.feed("".join(pieces))))

    def _begun(self, text: str) -> str:
        """Leave out the blank lines at the beginning."""
        if self._lead is None:
            return text
        text = self._lead + text
        blank = len(text) - len(text.lstrip())
        if blank == len(text):
            self._lead = text
            return ""
        self._lead = None
        return text[text.rfind("\n", 0, blank) + 1 :]

    def _draw(self, blocks: list[Block], *, moving: bool) -> None:
        """Print the finished blocks where the open one was, and draw that below them."""
        settled = []
        for block in blocks:
            if block.begins:
                self._growth = Growth()
            places = {"below": self._below, "top": self._top}
            settled.append(render(self._console, block, self._growth, self._colours, **places))
            self._top = False
            self._below = block.tokens[-1].type != "hr"
        self._open.show("".join(settled), self._preview() if moving else [])

    def _preview(self) -> list[str]:
        """Render the open block, or the spinner.

        No more of it than a few lines: what a terminal pushes off the screen when its window is
        made smaller can't be taken back.
        """
        if self._lead is not None:
            return [self._wait()]
        height = max(1, min(_TALL, self._console.height // 2))
        block = self._splitter.open_block(height, self._console.width)
        if block is None:
            return []
        growth = self._growth if not block.begins else Growth()
        places = {"below": self._below, "top": self._top}
        text = render(self._console, block, growth, self._colours, **places, previewed=True)
        return text.rstrip("\n").split("\n")[-height:] if text.strip() else []

    def _wait(self) -> str:
        """Give the spinner, and what the model thinks; the last column stays free."""
        spinner, width = next(self._spinner), self._console.width - 3
        if self._thinking is None or width < 1:
            return spinner
        with self._console.capture() as capture:
            line = self._thinking(width)
            self._console.print(Text(line, style="thought"), end="", no_wrap=True, overflow="crop")
        return f"{spinner} {capture.get()}"
