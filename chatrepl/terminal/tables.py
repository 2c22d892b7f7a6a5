"""Tables that the program shows: quiet ones, without boxes; a screen reader gets lines."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen


def show_pairs(rows: Iterable[tuple[str, str]], screen: Screen) -> None:
    """Show terms and what is said of each, side by side or one after the other."""
    if screen.accessible:
        show_lines((f"{term}: {words}" if term else words for term, words in rows), screen)
    else:
        screen.out.print(pairs(rows))


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
        table.add_row(Text(clean(term), style="bold"), Text(clean(words)))
    return table
