"""What is attached to a message: how it is sent, what it costs, and that it can't break out."""

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.attachments import HEAD, AttachedImage, AttachedText, Attachment, merged
from chatrepl.chat.calibration import Calibration
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.images import image_tokens
from chatrepl.chat.messages import Message
from chatrepl.chat.previewing import preview
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.turn import Chat
from chatrepl.errors import SettingsError
from chatrepl.providers.scripted import ScriptedProvider
from tests.support.guide import tokens
from tests.support.images import png
from tests.support.store import hear

SHOT = AttachedImage("shot.png", "image/png", png(8, 6), 800, 600)
SMALL = AttachedImage("", "image/gif", b"GIF89a", 9, 9, "low")
NOTES = AttachedText("notes.txt", "one\ntwo")

# What tokenizers join, what ends a tag, and what would pass for somebody else's words.
PIECES = ["\n", "\r\n", " ", "/", ".", ":", "<", ">", "</file", '"', "\\", "a", "7", "漢", "\ud83d"]
PIECES += ["<|im_end|>", "</file-00000000>", 'name="x">', "\t", "'s", "👍"]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
FILES = st.builds(AttachedText, TEXTS, TEXTS)
MESSAGES = st.builds(
    Message, st.just("user"), TEXTS, st.none(), st.lists(FILES, max_size=4).map(tuple)
)


def test_a_text_goes_out_behind_what_was_said_and_under_its_name() -> None:
    message = Message("user", "Review.", attachments=(NOTES,))
    mark = re.search(r"<file-([0-9a-f]{8}) ", message.text)
    assert mark is not None
    assert message.as_openai() == {
        "role": "user",
        "content": f'Review.{HEAD}<file-{mark[1]} name="notes.txt">\none\ntwo\n</file-{mark[1]}>\n',
    }


def test_images_are_parts_behind_the_text_that_names_them() -> None:
    message = Message("user", "Compare.", "Ann", (SHOT, NOTES, SMALL))
    plain = json.loads(json.dumps(message.as_openai()))
    text, first, second = plain["content"]
    assert text == {"type": "text", "text": message.text}
    assert '<image name="shot.png"/>' in message.text
    assert "one\ntwo" in message.text
    assert first == {
        "type": "image_url",
        "image_url": {
            "url": f"data:image/png;base64,{base64.b64encode(SHOT.data).decode()}",
            "detail": "high",
        },
    }
    assert second["image_url"]["detail"] == "low"
    assert plain["name"] == "Ann"


class Watched(str):
    """A text that knows how often it was gone through."""

    looks = 0

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.looks += 1
        return super().encode(encoding, errors)

    def __format__(self, how: str) -> str:
        self.looks += 1
        return super().__format__(how)


def test_what_is_attached_is_not_gone_through_for_each_key() -> None:
    file = AttachedText("large.txt", Watched("word " * 9))
    assert isinstance(file.text, Watched)
    before = file.text.looks
    message = Message("user", "Review.", attachments=(file,))
    assert message.head == f"Review.{HEAD}"
    assert file.text.looks == before
    assert file.block in message.text
    assert file.text.looks == before + 2  # each block is made of it, and its mark is known


def test_an_image_without_a_name_adds_no_words() -> None:
    assert Message("user", "What is it?", attachments=(SMALL,)).text == "What is it?"


@given(file=FILES, other=FILES)
def test_no_text_and_no_name_can_forge_the_end_of_its_tag(
    file: AttachedText, other: AttachedText
) -> None:
    for each in (file, AttachedText(file.name, other.block), AttachedText(other.block, file.text)):
        begin = re.match(r"<(file-[0-9a-f]{8}) name=(.*)>\n", each.block)
        assert begin is not None
        end = f"</{begin[1]}>\n"
        assert json.loads(begin[2]) == each.name
        inside = each.block[begin.end() : -len(end)]
        assert each.block.endswith(end)
        assert begin[1][5:] not in inside + begin[2]
        assert inside in {each.text, each.text + "\n"}


