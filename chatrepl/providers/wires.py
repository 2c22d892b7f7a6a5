"""The connections of an HTTP client, within reach of those who want to end a request.

A thread that is blocked in reading can't be ended, but its socket can be shut down: it then
reads the end of the stream, and the server sees the connection closed.
"""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx2

from chatrepl.providers.line import Line, current


class Wires:
    """The open sockets of one client."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._latest = threading.local()

    def watch(self, client: httpx2.Client) -> None:
        """Keep within reach whatever this client connects to from now on."""
        client.event_hooks["request"].append(self._leaving)
        client.event_hooks["response"].append(_come)

    @property
    def found_closed(self) -> bool:
        """Whether this thread's latest request had no answer on a connection from before."""
        watch = getattr(self._latest, "watch", None)
        return isinstance(watch, _Watch) and watch.is_kept and not watch.is_answered

    def cut(self) -> None:
        """Shut all of them down.

        That is one too many at times: which of the idle connections a request has taken is not
        to be seen from here. The client makes a new one where it finds one closed.
        """
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    # Not SSLSocket's own: it takes away what the reading thread reads with.
                    socket.socket.shutdown(one, socket.SHUT_RDWR)

    def add(self, one: socket.socket) -> None:
        """Take in a socket, and forget those that have been closed."""
        with self._lock:
            self._sockets = [*(known for known in self._sockets if known.fileno() != -1), one]

    def _leaving(self, request: httpx2.Request) -> None:
        line = current.get()
        if line is not None:
            line.answering = False
            line.on_cut(self.cut)
        request.extensions["trace"] = self._latest.watch = _Watch(self, line)


class _Watch:
    """Is told each step of a request: takes in its sockets, and ends it where it was cut."""

    def __init__(self, wires: Wires, line: Line | None) -> None:
        self._wires = wires
        self._line = line
        self.is_kept = True  # whether it went out on a connection from before
        self.is_answered = False
        self._socket: socket.socket | None = None
        self._double: socket.socket | None = None

    def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        step = name.partition(".")[2]
        match step:
            case "connect_tcp.started":
                self.is_kept = False
            case "connect_tcp.complete" | "start_tls.complete":
                self._take(info["return_value"].get_extra_info("socket"))
            case "start_tls.started" if self._socket is not None:
                # The handshake goes on in a socket that nobody has yet, for the same connection.
                self._double = socket.fromfd(
                    self._socket.fileno(), self._socket.family, self._socket.type
                )
                self._wires.add(self._double)
        if self._double is not None and step in {"start_tls.complete", "start_tls.failed"}:
            self._double.close()

    def _take(self, one: socket.socket) -> None:
        self._socket = one
        self._wires.add(one)
        if self._line is not None and self._line.is_cut:
            one.close()  # the client does not know of it yet
            self._line.check()


class _Heard(httpx2.SyncByteStream):
    """Notes on the line when something of an answer comes."""

    def __init__(self, inner: httpx2.SyncByteStream, line: Line) -> None:
        self._inner = inner
        self._line = line

    def __iter__(self) -> Iterator[bytes]:
        for data in self._inner:
            self._line.heard = time.monotonic()
            yield data

    def close(self) -> None:
        self._inner.close()


def _come(response: httpx2.Response) -> None:
    """Note that the answer has begun, and see that what comes of it is noted."""
    watch = response.request.extensions.get("trace")
    if isinstance(watch, _Watch):
        watch.is_answered = True
    line = current.get()
    if line is not None and isinstance(response.stream, httpx2.SyncByteStream):
        line.heard = time.monotonic()
        line.answering = True
        response.stream = _Heard(response.stream, line)
