"""Retries: a request that failed before its first piece goes out again, and is seen to."""

import random
import time
from collections.abc import Callable, Iterator

from chatrepl.chat.events import Event, ReasoningDelta, Retrying, TextDelta
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import ChatreplError
from chatrepl.providers.around import Around

LONGEST_WAIT = 60.0
"""A server that asks for a longer wait, in seconds, gets no retry: the person decides."""


class RetryingProvider(Around):
    """Asks `inner` again, up to `retries` times, when it fails in a way that may pass.

    Never after the first piece of a reply: what is on the screen is not taken back. Waits as
    long as the server says (Retry-After), or half a second doubled each time, less up to a
    quarter at random. `sleep` and `jitter` are arguments for the tests.
    """

    def __init__(
        self,
        inner: Provider,
        retries: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._retries = retries
        self._sleep = sleep
        self._jitter = jitter

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model, with `Retrying` events before each further try."""
        for attempt in range(1, self._retries + 2):
            began = False
            try:
                for event in self._inner.stream(request):
                    began = began or isinstance(event, TextDelta | ReasoningDelta)
                    yield event
            except ChatreplError as error:
                wait = self._wait(error, attempt)
                if began or not error.retryable or attempt > self._retries or wait > LONGEST_WAIT:
                    raise
                yield Retrying(error.text, wait, attempt, self._retries)
                self._sleep(wait)
            else:
                return

    def _wait(self, error: ChatreplError, attempt: int) -> float:
        if error.retry_after is not None:
            return error.retry_after
        backoff: float = min(8.0, 0.5 * 2 ** (attempt - 1))
        return backoff * (1 - 0.25 * self._jitter())
