"""The terminal's answer about its background, among what is typed."""

import asyncio

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.output import DummyOutput

from chatrepl.terminal.background import answers, read_answer
from chatrepl.terminal.keys import bindings

LIGHT = "\x1b]11;rgb:ffff/ffff/dddd"


def typed(text: str, mode: EditingMode = EditingMode.EMACS) -> tuple[str, list[str]]:
    """Type into a prompt, to Enter; give the line, and what was seen of backgrounds."""
    seen: list[str] = []
    with create_pipe_input() as keyboard:
        keyboard.send_text(text + "\r")
        session: PromptSession[str] = PromptSession(
            input=keyboard,
            output=DummyOutput(),
            key_bindings=merge_key_bindings([bindings(), answers(seen.append)]),
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
