"""What calls cost: each of them, a session of them, and how an amount is written."""

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.chat.catalogue import ModelCard, card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion, Price, Spending, Total, dollars, total
from chatrepl.chat.events import (
    Answering,
    Event,
    Finished,
    ReasoningDelta,
    Retrying,
    TextDelta,
    UsageReport,
)
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Request
from chatrepl.chat.tokens import rough_request
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    BadReplyError,
    ChatreplError,
    ContentFilterError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    StreamInterruptedError,
)
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.chat.test_turn import close, refusal, talk
from tests.support.guide import num_tokens_from_messages, tokens


class PerToken:
    """Sells a token for so many dollars, by the model's name; of others it knows no price."""

    def __init__(self, **prices: str) -> None:
        self.prices = prices
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    def price(self, card: ModelCard, usage: Usage) -> Price:
        if card.name not in self.prices:
            return Price()
        return Price(Decimal(self.prices[card.name]) * usage.total_tokens, "a list")


def chat_with(*scripts: str | list[Line], window: int = 8_192) -> Chat:
    pricing = PerToken(**{"gpt-4": "0.01", "other": "0.1"})
    card = card_for("gpt-4", context_window=window)
    return Chat(ScriptedProvider(*scripts), card, pricing=pricing)


def reply(text: str, usage: Usage | None) -> list[Line]:
    return [TextDelta(text), *([UsageReport(usage)] if usage else []), Finished("stop")]


def test_each_reply_has_the_price_of_the_model_that_gave_it() -> None:
    chat = chat_with(reply("One", Usage(10, 5)))
    list(chat.say("Hi"))
    chat.use(ScriptedProvider(reply("Two", Usage(20, 5)), name="elsewhere"), card_for("other"))
    list(chat.say("Hi"))
    assert chat.spending.completions == [
        Completion("reply", Usage(10, 5), Decimal("0.15"), "a list", False, "gpt-4", "scripted"),
        Completion("reply", Usage(20, 5), Decimal("2.5"), "a list", False, "other", "elsewhere"),
    ]
    assert chat.spending.total == Total(2, Usage(30, 10), Decimal("2.65"))


def test_a_session_begun_anew_has_cost_nothing_and_one_gone_on_with_what_it_had() -> None:
    chat = chat_with(reply("One", Usage(10, 5)), reply("Two", Usage(1, 1)))
    list(chat.say("Hi"))
    before = chat.spending
    chat.begin(Conversation(), None)
    assert chat.spending.total == Total()
    chat.begin(Conversation(), None, None, Spending(list(before.completions)))
    list(chat.say("Hi"))
    assert chat.spending.total.cost == Decimal("0.17")
    assert before.total.cost == Decimal("0.15")


def test_a_summary_is_paid_for_like_a_reply() -> None:
    chat = chat_with(reply("They counted.", Usage(200, 6)), reply("Fine", Usage(90, 4)), window=300)
    chat.reply_limit, chat.overflow = 50, "summarize"
    chat.begin(talk(8), None)
    list(chat.say("Hi"))
    spent = [(each.purpose, each.cost) for each in chat.spending.completions]
    assert spent == [("summary", Decimal("2.06")), ("reply", Decimal("0.94"))]


# Where the server tells no usage.


def test_a_reply_without_usage_is_counted_by_us() -> None:
    chat = chat_with([ReasoningDelta("Hm, what?"), TextDelta("Fine, you?"), Finished("stop")])
    chat.counter.load()
    list(chat.say("Hello there"))
    asked = num_tokens_from_messages([{"role": "user", "content": "Hello there"}])
    (spent,) = chat.spending.completions
    assert spent.usage == Usage(asked, tokens("Hm, what?Fine, you?", "cl100k_base"))
    assert spent.estimated
    assert spent.cost == Decimal("0.01") * spent.usage.total_tokens
    assert chat.conversation.exchanges[-1].usage is None, "what the server told"


def test_nothing_is_loaded_to_estimate() -> None:
    chat = chat_with("You said it, and said it well.")
    events = chat.say("Hello there")
    next(events)
    close(events)
    (spent,) = chat.spending.completions
    assert not chat.counter.loaded
    assert spent.usage == Usage(rough_request(chat.conversation.messages[:1]), 1)
    assert spent.estimated


def test_what_is_estimated_has_the_schema_and_is_rather_too_much() -> None:
    chat = chat_with()
    said = Message("user", "今天天气很好，我们去公园散步吧。" * 9)
    bare = chat.estimate([said], "")
    assert bare.prompt_tokens >= num_tokens_from_messages([said.as_openai()])
    chat.ask_for({"tools": ["x" * 400]})
    assert chat.estimate([said], "").prompt_tokens >= bare.prompt_tokens + 100
    assert not chat.counter.loaded


@pytest.mark.parametrize("how", ["closed", "cut", "thinking"])
def test_a_reply_that_is_cut_off_is_paid_for_as_far_as_it_came(how: str) -> None:
    first = ReasoningDelta("Half") if how == "thinking" else TextDelta("Half")
    chat = chat_with([first, *([ServerError("Cut.")] if how == "cut" else [Finished("stop")])])
    events = chat.say("Hi")
    assert next(events) == first
    if how == "cut":
        with pytest.raises(ServerError):
            next(events)
    close(events)
    (spent,) = chat.spending.completions
    assert (spent.estimated, spent.usage.completion_tokens) == (True, 1)
    assert cast("ScriptedProvider", chat.provider).requests


