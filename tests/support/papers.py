"""A terminal that is a string, read back as the one behind it would show it."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

import pyte
from markdown_it import MarkdownIt
from pyte import modes
from pyte.screens import Char
from rich.cells import split_graphemes
from rich.console import Console

from chatrepl.terminal.blocks import Block, new_parser
from chatrepl.terminal.elements import Growth, Markdown
from chatrepl.terminal.highlighting import colours_of
from chatrepl.terminal.rendering import MarkdownReply, prepare
from chatrepl.terminal.screen import Screen


class Paper(Screen):
    """A screen whose terminal is a string."""

    def __init__(self, columns: int = 80, lines: int = 24, *, dumb: bool = False) -> None:
        super().__init__()
        self.size = columns, lines
        self.written = io.StringIO()
        self.console = Console(
            file=self.written,
            width=columns,
            height=lines,
            force_terminal=True,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={"TERM": "dumb" if dumb else "xterm-256color"},
        )

    @property
    def out(self) -> Console:
        """The console under test."""
        return self.console

    def say(self, line: str) -> None:
        """Say a line on the same terminal."""
        self.console.print(line)

    @property
    def raw(self) -> str:
        return self.written.getvalue()


Cell = tuple[str, str, str, bool, bool, bool, bool]
Line = list[Cell]


@dataclass
class Shown:
    """What a terminal shows of a text with control sequences."""

    lines: list[str]  # everything, scrolled off or not
    styles: list[Line]  # of each character that is not blank
    cursor: tuple[int, bool]  # its column, and whether it is hidden
    gone: int = 0  # how many of the lines have scrolled off

    def without(self, line: str) -> "Shown":
        """Leave a line out wherever it stands alone, and the blank lines at the end."""
        kept = [n for n, text in enumerate(self.lines) if text != line]
        while kept and not self.lines[kept[-1]]:
            kept.pop()
        lines, styles = [self.lines[n] for n in kept], [self.styles[n] for n in kept]
        return Shown(lines, styles, self.cursor)


class Glass(pyte.HistoryScreen):
    """pyte's screen, with what belongs together (combined, joined) in one cell.

    pyte drops what follows a joiner, and wraps before an accent at the end of a line.
    """

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines, history=100_000, ratio=0.5)
        self.set_mode(modes.LNM)  # a terminal's line discipline adds the carriage return

    def draw(self, data: str) -> None:
        """Put a text at the cursor."""
        cursor, columns = self.cursor, self.columns  # pyte looks its attributes up at a price
        line, (_, *looks) = self.buffer[cursor.y], cursor.attrs
        for text, width in _cells(data):
            if cursor.x + width > columns:
                self.linefeed()
                line = self.buffer[cursor.y]
            line[cursor.x] = Char._make((text, *looks))
            if width == 2:
                line[cursor.x + 1] = Char._make(("", *looks))
            cursor.x += width

    def shown(self) -> Shown:
        """Give all that has been drawn."""
        top = list(self.history.top)
        rows = [
            [row[x] for x in range(max(row, default=-1) + 1)]
            for row in [*top, *(self.buffer[y] for y in range(self.lines))]
        ]
        lines = ["".join(c.data for c in row).rstrip() for row in rows]
        while lines and not lines[-1]:
            lines.pop()
        styles = [[_looks(c) for c in row if c.data.strip()] for row in rows[: len(lines)]]
        cursor = (self.cursor.x, self.cursor.hidden)
        return Shown(lines, styles, cursor, min(len(top), len(lines)))


def _cells(data: str) -> Iterable[tuple[str, int]]:
    if data.isascii():
        return ((character, 1) for character in data)
    spans, _ = split_graphemes(data)
    return ((data[start:end], width) for start, end, width in spans if width)


def _looks(char: Char) -> Cell:
    return (
        char.data,
        char.fg,
        char.bg,
        char.bold,
        char.italics,
        char.underscore,
        char.strikethrough,
    )


def read_back(paper: Paper) -> Shown:
    glass = Glass(*paper.size)
    pyte.Stream(glass).feed(paper.raw)
    return glass.shown()


# As rich parses, but for HTML, which rich leaves out: a reply's List<String> would be "List".
PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


def print_at_once(text: str, paper: Paper) -> None:
    tokens = new_parser().parse(text)
    for token in tokens:
        prepare(token)
    colours = colours_of(paper.theme.styles)
    with paper.console.capture() as capture:
        paper.console.print(Markdown(Block(text, tokens), Growth(), colours))
    is_code = bool(tokens) and tokens[0].type in {"fence", "code_block"}
    # rich sets off a list even where nothing is above it.
    paper.written.write(capture.get() if is_code else capture.get().removeprefix("\n"))


def at_once(text: str, columns: int) -> Shown:
    """What a terminal shows of a whole document that rich renders."""
    paper = Paper(columns)
    print_at_once(text, paper)
    return read_back(paper)


def streamed(text: str, size: int, paper: Paper) -> Shown:
    with MarkdownReply(paper) as reply:
        for start in range(0, len(text), size):
            reply.text(text[start : start + size])
    return read_back(paper)
