"""Budgets: what may be spent in a session, a day or a month, and what a request would make of it.

A request is weighed before it leaves, by the most that it may take: its prompt, counted if needed,
and a reply of max_tokens. A cap counts what completions have cost, and what requests that are
under way may cost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from chatrepl.chat.costs import dollars
from chatrepl.errors import BudgetError

Period = Literal["session", "day", "month"]
"""What a cap is for; days and months are those of the local calendar."""

_NEAR = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be spent in a period.

    `limit` is in US dollars, or in tokens where `in_tokens` says so; `where` names the setting.
    """

    period: Period
    limit: Decimal
    in_tokens: bool = False
    where: str = ""

    def of(self, amount: "Amounts") -> Decimal:
        """Give what an amount comes to in the cap's unit; 0 where its price is not known."""
        return Decimal(amount.tokens) if self.in_tokens else amount.cost or Decimal(0)

    def written(self, amount: Decimal) -> str:
        """Write an amount of the cap's unit."""
        return f"{amount:,.0f} tokens" if self.in_tokens else dollars(amount)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Tokens, prompt and completion together, and US dollars: None where no price is known."""

    tokens: int = 0
    cost: Decimal | None = Decimal(0)


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a cap is `spent`, and how much requests under way have `reserved`.

    Both are in the cap's unit. `begun` is when the day or the month began, "" of a session.
    """

    cap: Cap
    spent: Decimal
    reserved: Decimal = Decimal(0)
    begun: str = ""

    @property
    def is_near(self) -> bool:
        """Whether four fifths of the cap are spent."""
        return self.spent >= _NEAR * self.cap.limit

    def __str__(self) -> str:
        """Say how much is used, in a line."""
        share = int(100 * self.spent / self.cap.limit)
        return f"{share:,} % of {_whose(self.cap)} budget is used: {self._of('')}."

    def over(self, needed: Decimal) -> BudgetError:
        """Say with its numbers that a request which may take so much would pass the cap."""
        cap = self.cap
        takes = "take up to" if cap.in_tokens else "cost up to"
        other = f", and {cap.written(self.reserved)} reserved by requests under way"
        ways = ["raise the budget"]
        if needed <= cap.limit:
            ways.append(_LATER[cap.period])
        if self.spent < cap.limit:
            ways.insert(0, "lower --max-tokens")
        error = BudgetError(
            f"This request may {takes} {cap.written(needed)}; {self._of(f'{_whose(cap)} ')} are "
            f"spent{other if self.reserved else ''} ({cap.where}).",
            f"{_listed(ways)}.",
        )
        commands = ["/set max_tokens N lowers it."] if self.spent < cap.limit else []
        if cap.period == "session" and needed <= cap.limit:
            commands.append("/new begins one.")
        error.commands = " ".join(commands)
        return error

    def _of(self, whose: str) -> str:
        spent = f"{self.spent:,.0f}" if self.cap.in_tokens else dollars(self.spent)
        return f"{spent} of {whose}{self.cap.written(self.cap.limit)}"


def check(standings: Iterable[Standing], most: Amounts) -> None:
    """Raise BudgetError if a request that takes so much at most would pass a cap.

    One that costs nothing in the cap's unit, or whose price is not known, passes none.
    """
    for standing in standings:
        needed = standing.cap.of(most)
        if needed and standing.spent + standing.reserved + needed > standing.cap.limit:
            raise standing.over(needed)


_LATER = {
    "session": "begin a new session",
    "day": "wait until tomorrow",
    "month": "wait until next month",
}


def _whose(cap: Cap) -> str:
    return f"the {cap.period}'s"


def _listed(ways: list[str]) -> str:
    """List what can be done, as a sentence.

    >>> _listed(["raise it"]), _listed(["raise it", "wait"]), _listed(["a", "b", "c"])
    ('Raise it', 'Raise it or wait', 'A, b or c')
    """
    *most, last = ways
    text = f"{', '.join(most)} or {last}" if most else last
    return text[0].upper() + text[1:]