@pytest.mark.parametrize(
    "script",
    [
        [RateLimitError("Too many.")],
        [RequestRefusedError("No.")],
        [Retrying("Busy", 0.1, 1, 2), ServerError("No.")],
    ],
)
def test_what_the_server_refused_costs_nothing(script: list[Line]) -> None:
    chat = chat_with(script)
    with suppress(ChatreplError):
        list(chat.say("Hi"))
    assert chat.spending == Spending()
    assert cast("PerToken", chat.pricing).prepared == 0


def lost() -> StreamInterruptedError:
    return StreamInterruptedError("The server closed the connection.")


@pytest.mark.parametrize("how", ["closed", "lost"])
def test_what_the_server_has_begun_to_answer_costs_its_prompt(how: str) -> None:
    chat = chat_with([Answering(), *([lost()] if how == "lost" else [])])
    events = chat.say("Hello there")
    assert next(events) == Answering()
    assert cast("PerToken", chat.pricing).prepared == 1
    if how == "lost":
        with pytest.raises(StreamInterruptedError):
            next(events)
    close(events)
    (spent,) = chat.spending.completions
    assert (spent.estimated, spent.usage.completion_tokens) == (True, 0)
    assert spent.usage.prompt_tokens > 0
    assert chat.conversation == Conversation()


def test_what_is_refused_in_the_answer_costs_nothing() -> None:
    for error in (refusal(9_000, 8_000), ContentFilterError("No."), BadReplyError("No.")):
        chat = chat_with([Answering(), error])
        with suppress(ChatreplError):
            list(chat.say("Hi"))
        assert chat.spending == Spending()


def test_an_answer_that_was_lost_and_asked_for_again_costs_twice() -> None:
    again = Retrying("Lost", 0.1, 1, 2)
    chat = chat_with([Answering(), again, Answering(), *reply("Yes", Usage(10, 5))])
    list(chat.say("Hi"))
    assert [each.estimated for each in chat.spending.completions] == [True, False]
    chat = chat_with([Answering(), again, RateLimitError("Too many.")])
    with suppress(ChatreplError):
        list(chat.say("Hi"))
    assert [each.estimated for each in chat.spending.completions] == [True]


def test_ctrl_c_while_the_price_is_looked_up_loses_the_price_and_not_the_bill() -> None:
    class Slow(PerToken):
        def price(self, card: ModelCard, usage: Usage) -> Price:
            raise KeyboardInterrupt

    chat = chat_with(reply("Fine", Usage(10, 5)))
    chat.pricing = Slow()
    with pytest.raises(KeyboardInterrupt):
        list(chat.say("Hi"))
    (spent,) = chat.spending.completions
    assert (spent.usage, spent.cost, spent.estimated) == (Usage(10, 5), None, False)
    assert chat.conversation.messages[-1].content == "Fine"


def test_each_call_counts() -> None:
    """One that was refused for its length does not, one that was cut off and gone on with does."""
    chat = chat_with([refusal(900, 800)], [TextDelta("Half"), ServerError("")], reply("it", None))
    chat.begin(talk(20), None)
    with suppress(ServerError):
        list(chat.say("Hi"))
    list(chat.go_on())
    assert [each.estimated for each in chat.spending.completions] == [True, True]


def test_a_usage_of_nothing_is_none() -> None:
    chat = chat_with(reply("Fine", Usage()))
    list(chat.say("Hi"))
    assert chat.spending.completions[0].usage.prompt_tokens > 0
    assert chat.spending.total.estimated == 1


def test_the_price_list_is_loaded_once_the_reply_has_begun() -> None:
    chat = chat_with()
    pricing = cast("PerToken", chat.pricing)

    class Watched(ScriptedProvider):
        def stream(self, request: Request) -> Iterator[Event]:
            assert not pricing.prepared
            yield TextDelta("One")
            assert pricing.prepared
            yield Finished("stop")

    chat.use(Watched(), chat.card)
    list(chat.say("Hi"))


# Totals and amounts.

amounts = st.decimals(0, 10**5, places=12)
completions = st.builds(
    Completion,
    st.just("reply"),
    st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
    st.none() | amounts,
    estimated=st.booleans(),
)


@given(st.lists(completions))
def test_a_total_is_the_sum_and_what_has_no_price_is_said(spent: list[Completion]) -> None:
    together = total(spent)
    priced = [each.cost for each in spent if each.cost is not None]
    assert together.cost == sum(priced, Decimal(0))
    assert together.unpriced == len(spent) - len(priced)
    assert (together.known_cost is None) == any(each.cost is None for each in spent)
    words = together.written
    assert words.endswith(" + ?") == (0 < len(priced) < len(spent))
    assert (words == "unknown") == (bool(spent) and not priced)


@given(amounts)
def test_no_amount_is_written_as_nothing_but_nothing(amount: Decimal) -> None:
    written = dollars(amount)
    number = Decimal(re.sub(r"[^\d.]", "", written))
    assert (number == 0) == (amount == 0)
    if amount >= Decimal("1e-6"):
        assert abs(number - amount) <= max(Decimal("0.005") * (amount >= 1), amount / 200)
    assert re.fullmatch(r"(under )?\$[\d,]+\.\d\d+", written)


@pytest.mark.parametrize(
    ("amount", "written"),
    [("12.344", "$12.34"), ("0.996", "$0.996"), ("0.9996", "$1.00"), ("0.1", "$0.10")],
)
def test_how_an_amount_is_written(amount: str, written: str) -> None:
    assert dollars(Decimal(amount)) == written
