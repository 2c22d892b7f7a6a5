"""Trimming: what is sent fits, and nothing is left out that would have fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.calibration import Calibration, Scale
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation, Note, from_messages
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.trimming import LeftOut, Window, fit
from chatrepl.errors import PromptTooLongError
from tests.support.guide import num_tokens_from_messages

TEXT = st.sampled_from(["", "Yes.", "naïve 中文", "Tell me more about that, please. " * 3])
MESSAGE = st.builds(
    Message,
    st.sampled_from(["system", "user", "user", "assistant", "assistant"]),
    TEXT,
    st.sampled_from([None, None, "Zoë"]),
)
EXAMPLES = st.lists(TEXT, max_size=2).map(
    lambda texts: tuple(
        message for text in texts for message in (Message("user", text), Message("assistant", "OK"))
    )
)
SIZES = st.integers(1, 400)
REAL = settings(deadline=None, max_examples=300)


@dataclass(frozen=True)
class Family:
    """Models that count alike, as the API guide says."""

    model: str
    encoding: str
    per_message: int = 3
    per_name: int = 1

    def count(self, messages: Sequence[Message]) -> int:
        """Count a request from scratch."""
        said = (message.as_openai() for message in messages)
        return num_tokens_from_messages(said, self.encoding, self.per_message, self.per_name)

    def sum(self, messages: Sequence[Message]) -> int:
        """Count messages without what primes the reply."""
        return self.count(messages) - self.count([])

    def calibration(self) -> Calibration:
        return Calibration(TokenCounter(card_for(self.model)))

    def fit(self, talk: Conversation, size: int, max_tokens: int = 10) -> Window | None:
        """Trim from scratch; None where the prompt does not fit."""
        return fit_or_none(talk, self.calibration(), size, max_tokens)


GPT_4 = Family("gpt-4", "cl100k_base")
FAMILIES = st.sampled_from(
    [
        Family("gpt-3.5-turbo-0301", "cl100k_base", 4, -1),
        GPT_4,
        Family("gpt-4o", "o200k_base"),
    ]
)


def fit_or_none(
    talk: Conversation, calibration: Calibration, size: int, max_tokens: int = 10
) -> Window | None:
    try:
        return fit(talk, calibration, context_window=size, max_tokens=max_tokens)
    except PromptTooLongError:
        return None


@st.composite
def talks(draw: st.DrawFn) -> Conversation:
    """A conversation that ends with a user message, loaded from any list, with all that may be on.

    Loaded lists may begin with a reply and have system messages anywhere. What is dropped may
    have been so before the note was written or after.
    """
    said = draw(st.lists(MESSAGE, min_size=draw(st.sampled_from([0, 6])), max_size=14))
    talk = from_messages([*said, Message("user", draw(TEXT))])
    talk = replace(talk, examples=draw(EXAMPLES))
    last = len(talk.exchanges) - 1
    if last == 0:
        return talk
    index = st.integers(0, last - 1)
    for number in draw(st.lists(index, max_size=2)):
        talk = talk.dropped(number)
    for number in draw(st.lists(index, max_size=2)):
        talk = talk.pinned(number)
    if draw(st.booleans()):
        first = draw(index)
        note = Note(draw(TEXT), first, draw(st.integers(first + 1, last)))
        talk = replace(talk, note=note)
    return talk


@dataclass
class Place:
    """A message of a conversation: where it is, and whose."""

    index: int
    message: Message
    exchange: int


def places(talk: Conversation) -> list[Place]:
    """Every message of the exchanges."""
    found: list[Place] = []
    for number, exchange in enumerate(talk.exchanges):
        for message in exchange.messages:
            found.append(Place(len(talk.preamble) + len(found), message, number))
    return found


def is_required(talk: Conversation, place: Place) -> bool:
    """Whether a message must be sent: the last exchange, pins, and the reminders of the others."""
    if place.exchange in talk.pins or place.exchange == len(talk.exchanges) - 1:
        return True
    return place.message.role == "system" and place.exchange not in talk.drops


def candidates(talk: Conversation) -> list[int]:
    """The exchanges for which there is a choice, oldest first."""
    begin = talk.note.end if talk.note else 0
    settled = talk.pins | set(talk.drops)
    return [index for index in range(begin, len(talk.exchanges) - 1) if index not in settled]


def with_newest(talk: Conversation, number: int) -> list[Message]:
    """What is sent if the newest so many of the candidates are."""
    chosen = candidates(talk)
    chosen = chosen[len(chosen) - number :]
    note = [talk.note.message] if talk.note else []
    system = [talk.system] if talk.system else []
    sent = [p.message for p in places(talk) if is_required(talk, p) or p.exchange in chosen]
    return [*system, *note, *talk.examples, *sent]


@dataclass(frozen=True)
class Case:
    """A conversation, the model's family, and a window's size with the part for the reply."""

    family: Family
    talk: Conversation
    size: int
    reply: int

    @property
    def window(self) -> Window | None:
        return self.family.fit(self.talk, self.size, self.reply)

    def fits(self, messages: Sequence[Message]) -> bool:
        return self.family.count(messages) + self.reply <= self.size


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Mostly, a window that holds what it must and a part of the rest."""
    family, talk, reply = draw(FAMILIES), draw(talks()), draw(st.integers(1, 60))
    least = family.count(with_newest(talk, 0))
    most = family.count(with_newest(talk, len(candidates(talk))))
    some = least + (most - least) * draw(st.integers(0, 100)) // 100
    size = draw(st.sampled_from([least - 1, least, some, some, some, most, 20 * most]))
    return Case(family, talk, size + reply, reply)


