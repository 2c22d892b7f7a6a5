"""Waiting for a provider: Ctrl-C at once, a request that ends when nobody waits, silence."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Answering, Event, Finished, Retrying, Stalled, TextDelta
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import ChatreplError, ServerError, StreamInterruptedError
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider
from chatrepl.providers.scripted import Line, ScriptedProvider
from chatrepl.providers.waiting import WaitingProvider
from chatrepl.providers.wires import Wires
from tests.support.asking import a_request, ask, dead_url, endpoint, self_signed, text_of
from tests.support.loopback import Loopback, Part, Reply, chunk, fails
from tests.support.mute import HALF, LISTING, Mute, full_port
from tests.support.processes import needs_proc, wait_until

SLACK = 0.3
"""What Ctrl-C may take at most, in seconds."""


def askers() -> int:
    """How many threads ask somebody just now."""
    return sum(thread.name == "chatrepl-asker" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    wait_until(lambda: not askers(), "the end of the asking threads", 20)


def waiting_for(base_url: str, *, timeout: float = 20.0, **more: Any) -> WaitingProvider:
    inner = OpenAIProvider(endpoint(base_url, timeout=timeout))
    return WaitingProvider(inner, more.pop("stall_timeout", 30.0), **more)


def close(events: Iterator[Event]) -> float:
    """Close a provider's stream, and give how long that took."""
    start = time.monotonic()
    events.close()  # type: ignore[attr-defined]  # every provider's stream is a generator
    return time.monotonic() - start


@contextmanager
def ctrl_c_after(seconds: float) -> Iterator[Callable[[], float]]:
    """Press Ctrl-C in a while; gives a function that tells how long ago that was."""
    pressed: list[float] = []
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        pressed.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    timer = threading.Timer(seconds, press)
    timer.start()
    yield lambda: time.monotonic() - pressed[0]
    timer.join()


class Blocked(ScriptedProvider):
    """Is held up before each answer, as a name look-up holds up: in C, deaf to signals."""

    def __init__(self, seconds: float, script: Sequence[Line] = ()) -> None:
        super().__init__(script)
        self._seconds = seconds

    def look_up(self, model: str) -> Served | None:
        time.sleep(self._seconds)
        return Served(model)

    def stream(self, request: Request) -> Iterator[Event]:
        time.sleep(self._seconds)
        yield from super().stream(request)


# What comes


def test_what_the_inner_provider_says_is_passed_on() -> None:
    error = ServerError("No.")
    script: list[Line] = [Retrying("So.", 1.0, 1, 2), TextDelta("Hi"), error]
    events: list[Event] = []
    with pytest.raises(ServerError) as caught:
        events.extend(WaitingProvider(ScriptedProvider(script), 30).stream(a_request()))
        pytest.fail("it has ended well")
    assert caught.value is error


def test_pieces_that_have_piled_up_are_taken_together_and_in_order() -> None:
    finished = Finished("stop")
    script: list[Line] = [*map(TextDelta, "abcdef"), Stalled(1), *map(TextDelta, "gh"), finished]
    events = WaitingProvider(ScriptedProvider([TextDelta("-"), *script]), 30).stream(a_request())
    came = [next(events)]
    time.sleep(0.2)
    came += events
    assert text_of(came) == "-abcdefgh"
    assert len(came) < 9
    assert [event for event in came if not isinstance(event, TextDelta)] == [Stalled(1), finished]


def test_who_does_not_take_what_comes_is_not_flooded() -> None:
    given = 0

    class Endless(ScriptedProvider):
        def stream(self, request: Request) -> Iterator[Event]:
            nonlocal given
            while True:
                given += 1
                yield TextDelta("x")

    events = WaitingProvider(Endless(), 30).stream(a_request())
    next(events)
    before = -1
    while before != given:
        before = given
        time.sleep(0.2)
    assert given < 100_000
    assert close(events) < SLACK


def test_what_the_server_tells_of_its_models_is_passed_on(server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "gpt-4", "context_window": 9}]}
    with closing(waiting_for(server.base_url)) as provider:
        assert provider.name == "loop"
        assert provider.served() == (Served("gpt-4", 9),)
        assert provider.look_up("gpt-4") == Served("gpt-4", 9)
    with closing(waiting_for(dead_url())) as provider, pytest.raises(ChatreplError):
        provider.served()


# Ctrl-C


