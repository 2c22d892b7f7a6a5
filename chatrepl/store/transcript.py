"""Reading a conversation from a file: a JSON array of OpenAI messages."""

import binascii
import codecs
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from chatrepl.chat.attachments import AttachedImage
from chatrepl.chat.messages import Message
from chatrepl.errors import SettingsError

ReadImage = Callable[[bytes, str, str], AttachedImage]
"""Makes an attachment of an image's bytes, what to call it in an error, and its detail.

Raises SettingsError.
"""

_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


class _Text(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    text: str


class _Address(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"


class _Image(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    image_url: _Address


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str | list[_Text | _Image]
    name: str | None = None


def load_messages(file: Path, read_image: ReadImage) -> list[Message]:
    """Read the messages of a file; of one in parts, the texts come first and then the images.

    Raises SettingsError, naming the message that is wrong.
    """
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
    try:
        return [_message(each, number, read_image) for number, each in enumerate(messages, 1)]
    except SettingsError as error:
        raise SettingsError(f"--load: {file}: {error.text}", error.hint) from error


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


def _message(plain: _Message, number: int, read_image: ReadImage) -> Message:
    if isinstance(plain.content, str):
        return Message(plain.role, plain.content, plain.name)
    texts = "".join(part.text for part in plain.content if isinstance(part, _Text))
    images = [part.image_url for part in plain.content if isinstance(part, _Image)]
    if images and plain.role != "user":
        raise SettingsError(f"message {number} is no user's and has an image.")
    attached = tuple(
        # The API has no place for its name.
        replace(
            read_image(_data(image.url, number), f"the image of message {number}", image.detail),
            name="",
        )
        for image in images
    )
    return Message(plain.role, texts, plain.name, attached)


def _data(url: str, number: int) -> bytes:
    """Take the bytes out of a data URL; nothing is fetched from any other."""
    begin = _DATA_URL.match(url)
    if begin is None:
        text = f"the image of message {number} is not in the file, only its address."
        raise SettingsError(text, "Only data:image/…;base64,… can be loaded.")
    try:
        return binascii.a2b_base64(url[begin.end() :])
    except (ValueError, binascii.Error) as error:
        raise SettingsError(f"the image of message {number} is no base64: {error}.") from error
