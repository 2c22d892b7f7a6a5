"""A bill as one HTML page that stands alone: two charts and a table, for screen and paper."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape

from chatrepl.chat.bill import (
    COLUMNS,
    NAMELESS,
    NAMES,
    Bar,
    Bill,
    Row,
    bunched,
    cells,
    days_a_bar,
    remarks,
    span,
)
from chatrepl.chat.costs import Total, dollars
from chatrepl.store.frame import framed
from chatrepl.store.sections import one_line

_MOST_BARS = 92  # a quarter of a year by days; on a telephone each has some pixels


def bill_page(bill: Bill) -> str:
    """Give the whole page. It names no file of this machine: it may be shown to others."""
    about = "Nothing was asked in this time."
    main = ""
    if bill.days:
        used = bill.total.usage.total_tokens
        cost = bill.total.written.replace(" ", "\N{NO-BREAK SPACE}")
        about = f"{bill.total.completions:,} requests · {used:,} tokens · {cost}"
        main = "".join(
            [
                _chart("Cost", bill, lambda total: total.cost, lambda total: total.written),
                _chart("Requests", bill, _requests, lambda total: f"{total.completions:,}"),
                *(
                    f"<p>{escape(one_line(line))}</p>\n"
                    for line in remarks(bill.total, bill.unpriced, "the config file")
                ),
                _table(bill.by, NAMES[bill.by], bill.rows, bill.total),
            ]
        )
        if bill.by != "day":  # what the charts show, for whoever can't see them
            days = [Row((day.first,), day.total) for day in bill.days if day.total.completions]
            main += _table("day", NAMES["day"], days, bill.total)
    since = f"since {bill.since}" if bill.since else "of all time"
    when = span(bill.days) if bill.days else since
    return framed(f"Usage, {when}", about, main, _STYLE)


def _requests(total: Total) -> Decimal:
    return Decimal(total.completions)


def _chart(
    what: str, bill: Bill, height: Callable[[Total], Decimal], shown: Callable[[Total], str]
) -> str:
    """Draw a bar for each day, or for some days together, with what each of them says."""
    bars = bunched(bill.days, days_a_bar(len(bill.days), _MOST_BARS))
    most = max(height(bar.total) for bar in bars)
    each = "day" if bars[-1].first == bars[-1].last else "bar"
    top = dollars(most) if what == "Cost" else f"{most:,}"
    highest = next(bar for bar in bars if height(bar.total) == most)
    said = f"{what} by day, {span(bill.days)}: {shown(bill.total)} in all; "
    said += f"most on {span([highest])}: {shown(highest.total)}."
    return (
        f"<figure>\n<figcaption><b>{what}</b> <span>highest {each}: {escape(top)}</span>"
        f'</figcaption>\n<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {len(bars)} 1" '
        f'preserveAspectRatio="none">\n'
        + "".join(
            _bar(place, bar, height(bar.total) / most if most else Decimal(0), shown(bar.total))
            for place, bar in enumerate(bars)
            if bar.total.completions
        )
        + f'</svg>\n<p class="axis"><span>{bars[0].first}</span>'
        + (f"<span>{bars[-1].last}</span>" if len(bill.days) > 1 else "")
        + "</p>\n</figure>\n"
    )


def _bar(place: int, bar: Bar, share: Decimal, shown: str) -> str:
    """Draw a bar; one of no height, as where the price is not known, is a line on the ground."""
    tall = max(float(share), 0.01)
    kind = "" if share else ' class="none"'
    return (
        f'<rect{kind} x="{place + 0.1:.1f}" y="{1 - tall:.4f}" width="0.8" height="{tall:.4f}">'
        f"<title>{escape(span([bar]))}: {escape(shown)}</title></rect>\n"
    )


def _table(by: str, names: Sequence[str], rows: Sequence[Row], total: Total) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    head += "".join(f'<th scope="col" class="n">{name}</th>' for name in COLUMNS)
    lines = "".join(f"<tr>{_names(names, row)}{_cells(row.total)}</tr>\n" for row in rows)
    across = f' colspan="{len(names)}"' if len(names) > 1 else ""
    return (
        f'<h2>By {by}</h2>\n<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f'<tbody>\n{lines}</tbody>\n<tfoot><tr><th scope="row"{across}>total</th>{_cells(total)}'
        "</tr></tfoot>\n</table></div>\n"
    )


def _names(names: Sequence[str], row: Row) -> str:
    """Give the cells of a row's names; a day is one word."""
    kind = ' class="day"' if names == NAMES["day"] else ""
    shown = [one_line(name or NAMELESS[head]) for head, name in zip(names, row.names, strict=True)]
    return "".join(f'<td{kind} dir="auto">{escape(name)}</td>' for name in shown)


def _cells(total: Total) -> str:
    return "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells(total).values())


_STYLE = """\
figure { margin: 0 0 1.5rem; break-inside: avoid; }
figcaption, .axis { display: flex; justify-content: space-between; gap: 1rem; }
figcaption span, .axis { color: var(--dim); font-size: .85rem; }
svg {
  display: block; width: 100%; height: 10rem; margin-top: .4rem;
  border-bottom: 1px solid var(--line);
}
rect { fill: var(--link); }
rect.none { fill: var(--dim); }
.axis { margin: .3rem 0 0; }
h2 { margin-top: 1.5rem; }
table { font-size: .85rem; }
th, td { padding: .25rem .4rem; }
.n, .day { white-space: nowrap; font-variant-numeric: tabular-nums; }
.n { text-align: end; }
td:not(.n) { min-width: 5rem; }
td:not(.n):not(.day) { overflow-wrap: anywhere; }
tfoot { font-weight: bold; }
@media screen and (max-width: 40rem) { /* requests and cost, as on a narrow terminal */
  tr > .n:nth-last-child(n+2):nth-last-child(-n+5) { display: none; }
  th, td { padding: .25rem; }
  td:not(.n) { min-width: 4rem; }
}
"""
