"""Condensing: a note by the model in place of the oldest exchanges.

The alternative to leaving them out: what was agreed on stays known, at the price of a call.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chatrepl.chat.calibration import Calibration
from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.events import (
    Answering,
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    UsageReport,
)
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.extras import formless
from chatrepl.chat.messages import Message
from chatrepl.chat.trimming import Window, fit, fixed_cost
from chatrepl.errors import BadReplyError, ContentFilterError

_SYSTEM = (
    "You condense conversations. Keep what a reader needs to go on with this one: names, numbers, "
    "facts, decisions, wishes and open questions."
)
_BEFORE = "\n\nThis note stands for what was said before; keep what matters of it:\n"
_ORDER = (
    "Do not answer the messages above. Write a note of at most {words} words that condenses them, "
    "in their language, in plain sentences. Give the note only."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which exchanges to condense, `first` up to, not with, `end`, and the request for it.

    `exchanges` are given to the model, `tokens` is what they cost. The note will not tell of
    `untold`.
    """

    first: int
    end: int
    untold: frozenset[int]
    exchanges: int
    tokens: int
    request: Window

    def note(self, text: str) -> Note:
        """Make the note of what the model wrote."""
        return Note(text, self.first, self.end, self.untold)


def for_summary(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a note is asked with: all but what would cut it off or give it a form."""
    return {name: value for name, value in formless(parameters).items() if name != "stop"}


def plan(window: Window, calibration: Calibration, *, thinks: bool = False) -> Plan:
    """Choose the exchanges that have to go, and so many more that the next turns have room.

    What is left then takes half of the room that the exchanges have. Of what is condensed, so
    much is given to the model as its window holds, the newest first. `thinks` says that the
    model's thoughts need room too. Raises PromptTooLongError.
    """
    talk = window.conversation
    before = talk.note
    end = _end(window, calibration)
    begin = before.end if before else 0
    settled = talk.pins.union(talk.drops)
    old = [*sorted(before.untold if before else ()), *range(begin, end)]
    old = [index for index in old if index not in settled]
    note_tokens = max(32, min(512, (window.context_window - window.max_tokens) // 8))
    order = Message("user", _ORDER.format(words=note_tokens // 2))
    exchanges = [Exchange(tuple(_spoken(talk.exchanges[index]))) for index in old]
    asking = Conversation(
        Message("system", _SYSTEM + (_BEFORE + before.text if before else "")),
        exchanges=(*exchanges, Exchange((order,))),
    )
    request = fit(
        asking,
        calibration,
        context_window=window.context_window,
        max_tokens=window.max_tokens if thinks else note_tokens,
    )
    given = old[request.first :]
    first = before.first if before else min(given, default=end)
    told = {index for index in range(first, end) if before and before.tells_of(index)}.union(given)
    return Plan(
        first,
        end,
        frozenset(range(first, end)) - told,
        len(given),
        sum(calibration.cost(m) for index in given for m in talk.exchanges[index].messages),
        request,
    )


def read_note(stream: Iterator[Event]) -> Generator[Event, None, str]:
    """Read what the model writes, to its end; give on what is to be said of the call.

    Raises ChatreplError, also for a note of nothing.
    """
    pieces: list[str] = []
    for event in stream:
        match event:
            case TextDelta(text):
                pieces.append(text)
            case Finished("content_filter"):
                raise ContentFilterError("The server's content filter cut the summary off.")
            case Answering() | Finished() | ReasoningDelta() | UsageReport():
                pass
            case _:
                yield event
    text = "".join(pieces).strip()
    if not text:
        raise BadReplyError("The summary was empty.")
    return text


def _spoken(exchange: Exchange) -> list[Message]:
    """Leave out an exchange's own system messages, which are sent anyway."""
    return [message for message in exchange.messages if message.role != "system"]


def _end(window: Window, calibration: Calibration) -> int:
    """Find the first exchange that is not condensed."""
    talk = window.conversation
    room = window.context_window - window.max_tokens
    room = (room - fixed_cost(replace(talk, note=None), calibration)) // 2
    end = len(talk.exchanges) - 1
    for index in range(end - 1, window.first - 1, -1):
        if index not in talk.pins and index not in talk.drops:
            room -= sum(map(calibration.cost, talk.exchanges[index].messages))
        if room < 0:
            break
        end = index
    return end
