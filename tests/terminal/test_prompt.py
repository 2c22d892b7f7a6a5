"""What the prompt asks of the threads that work beside it, and of a signal to end."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from chatrepl.terminal.prompt import Prompt, _asked, letting_keys_through
from chatrepl.terminal.theme import Theme

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


# A signal.


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], bool]]]:
    """A handler of SIGTERM that leaves, and notes what these answer as it does."""
    asked: list[Callable[[], bool]] = []

    def leave(*_: object) -> None:
        sys.exit(str([ask() for ask in asked]))

    before = signal.signal(signal.SIGTERM, leave)
    monkeypatch.setenv("TERM", "xterm")
    yield asked
    signal.signal(signal.SIGTERM, before)


def end() -> None:
    signal.raise_signal(signal.SIGTERM)


class Early(PromptSession[str]):
    """A session that a signal comes to before it runs."""

    def prompt(self, *given: Any, **options: Any) -> str:
        end()
        return super().prompt(*given, **options)


def test_a_signal_just_before_the_prompt_is_not_forgotten(ended: list[Callable[[], bool]]) -> None:
    with create_pipe_input() as keys:
        session = Early(input=keys, output=DummyOutput())
        ended.append(lambda: session.app.is_running)
        with pytest.raises(SystemExit, match="False"):
            _asked(session, "> ")


@pytest.mark.parametrize("moment", ["at once", "in a task", "as it ends"])
def test_a_signal_leaves_when_the_prompt_has_ended(
    tmp_path: Path, ended: list[Callable[[], bool]], moment: str
) -> None:
    async def end_in_task() -> None:
        end()

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        prompt = Prompt(tmp_path / "history", Theme())
        app = prompt._session.app
        ended.append(lambda: app.is_running)

        def shown() -> None:
            if moment == "in a task":
                app.create_background_task(end_in_task())
            elif moment == "as it ends":
                keys.send_text("\r")
                app.after_render += lambda _: end() if app.is_done else None

        if moment == "at once":
            app.on_reset += lambda _: end()
        with pytest.raises(SystemExit, match="False"):
            prompt.line("a line", on_shown=shown)
