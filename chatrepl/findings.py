"""Finding: what one check of `chatrepl doctor` has found."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from chatrepl.errors import ChatreplError


@dataclass(frozen=True, slots=True)
class Finding:
    """What has been checked, and what is so.

    `text` says it, `fix` what to do if it is wrong, `origin` which file or variable the value
    comes from. `status` is the exit status that it stands for: 0 unless it is wrong.
    """

    name: str
    state: Literal["ok", "wrong", "skipped"]
    text: str
    fix: str = ""
    origin: str = ""
    status: int = 0

    @property
    def line(self) -> str:
        """Give the text with its origin, and the fix, in one line."""
        words = f"{self.text} {self.fix}"
        if self.state != "wrong":
            words += f"({self.origin})" if self.origin else ""
        elif self.origin not in {"", "default"} and self.origin not in words:
            words += f" (from {self.origin})"
        return " ".join(words.split())

    def as_dict(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return asdict(self)


def ok(name: str, text: str, origin: str = "") -> Finding:
    """Find that something is as it should be."""
    return Finding(name, "ok", text, origin=origin)


def skipped(name: str, text: str, origin: str = "") -> Finding:
    """Find that something does not apply, or could not be tried."""
    return Finding(name, "skipped", text, origin=origin)


def wrong(name: str, error: ChatreplError, fix: str = "", origin: str = "") -> Finding:
    """Find that something is wrong; what to do is the error's hint, unless it is told."""
    return Finding(name, "wrong", error.text, fix or error.hint, origin, error.status)
