"""Usage: the tokens that a reply was billed for, as the server counted them."""

from dataclasses import dataclass
from typing import Any

_MOST = 10**12  # tokens of one completion; a server may say anything, and sums can overflow


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one or more completions.

    `cached_tokens` are part of `prompt_tokens`, `reasoning_tokens` part of
    `completion_tokens`, as in the API's `usage` object.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def bounded(self) -> "Usage":
        """The same, with each count that no completion can have as the nearest that one can."""
        counts = (
            self.prompt_tokens,
            self.completion_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
        )
        return Usage(*(max(0, min(count, _MOST)) for count in counts))

    def as_openai(self) -> dict[str, Any]:
        """Give the counts as the API's JSON object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }

    def __add__(self, other: "Usage") -> "Usage":
        """Sum two usages, count by count."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )
