"""Drawing the last lines again and again, read back as a terminal shows it."""

import re
from typing import Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from chatrepl.terminal.drawing import Drawing
from tests.support.papers import Glass, Paper, read_back

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"


class Desk:
    """A drawing on a paper, and what each frame has written."""

    def __init__(self, columns: int = 40, lines: int = 12) -> None:
        self.paper = Paper(columns, lines)
        self.drawing = Drawing(self.paper.console)
        self.settled = ""
        self._glass = Glass(columns, lines)
        self._terminal = pyte.Stream(self._glass)

    def show(self, *lines: str, settled: str = "") -> str:
        """Show a frame; assert that it stands below what has settled; give what was written."""
        before = len(self.paper.raw)
        self.settled += settled
        self.drawing.show(settled, list(lines))
        self._terminal.feed(self.paper.raw[before:])
        shown = self._glass.shown()
        expected = [*self.settled.split("\n")[:-1], *lines]
        assert shown.lines == without_blanks([Text.from_ansi(line).plain for line in expected])
        if not lines:
            assert shown.cursor[0] == 0
        return self.paper.raw[before:]


def without_blanks(lines: list[str]) -> list[str]:
    """Leave out blanks that no terminal shows: at the ends of lines, and lines of them below."""
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def test_a_frame_that_is_the_same_writes_nothing() -> None:
    desk = Desk()
    assert desk.show("one", "two") == "one\ntwo"
    assert desk.show("one", "two") == ""
    assert desk.show("one", "two") == ""


def test_a_line_that_goes_on_is_written_on() -> None:
    desk = Desk()
    desk.show("one", "two")
    assert desk.show("one", "two and") == " and"
    assert desk.show("one", "two and", "three") == "\nthree"
    assert desk.show("one", "two and", "three, four", "", "five") == ", four\n\nfive"
    assert desk.show("one", "two and", "three, four", "", "\x1b[1mfive") != ""


def test_what_settles_as_it_was_drawn_is_not_written_again() -> None:
    desk = Desk()
    desk.show("one", "two")
    assert desk.show("two", settled="one\n") == ""
    assert desk.show(settled="two\n") == "\n"
    assert desk.show(settled="three\n") == "three\n"
    assert desk.show("four") == "four"
    assert desk.show("six", settled="four\nfive\n") == "\nfive\nsix"


def test_only_lines_that_are_different_are_drawn_again_and_at_once() -> None:
    desk = Desk()
    desk.show("one", "two", "three")
    drawn = desk.show("one", "zwei", "three")
    assert drawn == f"{BEGIN}\r\x1b[1A\x1b[Kzwei\n\x1b[Kthree{END}"


def test_no_other_frame_is_held_until_its_end() -> None:
    desk = Desk()
    for lines in (["one"], ["one", "two"], ["one", "two three"], ["one", "two three", "four"]):
        assert BEGIN not in desk.show(*lines)
    desk.show(settled="one\ntwo three\nfour\n")
    desk.show()
    assert END not in desk.paper.raw


def test_a_drawing_that_is_done_leaves_the_cursor_on_a_line_of_its_own() -> None:
    desk = Desk()
    desk.show("one", "two")
    desk.show()
    assert read_back(desk.paper).lines == []
    desk.show("one", "two")
    desk.show("one", settled="")
    desk.show(settled="one\n")
    desk.show(settled="two\n")
    assert desk.paper.raw.endswith("two\n")


def test_a_frame_that_only_loses_lines_leaves_no_blank_one() -> None:
    desk = Desk()
    desk.show("", " code", " ``")
    desk.show("", " code")
    desk.show("", " code", "", "Text")
    desk.show("Text", settled="\n code\n\n")
    desk.show()


# Random frames: what is on the screen is what has settled and the last frame, whatever was before.

