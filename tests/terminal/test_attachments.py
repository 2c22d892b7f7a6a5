"""What is said of attachments, and how the paths of `/file` are read."""

import pytest

from chatrepl.chat.attachments import AttachedImage, AttachedText
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.messages import Message
from chatrepl.chat.turn import Chat
from chatrepl.errors import PromptTooLongError, SettingsError
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.terminal.attachments import announce, check_room, listed, outlined, waiting
from tests.support.images import png

SHOT = AttachedImage("shot.png", "image/png", png(8, 6), 1_800, 2_400)
ODD = AttachedText("two\nlines\x1b]52;c;AA\x07\u202e.txt", "x")
MANY = tuple(AttachedText(f"{number}.txt", "word") for number in range(22))


def chat_of(model: str) -> Chat:
    return Chat(ScriptedProvider(), card_for(model))


def test_each_is_said_with_its_tokens_before_it_leaves() -> None:
    said: list[str] = []
    announce(chat_of("gpt-4o"), (SHOT, ODD), said.append)
    assert said[0].startswith("attached shot.png, 1,800 × 2,400, 77")
    assert said[1].startswith("attached two lines.txt, ")
    assert all(line.endswith(" tokens") for line in said)


def test_nothing_is_counted_where_nothing_is_attached() -> None:
    said: list[str] = []
    chat = chat_of("gpt-4o")
    announce(chat, (), said.append)
    assert said == []
    assert not chat.counter.loaded


def test_an_estimate_is_marked() -> None:
    assert listed(chat_of("llava"), [ODD])[0].startswith("two lines.txt, ≈")


def test_of_very_many_the_rest_is_said_in_a_line() -> None:
    chat = chat_of("gpt-4")
    lines = listed(chat, MANY)
    assert len(lines) == 21
    assert lines[-1] == f"2 more, {sum(map(chat.counter.attachment, MANY[20:])):,} tokens"
    assert waiting(MANY) == "for the next message: 0.txt, 1.txt, 2.txt, 19 more; /file lists it"
    assert waiting(MANY[:1]) == "for the next message: 0.txt; /file lists it"


def test_what_has_no_room_is_refused_with_the_numbers() -> None:
    chat = chat_of("gpt-4")
    large = AttachedText("large.txt", "word " * 7_000)
    with pytest.raises(PromptTooLongError) as caught:
        check_room(chat, (large,))
    size = chat.counter.attachment(large)
    room = "in a window of 8,192 of which 2,048 are kept for the reply."
    assert caught.value.text == f"large.txt does not fit: {size:,} tokens, {room}"
    with pytest.raises(PromptTooLongError) as caught:
        check_room(chat, (*MANY, large))
    assert caught.value.text.startswith("The 23 files do not fit: ")
    assert caught.value.text.endswith(f"of which large.txt has {size:,}, {room}")
    check_room(chat, MANY)
    with pytest.raises(SettingsError, match="gpt-4 takes no images") as refused:
        check_room(chat, (SHOT,))
    assert "/" not in refused.value.hint, "slash commands are for a chat alone"
    assert "/drop N" in refused.value.commands


def test_a_message_is_shown_with_a_line_for_each() -> None:
    message = Message("user", "Look.", attachments=(SHOT, ODD))
    shown = "Look.\n[attached shot.png, 1,800 × 2,400]\n[attached two lines.txt]"
    assert outlined(message) == shown
    assert outlined(Message("user", "Hi")) == "Hi"
