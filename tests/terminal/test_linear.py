"""A reply as lines for a screen reader."""

import io
import re
from contextlib import redirect_stdout

import pytest

from chatrepl.terminal.blocks import Block, BlockSplitter, new_parser
from chatrepl.terminal.linear import Announced, LinearReply, linear
from chatrepl.terminal.screen import Screen
from tests.support.samples import SAMPLES


def lines_of(text: str, width: int = 80) -> list[str]:
    return list(linear(Block(text, new_parser().parse(text)), width))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One **bold** and `code`.", ["One bold and code."]),
        ("## Install *it*", ["Heading 2: Install it"]),
        ("```py\nx = 1\n\ny = 2\n```", ["Code, py:", "x = 1", "", "y = 2", "End of code."]),
        ("```\n```", ["Code:", "End of code."]),
        ("- one\n- two\n  - three", ["- one", "- two", "  - three"]),
        ("7. seven\n8. eight", ["7. seven", "8. eight"]),
        ("-", ["-"]),
        ("> Be kind.\n>\n> Always.", ["Quote:", "Be kind.", "Always.", "End of quote."]),
        (
            "| city | country |\n|---|---|\n| Lima | *Peru* |\n| Oslo | |",
            ["city: Lima; country: Peru", "city: Oslo"],
        ),
        ("| | n |\n|---|---|\n| a | 1 |\n| | |", ["a; n: 1", "Empty row."]),
        ("| a | b |\n|---|---|", ["Table with no rows: a, b"]),
        ("[text](http://x.y/a)", ["text (http://x.y/a)"]),
        ("<http://x.y/a>", ["http://x.y/a"]),
        ("![a cat](cat.png)", ["image: a cat (cat.png)"]),
        ("~~old~~ new", ["(struck out: old) new"]),
        ("one\\\ntwo\nthree", ["one", "two three"]),
        ("---", []),
        ("<b>List<String></b>", ["<b>List<String></b>"]),
    ],
)
def test_markdown_is_put_into_words(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_lines_are_broken_between_words_but_code_is_not() -> None:
    text = "Some words that are too long\n\n    and = code + that_is_long\n\n- for twenty columns"
    assert lines_of(text, 19) == [
        *("Some words that are", "too long"),
        *("Code:", "and = code + that_is_long", "End of code."),
        *("- for twenty", "  columns"),
    ]


@pytest.mark.parametrize("size", [1, 9, 10_000])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_reply_in_pieces_is_written_as_in_one(name: str, size: int) -> None:
    """But for blank lines and line ends: a long block comes in parts."""
    text, out = SAMPLES[name], io.StringIO()
    with redirect_stdout(out), LinearReply(Screen()) as reply:
        for start in range(0, len(text), size):
            reply.text(text[start : start + size])
    splitter = BlockSplitter(in_parts=False)
    blocks = [*splitter.feed(text), *splitter.flush()]
    expected = [word for block in blocks for line in linear(block, 80) for word in line.split()]
    assert out.getvalue().split() == expected
    assert not out.getvalue().startswith("\n")


def test_a_block_is_written_as_soon_as_it_has_ended_and_never_again() -> None:
    out = io.StringIO()
    with redirect_stdout(out), LinearReply(Screen()) as reply:
        reply.text("# One\n\nSome te")
        assert out.getvalue() == "Heading 1: One\n"
        reply.text("xt.\n\n```py\nx = 1\n")
        assert out.getvalue() == "Heading 1: One\n\nSome text.\n\nCode, py:\nx = 1\n"
        reply.text("```\n")
    assert out.getvalue() == "Heading 1: One\n\nSome text.\n\nCode, py:\nx = 1\nEnd of code.\n"


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[31mred\x1b]52;c;AAAA\x07",
        "&#27;[2J &#x202e;",
        "```\x1b[2J\nx\x1b[2J\n```",
        "``` &#27;[2J\nx\n```",
        "[x](http://a/%1b[2J)",
        "| a&#27; |\n|---|\n| b&#27; |",
    ],
)
def test_no_control_sequence_gets_through(text: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out), LinearReply(Screen()) as reply:
        reply.text(text)
    assert out.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out.getvalue())


def test_who_speaks_is_said_once_the_reply_comes(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(accessible=True)
    with Announced(LinearReply(screen), screen, "gpt-4") as reply:
        assert capsys.readouterr() == ("", "waiting for gpt-4\n")
        reply.notice("left out 1 exchange")
        assert capsys.readouterr() == ("", "left out 1 exchange\n")
        reply.text("Lima.\n\nOslo")
        assert capsys.readouterr().out == "assistant:\nLima.\n"
    assert capsys.readouterr().out == "\nOslo\n"


def test_of_a_reply_that_never_came_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(accessible=True)
    with Announced(LinearReply(screen), screen, "gpt-4"):
        pass
    assert capsys.readouterr().out == ""
