"""Signals that wait until something is whole."""

import signal
from types import FrameType

import pytest

from chatrepl.undisturbed import undisturbed


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]
)
def test_of_ctrl_c_and_a_request_to_end_the_request_is_not_lost(numbers: tuple[int, ...]) -> None:
    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(number)

    done = []
    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(SystemExit), undisturbed() as come:
            for number in numbers:
                signal.raise_signal(number)
            done.append(list(come))
        assert done == [list(numbers)]
        with pytest.raises(KeyboardInterrupt), undisturbed():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
