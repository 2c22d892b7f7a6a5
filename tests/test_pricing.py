"""Who bills for a model, by the settings."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.prices import Seller
from chatrepl.chat.usage import Usage
from chatrepl.connecting import card_of
from chatrepl.parameters import flags_of
from chatrepl.paths import Paths
from chatrepl.pricing import SellersPrices, pricing_of, seller_of
from chatrepl.settings import Settings, read_sources


def settings(home: Path, **flags: object) -> Settings:
    paths = Paths.from_environment({"CHATREPL_HOME": str(home)})
    environment = {"OPENAI_API_KEY": "k"}
    return read_sources(flags_of(flags, ()), None, environment, paths).resolve()


@pytest.mark.parametrize(
    ("flags", "seller"),
    [
        ({}, Seller("openai")),
        (
            {"base_url": "https://API.example.com/v1"},
            Seller("openai", "https://api.example.com/v1"),
        ),
        ({"provider": "embedded"}, Seller("embedded")),
        ({"provider": "azure", "base_url": "https://a.example.com"}, Seller("azure")),
    ],
)
def test_who_bills(home: Path, flags: dict[str, str], seller: Seller) -> None:
    assert seller_of(settings(home, **flags)) == seller


def test_a_model_that_nobody_has_named_has_no_price_on_a_server_nearby(home: Path) -> None:
    """llama.cpp serves its one model under any name, OpenAI's default among them."""
    nearby = settings(home, base_url="http://127.0.0.1:8080/v1")
    named = settings(home, base_url="http://127.0.0.1:8080/v1", model="gpt-4o")
    for chosen, known in ((nearby, False), (named, True), (settings(home), True)):
        price = pricing_of(chosen).price(card_of(chosen), Usage(9, 9))
        assert (price.cost is not None) == known


@pytest.mark.parametrize(
    ("tier", "known"),
    [("flex", False), ("priority", False), ('["x"]', False), ("auto", True), ("default", True)],
)
def test_a_service_tier_has_no_price_on_the_list(home: Path, tier: str, known: bool) -> None:
    paths = Paths.from_environment({"CHATREPL_HOME": str(home)})
    flags = flags_of({"model": "gpt-5"}, [f"service_tier={tier}"])
    chosen = read_sources(flags, None, {"OPENAI_API_KEY": "k"}, paths).resolve()
    assert (pricing_of(chosen).price(card_of(chosen), Usage(9, 9)).cost is not None) == known


def test_the_clock_tells_the_day() -> None:
    days = iter([datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)])
    prices = SellersPrices(Seller("openai"), lambda: next(days))
    card = card_for("o3", context_window=8_192)
    costs = [prices.price(card, Usage(1_000)).cost for _ in range(2)]
    assert costs == [Decimal("0.01"), Decimal("0.002")]
