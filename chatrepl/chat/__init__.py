"""What is said: values and rules. No files, no network, no terminal, no clock."""

from chatrepl.chat.catalogue import ModelCard, card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Recorder, Request
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage

__all__ = [
    "Chat",
    "Conversation",
    "Exchange",
    "Message",
    "ModelCard",
    "Provider",
    "Recorder",
    "Request",
    "Usage",
    "card_for",
]