@given(cases())
@REAL
def test_what_is_sent_fits(case: Case) -> None:
    window = case.window
    if window is None:
        assert not case.fits(with_newest(case.talk, 0))
        return
    assert case.fits(window.messages)
    assert (window.max_tokens, window.context_window) == (case.reply, case.size)


@given(cases())
@REAL
def test_the_oldest_are_left_out_and_none_that_would_have_fitted(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    numbers = range(len(candidates(talk)) + 1)
    most = max(n for n in numbers if case.fits(with_newest(talk, n)))
    assert list(window.messages) == with_newest(talk, most)


@given(cases())
@REAL
def test_what_must_be_sent_is(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    gone = {dropped.index for dropped in window.dropped}
    assert window.messages[: len(talk.opening)] == talk.opening
    assert min(gone, default=len(talk.preamble)) >= len(talk.preamble)
    assert not gone & {place.index for place in places(talk) if is_required(talk, place)}
    assert window.messages[-1] == talk.messages[-1]


@given(cases())
@REAL
def test_sent_and_dropped_are_the_whole_talk_in_its_order(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    gone = [dropped.index for dropped in window.dropped]
    assert gone == sorted(set(gone))
    kept = [place.message for place in places(talk) if place.index not in gone]
    assert window.messages == (*talk.opening, *kept)
    for dropped in window.dropped:
        message = talk.messages[dropped.index]
        assert (dropped.role, dropped.tokens) == (message.role, case.family.sum([message]))


@given(cases())
@REAL
def test_no_reply_is_sent_without_its_question(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    gone = {dropped.index for dropped in window.dropped}
    sent = [place for place in places(talk) if place.index not in gone]
    spoken = [place for place in sent if place.message.role != "system"]
    trimmed = [p for p in places(talk) if p.index in gone and p.exchange not in talk.drops]
    if spoken[0].message.role == "assistant":
        # The conversation that was loaded begins so, and this is its beginning.
        assert (spoken[0].exchange, talk.exchanges[0].prompt) == (0, None)
        assert not trimmed or 0 in talk.pins
    for place in spoken:
        prompt = talk.exchanges[place.exchange].prompt
        assert prompt is None or prompt in [p.message for p in sent if p.exchange == place.exchange]


@given(cases())
@REAL
def test_the_count_is_that_of_what_is_sent(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is not None and window.prompt_tokens is not None:
        assert window.prompt_tokens == case.family.count(window.messages)
    if window is not None and window.prompt_tokens is None:
        assert list(window.messages) == with_newest(talk, len(candidates(talk)))


@given(cases())
@REAL
def test_what_is_left_out_is_summed_up_as_a_recount_does(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    indexes = {dropped.index for dropped in window.dropped}
    noted = range(talk.note.first, talk.note.end) if talk.note else range(0)
    gone = [
        place
        for place in places(talk)
        if place.index in indexes and place.exchange not in {*talk.drops, *noted}
    ]
    tokens = case.family.sum([place.message for place in gone])
    assert window.left_out == LeftOut(len({place.exchange for place in gone}), tokens)
    ungoverned = [place for place in gone if place.exchange in candidates(talk)]
    assert window.outgrown == bool(ungoverned)


@given(cases())
@REAL
def test_the_standing_of_an_exchange_is_what_became_of_it(case: Case) -> None:
    window, talk = case.window, case.talk
    if window is None:
        return
    gone = {dropped.index for dropped in window.dropped}
    for number, exchange in enumerate(talk.exchanges):
        own = [place for place in places(talk) if place.exchange == number]
        standing = window.standing(number)
        assert (standing == "dropped") == (number in talk.drops)
        assert (standing == "pinned") == (number in talk.pins)
        if standing in {"sent", "pinned"}:
            assert window.sent_of(number) == exchange.messages
            assert not [place for place in own if place.index in gone]
        else:
            assert number != len(talk.exchanges) - 1
            kept = tuple(place.message for place in own if place.index not in gone)
            assert window.sent_of(number) == kept
        if standing == "in the note":
            assert talk.note is not None
            assert talk.note.first <= number < talk.note.end


# One calibration for the whole of a growing conversation.


@dataclass(frozen=True)
class Change:
    """One thing that happens to a conversation; `where` picks the exchange."""

    what: str
    where: int
    text: str


CHANGES = st.builds(
    Change,
    st.sampled_from(
        ["say", "say", "say", "pin", "unpin", "drop", "undrop", "undo", "edit", "note", "system"]
    ),
    st.integers(0, 20),
    TEXT,
)


def changed(talk: Conversation, change: Change) -> Conversation:
    text = change.text
    if change.what == "system":
        return talk.with_system(text)
    if change.what == "say" or not talk.exchanges:
        said = talk.asking(Message("user", text))
        return said.answered(Message("assistant", f"{text} {change.where}"), "stop", None)
    index = change.where % len(talk.exchanges)
    match change.what:
        case "pin":
            return talk.pinned(index)
        case "unpin":
            return talk.unpinned(index)
        case "drop":
            return talk.dropped(index)
        case "undrop":
            return talk.undropped()
        case "undo":
            return talk.without_last()
        case "note":
            return replace(talk, note=Note(text, 0, index + 1))
        case _:  # another talk of the same length, as after loading one
            exchanges = list(talk.exchanges)
            exchanges[index] = Exchange((Message("user", text), Message("assistant", "OK")))
            return replace(talk, exchanges=tuple(exchanges))


@given(
    st.sampled_from(["gpt-4", "gpt-4o", "nobody-1"]),
    st.sampled_from([0, 0, 61]),  # exchanges are kept by 64
    st.lists(CHANGES, max_size=25),
    SIZES,
)
@settings(deadline=None, max_examples=150)
def test_a_calibration_that_was_there_all_along_gives_the_windows_of_a_new_one(
    model: str, length: int, changes: list[Change], size: int
) -> None:
    counter = TokenCounter(card_for(model))
    old = Calibration(counter)
    talk = long_talk(length).without_last()
    for change in changes:
        talk = changed(talk, change)
        draft = Message("user", change.text * 2)
        for asked in (talk.asking(draft), talk):  # what is being typed, then what is there
            if asked.exchanges:
                new = Calibration(TokenCounter(card_for(model)))
                kept, fresh = fit_or_none(asked, old, size), fit_or_none(asked, new, size)
                assert kept == fresh
                if kept is not None and fresh is not None:
                    assert (kept.messages, kept.dropped) == (fresh.messages, fresh.dropped)
        counter.forget(draft)


# Single cases.


def long_talk(exchanges: int) -> Conversation:
    talk = Conversation(Message("system", "Be kind."))
    for number in range(exchanges):
        talk = talk.asking(Message("user", f"Question {number}"))
        talk = talk.answered(Message("assistant", f"Answer {number}"), "stop", None)
    return talk.asking(Message("user", "And now?"))


def test_a_window_of_exactly_the_size_is_enough_and_one_less_is_not() -> None:
    talk = long_talk(3)
    exact = GPT_4.count(talk.messages) + 10
    whole, less = GPT_4.fit(talk, exact), GPT_4.fit(talk, exact - 1)
    assert whole is not None
    assert whole.messages == talk.messages
    assert less is not None
    assert [dropped.index for dropped in less.dropped] == [1, 2]
    assert less.left_out == LeftOut(1, GPT_4.sum(talk.messages[1:3]))


def test_a_prompt_that_fills_the_window_is_sent_and_one_token_less_of_room_is_an_error() -> None:
    talk = long_talk(3)
    exact = GPT_4.count([talk.messages[0], talk.messages[-1]]) + 10
    alone = GPT_4.fit(talk, exact)
    assert alone is not None
    assert alone.messages == (talk.messages[0], talk.messages[-1])
    assert GPT_4.fit(talk, exact - 1) is None


def test_a_pin_is_sent_in_its_place_and_costs_the_others_theirs() -> None:
    talk = long_talk(9)
    size = GPT_4.count([talk.messages[0], *talk.messages[-7:]]) + 10
    before, after = GPT_4.fit(talk, size), GPT_4.fit(talk.pinned(0), size)
    assert before is not None
    assert after is not None
    assert [before.standing(n) for n in range(10)] == ["left out"] * 6 + ["sent"] * 4
    assert [after.standing(n) for n in range(10)] == ["pinned", *["left out"] * 6, *["sent"] * 3]
    assert after.messages == (*talk.messages[:3], *talk.messages[-5:])


def test_a_drop_makes_room_for_an_older_one() -> None:
    talk = long_talk(4)
    size = GPT_4.count([talk.messages[0], *talk.messages[-5:]]) + 10
    window = GPT_4.fit(talk.dropped(3), size)
    assert window is not None
    assert [window.standing(n) for n in range(5)] == [
        "left out",
        "sent",
        "sent",
        "dropped",
        "sent",
    ]
    assert window.left_out.exchanges == 1  # what the user dropped wanted no room


def test_a_talk_of_which_one_exchange_is_huge_ends_before_it() -> None:
    # What is sent is the newest of the talk without a gap that nobody asked for.
    talk = long_talk(2).answered(Message("assistant", "word " * 500), "stop", None)
    talk = talk.asking(Message("user", "So?")).answered(Message("assistant", "So."), "stop", None)
    talk = talk.asking(Message("user", "Well?"))
    window = GPT_4.fit(talk, 200)
    assert window is not None
    assert [window.standing(n) for n in range(5)] == [*["left out"] * 3, "sent", "sent"]


def test_a_note_stands_after_the_system_message_and_before_the_examples() -> None:
    example = (Message("user", "2+2"), Message("assistant", "4"))
    talk = replace(long_talk(3), examples=example, note=Note("They met.", 0, 2))
    window = GPT_4.fit(talk, 8_192)
    assert window is not None
    system, note, *rest = window.messages
    assert (system, rest[:2]) == (talk.system, list(example))
    assert note.role == "system"
    assert "summary" in note.content
    assert note.content.endswith("They met.")
    assert rest[2:] == list(talk.messages[-3:])
    assert (window.left_out, window.outgrown) == (LeftOut(), False)


def test_a_talk_that_surely_fits_is_not_counted() -> None:
    counter = TokenCounter(card_for("gpt-4"))
    window = fit(long_talk(3), Calibration(counter), context_window=8_192, max_tokens=2_048)
    assert (window.messages, window.prompt_tokens) == (long_talk(3).messages, None)
    assert not counter.loaded


def test_what_is_left_out_is_not_gone_through_again() -> None:
    class Tally(TokenCounter):
        asked = 0

        def message(self, message: Message) -> int:
            self.asked += 1
            return super().message(message)

    counter = Tally(card_for("gpt-4"))
    calibration = Calibration(counter)
    talk = long_talk(2_000)
    fit(talk, calibration, context_window=400, max_tokens=100)
    counter.asked = 0
    grown = talk.answered(Message("assistant", "Now."), "stop", None).asking(talk.messages[-1])
    fit(grown, calibration, context_window=400, max_tokens=100)
    assert 0 < counter.asked < 100


def test_system_messages_alone_are_no_exchange_that_was_left_out() -> None:
    first, second = Message("system", "Be kind."), Message("system", "Be brief.")
    said = [m for m in long_talk(2).messages if m.role != "system"]
    talk = from_messages([first, second, *said])
    window = GPT_4.fit(talk, GPT_4.count([first, second, said[-1]]) + 10)
    assert window is not None
    assert window.messages == (first, second, said[-1])
    assert (len(window.dropped), window.left_out.exchanges) == (4, 2)


@pytest.mark.parametrize("scale", [None, Scale(1.6, 0.0, 30), Scale(0.8, 0.02, 30)])
def test_an_estimate_fits_as_it_is_estimated(scale: Scale | None) -> None:
    talk = long_talk(20)
    calibration = Calibration(TokenCounter(card_for("nobody-1")), scale)
    window = fit(talk, calibration, context_window=200, max_tokens=50)
    assert window.prompt_tokens is not None
    estimates = [ceil(GPT_4.sum([message]) * calibration.factor) for message in talk.messages]
    sent = len(window.messages) - 1
    assert window.messages == (talk.messages[0], *talk.messages[-sent:])
    prompt = 3 + estimates[0] + sum(estimates[-sent:])
    assert window.prompt_tokens == prompt <= 150 < prompt + sum(estimates[-sent - 2 : -sent])
    gone = talk.messages[1:-sent]
    assert window.left_out == LeftOut(len(gone) // 2, round(GPT_4.sum(gone) * calibration.factor))


def test_a_prompt_that_does_not_fit_by_itself_is_told_with_its_numbers() -> None:
    system, prompt = Message("system", "Be kind."), Message("user", "word " * 5_000)
    talk = Conversation(system).asking(prompt)
    with pytest.raises(PromptTooLongError) as caught:
        fit(talk, GPT_4.calibration(), context_window=4_096, max_tokens=1_024)
    error = caught.value
    assert error.status == 5
    for number in (GPT_4.count([system, prompt]), 1_024, 4_096):
        assert f"{number:,}" in error.text
    assert "≈" not in error.text
    assert "pin" not in error.text + error.hint


def test_a_prompt_that_does_not_fit_beside_pins_says_so() -> None:
    talk = long_talk(5).pinned(0).pinned(1)
    size = GPT_4.count([talk.messages[0], *talk.messages[1:3], talk.messages[-1]]) + 10
    with pytest.raises(PromptTooLongError, match="2 pinned exchanges") as caught:
        fit(talk, GPT_4.calibration(), context_window=size, max_tokens=10)
    assert "/unpin" in caught.value.commands


def test_the_numbers_of_an_estimate_are_marked() -> None:
    calibration = Calibration(TokenCounter(card_for("nobody-1")))
    talk = Conversation().asking(Message("user", "word " * 5_000))
    with pytest.raises(PromptTooLongError, match=r"≈\d,\d{3} tokens"):
        fit(talk, calibration, context_window=4_096, max_tokens=1_024)
