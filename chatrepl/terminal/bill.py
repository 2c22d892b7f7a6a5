"""How a bill is shown: a table with two charts, lines for a screen reader or a pipe, JSON, CSV."""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from chatrepl.chat.bill import (
    COLUMNS,
    NAMELESS,
    NAMES,
    NUMBERS,
    Bar,
    Bill,
    Row,
    bunched,
    cells,
    days_a_bar,
    numbers,
    together,
)
from chatrepl.chat.costs import Total, dollars
from chatrepl.terminal.charts import BLOCKS, PLAIN, columns
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from rich.table import Table

_NARROW = 40  # columns; below that there is no table
_NAME, _GAP = 10, 2  # columns that the last name must have, and between two columns
_SOME = {"day": 31}  # rows of a table on a terminal that nobody wants to scroll through
_SOME_OTHERS = 20
_HEIGHT, _WIDEST = 6, 6  # lines of a chart, columns of a bar

# The numbers that there is room for: as many as fit.
_CHOICES = (
    COLUMNS,
    ("requests", "prompt", "reply", "cost"),
    ("requests", "cost"),
    ("cost",),
)


def show(bill: Bill, screen: Screen, *, spoken: bool = False) -> None:
    """Print a table and two charts, or into a pipe a line for each row, with tabs between.

    `spoken` asks for sentences, into a pipe too.
    """
    if not (screen.on_terminal or spoken):
        for fields in records(bill):
            print("\t".join(" ".join(clean(field).split()) for field in fields))
        return
    from rich.text import Text  # noqa: PLC0415 - imports most of rich

    rows = _shortened(bill)
    if spoken or screen.accessible or screen.out.width < _NARROW:
        for row in (*rows, Row(("total",), bill.total)):
            words = ", ".join(filter(None, _words(row, bill)))
            said = Text(f"{words}: {_spoken(row.total)}")
            screen.out.print(said, soft_wrap=not screen.on_terminal)
        return
    plain = not _can_show(BLOCKS + "≈│└─", sys.stdout.encoding)
    screen.out.print(_table(bill, rows, screen.out.width, plain=plain))
    for line in _charts(bill, screen.out.width, plain=plain):
        screen.out.print(Text(line), no_wrap=True, overflow="crop")


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _shortened(bill: Bill) -> list[Row]:
    """Give the rows that a terminal shows; those that are left out are one, so that sums hold."""
    rows, most = list(bill.rows), _SOME.get(bill.by, _SOME_OTHERS)
    left = len(rows) - most
    if left <= 1:
        return rows
    ends = rows[:left] if bill.by == "day" else rows[most:]
    others = Row((f"{left:,} {'before' if bill.by == 'day' else 'more'}",), _sum(ends))
    return [others, *rows[left:]] if bill.by == "day" else [*rows[:most], others]


def _sum(rows: Iterable[Row]) -> Total:
    return together(row.total for row in rows)


def _words(row: Row, bill: Bill) -> list[str]:
    """Give a row's names as a person reads them; those of no session in particular come last."""
    names = [" ".join(clean(name).split()) for name in row.names if name is not None]
    names = names or [NAMELESS[NAMES[bill.by][-1]]]
    return [""] * (len(NAMES[bill.by]) - len(names)) + names


def _spoken(total: Total) -> str:
    """Say a total in words."""
    usage, about = total.usage, "about " if total.estimated else ""
    requests = "1 request" if total.completions == 1 else f"{total.completions:,} requests"
    return (
        f"{requests}, {about}{usage.prompt_tokens:,} prompt tokens "
        f"({usage.cached_tokens:,} cached), {about}{usage.completion_tokens:,} reply tokens "
        f"({usage.reasoning_tokens:,} reasoning), {_spoken_cost(total)}"
    )


def _spoken_cost(total: Total) -> str:
    if total.unpriced and total.unpriced == total.completions:
        return "cost unknown"
    about = "about " if total.estimated else ""
    return f"{'at least ' if total.unpriced else ''}{about}{dollars(total.cost)}"


