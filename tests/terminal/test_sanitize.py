"""What the sanitiser takes out and what it leaves, whole and in pieces."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.terminal.sanitize import Sanitizer, clean

# Everything that begins, continues or ends a control sequence, and some ordinary text.
ALPHABET = (
    "\x00\x07\x08\n\r\t\x0b\x0c\x18\x1a\x1b\x7f\x80\x85\x90\x98\x9b\x9c\x9d\x9e\x9f"
    "[]PX^_\\;:?0123456789 !#/@mhJHcM~ab é漢👍\u200d\u2028"
)
# What no sequence is needed for: bidi overrides and isolates, tag characters.
INVISIBLE = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\U000e0001\U000e0041\U000e007f"
ALPHABET += INVISIBLE
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=80)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b[?25lhidden", "hidden"),
        ("\x1b[38;2;1;2;3mcolour", "colour"),
        ("\x1b[1 qcursor", "cursor"),
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]52;c;c2VjcmV0\x1b\\a", "a"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0\x1b\\a", "a"),
        ("\x1b_application\x9ca", "a"),
        ("\x1b^private\x07a", "a"),
        ("\x1bXstring\x1b\\a", "a"),
        ("\x1bca", "a"),
        ("\x1b(0a", "a"),
        ("\x1b#8a", "a"),
        ("\x9b31ma", "a"),
        ("\x9d0;title\x9ca", "a"),
        ("\x90q\x9ca", "a"),
        ("a\x00b\x07c\x08d\x0be\x0cf\x7fg", "abcdefg"),
        ("over\rwritten\r\n", "overwritten\n"),
        ("a\x80b\x84c\x85d\x9fe", "abcde"),
        ("user\u202etxt.exe\u202c", "usertxt.exe"),
        ("\u202aa\u202bb\u202dc\u2066d\u2067e\u2068f\u2069", "abcdef"),
        ("a\U000e0001\U000e0041\U000e007fb", "ab"),
        ("a\x1b", "a"),
        ("a\x1b[", "a"),
        ("\x1b\x1b[31mtwo", "two"),
    ],
)
def test_what_steers_a_terminal_is_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain\nlines\tand tabs\n",
        "[31m and ]0;title are only text without ESC",
        "Grüße, Ελλάδα, мир, 漢字, かな, 한국어",
        "עברית and العربية turn round by themselves",
        "👍🏽 👩‍👩‍👧‍👦 🇵🇪 ❤️ ½ …",
        "no\u00a0break, soft\u00adhyphen, zero\u200bwidth, mark\u200f, e\u0301",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("opening", ["\x1b]", "\x1bP", "\x9d", "\x1b["])
def test_an_unfinished_sequence_does_not_swallow_the_lines_after_it(opening: str) -> None:
    assert clean(f"{opening}0;1\nnext line\n").endswith("\nnext line\n")


@pytest.mark.parametrize("opening", ["\x1b]", "\x9d", "\x1b[", "\x1b("])
def test_a_text_is_not_held_back_for_ever_in_wait_for_an_end(opening: str) -> None:
    sanitizer = Sanitizer()
    sanitizer.feed(opening)
    assert "9" in "".join(sanitizer.feed("9" * 100) for _ in range(100))


@given(TEXTS)
def test_no_control_character_but_newline_and_tab_gets_through(text: str) -> None:
    shown = clean(text)
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not set(shown) & set(INVISIBLE)


@given(st.lists(TEXTS, max_size=8))
def test_any_split_into_pieces_gives_the_same(pieces: list[str]) -> None:
    sanitizer = Sanitizer()
    shown = "".join([*map(sanitizer.feed, pieces), sanitizer.flush()])
    assert shown == clean("".join(pieces))


@pytest.mark.parametrize("opening", [*(f"\x1b{c}" for c in "]PX^_"), *"\x90\x98\x9d\x9e\x9f"])
@pytest.mark.parametrize("end", ["\x07", "\x1b\\", "\x9c"])
def test_a_control_string_is_taken_out_wherever_it_is_split(opening: str, end: str) -> None:
    text = f"a{opening}52;c;YWJj{end}b"
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            sanitizer = Sanitizer()
            pieces = text[:first], text[first:second], text[second:]
            assert "".join([*map(sanitizer.feed, pieces), sanitizer.flush()]) == "ab"


@given(TEXTS)
def test_what_has_been_cleaned_stays_as_it_is(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("length", [4094, 4095, 4096, 4097, 4098])
@pytest.mark.parametrize("cut", [1, 2, 4000, 4097, 4098, 4099])
def test_a_very_long_control_string_may_be_split_anywhere(length: int, cut: int) -> None:
    text = "\x1b]" + "a" * length + "\x07b"
    sanitizer = Sanitizer()
    shown = sanitizer.feed(text[:cut]) + sanitizer.feed(text[cut:]) + sanitizer.flush()
    assert shown == clean(text)
    assert shown in {"b", "a" * length + "b"}
