"""Condensing: which exchanges a note stands for, and what the model is given to write it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.calibration import Calibration
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.condensing import Plan, for_summary, plan
from chatrepl.chat.conversation import Conversation, Note, from_messages
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.trimming import LeftOut, Window, fit
from tests.support.guide import num_tokens_from_messages

SYSTEM = Message("system", "Be kind.")


def count(messages: tuple[Message, ...]) -> int:
    return num_tokens_from_messages(message.as_openai() for message in messages)


def talk(exchanges: int, words: int = 8) -> Conversation:
    """A talk of so many exchanges and a question, each of them unlike the others."""
    said = Conversation(SYSTEM)
    for number in range(exchanges):
        said = said.asking(Message("user", f"Q{number}" + " why" * words))
        said = said.answered(Message("assistant", f"A{number}" + " so" * words), "stop", None)
    return said.asking(Message("user", "And now?"))


def window_of(said: Conversation, size: int = 600, max_tokens: int = 100) -> Window:
    calibration = Calibration(TokenCounter(card_for("gpt-4")))
    return fit(said, calibration, context_window=size, max_tokens=max_tokens)


def planned(said: Conversation, size: int = 600, max_tokens: int = 100) -> Plan:
    calibration = Calibration(TokenCounter(card_for("gpt-4")))
    return plan(window_of(said, size, max_tokens), calibration)


def given_to_the_model(made: Plan) -> list[str]:
    """The first words of the messages between the orders."""
    return [message.content.split()[0] for message in made.request.messages[1:-1]]


def numbers(indexes: range | list[int]) -> list[str]:
    return [f"{role}{index}" for index in indexes for role in "QA"]


def test_the_oldest_are_condensed_until_half_of_the_room_is_free() -> None:
    said = talk(18)
    made = planned(said)
    assert made.first == 0
    assert window_of(said).first < made.end < 18
    after = window_of(replace(said, note=Note("Short.", made.first, made.end)))
    assert (after.left_out, after.outgrown) == (LeftOut(), False)
    assert 150 < count(after.messages) < 300  # of the 500 that are there


def test_what_is_condensed_is_given_to_the_model_between_two_orders() -> None:
    made = planned(talk(18))
    begin, *given, end = made.request.messages
    assert (begin.role, end.role) == ("system", "user")
    assert tuple(given) == talk(18).messages[1 : 1 + 2 * made.end]
    assert made.exchanges == made.end - made.first == made.end
    assert made.tokens == count(tuple(given)) - 3
    assert "note" in end.content


@given(
    st.integers(1, 30),
    st.integers(0, 60),
    st.sampled_from([400, 600, 1_000]),
    st.integers(10, 100),
    st.sets(st.integers(0, 29), max_size=2),
    st.sets(st.integers(0, 29), max_size=3),
)
@settings(deadline=None, max_examples=200)
def test_the_request_fits_and_holds_what_the_note_will_stand_for(
    length: int, words: int, size: int, reply: int, pins: set[int], drops: set[int]
) -> None:
    said = talk(length, words)
    said = replace(
        said,
        pins=frozenset(index for index in pins - drops if index < length and words < 30),
        drops=tuple(index for index in drops if index < length),
    )
    window = window_of(said, size, reply)
    if not window.outgrown:
        return
    made = planned(said, size, reply)
    request = made.request
    assert count(request.messages) + request.max_tokens <= size
    assert 32 <= request.max_tokens <= 512
    assert window.first <= made.end <= length
    old = [i for i in range(made.first, made.end) if i not in said.pins and i not in said.drops]
    assert given_to_the_model(made) == numbers(old)
    assert made.exchanges == len(old)
    if old:
        note = made.note("Short.")
        after = window_of(replace(said, note=note), size, reply)
        assert all(after.standing(index) == "in the note" for index in old)
        assert not after.outgrown


def test_what_is_more_than_the_window_holds_stays_left_out() -> None:
    made = planned(talk(300))
    assert made.first > 200
    after = window_of(replace(talk(300), note=made.note("Short.")))
    assert after.left_out.exchanges == made.first
    assert not after.outgrown  # so that nobody asks for another note at once


def test_pins_and_drops_are_not_condensed() -> None:
    made = planned(talk(18).pinned(2).dropped(4))
    given = given_to_the_model(made)
    assert given[:8] == numbers([0, 1, 3, 5])


def test_system_messages_in_a_loaded_talk_are_not_condensed() -> None:
    messages = list(talk(20).messages)
    messages.insert(4, Message("system", "REMINDER"))
    made = planned(from_messages(messages))
    assert "REMINDER" not in given_to_the_model(made)
    after = window_of(replace(from_messages(messages), note=made.note("Short.")))
    assert Message("system", "REMINDER") in after.messages


def test_an_earlier_note_is_condensed_with_what_came_after_it() -> None:
    said = replace(talk(24), note=Note("They met in Rome.", 0, 6))
    made = planned(said)
    assert "They met in Rome." in made.request.messages[0].content
    assert given_to_the_model(made) == numbers(range(6, made.end))
    assert made.note("Short.") == Note("Short.", 0, made.end)


def test_a_note_does_not_stand_for_what_the_model_was_never_given() -> None:
    # As when a talk went on for long with overflow = "trim" after its first note.
    said = replace(talk(300), note=Note("They met in Rome.", 0, 6))
    made = planned(said)
    given = given_to_the_model(made)
    assert 0 < len(given) < 100
    after = window_of(replace(said, note=made.note("Short.")))
    unseen = [index for index in range(6, made.end) if f"Q{index}" not in given]
    assert {after.standing(index) for index in unseen} == {"left out"}


def test_the_question_itself_is_never_condensed() -> None:
    said = talk(2)
    huge = Exchange((Message("user", "Q2" + " why" * 300), Message("assistant", "A2")))
    said = replace(said, exchanges=(*said.exchanges[:-1], huge, said.exchanges[-1]))
    made = planned(said, size=500)
    assert made.end == 3
    assert made.request.messages[-2].content != "And now?"


@pytest.mark.parametrize(("size", "length"), [(200, 32), (1_700, 200), (20_000, 512)])
def test_a_note_may_take_an_eighth_of_the_room(size: int, length: int) -> None:
    made = planned(talk(800), size)
    assert made.request.max_tokens == length
    assert str(length // 2) in made.request.messages[-1].content  # words are longer than tokens


def test_a_note_is_asked_with_the_users_parameters_but_not_with_what_would_shape_it() -> None:
    form = {"type": "json_object"}
    given = {"temperature": 0.5, "stop": ["."], "response_format": form, "min_p": 0.1}
    assert for_summary(given) == {"temperature": 0.5, "min_p": 0.1}
