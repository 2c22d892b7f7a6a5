"""What models there are to choose from: by the settings, and by the server's own word."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.ports import Provider
from chatrepl.chat.prices import list_prices
from chatrepl.connecting import card_named, model_name
from chatrepl.errors import ChatreplError
from chatrepl.pricing import seller_of
from chatrepl.providers import smollm2
from chatrepl.settings import Settings

_KNOWN = 0.02
"""Seconds in which a list of models that has been asked for already is there."""


class Offers:
    """The names of the models, for completion: the server is asked beside the prompt."""

    def __init__(self) -> None:
        self._asked: Provider | None = None
        self._told: dict[str, str] = {}

    def names(self, settings: Settings, provider: Provider | None) -> dict[str, str]:
        """Name the models that the settings know, and once the server has told them, its own.

        Each comes with a few words. This waits no longer than what has been told before takes.
        """
        names = {f"embedded/{smollm2.NAME}": "on this machine"}
        names |= dict.fromkeys(settings.models, "in the config file")
        names |= dict.fromkeys(settings.server.deployments, "deployment")
        if provider is not None and provider is not self._asked:
            self._asked, self._told = provider, {}
            what = (settings, provider, self._told)
            asking = threading.Thread(target=_ask_offers, args=what, daemon=True)
            asking.start()
            asking.join(_KNOWN)
        names |= self._told
        names[model_name(settings)] = "now"
        return names


def catalogue(settings: Settings, provider: Provider, text: str = "") -> list[ModelCard]:
    """List the models that a provider offers and whose names hold a text.

    Raises ChatreplError.
    """
    now, seller = datetime.now(UTC), seller_of(settings)
    return [
        replace(card, prices=card.prices or list_prices(card.name, seller, now))
        for card in sorted(_cards(settings, provider), key=lambda card: card.name)
        if text.lower() in card.name.lower()
    ]


def _ask_offers(settings: Settings, provider: Provider, told: dict[str, str]) -> None:
    """Fill in what a provider offers; one that does not tell offers nothing."""
    with suppress(ChatreplError):
        for card in _cards(settings, provider):
            told[card.name] = f"{card.context_window:,} tokens" if card.window_known else ""


def _cards(settings: Settings, provider: Provider) -> list[ModelCard]:
    now, size = model_name(settings), settings.context_window
    return [
        card_named(settings, told.name, size if told.name == now else None).told(told)
        for told in provider.served()
    ]