@pytest.mark.parametrize("act", [lambda p: list(p.stream(a_request())), lambda p: p.look_up("x")])
def test_ctrl_c_acts_at_once_while_the_request_is_blocked_in_c(
    act: Callable[[Provider], object],
) -> None:
    provider = WaitingProvider(Blocked(1.5, [TextDelta("never")]), 30)
    with ctrl_c_after(0.2) as ago:
        with pytest.raises(KeyboardInterrupt):
            act(provider)
        assert ago() < 0.1 + SLACK / 3


def test_an_abandoned_request_that_was_not_sent_yet_is_never_sent(server: Loopback) -> None:
    class Slow(OpenAIProvider):
        def stream(self, request: Request) -> Iterator[Event]:
            time.sleep(0.3)
            yield from super().stream(request)

    with closing(Slow(endpoint(server.base_url))) as inner:
        provider = WaitingProvider(inner, 0.05, patient=True)
        events = provider.stream(a_request("abandoned"))
        assert isinstance(next(events), Stalled)
        assert close(events) < SLACK
        assert text_of(ask(provider, a_request("next"))) == "You said: next"
        wait_until(lambda: not askers(), "the end of the abandoned one")
    assert [received.said for received in server.requests] == [[("user", "next")]]


# Closing


@pytest.mark.parametrize(
    ("scheme", "answer"), [("http", None), ("https", None), ("http", HALF)], ids=str
)
def test_closing_ends_the_request_wherever_it_is_held_up(scheme: str, answer: bytes | None) -> None:
    with Mute(answer) as server:
        url = f"{scheme}://127.0.0.1:{server.port}/v1"
        with closing(waiting_for(url, stall_timeout=0.3, patient=True)) as provider:
            events = provider.stream(a_request())
            while not isinstance(next(events), Stalled):
                pass
            assert server.accepted == 1
            assert not server.closed
            now = time.monotonic()
            assert close(events) < SLACK
            wait_until(lambda: server.closed, "the end of the connection")
            assert server.closed[0] - now < SLACK
            wait_until(lambda: not askers(), "the end of the thread", 2)


def test_closing_ends_a_request_that_a_proxy_holds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Mute(None) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        url = "https://example.invalid/v1"
        with closing(waiting_for(url, stall_timeout=0.3, patient=True)) as provider:
            events = provider.stream(a_request())
            assert isinstance(next(events), Stalled)
            assert b"CONNECT" in proxy.requests[0]
            assert close(events) < SLACK
            wait_until(lambda: proxy.closed, "the end of the connection", 2)


def test_closing_ends_a_request_on_a_connection_that_was_there_before() -> None:
    with Mute(LISTING) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        with closing(waiting_for(url, stall_timeout=0.3, patient=True)) as provider:
            assert provider.served() == ()
            events = provider.stream(a_request())
            assert isinstance(next(events), Stalled)
            assert (server.accepted, len(server.requests)) == (1, 2), "it is kept alive"
            assert close(events) < SLACK
            wait_until(lambda: server.closed, "the end of the connection", 2)


def test_a_stream_in_tls_is_ended_too(tmp_path: Path) -> None:
    class Trusting(OpenAIProvider):
        def _connect(self, **_: object) -> openai.OpenAI:
            client = openai.DefaultHttpxClient(verify=False)
            Wires().watch(client)
            url = self.endpoint.base_url
            return openai.OpenAI(api_key="k", base_url=url, http_client=client, max_retries=0)

    context = self_signed(tmp_path)
    closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(HALF)
            while connection.recv(65536):
                pass
        closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        inner = Trusting(endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}/v1"))
        with closing(WaitingProvider(inner, 0.3, patient=True)) as provider:
            events = provider.stream(a_request())
            assert [next(events), next(events)] == [Answering(), TextDelta("Hi")]
            assert isinstance(next(events), Stalled)
            assert close(events) < SLACK
            assert closed.wait(2)


def test_closing_does_not_wait_for_a_connection_that_is_still_being_made() -> None:
    with full_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        with closing(waiting_for(url, timeout=1, stall_timeout=0.3, patient=True)) as provider:
            events = provider.stream(a_request())
            assert isinstance(next(events), Stalled)
            assert close(events) < SLACK
            wait_until(lambda: not askers(), "the end of the thread", 10)


