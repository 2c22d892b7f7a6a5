"""A server that takes connections and says little or nothing, and a port that takes none."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


class Mute:
    """A raw server that does one thing with each connection, and notes when each is closed."""

    def __init__(self, answer: bytes | None, *, more: bytes | None = None) -> None:
        """Answer a request with these bytes, the next with `more`; None is no answer."""
        self._answers = [answer, more]
        self.requests: list[bytes] = []
        self.accepted = 0
        self.closed: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "Mute":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(30)
            data = b""
            while piece := connection.recv(65536):
                data += piece
                head, blank, body = data.partition(b"\r\n\r\n")
                size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if blank and len(body) >= (int(size[1]) if size else 0):
                    self.requests.append(data)
                    data = b""
                    answer = self._answers[min(len(self.requests), 2) - 1]
                    if answer is not None:
                        connection.sendall(answer)
        self.closed.append(time.monotonic())


LISTING = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'
)
HALF = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
)


@contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: another one waits to be made."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
