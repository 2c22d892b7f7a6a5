"""What a reply leaves on the screen when it has ended, however it came."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from chatrepl.terminal.rendering import MarkdownReply
from tests.support.markdowns import (
    COMMONMARK,
    FENCES,
    REAL,
    cut,
    cuts,
    documents,
    names_what_is_defined_later,
)
from tests.support.papers import Line, Paper, Shown, at_once, print_at_once, read_back

WIDTHS = (40, 80, 120)
MARK = "(meanwhile)"
MOMENT = 0.12  # seconds in which what has come is drawn, at 20 frames a second

# The default run generates the same each time, and does not look long for a smaller example.
_QUICK = [Phase.explicit, Phase.generate]
some = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    phases=_QUICK,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
many = settings(some, max_examples=300, derandomize=False, phases=list(Phase))


def show(pieces: list[str], paper: Paper, *, drawn: bool = False) -> None:
    """Stream a reply. A notice after each piece has all that came drawn, without a wait."""
    with MarkdownReply(paper) as reply:
        for piece in pieces:
            reply.text(piece)
            if drawn:
                reply.notice(MARK)


def settled(pieces: list[str], width: int, *, drawn: bool = False, height: int = 24) -> Shown:
    paper = Paper(width, height)
    show(pieces, paper, drawn=drawn)
    shown = read_back(paper)
    return shown.without(MARK) if drawn else shown


def assert_same(shown: Shown, expected: Shown) -> None:
    assert shown.lines == expected.lines
    assert shown.styles == expected.styles
    assert shown.cursor == expected.cursor == (0, False)


def rendered(text: str, width: int) -> Shown | None:
    """Render a whole document, unless rich fails on it or it tells no stream what it means."""
    if names_what_is_defined_later(text):
        return None
    try:
        return at_once(text, width)
    except Exception:  # noqa: BLE001 - rich fails on a stray </kbd>, and on more
        return None


def assert_any_split_is_the_same(text: str, places: list[float], width: int) -> None:
    assume(not names_what_is_defined_later(text))
    whole = settled([text], width)
    assert_same(settled(cut(text, places), width, drawn=True, height=12), whole)
    if (expected := rendered(text, width)) is not None:
        assert_same(whole, expected)


@settings(some, max_examples=40)  # of very many, below
@given(documents(4), cuts(4), st.sampled_from(WIDTHS))
def test_any_split_of_any_document_leaves_what_one_piece_leaves(
    text: str, places: list[float], width: int
) -> None:
    assert_any_split_is_the_same(text, places, width)


@pytest.mark.thorough
@pytest.mark.parametrize("width", WIDTHS)
@many
@given(text=documents(8), places=cuts(20))
def test_any_split_of_very_many_documents(text: str, places: list[float], width: int) -> None:
    assert_any_split_is_the_same(text, places, width)


def stream_side_by_side(talks: list[tuple[list[str], Paper]]) -> None:
    """Stream replies, giving each a moment to be drawn after each piece."""
    with ExitStack() as stack:
        replies = [stack.enter_context(MarkdownReply(paper)) for _, paper in talks]
        for step in range(max(len(pieces) for pieces, _ in talks)):
            for reply, (pieces, _) in zip(replies, talks, strict=True):
                for piece in pieces[step : step + 1]:
                    reply.text(piece)
            time.sleep(MOMENT)


talks = st.lists(
    st.tuples(
        documents(2).filter(lambda text: not names_what_is_defined_later(text)),
        cuts(4),
        st.sampled_from(WIDTHS),
        st.sampled_from([5, 12, 24]),
    ),
    min_size=6,
    max_size=10,
)


def assert_time_does_not_matter(drawn: list[tuple[str, list[float], int, int]]) -> None:
    streamed = [(cut(text, places), Paper(width, height)) for text, places, width, height in drawn]
    stream_side_by_side(streamed)
    for (_, paper), (text, _, width, _) in zip(streamed, drawn, strict=True):
        assert_same(read_back(paper), settled([text], width))


@settings(some, max_examples=4)
@given(talks)
def test_what_was_drawn_on_the_way_leaves_nothing(
    drawn: list[tuple[str, list[float], int, int]],
) -> None:
    assert_time_does_not_matter(drawn)


@pytest.mark.thorough
@settings(many, max_examples=30, phases=_QUICK)
@given(talks)
def test_what_was_drawn_on_the_way_very_often_leaves_nothing(
    drawn: list[tuple[str, list[float], int, int]],
) -> None:
    assert_time_does_not_matter(drawn)


@pytest.fixture(scope="module")
def slowly() -> dict[tuple[str, int], Paper]:
    """The repository's own documents, streamed side by side."""
    papers = {(name, width): Paper(width, 16) for name in REAL for width in WIDTHS}
    places = [n / 7 for n in range(1, 7)]
    stream_side_by_side([(cut(REAL[name], places), paper) for (name, _), paper in papers.items()])
    return papers


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REAL)
def test_a_document_of_ours_settles_as_it_is_rendered_whole(
    slowly: dict[tuple[str, int], Paper], name: str, width: int
) -> None:
    assert not names_what_is_defined_later(REAL[name])
    expected = at_once(REAL[name], width)
    assert_same(read_back(slowly[name, width]), expected)
    assert_same(settled([REAL[name]], width), expected)
    places = [n / 40 for n in range(1, 40)]
    assert_same(settled(cut(REAL[name], places), width), expected)


