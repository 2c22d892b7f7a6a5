"""Amounts of a budget, as people write them: US dollars, or tokens."""

import re
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"(\d[\d_]*(?:\.\d+)?|\.\d+)"
_WRITTEN = re.compile(
    rf"\$ ?{_NUMBER}|{_NUMBER} ?USD|{_NUMBER} ?(?P<times>[kM]?) ?(?P<tokens>tokens?)",
    re.IGNORECASE | re.ASCII,
)
_TIMES = {"": 1, "k": 10**3, "m": 10**6}
_MOST = 10**15
_LEAST = Decimal("0.000001")  # US dollars; below that no amount is written in full
_ABOVE_0 = "Expected an amount above 0, and no astronomical one"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much: `value` is in US dollars, or in tokens where `in_tokens` says so."""

    value: Decimal
    in_tokens: bool = False


def read_amount(written: object) -> Amount:
    """Read an amount: a number is US dollars, a text says of what it is.

    Raises ValueError, in the words of an error message, for what is none, not above 0, or
    too small to be written.

    >>> read_amount(2.5), read_amount("200k tokens")
    (Amount(value=Decimal('2.5'), in_tokens=False), Amount(value=Decimal('200000'), in_tokens=True))
    >>> read_amount("$0.50") == read_amount("0.50 USD")
    True
    """
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    if is_number and not written > 0:  # type: ignore[operator]
        raise ValueError(_ABOVE_0)
    text = f"${Decimal(str(written)):f}" if is_number else str(written).strip()
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError('Expected an amount: 2.50 or "2.50 USD" or "200k tokens"')
    in_tokens, times = bool(found["tokens"]), found["times"] or ""
    number = next(filter(None, found.groups()))
    value = Decimal(number.replace("_", "")) * _TIMES[times.lower()]
    if not 0 < value <= _MOST:
        raise ValueError(_ABOVE_0)
    if value < _LEAST:
        raise ValueError(f"Expected an amount of ${_LEAST:f} at least")
    return Amount(value, in_tokens)
