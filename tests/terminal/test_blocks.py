"""Splitting a growing Markdown text into blocks that never change again."""

import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatrepl.terminal.blocks import Block, BlockSplitter
from tests.support.samples import SAMPLES

PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


def split(pieces: list[str]) -> list[Block]:
    splitter = BlockSplitter()
    blocks = [block for piece in pieces for block in splitter.feed(piece)]
    return blocks + splitter.flush()


def html(text: str) -> str:
    return str(PARSER.render(text))


def cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_blocks_are_the_text(name: str) -> None:
    text = SAMPLES[name]
    sources = "".join(block.source for block in split([text]))
    # Only blank lines and link definitions before the first block belong to none.
    assert text.endswith(sources)
    assert not text.removesuffix(sources).strip()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_blocks_tokens_are_those_of_the_whole_text(name: str) -> None:
    text = SAMPLES[name]
    blocks = split(cut(text, 3))
    assert "".join(PARSER.renderer.render(b.tokens, PARSER.options, {}) for b in blocks) == html(
        text
    )


@pytest.mark.parametrize("size", [1, 2, 7, 64])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_size_of_the_pieces_does_not_matter(name: str, size: int) -> None:
    text = SAMPLES[name]
    expected = [block.source for block in split([text])]
    assert [block.source for block in split(cut(text, size))] == expected


@given(st.data())
def test_any_split_of_any_mixture_gives_the_same_blocks(data: st.DataObject) -> None:
    text = "\n".join(data.draw(st.lists(st.sampled_from(list(SAMPLES.values())), max_size=4)))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [block.source for block in split(pieces)] == [block.source for block in split([text])]


@given(st.text(st.sampled_from("#*-_>`~|=:1. \t\n[]()<!ab\\&;"), max_size=60))
def test_any_text_at_all_is_rendered_as_if_it_had_come_at_once(text: str) -> None:
    assume("]:" not in text)  # a definition may name a link above it
    blocks = split(cut(text, 1))
    rendered = "".join(PARSER.renderer.render(b.tokens, PARSER.options, {}) for b in blocks)
    assert rendered == html(text)


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
def test_a_block_is_given_out_soon_after_the_next_has_begun(finished: str) -> None:
    splitter = BlockSplitter()
    after = "".join(f"Paragraph {n} comes later.\n\n" for n in range(6))
    blocks = [block for piece in cut(finished + after, 5) for block in splitter.feed(piece)]
    assert blocks
    assert blocks[0].source == finished


def test_a_fence_stays_open_whatever_it_holds() -> None:
    splitter = BlockSplitter()
    code = "```md\n# Title\n\n- list\n\n``\n  ~~~\ntext\n\n"
    assert splitter.feed(code) == []
    assert splitter.open == code


def test_a_definition_serves_the_links_that_come_after_it() -> None:
    blocks = split(cut("[a]: http://example.com\n\nFirst.\n\nSee [a].\n", 2))
    assert 'href="http://example.com"' in PARSER.renderer.render(
        blocks[-1].tokens, PARSER.options, {}
    )


@pytest.mark.parametrize(
    ("head", "line"),
    [("```py\n", "x = 1\n"), ("~~~\n", "```\n"), ("| n |\n|---|\n", "| 1 |\n"), ("", "- a\n")],
)
def test_the_tail_of_a_long_block_is_short_and_of_the_same_kind(head: str, line: str) -> None:
    splitter = BlockSplitter()
    splitter.feed(head + line * 500)
    tail = splitter.tail(lines=20, width=80)
    assert tail.count("\n") <= 22
    kind = PARSER.parse(head + line)[0].type
    if kind == "fence":
        assert PARSER.parse(tail)[0].type == kind
    assert line in tail


def test_the_tail_of_a_fence_with_long_lines_is_still_code() -> None:
    splitter = BlockSplitter()
    splitter.feed("```py\n" + ("x = " + "1 + " * 100 + "1\n") * 60)
    assert PARSER.parse(splitter.tail(lines=20, width=80))[0].type == "fence"


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


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("```py\n", "x = 1\n"),
        ("", "- an item\n"),
        ("| n |\n|---|\n", "| 1 |\n"),
        ("", "one more line of a paragraph\n"),
        ("", "Another paragraph.\n\n"),
    ],
)
def test_the_work_is_in_proportion_to_the_text(head: str, line: str) -> None:
    # Four times the text: four times the work, where parsing anew for each line would be sixteen.
    assert calls(head + line * 800) < 6 * calls(head + line * 200)
