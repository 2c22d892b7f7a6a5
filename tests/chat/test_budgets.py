"""Budgets: what passes a cap, what is said of it, and when a chat asks."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.budgets import Amounts, Cap, Standing, check
from chatrepl.chat.catalogue import ModelCard, card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Price
from chatrepl.chat.events import (
    BudgetNear,
    Condensed,
    Event,
    Finished,
    NotCondensed,
    PriceUnknown,
    Refitted,
    TextDelta,
    UsageReport,
)
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Purse
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import BudgetError, ContextOverflowError, RateLimitError, StorageError
from chatrepl.providers.scripted import Line, ScriptedProvider
from chatrepl.terminal.outcomes import in_words
from tests.chat.test_turn import close, talk

DAY = Cap("day", Decimal(5), where="budget.day in FILE")
TOKENS = Cap("session", Decimal(200_000), in_tokens=True, where="budget.session in FILE")


def refusal(standing: Standing, most: Amounts) -> BudgetError:
    with pytest.raises(BudgetError) as caught:
        check([standing], most)
    assert caught.value.status == 10
    return caught.value


def test_what_would_pass_a_cap_is_refused_with_its_numbers_and_a_way_out() -> None:
    error = refusal(Standing(DAY, Decimal("4.95")), Amounts(4_000, Decimal("0.12")))
    assert error.text == (
        "This request may cost up to $0.12; $4.95 of the day's $5.00 are spent "
        "(budget.day in FILE)."
    )
    assert error.hint == "Lower --max-tokens, raise the budget or wait until tomorrow."
    assert error.commands == "/set max_tokens N lowers it."


def test_what_others_have_reserved_counts_and_is_said() -> None:
    standing = Standing(TOKENS, Decimal(190_000), Decimal(8_000))
    assert refusal(standing, Amounts(2_001, None)).text == (
        "This request may take up to 2,001 tokens; 190,000 of the session's 200,000 tokens are "
        "spent, and 8,000 tokens reserved by requests under way (budget.session in FILE)."
    )
    check([standing], Amounts(2_000, None))


def test_only_ways_out_that_help_are_named() -> None:
    used_up = refusal(Standing(DAY, Decimal(5)), Amounts(1, Decimal("0.01")))
    assert used_up.hint == "Raise the budget or wait until tomorrow."
    assert used_up.commands == ""
    session = refusal(Standing(TOKENS, Decimal(200_000)), Amounts(1))
    assert session.hint == "Raise the budget or begin a new session."
    assert session.commands == "/new begins one."
    too_large = refusal(Standing(TOKENS, Decimal(0)), Amounts(200_001))
    assert too_large.hint == "Lower --max-tokens or raise the budget."
    assert too_large.commands == "/set max_tokens N lowers it."


def test_each_cap_counts_and_the_first_that_would_be_passed_is_named() -> None:
    month = Cap("month", Decimal(6), where="budget.month in FILE")
    standings = [Standing(DAY, Decimal(1)), Standing(month, Decimal("5.5"))]
    with pytest.raises(BudgetError, match="the month's"):
        check(standings, Amounts(0, Decimal(1)))
    check(standings, Amounts(0, Decimal("0.5")))


@pytest.mark.parametrize("cost", [Decimal(0), None])
def test_what_costs_nothing_or_has_no_price_passes_no_cap_in_dollars(cost: Decimal | None) -> None:
    check([Standing(DAY, Decimal(9))], Amounts(10**9, cost))


units = st.integers(0, 10**6).map(Decimal)


@given(spent=units, reserved=units, needed=units.filter(bool), limit=units.filter(bool))
def test_a_cap_is_passed_by_the_last_unit(
    spent: Decimal, reserved: Decimal, needed: Decimal, limit: Decimal
) -> None:
    standing = Standing(Cap("month", limit), spent, reserved)
    passes = False
    try:
        check([standing], Amounts(0, needed))
    except BudgetError:
        passes = True
    assert passes == (spent + reserved + needed > limit)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(DAY, Decimal("3.99")), None),
        (Standing(DAY, Decimal("4.20")), "84 % of the day's budget is used: $4.20 of $5.00."),
        (Standing(DAY, Decimal("4.999"), Decimal(9)), "99 % of the day's budget is used:"),
        (
            Standing(TOKENS, Decimal(160_000)),
            "80 % of the session's budget is used: 160,000 of 200,000 tokens.",
        ),
    ],
)
def test_four_fifths_of_a_cap_are_near_it(standing: Standing, words: str | None) -> None:
    assert standing.is_near == (words is not None)
    if words:
        assert str(standing).startswith(words)


# When a chat asks.


@dataclass
class Ledger:
    """A purse that remembers what it was asked."""

    standing: Sequence[Standing] = ()
    caps: Sequence[Cap] = (TOKENS,)
    refuses: list[Exception | None] = field(default_factory=list)
    asked: list[Amounts] = field(default_factory=list)
    anyway: list[bool] = field(default_factory=list)
    open: int = 0
    released: int = 0

    def reserve(
        self, most: Amounts, session: str | None, so_far: Amounts, *, anyway: bool = False
    ) -> Sequence[Standing]:
        self.asked.append(most)
        self.anyway.append(anyway)
        error = self.refuses.pop(0) if self.refuses else None
        if error is not None and not anyway:
            raise error
        self.open += 1
        return self.standing

    def standings(self, session: str | None, so_far: Amounts) -> Sequence[Standing]:
        return self.standing

    def release(self) -> None:
        self.released += self.open
        self.open = 0


OVER = BudgetError("Over.", "Wait.")


def chat_of(
    purse: Purse, *scripts: str | list[Line], said: Conversation | None = None, window: int = 8_192
) -> tuple[Chat, ScriptedProvider]:
    provider = ScriptedProvider(*scripts)
    card = card_for("gpt-4", context_window=window)
    return Chat(provider, card, said, reply_limit=100, purse=purse), provider


def test_what_a_request_may_take_is_its_prompt_and_the_longest_reply() -> None:
    purse = Ledger()
    chat, _ = chat_of(purse, "Yes.")
    chat.counter.load()
    list(chat.say("Hello"))
    prompt = chat.calibration.request(chat.conversation.messages[:1])
    assert [most.tokens for most in purse.asked] == [prompt + 100]
    assert (purse.open, purse.released) == (0, 1)


def test_a_prompt_is_counted_only_if_that_can_matter() -> None:
    purse = Ledger()
    chat, provider = chat_of(purse, "Yes.", "No.", said=talk(40))
    list(chat.say("Hello"))
    assert not chat.counter.loaded
    purse.refuses = [OVER]
    list(chat.say("And now"))
    assert chat.counter.loaded
    assert len(provider.requests) == 2
    at_first, too_much, counted = purse.asked
    exact = [chat.calibration.request(request.messages) + 100 for request in provider.requests]
    assert exact[0] < at_first.tokens
    assert (counted.tokens, exact[1] < too_much.tokens) == (exact[1], True)
    assert at_first.tokens <= 8_192
    assert purse.open == 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=400), min_size=1, max_size=12))
def test_what_is_reserved_without_counting_is_enough(texts: list[str]) -> None:
    purse = Ledger()
    said = Conversation()
    for text in texts:
        said = said.asking(Message("user", text)).answered(Message("assistant", text), "stop", None)
    chat, provider = chat_of(purse, "Yes.", said=said)
    list(chat.say("Hello"))
    [request], [most] = provider.requests, purse.asked
    assert most.tokens >= chat.calibration.request(request.messages) + request.max_tokens


def test_a_refused_request_is_not_sent_and_the_talk_is_as_before() -> None:
    purse = Ledger(refuses=[OVER, OVER])  # by what it surely fits, then as it is counted
    chat, provider = chat_of(purse, "Yes.")
    with pytest.raises(BudgetError):
        list(chat.say("Hello"))
    assert (provider.requests, chat.conversation) == ([], Conversation())
    assert purse.open == 0


def test_anyway_holds_for_the_summary_that_the_turn_takes_too() -> None:
    purse = Ledger(refuses=[OVER, OVER, OVER])
    note: list[Line] = [TextDelta("They talked."), Finished("stop")]
    chat, _ = chat_of(purse, note, "Yes.", said=talk(30), window=900)
    chat.overflow = "summarize"
    chat.allowance.anyway = True
    assert any(isinstance(event, Condensed) for event in chat.say("Hello"))
    with pytest.raises(BudgetError):
        list(chat.say("And now"))
    assert purse.anyway == [True, True, False]


def test_anyway_lets_one_request_pass() -> None:
    purse = Ledger(refuses=[OVER, OVER])
    chat, provider = chat_of(purse, "Yes.", "No.")
    chat.allowance.anyway = True
    list(chat.say("Hello"))
    with pytest.raises(BudgetError):
        list(chat.say("And now"))
    assert len(provider.requests) == 1
    assert purse.anyway == [True, False]


def test_without_caps_nothing_is_asked_or_counted() -> None:
    purse = Ledger(caps=())
    chat, _ = chat_of(purse, "Yes.")
    list(chat.say("Hello"))
    assert purse.asked == []
    assert not chat.counter.loaded


@pytest.mark.parametrize(
    "script",
    [
        [TextDelta("Half"), RateLimitError("Slow down.")],
        [RateLimitError("Slow down.")],
        [TextDelta("Whole"), Finished("stop")],
    ],
)
def test_however_a_turn_ends_nothing_stays_reserved(script: list[Line]) -> None:
    purse = Ledger()
    chat, _ = chat_of(purse, script)
    with suppress(RateLimitError):
        list(chat.say("Hello"))
    assert (purse.open, purse.released) == (0, 1)


def test_a_turn_that_is_closed_lets_go_too() -> None:
    purse = Ledger(standing=[Standing(TOKENS, Decimal(190_000))])
    chat, _ = chat_of(purse, "One two three.", "Yes.")
    for wanted in (BudgetNear, TextDelta):  # at the warning, and in the middle of the reply
        events: Iterator[Event] = chat.say("Hello")
        if wanted is TextDelta or isinstance(next(events), BudgetNear):
            next(events)
        close(events)
        assert purse.open == 0


def test_what_is_sent_again_is_reserved_once() -> None:
    overflow = ContextOverflowError("Too long.", "", prompt_tokens=None, context_window=None)
    purse = Ledger()
    chat, provider = chat_of(purse, [overflow], "Yes.", said=talk(20), window=1_000)
    events = list(chat.say("Hello"))
    assert any(isinstance(event, Refitted) for event in events)
    assert (len(provider.requests), len(purse.asked)) == (2, 1)


def test_a_summary_is_reserved_and_not_made_if_it_would_pass_a_cap() -> None:
    note: list[Line] = [
        TextDelta("They talked."),
        UsageReport(Usage(400, 5)),
        Finished("stop"),
    ]
    for refuses, kind, requests in (([], Condensed, 2), ([None, OVER], NotCondensed, 1)):
        purse = Ledger(refuses=list(refuses))
        scripts: list[str | list[Line]] = [note, "Yes."] if requests == 2 else ["Yes."]
        chat, provider = chat_of(purse, *scripts, said=talk(30), window=900)
        chat.overflow = "summarize"
        events = list(chat.say("Hello"))
        assert [type(e) for e in events if isinstance(e, Condensed | NotCondensed)] == [kind]
        assert (len(provider.requests), len(purse.asked)) == (requests, 2)
        assert purse.open == 0


def test_a_cap_that_is_near_and_a_price_that_is_unknown_are_said_once() -> None:
    near = Standing(DAY, Decimal("4.20"))
    purse = Ledger(standing=[near], caps=(DAY,))
    chat, _ = chat_of(purse, "Yes.", "No.")
    said = [
        [event for event in chat.say(text) if isinstance(event, BudgetNear | PriceUnknown)]
        for text in ("Hello", "Again")
    ]
    assert said == [[BudgetNear(near), PriceUnknown("gpt-4")], []]
    words = in_words(PriceUnknown("gpt-4"))
    assert words == (
        "The price of gpt-4 is not known: the budget does not count it. "
        '[models."gpt-4"] prices in the config file sets it.'
    )


def test_a_cap_that_a_reply_brings_near_is_said_below_it_once_for_each_day_and_session() -> None:
    purse = Ledger()
    chat, _ = chat_of(purse, *["Yes."] * 6)

    def said(*after: Standing) -> list[Standing]:
        events = []
        for event in chat.say("Hello"):
            events.append(event)
            if isinstance(event, Finished):
                purse.standing = after
        assert not any(isinstance(event, BudgetNear) for event in events[:1])
        return [event.standing for event in events if isinstance(event, BudgetNear)]

    of_session = Standing(TOKENS, Decimal(170_000))
    monday, tuesday = (Standing(DAY, Decimal("4.20"), begun=day) for day in ("Monday", "Tuesday"))
    assert said(of_session, monday) == [of_session, monday]
    assert said(of_session, monday) == []
    assert said(of_session, tuesday) == [tuesday], "another day has another budget"
    purse.standing = ()
    chat.begin(Conversation(), None)
    assert said(of_session, tuesday) == [of_session], "another session too"


def test_a_budget_that_cant_be_looked_at_does_not_spoil_a_reply() -> None:
    class Broken(Ledger):
        def standings(self, session: str | None, so_far: Amounts) -> Sequence[Standing]:
            raise StorageError("Gone.")

    chat, _ = chat_of(Broken(), "Yes.")
    assert isinstance(list(chat.say("Hello"))[-1], Finished)


def test_a_cap_in_dollars_asks_for_the_price_of_the_longest_reply() -> None:
    purse = Ledger(caps=(DAY,))
    chat, _ = chat_of(purse, "Yes.")
    chat.pricing = Priced()
    chat.counter.load()
    list(chat.say("Hello"))
    prompt = chat.calibration.request(chat.conversation.messages[:1])
    assert [most.cost for most in purse.asked] == [Decimal(3 * prompt + 5 * 100)]


class Priced:
    def prepare(self) -> None:
        pass

    def price(self, card: ModelCard, usage: Usage) -> Price:
        return Price(Decimal(3 * usage.prompt_tokens + 5 * usage.completion_tokens), "me")


def test_tokens_need_no_price() -> None:
    purse = Ledger()
    chat, _ = chat_of(purse, "Yes.")
    assert not any(isinstance(event, PriceUnknown) for event in chat.say("Hello"))


def test_a_budget_that_cant_be_checked_lets_nothing_pass() -> None:
    purse = Ledger(refuses=[StorageError("The budget can't be checked.")])
    chat, provider = chat_of(purse, "Yes.")
    with pytest.raises(StorageError):
        list(chat.say("Hello"))
    assert provider.requests == []
