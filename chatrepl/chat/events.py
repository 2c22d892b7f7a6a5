"""Event: what a turn can say while it goes on."""

from dataclasses import dataclass

from chatrepl.chat.budgets import Standing
from chatrepl.chat.usage import Usage


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply, as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning: no part of the reply, and never sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The server has begun to answer: from now on it may bill, whatever comes."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Nobody knows the model's context window: a size is assumed. Said once for each."""

    model: str
    context_window: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Some exchanges are left out of what is sent; nothing is deleted.

    Said when what is left out differs from the turn before. `tokens` is their count.
    """

    exchanges: int
    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Condensing:
    """The model is being asked to condense the oldest exchanges into a note."""

    exchanges: int


@dataclass(frozen=True, slots=True)
class Condensed:
    """A note of `note_tokens` stands for exchanges of `tokens` from now on."""

    exchanges: int
    tokens: int
    note_tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class NotCondensed:
    """No note could be made, for `reason`: the oldest exchanges are left out instead."""

    reason: str


@dataclass(frozen=True, slots=True)
class LegacyMarkup:
    """The prompt has a marker of ChatML, which means nothing in a message. Said once."""

    marker: str


@dataclass(frozen=True, slots=True)
class Refitted:
    """The server counted more tokens than we did: the turn is trimmed further and sent again.

    Said once in a turn, however often that is. `context_window` is what the server says it has,
    or None if it did not say.
    """

    context_window: int | None


@dataclass(frozen=True, slots=True)
class Retrying:
    """The request failed for `reason` and goes out again in `wait` seconds."""

    reason: str
    wait: float
    attempt: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """Nothing has come for so many seconds. Said again every moment until something comes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BudgetNear:
    """Four fifths of a cap of the budget are spent, before a request or after a reply.

    Said once for each cap and its session, day or month.
    """

    standing: Standing


@dataclass(frozen=True, slots=True)
class PriceUnknown:
    """The budget has a cap in US dollars and can't count this model. Said once for each."""

    model: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What the server says this completion used."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply has ended.

    `reason` is the API's finish_reason: "stop" (whole), "length" (cut off by max_tokens),
    "content_filter" (cut off by a filter), another word of the server's, or None when the
    stream ended without one. `model` is the model that the server says answered.
    """

    reason: str | None
    model: str | None = None


Event = (
    TextDelta
    | ReasoningDelta
    | Answering
    | Assumed
    | Trimmed
    | Condensing
    | Condensed
    | NotCondensed
    | LegacyMarkup
    | Refitted
    | Retrying
    | Stalled
    | BudgetNear
    | PriceUnknown
    | UsageReport
    | Finished
)
