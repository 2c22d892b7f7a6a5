"""Waiting for a provider without being held up by it: Ctrl-C acts at once, silence is seen."""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Event, Finished, Stalled, TextDelta
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import StreamInterruptedError
from chatrepl.providers.around import Around
from chatrepl.providers.line import Line, current

_TICK = 0.05
"""Seconds between two looks at the clock, and on Windows for Ctrl-C, while nothing comes."""

_AGAIN = 0.1
"""Seconds between two `Stalled` events."""

_GATHER = 0.005
"""Seconds in which pieces may pile up where they come faster: each hand-over has its price."""

_AHEAD = 5_000
"""How many events may wait to be taken; who asks then waits, and so in the end the server."""

_SOON = 0.2
"""Seconds in which a server ends an answer after the last of it, or it never does."""

_T = TypeVar("_T")


class _End:
    """What an asker gives last: how it ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Asker(Generic[_T]):
    """Runs a generator in a thread of its own, and hands over what it gives.

    A daemon: one that is blocked in a name look-up does not keep the program from ending.
    """

    def __init__(self, begin: Callable[[], Iterator[_T]]) -> None:
        self.line = Line()
        self.ended = False
        self._begin = begin
        self._thread: threading.Thread | None = None
        self._come: SimpleQueue[_T | _End] = SimpleQueue()

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="chatrepl-asker", daemon=True)
        self._thread.start()

    def is_alive(self, seconds: float) -> bool:
        """Whether the thread still runs after so many seconds more, at most."""
        if self._thread is None:
            return False
        self._thread.join(seconds)
        return self._thread.is_alive()

    def take(self, seconds: float) -> list[_T]:
        """Give all that has come; wait for something so many seconds at most.

        Raises what the generator raised, once everything before it has been given.
        """
        taken: list[_T] = []
        try:
            came = self._come.get(timeout=seconds)
            while not isinstance(came, _End):
                taken.append(came)
                came = self._come.get_nowait()
        except Empty:
            return taken
        if taken and came.error is not None:
            self._come.put(came)  # it is the last
            return taken
        self.ended = True
        if came.error is not None:
            raise came.error
        return taken

    def _run(self) -> None:
        current.set(self.line)
        error: BaseException | None = None
        try:
            with closing(cast("Generator[_T]", self._begin())) as given:
                for one in given:
                    while self._come.qsize() >= _AHEAD and not self.line.is_cut:
                        time.sleep(0.01)
                    if self.line.is_cut:
                        return
                    self._come.put(one)
        except BaseException as caught:  # noqa: BLE001 - it is raised where it is waited for
            error = caught
        self._come.put(_End(error))


class WaitingProvider(Around):
    """Asks `inner` in another thread, so that whoever waits is never blocked in the network.

    Ctrl-C acts at once, whatever the request is held up by: a name look-up, a proxy, a model
    that is being loaded. Closing the stream ends the request and does not wait for its end.

    When nothing has come for `stall_timeout` seconds, a `patient` one says so with `Stalled`
    events until something comes. Another raises StreamInterruptedError, in which `server` is
    named, once the server has begun to answer; a model that thinks is left to the provider's own
    timeout until its first text.
    """

    def __init__(
        self, inner: Provider, stall_timeout: float, *, patient: bool = False, server: str = ""
    ) -> None:
        super().__init__(inner)
        self._stall_timeout = stall_timeout
        self._patient = patient
        self._server = server or inner.name
        self._left: _Asker[Event] | None = None  # of the latest request; it reads to the end

    def served(self) -> Sequence[Served]:
        """Ask the inner provider."""
        return _in_thread(self._inner.served)

    def look_up(self, model: str) -> Served | None:
        """Ask the inner provider."""
        return _in_thread(lambda: self._inner.look_up(model))

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model; text that came in several pieces meanwhile is one piece."""
        if self._left is not None and self._left.is_alive(_SOON):
            self._left.line.cut()  # its server does not end what it has said all of
        self._left = asker = _Asker(lambda: self._inner.stream(request))
        came_last = time.monotonic()
        began = over = False
        pause = _TICK
        try:
            asker.start()
            while not asker.ended:
                start = time.monotonic()
                events = asker.take(pause)
                in_a_rush = bool(events) and time.monotonic() - start < _GATHER
                for event in _joined(events):
                    came_last, pause = time.monotonic(), _TICK
                    began = began or isinstance(event, TextDelta)
                    over = isinstance(event, Finished)
                    yield event
                    if over:  # what may follow is not for us
                        return
                if in_a_rush and not asker.ended:
                    time.sleep(_GATHER)
                silence = time.monotonic() - came_last
                if silence < self._stall_timeout or asker.ended:
                    continue
                if self._patient:
                    pause = _AGAIN
                    yield Stalled(silence)
                elif began or (asker.line.answering and not request.card.thinks):
                    self._check(asker.line)
        finally:
            if not (over or asker.ended):
                asker.line.cut()

    def _check(self, line: Line) -> None:
        """Raise StreamInterruptedError, unless the server keeps the connection alive."""
        if time.monotonic() - line.heard >= self._stall_timeout:
            text = f"{self._server} sent nothing for {self._stall_timeout:g} seconds."
            raise StreamInterruptedError(text, "Try again, or raise the provider's stall_timeout.")


def _in_thread(ask: Callable[[], _T]) -> _T:
    """Call a function in another thread, and wait for it so that Ctrl-C acts at once."""

    def once() -> Iterator[_T]:
        yield ask()

    asker = _Asker(once)
    try:
        asker.start()
        answer: list[_T] = []
        while not asker.ended:
            answer += asker.take(_TICK)
        return answer[0]
    finally:
        if not asker.ended:
            asker.line.cut()


def _joined(events: list[Event]) -> Iterator[Event]:
    """Give the events, and text that came in several pieces as one."""
    pieces: list[str] = []
    for event in events:
        if isinstance(event, TextDelta):
            pieces.append(event.text)
            continue
        if pieces:
            yield TextDelta("".join(pieces))
            pieces = []
        yield event
    if pieces:
        yield TextDelta("".join(pieces))