@needs_proc
def test_many_turns_leave_no_threads_and_no_connections(server: Loopback) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    leave = threading.Event()
    parts: list[Part] = [chunk({"content": "Hi"}), leave]
    with closing(waiting_for(server.base_url)) as provider:
        ask(provider)
        before = files()
        for turn in range(40):
            if turn % 2:
                server.then(Reply(parts))
            events = provider.stream(a_request())
            next(events)
            close(events)
        leave.set()
        wait_until(lambda: not askers(), "the end of the threads", 5)
        wait_until(lambda: files() <= before, "the end of the connections", 5)
        assert text_of(ask(provider)) == "You said: Hi"


# Silence


def test_a_patient_one_tells_of_silence_until_something_comes(server: Loopback) -> None:
    go_on = threading.Event()
    server.then(Reply([chunk({"content": "Well"}), go_on, chunk({"content": " then"}, "stop")]))
    with closing(waiting_for(server.base_url, stall_timeout=0.3, patient=True)) as provider:
        came: list[Event] = []
        for event in provider.stream(a_request()):
            came.append(event)
            if len(came) == 5:
                go_on.set()
    seconds = [event.seconds for event in came if isinstance(event, Stalled)]
    assert len(seconds) >= 3
    assert seconds[0] >= 0.3
    assert seconds == sorted(seconds)
    assert text_of(came) == "Well then"
    assert not isinstance(came[-1], Stalled)


@pytest.mark.parametrize(
    ("model", "parts", "stalls"),
    [
        ("gpt-4", [], True),
        ("gpt-4", [chunk({"content": "Well"})], True),
        ("gpt-4", [chunk({"reasoning_content": "Hm"})], True),
        ("o3", [], False),
        ("o3", [chunk({"reasoning_content": "Hm"})], False),
        ("o3", [chunk({"content": "Well"})], True),
    ],
)
def test_another_gives_up_when_an_answer_that_has_begun_stalls(
    server: Loopback, model: str, parts: list[Part], stalls: bool
) -> None:
    leave = threading.Event()
    server.then(Reply([*parts, leave]))
    with closing(
        waiting_for(server.base_url, timeout=1.5, stall_timeout=0.4, server="loop (here)")
    ) as provider:
        try:
            with pytest.raises(StreamInterruptedError) as caught:
                ask(provider, a_request(model=model))
        finally:
            leave.set()
    if stalls:
        assert caught.value.text == "loop (here) sent nothing for 0.4 seconds."
        assert "stall_timeout" in caught.value.hint
    else:
        assert "1.5 seconds" in caught.value.text


def test_a_server_that_has_not_begun_to_answer_is_left_to_the_other_timeout() -> None:
    with Mute(None) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        with (
            closing(waiting_for(url, timeout=1, stall_timeout=0.2)) as provider,
            pytest.raises(StreamInterruptedError, match="1 seconds"),
        ):
            ask(provider)


def test_a_server_that_keeps_the_connection_alive_has_not_stalled(server: Loopback) -> None:
    pings: list[Part] = [b": PROCESSING\n\n", 0.1] * 8
    server.then(Reply([*pings, chunk({"content": "At last"}, "stop")]))
    with closing(waiting_for(server.base_url, stall_timeout=0.4)) as provider:
        assert text_of(ask(provider)) == "At last"


@pytest.mark.parametrize(("parts", "requests"), [([], 2), ([chunk({"content": "Well"})], 1)])
def test_a_stall_is_retried_before_the_first_piece_and_not_after_it(
    server: Loopback, parts: list[Part], requests: int
) -> None:
    leave = threading.Event()
    server.then(Reply([*parts, leave]))
    inner = waiting_for(server.base_url, stall_timeout=0.3)
    provider = RetryingProvider(inner, 1, sleep=lambda _: None)
    try:
        with closing(provider):
            came: list[Event] = []
            with suppress(StreamInterruptedError):
                came += provider.stream(a_request())
    finally:
        leave.set()
    assert len(server.requests) == requests
    assert (text_of(came) == "You said: Hi") == (requests == 2)


def test_a_second_try_inside_counts_its_own_silence(server: Loopback) -> None:
    """A refused parameter is an answer, but not to what is sent then."""
    leave = threading.Event()
    server.then(
        fails(400, "No.", code="unsupported_parameter", param="max_tokens"),
        Reply([leave]),
    )
    with closing(waiting_for(server.base_url, stall_timeout=0.3)) as provider:
        try:
            with pytest.raises(StreamInterruptedError, match="nothing for 0"):
                ask(provider)
        finally:
            leave.set()
    assert len(server.requests) == 2
