"""Markdown as it is written, as it is generated, and as the CommonMark specification has it."""

import json
import textwrap
from pathlib import Path

from hypothesis import strategies as st

from tests.support.papers import PARSER

ROOT = Path(__file__).parent.parent.parent

REAL = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for file in [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "docs/faults.md")),
        *(ROOT / "docs/architecture.md", *sorted(ROOT.glob("docs/decisions/*.md"))),
    ]
}
"""This repository's own documents, by name: some of each kind."""

COMMONMARK: list[str] = json.loads(
    Path(__file__).with_name("commonmark.json").read_text(encoding="utf-8")
)["examples"]
"""The examples of the CommonMark specification, in its order: its example 1 stands first."""


def names_what_is_defined_later(text: str) -> bool:
    """Tell whether a link's definition stands below its use, where a streamed reply can't know it.

    >>> names_what_is_defined_later("[a]: /x\\n\\nSee [a].")
    False
    >>> names_what_is_defined_later("See [a].\\n\\n[a]: /x")
    True
    """
    known: dict[str, dict[str, dict[str, object]]] = {}
    PARSER.parse(text, known)
    lines = text.split("\n")
    for definition in known.get("references", {}).values():
        place = definition["map"]
        assert isinstance(place, list)
        above = "\n".join(lines[: place[0]])
        if PARSER.render(above) != PARSER.render(above, {"references": known["references"]}):
            return True
    return False


# What is generated. A strategy draws a text of lines without a newline at its end.

Texts = st.SearchStrategy[str]

_PLAIN = """
the a model answers with several words and longer-ones snake_case 2*3*4 end. 100% don't
http://example.com/a_b?c=d&e List<String> a<b>c <kbd>Ctrl</kbd> &amp; &lt; \\* 1. - # > | ~
"""
_WIDE = """
東京は日本の首都です 人口は約千四百万人で、 한국어 naïve e\u0301te\u0301 q\u0303\u0302 👍 🎉🎉
❤\ufe0f 👩🏽\u200d💻 👨\u200d👩\u200d👧\u200d👦 words
"""
_LONG = ["https://example.com/" + "path/" * 12, "世界最大級の都市圏" * 12, "🎉" * 50]
_UNCLOSED = ["*", "**", "_", "__", "`", "``", "~~", "[", "![", "[text](", "<", "***", "\\"]
_MARKUP = [
    "*{}*",
    "**{}**",
    "***{}***",
    "_{}_",
    "`{}`",
    "`` {} ``",
    "~~{}~~",
    "[{}](http://example.com/x 'title')",
    "[{}](</a b>)",
    "![{}](picture.png)",
    "<http://example.com/{}>",
    "**{}",
    "`{}",
    "*{}**",
]
_SPACES = [" "] * 12 + ["\n"] * 3 + ["  \n", "\\\n", "  "]


def _some_of(words: str) -> Texts:
    return st.lists(st.sampled_from(words.split()), min_size=1, max_size=6).map(" ".join)


_words = _some_of(_PLAIN) | _some_of(_PLAIN) | _some_of(_WIDE)
_bits: Texts = st.one_of(
    *[_words] * 8,
    st.sampled_from(_LONG),
    *[st.builds(str.format, st.sampled_from(_MARKUP), _words)] * 5,
    *[st.sampled_from(_UNCLOSED)] * 2,
)


@st.composite
def _inline(draw: st.DrawFn, most: int = 4) -> str:
    text = draw(_bits)
    for _ in range(draw(st.integers(0, most - 1))):
        text += draw(st.sampled_from(_SPACES)) + draw(_bits)
    return text


_line = _inline(3).map(lambda text: " ".join(text.split()))
_cell = _words.map(lambda text: text.replace("|", "\\|")) | _bits
_paragraph = st.one_of(
    _inline(), _inline(), _inline(12), _inline(2).map(lambda text: f"{text} " * 12)
)


@st.composite
def _heading(draw: st.DrawFn) -> str:
    text = draw(_line)
    level = draw(st.integers(1, 8))
    return f"{text}\n{'=-'[level - 7] * 4}" if level > 6 else f"{'#' * level} {text}"


FENCES = {
    "python": ['x = """a', 'b""" + c', "def f(x):", "    return x  # why", "'''", "\\", "s = f'{x"],
    "c": ["/* a", "b */ int x;", '"a string', "#define A \\", "  A(1)", "// c"],
    "html": ["<!-- a", "b --> <p", "class='x'>", "<script>", "let x = `a", "</script>", "&amp;"],
    "javascript": ["let x = `a ${", "b}`;", "/* c", "d */", "'e", "return x"],
    "sh": ["cat <<END", "$x 'a", "b' \"c", "END", "ls | grep x \\", "# d"],
    "json": ['{"a": [1,', '"b", null', "}", '"open', "]"],
    "diff": ["--- a", "+++ b", "@@ -1 +1 @@", "-x", "+y", " z"],
    "pycon": [">>> f('''", "... a", "... ''')", "'a'", "Traceback (most recent call last):"],
    "yaml": ["a: |", "  b: c", "- 'd", "  e'", "# f"],
    "sql": ["SELECT 'a", "b' FROM t; -- c", "/* d", "*/"],
    "css": ["a { /* b", "*/ color: red", "}", "@media x {"],
    "markdown": ["# No heading", "- no list", "``", "~~~~", "`` ``` ``", "> x"],
    "": ["plain", "a " * 60, "\t| tab", "東京 = 'x'", "👩🏽‍💻"],
    "no-such-language": ["x = 1", "", "    "],
}
"""Lines of code by their language, with strings and comments that stay open."""
_rows_of_code = {
    language: st.lists(st.sampled_from([*lines, "", "  " + lines[0]]), max_size=12)
    for language, lines in FENCES.items()
}


