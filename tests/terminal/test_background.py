"""The terminal's answer about its background, among what is typed."""

import asyncio

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.output import DummyOutput

from chatrepl.terminal.background import Background, read_answer
from chatrepl.terminal.folds import Folds
from chatrepl.terminal.keys import bindings

LIGHT = "\x1b]11;rgb:ffff/ffff/dddd"


class Answering(DummyOutput):
    """A terminal that answers questions, and what it was asked."""

    responds_to_cpr = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def write_raw(self, data: str) -> None:
        self.asked.append(data)


def typed(
    text: str, mode: EditingMode = EditingMode.EMACS, since: float = 1.0
) -> tuple[str, list[str]]:
    """Type into a prompt, to Enter, so many seconds after the question.

    Gives the line, and what was seen of backgrounds.
    """
    seen: list[str] = []
    times = iter([0.0])
    background, output = Background(seen.append, lambda: next(times, since)), Answering()
    background.ask(output)
    background.ask(output)
    assert output.asked == ["\x1b]11;?\x1b\\"], "it is asked once"
    ours = bindings(lambda: "enter", Folds(), lambda _line: False, lambda: True)
    with create_pipe_input() as keyboard:
        keyboard.send_text(text + "\r")
        session: PromptSession[str] = PromptSession(
            input=keyboard,
            output=DummyOutput(),
            key_bindings=merge_key_bindings([ours, background.keys]),
            editing_mode=mode,
        )
        return asyncio.run(asyncio.wait_for(session.prompt_async(), 10)), seen


@pytest.mark.parametrize("mode", EditingMode)
@pytest.mark.parametrize("end", ["\x07", "\x1b\\"])
def test_an_answer_is_no_part_of_the_line(mode: EditingMode, end: str) -> None:
    assert typed(f"be{LIGHT}{end}fore", mode) == ("before", ["light"])


@pytest.mark.parametrize(
    ("text", "line", "seen"),
    [
        (f"{LIGHT}\x07{LIGHT.replace('ffff', '0000')}\x07x", "x", ["light", "dark"]),
        ("\x1b]11;what?\x07x", "x", []),
        ("\x1b]11;" + "9" * 40 + "x", "x", []),
        ("a]11;b", "a]11;b", []),
    ],
)
def test_only_an_answer_is_taken_and_never_for_long(text: str, line: str, seen: list[str]) -> None:
    assert typed(text) == (line, seen)


def test_with_the_keys_of_vi_escape_is_a_key_again_once_no_answer_can_come() -> None:
    assert typed("x\x1b]11;9", EditingMode.VI, since=60) == ("x", [])
    assert typed(f"x{LIGHT}\x07y\x1b]11;9", EditingMode.VI) == ("xy", ["light"])
    assert typed(f"be{LIGHT}\x07fore", EditingMode.EMACS, since=60) == ("before", ["light"])


@pytest.mark.parametrize(
    ("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux"), ("TERM", "xterm")]
)
def test_where_it_is_of_no_use_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    output = Answering()
    Background(lambda _shade: None).ask(output)
    assert bool(output.asked) == (value == "xterm")
    Background(lambda _shade: None).ask(DummyOutput())


@pytest.mark.parametrize(
    ("text", "background"),
    [
        ("rgb:0000/0000/0000", "dark"),
        ("rgb:ffff/ffff/ffff", "light"),
        ("rgb:00/2b/36", "dark"),  # Solarized
        ("rgb:fd/f6/e3", "light"),
        ("RGB:F/F/F", "light"),
        ("rgba:1e1e/1e1e/1e1e/ffff", "dark"),
        ("rgb:0000/0000/ffff", "dark"),
        ("#ffffff", None),
        ("", None),
    ],
)
def test_which_colours_are_dark(text: str, background: str | None) -> None:
    assert read_answer(text) == background
