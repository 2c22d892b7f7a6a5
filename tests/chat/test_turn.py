"""Chat.say: whatever ends a turn, what came is kept, and nothing else is changed."""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import cast

import pytest

from chatrepl.chat.catalogue import Served, card_for
from chatrepl.chat.conversation import Conversation, Exchange
from chatrepl.chat.events import (
    Event,
    Finished,
    ReasoningDelta,
    Refitted,
    Retrying,
    TextDelta,
    Trimmed,
    UsageReport,
)
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Request
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    ContextOverflowError,
    PromptTooLongError,
    RateLimitError,
    StreamInterruptedError,
)
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.support.guide import num_tokens_from_messages

SYSTEM = Message("system", "Be kind.")
CUT = StreamInterruptedError("The stream was cut.", "Try again.")


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> Message:
    return Message("assistant", text)


def overflow(prompt_tokens: int | None, context_window: int | None) -> ContextOverflowError:
    return ContextOverflowError(
        "Too long.", "", prompt_tokens=prompt_tokens, context_window=context_window
    )


def talk(exchanges: int) -> Conversation:
    """A talk of so many exchanges, of 30 tokens or so each."""
    said = Conversation(SYSTEM)
    for number in range(exchanges):
        said = said.asking(user(f"Question {number}: what comes after it, and why is that so?"))
        said = said.answered(assistant(f"Answer {number}: nothing that I know."), "stop", None)
    return said


def chat_with(
    provider: Provider,
    conversation: Conversation | None = None,
    window: int = 8_192,
    reply_limit: int | None = None,
) -> Chat:
    card = card_for("gpt-4", context_window=window)
    return Chat(provider, card, conversation, reply_limit=reply_limit)


def close(events: Iterator[Event]) -> None:
    """End a turn early, as Ctrl-C does."""
    cast("Generator[Event]", events).close()


def asked(request: Request) -> list[str]:
    return [message.content for message in request.messages]


# How a turn ends.


def test_a_whole_reply_is_kept() -> None:
    usage = Usage(12, 3)
    script: list[Line] = [
        TextDelta("Hello"),
        TextDelta(" you"),
        UsageReport(usage),
        Finished("stop", "m-1"),
    ]
    provider = ScriptedProvider(script)
    chat = chat_with(provider, Conversation(SYSTEM))
    assert list(chat.say("Hi")) == script
    exchange = Exchange((user("Hi"), assistant("Hello you")), "stop", usage)
    assert chat.conversation == Conversation(SYSTEM, (), (exchange,))
    assert chat.usage == usage
    assert provider.requests == [Request(chat.card, (SYSTEM, user("Hi")), 2_048, None)]


def test_each_request_carries_all_that_was_said_before() -> None:
    provider = ScriptedProvider("One", "Two", "Three")
    chat = chat_with(provider)
    for text in ("1", "2", "3"):
        list(chat.say(text))
    assert asked(provider.requests[-1]) == ["1", "One", "2", "Two", "3"]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", None])
def test_how_the_reply_ended_is_kept(reason: str | None) -> None:
    chat = chat_with(ScriptedProvider([TextDelta("Hello"), Finished(reason)]))
    list(chat.say("Hi"))
    assert chat.conversation.exchanges[-1].finish_reason == reason


def test_usage_is_summed_over_the_turns() -> None:
    script: list[Line] = [TextDelta("a"), UsageReport(Usage(10, 2, 4, 1)), Finished("stop")]
    chat = chat_with(ScriptedProvider(script, script))
    list(chat.say("1"))
    list(chat.say("2"))
    assert chat.usage == Usage(20, 4, 8, 2)
    assert chat.usage.total_tokens == 24


def test_reasoning_is_shown_and_not_kept() -> None:
    script: list[Line] = [ReasoningDelta("Hm."), TextDelta("Yes."), Finished("stop")]
    provider = ScriptedProvider(script, "Again.")
    chat = chat_with(provider)
    assert list(chat.say("Hi")) == script
    list(chat.say("And?"))
    assert asked(provider.requests[-1]) == ["Hi", "Yes.", "And?"]


