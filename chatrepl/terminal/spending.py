"""What `/usage` shows: the requests of a session, what each used and cost, who told the price.

For a screen reader, the same in sentences.
"""

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chatrepl.chat.bill import COLUMNS, cells
from chatrepl.chat.bill import remarks as unknowns
from chatrepl.chat.costs import Completion, Spending, Total, total
from chatrepl.terminal.sanitize import clean

_LATEST = 10  # requests that are shown one by one
_ROOMY = 64  # columns
_COUNTS = COLUMNS[1:]  # each row but the total is one request
_FEW = ("prompt", "reply", "cost")

Rows = list[tuple[str, Total]]


def groups(spending: Spending) -> list[Rows]:
    """Give rows, each a name and what it used: the latest requests; replies and summaries; models.

    What is not divided has no rows of its own.
    """
    earlier, latest = spending.completions[:-_LATEST], spending.completions[-_LATEST:]
    requests: Rows = [(f"{len(earlier):,} earlier", total(earlier))] if earlier else []
    number = sum(each.purpose == "reply" for each in earlier)
    for each in latest:
        number += each.purpose == "reply"
        name = f"reply {number:,}" if each.purpose == "reply" else "summary"
        requests.append((name, total([each])))
    return [requests, _divided(spending, _purpose), _divided(spending, _model)]


def _purpose(completion: Completion) -> str:
    return "replies" if completion.purpose == "reply" else "summaries"


def _model(completion: Completion) -> str:
    return clean(completion.model)


def _divided(spending: Spending, by: Callable[[Completion], str]) -> Rows:
    parts: dict[str, Total] = {}
    for each in spending.completions:
        parts[by(each)] = parts.get(by(each), Total()).plus(each)
    return list(parts.items()) if len(parts) > 1 else []


def table(spending: Spending, width: int) -> RenderableType:
    """Give the table, at most `width` columns wide; a narrow one leaves out parts of the counts."""
    counts = _COUNTS if width >= _ROOMY else _FEW
    gap = 2 if width >= _ROOMY else 1
    grid = Table(box=None, padding=(0, gap, 0, 0), header_style="faint", pad_edge=False)
    grid.add_column("", overflow="fold")
    for count in counts:
        grid.add_column(count, justify="right", overflow="fold")
    for rows in [*groups(spending), [("total", spending.total)]]:
        for name, used in rows:
            shown = cells(used)
            grid.add_row(Text(name, style="name"), *(Text(shown[count]) for count in counts))
        if rows:
            grid.add_row()
    return grid


def in_sentences(spending: Spending) -> Iterator[str]:
    """Give the same as sentences."""
    for rows in [*groups(spending), [("total", spending.total)]]:
        for name, used in rows:
            _, prompt, cached, reply, reasoning, cost = cells(used).values()
            yield (
                f"{name}: {prompt} prompt tokens, {cached} of them cached, {reply} reply tokens, "
                f"{reasoning} of them reasoning, cost {cost}"
            )


def remarks(spending: Spending) -> Iterator[str]:
    """Say who told the prices, what has none, and what is our own count."""
    told = dict.fromkeys(each.priced_by for each in spending.completions if each.priced_by)
    if told:
        yield f"prices by {', '.join(_SOURCES.get(by, by) for by in told)}"
    unpriced = dict.fromkeys(
        (clean(each.provider), clean(each.model))
        for each in spending.completions
        if each.cost is None
    )
    yield from unknowns(spending.total, list(unpriced), "the config file")


_SOURCES = {
    "config": "the config file",
    "server": "the server",
    "embedded": "nobody: the embedded model costs nothing",
}
