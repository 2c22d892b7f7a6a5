"""Splitting a growing Markdown text into blocks, and parts of them, that never change again."""

import re
import sys
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatrepl.terminal.blocks import FIRST_ROWS, LONG, Block, BlockSplitter, new_parser
from tests.support.samples import SAMPLES

PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
WORDS = "word " * 200
LINES = "one more line of a paragraph\n" * 30
TABLE = "| n | text |\n|---|---|\n"

in_parts_or_not = pytest.mark.parametrize("in_parts", [True, False])


def split(pieces: list[str], *, in_parts: bool = True) -> list[Block]:
    splitter = BlockSplitter(in_parts=in_parts)
    blocks = [block for piece in pieces for block in splitter.feed(piece)]
    return blocks + splitter.flush()


def cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


# Parts put together again. What differs between a list that is tight and one that is loose, or
# between a space and a line's end in a paragraph, is not to be seen on a terminal.


def whole(blocks: list[Block]) -> list[Block]:
    """Put the parts of each block together."""
    given: list[Block] = []
    for block in blocks:
        if block.begins:
            assert not given or given[-1].ends
            if block.kind == "table_open" and not block.ends:
                header = block.source.splitlines(keepends=True)[:2]
                block = replace(block, source="".join([*header, *rows_of(block)]))  # noqa: PLW2901
            given.append(block)
        else:
            assert not given[-1].ends
            assert block.kind == given[-1].kind
            given[-1] = replace(joined(given[-1], block), ends=block.ends)
    return given


def joined(one: Block, other: Block) -> Block:
    first, more = one.tokens, other.tokens
    match one.kind:
        case "fence":
            code = first[0].copy(content=first[0].content + more[0].content)
            return Block(one.source + after_lines(other.source, 1), [code])
        case "table_open":
            rows = rows_of(other)
            head = next(n for n, token in enumerate(more) if token.type == "tbody_open") + 1
            assert html(more[:head]) == html(first[:head])
            return Block(one.source + "".join(rows), [*first[:-2], *more[head:]])
        case "paragraph_open":
            words = first[1].copy()
            words.children = [*(first[1].children or ()), Token("softbreak", "br", 0)]
            words.children += more[1].children or ()
            return Block(f"{one.source} {other.source[2:]}", [first[0], words, first[2]])
        case _:
            if one.kind == "ordered_list_open":
                assert more[0].attrs["start"] == int(first[0].attrs.get("start", 1)) + items_in(one)
            return Block(one.source + other.source, [*first[:-1], *more[1:]])


def after_lines(text: str, count: int) -> str:
    return "".join(text.splitlines(keepends=True)[count:])


def rows_of(part: Block) -> list[str]:
    """Give the lines of the rows in a part of a table, of which its source may hold more."""
    lines = part.source.splitlines(keepends=True)
    maps = [token.map for token in part.tokens if token.type in {"table_open", "tr_open"}]
    table, _, *rows = [lines_of[0] for lines_of in maps if lines_of is not None]
    below = lines[rows[-1] - table + 1 :] if part.ends else []
    return [*(lines[row - table] for row in rows), *below]


def items_in(part: Block) -> int:
    return sum(token.type == "list_item_open" and token.level == 1 for token in part.tokens)


def html(tokens: list[Token]) -> str:
    for token in tokens:
        token.hidden = False
        for child in token.children or ():
            if child.type == "softbreak":
                child.type, child.content = "text", " "
    return str(PARSER.renderer.render(tokens, PARSER.options, {}))


def assert_same_html(blocks: list[Block], text: str, parser: MarkdownIt = PARSER) -> None:
    assert "".join(html(block.tokens) for block in whole(blocks)) == html(parser.parse(text))


def sources(blocks: list[Block]) -> list[str]:
    """Give the Markdown of whole blocks; that of a paragraph on one line."""
    return [
        block.source.replace("\n", " ") if block.kind == "paragraph_open" else block.source
        for block in whole(blocks)
    ]


@in_parts_or_not
@pytest.mark.parametrize("name", SAMPLES)
def test_the_blocks_are_the_text(name: str, in_parts: bool) -> None:
    text = SAMPLES[name]
    source = "".join(block.source for block in whole(split([text], in_parts=in_parts)))
    # Only blank lines and link definitions between blocks belong to none.
    assert lines_with_something(source) == lines_with_something(text)


def lines_with_something(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip() and not line.startswith("[ref]: ")]


@in_parts_or_not
@pytest.mark.parametrize("name", SAMPLES)
def test_the_blocks_tokens_are_those_of_the_whole_text(name: str, in_parts: bool) -> None:
    assert_same_html(split(cut(SAMPLES[name], 3), in_parts=in_parts), SAMPLES[name])


@pytest.mark.parametrize("size", [1, 2, 7, 64])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_size_of_the_pieces_does_not_matter(name: str, size: int) -> None:
    text = SAMPLES[name]
    expected = [block.source for block in split([text], in_parts=False)]
    assert [block.source for block in split(cut(text, size), in_parts=False)] == expected
    assert [block.source for block in whole(split(cut(text, size)))] == expected


@given(st.data())
def test_any_split_of_any_mixture_gives_the_same_blocks(data: st.DataObject) -> None:
    text = "\n".join(data.draw(st.lists(st.sampled_from(list(SAMPLES.values())), max_size=4)))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert sources(split(pieces)) == sources(split([text], in_parts=False))


@in_parts_or_not
@given(text=st.text(st.sampled_from("#*-_>`~|=:1. \t\n[]()<!ab\\&;"), max_size=60))
def test_any_text_at_all_is_rendered_as_if_it_had_come_at_once(text: str, in_parts: bool) -> None:
    assume("]:" not in text)  # a definition may name a link above it
    assert_same_html(split(cut(text, 1), in_parts=in_parts), text)


@in_parts_or_not
@pytest.mark.parametrize(
    "finished",
    [
        "A paragraph.\n\n",
        "# A heading\n",
        "- a\n- b\n\n",
        "```py\nx = 1\n\n```\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
        "> quote\n\n",
        "```x``` is inline code.\n\n",
        "1. ```sh\n   ls\n   ```\n2. next\n\n",
        "- item\n  ```sh\n  ls\n  ```\n\n",
    ],
)
def test_a_block_is_given_out_soon_after_the_next_has_begun(finished: str, in_parts: bool) -> None:
    splitter = BlockSplitter(in_parts=in_parts)
    # A part that is the last one of its block waits for a few words more.
    after = "".join(f"Paragraph {n} comes later.\n\n" for n in range(12 if in_parts else 6))
    blocks = [block for piece in cut(finished + after, 5) for block in splitter.feed(piece)]
    assert blocks
    first = whole(blocks)[0]
    assert (first.source, first.ends) == (finished, True)


def test_a_fence_stays_open_whatever_it_holds() -> None:
    code = "```md\n# Title\n\n- list\n\n``\n  ~~~\ntext\n\n"
    splitter = BlockSplitter(in_parts=False)
    assert splitter.feed(code) == []
    assert splitter.open == code
    splitter = BlockSplitter()
    (part,) = whole([part for piece in cut(code, 4) for part in splitter.feed(piece)])
    assert (part.source, part.kind, part.ends) == (code, "fence", False)
    assert splitter.open == "```md\n"


def test_a_definition_serves_the_links_that_come_after_it() -> None:
    blocks = split(cut("[a]: http://example.com\n\nFirst.\n\nSee [a].\n", 2))
    assert 'href="http://example.com"' in html(blocks[-1].tokens)


# What is open, to be shown for now.


@in_parts_or_not
@pytest.mark.parametrize(
    ("head", "line"),
    [("```py\n", "x = 1\n"), ("~~~\n", "```\n"), ("| n |\n|---|\n", "| 1 |\n"), ("", "- a\n")],
)
def test_what_is_open_of_a_long_block_is_short_and_of_the_same_kind(
    head: str, line: str, in_parts: bool
) -> None:
    splitter = BlockSplitter(in_parts=in_parts)
    given = splitter.feed(head + line * 500)
    tail = splitter.open_block(lines=20, width=80)
    assert tail is not None
    assert tail.source.count("\n") <= (22 if not in_parts else 60)
    assert (tail.begins, tail.ends) == (not in_parts, False)
    kind = PARSER.parse(head + line)[0].type
    if kind == "fence" or in_parts:
        assert tail.kind == kind
    if in_parts:
        assert whole([*given, tail])[0].source == head + line * 500
    else:
        assert line in tail.source