LINES = [
    "",
    "a",
    "ab",
    "abc",
    "two words",
    "x" * 20,
    "y" * 19,
    "東京",
    "東" * 10,
    "\x1b[1mab\x1b[0m",
]
some_lines = st.lists(st.sampled_from(LINES), max_size=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(some_lines, some_lines), max_size=8), st.integers(6, 12))
def test_any_frames_leave_what_has_settled_and_the_last_one(
    frames: list[tuple[list[str], list[str]]], height: int
) -> None:
    desk = Desk(20, height)
    for settled, lines in frames:
        desk.show(*lines, settled="".join(f"{line}\n" for line in settled))
    marks = re.findall(r"\x1b\[\?2026[hl]", desk.paper.raw)
    assert marks == [BEGIN, END] * (len(marks) // 2)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=10))
def test_lines_that_come_and_go_leave_nothing(counts: list[int]) -> None:
    desk = Desk(20, 12)
    for count in counts:
        desk.show(*[f"line {n}" for n in range(count)])
    desk.show(settled="done\n")


# What some terminals make of it.


class Watched(Glass):
    """A screen that notes in which row the rest of it was erased."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.erased: list[int] = []

    def erase_in_display(self, how: int = 0, *args: Any, **more: Any) -> None:
        self.erased.append(self.cursor.y)
        super().erase_in_display(how, *args, **more)


def erased_in(paper: Paper) -> list[int]:
    glass = Watched(*paper.size)
    pyte.Stream(glass).feed(paper.raw)
    return glass.erased


def test_the_screen_is_not_erased_from_its_top_where_lines_can_be() -> None:
    # Some terminals (tmux, kitty, VTE) keep a copy of a screen that is cleared as a whole.
    desk = Desk(20, 6)
    for size in (6, 4, 6, 5, 2, 6, 3):
        desk.show(*[f"{size} {n}" for n in range(size)])
    assert erased_in(desk.paper)
    assert 0 not in erased_in(desk.paper)


def test_a_screen_that_grows_or_stays_is_not_erased_but_line_by_line() -> None:
    desk = Desk(20, 6)
    for size in (1, 2, 3, 3, 3, 5, 6):
        desk.show(*[f"{size} {n}" for n in range(size)])
    assert erased_in(desk.paper) == []


@pytest.mark.parametrize("full", ["x" * 20, "東" * 10, "\x1b[1m" + "x" * 20 + "\x1b[0m"])
def test_a_line_as_wide_as_the_terminal_takes_one_row(full: str) -> None:
    desk = Desk(20, 12)  # at its end the cursor waits in the last column, and wraps no line yet
    desk.show(full)
    desk.show(full, "two")
    desk.show("other", full)
    desk.show("other", full, full)
    desk.show("one", full)
    desk.show(full, settled="one\n" + full + "\n")
    desk.show(settled=full + "\n")
    desk.show("end")


def test_of_a_drawing_taller_than_the_screen_what_is_on_it_is_drawn_again() -> None:
    paper = Paper(20, 4)
    drawing = Drawing(paper.console)
    drawing.show("", [f"a{n}" for n in range(8)])
    drawing.show("", [f"b{n}" for n in range(4)])
    assert read_back(paper).lines == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


@pytest.mark.parametrize("columns", [25, 20, 13, 10])
def test_in_a_terminal_that_became_narrower_nothing_is_left_of_wrapped_lines(columns: int) -> None:
    paper = Paper(40, 16)
    drawing = Drawing(paper.console)
    drawing.show("settled\n", ["x" * 40, "short", "東" * 20])
    paper.console.width, paper.size = columns, (columns, 16)  # it has wrapped them by now
    drawing.show("", ["one", "two"])
    assert read_back(paper).lines == ["settled", "one", "two"]
    drawing.show("", ["one", "two", "three"])
    drawing.show("one\ntwo\nthree\n", [])
    assert read_back(paper).lines == ["settled", "one", "two", "three"]


def test_in_a_terminal_that_became_wider_the_frame_is_drawn_again() -> None:
    paper = Paper(20, 16)
    drawing = Drawing(paper.console)
    drawing.show("settled\n", ["one", "two"])
    paper.console.width, paper.size = 60, (60, 16)
    drawing.show("", ["one", "two"])
    assert paper.raw.endswith(f"{BEGIN}\r\x1b[1A\x1b[Kone\n\x1b[Ktwo{END}")
    assert read_back(paper).lines == ["settled", "one", "two"]
    assert paper.raw.count("one") == 2
    drawing.show("", ["one", "two"])
    assert paper.raw.count("one") == 2
