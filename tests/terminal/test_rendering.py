"""MarkdownReply on a real rich console, read back as a terminal would show it."""

import io
import signal
import time
import unicodedata
from collections.abc import Callable

import pytest

from chatrepl.terminal.rendering import MarkdownReply
from tests.support.papers import Paper, at_once, read_back, streamed
from tests.support.samples import SAMPLES

WIDTHS = (40, 80, 120)
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@pytest.fixture(scope="module")
def slowly() -> dict[tuple[str, int], Paper]:
    """Every sample at every width, streamed side by side and drawn on the way."""
    papers = {(name, width): Paper(width) for width in WIDTHS for name in SAMPLES}
    replies = {key: MarkdownReply(paper) for key, paper in papers.items()}
    steps = 8
    for reply in replies.values():
        reply.__enter__()
    for step in range(steps):
        before = {key: len(paper.raw) for key, paper in papers.items()}
        for (name, _), reply in replies.items():
            text = SAMPLES[name]
            reply.text(text[len(text) * step // steps : len(text) * (step + 1) // steps])
        end = time.monotonic() + 5
        while sum(len(papers[key].raw) > before[key] for key in papers) < 0.8 * len(papers):
            assert time.monotonic() < end, "hardly any open block is drawn"
            time.sleep(0.01)
    for reply in replies.values():
        reply.__exit__(None, None, None)
    return papers


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_streamed_reply_ends_up_as_if_rendered_at_once(
    slowly: dict[tuple[str, int], Paper], name: str, width: int
) -> None:
    paper = slowly[name, width]
    shown, expected = read_back(paper), at_once(SAMPLES[name], width)
    assert shown.lines == expected.lines
    assert shown.styles == expected.styles
    assert shown.cursor == (0, False)


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_size_of_the_pieces_does_not_matter(name: str, size: int) -> None:
    assert streamed(SAMPLES[name], size, Paper()).lines == at_once(SAMPLES[name], 80).lines


@pytest.mark.parametrize("kind", ["a long fence", "a long list", "a long table", "long paragraphs"])
def test_a_block_taller_than_the_screen_is_shown_once(kind: str) -> None:
    text = SAMPLES[kind]
    paper = Paper(80, 8)
    with MarkdownReply(paper) as reply:
        for start in range(0, len(text), len(text) // 6):
            reply.text(text[start : start + len(text) // 6])
            wait_for_a_frame(reply, paper)
    assert read_back(paper).lines == at_once(text, 80).lines


def wait_for_a_frame(reply: MarkdownReply, paper: Paper) -> None:
    before = len(paper.raw)
    end = time.monotonic() + 0.5  # a piece that ends no row of a table has nothing to show
    while len(paper.raw) == before and time.monotonic() < end:
        reply.text("")
        time.sleep(0.01)


def test_what_has_come_of_an_open_block_is_shown() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        reply.text("Some **bold")
        wait_until_shown(paper, "Some **bold")
        reply.text("** words")
        wait_until_shown(paper, "Some bold words")
        assert "Some bold words" in read_back(paper).lines
    assert read_back(paper).lines == ["Some bold words"]


def wait_until_shown(paper: Paper, text: str) -> None:
    wait_until_drawn(paper, lambda lines: text in "\n".join(lines))


def wait_until_drawn(paper: Paper, seen: Callable[[list[str]], bool]) -> None:
    end = time.monotonic() + 10
    while not seen(read_back(paper).lines):
        assert time.monotonic() < end, read_back(paper).lines
        time.sleep(0.01)


@pytest.mark.parametrize("lines", [8, 24])
def test_the_end_of_a_long_open_block_is_on_the_screen_and_no_more(lines: int) -> None:
    paper = Paper(80, lines)
    with MarkdownReply(paper) as reply:
        reply.text("```\n" + "".join(f"line {n}\n" for n in range(100)) + "last")
        wait_until_shown(paper, " last")
        shown = read_back(paper)
        assert shown.lines == [f" line {n}" for n in range(100)] + [" last"]
        assert paper.raw.count("\x1b[J") + paper.raw.count("\x1b[1A") <= 2, "little is redrawn"


def test_a_spinner_turns_until_the_first_word_and_leaves_nothing() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        for _ in range(2):
            reply.text(" \n")  # some models begin with blanks
            drawn = len(paper.raw)
            end = time.monotonic() + 10
            while not set(SPINNER) & set(paper.raw[drawn:]):
                assert time.monotonic() < end
                time.sleep(0.01)
        assert read_back(paper).lines[-1] in SPINNER
        assert read_back(paper).cursor[1], "the cursor must not blink beside the spinner"
        reply.text("Hello.\n\nAnd ")
        wait_until_shown(paper, "And")
        assert not set(SPINNER) & set("".join(read_back(paper).lines))
    assert read_back(paper).lines == ["Hello.", "", "And"]


@pytest.mark.parametrize("text", ["", "half a **thing", "done.\n"])
def test_the_cursor_comes_back_on_a_line_of_its_own_whatever_happens(text: str) -> None:
    paper = Paper()
    with pytest.raises(KeyboardInterrupt), MarkdownReply(paper) as reply:
        reply.text(text)
        raise KeyboardInterrupt
    shown = read_back(paper)
    assert shown.lines == text.split()[:0] or shown.lines == [text.strip()]
    assert shown.cursor == (0, False)


def test_a_notice_stands_above_the_open_block() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        reply.text("First.\n\nThe\nsecond, ")
        wait_until_shown(paper, "second,")
        reply.notice("trying again")
        reply.text("whole.\n")
    assert read_back(paper).lines == ["First.", "trying again", "", "The second, whole."]


def test_a_dumb_terminal_gets_no_control_sequences() -> None:
    paper = Paper(dumb=True)
    streamed(SAMPLES["a README"], 5, paper)
    assert "\x1b" not in paper.raw
    assert "pip install project" in paper.raw


class Interrupting(io.StringIO):
    """A terminal at which Ctrl-C is pressed once, just before `text` is written."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def write(self, text: str) -> int:
        if self._text and self._text in text:
            self._text = ""
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


@pytest.mark.parametrize("at", ["Earlier", "later"])
def test_ctrl_c_in_the_middle_of_a_drawing_loses_nothing_that_came(at: str) -> None:
    paper = Paper()
    paper.written = paper.console.file = Interrupting(at)
    with pytest.raises(KeyboardInterrupt), MarkdownReply(paper) as reply:
        reply.text("Earlier.\n\nA block ")
        wait_until_shown(paper, "A block")
        reply.text("that ends later.\n\nAn open ")
        for _ in range(1000):  # in one long sleep it would not hear the other thread's signal
            time.sleep(0.01)
    shown = read_back(paper).lines
    assert (
        shown[:3] == ["Earlier.", "", "A block"]
        if at == "Earlier"
        else shown == ["Earlier.", "", "A block that ends later.", "", "An open"]
    )


def is_steering(character: str) -> bool:
    return unicodedata.category(character) == "Cc" or character in "\u202e\u2066\U000e0041"


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]52;c;c2VjcmV0\x07 \x1b[2J \x9b2J \u202e",
        "<http://example.com/%1B]52;c;c2VjcmV0%07%1B[2J>",
        "<http://example.com/%C2%9B2J%E2%80%AE>",
        "[text](http://example.com/%1B[2J) [x](</%E2%80%AE>)",
        "![alt&#x202e;](http://example.com/%1B[2J)",
        "&#27;[2J &#x9b;2J &#13; &#7; &#x202e; &#x2066; &#xe0041;",
        "| &#x202e; |\n|---|\n| <http://example.com/%1B[2J> |",
        "```\x1b[2J\n\x1b[2J\n```",
    ],
)
@pytest.mark.parametrize("ending", ["", "\n\nA next block.\n"])
def test_markdown_is_no_way_round_the_sanitiser(text: str, ending: str) -> None:
    # A parser decodes entities and the percent signs of links after the text has been filtered.
    paper = Paper(dumb=True)  # what the program itself writes to it holds no ESC
    streamed(text + ending, 4, paper)
    assert not [c for c in paper.raw if c not in "\n\t" and is_steering(c)]


def test_an_open_block_is_filtered_too() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        reply.text("See <http://example.com/%1B]0;owned%07> ")
        wait_until_shown(paper, "See")
        assert "\x1b]0;" not in paper.raw


@pytest.mark.parametrize(
    "text",
    [
        "press </kbd> now",
        "<kbd>Ctrl</kbd></kbd> then </b></kbd>",
        "> " * 30 + "deep",
        "- " * 30 + "deep",
        "[" * 50 + "](" * 50,
        "*" * 500 + "a" + "_" * 500,
        "|" * 60 + "\n" + "|-" * 60 + "|\n" + "|" * 60,
        "9999999999. too high a number\n999999999. the highest",
        "```no-such-language {#x .y}\ncode\n```",
        "\u2028\u2029 separators \x85",
    ],
)
def test_odd_markdown_does_not_stop_the_show(text: str) -> None:
    paper = Paper()
    streamed(f"Before.\n\n{text}\n\nAfter.\n", 7, paper)
    assert read_back(paper).lines[0] == "Before."
    assert read_back(paper).lines[-1] == "After."


def test_what_looks_like_html_is_shown_as_it_was_written() -> None:
    text = "Use List<String> and <div> in a<b>c.\n\n<section>\nblock\n</section>\n"
    shown = "\n".join(streamed(text, 5, Paper()).lines)
    assert "Use List<String> and <div> in a<b>c." in shown
    assert "<section> block </section>" in shown


def test_a_fence_whose_end_comes_in_two_pieces_leaves_no_blank_line() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        reply.text("```\ncode\n``")
        wait_until_shown(paper, "``")
        reply.text("`")
        wait_until_drawn(paper, lambda lines: " ``" not in lines)
        reply.text("\n\nAnd text")
        wait_until_shown(paper, "And text")
        reply.text(".")
    assert read_back(paper).lines == at_once("```\ncode\n```\n\nAnd text.", 80).lines
