"""Reading a conversation from a file: a JSON array of OpenAI messages."""

import codecs
from pathlib import Path
from typing import Literal

import msgspec

from chatrepl.chat.messages import Message
from chatrepl.errors import SettingsError


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str | list[_Part]
    name: str | None = None


def load_messages(file: Path) -> list[Message]:
    """Read the messages of a file. Raises SettingsError, naming the message that is wrong."""
    try:
        data = file.read_bytes()
    except OSError as error:
        text = f"--load: {file} can't be read: {error.strerror or error}"
        raise SettingsError(text) from error
    try:
        plain = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8))
        messages = msgspec.convert(_without_nulls(plain), list[_Message])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"--load: {file} is no array of OpenAI messages: {error}"
        hint = 'Example: [{"role": "user", "content": "Hello"}]'
        raise SettingsError(text, hint) from error
    if not messages:
        raise SettingsError(f"--load: {file} has no messages.")
    return [Message(message.role, _text(message.content), message.name) for message in messages]


def _without_nulls(messages: object) -> object:
    """Leave out keys that say nothing, as the client's own dumps of messages have many."""
    if not isinstance(messages, list):
        return messages
    return [
        {key: value for key, value in message.items() if value is not None and value != []}
        if isinstance(message, dict)
        else message
        for message in messages
    ]


def _text(content: str | list[_Part]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
