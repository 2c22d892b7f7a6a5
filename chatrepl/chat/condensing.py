"""Condensing: a note by the model in place of the oldest exchanges.

The alternative to leaving them out: what was agreed on stays known, at the price of a call.
"""

from dataclasses import dataclass, replace

from chatrepl.chat.calibration import Calibration
from chatrepl.chat.conversation import Conversation, Exchange, Note
from chatrepl.chat.messages import Message
from chatrepl.chat.trimming import Window, fit, fixed_cost

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
    """Which exchanges to condense, `first` up to, not with, `end`, and the request for it."""

    first: int
    end: int
    exchanges: int
    tokens: int
    request: Window

    def note(self, text: str) -> Note:
        """Make the note of what the model wrote."""
        return Note(text, self.first, self.end)


def plan(window: Window, calibration: Calibration) -> Plan:
    """Choose the exchanges that have to go, and so many more that the next turns have room.

    What is left then takes half of the room that the exchanges have. Of what is condensed, so
    much is given to the model as its window holds, the newest first. Raises PromptTooLongError.
    """
    talk = window.conversation
    end = _end(window, calibration)
    begin = talk.note.end if talk.note else 0
    settled = talk.pins.union(talk.drops)
    old = [index for index in range(begin, end) if index not in settled]
    note_tokens = max(32, min(512, (window.context_window - window.max_tokens) // 8))
    order = Message("user", _ORDER.format(words=note_tokens // 2))
    exchanges = [Exchange(tuple(_spoken(talk.exchanges[index]))) for index in old]
    asking = Conversation(
        Message("system", _SYSTEM + (_BEFORE + talk.note.text if talk.note else "")),
        exchanges=(*exchanges, Exchange((order,))),
    )
    request = fit(asking, calibration, context_window=window.context_window, max_tokens=note_tokens)
    old = old[request.first :]
    first = talk.note.first if talk.note else old[0] if old else begin
    tokens = sum(calibration.cost(m) for index in old for m in talk.exchanges[index].messages)
    return Plan(first, end, len(old), tokens, request)


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
            room -= calibration.request(talk.exchanges[index].messages)
        if room < 0:
            break
        end = index
    return end
