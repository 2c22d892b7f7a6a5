"""Tables that the program shows: quiet ones, without boxes; a screen reader gets lines."""

from collections.abc import Iterable

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

_READABLE = 20  # columns that what is said of a term must have beside it


def show_pairs(rows: Iterable[tuple[str, str]], screen: Screen) -> None:
    """Show terms and what is said of each: side by side, or one below the other."""
    rows = [(clean(term), clean(words)) for term, words in rows]
    if screen.accessible:
        show_lines((f"{term}: {words}" if term else words for term, words in rows), screen)
    elif max((cell_len(term) for term, _ in rows), default=0) + _READABLE < screen.out.width:
        screen.out.print(pairs(rows))
    else:
        for term, words in rows:
            screen.out.print(Text(term, style="name"))
            screen.out.print(Padding(Text(words), (0, 0, 0, 2)) if words else "", end="")


def show_lines(lines: Iterable[str], screen: Screen) -> None:
    """Show lines, each broken between words where it is too long."""
    for line in lines:
        screen.out.print(Text(clean(line)))


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Give two columns: a term, and what is said of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for term, words in rows:
        table.add_row(Text(clean(term), style="name"), Text(clean(words)))
    return table
