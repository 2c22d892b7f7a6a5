"""Chat.say: whatever ends a turn, what came is kept, and nothing else is changed."""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from chatrepl.chat.catalogue import ModelCard, Served, card_for
from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.costs import Completion
from chatrepl.chat.events import (
    Assumed,
    Condensed,
    Condensing,
    Event,
    Finished,
    LegacyMarkup,
    NotCondensed,
    ReasoningDelta,
    Refitted,
    Retrying,
    TextDelta,
    Trimmed,
    UsageReport,
)
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Request
from chatrepl.chat.previewing import Preview, fitted, pin, preview
from chatrepl.chat.trimming import LeftOut
from chatrepl.chat.turn import Chat, Overflow
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    ConnectionFailedError,
    ContextOverflowError,
    PromptTooLongError,
    RateLimitError,
    StreamInterruptedError,
    WindowFullError,
)
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.support.guide import num_tokens_from_messages, tokens

SYSTEM = Message("system", "Be kind.")
CUT = StreamInterruptedError("The stream was cut.", "Try again.")


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> Message:
    return Message("assistant", text)


def refusal(prompt_tokens: int | None, context_window: int | None) -> ContextOverflowError:
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
    overflow: Overflow = "trim",
) -> Chat:
    card = card_for("gpt-4", context_window=window)
    return Chat(provider, card, conversation, reply_limit=reply_limit, overflow=overflow)


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
    exchange = Exchange((user("Hi"), assistant("Hello you")), "stop", usage, "gpt-4", "scripted")
    assert chat.conversation == Conversation(SYSTEM, (), (exchange,))
    assert chat.usage == usage
    assert provider.requests == [Request(chat.card, (SYSTEM, user("Hi")), 2_048)]


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
    assert exchange == Exchange(
        (user("Hi"), assistant("Hello there,")), None, None, "gpt-4", "scripted"
    )
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
    assert chat.conversation.exchanges[-1] == Exchange(
        (user("Hi"), assistant("Half a")), None, None, "gpt-4", "scripted"
    )


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
    window = fitted(chat)
    assert window is not None
    assert window.dropped
    chat.conversation = talk(1)  # as after /undo
    window = fitted(chat)
    assert window is not None
    assert window.dropped == ()
    chat.conversation = chat.conversation.cleared()
    assert fitted(chat) is None


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
    provider = ScriptedProvider([refusal(told_tokens, told_window)], "Fine")
    chat = chat_with(provider, talk(20), reply_limit=50)
    events = list(chat.say("Hi"))
    first, second = provider.requests
    assert len(second.messages) < len(first.messages)
    assert second.messages[0] == SYSTEM
    assert second.messages[1:] == first.messages[-len(second.messages) + 1 :]
    assert [type(event) for event in events] == [Refitted, Trimmed, TextDelta, Finished]
    assert chat.conversation.messages == (*talk(20).messages, user("Hi"), assistant("Fine"))


def test_the_window_that_a_server_tells_is_believed() -> None:
    provider = ScriptedProvider([refusal(900, 400)], "Fine", "Fine")
    chat = chat_with(provider, talk(20))
    assert Refitted(400) in list(chat.say("Hi"))
    list(chat.say("Again"))  # without another overflow
    for request in provider.requests[1:]:
        prompt = num_tokens_from_messages(m.as_openai() for m in request.messages)
        assert request.max_tokens == 100  # a quarter of the window
        assert prompt + request.max_tokens <= 400


def test_a_larger_window_than_the_known_one_is_not_believed() -> None:
    chat = chat_with(ScriptedProvider([refusal(9_000, 1_000_000)], "Fine"), talk(20))
    list(chat.say("Hi"))
    assert chat.card.context_window == 8_192


def test_a_server_that_refuses_again_and_again_is_given_up_after_three_times() -> None:
    provider = ScriptedProvider(*[[refusal(None, None)]] * 5)
    chat = chat_with(provider, talk(20), reply_limit=50)
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    assert len(provider.requests) == 4
    assert chat.conversation == talk(20)


def test_no_request_is_sent_twice_the_same() -> None:
    provider = ScriptedProvider(*[[refusal(None, None)]] * 5)
    chat = chat_with(provider, talk(20), reply_limit=50)
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    sizes = [len(request.messages) for request in provider.requests]
    assert sizes == sorted(set(sizes), reverse=True)


