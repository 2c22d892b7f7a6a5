"""Allowance: asked before each request, whether the budget has room for it."""

from collections.abc import Iterator

from chatrepl.chat.budgets import Amounts
from chatrepl.chat.events import BudgetNear, Event, PriceUnknown
from chatrepl.chat.ports import Purse


class Allowance:
    """A purse, and what the user has been told of it in this run.

    `anyway` lets the next request pass: the user has been asked and wants it sent.
    """

    def __init__(self, purse: Purse) -> None:
        self.anyway = False
        self._purse = purse
        self._said: set[object] = set()

    @property
    def counts(self) -> bool:
        """Whether there is a budget."""
        return bool(self._purse.caps)

    @property
    def counts_dollars(self) -> bool:
        """Whether some cap of it is in US dollars, so that prices matter."""
        return any(not cap.in_tokens for cap in self._purse.caps)

    def ask(
        self, most: Amounts, so_far: Amounts, model: str, session: str | None
    ) -> Iterator[Event]:
        """Reserve what a request may take at most; say what the user may not know, once each.

        Raises BudgetError, or StorageError where what is spent can't be found out.
        """
        anyway, self.anyway = self.anyway, False
        for standing in self._purse.reserve(most, session, so_far, anyway=anyway):
            if standing.is_near and standing.cap not in self._said:
                self._said.add(standing.cap)
                yield BudgetNear(standing)
        if most.cost is None and model not in self._said:
            self._said.add(model)
            yield PriceUnknown(model)

    def release(self) -> None:
        """Let go of what is still reserved."""
        self._purse.release()
