"""Window: what is really sent, when not everything can be.

The prompt and the reply share the model's context window: prompt tokens plus max_tokens must
not exceed it. Trimming leaves out the oldest exchanges until that holds. It decides what is
sent and deletes nothing.
"""

import math
from dataclasses import dataclass

from chatrepl.chat.conversation import Conversation, Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import PRIMING, TokenCounter
from chatrepl.errors import PromptTooLongError


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that is not sent: its index in the conversation's messages, and its tokens."""

    index: int
    role: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent and what is left out. All sizes are in tokens.

    `prompt_tokens` is None where nothing had to be counted to know that everything fits.
    """

    messages: tuple[Message, ...]
    dropped: tuple[Dropped, ...]
    dropped_exchanges: int
    prompt_tokens: int | None
    max_tokens: int
    context_window: int


def fit(
    conversation: Conversation,
    counter: TokenCounter,
    *,
    context_window: int,
    max_tokens: int,
    slack: float = 1.0,
) -> Window:
    """Choose what to send so that prompt plus `max_tokens` stay within `context_window`.

    System messages, examples and the last exchange always stay. The oldest exchanges go first
    and whole, so that what is sent never begins with a reply whose question is gone. `slack`
    is by how much the server is known to count more than `counter` does.

    Raises PromptTooLongError when what must stay does not fit.
    """
    budget = int((context_window - max_tokens) / slack)
    everything = conversation.messages
    if counter.ceiling(everything) <= budget:
        return Window(everything, (), 0, None, max_tokens, context_window)
    *history, last = conversation.exchanges
    fixed = [*conversation.preamble, *_system_messages(history), *last.messages]
    used = PRIMING + sum(map(counter.message, fixed))
    if used > budget:
        about = counter.about if slack == 1 else "≈"
        raise too_long(math.ceil(used * slack), about, max_tokens, context_window)
    first = len(history)
    while first > 0:
        cost = sum(counter.message(m) for m in history[first - 1].messages if m.role != "system")
        if used + cost > budget:
            break
        used += cost
        first -= 1
    return _window(conversation, counter, first, used, max_tokens, context_window)


def too_long(prompt: int, about: str, max_tokens: int, context_window: int) -> PromptTooLongError:
    """Say with its numbers that a prompt can't be sent."""
    return PromptTooLongError(
        f"The message does not fit: {about}{prompt:,} tokens with the system message, and "
        f"{max_tokens:,} kept for the reply, in a window of {context_window:,}.",
        "Shorten it, lower --max-tokens, or choose a model with a larger window.",
    )


def _system_messages(exchanges: list[Exchange]) -> list[Message]:
    return [m for exchange in exchanges for m in exchange.messages if m.role == "system"]


def _window(  # noqa: PLR0913, PLR0917 - the parts of one result
    conversation: Conversation,
    counter: TokenCounter,
    first: int,
    used: int,
    max_tokens: int,
    context_window: int,
) -> Window:
    """Leave out the exchanges before the one at index `first`, but for their system messages."""
    sent = list(conversation.preamble)
    dropped: list[Dropped] = []
    exchanges = 0
    index = len(sent)
    for number, exchange in enumerate(conversation.exchanges):
        before = len(dropped)
        for message in exchange.messages:
            if number >= first or message.role == "system":
                sent.append(message)
            else:
                dropped.append(Dropped(index, message.role, counter.message(message)))
            index += 1
        exchanges += len(dropped) > before
    return Window(tuple(sent), tuple(dropped), exchanges, used, max_tokens, context_window)