def test_an_overflow_that_trimming_can_not_help_is_a_prompt_that_is_too_long() -> None:
    chat = chat_with(ScriptedProvider([refusal(9_000, 4_096)]), talk(2))
    with pytest.raises(PromptTooLongError, match="4,096"):
        list(chat.say("word " * 5_000))
    assert chat.conversation == talk(2)


def test_a_refusal_without_numbers_makes_no_numbers_up() -> None:
    prompt = "word " * 3_000
    ours = num_tokens_from_messages([user(prompt).as_openai()])
    refusals = [[refusal(None, None)] for _ in range(2)]
    chat = chat_with(ScriptedProvider(*refusals), window=128_000, reply_limit=100)
    for _ in range(2):
        with pytest.raises(PromptTooLongError) as caught:
            list(chat.say(prompt))
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", caught.value.text)]
        assert all(number <= ours + 100 for number in numbers), caught.value.text


def test_an_overflow_after_the_first_words_is_not_sent_again() -> None:
    provider = ScriptedProvider([TextDelta("Half"), refusal(9_000, 4_096)], "Never")
    chat = chat_with(provider, talk(2))
    with pytest.raises(ContextOverflowError):
        list(chat.say("Hi"))
    assert len(provider.requests) == 1
    assert chat.conversation.exchanges[-1].reply == assistant("Half")


def test_another_model_is_met_without_what_was_learnt_of_the_last() -> None:
    chat = chat_with(ScriptedProvider([refusal(9_000, 800)], "Fine"), talk(20))
    list(chat.say("Hi"))
    other = ScriptedProvider("Fine")
    chat.use(other, card_for("gpt-4o", context_window=4_096))
    list(chat.say("Again"))
    assert len(other.requests[0].messages) == len(chat.conversation.messages) - 1
    assert (other.requests[0].card.name, other.requests[0].max_tokens) == ("gpt-4o", 1_024)


class Strict:
    """A server with a window of its own, and a tokenizer that makes more tokens than ours."""

    name = "strict"
    goes_on = False

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
            count, window = self.tells
            raise refusal(prompt if count else None, self.window if window else None)
        reply = "Noted. " * 8
        yield TextDelta(reply)
        yield UsageReport(Usage(prompt, round(tokens(reply, "cl100k_base") * self.hunger)))
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


def test_a_turn_that_is_sent_four_times_says_so_once() -> None:
    provider = ScriptedProvider(*[[refusal(None, None)]] * 3, "Fine")
    chat = chat_with(provider, talk(40), window=2_000, reply_limit=50)
    events = list(chat.say("Hi"))
    assert len(provider.requests) == 4
    assert sum(isinstance(event, Refitted) for event in events) == 1
    assert events[-1] == Finished("stop")


# When the window is full.

# A little less than `talk(8)` and a question need, with 50 for the reply.
SMALL = 300


def guide(messages: Iterable[Message]) -> int:
    return num_tokens_from_messages(message.as_openai() for message in messages)


def full_chat(
    provider: Provider, overflow: Overflow, conversation: Conversation | None = None
) -> Chat:
    """A chat that has outgrown its window."""
    return chat_with(provider, conversation or talk(8), SMALL, 50, overflow)


def test_who_wants_to_be_asked_is_asked_before_anything_is_sent() -> None:
    provider = ScriptedProvider("Fine")
    chat = full_chat(provider, "ask")
    trimming = full_chat(ScriptedProvider("Fine"), "trim")
    out = next(event for event in trimming.say("Hi") if isinstance(event, Trimmed))
    with pytest.raises(WindowFullError, match=f"{out.exchanges} exchange") as caught:
        list(chat.say("Hi"))
    assert f"{out.tokens} tokens" in caught.value.text
    assert (provider.requests, chat.conversation) == ([], talk(8))
    chat.overflow = "trim"  # the answer
    assert list(chat.say("Hi"))[-1] == Finished("stop")


def test_who_wants_to_be_asked_is_left_in_peace_while_there_is_room() -> None:
    provider = ScriptedProvider("Fine", "Fine")
    chat = full_chat(provider, "ask", talk(3))
    list(chat.say("Hi"))
    chat.conversation = talk(8)
    for index in range(5):
        chat.conversation = chat.conversation.dropped(index)
    list(chat.say("Hi"))  # what the user has dropped is not missed
    assert len(provider.requests) == 2


@pytest.mark.parametrize("overflow", ["ask", "summarize"])
def test_what_an_earlier_note_could_not_tell_of_is_not_missed_again(overflow: Overflow) -> None:
    said = replace(talk(4), note=Note("They counted.", 2, 3))
    provider = ScriptedProvider("Fine")
    events = list(full_chat(provider, overflow, said).say("Hi"))
    assert [type(event) for event in events] == [Trimmed, TextDelta, Finished]


