"""A bill as a page: what it says, and that nothing of it runs or loads in a real browser."""

import re
from decimal import Decimal
from pathlib import Path

from chatrepl.chat.bill import Bar, Bill, Row, together
from chatrepl.chat.costs import Total
from chatrepl.chat.usage import Usage
from chatrepl.store.bill_page import bill_page
from tests.store import test_export_browser as browsing
from tests.store.test_export_browser import BREAKS, LOADS, PROBE, RUNS, Browser
from tests.support.loopback import Loopback

DEAR = Total(3, Usage(1000, 200), Decimal("1.5"))
CHEAP = Total(1, Usage(10, 2), Decimal("0.0004"), estimated=1)
UNKNOWN = Total(2, Usage(10, 2), unpriced=2)


def bill(*names: str | None, days: int = 4) -> Bill:
    totals = [DEAR, Total(), UNKNOWN, CHEAP, *[Total()] * (days - 4)]
    bars = [Bar(f"day {place}", f"day {place}", each) for place, each in enumerate(totals)]
    total = together(totals)
    rows = tuple(Row(("abcdef", name), total) for name in names)
    return Bill("session", "2026-11-01", rows, tuple(bars), total, (("<i>", "</title>"),))


def test_a_page_has_two_charts_whose_bars_say_what_they_are() -> None:
    page = bill_page(bill("A title", None))
    costs, requests = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"', costs)]
    assert heights == [1, 0.01, 0.01]
    assert re.findall("<title>(.*?)</title>", costs) == [
        *("day 0: $1.50", "day 2: unknown", "day 3: ≈$0.0004")
    ]
    assert re.findall(r'class="none" x="([\d.]+)"', costs) == ["2.1"]
    assert [float(height) for height in re.findall(r'height="([\d.]+)"', requests)] == [
        *(1, 0.6667, 0.3333)
    ]
    assert (
        'aria-label="Cost by day, day 0 to day 3: ≈$1.50 + ? in all; most on day 0: $1.50."' in page
    )
    assert "2 of 6 requests have no price (&lt;/title&gt; at &lt;i&gt;)" in page
    assert "deleted or not saved" in page
    assert "· ≈$1.50\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}?</p>" in page, "a cost stays in one line"


def test_a_page_of_many_days_has_bars_of_weeks() -> None:
    page = bill_page(bill("A title", days=93))
    assert 'viewBox="0 0 14 1"' in page
    assert "highest bar: $1.50" in page


def test_a_page_of_nothing_says_so() -> None:
    page = bill_page(Bill("day", None, (), (), Total()))
    assert "<title>Usage, of all time</title>" in page
    assert "Nothing was asked" in page
    assert "<svg" not in page


@browsing.pytestmark
def test_nothing_in_a_page_of_a_bill_runs_or_loads(tmp_path: Path, server: Loopback) -> None:
    browser = Browser(tmp_path, server)
    parts = [*RUNS.values(), *LOADS.values(), *BREAKS]
    page = bill_page(bill(*(browser.filled("it", part) for part in parts)))
    seen = browser.load(re.sub("<meta http-equiv=.Content[^>]*>", "", page) + PROBE)
    assert int(seen.told("probed")) > len(parts) * 8
    assert (seen.ran, seen.asked) == (set(), set())
