"""Long texts in the prompt: a few words stand for each, and are the text when it is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.terminal.folds import Folds

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
    assert folds.fold(text) == words
    assert folds.whole(words) == text


def test_two_texts_of_one_size_are_told_apart() -> None:
    folds = Folds()
    one, two = folds.fold(LONG), folds.fold("y" * 2_001)
    assert folds.fold(LONG) == one != two
    assert two == "[pasted 1 line, 2,001 characters, no. 2]"
    assert folds.whole(f"{two} and {one}") == f"{'y' * 2_001} and {LONG}"
    assert folds.folded(f"{'y' * 2_001} and {LONG}") == f"{two} and {one}"


def test_the_size_may_be_told_in_tokens() -> None:
    folds = Folds()
    folds.size = lambda text: f"{len(text) // 2:,} tokens"
    assert folds.fold(LONG) == "[pasted 1 line, 1,000 tokens]"


@pytest.mark.parametrize(
    "line", ["", "]", "[pasted 1 line, 2,001 characters", "[pasted 9 lines, 1 characters]", "a[b]"]
)
def test_words_that_stand_for_nothing_are_words(line: str) -> None:
    folds = Folds()
    folds.fold(LONG)
    assert folds.whole(line) == line
    assert folds.before(line) == ""


def test_the_words_before_the_cursor_are_found_whole() -> None:
    folds = Folds()
    words = folds.fold(LONG)
    assert folds.before(f"see {words}") == words
    assert folds.before(f"see {words} ") == ""


@given(st.lists(st.one_of(st.text(max_size=30), st.text(min_size=2_001, max_size=2_010))))
def test_whatever_is_folded_comes_back(texts: list[str]) -> None:
    folds = Folds()
    # What is folded may itself hold words that look like those of a fold.
    line = "|".join(map(folds.fold, texts))
    assert folds.whole(line) == "|".join(texts)
