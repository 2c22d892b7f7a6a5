"""A server of Chat Completions streams on loopback, in a process of its own.

It costs the measured programs nothing: what it sends is made beforehand, and many pieces go in
one send unless the reply asks for a pace. What happened when, on the clock of `time.monotonic`
that all processes share, it tells in lines of JSON on its standard output.

`python -m benchmarks.server` is what `Server` starts; it ends with its standard input.
"""

import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from benchmarks.replies import asked

_ROOT = Path(__file__).parent.parent
_BATCH = 65_536  # bytes in a send


class Server:
    """The running server; `requests` and `sent` fill up when `look` is called.

    `requests` are the times at which a request for a completion was there to its last byte, and
    `sent` the times of the pieces of each reply that had a pace.
    """

    def __init__(self) -> None:
        self.requests: list[float] = []
        self.sent: list[list[float]] = []
        self._rest = b""
        command = [sys.executable, "-m", "benchmarks.server"]
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter and fixed words
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.port = 0
        while not self.port:
            self.look(10)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def tells(self) -> int:
        """Readable when there is something to look at."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def forget(self) -> None:
        """Make `requests` and `sent` empty."""
        self.look()
        self.requests.clear()
        self.sent.clear()

    def look(self, timeout: float = 0) -> None:
        """Take in what it told. Raises EOFError if it is dead."""
        if not select.select([self.tells], [], [], timeout)[0]:
            return
        data = os.read(self.tells, 1_000_000)
        if not data:
            raise EOFError("the benchmarks' server has ended")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            self.port = told.get("port", self.port)
            if "request" in told:
                self.requests.append(told["request"])
            if "sent" in told:
                self.sent.append(told["sent"])


_telling = threading.Lock()


def _tell(**told: object) -> None:
    with _telling:
        print(json.dumps(told), flush=True)


def _frame(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    """Give one event as servers send it: each in an HTTP chunk of its own."""
    event = {
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-4-0613",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": choices,
        "usage": usage,
    }
    return _http_chunk(b"data: %s\n\n" % json.dumps(event, separators=(",", ":")).encode())


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]


_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
) + _frame(_choice({"role": "assistant", "content": ""}))
_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


@lru_cache
def _frames(prompt: str) -> tuple[list[bytes], bytes]:
    """Give the frames of a reply's pieces, and what ends it."""
    frames = [_frame(_choice({"content": piece})) for piece in asked(prompt)[0]]
    count = len(frames)
    usage = {"prompt_tokens": 20, "completion_tokens": count, "total_tokens": 20 + count}
    ends = (_frame(_choice({}, "stop")), _frame([], usage), _http_chunk(b"data: [DONE]\n\n"))
    return frames, b"".join(ends) + b"0\r\n\r\n"


@lru_cache
def _batches(prompt: str) -> list[bytes]:
    frames, end = _frames(prompt)
    whole = _HEAD + b"".join(frames) + end
    return [whole[at : at + _BATCH] for at in range(0, len(whole), _BATCH)]


def _requests(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Give the head and the body of each request on a connection."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65_536)):
                return
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        while len(data) < size:
            if not (piece := connection.recv(65_536)):
                return
            data += piece
        yield head, data[:size]
        data = data[size:]


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, suppress(OSError):
        for head, body in _requests(connection):
            now = time.monotonic()
            if not head.partition(b" HTTP/")[0].endswith(b"/chat/completions"):
                is_head = head.startswith(b"HEAD ")  # its answer has no body
                connection.sendall(
                    _NOT_FOUND.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else _NOT_FOUND
                )
                continue
            _tell(request=now)
            prompt = json.loads(body)["messages"][-1]["content"]
            rate = asked(prompt)[1]
            if rate:
                _send_at(connection, prompt, rate)
            else:
                for batch in _batches(prompt):
                    connection.sendall(batch)


def _send_at(connection: socket.socket, prompt: str, rate: float) -> None:
    frames, end = _frames(prompt)
    connection.sendall(_HEAD)
    begin, sent = time.monotonic(), []
    for number, frame in enumerate(frames, 1):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        sent.append(time.monotonic())
        connection.sendall(frame)
    _tell(sent=sent)
    connection.sendall(end)


def _main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        _tell(port=listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        sys.stdin.buffer.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        _main()
