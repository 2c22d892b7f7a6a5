"""The gauge: what sending the line that is being typed would cost, counted beside the prompt."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.previewing import preview
from chatrepl.chat.turn import Chat


@dataclass(frozen=True, slots=True)
class Reading:
    """What the gauge shows: tokens of the prompt, the share of the talk that has no room.

    The share is from 0 to 1; `fate` says what becomes of it.
    """

    tokens: int
    about: str
    share: float
    fits: bool
    fate: str = "left out"


_FATES = {"trim": "left out", "ask": "over", "summarize": "to condense"}


class Gauge:
    """Counts in a thread of its own, so that no key waits, however long the line is.

    Of several lines that come while it counts, the last one is counted next. `changed` is called
    when there is something new to show.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._wake = threading.Condition()
        self._wanted: tuple[object, ...] = ()
        self._task: tuple[Chat, str, tuple[Attachment, ...]] | None = None
        self._reading: Reading | None = None
        self._thread: threading.Thread | None = None

    def read(
        self, chat: Chat, line: str, attachments: tuple[Attachment, ...] = ()
    ) -> Reading | None:
        """Give the latest reading, at once, and see to it that one of this line follows."""
        wanted = (
            chat.conversation,
            chat.card,
            chat.calibration,
            chat.max_tokens,
            chat.overflow,
            attachments,
            line,
        )
        if not _same(wanted, self._wanted):
            with self._wake:
                self._wanted, self._task = wanted, (chat, line, attachments)
                self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return self._reading

    def _work(self) -> None:
        while True:
            with self._wake:
                while self._task is None:
                    self._wake.wait()
                task, self._task = self._task, None
            try:
                self._reading = _reading(*task)
                self._changed()
            except Exception:  # noqa: BLE001 - better no number than a wrong one for good
                self._reading = None


def _reading(chat: Chat, line: str, attachments: tuple[Attachment, ...]) -> Reading:
    cost = preview(chat, line, attachments)
    share = cost.left_out.tokens / (cost.left_out.tokens + cost.prompt_tokens)
    fate = _FATES[chat.overflow] if cost.outgrown else "left out"
    return Reading(cost.prompt_tokens, chat.calibration.about, share, cost.fits, fate)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Compare by identity first: the conversation and the line may be long."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, str | int) and a == b) for a, b in zip(one, other, strict=True)
    )
