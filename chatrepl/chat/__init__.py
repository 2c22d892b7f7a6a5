"""What is said: values and rules. No files, no network, no terminal, no clock.

It is a library of its own; docs/library.md tells more. A talk, here with a provider that
answers from a script:

>>> from chatrepl.chat import Chat, Conversation, Message, TextDelta, card_for
>>> from chatrepl.providers.scripted import ScriptedProvider
>>> provider = ScriptedProvider("Lima.", "About ten million.")
>>> talk = Conversation(system=Message("system", "Answer briefly."))
>>> chat = Chat(provider, card_for("gpt-4"), talk)
>>> for question in ("The capital of Peru?", "How many people live there?"):
...     print("you:", question)
...     for event in chat.say(question):
...         if isinstance(event, TextDelta):
...             print(event.text, end="")
...     print()
you: The capital of Peru?
Lima.
you: How many people live there?
About ten million.
>>> [message.role for message in provider.requests[-1].messages]
['system', 'user', 'assistant', 'user']

Each name is loaded when it is first asked for: who needs an exchange does not load a turn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatrepl.chat.attachments import AttachedImage, AttachedText, Attachment
    from chatrepl.chat.budgets import Standing
    from chatrepl.chat.catalogue import ModelCard, Served, card_for
    from chatrepl.chat.conversation import Conversation, from_messages
    from chatrepl.chat.costs import Completion, Price, Pricing, Spending
    from chatrepl.chat.events import (
        Answering,
        Assumed,
        BudgetNear,
        Condensed,
        Condensing,
        Event,
        Finished,
        LegacyMarkup,
        NotCondensed,
        PriceUnknown,
        ReasoningDelta,
        Refitted,
        Retrying,
        Stalled,
        TextDelta,
        Trimmed,
        UsageReport,
    )
    from chatrepl.chat.exchanges import Exchange
    from chatrepl.chat.messages import Message
    from chatrepl.chat.ports import NoRecorder, Provider, Recorder, Request
    from chatrepl.chat.turn import Chat
    from chatrepl.chat.usage import Usage
    from chatrepl.errors import ChatreplError

__all__ = [
    "Answering",
    "Assumed",
    "AttachedImage",
    "AttachedText",
    "Attachment",
    "BudgetNear",
    "Chat",
    "ChatreplError",
    "Completion",
    "Condensed",
    "Condensing",
    "Conversation",
    "Event",
    "Exchange",
    "Finished",
    "LegacyMarkup",
    "Message",
    "ModelCard",
    "NoRecorder",
    "NotCondensed",
    "Price",
    "PriceUnknown",
    "Pricing",
    "Provider",
    "ReasoningDelta",
    "Recorder",
    "Refitted",
    "Request",
    "Retrying",
    "Served",
    "Spending",
    "Stalled",
    "Standing",
    "TextDelta",
    "Trimmed",
    "Usage",
    "UsageReport",
    "card_for",
    "from_messages",
]

_ELSEWHERE = {
    **dict.fromkeys(("AttachedImage", "AttachedText", "Attachment"), "attachments"),
    **dict.fromkeys(("ModelCard", "Served", "card_for"), "catalogue"),
    **dict.fromkeys(("Conversation", "from_messages"), "conversation"),
    **dict.fromkeys(("Completion", "Price", "Pricing", "Spending"), "costs"),
    **dict.fromkeys(("NoRecorder", "Provider", "Recorder", "Request"), "ports"),
    "Chat": "turn",
    "ChatreplError": "errors",
    "Exchange": "exchanges",
    "Message": "messages",
    "Standing": "budgets",
    "Usage": "usage",
}
"""Modules of the names that are no event."""


if not TYPE_CHECKING:  # who checks types shall find a name that there is not

    def __getattr__(name: str) -> object:
        """Load what a name stands for, at its first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _ELSEWHERE.get(name, "events")
        package = "chatrepl" if home == "errors" else __name__
        value: object = getattr(import_module(f"{package}.{home}"), name)
        globals()[name] = value
        return value
