"""How the blocks of a reply look: as rich shows them, but whole and in parts alike.

rich decides from a whole list or table how wide its first line is. Here that depends on the
beginning alone, so that what is on the screen stays as it is when more comes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from markdown_it.token import Token
from rich import box
from rich import markdown as rich_markdown
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.syntax import Syntax, SyntaxTheme
from rich.table import Table
from rich.text import Text

from chatrepl.terminal.blocks import FIRST_ROWS, Block
from chatrepl.terminal.highlighting import Highlighter
from chatrepl.terminal.wrapping import Flowing


@dataclass(slots=True)
class Growth:
    """What has been decided about a block that is shown in parts, and is not shown yet."""

    code: Highlighter | None = None
    widths: list[int] = field(default_factory=list)  # of a table's columns
    room: int = 0  # the width of the screen that they were made for
    line: Text | None = None  # the last one of a paragraph, which may become longer


class Markdown(rich_markdown.Markdown):
    """A block, or a part of one; `growth` belongs to all the parts of a block.

    Code has the `colours`. A part that is only `previewed` shows what is held back otherwise, and
    decides nothing.
    """

    def __init__(
        self,
        block: Block,
        growth: Growth,
        colours: SyntaxTheme,
        before: Iterable[Token] = (),
        *,
        previewed: bool = False,
    ) -> None:
        # Not rich's: it would make a parser.
        self.parsed = [*before, *block.tokens]
        self.block = block
        self.growth = growth
        self.previewed = previewed
        self.markup = block.source
        self.code_theme: Any = colours  # for Syntax, which takes more than a name
        self.inline_code_lexer = self.justify = None
        self.inline_code_theme = ""  # for that lexer
        self.style = "none"
        self.hyperlinks = False  # a link's target is shown, not hidden behind its text

    def is_part(self, token: Token) -> bool:
        """Tell whether a token begins the block itself, and that is not whole."""
        return token is self.block.tokens[0] and not (self.block.begins and self.block.ends)


class _List(rich_markdown.ListElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        for number, item in enumerate(self.items, self.list_start or 0):
            yield from item.render_number(console, options, number, max(number, 10))


class _Part(rich_markdown.MarkdownElement):
    """An element that knows the part of a block that it is `within`; None for a whole one.

    One that `stands_alone` is no part of a list or a quote: a blank line sets it off already.
    """

    within: Markdown | None = None
    stands_alone = False

    @classmethod
    def create(cls, markdown: Any, token: Token) -> Any:
        made = super().create(markdown, token)
        assert isinstance(made, cls)
        made.within = markdown if markdown.is_part(token) else None
        made.stands_alone = not token.level
        return made


class _Paragraph(_Part, rich_markdown.Paragraph):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.within is None:
            self.text = Flowing.of(self.text)
            yield from super().__rich_console__(console, options)
            return
        growth, text = self.within.growth, self.text
        if growth.line is not None:
            line = growth.line.copy()
            text = line.append(" ").append_text(text) if text else line
        if self.within.block.ends or self.within.previewed:
            yield Flowing.of(text)
            return
        *lines, growth.line = Flowing.of(text).wrap(console, options.max_width, justify="default")
        yield from lines


class _Code(_Part, rich_markdown.CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.within is None:
            code = str(self.text).rstrip()
            padding = (0, 1) if self.stands_alone else 1
            yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=padding)
            return
        block, growth = self.within.block, self.within.growth
        colours = self.within.code_theme
        code, highlighter = str(self.text), growth.code or Highlighter(self.lexer_name, colours)
        if self.within.previewed:
            lines = highlighter.preview(code)
        else:
            growth.code = highlighter
            lines = highlighter.add(code)
            lines += highlighter.rest() if block.ends else []
        for line in lines:
            yield Padding(line, (0, 1))


class _Cell:
    """A cell of a table's header, which notes how wide it is made."""

    def __init__(self, text: Text, widths: dict[int, int], column: int) -> None:
        self._text = text
        self._widths = widths
        self._column = column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self._widths[self._column] = options.max_width
        yield self._text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._text)


class _Table(_Part, rich_markdown.TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        within = self.within
        begins = within is None or within.block.begins
        growth = Growth() if within is None or begins else within.growth
        decides = within is not None and not within.previewed
        widths = growth.widths
        # On a screen that has become narrower they would be a letter or two.
        is_narrower = options.max_width < growth.room
        if is_narrower or (not widths and (decides or len(rows) > FIRST_ROWS)):
            widths = self._widths(rows, console, options)
        if within is not None and decides:
            within.growth.widths, within.growth.room = widths, options.max_width
        lines = console.render_lines(self._grid(rows, widths), options, pad=False)
        if not begins:
            lines = lines[len(console.render_lines(self._grid([], widths), options)) - 1 :]
        elif self.stands_alone:
            lines = lines[1:]
        if self.stands_alone:
            lines = lines[:-1]
        for line in lines:
            yield from line
            yield Segment.line()

    def _widths(
        self, rows: list[list[Text]], console: Console, options: ConsoleOptions
    ) -> list[int]:
        """Tell how wide the columns are, each without its padding."""
        noted: dict[int, int] = {}
        console.render_lines(self._grid(rows[:FIRST_ROWS], noted=noted), options)
        return [noted[column] for column in sorted(noted)]

    def _grid(
        self,
        rows: list[list[Text]],
        widths: list[int] | None = None,
        noted: dict[int, int] | None = None,
    ) -> Table:
        """Make the table as rich does, with columns of some widths or of those it needs."""
        made = Table(box=box.SIMPLE, pad_edge=False, style="markdown.table.border")
        made.collapse_padding = True
        for number, cell in enumerate(self._header()):
            heading = cell.copy()
            heading.stylize("markdown.table.header")
            content = heading if noted is None else _Cell(heading, noted, number)
            # Not rich's way, which cuts a word that is wider than its column.
            made.add_column(content, width=widths[number] if widths else None, overflow="fold")
        for row in rows:
            made.add_row(*row)
        return made

    def _header(self) -> Iterator[Text]:
        row = self.header.row if self.header else None
        return (cell.content for cell in (row.cells if row else ()))


Markdown.elements = {
    **rich_markdown.Markdown.elements,
    "paragraph_open": _Paragraph,
    "fence": _Code,
    "code_block": _Code,
    "bullet_list_open": _List,
    "ordered_list_open": _List,
    "table_open": _Table,
}
