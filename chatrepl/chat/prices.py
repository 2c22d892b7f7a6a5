"""What a completion costs: by the user's word, by the server's, else by genai-prices.

genai-prices does the arithmetic, with tiers, cached tokens and the prices of former days. It is
imported when it is needed, which takes 60 ms beside the client and 0.2 s without.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from chatrepl.chat.catalogue import ModelCard, openai_name
from chatrepl.chat.costs import Price, billable
from chatrepl.chat.usage import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from genai_prices.types import ModelInfo, ModelPrice, Provider

EMBEDDED = "embedded"
"""Who sells nothing: the model runs in this program."""

_KEYS = {"prompt": "input_mtok", "cached": "cache_read_mtok", "completion": "output_mtok"}


@dataclass(frozen=True, slots=True)
class Seller:
    """Who bills for a model.

    `name` is genai-prices' name of them, or EMBEDDED. With a `url`, it is whoever sells there; of
    a server that genai-prices does not know, `name` is whose models it resells, or "".
    """

    name: str
    url: str | None = None


NOBODY = Seller("", "")
"""Who has no price list."""


def price_of(card: ModelCard, usage: Usage, seller: Seller, when: "datetime") -> Price:
    """Give what a completion costs: the user's price goes before the server's before the list's.

    Of odd counts (more tokens cached than sent, fewer than none) nobody knows the cost.
    """
    if card.prices:
        cost = _cost(_model_price(card.prices), usage)
        return Price() if cost is None else Price(cost, card.priced_by)
    if seller.name == EMBEDDED:
        return Price(Decimal(0), EMBEDDED)
    found = _find(card.name, seller)
    cost = None if found is None else _cost_listed(*found, usage, when)
    if cost is None:
        return Price()
    import genai_prices  # noqa: PLC0415 - see above

    return Price(cost, f"genai-prices {genai_prices.__version__}")


def list_prices(model: str, seller: Seller, when: "datetime") -> dict[str, str]:
    """Give a model's prices at a time: "prompt", "cached" and "completion", where known.

    In US dollars per million tokens. Of prices that rise with the size of the prompt, the first.
    """
    found = _find(model, seller)
    if found is None:
        return {}
    prices = found[1].get_prices(when)
    listed = {name: getattr(prices, key, None) for name, key in _KEYS.items()}
    return {
        name: str(getattr(price, "base", price))
        for name, price in listed.items()
        if price is not None
    }


def _model_price(prices: Mapping[str, str]) -> "ModelPrice":
    from genai_prices.types import ModelPrice  # noqa: PLC0415 - see above

    return ModelPrice(**{_KEYS[name]: Decimal(price) for name, price in prices.items()})


def _cost(price: "ModelPrice", usage: Usage) -> Decimal | None:
    try:
        return _whole(price, price.calc_price(_billed(usage))["total_price"], usage)
    except (ValueError, ArithmeticError):
        return None


def _cost_listed(
    provider: "Provider", model: "ModelInfo", usage: Usage, when: "datetime"
) -> Decimal | None:
    try:
        done = model.calc_price(_billed(usage), provider, genai_request_timestamp=when)
        return _whole(done.model_price, done.total_price, usage)
    except (ValueError, ArithmeticError):
        return None


def _billed(usage: Usage) -> object:
    """Give a usage as genai-prices has it. Raises ValueError for one that can't be."""
    import genai_prices  # noqa: PLC0415 - see above

    if usage.cached_tokens > usage.prompt_tokens:  # or it would matter only where it has a price
        raise ValueError
    return genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
    )


def _whole(price: "ModelPrice", cost: Decimal, usage: Usage) -> Decimal | None:
    """Give a cost, if all that was used has a price: what has none would count as nothing."""
    used = ((usage.prompt_tokens, price.input_mtok), (usage.completion_tokens, price.output_mtok))
    is_known = all(each is not None for tokens, each in used if tokens)
    return billable(cost) if is_known else None


def _find(model: str, seller: Seller) -> "tuple[Provider, ModelInfo] | None":
    """Find who sells a model, and the model.

    At a server that genai-prices does not know, only the models that OpenAI sells are found: a
    company's proxy resells them. Anything else may be anybody's, or a file on this machine.
    """
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see above

    snapshot, provider = get_snapshot(), None
    if seller.url is not None:
        with suppress(LookupError):
            provider = snapshot.find_provider(None, None, seller.url)
        if provider is None:
            model = openai_name(model)
            if not seller.name or model.lower().startswith("gpt-oss"):  # open weights
                return None
    with suppress(LookupError):
        return snapshot.find_provider_model(model, provider, seller.name, None)
    return None