def test_a_reply_that_is_stopped_is_kept_as_far_as_it_came() -> None:
    provider = ScriptedProvider("Hello there, friend", "Fine")
    chat = chat_with(provider)
    events = chat.say("Hi")
    assert [next(events), next(events)] == [TextDelta("Hello"), TextDelta(" there,")]
    close(events)
    exchange = chat.conversation.exchanges[-1]
    assert exchange == Exchange((user("Hi"), assistant("Hello there,")), None, None)
    list(chat.say("Go on"))
    assert asked(provider.requests[-1]) == ["Hi", "Hello there,", "Go on"]


def test_stopping_a_turn_closes_the_providers_stream() -> None:
    closed = []

    class Watched(ScriptedProvider):
        def stream(self, request: Request) -> Iterator[Event]:
            try:
                yield from super().stream(request)
            finally:
                closed.append(request)

    chat = chat_with(Watched("Hello there"))
    events = chat.say("Hi")
    next(events)
    assert closed == []
    close(events)
    assert len(closed) == 1


@pytest.mark.parametrize(
    "before_the_stop", [[], [ReasoningDelta("Hm.")], [Retrying("503", 1, 1, 3)]]
)
def test_a_turn_that_is_stopped_before_any_text_leaves_no_trace(
    before_the_stop: list[Event],
) -> None:
    chat = chat_with(ScriptedProvider([*before_the_stop, TextDelta("x")]), talk(2))
    events = chat.say("Hi")
    for event in before_the_stop:
        assert next(events) == event
    close(events)
    assert chat.conversation == talk(2)


@pytest.mark.parametrize("before_the_error", [[], [ReasoningDelta("Hm.")]])
def test_an_error_before_any_text_leaves_the_conversation_as_it_was(
    before_the_error: list[Event],
) -> None:
    chat = chat_with(ScriptedProvider([*before_the_error, CUT], "Fine"), talk(2))
    with pytest.raises(StreamInterruptedError):
        list(chat.say("Hi"))
    assert chat.conversation == talk(2)
    list(chat.say("Hi"))  # and the chat goes on
    assert chat.conversation.messages[-2:] == (user("Hi"), assistant("Fine"))


def test_a_reply_that_an_error_cuts_is_kept_as_interrupted() -> None:
    chat = chat_with(ScriptedProvider([TextDelta("Half a"), CUT]))
    with pytest.raises(StreamInterruptedError):
        list(chat.say("Hi"))
    assert chat.conversation.exchanges[-1] == Exchange((user("Hi"), assistant("Half a")), None)


def test_a_reply_without_text_leaves_the_conversation_as_it_was() -> None:
    chat = chat_with(ScriptedProvider([UsageReport(Usage(5, 9)), Finished("length")]), talk(1))
    list(chat.say("Hi"))
    assert chat.conversation == talk(1)
    assert chat.usage == Usage(5, 9)  # it was billed all the same


def test_nothing_happens_until_the_turn_is_run() -> None:
    provider = ScriptedProvider("Hello")
    chat = chat_with(provider)
    chat.say("Hi")
    assert (provider.requests, chat.conversation) == ([], Conversation())


# Asking again.


def test_retry_puts_another_reply_in_the_place_of_the_old() -> None:
    provider = ScriptedProvider("Old", "New")
    chat = chat_with(provider, talk(1))
    list(chat.say("Hi"))
    list(chat.retry())
    assert asked(provider.requests[1]) == asked(provider.requests[0])
    assert chat.conversation.messages == (*talk(1).messages, user("Hi"), assistant("New"))


@pytest.mark.parametrize("script", [[CUT], [ReasoningDelta("Hm."), CUT], [Finished("stop")]])
def test_retry_keeps_the_old_reply_when_no_new_one_comes(script: list[Line]) -> None:
    chat = chat_with(ScriptedProvider(script), talk(2))
    with suppress(StreamInterruptedError):
        list(chat.retry())
    assert chat.conversation == talk(2)


def test_a_new_reply_that_is_stopped_takes_the_place_of_the_old() -> None:
    chat = chat_with(ScriptedProvider("Half a reply"), talk(2))
    events = chat.retry()
    next(events)
    assert chat.conversation == talk(2)  # it comes, but it is not kept yet
    close(events)
    assert chat.conversation.messages == (*talk(2).messages[:-1], assistant("Half"))


