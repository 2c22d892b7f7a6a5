"""Where lines are broken: as rich breaks them, and between characters that need no blank."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from chatrepl.terminal.wrapping import Flowing, breaks, wrapped

CHINESE = "我喜欢 Python 编程语言，因为它简单、易学（而且“有趣”）。Guido 在1991年发布了它。"
JAPANESE = "東京は日本の首都です。人口は約千四百万人で、世界最大級の都市圏を形成しています。"
CONSOLE = Console(width=80)

words = st.sampled_from(["a", "bb", "three", "é", "e\u0301", "🗼", "سلام", "שלום", "x-y", "한국어"])
wide = st.sampled_from(["我", "喜欢", "東京は", "。", "「", "」", "Python", " ", "a", "!", "ー"])


@given(st.lists(words, max_size=30), st.integers(8, 40))
def test_other_text_is_broken_as_rich_does(said: list[str], width: int) -> None:
    text = " ".join(said)
    rich = [line.plain.rstrip() for line in Text(text).wrap(CONSOLE, width)]
    assert wrapped(text, width).split("\n") == (rich or [""])
    assert type(Flowing.of(Text(text))) is Text


@given(st.lists(wide, max_size=40).map("".join), st.integers(4, 40))
def test_no_line_is_too_wide_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert max(map(cell_len, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", [CHINESE, JAPANESE])
@pytest.mark.parametrize("width", [20, 31, 40, 60])
def test_lines_of_such_text_are_full_and_begin_well(text: str, width: int) -> None:
    *lines, _last = wrapped(text, width).split("\n")
    for line in lines:
        assert cell_len(line) > width - 12  # a Latin word, or what punctuation holds together
        assert not re.match("[、。，）”」]", line)
        assert not re.search("[（“「]$", line)


def test_a_word_that_is_too_long_is_broken_anywhere() -> None:
    assert breaks("aaaaaaa b", 3) == [3, 6]
    assert breaks("b aaaaaaa", 3) == [2, 5, 8]
    assert wrapped("é" * 5, 2) == "éé\néé\né"


def test_styles_stay_where_they_are() -> None:
    text = Text.assemble("我喜欢", ("编程语言", "bold"), "因为它简单易学")
    lines = Flowing.of(text).wrap(CONSOLE, 8)
    bold = "".join(line.plain[span.start : span.end] for line in lines for span in line.spans)
    assert [line.plain.rstrip() for line in lines] == ["我喜欢编", "程语言因", "为它简单", "易学"]
    assert bold == "编程语言"
