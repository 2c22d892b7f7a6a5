"""What completions cost, one by one and together, and how an amount is written.

All arithmetic is in Decimal, and every cost is a whole number of the ledger's smallest unit, so
that the sums of a chat and of the database agree to the last digit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Literal, NamedTuple, Protocol

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.usage import Usage

Purpose = Literal["reply", "summary"]
"""What a completion was asked for."""

COST_UNITS = 10**12
"""How many units of cost a US dollar has in the ledger.

That is exact for prices per million tokens of up to six decimals.
"""

_UNIT = Decimal(1) / COST_UNITS
_NO_BILL = Decimal(10**5)  # of one completion; a server may say anything
_CENTS = Decimal("0.01")
_DIGITS = 3  # that count, of an amount below a dollar
_TINY = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Completion:
    """One call of the model, as it is billed.

    `cost` is in US dollars, None where the price is not known; `priced_by` says who told the
    price. `estimated` says that the tokens are our count, for the server told none. `model` and
    `provider` are who was asked.
    """

    purpose: Purpose
    usage: Usage
    cost: Decimal | None = None
    priced_by: str = ""
    estimated: bool = False
    model: str = ""
    provider: str = ""


class Price(NamedTuple):
    """What a completion costs in US dollars, None where nobody knows, and who told the price."""

    cost: Decimal | None = None
    priced_by: str = ""


class Pricing(Protocol):
    """Who knows what the model that answers now costs. Nothing that goes wrong is raised."""

    def prepare(self) -> None:
        """Begin to load what a price takes, beside the reply."""

    def price(self, card: ModelCard, usage: Usage) -> Price:
        """Give what a completion costs that ends now."""


class NoPricing:
    """Knows no price."""

    def prepare(self) -> None:
        """Load nothing."""

    def price(self, card: ModelCard, usage: Usage) -> Price:
        """Know nothing."""
        return Price()


@dataclass(frozen=True, slots=True)
class Total:
    """What some completions used and cost together.

    `cost` is of those whose price is known; `unpriced` counts the others, `estimated` those whose
    tokens are our own count.
    """

    completions: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    estimated: int = 0

    def plus(self, completion: Completion) -> "Total":
        """Give the total with one more."""
        return Total(
            self.completions + 1,
            self.usage + completion.usage,
            self.cost + (completion.cost or 0),
            self.unpriced + (completion.cost is None),
            self.estimated + completion.estimated,
        )

    @property
    def known_cost(self) -> Decimal | None:
        """The cost, if it is known of all."""
        return None if self.unpriced else self.cost

    @property
    def written(self) -> str:
        """Write the cost: ≈ where tokens were estimated, "+ ?" where a part has no price."""
        if self.unpriced == self.completions:
            return "unknown" if self.completions else dollars(self.cost)
        about = "≈" if self.estimated else ""
        return f"{about}{dollars(self.cost)}{' + ?' if self.unpriced else ''}"


def total(completions: Iterable[Completion]) -> Total:
    """Sum completions up."""
    together = Total()
    for completion in completions:
        together = together.plus(completion)
    return together


@dataclass(slots=True)
class Spending:
    """What a session has used so far, on all of its branches: `total` of its `completions`."""

    completions: list[Completion] = field(default_factory=list)
    total: Total = field(init=False)

    def __post_init__(self) -> None:
        """Sum up what was spent before."""
        self.total = total(self.completions)

    def add(self, completion: Completion) -> None:
        """Take in one more."""
        self.completions.append(completion)
        self.total = self.total.plus(completion)


def billable(cost: Decimal) -> Decimal | None:
    """Give a cost in whole units of the ledger; None for what is no bill.

    >>> billable(Decimal("0.0000000000015")), billable(Decimal("1e9")), billable(Decimal("NaN"))
    (Decimal('2E-12'), None, None)
    """
    try:
        whole = cost.quantize(_UNIT, ROUND_HALF_EVEN)
    except InvalidOperation:  # far too large, or no number
        return None
    return whole if whole.is_finite() and 0 <= whole < _NO_BILL else None


def units(cost: Decimal | None) -> int | None:
    """Give a cost as the ledger has it; one that is no bill is not known."""
    bill = None if cost is None else billable(cost)
    return None if bill is None else int(bill * COST_UNITS)


def of_units(units: int | None) -> Decimal | None:
    """Give a cost of the ledger in US dollars.

    >>> of_units(units(Decimal("0.25"))), of_units(units(Decimal("NaN")))
    (Decimal('0.250000000000'), None)
    """
    return None if units is None else units * _UNIT


def in_full(cost: Decimal | None) -> str | None:
    """Write an amount in US dollars for a program to read; None stays None.

    >>> in_full(Decimal("0.000096000000")), in_full(Decimal(0))
    ('0.000096', '0')
    """
    return None if cost is None else f"{cost.normalize():f}"


def dollars(cost: Decimal) -> str:
    """Write an amount in US dollars: to the cent, below a dollar to three digits that count.

    >>> [dollars(Decimal(cost)) for cost in ("0", "0.0004", "0.012345", "0.5", "1234.5")]
    ['$0.00', '$0.0004', '$0.0123', '$0.50', '$1,234.50']
    >>> dollars(Decimal("0.00000001"))
    'under $0.000001'
    """
    if 0 < cost < _TINY:
        return f"under ${_TINY:f}"
    if not 0 < cost < 1:
        return f"${cost:,.2f}"
    places = _DIGITS - 1 - cost.adjusted()
    digits = f"{cost:.{places}f}".rstrip("0")
    return f"${max(digits, f'{cost:.2f}', key=len)}"
