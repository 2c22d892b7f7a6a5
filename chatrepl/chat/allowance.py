"""Allowance: asked before each request, whether the budget has room for it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from chatrepl.chat.budgets import Amounts, Standing
from chatrepl.chat.events import BudgetNear, Event, PriceUnknown
from chatrepl.chat.ports import Purse
from chatrepl.chat.usage import Usage
from chatrepl.errors import BudgetError, StorageError

if TYPE_CHECKING:
    from chatrepl.chat.trimming import Window
    from chatrepl.chat.turn import Chat


class Allowance:
    """A purse, and what the user has been told of it in this run.

    `anyway` lets all requests of a turn pass: the user has been asked and wants it sent.
    """

    def __init__(self, purse: Purse) -> None:
        self.anyway = False
        self._purse = purse
        self._said: set[object] = set()

    def begin(self) -> None:
        """Take up another session: what was said of the one before is not said of this one."""
        self._said = {each for each in self._said if each not in self._purse.caps}

    def afford(self, chat: "Chat", window: "Window") -> Iterator[Event]:
        """Reserve what sending a window may take: its prompt, and a reply of max_tokens.

        Says what the user may not know, once for each cap and period. Raises
        BudgetError, and StorageError where what is spent can't be found out.
        """
        if not self._purse.caps:
            return  # nothing need be counted
        most, standings = self._reserve(chat, window)
        yield from self._near(standings)
        if most.cost is None and chat.card.name not in self._said:
            self._said.add(chat.card.name)
            yield PriceUnknown(chat.card.name)

    def look(self, chat: "Chat") -> Iterator[Event]:
        """Say which caps are near now that a turn has ended, unless that has been said."""
        if self._purse.caps:
            with suppress(StorageError):  # the next request will say so
                yield from self._near(self.standings(chat))

    def _near(self, standings: Iterable[Standing]) -> Iterator[Event]:
        for standing in standings:
            said = (standing.cap, standing.begun) if standing.begun else standing.cap
            if standing.is_near and said not in self._said:
                self._said.add(said)
                yield BudgetNear(standing)

    def prepare(self, chat: "Chat") -> None:
        """Begin to load the prices, if the first request will have to wait for them."""
        if self._in_dollars:
            chat.pricing.prepare()

    def standings(self, chat: "Chat") -> Sequence[Standing]:
        """Give how the caps stand, the session's being that of a chat. Raises StorageError."""
        return self._purse.standings(chat.recorder.session, _so_far(chat))

    def release(self) -> None:
        """Let go of what is still reserved: the turn has ended."""
        self.anyway = False
        self._purse.release()

    def _reserve(self, chat: "Chat", window: "Window") -> tuple[Amounts, Sequence[Standing]]:
        """Reserve what a window may take; its prompt is counted only if that can matter."""
        ask = partial(self._purse.reserve, session=chat.recorder.session, so_far=_so_far(chat))
        if not (chat.counter.loaded or self.anyway):
            most = self._most(chat, _surely(chat, window), window.max_tokens)
            with suppress(BudgetError):
                return most, ask(most)
        with chat.measuring:
            prompt = chat.calibration.request(window.messages)
        most = self._most(chat, prompt, window.max_tokens)
        return most, ask(most, anyway=self.anyway)

    def _most(self, chat: "Chat", prompt: int, reply: int) -> Amounts:
        """Give what so many tokens may cost; a price is asked for only if it matters."""
        usage = Usage(prompt, reply)
        cost = chat.pricing.price(chat.card, usage).cost if self._in_dollars else Decimal(0)
        return Amounts(usage.total_tokens, cost)

    @property
    def _in_dollars(self) -> bool:
        return not all(cap.in_tokens for cap in self._purse.caps)


def _surely(chat: "Chat", window: "Window") -> int:
    """Give a number of tokens that a prompt can't exceed; nothing is loaded for that."""
    limit, room = 64, window.context_window - window.max_tokens
    with chat.measuring:
        while limit < room and not chat.calibration.surely_within(window.messages, limit):
            limit *= 2
    return min(limit, room)


def _so_far(chat: "Chat") -> Amounts:
    total = chat.spending.total
    return Amounts(total.usage.total_tokens, total.cost)
