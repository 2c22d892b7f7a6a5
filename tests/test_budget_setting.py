"""The setting `budget`: what an amount may be, and what is said of one that is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.amounts import Amount, read_amount
from chatrepl.config import Budget
from tests.test_settings import refusal, resolve


@pytest.mark.parametrize(
    ("written", "dollars"),
    [
        *((5, "5"), (2.5, "2.5"), (0.1, "0.1"), (1e-05, "0.00001"), ("$2.50", "2.50")),
        *(("2.50 USD", "2.50"), ("$ .5", "0.5"), ("0.5usd", "0.5")),
    ],
)
def test_an_amount_of_dollars(written: object, dollars: str) -> None:
    assert read_amount(written) == Amount(Decimal(dollars))


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        *(("200000 tokens", 200_000), ("200_000 tokens", 200_000), ("200k tokens", 200_000)),
        *(("2M tokens", 2_000_000), ("1.5m tokens", 1_500_000), ("1 token", 1)),
    ],
)
def test_an_amount_of_tokens(written: str, tokens: int) -> None:
    assert read_amount(written) == Amount(Decimal(tokens), in_tokens=True)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "2.50",
            "$2.50 USD",
            "",
            "five",
            "5 EUR",
            "5 dollars",
            "$5 tokens",
            "2,50 USD",
            "-1 USD",
            "1e3 USD",
        ),
        *(0, -1, 0.0, 1e16, True, "0 tokens", "2k USD", [5], {"a": 1}, "5 USD\n5 USD", "٣ tokens"),
    ],
)
def test_what_is_no_amount_is_told(written: object) -> None:
    with pytest.raises(ValueError, match="Expected an amount"):
        read_amount(written)


@pytest.mark.parametrize(
    ("written", "words"),
    [(-1, "above 0"), (-0.5, "above 0"), (1e-9, "$0.000001 at least"), ("$0.0000009", "at least")],
)
def test_what_is_too_little_is_told_why(written: object, words: str) -> None:
    with pytest.raises(ValueError, match="Expected an amount") as caught:
        read_amount(written)
    assert words in str(caught.value)


def test_in_a_file_the_line_and_the_key_are_named() -> None:
    error = refusal('# mine\n[budget]\nsession = 1\nday = "2.50"\n')
    assert error.text == (
        'config.toml, line 4: budget.day: Expected an amount: 2.50 or "2.50 USD" or "200k tokens"'
    )
    assert (
        refusal("budget = 5").text
        == "config.toml, line 1: budget: Expected a table, got a whole number"
    )
    assert "Did you mean 'day'?" in refusal("[budget]\ndays = 5").text
    assert "unknown key 'budget'" in refusal("[personas.x]\nbudget = { day = 5 }").text
    assert "budget.month" in refusal("[budget]\nmonth = 2026-11-23").text
    assert "budget.month" in refusal("[budget]\nmonth = inf").text


def test_the_settings_have_what_the_file_says() -> None:
    assert resolve().budget is None
    assert resolve('budget = { day = 5, month = "2M tokens" }').budget == Budget(
        day=5.0, month="2M tokens"
    )


@given(st.decimals(min_value="0.000001", max_value=10**9, places=6))
def test_each_amount_that_can_be_written_is_read_exactly(value: Decimal) -> None:
    assert read_amount(f"${value}").value == value