@in_parts_or_not
def test_what_is_open_of_a_fence_with_long_lines_is_still_code(in_parts: bool) -> None:
    splitter = BlockSplitter(in_parts=in_parts)
    splitter.feed("```py\n" + ("x = " + "1 + " * 100 + "1\n") * 60 + "y = ")
    tail = splitter.open_block(lines=20, width=80)
    assert tail is not None
    assert tail.kind == "fence"
    assert tail.tokens[0].content.endswith("y = ")


def test_looking_at_what_is_open_changes_nothing() -> None:
    text = "".join(SAMPLES.values())
    splitter = BlockSplitter()
    blocks = []
    for piece in cut(text, 40):
        blocks += splitter.feed(piece)
        splitter.open_block(lines=5, width=40)
    assert sources(blocks + splitter.flush()) == sources(split([text]))


def test_nothing_is_open_before_anything_has_come_or_but_blanks() -> None:
    splitter = BlockSplitter()
    assert splitter.open_block(lines=5, width=40) is None
    splitter.feed(" \n\n")
    assert splitter.open_block(lines=5, width=40) is None


# Parts.

LONG_BLOCKS = {
    "a fence": ("```py\n", "x = 1\n"),
    "a list": ("", "- an item\n"),
    "a loose list": ("", "- an item\n\n"),
    "a list with lists": ("", "- an item\n  - of *two*\n  - or three\n"),
    "a numbered list": ("", "1. an item\n"),
    "a table": ("| n |\n|---|\n", "| 1 |\n"),
    "a paragraph": ("", "one more line of a paragraph\n"),
    "a line": ("", "one more *word* of `a` line, "),
    "paragraphs": ("", "Another paragraph.\n\n"),
}


@pytest.mark.parametrize("name", LONG_BLOCKS)
def test_a_long_block_comes_in_parts_and_little_is_held_back(name: str) -> None:
    head, line = LONG_BLOCKS[name]
    text = head + line * 400
    splitter = BlockSplitter()
    blocks = []
    for piece in cut(text, 10):
        blocks += splitter.feed(piece)
        assert len(splitter.open) < 2 * LONG
    assert len(blocks) > 10
    blocks += splitter.flush()
    if name != "paragraphs":
        assert len(whole(blocks)) == 1
    assert_same_html(blocks, text)


@pytest.mark.parametrize("first", [0, 1, 8, 95])
def test_the_items_of_a_list_are_numbered_as_in_the_whole(first: int) -> None:
    text = "".join(f"{n}. item\n" for n in range(first, first + 60))
    parts = split(cut(text, 6))
    assert len(parts) > 3
    for part in parts:
        number = re.match(r"\d+", part.source)
        assert number is not None
        assert int(part.tokens[0].attrs.get("start", 1)) == int(number[0])
    assert [part.begins for part in parts] == [True, *[False] * (len(parts) - 1)]
    assert [part.ends for part in parts] == [*[False] * (len(parts) - 1), True]


def test_a_list_after_a_divided_one_has_its_own_numbers() -> None:
    text = "1. a\n" * 60 + "\n7) b\n8) c\n\nText.\n"
    first, second, _ = whole(split(cut(text, 9)))
    assert (first.tokens[0].attrs.get("start", 1), items_in(first)) == (1, 60)
    assert (second.tokens[0].attrs["start"], items_in(second)) == (7, 2)
    assert_same_html(split(cut(text, 9)), text)


@pytest.mark.parametrize("size", [1, 9, 10_000])
def test_a_table_waits_for_its_first_rows_and_has_its_header_again(size: int) -> None:
    rows = [f"| {n} | row |\n" for n in range(3 * FIRST_ROWS)]
    splitter = BlockSplitter()
    assert splitter.feed(TABLE + "".join(rows[: FIRST_ROWS - 1])) == []
    parts = split(cut(TABLE + "".join(rows), size))
    assert rows_of(parts[0]) == rows[:FIRST_ROWS]
    assert len(parts) > 2
    assert [row for part in parts for row in rows_of(part)] == rows
    for part in parts:
        assert part.source.startswith(TABLE)
        assert part.tokens[1].type == "thead_open"