class Examples:
    """Many short documents on one paper, one below the other."""

    def __init__(self, width: int) -> None:
        self.paper = Paper(width, 16)

    def add(self, number: int, text: str, pieces: int, *, drawn: bool) -> None:
        places = [n / pieces for n in range(1, pieces)]
        show(cut(text, places), self.paper, drawn=drawn)
        self.paper.say(f"=== {number}")

    def by_number(self) -> dict[int, tuple[list[str], list[Line]]]:
        shown = read_back(self.paper).without(MARK)
        found: dict[int, tuple[list[str], list[Line]]] = {}
        start = 0
        for n, line in enumerate(shown.lines):
            if ended := re.fullmatch(r"=== (\d+)", line):
                found[int(ended[1])] = (shown.lines[start:n], shown.styles[start:n])
                start = n + 1
        return found


def assert_the_specifications_examples_settle(numbers: range, width: int) -> None:
    whole, apart, rich = Examples(width), Examples(width), Examples(width)
    for number in numbers:
        text = COMMONMARK[number - 1]
        if names_what_is_defined_later(text):
            continue
        whole.add(number, text, 1, drawn=False)
        apart.add(number, text, 3, drawn=True)
        try:
            print_at_once(text, rich.paper)
        except Exception:  # noqa: BLE001 - rich fails on some
            continue
        rich.paper.say(f"=== {number}")
    in_one_piece, rendered_whole = whole.by_number(), rich.by_number()
    assert len(rendered_whole) > 0.8 * len(numbers)
    for number, shown in apart.by_number().items():
        assert shown == in_one_piece[number], (number, COMMONMARK[number - 1])
    for number, expected in rendered_whole.items():
        assert in_one_piece[number] == expected, (number, COMMONMARK[number - 1])


@pytest.mark.parametrize(("first", "width"), list(enumerate(WIDTHS, 1)))
def test_the_specifications_examples_settle_alike(first: int, width: int) -> None:
    assert_the_specifications_examples_settle(range(first, len(COMMONMARK) + 1, 3), width)


@pytest.mark.thorough
@pytest.mark.parametrize("width", WIDTHS)
def test_all_of_the_specifications_examples_settle_alike(width: int) -> None:
    assert_the_specifications_examples_settle(range(1, len(COMMONMARK) + 1), width)


@pytest.mark.parametrize("language", FENCES)
def test_a_fence_that_is_drawn_line_by_line_is_coloured_as_a_whole_one(language: str) -> None:
    text = f"Code:\n\n```{language}\n" + "\n".join(FENCES[language] * 3)
    for ending in ("", "\n```\n\nText.\n"):
        lines = (text + ending).splitlines(keepends=True)
        assert_same(settled(lines, 80, drawn=True, height=10), at_once(text + ending, 80))


_LINES = "".join(f"line {n} with some words\n" for n in range(30))

