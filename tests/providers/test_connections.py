"""One connection for all turns: opened beforehand, kept, and given up where it is of no use."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chatrepl.chat.events import Event, Finished
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider
from chatrepl.providers.waiting import WaitingProvider
from tests.support.asking import a_request, ask, assert_sound, dead_url, endpoint, text_of, wire
from tests.support.loopback import chunk
from tests.support.processes import wait_until

SOON = 1.0  # seconds


@dataclass
class Keeping:
    """A server that keeps its connections; each is a list of the requests that came on it.

    `after` is what it does when [DONE] is out: "keep" the connection, "close" it without having
    said so, "hang" with the body not ended, or "drop" the next request on it unanswered.
    """

    after: str = "keep"
    head: int = 405
    connections: list[list[tuple[str, dict[str, str]]]] = field(default_factory=list)
    closed: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def methods(self) -> list[list[str]]:
        return [[method for method, _ in requests] for requests in self.connections]


def _handler(keeping: Keeping) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def setup(self) -> None:
            super().setup()
            keeping.connections.append([])
            self.mine = keeping.connections[-1]

        def finish(self) -> None:
            super().finish()
            keeping.closed += 1

        def do_HEAD(self) -> None:
            self.note()
            if not keeping.head:
                self.close_connection = True  # without an answer
                return
            self.send_response(keeping.head)
            self.send_header("location", f"{keeping.base_url}/elsewhere")
            self.send_header("content-length", "12")  # of a body that HEAD has not
            self.end_headers()

        def do_POST(self) -> None:
            self.note()
            self.rfile.read(int(self.headers["content-length"]))
            if keeping.after == "drop" and len(self.mine) > 1:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for part in (chunk({"content": "Paris."}), chunk({}, "stop")):
                self.put(b"data: " + json.dumps(part).encode() + b"\n\n")
            self.put(b"data: [DONE]\n\n")
            if keeping.after == "hang":
                keeping.over.wait(20)
            self.put(b"")
            self.close_connection = keeping.after == "close"

        def note(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.mine.append((self.command, headers))

        def put(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def keeping(after: str = "keep", head: int = 405) -> Iterator[Keeping]:
    made = Keeping(after, head)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client has gone, as some tests want

    with Server(("127.0.0.1", 0), _handler(made)) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield made
        finally:
            made.over.set()
            server.shutdown()


@contextmanager
def provider_at(base_url: str) -> Iterator[OpenAIProvider]:
    with closing(OpenAIProvider(endpoint(base_url), opens_early=True)) as provider:
        yield provider


def assert_answers(provider: OpenAIProvider | RetryingProvider | WaitingProvider) -> list[Event]:
    """Ask, and give the events: a whole reply and no notice."""
    events = ask(provider)
    assert_sound(events)
    assert text_of(events) == "Paris."
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"
    return events


def test_preparing_opens_one_connection_and_shows_no_key() -> None:
    with keeping() as server, provider_at(server.base_url) as provider:
        provider.prepare()
        assert server.methods == [["HEAD"]]
        (((_, headers),),) = server.connections
        assert headers.keys() & {"authorization", "api-key", "cookie"} == set()
        assert "sk-" not in str(headers)
        assert_answers(provider)
        assert server.methods == [["HEAD", "POST"]]
        assert server.connections[0][1][1]["authorization"].startswith("Bearer sk-")


def test_turns_share_a_connection() -> None:
    with keeping() as server, provider_at(server.base_url) as provider:
        waiting = RetryingProvider(WaitingProvider(provider, 20.0), 0)
        for _ in range(3):
            assert_answers(waiting)
        assert server.methods == [["POST"] * 3]


def test_closing_the_provider_closes_the_connection() -> None:
    with keeping() as server:
        with provider_at(server.base_url) as provider:
            provider.prepare()
            assert_answers(provider)
            assert server.closed == 0
        wait_until(lambda: server.closed == 1, "the connection is closed", SOON)


def test_a_connection_that_the_server_has_closed_is_made_anew_without_a_word() -> None:
    with keeping("close") as server, provider_at(server.base_url) as provider:
        waiting = RetryingProvider(WaitingProvider(provider, 20.0), 0)
        provider.prepare()
        for turn in range(3):
            assert_answers(waiting)
            wait_until(lambda turn=turn: server.closed == turn + 1, "it closes", SOON)  # type: ignore[misc]
        assert server.methods == [["HEAD", "POST"], ["POST"], ["POST"]]


def test_a_connection_that_is_closed_while_the_request_is_on_its_way_is_made_anew() -> None:
    with keeping("drop") as server, provider_at(server.base_url) as provider:
        waiting = RetryingProvider(WaitingProvider(provider, 20.0), 0)
        for _ in range(3):
            assert_answers(waiting)
        assert server.methods == [["POST", "POST"], ["POST", "POST"], ["POST"]]


def test_a_body_that_does_not_end_after_done_holds_nobody_up() -> None:
    with keeping("hang") as server, provider_at(server.base_url) as provider:
        waiting = RetryingProvider(WaitingProvider(provider, 20.0), 0)
        for turn in range(1, 4):
            began = time.monotonic()
            assert_answers(waiting)
            assert time.monotonic() - began < SOON
            assert len(server.connections) == turn, "that one is still busy"


def test_after_a_turn_that_was_stopped_the_next_one_is_answered() -> None:
    with keeping() as server, provider_at(server.base_url) as provider:
        waiting = WaitingProvider(provider, 20.0)
        provider.prepare()
        for _ in range(3):
            stream = waiting.stream(a_request())
            next(stream)
            stream.close()  # type: ignore[attr-defined]
            assert_answers(waiting)


@pytest.mark.parametrize("head", [200, 301, 308, 401, 404, 429, 500, 503, 0])
def test_whatever_comes_of_preparing_is_not_told_and_not_followed(head: int) -> None:
    with keeping(head=head) as server, provider_at(server.base_url) as provider:
        provider.prepare()
        assert server.methods == [["HEAD"]]
        assert_answers(provider)
        assert server.methods == ([["HEAD", "POST"]] if head else [["HEAD"], ["POST"]])


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: \xff\r\n\r\n"]
)
def test_a_server_that_answers_nonsense_is_prepared_for_in_silence(answer: bytes) -> None:
    with (
        wire(answer) as (port, got),
        provider_at(f"http://127.0.0.1:{port}/v1") as provider,
    ):
        provider.prepare()
        assert got[0].startswith(b"HEAD /v1 HTTP/1.1\r\n")


def test_a_server_that_is_not_there_is_prepared_for_in_silence() -> None:
    with provider_at(f"{dead_url()}/v1") as provider:
        provider.prepare()
        provider.prepare()
