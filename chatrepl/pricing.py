"""Who is asked what a completion costs: by the settings, and by the clock."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.costs import Price, Pricing
from chatrepl.chat.prices import EMBEDDED, NOBODY, Seller, price_of
from chatrepl.chat.usage import Usage
from chatrepl.providers.endpoint import is_nearby
from chatrepl.settings import Settings

_LISTED_TIERS = (None, "default", "auto", "standard")


def seller_of(settings: Settings) -> Seller:
    """Tell who bills for the models of the provider that the settings choose."""
    if settings.kind != "openai":
        return Seller(settings.kind)
    url = settings.server.base_url
    return Seller("openai", url and url.lower())


def pricing_of(settings: Settings) -> Pricing:
    """Give who knows what the model costs that the settings choose."""
    seller = seller_of(settings)
    if settings.model is None and is_nearby(seller.url):
        # llama.cpp takes any name: nobody has said that OpenAI's default model is behind it.
        seller = Seller("", seller.url)
    if seller.name != EMBEDDED and settings.extra_body.get("service_tier") not in _LISTED_TIERS:
        seller = NOBODY  # half, or twice, what the list says
    return SellersPrices(seller)


class SellersPrices:
    """The prices of a seller, at the time that `clock` tells."""

    def __init__(
        self, seller: Seller, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._seller = seller
        self._clock = clock
        self._prepared = seller.name == EMBEDDED

    def prepare(self) -> None:
        """Begin to load the price list, in a thread of its own."""
        if not self._prepared:
            self._prepared = True
            threading.Thread(target=import_module, args=("genai_prices.data",), daemon=True).start()

    def price(self, card: ModelCard, usage: Usage) -> Price:
        """Give what a completion costs that ends now."""
        return price_of(card, usage, self._seller, self._clock())
