"""What is attached is kept with its message: in the database, in an export, in a loaded file."""

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatrepl.chat.attachments import AttachedImage, AttachedText
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message
from chatrepl.errors import ServerError, SettingsError
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.reading import read_image
from chatrepl.store.export import export
from chatrepl.store.migrations import APPLICATION_ID, MIGRATIONS
from chatrepl.store.transcript import load_messages
from tests.support.images import gif, jpeg, png, webp
from tests.support.store import assert_sound, count, desk, hear, load, rows

NOTES = AttachedText("notes.txt", "one\x00\n```\ntwo ```` three\r\n\x1b[31m")
SHOT = AttachedImage("shot.png", "image/png", png(8, 6), 8, 6, "low")
BOTH = (NOTES, SHOT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


# The database.


def test_a_session_is_read_with_what_was_attached_and_sends_it_again(file: Path) -> None:
    card = card_for("gpt-4o")
    with desk(file) as first:
        first.chat.use(ScriptedProvider("Yes.", "Now."), card)
        hear(first.chat.say("Look.", BOTH))
        hear(first.chat.say("And now?"))
        said, session = first.chat.conversation, first.session
    saved = load(file, session)
    assert saved.conversation == said
    assert saved.conversation.messages[0] == Message("user", "Look.", attachments=BOTH)
    with desk(file, saved) as second:
        provider = ScriptedProvider("Still.")
        second.chat.use(provider, card)
        hear(second.chat.say("And this?"))
        assert provider.requests[0].messages[0].attachments == BOTH
    assert_sound(file)


def test_what_was_attached_to_a_message_without_a_reply_comes_back_with_it(file: Path) -> None:
    with desk(file) as first:
        first.say("Hello")
        first.chat.provider = ScriptedProvider([ServerError("down")])
        with pytest.raises(ServerError):
            hear(first.chat.say("Look.", (NOTES,)))
        session = first.session
    saved = load(file, session)
    assert (saved.unsent, saved.unsent_files) == ("Look.", (NOTES,))


def test_what_was_attached_goes_with_its_session(file: Path) -> None:
    with desk(file) as first:
        first.chat.use(ScriptedProvider("Yes."), card_for("gpt-4o"))
        hear(first.chat.say("Look.", (NOTES, AttachedText("b", "b"))))
        session = first.session
        assert count(file, "attachment") == 2
        first.sessions.remove(session)
        assert count(file, "attachment") == 0


def test_a_database_from_before_attachments_is_brought_up_to_them(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "INSERT INTO session (id, title, created, updated, provider, model) "
            "VALUES ('old', 'Old', '2026-01-01', '2026-01-01', '', '')"
        )
        connection.commit()
    saved = load(file, "old")
    assert saved.session.title == "Old"
    assert rows(file, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert_sound(file)


# Exports.


def talk() -> Conversation:
    asked = Conversation().asking(Message("user", "Look:\n```\nopen", attachments=BOTH))
    return asked.answered(Message("assistant", "I see."), "stop", None)


def test_markdown_shows_a_text_in_a_fence_that_it_can_not_leave() -> None:
    text = export(talk(), "md", title="t")
    _, open_fence, after = text.partition("## User\n\nLook:\n```\nopen\n```\n\n")
    assert open_fence  # the fence that was left open does not swallow what follows
    assert after.startswith(
        "Attached: `notes.txt`\n\n`````txt\none\ufffd\n```\ntwo ```` three\n\ufffd[31m\n`````\n\n"
        "Attached: `shot.png`, 8 × 6 pixels\n\n## Assistant\n\nI see.\n"
    )


def test_a_page_shows_the_text_as_code_and_has_the_image_in_it() -> None:
    html = export(talk(), "html", title="t")
    assert "<code>notes.txt</code>" in html
    assert "two ```` three" in html
    assert "<code>shot.png</code>, 8 × 6 pixels" in html
    assert f'<img alt="shot.png" width="8" height="6" src="{SHOT.url}">' in html
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    without = export(Conversation().asking(Message("user", "Hi")), "html", title="t")
    assert "img-src" not in without


def test_a_name_can_not_break_out_of_an_export() -> None:
    named = AttachedText("`](http://evil) \n# <b>\x1b", "x")
    said = Conversation().asking(Message("user", "Hi", attachments=(named,)))
    assert "Attached: `'](http://evil) # <b>\ufffd`\n\n```\nx" in export(said, "md", title="t")
    assert "<b>" not in export(said, "html", title="t")
    image = AttachedImage('" onerror="evil()', "image/png", b"", 1, 1)
    said = Conversation().asking(Message("user", "Hi", attachments=(image,)))
    assert 'alt="&quot; onerror=&quot;evil()"' in export(said, "html", title="t")


# Files to load.


def save(folder: Path, content: Any, role: str = "user") -> Path:
    file = folder / "talk.json"
    file.write_text(json.dumps([{"role": role, "content": content}]))
    return file


def part(data: bytes, kind: str = "image/png", **more: str) -> dict[str, Any]:
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url, **more}}


def test_what_an_export_has_is_loaded_and_sent_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(export(talk(), "json", title="t"), encoding="utf-8", newline="")
    loaded = load_messages(file, read_image)
    assert [m.as_openai() for m in loaded] == [m.as_openai() for m in talk().messages]
    (image,) = loaded[0].images
    assert (image.data, image.width, image.height, image.detail) == (SHOT.data, 8, 6, "low")


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
def test_parts_of_a_message_are_its_texts_and_its_images(tmp_path: Path, make: Any) -> None:
    texts = [{"type": "text", "text": text} for text in ("What ", "is it?")]
    image = part(make(30, 20), "image/whatever", detail="auto")
    loaded = load_messages(save(tmp_path, [texts[0], image, texts[1]]), read_image)
    assert loaded[0].content == loaded[0].text == "What is it?"
    (found,) = loaded[0].images
    assert (found.width, found.height, found.detail, found.name) == (30, 20, "high", "")


@pytest.mark.parametrize(
    ("content", "role", "words"),
    [
        ([part(png(9, 9))], "assistant", "message 1 is no user's and has an image."),
        ([part(b"GIF")], "user", "the image of message 1 is no PNG, JPEG, GIF or WebP."),
        ([part(png(9, 9)[:20])], "user", "begins as a png image does"),
        (
            [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
            "user",
            "the image of message 1 is not in the file, only its address.",
        ),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,abc"}}],
            "user",
            "the image of message 1 is no base64",
        ),
        ([{"type": "input_audio", "input_audio": {}}], "user", "Invalid value 'input_audio'"),
    ],
)
def test_what_can_not_be_sent_is_not_loaded(
    tmp_path: Path, content: Any, role: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_messages(save(tmp_path, content, role), read_image)
    assert words in caught.value.text
    assert caught.value.text.startswith("--load: ")
    assert "\n" not in caught.value.text
