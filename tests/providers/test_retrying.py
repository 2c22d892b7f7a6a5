"""Trying again: how often, after which wait, and when not at all."""

import math
from dataclasses import dataclass, field

import pytest

from chatrepl.chat.events import (
    Event,
    Finished,
    ReasoningDelta,
    Retrying,
    TextDelta,
    UsageReport,
)
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    AuthenticationError,
    BadReplyError,
    ChatreplError,
    ConnectionFailedError,
    ContentFilterError,
    ContextOverflowError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    StreamInterruptedError,
)
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import LONGEST_WAIT, RetryingProvider
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.support.asking import a_request, endpoint
from tests.support.loopback import Loopback, fails

BUSY = ServerError("The server is busy.")


@dataclass
class Run:
    """What one question to a retrying provider came to."""

    events: list[Event] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    error: ChatreplError | None = None
    requests: int = 0


def run(*scripts: str | list[Line], retries: int = 2, jitter: float = 0.0) -> Run:
    inner = ScriptedProvider(*scripts)
    result = Run()
    provider = RetryingProvider(inner, retries, sleep=result.waits.append, jitter=lambda: jitter)
    request = a_request()
    try:
        result.events.extend(provider.stream(request))
    except ChatreplError as error:
        result.error = error
    assert all(sent is request for sent in inner.requests)
    result.requests = len(inner.requests)
    return result


def test_an_answer_that_comes_at_once_is_passed_through() -> None:
    script: list[Line] = [
        ReasoningDelta("Hm."),
        TextDelta("Hi"),
        UsageReport(Usage(1, 2)),
        Finished("stop", "m"),
    ]
    result = run(script)
    assert result.events == script
    assert (result.waits, result.requests) == ([], 1)


def test_a_failed_request_is_announced_and_goes_out_again() -> None:
    result = run([BUSY], [BUSY], "Hi")
    assert result.events == [
        Retrying("The server is busy.", 0.5, 1, 2),
        Retrying("The server is busy.", 1.0, 2, 2),
        TextDelta("Hi"),
        Finished("stop"),
    ]
    assert result.waits == [0.5, 1.0]


def test_the_last_error_is_raised_when_the_tries_are_used_up() -> None:
    last = ConnectionFailedError("No connection.")
    result = run([BUSY], [BUSY], [last], "too late")
    assert result.error is last
    assert result.requests == 3
    assert [event.attempt for event in result.events if isinstance(event, Retrying)] == [1, 2]


def test_without_retries_the_first_error_is_raised() -> None:
    result = run([BUSY], "too late", retries=0)
    assert (result.error, result.events, result.waits) == (BUSY, [], [])


def test_the_wait_doubles_up_to_eight_seconds() -> None:
    busy: list[Line] = [BUSY]
    result = run(*[busy] * 7, "Hi", retries=7)
    assert result.waits == [0.5, 1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 0.5), (0.5, 0.4375), (1.0, 0.375)])
def test_chance_takes_up_to_a_quarter_off_the_wait(jitter: float, wait: float) -> None:
    assert run([BUSY], "Hi", jitter=jitter).waits == [wait]


@pytest.mark.parametrize("asked", [0.0, 3.0, LONGEST_WAIT])
def test_the_servers_own_wait_is_kept_to_the_letter(asked: float) -> None:
    result = run([RateLimitError("Slow down.", retry_after=asked)], "Hi", jitter=0.7)
    assert result.waits == [asked]
    assert result.events[0] == Retrying("Slow down.", asked, 1, 2)


@pytest.mark.parametrize("asked", [LONGEST_WAIT + 1, 86_400.0, math.inf])
def test_a_wait_too_long_for_a_person_is_not_waited(asked: float) -> None:
    error = RateLimitError("Slow down.", retry_after=asked)
    result = run([error], "Hi")
    assert result.error is error
    assert (result.waits, result.events) == ([], [])


@pytest.mark.parametrize("header", ["-1", "nan", "-inf", "-0.5", "1e400", "soon", ""])
def test_a_wait_that_is_none_does_no_harm(server: Loopback, header: str) -> None:
    server.then(fails(503, "Busy.", headers={"retry-after": header}))
    waits: list[float] = []
    inner = OpenAIProvider(endpoint(server.base_url))
    provider = RetryingProvider(inner, 1, sleep=waits.append)
    try:
        list(provider.stream(a_request()))
    except ServerError:
        assert waits == []
    else:
        assert len(server.requests) == 2
        (wait,) = waits
        assert 0 <= wait <= LONGEST_WAIT  # time.sleep raises on anything below, and on nan
    finally:
        provider.close()


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("Slow down."),
        ServerError("Busy."),
        ConnectionFailedError("Nobody there."),
        StreamInterruptedError("Cut."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_tried_again(error: ChatreplError) -> None:
    assert run([error], "Hi").requests == 2


@pytest.mark.parametrize(
    "error",
    [
        QuotaError("Used up."),
        QuotaError("Used up.", retry_after=1.0),
        AuthenticationError("Who are you?"),
        ContentFilterError("Not that."),
        ContextOverflowError("Too long.", "", prompt_tokens=9, context_window=8),
        BadReplyError("A web page."),
        RequestRefusedError("No."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_will_not_pass_is_not_tried_again(error: ChatreplError) -> None:
    result = run([error], "too late")
    assert (result.error, result.requests, result.events) == (error, 1, [])


@pytest.mark.parametrize("piece", [TextDelta("The"), ReasoningDelta("Hm.")])
def test_nothing_that_was_shown_is_taken_back(piece: Event) -> None:
    result = run([piece, BUSY], "too late")
    assert (result.events, result.error, result.requests) == ([piece], BUSY, 1)


def test_what_comes_after_a_retry_is_not_taken_back_either() -> None:
    result = run([BUSY], [TextDelta("The"), BUSY], "too late")
    assert result.error is BUSY
    assert (result.events[1:], result.requests) == ([TextDelta("The")], 2)


def test_closing_it_while_it_would_wait_sends_nothing_more() -> None:
    inner = ScriptedProvider([BUSY], "too late")
    waits: list[float] = []
    events = RetryingProvider(inner, 2, sleep=waits.append).stream(a_request())
    assert isinstance(next(events), Retrying)
    events.close()  # type: ignore[attr-defined]  # every provider's stream is a generator
    assert (waits, len(inner.requests)) == ([], 1)


def test_it_goes_by_the_inner_providers_name() -> None:
    assert RetryingProvider(ScriptedProvider(name="mine"), 2).name == "mine"
