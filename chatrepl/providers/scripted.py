"""A provider that answers from a script: for tests, and for a dry run, which asks nobody."""

import re
from collections.abc import Iterable, Iterator, Sequence

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Event, Finished, TextDelta
from chatrepl.chat.ports import Request
from chatrepl.errors import ChatreplError

Line = Event | ChatreplError


class ScriptedProvider:
    """Answers each request with the next script: a text, or events and an error to raise.

    `requests` keeps what was asked, `offers` is what it says of its models. A script
    that has run out is an IndexError.
    """

    def __init__(self, *scripts: str | Iterable[Line], name: str = "scripted") -> None:
        self.name = name
        self.goes_on = False
        self.requests: list[Request] = []
        self.offers: tuple[Served, ...] = ()
        self._scripts = list(scripts)

    def prepare(self) -> None:
        """Do nothing: there is nothing to load."""

    def served(self) -> Sequence[Served]:
        """Offer what it was told to offer."""
        return self.offers

    def look_up(self, model: str) -> Served | None:
        """Find a model among what it offers."""
        return next((served for served in self.offers if served.name == model), None)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Play the next script."""
        self.requests.append(request)
        script = self._scripts.pop(0)
        if isinstance(script, str):
            words = re.findall(r"\s*\S+\s*$|\s*\S+", script)
            script = [*map(TextDelta, words), Finished("stop")]
        for line in script:
            if isinstance(line, ChatreplError):
                raise line
            yield line