SUMMARY = "They counted to nine."


def test_the_oldest_are_condensed_into_a_note_that_is_sent_in_their_place() -> None:
    summary: list[Line] = [TextDelta(SUMMARY), UsageReport(Usage(200, 6)), Finished("stop")]
    provider = ScriptedProvider(summary, "Fine")
    chat = full_chat(provider, "summarize")
    first, second, *rest = chat.say("Hi")
    assert rest == [TextDelta("Fine"), Finished("stop")]
    note = chat.conversation.note
    assert note == Note(SUMMARY, 0, note.end if note else 0)
    condensed = talk(8).messages[1 : 1 + 2 * note.end]
    assert first == Condensing(note.end)
    numbers = (guide(condensed) - 3, guide([note.message]) - 3)
    assert second == Condensed(note.end, *numbers, exact=True)
    kept = talk(8).messages[1 + 2 * note.end :]
    assert provider.requests[0].messages[1:-1] == condensed
    assert provider.requests[1].messages == (SYSTEM, note.message, *kept, user("Hi"))
    assert chat.conversation.messages == (*talk(8).messages, user("Hi"), assistant("Fine"))
    spent = [(each.purpose, each.estimated) for each in chat.spending.completions]
    assert spent == [("summary", False), ("reply", True)]
    assert chat.spending.completions[0].usage == Usage(200, 6)


def test_a_note_is_used_until_it_is_not_enough_and_then_condensed_with_the_rest() -> None:
    provider = ScriptedProvider(SUMMARY, *["Fine, and that is all there is to say."] * 3, "Later.")
    chat = full_chat(provider, "summarize")
    list(chat.say("Hi"))
    first = chat.conversation.note
    assert first is not None
    list(chat.say("Go on."))
    assert len(provider.requests) == 3  # no other summary
    assert provider.requests[-1].messages[1] == first.message
    chat.conversation = replace(talk(first.end + 8), note=first)
    events = list(chat.say("And then?"))
    assert [type(event) for event in events[:2]] == [Condensing, Condensed]
    assert SUMMARY in provider.requests[3].messages[0].content
    note = chat.conversation.note
    assert note is not None
    assert (note.first, note.text) == (0, "Fine, and that is all there is to say.")
    assert note.end > first.end
    assert asked(provider.requests[4])[1] == note.message.content


def test_a_long_talk_is_condensed_again_and_again() -> None:
    class Secretary(Strict):
        """Writes a note when it is asked for one."""

        def stream(self, request: Request) -> Iterator[Event]:
            if "note" not in request.messages[-1].content:
                yield from super().stream(request)
                return
            assert guide(request.messages) + request.max_tokens <= self.window
            self.requests.append(request)
            yield TextDelta(f"Summary {len(self.requests)}.")
            yield Finished("stop")

    server = Secretary(600, 1.0, tells=(True, True))
    chat = chat_with(server, Conversation(SYSTEM), 600, 100, "summarize")
    notes, left_out = set(), 0
    for number in range(40):
        events = list(chat.say(f"Message {number}. " + "It says a little more than that. " * 6))
        assert events[-1] == Finished("stop")
        left_out += sum(isinstance(event, Trimmed | NotCondensed) for event in events)
        notes.add(chat.conversation.note)
    assert len(notes) > 3
    assert (left_out, server.refused) == (0, 0)


@pytest.mark.parametrize(
    "failing",
    [
        [CUT],
        [TextDelta("They"), CUT],
        [RateLimitError("Wait.")],
        [refusal(900, 200)],
        [Finished("stop")],
        [TextDelta(" \n"), Finished("stop")],
        [ReasoningDelta("Hm."), Finished("length")],
        [TextDelta("They"), Finished("content_filter")],
        [TextDelta("word " * 300), Finished("stop")],
    ],
    ids=["cut", "cut late", "limit", "overflow", "none", "blank", "thought", "filtered", "longer"],
)
def test_without_a_summary_the_oldest_are_left_out(failing: list[Line]) -> None:
    provider, other = ScriptedProvider(failing, "Fine"), ScriptedProvider("Fine")
    chat, trimming = full_chat(provider, "summarize"), full_chat(other, "trim")
    condensing, failed, *rest = chat.say("Hi")
    assert isinstance(condensing, Condensing)
    assert isinstance(failed, NotCondensed)
    assert failed.reason
    assert rest == list(trimming.say("Hi"))
    assert provider.requests[1].messages == other.requests[0].messages
    assert chat.conversation == trimming.conversation
    assert chat.conversation.note is None


