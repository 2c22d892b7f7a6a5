"""What a completion costs: who tells the price, on which day, and what nobody knows."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.chat.catalogue import ModelCard, Served, card_for
from chatrepl.chat.costs import Price
from chatrepl.chat.prices import Seller, list_prices, price_of
from chatrepl.chat.usage import Usage

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MILLION = 1_000_000
OPENAI = Seller("openai")
LOCAL = Seller("openai", "http://127.0.0.1:11434/v1")
PROXY = Seller("openai", "https://llm.example.com/v1")
LIST = f"genai-prices {metadata.version('genai-prices')}"


def cost(model: str, usage: Usage, seller: Seller = OPENAI, when: datetime = NOW) -> Decimal | None:
    return price_of(card_for(model, context_window=8_192), usage, seller, when).cost


def test_the_price_is_the_sellers() -> None:
    """gpt-4o has been $2.50, $1.25 and $10 since October 2024."""
    usage = Usage(MILLION, MILLION, cached_tokens=200_000)
    expected = Decimal("2.5") * 8 / 10 + Decimal("1.25") * 2 / 10 + 10
    card = card_for("gpt-4o", context_window=8_192)
    assert price_of(card, usage, OPENAI, NOW) == Price(expected, LIST)


def test_reasoning_tokens_are_part_of_the_reply_and_billed_once() -> None:
    assert cost("gpt-4o", Usage(0, 100, 0, 80)) == cost("gpt-4o", Usage(0, 100))


@pytest.mark.parametrize(
    ("day", "expected"),
    [(datetime(2025, 6, 9, tzinfo=UTC), "10"), (datetime(2025, 6, 11, tzinfo=UTC), "2")],
)
def test_the_price_is_the_one_of_the_day(day: datetime, expected: str) -> None:
    """OpenAI lowered o3 from $10 to $2 on 10 June 2025."""
    assert cost("o3", Usage(MILLION), when=day) == Decimal(expected)
    assert list_prices("o3", OPENAI, day)["prompt"] == expected


def test_a_long_prompt_has_the_price_of_its_tier() -> None:
    google = Seller("openai", "https://generativelanguage.googleapis.com/v1beta/openai")
    few, many = (cost("gemini-2.5-pro", Usage(n), google) for n in (100_000, 300_000))
    assert (few, many) == (Decimal("0.125"), Decimal("0.75"))


@pytest.mark.parametrize(
    ("model", "seller", "known"),
    [
        ("gpt-4o", Seller("openai", "https://api.openai.com/v1"), True),
        ("gpt-4o", Seller("openai", "https://eu.api.openai.com/v1"), True),
        ("openai/gpt-4o", Seller("openai", "https://openrouter.ai/api/v1"), True),
        ("gpt-4o", Seller("openai", "https://api.groq.com/openai/v1"), False),
        ("gpt-35-turbo", Seller("azure"), True),
        ("our-deployment", Seller("azure"), False),
        ("gpt-4o", PROXY, True),
        ("openai/gpt-4o", PROXY, True),
        ("gpt-4o", LOCAL, True),
        ("gpt-4o", Seller("", LOCAL.url), False),
        ("claude-sonnet-4-5", PROXY, False),
        ("deepseek-chat", LOCAL, False),
        ("gpt-oss:20b", LOCAL, False),
        ("gpt-oss-20b", LOCAL, False),
        ("openai/gpt-oss-120b", LOCAL, False),
        ("llama3.2", LOCAL, False),
        ("gpt-4o.gguf", LOCAL, False),
        ("nobody-1", OPENAI, False),
    ],
)
def test_only_what_the_seller_sells_has_its_price(model: str, seller: Seller, known: bool) -> None:
    price = price_of(card_for(model, context_window=8_192), Usage(100, 100), seller, NOW)
    assert (price.cost is not None, price.priced_by) == (known, LIST if known else "")
    assert bool(list_prices(model, seller, NOW)) == known


def test_the_embedded_model_costs_nothing_and_that_is_known() -> None:
    card = card_for("SmolLM2-135M-Instruct", context_window=8_192)
    assert price_of(card, Usage(100, 100), Seller("embedded"), NOW) == Price(Decimal(0), "embedded")
    assert list_prices(card.name, Seller("embedded"), NOW) == {}


def own(**prices: str) -> ModelCard:
    return card_for("gpt-4o", context_window=8_192, prices=prices)


def test_the_users_price_goes_before_the_servers_before_the_lists() -> None:
    usage = Usage(MILLION, MILLION, MILLION)
    told = Served("gpt-4o", prices={"prompt": "3", "completion": "4"})
    by_server = card_for("gpt-4o", context_window=8_192).told(told)
    mine = own(prompt="1", cached="0.5", completion="2")
    assert price_of(mine, usage, OPENAI, NOW) == Price(Decimal("2.5"), "config")
    assert price_of(mine.told(told), usage, OPENAI, NOW) == Price(Decimal("2.5"), "config")
    assert price_of(by_server, usage, OPENAI, NOW) == Price(Decimal(7), "server")
    assert price_of(by_server, usage, Seller("embedded"), NOW).priced_by == "server"


def test_what_has_no_price_is_not_counted_as_nothing() -> None:
    assert price_of(own(prompt="1"), Usage(10, 1), OPENAI, NOW) == Price()
    assert price_of(own(completion="1"), Usage(10, 1), OPENAI, NOW) == Price()
    assert price_of(own(prompt="1"), Usage(10, 0), OPENAI, NOW).cost == Decimal("0.00001")
    assert price_of(own(prompt="0", completion="0"), Usage(9, 9), OPENAI, NOW).cost == 0
    free = "arliai/qwq-32b-arliai-rpr-v1:free"  # which genai-prices has without any price
    assert cost(free, Usage(9, 9), Seller("openai", "https://openrouter.ai/api/v1")) is None


@pytest.mark.parametrize("usage", [Usage(10, 1, 11), Usage(-1, 1), Usage(1, -1), Usage(1, 1, -1)])
@pytest.mark.parametrize("card", [own(), own(prompt="1", completion="1")])
def test_of_odd_counts_nobody_knows_the_cost(usage: Usage, card: ModelCard) -> None:
    assert price_of(card, usage, OPENAI, NOW) == Price()


counts = st.integers(-(2**63), 2**63) | st.integers(0, 10**6)


@given(st.builds(Usage, counts, counts, counts, counts), st.sampled_from(["1e-9", "0.15", "1e9"]))
def test_whatever_a_server_counts_there_is_a_cost_or_none(usage: Usage, price: str) -> None:
    for card in (own(), own(prompt=price, cached=price, completion=price)):
        found = price_of(card, usage, OPENAI, NOW).cost
        assert found is None or (0 <= found < 10**5 and found == round(found, 12))