def _table(bill: Bill, rows: Sequence[Row], width: int, *, plain: bool) -> "Table":
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    heads = NAMES[bill.by]
    lines = [(_words(row, bill), cells(row.total)) for row in rows]
    lines.append(([*[""] * (len(heads) - 1), "total"], cells(bill.total)))
    taken = [
        max([cell_len(head), *(cell_len(names[place]) for names, _ in lines)]) + _GAP
        for place, head in enumerate(heads)
    ]
    widths = {
        name: max([len(name), *(cell_len(counts[name]) for _, counts in lines)]) + _GAP
        for name in COLUMNS
    }
    for chosen in _CHOICES:
        room = width - sum(taken[:-1]) - sum(widths[name] for name in chosen)
        if room >= min(_NAME, taken[-1] - _GAP):
            break
    table = Table(
        box=None, padding=(0, _GAP, 0, 0), header_style="faint", pad_edge=False, expand=False
    )
    overflow: Any = "crop" if plain else "ellipsis"
    for head in heads:
        most = max(room, 1) if head == heads[-1] else None
        table.add_column(head, no_wrap=True, overflow=overflow, max_width=most)
    for name in chosen:
        table.add_column(name, justify="right", no_wrap=True)
    for place, (names, counts) in enumerate(lines):
        style = "name" if place == len(rows) else ""
        shown = [*names, *(counts[name] for name in chosen)]
        table.add_row(*(Text(_ascii(cell) if plain else cell) for cell in shown), style=style)
    return table


def _ascii(text: str) -> str:
    return text.replace("≈", "~").replace("…", "...")


def _charts(bill: Bill, width: int, *, plain: bool) -> list[str]:
    """Draw what every day cost, and below it how much was asked, day under day."""
    if not bill.days:
        return []
    size, bars = 1, list(bill.days)
    while len(bars) > (room := max(width - _gutter(bars) - 2, 1)):  # of some days, more is the most
        size = days_a_bar(len(bill.days), min(room, len(bars) - 1))
        bars = bunched(bill.days, size)
    by = {1: "by day", 7: "by week"}.get(size, f"by {size} days")
    form = (min(_WIDEST, room // len(bars)), _gutter(bars), plain)
    lines = [
        "",
        f"cost {by}: {bill.total.written}",
        *_chart(bars, [_cost(bar.total) for bar in bars], _top_cost(bars), *form),
        "",
        f"requests {by}: {bill.total.completions:,}",
        *_chart(bars, [bar.total.completions for bar in bars], _top_requests(bars), *form),
    ]
    return [_ascii(line) for line in lines] if plain else lines


def _cost(total: Total) -> float | None:
    return None if total.unpriced and not total.cost else float(total.cost)


def _top_cost(bars: Sequence[Bar]) -> str:
    return dollars(max(bar.total.cost for bar in bars))


def _top_requests(bars: Sequence[Bar]) -> str:
    return f"{max(bar.total.completions for bar in bars):,}"


def _gutter(bars: Sequence[Bar]) -> int:
    """Give how many columns stand left of both charts: those of the longer of their labels."""
    return max(len(_top_cost(bars)), len(_top_requests(bars)))


def _chart(  # noqa: PLR0913, PLR0917 - what is drawn, and how
    bars: Sequence[Bar],
    values: Sequence[float | None],
    top: str,
    cell: int,
    gutter: int,
    plain: bool,
) -> list[str]:
    """Draw a chart: the highest value on its left, from when to when below."""
    most = max(value or 0 for value in values) or 1
    shares = [None if value is None else value / most for value in values]
    drawn = columns(shares, cell, _HEIGHT, PLAIN if plain else BLOCKS)
    upright, corner, line = "|+-" if plain else "│└─"
    wide = cell * len(bars)
    first, last = bars[0].first, bars[-1].last
    ends = first if first == last else first.ljust(max(wide - len(last), len(first) + 1)) + last
    right = [*(upright + row for row in drawn), corner + line * wide, f" {ends}"]
    left = [top, *[""] * (len(right) - 1)]
    return [f"{a:>{gutter}} {b}".rstrip() for a, b in zip(left, right, strict=True)]


def records(bill: Bill) -> list[list[str]]:
    """Give the rows for other programs: plain numbers, and nothing for what is not known."""
    return [
        [
            *(name or "" for name in row.names),
            *("" if value is None else str(value) for value in numbers(row.total).values()),
        ]
        for row in bill.rows
    ]


def as_csv(bill: Bill) -> str:
    """Give a bill as comma-separated values, with a line of names above."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*NAMES[bill.by], *NUMBERS])
    writer.writerows(records(bill))
    return text.getvalue()


def as_dict(bill: Bill) -> dict[str, Any]:
    """Give a bill as a JSON object."""
    return {
        "by": bill.by,
        "since": bill.since,
        "until": bill.until,
        "rows": [
            dict(zip(NAMES[bill.by], row.names, strict=True)) | numbers(row.total)
            for row in bill.rows
        ],
        "total": numbers(bill.total),
    }