def test_nobody_is_asked_to_condense_nothing() -> None:
    # The one exchange that has to go is too large to be given to the model.
    said = Conversation(SYSTEM).asking(user("word " * 220)).answered(assistant("OK"), "stop", None)
    provider = ScriptedProvider("Fine")
    chat = full_chat(provider, "summarize", said)
    events = list(chat.say("word " * 60))
    assert len(provider.requests) == 1
    assert [type(event) for event in events] == [NotCondensed, Trimmed, TextDelta, Finished]


def test_a_turn_that_is_stopped_while_condensing_leaves_no_trace() -> None:
    chat = full_chat(ScriptedProvider(SUMMARY), "summarize")
    events = chat.say("Hi")
    assert isinstance(next(events), Condensing)
    close(events)
    assert chat.conversation == talk(8)


def test_a_note_stays_when_the_reply_does_not_come() -> None:
    provider = ScriptedProvider(SUMMARY, [CUT], "Fine")
    chat = full_chat(provider, "summarize")
    with pytest.raises(StreamInterruptedError):
        list(chat.say("Hi"))
    assert chat.conversation.exchanges == talk(8).exchanges
    list(chat.say("Hi"))  # and is not made again
    assert len(provider.requests) == 3
    assert provider.requests[1].messages == provider.requests[2].messages


def test_what_is_asked_again_after_a_note_was_made_of_it_is_sent() -> None:
    # Everything had to go for a long message, of which nothing came.
    said = talk(2).asking(user("word " * 100)).answered(assistant("Yes."), "stop", None)
    provider = ScriptedProvider(SUMMARY, [CUT], "Fine")
    chat = full_chat(provider, "summarize", said)
    with pytest.raises(StreamInterruptedError):
        list(chat.say("word " * 150))
    note = chat.conversation.note
    assert note is not None
    assert note.end == 3  # or this tests nothing
    list(chat.retry())
    assert provider.requests[-1].messages[-1] == user("word " * 100)


@pytest.mark.parametrize("mark", ["pin", "drop"])
def test_what_was_never_condensed_does_not_stand_in_the_note(mark: str) -> None:
    provider = ScriptedProvider(SUMMARY, "Fine", "Fine")
    said = talk(8).pinned(2) if mark == "pin" else talk(9).dropped(2)
    chat = full_chat(provider, "summarize", said)
    list(chat.say("Hi"))
    assert "Question 2" not in " ".join(asked(provider.requests[0]))
    now = chat.conversation
    chat.conversation = now.unpinned(2) if mark == "pin" else now.undropped()
    window = fitted(chat)
    assert window is not None
    assert window.standing(2) != "in the note"


# Before anything is sent.


MARKERS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]


@pytest.mark.parametrize("marker", MARKERS)
def test_legacy_markup_is_sent_as_text_and_said_once(marker: str) -> None:
    provider = ScriptedProvider("One", "Two", "Three")
    chat = chat_with(provider)
    first, second = f"Hi {marker}system", f"{marker}{marker}"
    markup, *_ = chat.say(first)
    assert markup == LegacyMarkup(marker)
    assert list(chat.say(second)) == [TextDelta("Two"), Finished("stop")]
    assert asked(provider.requests[1]) == [first, "One", second]


@pytest.mark.parametrize("text", ["Hi", "a <| b |> c", "<|", "im_start", "<im_start>"])
def test_other_text_is_no_legacy_markup(text: str) -> None:
    chat = chat_with(ScriptedProvider("One"))
    assert list(chat.say(text)) == [TextDelta("One"), Finished("stop")]


@pytest.mark.parametrize("window", [SMALL, 8_192])
def test_a_preview_is_what_saying_it_would_cost(window: int) -> None:
    provider = ScriptedProvider("One")
    chat = chat_with(provider, talk(20), window, 50)
    preview(chat, "Something else that was typed before. " * 3)
    told = preview(chat, "Hello there")
    assert (provider.requests, chat.conversation) == ([], talk(20))
    out = [LeftOut(e.exchanges, e.tokens) for e in trimmed(chat.say("Hello there"))]
    assert told == Preview(
        guide(provider.requests[0].messages), out[0] if out else LeftOut(), outgrown=bool(out)
    )


