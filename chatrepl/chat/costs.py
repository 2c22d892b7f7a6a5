"""What a completion cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from chatrepl.chat.usage import Usage

Purpose = Literal["reply", "summary"]
"""What a completion was asked for."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One call of the model, as it is billed.

    `cost` is in US dollars, None where the price is not known; `priced_by` says who told the
    price. `estimated` says that the tokens are our count, for the server told none.
    """

    purpose: Purpose
    usage: Usage
    cost: Decimal | None = None
    priced_by: str = ""
    estimated: bool = False
