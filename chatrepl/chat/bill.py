"""A bill: what completions used and cost together, by day and by whatever else is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Literal

from chatrepl.chat.costs import Total, in_full
from chatrepl.chat.usage import Usage

By = Literal["day", "model", "session", "persona"]
"""What a bill may be drawn up by."""

NAMES: dict[By, tuple[str, ...]] = {
    "day": ("day",),
    "model": ("provider", "model"),
    "session": ("session", "title"),
    "persona": ("persona",),
}
"""What names a row of a bill."""

NAMELESS = {"session": "–", "title": "deleted or not saved", "persona": "none"}
"""What to show in the place of a name that is None."""

NUMBERS = (
    *("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"),
    *("cost", "unpriced", "estimated"),
)
"""The numbers of a row, for other programs: see `numbers`."""


COLUMNS = ("requests", "prompt", "cached", "reply", "reasoning", "cost")
"""The numbers of a row, for people: see `cells`."""


@dataclass(frozen=True, slots=True)
class Row:
    """The completions that have the same names, together."""

    names: tuple[str | None, ...]
    total: Total


@dataclass(frozen=True, slots=True)
class Bar:
    """Some days in a row together: `first` and `last` are dates, YYYY-MM-DD."""

    first: str
    last: str
    total: Total


@dataclass(frozen=True, slots=True)
class Bill:
    """What completions used and cost since a day, or ever: `since` and `until` are dates or None.

    `days` has every day of that time up to today or `until`, used or not; `unpriced` who
    answered where no price was known, as (provider, model).
    """

    by: By
    since: str | None
    rows: tuple[Row, ...]
    days: tuple[Bar, ...]
    total: Total
    unpriced: tuple[tuple[str, str], ...] = ()
    until: str | None = None


def together(totals: Iterable[Total]) -> Total:
    """Sum totals up."""
    found = list(totals)
    return Total(
        sum(each.completions for each in found),
        reduce(add, (each.usage for each in found), Usage()),
        sum((each.cost for each in found), Decimal(0)),
        sum(each.unpriced for each in found),
        sum(each.estimated for each in found),
    )


def bunched(days: Sequence[Bar], size: int) -> list[Bar]:
    """Put `size` days together in each bar; the last one ends on the last day."""
    ends = range(len(days) % size or size, len(days) + size, size) if days else ()
    bunches = [days[max(0, end - size) : end] for end in ends]
    return [
        Bar(each[0].first, each[-1].last, together(day.total for day in each)) for each in bunches
    ]


def days_a_bar(days: int, most: int) -> int:
    """Say how many days a bar stands for, where there may be no more than `most`: 1, or weeks.

    >>> days_a_bar(30, 30), days_a_bar(31, 30), days_a_bar(365, 30)
    (1, 7, 14)
    """
    size = -(-days // max(most, 1))
    return 1 if size <= 1 else -(-size // 7) * 7


def span(days: Sequence[Bar]) -> str:
    """Say from when to when."""
    first, last = days[0].first, days[-1].last
    return first if first == last else f"{first} to {last}"


def numbers(total: Total) -> dict[str, int | str | None]:
    """Give a total as other programs get it, by NUMBERS.

    The cost is a decimal number of US dollars, exact, of what has a price; None if nothing has.
    """
    usage, unknown = total.usage, total.completions and total.unpriced == total.completions
    values = (
        *(total.completions, usage.prompt_tokens, usage.cached_tokens),
        *(usage.completion_tokens, usage.reasoning_tokens),
        None if unknown else in_full(total.cost),
        *(total.unpriced, total.estimated),
    )
    return dict(zip(NUMBERS, values, strict=True))


def cells(total: Total) -> dict[str, str]:
    """Give a total as people read it in a table, by COLUMNS: ≈ marks what is our own count."""
    usage, about = total.usage, "≈" if total.estimated else ""
    values = (
        f"{total.completions:,}",
        f"{about}{usage.prompt_tokens:,}",
        f"{usage.cached_tokens:,}",
        f"{about}{usage.completion_tokens:,}",
        f"{usage.reasoning_tokens:,}",
        total.written,
    )
    return dict(zip(COLUMNS, values, strict=True))


def remarks(total: Total, unpriced: Sequence[tuple[str, str]], config: object) -> list[str]:
    """Say what a sum doesn't: that prices or counts were missing.

    `unpriced` is who answered where there is no price, as (provider, model); `config` the config
    file. Nobody wrote down why there is none: the request may be older than the keeping of costs.
    """
    found = []
    if total.unpriced:
        some = ", ".join(f"{model} at {provider}" for provider, model in unpriced[:3])
        more = f" and {len(unpriced) - 3:,} more" if len(unpriced) > 3 else ""
        name = unpriced[0][1] if len(unpriced) == 1 else "NAME"
        found.append(
            f"{_of(total.unpriced, total.completions)} no price ({some}{more}) and "
            f"{'is' if total.unpriced == 1 else 'are'} not in the sums: from before costs were "
            f'kept, or of a model whose price is not known. [models."{name}"] prices in {config} '
            "sets one for later requests."
        )
    if total.estimated:
        has = _of(total.estimated, total.completions)
        found.append(f"{has} no token counts from the server: ≈ marks our own.")
    return found


def _of(some: int, of: int) -> str:
    return f"{some:,} of {of:,} requests {'has' if some == 1 else 'have'}"
