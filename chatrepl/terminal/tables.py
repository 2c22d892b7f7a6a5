"""Tables that the program shows: quiet ones, without boxes."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from chatrepl.terminal.sanitize import clean


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Give two columns: a term, and what is said of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for term, words in rows:
        table.add_row(Text(clean(term), style="name"), Text(clean(words)))
    return table