@st.composite
def _fence(draw: st.DrawFn) -> str:
    language = draw(st.sampled_from(list(FENCES)))
    mark = draw(st.sampled_from(["```", "```", "~~~~", "`````"]))
    lines = draw(_rows_of_code[language]) * draw(st.sampled_from([1, 1, 1, 5]))
    closing = [] if draw(st.integers(0, 9)) == 0 else [mark]
    return "\n".join([mark + language, *lines, *closing])


_indented = st.lists(st.sampled_from(["x = 1", "    y = '", "", "# z"]), min_size=1).map(
    lambda lines: "\n".join("    " + line for line in ["first", *lines])
)


@st.composite
def _table(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 5))
    cells = draw(st.lists(_cell, min_size=1, max_size=6))
    rule = draw(st.lists(st.sampled_from(["---", ":--", "--:", ":-:"]), min_size=5, max_size=5))
    ragged = draw(st.lists(st.integers(1, columns + 1), min_size=1, max_size=4)) + [columns] * 4
    rows = [
        [cells[(row * 3 + n * 2) % len(cells)] for n in range(ragged[row % len(ragged)])]
        for row in range(draw(st.one_of(st.integers(0, 6), st.integers(0, 100))))
    ]
    numbered = [[str(number), *row[1:]] for number, row in enumerate(rows)]
    lines = [[f"h{n}" for n in range(columns)], rule[:columns], *numbered]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_KINDS_OF_LIST = ["-", "*", "+", "1.", "1)", "0.", "7.", "8.", "95.", "998)"]


def _listed(marker: str, items: list[str], loose: list[bool]) -> str:
    lines: list[str] = []
    for number, text in enumerate(items):
        numbered = marker[0].isdigit()
        mark = f"{int(marker[:-1]) + number}{marker[-1]} " if numbered else f"{marker} "
        body = textwrap.indent(text, " " * len(mark))
        lines.append(mark + body[len(mark) :] + "\n" * loose[number % len(loose)])
    return "\n".join(lines).rstrip("\n")


def _lists(items: Texts) -> Texts:
    loose = st.sampled_from([[False], [False], [True], [False, True], [False, False, False, True]])
    some = st.lists(items, min_size=1, max_size=5)
    many = st.lists(items, min_size=1, max_size=3).map(lambda texts: texts * 6)
    return st.builds(_listed, st.sampled_from(_KINDS_OF_LIST), some | some | many, loose)


def _quotes(inner: Texts) -> Texts:
    def quoted(text: str, lazy: bool) -> str:
        first, *lines = text.split("\n")
        return "\n".join(["> " + first, *(lines if lazy else [f"> {line}" for line in lines])])

    return st.builds(quoted, inner, st.sampled_from([False, False, True]))


def _defined(label: str) -> str:
    return f"[{label}]: http://example.com/{label}\n\nSee [{label}] and [this][{label}]."


_odds_and_ends = st.one_of(
    st.sampled_from(["---", "***", "<div>\n*a*\n</div>", "<!-- a\n\nb -->", "#", ">", "-"]),
    st.sampled_from(["ref", "Other one"]).map(_defined),
    _indented,
)
_leaves = st.one_of(_paragraph, _heading(), _fence(), _table(), _odds_and_ends)


def _nested(inner: Texts) -> Texts:
    several = st.lists(inner, min_size=1, max_size=3).map("\n\n".join)
    more = st.builds("{}\n{}".format, _line, inner)
    return st.one_of(_lists(_line), _lists(more), _lists(several), _quotes(several))


_nestings = st.recursive(_leaves, _nested, max_leaves=3)
_GAPS = st.sampled_from(["\n\n", "\n\n", "\n", "\n\n\n"])
_BLOCKS: list[Texts] = [
    _paragraph,
    _heading(),
    _fence(),
    _table(),
    _lists(_line),
    _nestings,
    _odds_and_ends,
]


@st.composite
def documents(draw: st.DrawFn, most: int = 4) -> str:
    """A document of a few blocks of all kinds."""
    kinds = draw(st.permutations(_BLOCKS * 2))[: draw(st.integers(2, most))]
    blocks = [draw(kind) + draw(_GAPS) for kind in kinds]
    return "".join(blocks).rstrip("\n") + draw(st.sampled_from(["\n", "", "\n\n"]))


@st.composite
def cuts(draw: st.DrawFn, most: int = 8) -> list[float]:
    """Where a text is cut into pieces: parts of its length, in their order."""
    return sorted(draw(st.lists(st.floats(0, 1), min_size=1, max_size=most)))


def cut(text: str, places: list[float]) -> list[str]:
    """Cut a text into pieces; none is lost.

    >>> cut("abcdefghij", [0.25, 0.5])
    ['ab', 'cde', 'fghij']
    """
    ends = [round(len(text) * place) for place in places]
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
