"""Thoughts in a reply's text: told apart whatever the pieces are, shown, and never sent back."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.events import Event, Finished, ReasoningDelta, TextDelta, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.thinking import ThoughtSplitter, thoughts_apart
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import StreamInterruptedError
from chatrepl.providers.scripted import Line, ScriptedProvider

# Text in which tags, pieces of tags and blanks come often.
TANGLED = st.lists(
    st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", "<", ">", "\n", " ", "a", "é"])
).map("".join)


def told_apart(pieces: Iterable[str]) -> tuple[str, str]:
    """Give the thoughts and the text of a reply in pieces."""
    splitter = ThoughtSplitter()
    given = [event for piece in pieces for event in splitter.feed(piece)]
    given += splitter.flush()
    assert all(event.text for event in given), "an empty piece is none"
    kinds = [type(event) for event in given]
    assert kinds == sorted(kinds, key=(ReasoningDelta, TextDelta).index), "thoughts come first"
    thoughts = (event.text for event in given if isinstance(event, ReasoningDelta))
    return "".join(thoughts), "".join(e.text for e in given if isinstance(e, TextDelta))


@pytest.mark.parametrize(
    ("reply", "thoughts", "text"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes."),
        ("\n <think>Hm. So.</think>Yes.\n", "Hm. So.", "Yes.\n"),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("<think></think>Yes.", "", "Yes."),
        ("<think>a\n\n b</think> \n\n    code", "a\n\n b", "    code"),
        ("<think>a < b </thin </think>c", "a < b </thin", "c"),
        ("<think>a <think> b</think>c</think>d", "a <think> b", "c</think>d"),
        ("<think>cut of", "cut of", ""),
        ("<think>cut of </thin", "cut of </thin", ""),
        ("<think>a</think>\n\n", "a", ""),
        ("Yes. <think>no</think>", "", "Yes. <think>no</think>"),
        ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
        ("<thin", "", "<thin"),
        ("  \n", "", "  \n"),
        ("\n\nYes.", "", "\n\nYes."),
        ("", "", ""),
    ],
)
def test_what_is_thought_and_what_is_said(reply: str, thoughts: str, text: str) -> None:
    assert told_apart([reply]) == (thoughts, text)
    assert told_apart(reply) == (thoughts, text), "character by character"


@given(TANGLED, st.data())
@example("<think>a \n</think>\n\nb", None)
def test_any_split_into_pieces_gives_the_same(reply: str, data: st.DataObject | None) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(reply)))) if data else range(len(reply))
    ends = [0, *sorted(cuts), len(reply)]
    pieces = [reply[start:end] for start, end in pairwise(ends)]
    assert told_apart(pieces) == told_apart([reply])


@given(TANGLED)
def test_a_reply_that_begins_with_no_tag_is_all_text(reply: str) -> None:
    if not reply.lstrip().startswith("<think>"):
        assert told_apart(reply) == ("", reply)


def test_a_piece_that_can_be_told_is_given_at_once() -> None:
    splitter = ThoughtSplitter()
    assert list(splitter.feed("<think>One ")) == [ReasoningDelta("One")]
    assert list(splitter.feed("two")) == [ReasoningDelta(" two")]
    assert list(splitter.feed("</think>\n")) == []
    assert list(splitter.feed("Three")) == [TextDelta("Three")]
    assert list(splitter.feed(" ")) == [TextDelta(" ")]


def test_what_is_held_back_comes_before_the_end_and_before_an_error() -> None:
    usage, end = UsageReport(Usage(1, 1)), Finished("stop")
    assert list(thoughts_apart(iter([TextDelta("<th"), usage, end]))) == [
        TextDelta("<th"),
        usage,
        end,
    ]

    def cut() -> Iterator[Event]:
        yield TextDelta("<th")
        raise StreamInterruptedError("cut")

    events = thoughts_apart(cut())
    assert next(events) == TextDelta("<th")
    with pytest.raises(StreamInterruptedError):
        next(events)


def chat_with(*scripts: Iterable[Line] | str) -> tuple[Chat, ScriptedProvider]:
    provider = ScriptedProvider(*scripts)
    return Chat(provider, card_for("gpt-4")), provider


def test_thoughts_are_no_part_of_the_reply_and_never_sent_back() -> None:
    script: list[Line] = [
        TextDelta("<think>\nHm."),
        TextDelta("</think>\n\nYes."),
        Finished("stop"),
    ]
    chat, provider = chat_with(script, "Again.")
    events = list(chat.say("Hi"))
    assert events == [ReasoningDelta("Hm."), TextDelta("Yes."), Finished("stop")]
    assert chat.thoughts == "Hm."
    list(chat.say("And?"))
    assert [message.content for message in provider.requests[-1].messages] == ["Hi", "Yes.", "And?"]
    assert chat.thoughts == "", "the last reply had none"


def test_thoughts_that_use_up_the_reply_are_kept_and_no_exchange_is() -> None:
    chat, _ = chat_with([TextDelta("<think>Hm, let me"), Finished("length")])
    assert list(chat.say("Hi")) == [ReasoningDelta("Hm, let me"), Finished("length")]
    assert chat.thoughts == "Hm, let me"
    assert not chat.conversation.exchanges


def test_thoughts_before_a_reply_goes_on_are_added_and_those_of_another_reply_go() -> None:
    script: list[Line] = [ReasoningDelta("One."), TextDelta("Half"), Finished("length")]
    more: list[Line] = [ReasoningDelta("Two."), TextDelta(" and half"), Finished("stop")]
    chat, _ = chat_with(script, more)
    list(chat.say("Hi"))
    list(chat.go_on())
    assert chat.thoughts == "One.\n\nTwo."
    chat.go_to(0)
    assert chat.thoughts == ""


def test_the_thoughts_of_who_makes_a_summary_are_no_part_of_it() -> None:
    said = Conversation()
    for number in range(8):
        said = said.asking(Message("user", f"Question {number}" + " why" * 20))
        said = said.answered(Message("assistant", "So" + " it is" * 10), "stop", None)
    script: list[Line] = [TextDelta("<think>Hm, hm.</think>\n\nThey asked."), Finished("stop")]
    provider = ScriptedProvider(script, "Fine.")
    card = card_for("gpt-4", context_window=300)
    chat = Chat(provider, card, said, reply_limit=60, overflow="summarize")
    list(chat.say("Hi"))
    assert chat.conversation.note is not None
    assert chat.conversation.note.text == "They asked."