def test_the_preview_of_nothing_is_what_the_talk_costs() -> None:
    chat = chat_with(ScriptedProvider(), talk(3))
    for blank in ("", " \n"):
        assert preview(chat, blank) == Preview(guide(talk(3).messages), LeftOut(), fits=True)
    chat.conversation = chat.conversation.cleared()
    assert preview(chat, "") == Preview(guide([SYSTEM]), LeftOut(), fits=True)


def test_the_preview_of_what_can_not_be_sent_says_so() -> None:
    chat = chat_with(ScriptedProvider(), talk(3), SMALL, 50)
    text = "word " * 300
    assert preview(chat, text) == Preview(guide([SYSTEM, user(text)]), LeftOut(), fits=False)


def test_a_pin_that_leaves_no_room_is_refused_with_the_numbers() -> None:
    said = talk(2).asking(user("word " * 210)).answered(assistant("Yes."), "stop", None)
    chat = chat_with(ScriptedProvider(), said, SMALL, 50)
    with pytest.raises(PromptTooLongError) as caught:
        pin(chat, 2)
    numbers = {
        int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", caught.value.text)
    }
    asked_of_it = [SYSTEM, *said.exchanges[2].messages, user("")]
    assert numbers == {guide(asked_of_it), 50, SMALL}
    assert chat.conversation == said


def test_pins_are_refused_from_the_one_that_is_too_many() -> None:
    chat = chat_with(ScriptedProvider("Fine"), talk(20), SMALL, 50)
    pinned = []
    with suppress(PromptTooLongError):
        for index in range(20):
            pin(chat, index)
            pinned.append(index)
    assert 2 < len(pinned) < 20
    assert sorted(chat.conversation.pins) == pinned
    list(chat.say("Hi"))  # there is room for that
    assert chat.sent is not None
    always = talk(20).messages[: 1 + 2 * len(pinned)]
    assert chat.sent.messages[: len(always)] == always


class Offering(ScriptedProvider):
    """Counts how often it is asked what it offers."""

    looked_up = 0

    def look_up(self, model: str) -> Served | None:
        self.looked_up += 1
        return super().look_up(model)


class Silent(Offering):
    """Has no answer to that."""

    def look_up(self, model: str) -> Served | None:
        super().look_up(model)
        raise CUT


def test_a_server_that_knows_its_window_is_asked_once_and_believed() -> None:
    provider = Offering("One", "Two")
    provider.offers = (Served("nobody-1", 2_000),)
    chat = Chat(provider, card_for("nobody-1"))
    assert (chat.card.context_window, chat.card.window_known) == (4_096, False)
    list(chat.say("Hi"))
    list(chat.say("Hi"))
    assert (chat.card.context_window, chat.card.window_known) == (2_000, True)
    assert provider.requests[0].max_tokens == 500
    assert provider.looked_up == 1
    chat.use(provider, card_for("nobody-1"))
    chat.ask_limits()
    assert provider.looked_up == 2


@pytest.mark.parametrize("card", [card_for("gpt-4"), card_for("nobody-1", context_window=900)])
def test_nobody_is_asked_for_a_window_that_is_known(card: ModelCard) -> None:
    provider = Offering("One")
    provider.offers = (Served(card.name, 2_000),)
    chat = Chat(provider, card)
    list(chat.say("Hi"))
    assert (provider.looked_up, chat.card) == (0, card)


@pytest.mark.parametrize("provider", [Offering("One", "Two"), Silent("One", "Two")])
def test_a_server_that_does_not_say_is_no_trouble(provider: Offering) -> None:
    chat = Chat(provider, card_for("nobody-1"))
    list(chat.say("Hi"))
    assert list(chat.say("Hi"))[-1] == Finished("stop")
    assert (chat.card.context_window, chat.card.window_known) == (4_096, False)
    assert provider.looked_up == 1


class Down(Offering):
    """Can't be reached, the first time."""

    def look_up(self, model: str) -> Served | None:
        found = super().look_up(model)
        if self.looked_up == 1:
            raise ConnectionFailedError("Refused.")
        return found


def test_a_server_that_was_down_is_asked_again() -> None:
    provider = Down("One", "Two")
    provider.offers = (Served("nobody-1", 2_000),)
    chat = Chat(provider, card_for("nobody-1"))
    chat.ask_limits()
    assert chat.card.context_window == 4_096
    list(chat.say("Hi"))
    assert chat.card.context_window == 2_000


