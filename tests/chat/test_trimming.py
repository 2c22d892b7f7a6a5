"""Trimming: what is sent fits, and nothing is left out that would have fitted."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation, from_messages
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.trimming import Window, fit
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


def count(messages: Sequence[Message]) -> int:
    """Count from scratch, as the API guide does for gpt-4."""
    return num_tokens_from_messages(message.as_openai() for message in messages)


@st.composite
def talks(draw: st.DrawFn) -> Conversation:
    """A conversation of any shape that ends with a user message, as --load can make them too."""
    said = draw(st.lists(MESSAGE, max_size=12))
    last = Message("user", draw(TEXT))
    return replace(from_messages([*said, last]), examples=draw(EXAMPLES))


def protected(talk: Conversation) -> set[int]:
    """The indexes of what is always sent."""
    first_of_last = len(talk.messages) - len(talk.exchanges[-1].messages)
    return {
        index
        for index, message in enumerate(talk.messages)
        if message.role == "system" or index < len(talk.preamble) or index >= first_of_last
    }


def fitted(
    talk: Conversation, window: int, max_tokens: int = 10, slack: float = 1.0
) -> Window | None:
    """Trim for gpt-4; None where the prompt does not fit."""
    counter = TokenCounter(card_for("gpt-4"))
    try:
        return fit(talk, counter, context_window=window, max_tokens=max_tokens, slack=slack)
    except PromptTooLongError:
        return None


SIZES = st.integers(1, 400)
SLACK = st.sampled_from([1.0, 1.0, 1.3, 2.0])


@given(talks(), SIZES, st.integers(1, 60), SLACK)
@settings(deadline=None, max_examples=300)
def test_what_is_sent_fits_and_what_must_be_sent_is(
    talk: Conversation, size: int, max_tokens: int, slack: float
) -> None:
    window = fitted(talk, size, max_tokens, slack)
    keep = protected(talk)
    required = [talk.messages[index] for index in sorted(keep)]
    if window is None:
        assert count(required) * slack + max_tokens > size - slack
        return
    assert count(window.messages) * slack + max_tokens <= size
    assert (window.max_tokens, window.context_window) == (max_tokens, size)
    assert not keep & {dropped.index for dropped in window.dropped}


@given(talks(), SIZES)
@settings(deadline=None, max_examples=300)
def test_sent_and_dropped_are_the_whole_talk_in_its_order(talk: Conversation, size: int) -> None:
    window = fitted(talk, size)
    if window is None:
        return
    gone = [dropped.index for dropped in window.dropped]
    assert gone == sorted(set(gone))
    assert list(window.messages) == [
        message for index, message in enumerate(talk.messages) if index not in gone
    ]
    for dropped in window.dropped:
        message = talk.messages[dropped.index]
        assert (dropped.role, dropped.tokens) == (message.role, count([message]) - count([]))


@given(talks(), SIZES)
@settings(deadline=None, max_examples=300)
def test_the_oldest_exchanges_go_whole_and_no_more_than_must(talk: Conversation, size: int) -> None:
    window = fitted(talk, size)
    if window is None:
        return
    gone = {dropped.index for dropped in window.dropped}
    index = len(talk.preamble)
    trimmable = []
    for exchange in talk.exchanges:
        numbers = range(index, index := index + len(exchange.messages))
        trimmable.append({n for n in numbers if talk.messages[n].role != "system"})
    newest = next((n for n, group in reversed([*enumerate(trimmable)]) if group & gone), -1)
    assert gone == set().union(*trimmable[: newest + 1])
    if gone:  # the newest exchange that is left out would not have fitted
        back = [talk.messages[n] for n in range(len(talk.messages)) if n not in gone]
        back += [talk.messages[n] for n in trimmable[newest]]
        assert count(back) + 10 > size
    assert window.dropped_exchanges == sum(bool(group & gone) for group in trimmable)


@given(talks(), SIZES)
@settings(deadline=None, max_examples=300)
def test_no_orphaned_reply_leads_after_a_trim(talk: Conversation, size: int) -> None:
    window = fitted(talk, size)
    if window is None or not window.dropped:
        return
    said = [m.role for m in window.messages[len(talk.preamble) :] if m.role != "system"]
    assert said[0] == "user"


@given(talks(), SIZES)
@settings(deadline=None, max_examples=300)
def test_the_count_is_that_of_what_is_sent(talk: Conversation, size: int) -> None:
    window = fitted(talk, size)
    if window is None:
        return
    if window.prompt_tokens is None:
        assert not window.dropped
    else:
        assert window.prompt_tokens == count(window.messages)


def long_talk(exchanges: int) -> Conversation:
    talk = Conversation(Message("system", "Be kind."))
    for number in range(exchanges):
        talk = talk.asking(Message("user", f"Question {number}"))
        talk = talk.answered(Message("assistant", f"Answer {number}"), "stop", None)
    return talk.asking(Message("user", "And now?"))


def test_a_window_of_exactly_the_size_is_enough_and_one_less_is_not() -> None:
    talk = long_talk(3)
    exact = count(talk.messages) + 10
    whole, less = fitted(talk, exact), fitted(talk, exact - 1)
    assert whole is not None
    assert whole.messages == talk.messages
    assert less is not None
    assert [dropped.index for dropped in less.dropped] == [1, 2]
    assert less.dropped_exchanges == 1


def test_a_prompt_that_fills_the_window_is_sent_and_one_token_less_of_room_is_an_error() -> None:
    talk = long_talk(3)
    exact = count([talk.messages[0], talk.messages[-1]]) + 10
    alone = fitted(talk, exact)
    assert alone is not None
    assert alone.messages == (talk.messages[0], talk.messages[-1])
    assert fitted(talk, exact - 1) is None


def test_a_talk_that_surely_fits_is_not_counted() -> None:
    counter = TokenCounter(card_for("gpt-4"))
    window = fit(long_talk(3), counter, context_window=8_192, max_tokens=2_048)
    assert (window.messages, window.prompt_tokens) == (long_talk(3).messages, None)
    assert not counter.loaded


def test_system_messages_alone_are_no_exchange_that_was_left_out() -> None:
    first, second = Message("system", "Be kind."), Message("system", "Be brief.")
    said = [m for m in long_talk(2).messages if m.role != "system"]
    talk = from_messages([first, second, *said])
    window = fitted(talk, count([first, second, said[-1]]) + 10)
    assert window is not None
    assert window.messages == (first, second, said[-1])
    assert (len(window.dropped), window.dropped_exchanges) == (4, 2)


def test_a_prompt_that_does_not_fit_by_itself_is_told_with_its_numbers() -> None:
    system, prompt = Message("system", "Be kind."), Message("user", "word " * 5_000)
    counter = TokenCounter(card_for("gpt-4"))
    with pytest.raises(PromptTooLongError) as caught:
        fit(Conversation(system).asking(prompt), counter, context_window=4_096, max_tokens=1_024)
    error = caught.value
    assert error.status == 5
    for number in (count([system, prompt]), 1_024, 4_096):
        assert f"{number:,}" in error.text
    assert "≈" not in error.text


def test_the_numbers_of_an_estimate_are_marked() -> None:
    counter = TokenCounter(card_for("nobody-1"))
    talk = Conversation().asking(Message("user", "word " * 5_000))
    with pytest.raises(PromptTooLongError, match=r"≈\d,\d{3} tokens"):
        fit(talk, counter, context_window=4_096, max_tokens=1_024)


def test_the_numbers_of_a_server_that_counts_more_add_up() -> None:
    counter = TokenCounter(card_for("gpt-4"))
    talk = Conversation().asking(Message("user", "word " * 2_000))
    with pytest.raises(PromptTooLongError) as caught:
        fit(talk, counter, context_window=4_096, max_tokens=1_024, slack=2.0)
    prompt = re.search(
        r"≈([\d,]+) tokens", caught.value.text
    )  # no count of ours or of the server's
    assert prompt is not None
    assert int(prompt[1].replace(",", "")) + 1_024 > 4_096