LATE = {
    "a list past 9 and 99": "".join(f"{n}. item\n" for n in range(1, 121)),
    "a list that begins at 95": "".join(f"{n}. item of *ours*\n" for n in range(95, 130)),
    "a tight list that becomes loose": "- a\n" * 30 + "\n- b\n\nText.\n",
    "a list whose last item is a block": "- a\n" * 30 + "- b\n\n  > quoted\n\n      code\n",
    "a table whose last cell is the widest": "| a | b |\n|---|---|\n"
    + "| x | y |\n" * 100
    + "| a cell with very many words in it, more than fit | the widest cell of all of them |\n",
    "a table that grows at each row": "| a | b |\n|---|--:|\n"
    + "".join(f"| {'x ' * n} | {'日本' * n} |\n" for n in range(1, 30)),
    "a ragged table": "a | b | c\n---|:-:|---\nx\nx | y | z | more\n" + "| x | y\n" * 40,
    "strong to the end": f"**{_LINES.rstrip()}**\n",
    "strong that nobody closes": f"**{_LINES}",
    "emphasis that is none in the end": f"*{_LINES}\nText.\n",
    "code to the end": f"`{_LINES.rstrip()}`\n",
    "ticks that nobody closes": f"``{_LINES}",
    "a link to the end": f"[{_LINES.rstrip()}](http://example.com/x)\n",
    "a link that is none": f"[{_LINES}\n",
    "an image to the end": f"![{_LINES.rstrip()}](x.png)\n",
    "hard breaks": "one  \ntwo\\\n" * 30 + "end\n",
    "a paragraph that becomes a heading": f"{_LINES}===\nText.\n",
    "a paragraph whose last line begins a table": f"{_LINES}a | b\n---|---\n1 | 2\n",
    "a quote with lazy lines": f"> {_LINES}",
    "a list in a quote": "".join(f"> - item {n}\n" for n in range(30)),
    "a fence in a list": "1. a\n\n   ```python\n" + '   x = """\n' * 31 + "   ```\n2. b\n",
    "indented code with blank lines": '    x = """\n\n\n' * 20 + "Text.\n",
    "a long CJK paragraph": "世界最大級の都市圏を形成しています。" * 40,
    "emoji without a space": "👩🏽\u200d💻🎉" * 100,
    "a word with no end": "x" * 2_000,
}
"""What is known only late of a block, or never."""


@pytest.mark.parametrize("name", LATE)
def test_what_is_known_late_is_right_in_the_end(name: str) -> None:
    text = f"# Before\n\n{LATE[name]}\nAfter.\n"
    for width in WIDTHS:
        places = [n / 30 for n in range(1, 30)]
        assert_same(settled(cut(text, places), width, drawn=True, height=10), at_once(text, width))


# What has settled is not touched again, and what is long settles while it comes.

LONG = {
    "a fence": ["```python\n", *(f"word{n} = 'text'  # why\n" for n in range(400)), "```\n"],
    "a list": [f"- word{n} of the *list*\n" for n in range(400)],
    "a numbered list": [f"{n + 100}. word{n} of the *list*\n" for n in range(400)],
    "a table": ["| n | text |\n|---|---|\n", *(f"| word{n:03} | x |\n" for n in range(400))],
    "a paragraph": [f"word{n} and *some* more `of them`\n" for n in range(400)],
    "a loose list": [f"- word{n} of the list\n\n" for n in range(400)],
    "paragraphs": [f"A paragraph with word{n}.\n\n" for n in range(400)],
}
STEPS = 8


@pytest.fixture(scope="module")
def moments() -> Iterator[dict[str, tuple[Paper, list[int]]]]:
    """Long replies, and how much had been written to the terminal when so much had come."""
    papers = {name: (Paper(80, 12), [0]) for name in LONG}
    with ExitStack() as stack:
        replies = {name: stack.enter_context(MarkdownReply(papers[name][0])) for name in LONG}
        for step in range(STEPS):
            for name, reply in replies.items():
                lines = LONG[name]
                start, end = (len(lines) * at // STEPS for at in (step, step + 1))
                reply.text("".join(lines[start:end]))
            time.sleep(3 * MOMENT)
            for paper, lengths in papers.values():
                lengths.append(len(paper.raw))
    yield papers


def words(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bword(\d+)", text)]


@pytest.mark.parametrize("name", LONG)
def test_a_long_block_settles_while_it_comes(
    moments: dict[str, tuple[Paper, list[int]]], name: str
) -> None:
    paper, lengths = moments[name]
    half = len(LONG[name]) * STEPS // (2 * STEPS)
    before, after = paper.raw[: lengths[STEPS - 1]], paper.raw[lengths[STEPS - 1] :]
    so_far = Paper(*paper.size)
    so_far.written.write(before)
    shown = read_back(so_far)
    assert words("\n".join(shown.lines))[:half] == list(range(half))
    assert not set(words(after)) & set(range(half))
    final = read_back(paper)
    assert shown.lines[: shown.gone] == final.lines[: shown.gone]
    assert_same(final, at_once("".join(LONG[name]), 80))


def test_a_link_in_a_paragraph_that_settles_in_parts_knows_its_definition() -> None:
    text = "[ref]: http://example.com\n\n" + "A word, a [ref] and more. " * 60 + "\n\nThe end.\n"
    pieces = [text[start : start + 40] for start in range(0, len(text), 40)]
    assert_same(settled(pieces, 80, drawn=True), at_once(text, 80))
