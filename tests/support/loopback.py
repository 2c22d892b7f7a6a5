"""A real HTTP server on loopback that speaks the Chat Completions API, well or badly."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chatrepl.chat.tokens import load_encoding


@dataclass(frozen=True)
class Cut:
    """In a stream: reset the connection here."""


@dataclass(frozen=True)
class Received:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message["role"], message["content"]) for message in self.body["messages"]]


Part = dict[str, Any] | bytes | float | threading.Event | Cut
"""A chunk as a dict, raw bytes, seconds to wait, an event to wait for, or a cut."""


@dataclass(frozen=True)
class Reply:
    """What the server answers with: a stream of parts, or a plain body.

    With status 0 it is a reset before the first byte.
    """

    parts: Iterable[Part] = ()
    status: int = 200
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = True  # end the stream with [DONE]


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    choices = (
        []
        if delta is None and finish is None
        else [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    )
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "loop-1",
        "choices": choices,
        **more,
    }


def says(
    text: str,
    finish: str | None = "stop",
    *,
    usage: tuple[int, int] | None = (10, 5),
    pause: float = 0.0,
) -> Reply:
    """A well-formed streamed reply, word by word, `pause` seconds apart."""
    words = text.split(" ")
    parts: list[Part] = [chunk({"role": "assistant", "content": ""})]
    for number, word in enumerate(words):
        parts.append(chunk({"content": word if number == 0 else f" {word}"}))
        if pause:
            parts.append(pause)
    if finish is not None:
        parts.append(chunk({}, finish))
    if usage is not None:
        prompt, completion = usage
        parts.append(
            chunk(
                usage={
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "total_tokens": prompt + completion,
                }
            )
        )
    return Reply(parts)


def fails(
    status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any
) -> Reply:
    """An error answer in the API's form."""
    return Reply(
        status=status, body={"error": {"message": message, **error}}, headers=headers or {}
    )


class Loopback:
    """The server. `replies` are answered in order; then `usual`, a function of the request.

    What it tells of itself, GET /v1/models and Ollama's /api/show and /api/ps, stands in `tells`
    by path, and who asks is kept in `asked`: `requests` are for a completion.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.tells: dict[str, Reply | dict[str, Any]] = {}
        self.asked: list[Received] = []
        self.replies: list[Reply] = []
        self.usual: Callable[[Received], Reply] = lambda received: says(
            "You said: " + received.said[-1][1]
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        # The default asks every half second whether to stop, which every test would wait for.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        return self.root + "/v1"

    def then(self, *replies: Reply) -> None:
        self.replies += replies

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, received: Received) -> Reply:
        if received.path.startswith("/api/") or received.path == "/v1/models":
            self.asked.append(received)
            told = self.tells.get(received.path, fails(404, "nothing here"))
            return told if isinstance(told, Reply) else Reply(body=told)
        self.requests.append(received)
        return self.replies.pop(0) if self.replies else self.usual(received)


def with_window(
    limit: int, encoding: str = "cl100k_base", hunger: float = 1.0
) -> Callable[[Received], Reply]:
    """A server that enforces its context window as OpenAI does, counting by itself."""
    enc = load_encoding(encoding)
    assert enc is not None

    def reply(received: Received) -> Reply:
        count = 3
        for message in received.body["messages"]:
            count += 3 + sum(len(enc.encode_ordinary(value)) for value in message.values())
            count += "name" in message
        count = round(count * hunger)
        asked = received.body.get("max_tokens") or received.body.get("max_completion_tokens") or 0
        if count + asked > limit:
            return fails(
                400,
                f"This model's maximum context length is {limit} tokens. However, you requested "
                f"{count + asked} tokens ({count} in the messages, {asked} in the completion).",
                code="context_length_exceeded",
                param="messages",
                type="invalid_request_error",
            )
        return says(f"Noted number {len(received.body['messages'])}.", usage=(count, 4))

    return reply


@contextmanager
def loopback() -> Iterator[Loopback]:
    server = Loopback()
    try:
        yield server
    finally:
        server.close()


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._handle({})

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            self._handle(json.loads(self.rfile.read(size) or b"{}"))

        def _handle(self, body: dict[str, Any]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.answer(Received(self.command, self.path, headers, body))
            try:
                self._send(reply)
            except OSError:  # the client has gone, as some tests want
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            self.close_connection = True
            if not reply.status:
                self._reset()
                return
            self.send_response_only(reply.status)
            if "date" not in reply.headers:
                self.send_header("date", self.date_time_string())
            if reply.body is not None:
                data = (
                    reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                )
                kind = "text/html" if isinstance(reply.body, bytes) else "application/json"
                for name, value in {"content-type": kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.send_header("connection", "close")  # or a client would use it again
                self.end_headers()
                self.wfile.write(data)
                return
            for name, value in {"content-type": "text/event-stream", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.flush()
            for part in reply.parts:
                match part:
                    case float():
                        time.sleep(part)
                    case threading.Event():
                        part.wait(30)
                    case Cut():
                        self._reset()
                        return
                    case bytes():
                        self.wfile.write(part)
                    case dict():
                        self.wfile.write(b"data: " + json.dumps(part).encode() + b"\n\n")
                self.wfile.flush()
            if reply.done:
                self.wfile.write(b"data: [DONE]\n\n")

        def _reset(self) -> None:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
