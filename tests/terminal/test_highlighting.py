"""Highlighting code line by line: each line as in the whole, and soon."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from chatrepl.terminal.highlighting import Highlighter, colours_of
from chatrepl.terminal.theme import Theme

CODE = {
    "python": 'def f(x: int) -> str:\n    """Say."""\n    return f"{x}"  # why\n\n',
    "c": '#include <a.h>\nint main(void) {\n    return f("a", 1); /* b */\n}\n\n',
    "javascript": "const f = async (x) => `a ${x}`;\nlet r = /ab+c/g; // b\n",
    "bash": "for f in *.txt; do\n  echo \"$f\" | grep -v 'a'\ndone # b\n",
    "ruby": 'class A\n  def b = "c #{d}"  # e\nend\n',
    "go": 'func f(x int) string {\n\treturn "a" + `b` // c\n}\n',
    "rust": "fn f<'a>(x: &'a str) -> char {\n    'a' // \"b\"\n}\n",
    "sql": "SELECT 'a' AS b -- c\nFROM t WHERE d = 1;\n",
    "css": "a:hover { color: #fff; } /* b */\n@media print { p { margin: 0 } }\n",
    "html": "<p class='a'>b &amp; c</p>\n<!-- d -->\n<br/>\n",
    "json": '{"a": [1, true, "b"]}\n',
    "yaml": "a: |\n  b: c\nd: 'e'  # f\n",
    "haskell": "f :: Int -> String\nf x = show x -- {- a\n",
    "lua": 'local a = "b" -- c\nprint(a)\n',
    "toml": "[a]\nb = 'c' # d\n",
    "diff": "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z\n",
    "": "plain text, ' and \" and `\n",
    "no-such-language": "x = 1 # y\n",
}
"""Code that leaves nothing open for long."""

_TEXT = "some 'words' of a \"text\" # x = 1;\n"

OPEN = {
    "a docstring": ("python", 'x = """\n', _TEXT, '"""\ny = 1\n'),
    "a docstring in a class": ("python", "class A:\n    r'''a\n", "    " + _TEXT, "    '''\n"),
    "a C comment": ("c", "int x; /* a\n", _TEXT, "*/ int y;\n"),
    "a template": ("javascript", "const a = `b\n", "${1 + 1} and 'c'\n", "`;\nlet d;\n"),
    "a comment of JavaScript": ("javascript", "/** a\n", " * @b c\n", " */\nlet d;\n"),
    "a here-document": ("bash", "cat <<EOF\n", "a $b 'c'\n", "EOF\necho d\n"),
    "a here-document of another name": ("bash", "cat <<'ENDE' | sh\n", "a\n", "ENDE\necho d\n"),
    "a string of a shell": ("bash", 'echo "a\n', "b $c 'd'\n", '"\necho e\n'),
    "a comment of Ruby": ("ruby", "=begin\n", _TEXT, "=end\nx = 1\n"),
    "a raw string of Go": ("go", "var a = `b\n", 'c "d" 1\n', "`\nvar e int\n"),
    "a comment in a comment": ("rust", "/* a /* b */\n", _TEXT, "*/ fn c() {}\n"),
    "a string of SQL": ("sql", "SELECT 'a\n", "b -- c\n", "' FROM t;\n"),
    "a comment of CSS": ("css", "/* a\n", "b { c: d }\n", "*/ e { f: g }\n"),
    "a script": ("html", "<script>\n", "let a = '<p>'; /* b */\n", "</script>\n<p>c</p>\n"),
    "a comment of HTML": ("html", "<!-- a\n", "<p>b</p>\n", "-->\n<p>c</p>\n"),
    "a comment of Haskell": ("haskell", "{- a\n", "f x = 1 -- b\n", "-}\ng = 2\n"),
    "a comment of Lua": ("lua", "--[[ a\n", "local b = 'c'\n", "]]\nlocal d\n"),
    "a string of TOML": ("toml", 'a = """\n', "b = 'c'\n", '"""\nd = 1\n'),
    "a block of YAML": ("yaml", "a: |\n", "  b: 'c # d\n", "e: f\n"),
    "brackets": ("json", '{"a": [\n', '  ["b", 1],\n', "]}\n"),
    "text of PHP": ("php", "<?php $a = 1;\n", "echo 'b'; // c\n", "?>\n<p>d</p>\n"),
}
"""Code that begins with something that stays open for many lines."""

Look = list[tuple[str, Style]]


COLOURS = colours_of(Theme().styles)


def look(line: Text) -> Look:
    """Give each character that is not blank, and its style."""
    styles = [Style.null()] * len(line)
    for start, end, style in line.spans:
        assert isinstance(style, Style)
        styles[start:end] = [style] * (end - start)
    return [each for each in zip(line.plain, styles, strict=True) if each[0].strip()]


def at_once(code: str, language: str) -> list[Look]:
    """What rich makes of the whole."""
    text = code.expandtabs(4).rstrip()
    whole = Syntax(text, language, theme=COLOURS).highlight(text)
    return [look(line) for line in whole.split("\n", allow_blank=True)][: text.count("\n") + 1]


def steps(code: str, size: int) -> Iterator[str]:
    lines = code.splitlines(keepends=True)
    for start in range(0, len(lines), size):
        yield "".join(lines[start : start + size])


def grown(code: str, language: str, size: int) -> list[Look]:
    highlighter = Highlighter(language, COLOURS)
    given = [line for piece in steps(code, size) for line in highlighter.add(piece)]
    return [look(line) for line in given + highlighter.rest()]


def most_held_back(code: str, language: str) -> int:
    """How many lines wait at most, of a code that comes line by line."""
    highlighter = Highlighter(language, COLOURS)
    most = waiting = 0
    for line in steps(code, 1):
        waiting += 1 - len(highlighter.add(line))
        most = max(most, waiting)
    return most


@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.parametrize("language", CODE)
def test_plain_code_is_coloured_as_the_whole(language: str, size: int) -> None:
    code = CODE[language] * 12
    assert grown(code, language, size) == at_once(code, language)


@pytest.mark.parametrize("language", CODE)
def test_of_plain_code_little_is_held_back(language: str) -> None:
    assert most_held_back(CODE[language] * 40, language) < 30


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", OPEN)
def test_what_stays_open_for_long_is_coloured_as_the_whole(name: str, size: int) -> None:
    language, opening, line, closing = OPEN[name]
    plain = CODE.get(language, "")
    for code in (
        plain + opening + line * 30 + closing + plain * 5,
        opening + line * 30,
        (opening + line * 15 + closing + plain) * 2,
    ):
        assert grown(code, language, size) == at_once(code, language)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_mixture_of_lines_is_coloured_as_the_whole(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(OPEN)))
    language, opening, line, closing = OPEN[name]
    plain = CODE.get(language, "\n")
    parts = st.sampled_from([opening, line, line * 12, closing, plain, plain * 4, "\n\n", "  \n"])
    code = "".join(data.draw(st.lists(parts, min_size=1, max_size=8)))
    size = data.draw(st.integers(1, 30))
    assert grown(code, language, size) == at_once(code, language) or not code.strip()


def test_blank_lines_at_the_end_are_left_out_and_those_within_are_not() -> None:
    code = "x = 1\n\n\n" * 20
    shown = grown(code, "python", 1)
    assert shown == at_once(code, "python")
    assert len(shown) == 58


@pytest.mark.parametrize("code", ["", "\n", "   \n\n", "\n" * 40])
def test_code_of_blanks_is_an_empty_line(code: str) -> None:
    assert grown(code, "python", 1) == [[]]


@pytest.mark.parametrize("language", ["", "no-such-language", "{.x}", "text"])
def test_a_language_that_nobody_knows_is_text(language: str) -> None:
    highlighter = Highlighter(language, COLOURS)
    code = "x = 'y'\n\tz\n\n"
    lines = [line for _ in range(20) for line in highlighter.add(code)] + highlighter.rest()
    assert [line.plain for line in lines] == (code.expandtabs(4) * 20).rstrip().split("\n")
    assert {style for line in lines for _, style in look(line)} == {Style.null()}


@pytest.mark.parametrize("name", ["a docstring", "a here-document of another name", "brackets"])
def test_a_preview_is_what_is_held_back_and_changes_nothing(name: str) -> None:
    language, opening, line, closing = OPEN[name]
    code = opening + line * 15 + closing + CODE[language] * 5
    highlighter, given, so_far = Highlighter(language, COLOURS), list[Look](), ""
    for piece in steps(code, 1):
        given += map(look, highlighter.add(piece))
        so_far += piece
        shown = given + [look(each) for each in highlighter.preview("x = ")]
        assert shown == at_once(so_far + "x = ", language)
    assert given + [look(each) for each in highlighter.rest()] == at_once(code, language)


def test_a_preview_of_very_much_is_its_end() -> None:
    highlighter = Highlighter("go", COLOURS)
    lines = [f"line {n} of a string that may be none\n" for n in range(500)]
    given = highlighter.add("var a = `\n" + "".join(lines))
    shown = [line.plain for line in highlighter.preview("and")]
    assert given == []
    assert shown[-2:] == [lines[-1].rstrip(), "and"]
    assert 50 < len(shown) < 250


def calls(language: str, code: str) -> int:
    """Count the function calls that it takes: its work, whatever the machine."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    highlighter = Highlighter(language, COLOURS)
    sys.setprofile(called)
    try:
        for piece in steps(code, 2):
            highlighter.add(piece)
        highlighter.rest()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "name",
    ["python", "", "a docstring in a class", "a raw string of Go", "a comment of HTML"],
)
def test_the_work_is_in_proportion_to_the_code(name: str) -> None:
    opening, line = "", CODE.get(name, "")
    language = name
    if name in OPEN:
        language, opening, line, _ = OPEN[name]
    # Four times the code: four times the work, where reading all for each line would be sixteen.
    assert calls(language, opening + line * 160) < 7 * calls(language, opening + line * 40)