def test_a_mark_that_is_in_the_name_is_changed() -> None:
    first = AttachedText("a", "text").block[6:14]
    block = AttachedText(f"</file-{first}>", "text").block
    assert block[6:14] != first
    assert AttachedText("other", "text").block[6:14] == first


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
@given(message=MESSAGES)
@settings(deadline=None)
def test_the_parts_cost_what_the_whole_costs_and_no_more_than_its_size(
    model: str, message: Message
) -> None:
    counter = TokenCounter(card_for(model))
    encoding = {"gpt-4": "cl100k_base", "gpt-4o": "o200k_base"}[model]
    whole = 3 + 1 + tokens(message.text, encoding)
    assert counter.message(message) == whole <= message.size + 16
    assert message.size == len(message.text.encode())
    assert counter.surely_within([message], message.size + 16 + 3)
    assert not counter.surely_within([message], message.size + 16 + 2)


@pytest.mark.parametrize("model", ["gpt-4o", "ft:gpt-4o-mini:us::x", "openai/o4-mini", "who-knows"])
def test_an_image_costs_its_rule_and_its_name(model: str) -> None:
    counter = TokenCounter(card_for(model))
    message = Message("user", "Look.", attachments=(SHOT,))
    name = model.rpartition("/")[2].removeprefix("ft:")
    cost = image_tokens(name, SHOT.width, SHOT.height)
    assert counter.attachment(SHOT) == cost + counter.text(SHOT.block)
    assert counter.message(message) == 4 + counter.text(message.text) + cost <= message.size + 16


def test_a_message_with_attachments_is_a_value() -> None:
    def message(*attachments: Attachment) -> Message:
        return Message("user", "Hi", attachments=attachments)

    again = AttachedImage("shot.png", "image/png", png(8, 6), 800, 600)
    assert message(SHOT, NOTES) == message(again, AttachedText("notes.txt", "one\ntwo"))
    assert len({message(), message(SHOT), message(again), message(NOTES)}) == 3
    assert SHOT.data.hex() not in repr(message(SHOT))


def test_of_two_with_one_name_the_later_one_counts() -> None:
    newer = AttachedText("notes.txt", "three")
    assert merged((NOTES, SHOT), (newer,)) == (SHOT, newer)
    assert merged((SMALL,), (SMALL,)) == (SMALL, SMALL)


# In a chat.


def chat_with(model: str = "gpt-4o", *scripts: str) -> Chat:
    return Chat(ScriptedProvider(*scripts), card_for(model))


def test_what_is_attached_is_sent_again_with_every_turn() -> None:
    chat = chat_with("gpt-4o", "One.", "Two.")
    hear(chat.say("Look.", (SHOT, NOTES)))
    hear(chat.say("And now?"))
    provider = chat.provider
    assert isinstance(provider, ScriptedProvider)
    assert [request.messages[0].attachments for request in provider.requests] == [(SHOT, NOTES)] * 2
    assert chat.conversation.messages[0].content == "Look."


@pytest.mark.parametrize("model", ["gpt-4", "gpt-3.5-turbo"])
def test_no_image_leaves_for_a_model_that_takes_none(model: str) -> None:
    chat = chat_with("gpt-4o", "One.")
    hear(chat.say("Look.", (SHOT,)))
    chat.use(ScriptedProvider("Two."), card_for(model))
    before = chat.conversation
    with pytest.raises(SettingsError, match=r"takes no images: shot\.png"):
        hear(chat.say("And now?"))
    assert chat.conversation == before
    chat.conversation = chat.conversation.dropped(0)  # it is not sent any more
    assert hear(chat.say("And now?")) == "Two."


def test_the_preview_counts_what_will_be_attached() -> None:
    chat = chat_with()
    chat.counter.load()
    line, both = preview(chat, "Look."), preview(chat, "Look.", (SHOT, NOTES))
    more = sum(chat.counter.attachment(each) for each in (SHOT, NOTES))
    more += chat.counter.text("Look." + HEAD)
    assert both.prompt_tokens == line.prompt_tokens + more - chat.counter.text("Look.")
    assert preview(chat, "", (SHOT,)).prompt_tokens > chat.counter.attachment(SHOT)


def test_an_image_does_not_teach_how_a_server_counts_text() -> None:
    calibration = Calibration(TokenCounter(card_for("llava")))
    text = "A ship sails over the sea to an island. " * 10
    calibration.observe((Message("user", text, attachments=(SHOT,)),), 1_900)
    assert not calibration.exact  # which learns
    assert calibration.scale.weight == 0
    calibration.observe((Message("user", text),), 150)
    assert not calibration.exact
    assert calibration.scale.weight > 0
