"""What /usage shows."""

import io
from decimal import Decimal

import pytest
from rich.console import Console
from rich.theme import Theme

from chatrepl.chat.costs import Completion, Purpose, Spending
from chatrepl.chat.usage import Usage
from chatrepl.terminal.spending import groups, in_sentences, remarks, table


def used(
    prompt: int = 1_204,
    reply: int = 340,
    cost: str | None = "0.0123",
    purpose: Purpose = "reply",
    model: str = "gpt-4",
    *,
    estimated: bool = False,
) -> Completion:
    price = None if cost is None else Decimal(cost)
    by = "" if cost is None else "genai-prices 1"
    return Completion(purpose, Usage(prompt, reply, 1_000, 20), price, by, estimated, model)


def shown(width: int, *completions: Completion) -> list[str]:
    console = Console(file=io.StringIO(), width=width, theme=Theme({"faint": "dim", "name": ""}))
    console.print(table(Spending(list(completions)), width))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    return [" ".join(line.split()) for line in lines if line.strip()]


def test_each_reply_and_the_total() -> None:
    assert shown(80, used(), used(1_000, 60, "0.002")) == [
        "prompt cached reply reasoning cost",
        "reply 1 1,204 1,000 340 20 $0.0123",
        "reply 2 1,000 1,000 60 20 $0.002",
        "total 2,204 2,000 400 40 $0.0143",
    ]


def test_a_narrow_screen_has_the_counts_whole() -> None:
    assert shown(40, used(1_234_567, 123_456), used(estimated=True, cost=None)) == [
        "prompt reply cost",
        "reply 1 1,234,567 123,456 $0.0123",
        "reply 2 ≈1,204 ≈340 unknown",
        "total ≈1,235,771 ≈123,796 ≈$0.0123 + ?",
    ]


def test_summaries_and_models_are_shown_apart() -> None:
    lines = shown(80, used(cost="0.5"), used(cost="0.25", purpose="summary"), used(model="o3"))
    assert [line.partition(" 1,")[0].partition(" 2,")[0].partition(" 3,")[0] for line in lines] == [
        "prompt cached reply reasoning cost",
        *("reply 1", "summary", "reply 2"),
        *("replies", "summaries"),
        *("gpt-4", "o3"),
        "total",
    ]
    assert [line.rpartition(" ")[2] for line in lines[4:]] == [
        *("$0.512", "$0.25"),
        *("$0.75", "$0.0123"),
        "$0.762",
    ]


def test_the_latest_are_shown_and_the_earlier_ones_summed() -> None:
    calls, *others = groups(Spending([used(cost=str(n)) for n in range(1, 16)]))
    assert [name for name, _ in calls] == ["5 earlier", *(f"reply {n}" for n in range(6, 16))]
    assert calls[0][1].cost == 1 + 2 + 3 + 4 + 5
    assert others == [[], []]


def test_what_is_not_known_is_said_and_what_to_do() -> None:
    spending = Spending([used(cost=None, model="mine\x1b[2J"), used(), used(estimated=True)])
    told, unknown, estimated = remarks(spending)
    assert told == "prices by genai-prices 1"
    assert unknown.startswith("1 of 3 requests has no price (mine")
    assert "\x1b" not in unknown
    assert '[models."mine' in unknown
    assert estimated.startswith("1 of 3 requests has no token counts")


@pytest.mark.parametrize("cost", [None, "0"])
def test_nothing_is_remarked_that_is_not_so(cost: str | None) -> None:
    words = " ".join(remarks(Spending([used(cost=cost)])))
    assert ("no price" in words) == (cost is None)
    assert "≈" not in words


def test_in_sentences() -> None:
    first, last = in_sentences(Spending([used()]))
    rest = (
        "1,204 prompt tokens, 1,000 of them cached, 340 reply tokens, 20 of them reasoning, "
        "cost $0.0123"
    )
    assert (first, last) == (f"reply 1: {rest}", f"total: {rest}")
