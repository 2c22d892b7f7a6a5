"""Long texts in the prompt: one character stands for each, and is the text when it is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import TransformationInput

from chatrepl.terminal.folds import Folds, ShowWords

LONG = "x" * 2_001


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("short", "short"),
        ("x" * 2_000, "x" * 2_000),
        (LONG, "[pasted 1 line, 2,001 characters]"),
        ("a\n" * 40, "a\n" * 40),
        ("a\n" * 41, "[pasted 41 lines, 82 characters]"),
        ("a\n" * 40 + "b", "[pasted 41 lines, 81 characters]"),
    ],
)
def test_what_is_long_is_folded(text: str, words: str) -> None:
    folds = Folds()
    folded = folds.fold(text)
    assert "".join(map(folds.words, folded)) == words
    assert folds.whole(folded) == text
    assert (len(folded) == 1) == (words.startswith("["))


def test_two_texts_have_two_marks_and_one_text_has_one() -> None:
    folds = Folds()
    one, two = folds.fold(LONG), folds.fold("y" * 2_001)
    assert folds.fold(LONG) == one != two
    assert folds.whole(f"{two} and {one}") == f"{'y' * 2_001} and {LONG}"


def test_the_size_may_be_told_in_tokens() -> None:
    folds = Folds()
    folds.size = lambda text: f"{len(text) // 2:,} tokens"
    assert folds.words(folds.fold(LONG)) == "[pasted 1 line, 1,000 tokens]"


def test_a_character_that_is_no_mark_is_itself() -> None:
    folds = Folds()
    folds.fold(LONG)
    for other in ("a", "\U00100001", "\U0010fffd", ""):
        assert folds.whole(other) == other
    assert folds.words("\U00100001") == "\U00100001"


def test_a_line_that_comes_back_keeps_the_words_around_what_was_pasted() -> None:
    folds = Folds()
    mark = folds.fold(LONG)
    line = f"Why? {mark} Tell me."
    assert folds.fold_line(folds.whole(line)) == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("short", "short"),
        ("head\n" + "x\n" * 41, "head\n[41 lines, 82 characters]"),
        ("x" * 2_001, "x" * 2_001),  # a line that somebody has typed
        ("x" * 20_001, "[1 line, 20,001 characters]"),
        ("\n" + "x" * 2_001, "\n[1 line, 2,001 characters]"),
    ],
)
def test_of_a_long_line_that_comes_back_the_head_is_seen(line: str, shown: str) -> None:
    folds = Folds()
    folded = folds.fold_line(line)
    assert "".join(map(folds.words, folded)) == shown
    assert folds.whole(folded) == line
    assert folds.folded(line) == line, "nobody pasted it"


@given(st.lists(st.one_of(st.text(max_size=30), st.text(min_size=2_001, max_size=2_010))))
def test_whatever_is_folded_comes_back(texts: list[str]) -> None:
    folds = Folds()
    line = "|".join(map(folds.fold, texts))
    assert folds.whole(line) == "|".join(texts)
    assert folds.whole(folds.fold_line("|".join(texts))) == "|".join(texts)


def test_the_words_are_drawn_and_each_place_is_found() -> None:
    folds = Folds()
    line = f"a{folds.fold(LONG)}b"
    words = "[pasted 1 line, 2,001 characters]"
    drawn = ShowWords(folds).apply_transformation(
        TransformationInput(BufferControl(), Document(line), 0, lambda i: i, [("", line)], 80, 24)
    )
    assert "".join(text for _, text, *_ in drawn.fragments) == f"a{words}b"
    there = [drawn.source_to_display(place) for place in range(len(line) + 2)]
    assert there == [0, 1, 1 + len(words), 2 + len(words), 3 + len(words)]
    assert [drawn.display_to_source(place) for place in there[:-1]] == [0, 1, 2, 3]
    assert drawn.display_to_source(5) == 1, "in the midst of the words it is their mark"