def test_an_assumed_window_is_said_once_before_the_first_reply() -> None:
    chat = Chat(ScriptedProvider("One", "Two"), card_for("nobody-1"))
    assert next(chat.say("Hi")) == Assumed("nobody-1", 4_096)
    assert [type(event) for event in chat.say("Hi")] == [TextDelta, Finished]


class Tight(ScriptedProvider):
    """Takes prompts of so many words, and tells no numbers when it refuses."""

    words = 300

    def stream(self, request: Request) -> Iterator[Event]:
        self.requests.append(request)
        if sum(len(message.content.split()) for message in request.messages) > self.words:
            raise ContextOverflowError("Too long.", "", prompt_tokens=None, context_window=None)
        yield TextDelta("Fine")
        yield Finished("stop")


def test_each_refit_is_smaller_than_the_last() -> None:
    provider = Tight()
    said = Conversation(SYSTEM)
    for number in range(6):
        said = said.asking(user(f"{number} " + "word " * 70)).answered(
            assistant("Yes."), "stop", None
        )
    chat = Chat(provider, card_for("nobody-1"), said)
    assert list(chat.say("And now?"))[-1] == Finished("stop")
    sizes = [len(request.messages) for request in provider.requests]
    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) > 1


def test_after_a_summary_that_failed_none_is_tried_for_a_few_turns() -> None:
    failing: list[Line] = [CUT]
    provider = ScriptedProvider(failing, "1", "2", "3", "4", SUMMARY, "5")
    chat = full_chat(provider, "summarize")
    turns = [list(chat.say(str(number))) for number in range(5)]
    tried = [any(isinstance(event, Condensing) for event in events) for events in turns]
    assert tried == [True, False, False, False, True]


def test_a_note_that_leaves_no_room_is_not_sent_and_not_lost() -> None:
    note = Note("They met in Rome. " * 20, 0, 4)
    chat = full_chat(ScriptedProvider("Fine", "Fine"), "trim", replace(talk(8), note=note))
    list(chat.say("word " * 200))
    assert chat.sent is not None
    assert note.message not in chat.sent.messages
    assert chat.conversation.note == note


def test_a_server_that_could_only_guess_is_asked_again() -> None:
    provider = Offering("One", "Two", "Three")
    provider.offers = (Served("nobody-1", 2_000, assumed=True),)
    chat = Chat(provider, card_for("nobody-1"))
    list(chat.say("Hi"))
    assert (chat.card.context_window, chat.card.window_known) == (2_000, False)
    provider.offers = (Served("nobody-1", 8_000),)
    list(chat.say("Hi"))
    list(chat.say("Hi"))
    assert (chat.card.context_window, chat.card.window_known) == (8_000, True)
    assert provider.looked_up == 2


def test_a_guess_of_the_servers_does_not_undo_what_a_refusal_has_told() -> None:
    provider = Offering([refusal(900, 600)], "One", "Two")
    provider.offers = (Served("nobody-1", 2_000, assumed=True),)
    chat = Chat(provider, card_for("nobody-1"), talk(30))
    list(chat.say("Hi"))
    assert chat.card.context_window == 600
    list(chat.say("Hi"))
    assert guide(provider.requests[-1].messages) < 600


@pytest.mark.parametrize("thought", [False, True])
def test_a_reply_costs_what_the_server_counted_unless_thoughts_were_counted_too(
    thought: bool,
) -> None:
    reply = "Because it does. " * 10
    counted = 2 * tokens(reply, "cl100k_base")
    script: list[Line] = [TextDelta(reply), UsageReport(Usage(12, counted)), Finished("stop")]
    chat = Chat(
        ScriptedProvider([ReasoningDelta("Hm."), *script] if thought else script),
        card_for("nobody-1"),
    )
    list(chat.say("Hi"))
    preview(chat, "So?")  # what was counted is taken in when something has to be
    cost = chat.calibration.cost(assistant(reply))
    assert (counted < cost < counted + 10) != thought


# Who keeps what is said.


class Notes:
    """A recorder that writes down what it is told, and how many requests had left by then."""

    session = None
    unsaved = False

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.notes: list[tuple[object, ...]] = []

    def begin(self, talk: Conversation) -> None:
        self.notes.append(("begin", talk.messages[-1], len(self.provider.requests)))

    def text(self, delta: str) -> None:
        self.notes.append(("text", delta))

    def spent(self, completion: Completion) -> None:
        self.notes.append(("spent", completion.purpose, completion.usage))

    def end(
        self,
        exchange: Exchange | None,
        talk: Conversation,
        pins: Sequence[int],
        drops: Sequence[int],
    ) -> None:
        self.notes.append(
            ("end", exchange and (exchange.reply, exchange.finish_reason, exchange.usage))
        )

    def keep(self, talk: Conversation, pins: Sequence[int], drops: Sequence[int]) -> None:
        self.notes.append(("keep", talk, pins, drops))


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
        ("spent", "reply", usage),
        ("end", (assistant("ab"), "stop", usage)),
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
        ("end", (assistant("a"), None, None)),
        ("end", None),
        ("end", (assistant("a"), None, None)),
    ]


