"""What `/usage` shows: the replies of a session, what each used and cost, and who told the price.

For a screen reader, the same in sentences.
"""

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chatrepl.chat.costs import Completion, Spending, Total, total
from chatrepl.terminal.sanitize import clean

_LATEST = 10  # calls that are shown one by one
_ROOMY = 64  # columns

Rows = list[tuple[str, Total]]


def groups(spending: Spending) -> list[Rows]:
    """Give rows, each a name and what it used: the latest calls; replies and summaries; models.

    What is not divided has no rows of its own.
    """
    earlier, latest = spending.completions[:-_LATEST], spending.completions[-_LATEST:]
    calls: Rows = [(f"{len(earlier):,} earlier", total(earlier))] if earlier else []
    number = sum(each.purpose == "reply" for each in earlier)
    for each in latest:
        number += each.purpose == "reply"
        name = f"reply {number:,}" if each.purpose == "reply" else "summary"
        calls.append((name, total([each])))
    return [calls, _divided(spending, _purpose), _divided(spending, _model)]


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
    names = ["prompt", "cached", "reply", "reasoning", "cost"]
    counts = [0, 1, 2, 3, 4] if width >= _ROOMY else [0, 2, 4]
    gap = 2 if width >= _ROOMY else 1
    grid = Table(box=None, padding=(0, gap, 0, 0), header_style="faint", pad_edge=False)
    grid.add_column("", overflow="fold")
    for count in counts:
        grid.add_column(names[count], justify="right", overflow="fold")
    for rows in [*groups(spending), [("total", spending.total)]]:
        for name, used in rows:
            cells = _cells(used)
            grid.add_row(Text(name, style="name"), *(Text(cells[count]) for count in counts))
        if rows:
            grid.add_row()
    return grid


def _cells(used: Total) -> list[str]:
    about, usage = "≈" if used.estimated else "", used.usage
    return [
        f"{about}{usage.prompt_tokens:,}",
        f"{usage.cached_tokens:,}",
        f"{about}{usage.completion_tokens:,}",
        f"{usage.reasoning_tokens:,}",
        used.written,
    ]


def in_sentences(spending: Spending) -> Iterator[str]:
    """Give the same as sentences."""
    for rows in [*groups(spending), [("total", spending.total)]]:
        for name, used in rows:
            prompt, cached, reply, reasoning, cost = _cells(used)
            yield (
                f"{name}: {prompt} prompt tokens, {cached} of them cached, {reply} reply tokens, "
                f"{reasoning} of them reasoning, cost {cost}"
            )


def remarks(spending: Spending) -> Iterator[str]:
    """Say who told the prices, what has none, and what is our own count."""
    used = spending.total
    told = dict.fromkeys(each.priced_by for each in spending.completions if each.priced_by)
    if told:
        yield f"prices by {', '.join(_SOURCES.get(by, by) for by in told)}"
    if used.unpriced:
        unknown = dict.fromkeys(
            clean(each.model) for each in spending.completions if each.cost is None
        )
        names = ", ".join(unknown)
        what = "1 call has" if used.unpriced == 1 else f"{used.unpriced:,} calls have"
        yield (
            f'{what} no known price ({names}): set prices under [models."NAME"] in the '
            "config file, for what is said from then on"
        )
    if used.estimated:
        yield "≈ is our own count: the server told none, or the reply was stopped"


_SOURCES = {
    "config": "the config file",
    "server": "the server",
    "embedded": "nobody: the embedded model costs nothing",
}
