"""Allowance: asked before each request, whether the budget has room for it."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from chatrepl.chat.budgets import Amounts, Standing
from chatrepl.chat.events import BudgetNear, Event, PriceUnknown
from chatrepl.chat.ports import Purse
from chatrepl.chat.usage import Usage

if TYPE_CHECKING:
    from chatrepl.chat.trimming import Window
    from chatrepl.chat.turn import Chat


class Allowance:
    """A purse, and what the user has been told of it in this run.

    `anyway` lets the next request pass: the user has been asked and wants it sent.
    """

    def __init__(self, purse: Purse) -> None:
        self.anyway = False
        self._purse = purse
        self._said: set[object] = set()

    def afford(self, chat: "Chat", window: "Window") -> Iterator[Event]:
        """Reserve what sending a window may take: its prompt, and a reply of max_tokens.

        Says what the user may not know, once each. Raises BudgetError, and StorageError where
        what is spent can't be found out.
        """
        anyway, self.anyway = self.anyway, False
        if not self._purse.caps:
            return  # nothing need be counted
        most = self._most(chat, window)
        session, so_far = chat.recorder.session, _so_far(chat)
        for standing in self._purse.reserve(most, session, so_far, anyway=anyway):
            if standing.is_near and standing.cap not in self._said:
                self._said.add(standing.cap)
                yield BudgetNear(standing)
        if most.cost is None and chat.card.name not in self._said:
            self._said.add(chat.card.name)
            yield PriceUnknown(chat.card.name)

    def standings(self, chat: "Chat") -> Sequence[Standing]:
        """Give how the caps stand, the session's being that of a chat. Raises StorageError."""
        return self._purse.standings(chat.recorder.session, _so_far(chat))

    def release(self) -> None:
        """Let go of what is still reserved."""
        self._purse.release()

    def _most(self, chat: "Chat", window: "Window") -> Amounts:
        """Give what a request may take at most; a price is asked for only if it matters."""
        with chat.measuring:
            usage = Usage(chat.calibration.request(window.messages), window.max_tokens)
        in_tokens = all(cap.in_tokens for cap in self._purse.caps)
        cost = Decimal(0) if in_tokens else chat.pricing.price(chat.card, usage).cost
        return Amounts(usage.total_tokens, cost)


def _so_far(chat: "Chat") -> Amounts:
    total = chat.spending.total
    return Amounts(total.usage.total_tokens, total.cost)