def test_the_recorder_hears_nothing_of_a_prompt_that_does_not_fit() -> None:
    chat, notes = recorded()
    with pytest.raises(PromptTooLongError):
        list(chat.say("word " * 20_000))
    assert notes.notes == []


def test_the_recorder_is_told_once_of_a_turn_that_is_sent_twice() -> None:
    chat, notes = recorded([refusal(900, 800)], "Fine", conversation=talk(20))
    list(chat.say("Hi"))
    assert [note[0] for note in notes.notes] == ["begin", "text", "spent", "end"]


def test_an_error_that_is_no_overflow_is_not_sent_again() -> None:
    provider = ScriptedProvider([RateLimitError("Wait.")], "Never")
    with pytest.raises(RateLimitError):
        list(chat_with(provider).say("Hi"))
    assert len(provider.requests) == 1


# Another reply, another path, and a reply that goes on.


def test_another_reply_is_a_sibling_of_the_one_before() -> None:
    chat = chat_with(ScriptedProvider("One", "Two", "Three"), talk(1))
    list(chat.say("Hi"))
    first = chat.conversation
    list(chat.retry())
    list(chat.retry())
    head = chat.conversation.head
    said = [chat.tree.exchanges[each].reply for each in chat.tree.siblings(head)]
    assert said == [assistant("One"), assistant("Two"), assistant("Three")]
    assert chat.tree.place(head) == (3, 3)
    assert chat.conversation.messages == (*first.messages[:-1], assistant("Three"))


def test_another_reply_is_asked_for_without_the_one_before() -> None:
    provider = ScriptedProvider("One", "Two")
    chat = chat_with(provider, talk(1))
    list(chat.say("Hi"))
    list(chat.retry())
    assert provider.requests[0].messages == provider.requests[1].messages


def test_when_no_other_reply_comes_the_one_that_is_there_stays() -> None:
    chat = chat_with(ScriptedProvider("One", [CUT]))
    list(chat.say("Hi"))
    before = chat.conversation
    with pytest.raises(StreamInterruptedError):
        list(chat.retry())
    assert chat.conversation == before
    assert chat.tree.leaves() == [before.head]


def test_going_to_another_path_makes_it_what_is_sent() -> None:
    provider = ScriptedProvider("One", "Two", "Three")
    chat = chat_with(provider, Conversation(SYSTEM))
    list(chat.say("Hi"))
    first = chat.conversation.head
    list(chat.retry())
    chat.go_to(first)
    list(chat.say("So?"))
    assert asked(provider.requests[-1]) == ["Be kind.", "Hi", "One", "So?"]
    chat.go_to(0)
    assert chat.conversation == Conversation(SYSTEM)


def test_what_is_pinned_or_dropped_stays_so_when_another_reply_is_asked_for() -> None:
    chat = chat_with(ScriptedProvider("One", "Two"), talk(1))
    list(chat.say("Hi"))
    first = chat.conversation.head
    chat.conversation = chat.conversation.dropped(1)
    list(chat.retry())
    chat.go_to(first)
    assert chat.conversation.drops == (1,)


def cut_off(*more: str | Iterable[Line], reason: str | None = "length") -> ScriptedProvider:
    """A provider whose first reply is cut off in the middle of a word."""
    usage = UsageReport(Usage(10, 4, 2, 1))
    return ScriptedProvider([TextDelta("Half a sen"), usage, Finished(reason)], *more)


def test_what_goes_on_is_appended_without_a_seam() -> None:
    chat = chat_with(cut_off("tence."))
    list(chat.say("Hi"))
    head = chat.conversation.head
    list(chat.go_on())
    (exchange,) = chat.conversation.exchanges
    assert exchange.messages == (user("Hi"), assistant("Half a sentence."))
    assert (exchange.id, exchange.finish_reason, exchange.is_whole) == (head, "stop", True)
    assert chat.tree.leaves() == [head]
    assert chat.tree.exchanges[head] == exchange


