"""Calling the model, and noting what that cost, however the call ends."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatrepl.chat.costs import Completion, Price, Purpose
from chatrepl.chat.events import (
    Answering,
    Event,
    Finished,
    ReasoningDelta,
    Retrying,
    TextDelta,
    UsageReport,
)
from chatrepl.chat.ports import Request
from chatrepl.chat.thinking import thoughts_apart
from chatrepl.chat.usage import Usage
from chatrepl.errors import ChatreplError, StreamInterruptedError

if TYPE_CHECKING:
    from chatrepl.chat.turn import Chat


@dataclass(slots=True)
class _Answer:
    """What has come of an answer: `costs` as soon as the server has begun it, `began` with more."""

    usage: Usage = field(default_factory=Usage)
    said: list[str] = field(default_factory=list)
    costs: bool = False
    began: bool = False

    def take(self, event: Event) -> Event:
        """Take in what a provider said, and give it with counts that can be."""
        match event:
            case TextDelta(text) | ReasoningDelta(text):
                self.said.append(text)
            case UsageReport(reported):
                self.usage = reported.bounded
                event = UsageReport(self.usage)
            case Finished() | Answering():
                pass
            case _:
                return event
        self.costs = True
        self.began = self.began or not isinstance(event, Answering)
        return event


def call(chat: "Chat", request: Request, purpose: Purpose) -> Generator[Event]:
    """Call the model that answers now, and note what that cost, however it ends.

    What the server has begun to answer costs something, whatever has come of it: it may think for
    a long time before the first word. What it refused costs nothing. Raises ChatreplError.
    """
    answer = _Answer()
    try:
        for event in thoughts_apart(chat.provider.stream(request)):
            if answer.costs and isinstance(event, Retrying):  # that answer was lost
                lost, answer = answer, _Answer()
                _spend(chat, request, purpose, lost)
            is_first = not answer.costs
            taken = answer.take(event)
            if is_first and answer.costs:
                chat.pricing.prepare()
            yield taken
    except ChatreplError as error:
        is_lost = isinstance(error, StreamInterruptedError)
        answer.costs = answer.began or (answer.costs and is_lost)
        raise
    finally:
        if answer.costs:
            _spend(chat, request, purpose, answer)


def _spend(chat: "Chat", request: Request, purpose: Purpose, answer: _Answer) -> None:
    """Add up what a call used; of one that was cut off, and the like, that is our count.

    Whoever presses Ctrl-C once more meanwhile gets it noted as far as it is known by then.
    """
    usage, price, said = answer.usage, Price(), "".join(answer.said)
    estimated = not (usage.prompt_tokens or usage.completion_tokens)
    if estimated:
        usage = chat.rough_estimate(request.messages, said)
    try:
        if estimated:
            usage = chat.estimate(request.messages, said)
        price = chat.pricing.price(request.card, usage)
    finally:
        who = request.card.name, chat.provider.name
        completion = Completion(purpose, usage, *price, estimated, *who)
        chat.spending.add(completion)
        chat.recorder.spent(completion)
