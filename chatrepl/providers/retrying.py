"""Retries: a request that failed before its first piece goes out again, and is seen to."""

import random
import time
from collections.abc import Callable, Iterator, Sequence

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Event, ReasoningDelta, Retrying, TextDelta
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import ChatreplError

LONGEST_WAIT = 60.0
"""A server that asks for a longer wait, in seconds, gets no retry: the person decides."""


class RetryingProvider:
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
        self._inner = inner
        self._retries = retries
        self._sleep = sleep
        self._jitter = jitter

    @property
    def name(self) -> str:
        """Give the inner provider's name."""
        return self._inner.name

    @property
    def goes_on(self) -> bool:
        """Tell what the inner provider does."""
        return self._inner.goes_on

    def prepare(self) -> None:
        """Prepare the inner provider."""
        self._inner.prepare()

    def served(self) -> Sequence[Served]:
        """Ask the inner provider, once."""
        return self._inner.served()

    def look_up(self, model: str) -> Served | None:
        """Ask the inner provider, once."""
        return self._inner.look_up(model)

    def close(self) -> None:
        """Close the inner provider."""
        self._inner.close()

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