def test_a_fence_gives_each_line_as_it_ends() -> None:
    splitter = BlockSplitter()
    splitter.feed("```py\nfirst\n")
    for line in ("a\n", "\n", "    ``\n", "~~~\n", "b\n"):
        assert splitter.feed(line[:-1]) == []
        tail = splitter.open_block(lines=5, width=40)
        assert tail is not None
        assert tail.tokens[0].content.rstrip("\n") == line[:-1]
        (part,) = splitter.feed("\n")
        assert (part.tokens[0].content, part.begins, part.ends) == (line, False, False)
    (end, *_) = split(["```\nx\n", "y\n```\n\nText.\n\nMore.\n"])[1:]
    assert (end.tokens[0].content, end.begins, end.ends) == ("y\n", False, True)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("**", "**"),
        ("*", "*"),
        ("_", "_"),
        ("__", "__"),
        ("~~", "~~"),
        ("`", "`"),
        ("``", "``"),
        ("[", "](/x)"),
        ("[", "]"),
        ("**a [b](c) `", "`**"),
    ],
)
def test_what_may_still_become_markup_is_held_back(opening: str, closing: str) -> None:
    splitter = BlockSplitter()
    text = f"{WORDS}{opening}{WORDS.strip()}"
    before = splitter.feed(text)
    assert before, "the words before it are final"
    assert opening not in "".join(part.source for part in before)
    after = splitter.feed(f"{closing} {WORDS}")
    assert opening in "".join(part.source for part in after)
    text += f"{closing} {WORDS}"
    assert_same_html(before + after + splitter.flush(), text)


@pytest.mark.parametrize(
    "text",
    [
        f"**{WORDS}",
        f"[{WORDS}",
        f"![{WORDS}",
        f"![alt](/x) {WORDS}",
        f"`{LINES}",
        f'[label]: /x "{LINES}',
        f"[label]: /x '{WORDS}",
        f"  [text]{WORDS}",
        "long" * 500,
        f"a\t{WORDS}",
    ],
)
def test_a_paragraph_is_not_divided_where_its_beginning_may_change(text: str) -> None:
    splitter = BlockSplitter()
    assert [part for piece in cut(text, 50) for part in splitter.feed(piece)] == []
    assert splitter.open == text


def test_a_title_of_many_lines_ends_a_definition_and_the_links_below_have_it() -> None:
    text = f'[a]: /x "{LINES}end"\n\nSee [a].\n'
    assert_same_html(split(cut(text, 30)), text)


@pytest.mark.parametrize("last", ["a | b", "| a | b |", "`a | b`", "x | a"])
def test_a_line_that_a_row_may_follow_is_held_back(last: str) -> None:
    splitter = BlockSplitter()
    text = f"{LINES}{last}\n"
    before = splitter.feed(text)
    assert before
    assert last not in "".join(part.source for part in before)
    rest = "---|---\n1 | 2\n\nText.\n"
    blocks = before + splitter.feed(rest) + splitter.flush()
    assert [block.kind for block in whole(blocks)][1:] == ["table_open", "paragraph_open"]
    assert_same_html(blocks, text + rest)


@pytest.mark.parametrize("size", [1, 13, 10_000])
@pytest.mark.parametrize(
    ("length", "below", "kind"),
    [
        (LONG, "===", "heading_open"),
        (LONG + 1, "===", "paragraph_open"),
        (LONG, "---", "heading_open"),
        (LONG, "---|---", "table_open"),
        (LONG + 1, "---|---", "paragraph_open"),
    ],
)
def test_from_some_length_on_a_text_is_a_paragraph(
    length: int, below: str, kind: str, size: int
) -> None:
    line = ("a | " + WORDS)[: length - 1] + "b"
    text = f"{line}\n{below}\n\nText.\n"
    assert whole(split(cut(text, size)))[0].kind == kind
    assert_same_html(split(cut(text, size)), text, new_parser())


def test_a_rule_below_a_long_paragraph_is_a_rule_however_it_comes() -> None:
    text = f"{WORDS.strip()}\n---\nText.\n"
    kinds = [
        [block.kind for block in whole(split(cut(text, size)))] for size in (1, 13, 999, 10_000)
    ]
    assert kinds == [["paragraph_open", "hr", "paragraph_open"]] * 4


def calls(text: str) -> int:
    """Count the function calls that splitting a text takes: its work, whatever the machine."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    pieces = cut(text, 10)
    sys.setprofile(called)
    try:
        split(pieces)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", LONG_BLOCKS)
def test_the_work_is_in_proportion_to_the_text(name: str) -> None:
    # Four times the text: four times the work, where parsing anew for each line would be sixteen.
    head, line = LONG_BLOCKS[name]
    assert calls(head + line * 400) < 6 * calls(head + line * 100)