def test_what_goes_on_costs_what_both_requests_cost() -> None:
    more: list[Line] = [TextDelta("tence."), UsageReport(Usage(30, 3)), Finished("stop")]
    chat = chat_with(cut_off(more))
    list(chat.say("Hi"))
    list(chat.go_on())
    assert chat.conversation.exchanges[0].usage == Usage(40, 7, 2, 1)
    assert chat.usage == Usage(40, 7, 2, 1)


def test_the_instruction_to_go_on_is_sent_and_not_kept() -> None:
    provider = cut_off("tence.", "Fine")
    chat = chat_with(provider, Conversation(SYSTEM))
    list(chat.say("Hi"))
    list(chat.go_on())
    *before, instruction = provider.requests[1].messages
    assert before == [SYSTEM, user("Hi"), assistant("Half a sen")]
    assert instruction.role == "user"
    list(chat.say("So?"))
    assert asked(provider.requests[2]) == ["Be kind.", "Hi", "Half a sentence.", "So?"]
    assert instruction not in chat.conversation.messages


@pytest.mark.parametrize("reason", ["length", None])
def test_a_reply_may_be_cut_off_again_and_go_on_again(reason: str | None) -> None:
    more: list[Line] = [TextDelta("ten"), Finished("length")]
    chat = chat_with(cut_off(more, "ce.", reason=reason))
    list(chat.say("Hi"))
    list(chat.go_on())
    assert not chat.conversation.exchanges[0].is_whole
    list(chat.go_on())
    assert chat.conversation.messages[-1] == assistant("Half a sentence.")
    assert chat.conversation.exchanges[0].is_whole


def test_what_came_before_what_goes_on_was_cut_is_kept() -> None:
    chat = chat_with(cut_off([TextDelta("ten"), CUT], "ce, and more"))
    list(chat.say("Hi"))
    with pytest.raises(StreamInterruptedError):
        list(chat.go_on())
    assert chat.conversation.messages[-1] == assistant("Half a senten")
    assert chat.conversation.exchanges[0].finish_reason is None
    events = chat.go_on()
    next(events)
    close(events)
    assert chat.conversation.messages[-1] == assistant("Half a sentence,")


def test_when_nothing_goes_on_the_reply_is_as_it_was() -> None:
    chat = chat_with(cut_off([CUT]))
    list(chat.say("Hi"))
    before = chat.conversation
    with pytest.raises(StreamInterruptedError):
        list(chat.go_on())
    assert chat.conversation == before
    assert chat.conversation.exchanges[0].finish_reason == "length"


def test_a_reply_goes_on_after_the_connection_was_cut() -> None:
    chat = chat_with(ScriptedProvider([TextDelta("Half a sen"), CUT], "tence."))
    with pytest.raises(StreamInterruptedError):
        list(chat.say("Hi"))
    list(chat.go_on())
    assert chat.conversation.messages[-1] == assistant("Half a sentence.")


def test_the_recorder_is_told_of_the_exchange_that_goes_on() -> None:
    cut: list[Line] = [TextDelta("Half a sen"), Finished("length")]
    chat, notes = recorded(cut, "tence.")
    list(chat.say("Hi"))
    list(chat.go_on())
    assert [note for note in notes.notes[4:] if note[0] != "spent"] == [
        ("begin", assistant("Half a sen"), 1),
        ("text", "tence."),
        ("end", (assistant("Half a sentence."), "stop", None)),
    ]


def test_where_the_provider_goes_on_with_a_reply_no_word_is_asked_for_it() -> None:
    provider = ScriptedProvider(
        [TextDelta("When sunlight"), Finished("length")],
        [TextDelta(" reaches us."), Finished("stop")],
    )
    provider.goes_on = True
    chat = chat_with(provider)
    list(chat.say("Why?"))
    list(chat.go_on())
    assert provider.requests[-1].messages == (user("Why?"), assistant("When sunlight"))
    assert chat.conversation.messages == (user("Why?"), assistant("When sunlight reaches us."))


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_is_gone_on_with_is_always_sent(goes_on: bool) -> None:
    said = talk(3).asking(user("Tell me.")).answered(assistant("word " * 200), "length", None)
    provider = ScriptedProvider([TextDelta("more"), Finished("stop")])
    provider.goes_on = goes_on
    chat = chat_with(provider, said.dropped(3), window=600, reply_limit=200)
    list(chat.go_on())
    assert assistant("word " * 200) in provider.requests[-1].messages
