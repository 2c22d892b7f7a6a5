"""Conversation: a value whose every change makes another."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.conversation import NOTE_MARK, Conversation, Note, from_messages
from chatrepl.chat.exchanges import Exchange, Exchanges
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage

SYSTEM = Message("system", "Be kind.")
EXAMPLES = (Message("user", "2+2"), Message("assistant", "4"))
HELLO, WORLD = Message("user", "Hello"), Message("assistant", "World")
AGAIN = Message("user", "Again")

ROLES = st.sampled_from(["system", "user", "assistant"])


def test_messages_are_sent_as_system_examples_exchanges() -> None:
    talk = Conversation(SYSTEM, EXAMPLES).asking(HELLO).answered(WORLD, "stop", None).asking(AGAIN)
    assert talk.messages == (SYSTEM, *EXAMPLES, HELLO, WORLD, AGAIN)
    assert talk.preamble == (SYSTEM, *EXAMPLES)


def test_an_answer_joins_the_last_question_with_how_it_ended() -> None:
    usage = Usage(5, 1)
    asked = Conversation().asking(HELLO)
    answered = asked.answered(WORLD, "length", usage)
    assert answered.exchanges == (Exchange((HELLO, WORLD), "length", usage),)
    assert asked.exchanges == (Exchange((HELLO,)),)  # the value it was made from is as it was


def test_stepping_back_and_clearing() -> None:
    talk = Conversation(SYSTEM, EXAMPLES).asking(HELLO).answered(WORLD, "stop", None).asking(AGAIN)
    assert talk.without_last().messages == (SYSTEM, *EXAMPLES, HELLO, WORLD)
    assert talk.cleared() == Conversation(SYSTEM, EXAMPLES)


def test_the_system_message_is_set_replaced_and_removed() -> None:
    talk = Conversation().asking(HELLO)
    assert talk.with_system("Be brief.").messages == (Message("system", "Be brief."), HELLO)
    assert talk.with_system("Be brief.").with_system("Be kind.").system == SYSTEM
    assert talk.with_system("Be brief.").with_system("") == talk


# The exchanges.

SIZES = st.one_of(st.integers(0, 5), st.integers(60, 70), st.integers(125, 130))


def numbered(size: int) -> list[Exchange]:
    return [Exchange((Message("user", str(number)),)) for number in range(size)]


@given(SIZES, st.data())
@settings(deadline=None)
def test_exchanges_are_what_a_tuple_of_them_is(size: int, data: st.DataObject) -> None:
    plain = tuple(numbered(size))
    kept = Exchanges(plain)
    assert (len(kept), list(kept), list(reversed(kept))) == (size, [*plain], [*plain[::-1]])
    assert kept == plain
    assert (hash(kept), repr(kept)) == (hash(plain), repr(plain))
    index = data.draw(st.integers(-300, 300))
    if -size <= index < size:
        assert kept[index] is plain[index]
    else:
        with pytest.raises(IndexError):
            kept[index]
    cut = data.draw(st.slices(size))
    assert kept[cut] == plain[cut]


@given(SIZES, st.lists(st.sampled_from(["append", "append", "take"]), max_size=8))
@settings(deadline=None)
def test_exchanges_grow_and_shrink_as_a_tuple_does(size: int, changes: list[str]) -> None:
    plain = tuple(numbered(size))
    kept = Exchanges(plain)
    for number, change in enumerate(changes):
        before, was = kept, plain
        if change == "append":
            new = Exchange((Message("assistant", str(number)),))
            kept, plain = kept.appended(new), (*plain, new)
        elif plain:
            kept, plain = kept.without_last(), plain[:-1]
        assert before == was
        assert kept == plain
        assert [kept[index] for index in range(len(kept))] == [*plain]


@given(SIZES, st.data())
@settings(deadline=None)
def test_what_exchanges_have_in_common_is_their_beginning(size: int, data: st.DataObject) -> None:
    said = numbered(size)
    one = other = Exchanges(said)
    for new in numbered(data.draw(st.integers(0, 70))):
        one = one.appended(new)
    for _ in range(data.draw(st.integers(0, min(size, 5)))):
        other = other.without_last()
    shared = min(len(one), len(other))
    for new in numbered(data.draw(st.integers(0, 70))):
        other = other.appended(new)
    alike = one.common(other)
    assert one[:alike] == other[:alike]
    assert shared - 64 < alike
    if alike < min(len(one), len(other)):
        assert alike >= shared // 64 * 64


# What is pinned, dropped, noted.


def said(exchanges: int) -> Conversation:
    talk = Conversation(SYSTEM, EXAMPLES)
    for _ in range(exchanges):
        talk = talk.asking(HELLO).answered(WORLD, "stop", None)
    return talk


def test_a_drop_goes_before_a_pin_and_a_pin_takes_a_drop_back() -> None:
    talk = said(3).pinned(1)
    assert (sorted(talk.pins), talk.drops) == ([1], ())
    dropped = talk.dropped(1)
    assert (sorted(dropped.pins), dropped.drops) == ([1], (1,))
    assert dropped.undropped() == talk
    again = dropped.pinned(1)
    assert (sorted(again.pins), again.drops) == ([1], ())
    assert again.unpinned(1) == said(3)
    assert talk.pins == {1}  # the value they were made from is as it was


def test_the_last_drop_is_taken_back_first() -> None:
    talk = said(4).dropped(2).dropped(0).dropped(2)
    assert talk.drops == (0, 2)
    assert talk.undropped().drops == (0,)
    assert talk.undropped().undropped() == talk.undropped().undropped().undropped() == said(4)


def test_nothing_is_deleted_by_a_drop() -> None:
    assert said(3).dropped(1).messages == said(3).messages


def test_what_was_marked_of_an_exchange_goes_with_it() -> None:
    loaded = from_messages([HELLO, WORLD, HELLO, SYSTEM])
    assert loaded.reminders == {1}
    assert loaded.without_last().reminders == frozenset()
    assert said(2).pinned(1).without_last() == said(1)
    assert said(2).dropped(1).without_last() == said(1)
    assert said(2).pinned(0).without_last() == said(1).pinned(0)


def test_an_exchange_that_is_asked_again_is_sent_again() -> None:
    asked = said(2).dropped(0).dropped(1).unanswered()
    assert asked.drops == (0,)
    assert asked.messages == said(2).messages[:-1]


def test_clearing_keeps_no_mark() -> None:
    talk = replace(said(3).pinned(0).dropped(1), note=Note("Short.", 0, 2))
    assert talk.cleared() == Conversation(SYSTEM, EXAMPLES)


def test_a_note_says_what_it_is_and_is_no_message_that_was_said() -> None:
    talk = replace(said(3), note=Note("They met.", 0, 2))
    assert talk.note is not None
    assert talk.note.message.content == f"{NOTE_MARK}\nThey met."
    assert talk.opening == (SYSTEM, talk.note.message, *EXAMPLES)
    assert talk.messages == said(3).messages
    assert said(3).opening == said(3).preamble


@pytest.mark.parametrize("index", [1, 2])
def test_a_note_that_tells_of_a_dropped_exchange_goes_too(index: int) -> None:
    talk = replace(said(5), note=Note("They met.", 1, 3))
    assert talk.dropped(index).note is None


@pytest.mark.parametrize("index", [0, 3, 4])
def test_a_note_stays_when_another_exchange_is_dropped(index: int) -> None:
    talk = replace(said(5), note=Note("They met.", 1, 3))
    assert talk.dropped(index).note == talk.note


@pytest.mark.parametrize(("steps", "stays"), [(1, True), (2, True), (3, False)])
def test_a_note_goes_when_an_exchange_that_it_tells_of_is_undone(steps: int, stays: bool) -> None:
    talk = replace(said(5), note=Note("They met.", 1, 3))
    for _ in range(steps):
        talk = talk.without_last()
    assert (talk.note is not None) == stays


def test_a_note_goes_when_what_it_tells_of_is_asked_again() -> None:
    # A summary that was made for a turn of which nothing came tells of all that was said before.
    talk = replace(said(3), note=Note("They met.", 0, 3)).unanswered()
    assert talk.note is None


# Messages and exchanges.


@pytest.mark.parametrize(
    ("messages", "prompt", "reply"),
    [
        ((HELLO,), HELLO, None),
        ((HELLO, WORLD), HELLO, WORLD),
        ((WORLD,), None, WORLD),
        ((SYSTEM,), None, None),
        ((HELLO, SYSTEM), HELLO, None),
    ],
)
def test_an_exchange_knows_its_prompt_and_its_reply(
    messages: tuple[Message, ...], prompt: Message | None, reply: Message | None
) -> None:
    exchange = Exchange(messages)
    assert (exchange.prompt, exchange.reply) == (prompt, reply)


@given(st.lists(ROLES))
@settings(deadline=None)
def test_a_flat_list_keeps_every_message_in_order(roles: list[str]) -> None:
    said = [Message(role, str(number)) for number, role in enumerate(roles)]  # type: ignore[arg-type]  # drawn from the roles
    talk = from_messages(said)
    assert list(talk.messages) == said
    assert (talk.system is not None) == (roles[:1] == ["system"])
    for exchange in talk.exchanges[1:]:
        assert [message.role for message in exchange.messages].index("user") == 0
    for exchange in talk.exchanges:
        assert all(message.role != "user" for message in exchange.messages[1:])


@given(st.lists(ROLES), st.booleans())
@settings(deadline=None)
def test_every_message_is_found_in_its_exchange(roles: list[str], examples: bool) -> None:
    messages = [Message(role, str(number)) for number, role in enumerate(roles)]  # type: ignore[arg-type]  # drawn from the roles
    talk = from_messages(messages)
    if examples:
        talk = replace(talk, examples=EXAMPLES)
    found = [talk.exchange_of(index) for index in range(len(talk.messages))]
    assert found[: len(talk.preamble)] == [None] * len(talk.preamble)
    for number, exchange in enumerate(talk.exchanges):
        own = [talk.messages[index] for index, of in enumerate(found) if of == number]
        assert tuple(own) == exchange.messages
    with pytest.raises(IndexError):
        talk.exchange_of(len(talk.messages))


@given(st.lists(ROLES))
@settings(deadline=None)
def test_system_messages_in_a_loaded_talk_are_remembered(roles: list[str]) -> None:
    talk = from_messages(Message(role, "") for role in roles)  # type: ignore[arg-type]  # drawn from the roles
    for number, exchange in enumerate(talk.exchanges):
        holds = "system" in {message.role for message in exchange.messages}
        assert (number in talk.reminders) == holds