def test_retry_answers_a_message_that_has_no_reply_yet() -> None:
    chat = chat_with(ScriptedProvider("Hello"), Conversation().asking(user("Hi")))
    list(chat.retry())
    assert chat.conversation.messages == (user("Hi"), assistant("Hello"))


# What is left out.


def trimmed(events: Iterator[Event]) -> list[Trimmed]:
    return [event for event in events if isinstance(event, Trimmed)]


def test_what_is_left_out_is_said_with_its_numbers_before_the_reply() -> None:
    chat = chat_with(ScriptedProvider("Yes."), talk(20), window=300, reply_limit=50)
    first, *rest = chat.say("Hi")
    assert chat.sent is not None
    left_out = talk(20).messages[1 : len(talk(20).messages) + 2 - len(chat.sent.messages)]
    tokens = num_tokens_from_messages(m.as_openai() for m in left_out) - 3
    assert first == Trimmed(len(left_out) // 2, tokens, exact=True)
    assert rest == [TextDelta("Yes."), Finished("stop")]


def test_what_is_left_out_is_said_once_for_each_change() -> None:
    chat = chat_with(ScriptedProvider(*["Yes."] * 6), talk(20), window=300, reply_limit=50)
    assert len(trimmed(chat.say("Hi"))) == 1
    assert trimmed(chat.retry()) == []  # the same is left out
    chat.conversation = talk(1)
    assert trimmed(chat.say("Hi")) == []  # nothing is
    chat.conversation = talk(20)
    assert len(trimmed(chat.say("Hi"))) == 1
    assert len(trimmed(chat.say("And " * 30))) == 1  # more is


def test_what_fits_is_asked_of_the_conversation_as_it_is() -> None:
    chat = chat_with(ScriptedProvider("Yes."), talk(20), window=300, reply_limit=50)
    list(chat.say("Hi"))
    window = chat.fitted()
    assert window is not None
    assert window.dropped
    chat.conversation = talk(1)  # as after /undo
    window = chat.fitted()
    assert window is not None
    assert window.dropped == ()
    chat.conversation = chat.conversation.cleared()
    assert chat.fitted() is None


def test_nothing_is_deleted_by_trimming() -> None:
    chat = chat_with(ScriptedProvider("Yes."), talk(20), window=300, reply_limit=50)
    list(chat.say("Hi"))
    assert chat.conversation.messages == (*talk(20).messages, user("Hi"), assistant("Yes."))
    assert chat.sent is not None
    assert len(chat.sent.messages) < len(talk(20).messages)


def test_a_prompt_that_does_not_fit_is_not_sent() -> None:
    provider = ScriptedProvider()
    chat = chat_with(provider, talk(2), window=300, reply_limit=50)
    with pytest.raises(PromptTooLongError):
        list(chat.say("word " * 1_000))
    assert (provider.requests, chat.conversation) == ([], talk(2))


# A server that counts otherwise.


@pytest.mark.parametrize("told_tokens", [None, 100, 1_000, 8_300])
@pytest.mark.parametrize("told_window", [None, 700, 8_192])
def test_an_overflow_is_trimmed_further_and_sent_again(
    told_tokens: int | None, told_window: int | None
) -> None:
    provider = ScriptedProvider([overflow(told_tokens, told_window)], "Fine")
    chat = chat_with(provider, talk(20), reply_limit=50)
    events = list(chat.say("Hi"))
    first, second = provider.requests
    assert len(second.messages) < len(first.messages)
    assert second.messages[0] == SYSTEM
    assert second.messages[1:] == first.messages[-len(second.messages) + 1 :]
    assert [type(event) for event in events] == [Refitted, Trimmed, TextDelta, Finished]
    assert chat.conversation.messages == (*talk(20).messages, user("Hi"), assistant("Fine"))


def test_the_window_that_a_server_tells_is_believed() -> None:
    provider = ScriptedProvider([overflow(900, 400)], "Fine", "Fine")
    chat = chat_with(provider, talk(20))
    assert Refitted(400) in list(chat.say("Hi"))
    list(chat.say("Again"))  # without another overflow
    for request in provider.requests[1:]:
        prompt = num_tokens_from_messages(m.as_openai() for m in request.messages)
        assert request.max_tokens == 100  # a quarter of the window
        assert prompt + request.max_tokens <= 400


def test_a_larger_window_than_the_known_one_is_not_believed() -> None:
    chat = chat_with(ScriptedProvider([overflow(9_000, 1_000_000)], "Fine"), talk(20))
    list(chat.say("Hi"))
    assert chat.card.context_window == 8_192


def test_a_server_that_refuses_again_and_again_is_given_up_after_three_times() -> None:
    provider = ScriptedProvider(*[[overflow(None, None)]] * 5)
    chat = chat_with(provider, talk(20), reply_limit=50)
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    assert len(provider.requests) == 4
    assert chat.conversation == talk(20)


def test_no_request_is_sent_twice_the_same() -> None:
    provider = ScriptedProvider(*[[overflow(None, None)]] * 5)
    chat = chat_with(provider, talk(20), reply_limit=50)
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    sizes = [len(request.messages) for request in provider.requests]
    assert sizes == sorted(set(sizes), reverse=True)


def test_an_overflow_that_trimming_can_not_help_is_a_prompt_that_is_too_long() -> None:
    chat = chat_with(ScriptedProvider([overflow(9_000, 4_096)]), talk(2))
    with pytest.raises(PromptTooLongError, match="4,096"):
        list(chat.say("word " * 5_000))
    assert chat.conversation == talk(2)


def test_a_refusal_without_numbers_makes_no_numbers_up() -> None:
    prompt = "word " * 3_000
    ours = num_tokens_from_messages([user(prompt).as_openai()])
    chat = chat_with(ScriptedProvider([overflow(None, None)]), window=128_000, reply_limit=100)
    for _ in range(2):  # the second time it is not even sent
        with pytest.raises(PromptTooLongError) as caught:
            list(chat.say(prompt))
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", caught.value.text)]
        assert all(number <= ours + 100 for number in numbers), caught.value.text


def test_an_overflow_after_the_first_words_is_not_sent_again() -> None:
    provider = ScriptedProvider([TextDelta("Half"), overflow(9_000, 4_096)], "Never")
    chat = chat_with(provider, talk(2))
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    assert len(provider.requests) == 1
    assert chat.conversation.exchanges[-1].reply == assistant("Half")


def test_another_model_is_met_without_what_was_learnt_of_the_last() -> None:
    chat = chat_with(ScriptedProvider([overflow(9_000, 800)], "Fine"), talk(20))
    list(chat.say("Hi"))
    other = ScriptedProvider("Fine")
    chat.use(other, card_for("gpt-4o", context_window=4_096))
    list(chat.say("Again"))
    assert len(other.requests[0].messages) == len(chat.conversation.messages) - 1
    assert (other.requests[0].card.name, other.requests[0].max_tokens) == ("gpt-4o", 1_024)


class Strict:
    """A server with a window of its own, and a tokenizer that makes more tokens than ours."""

    name = "strict"

    def __init__(self, window: int, hunger: float, *, tells: tuple[bool, bool]) -> None:
        self.window = window
        self.hunger = hunger
        self.tells = tells
        self.requests: list[Request] = []
        self.refused = 0

    def prepare(self) -> None: ...

    def close(self) -> None: ...

    def served(self) -> Sequence[Served]:
        return ()

    def look_up(self, model: str) -> Served | None:
        return None

    def stream(self, request: Request) -> Iterator[Event]:
        self.requests.append(request)
        ours = num_tokens_from_messages(m.as_openai() for m in request.messages)
        prompt = round(ours * self.hunger)
        if prompt + request.max_tokens > self.window:
            self.refused += 1
            tokens, window = self.tells
            raise overflow(prompt if tokens else None, self.window if window else None)
        yield TextDelta("Noted. " * 8)
        yield UsageReport(Usage(prompt, round(17 * self.hunger)))
        yield Finished("stop")


@pytest.mark.parametrize("hunger", [1.0, 1.6])
@pytest.mark.parametrize(
    "tells", [(True, True), (True, False), (False, True), (False, False)], ids=str
)
def test_a_long_talk_never_ends_in_an_overflow(hunger: float, tells: tuple[bool, bool]) -> None:
    server = Strict(600, hunger, tells=tells)
    chat = chat_with(server, Conversation(SYSTEM), window=128_000, reply_limit=100)
    for number in range(20):
        prompt = f"Message {number}. " + "It says a little more than that. " * 6
        assert list(chat.say(prompt))[-1] == Finished("stop")
        assert server.requests[-1].messages[0] == SYSTEM
        assert server.requests[-1].messages[-1] == user(prompt)
    assert len(chat.conversation.exchanges) == 20
    assert server.refused > 0  # or the test has tested nothing


@pytest.mark.parametrize("hunger", [1.0, 3.0])
def test_a_server_that_tells_its_numbers_has_to_refuse_but_once(hunger: float) -> None:
    server = Strict(600, hunger, tells=(True, True))
    chat = chat_with(server, talk(40), window=128_000, reply_limit=100)
    for number in range(5):
        list(chat.say(f"Message {number}. " + "It says a little more than that. " * 6))
    assert server.refused == 1


def test_an_estimate_is_calibrated_by_what_the_server_counted() -> None:
    server = Strict(600, 1.6, tells=(True, True))
    card = card_for("nobody-1", context_window=600)
    chat = Chat(server, card, Conversation(SYSTEM), reply_limit=100)
    for number in range(20):
        list(chat.say(f"Message {number}. " + "It says a little more than that. " * 6))
    assert len(server.requests[-1].messages) < len(chat.conversation.messages) - 1
    assert server.refused == 0


# Who keeps what is said.


class Notes:
    """A recorder that writes down what it is told, and how many requests had left by then."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.notes: list[tuple[object, ...]] = []

    def begin(self, prompt: Message) -> None:
        self.notes.append(("begin", prompt, len(self.provider.requests)))

    def text(self, delta: str) -> None:
        self.notes.append(("text", delta))

    def end(self, reply: Message | None, finish_reason: str | None, usage: Usage | None) -> None:
        self.notes.append(("end", reply, finish_reason, usage))


def recorded(
    *scripts: str | Iterable[Line], conversation: Conversation | None = None
) -> tuple[Chat, Notes]:
    provider = ScriptedProvider(*scripts)
    notes = Notes(provider)
    return Chat(provider, card_for("gpt-4"), conversation, recorder=notes), notes


def test_the_recorder_is_told_of_a_whole_turn_in_order() -> None:
    usage = Usage(3, 2)
    chat, notes = recorded([TextDelta("a"), TextDelta("b"), UsageReport(usage), Finished("stop")])
    list(chat.say("Hi"))
    assert notes.notes == [
        ("begin", user("Hi"), 0),
        ("text", "a"),
        ("text", "b"),
        ("end", assistant("ab"), "stop", usage),
    ]


def test_the_recorder_is_told_how_a_turn_was_cut_short() -> None:
    chat, notes = recorded([TextDelta("a"), CUT], [CUT], "a b")
    for _ in range(2):
        with pytest.raises(StreamInterruptedError):
            list(chat.say("Hi"))
    events = chat.say("Hi")
    next(events)
    close(events)
    assert [note for note in notes.notes if note[0] == "end"] == [
        ("end", assistant("a"), None, None),
        ("end", None, None, None),
        ("end", assistant("a"), None, None),
    ]


def test_the_recorder_hears_nothing_of_a_prompt_that_does_not_fit() -> None:
    chat, notes = recorded()
    with pytest.raises(PromptTooLongError):
        list(chat.say("word " * 20_000))
    assert notes.notes == []


def test_the_recorder_is_told_once_of_a_turn_that_is_sent_twice() -> None:
    chat, notes = recorded([overflow(900, 800)], "Fine", conversation=talk(20))
    list(chat.say("Hi"))
    assert [note[0] for note in notes.notes] == ["begin", "text", "end"]


def test_an_error_that_is_no_overflow_is_not_sent_again() -> None:
    provider = ScriptedProvider([RateLimitError("Wait.")], "Never")
    with pytest.raises(RateLimitError):
        list(chat_with(provider).say("Hi"))
    assert len(provider.requests) == 1
