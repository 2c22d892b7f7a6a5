"""What the prompt asks of the threads that work beside it."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chatrepl.terminal.prompt import letting_keys_through

USUAL = 0.0042


@pytest.fixture
def usual() -> Iterator[float]:
    """How long a thread has its turn in this test, in seconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_the_keys_have_their_turn_often_until_the_last_of_several_is_done(usual: float) -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(letting_keys_through())
    often = sys.getswitchinterval()
    assert often < usual
    second.enter_context(letting_keys_through())
    first.close()
    assert sys.getswitchinterval() == often
    second.close()
    assert sys.getswitchinterval() == usual


def test_what_fails_has_its_turns_as_before(usual: float) -> None:
    with pytest.raises(ZeroDivisionError), letting_keys_through(), letting_keys_through():
        _ = 1 / 0
    assert sys.getswitchinterval() == usual
