"""The documentation as the tests read it: blocks, links and code, each with its line."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, groupby
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_PARSER = MarkdownIt().enable("table")
_SHELLS = {"sh", "bash", "console"}


class Found(NamedTuple):
    """Something on a page: a link's target, a code span, a heading, a comment's words."""

    text: str
    line: int


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is the comment that stands right above it, `line` its first one."""

    info: str
    text: str
    line: int
    mark: str = ""


class Page:
    """A page of the documentation."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if text is None else text
        self._tokens = _PARSER.parse(self.text)

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def at(self, line: int) -> str:
        """Name a place, as a test's message does."""
        return f"{self}:{line}"

    @cached_property
    def parts(self) -> list[Block | Found]:
        """Its fenced blocks and its comments, in order."""
        found: list[Block | Found] = []
        for token in self._tokens:
            line = token.map[0] + 1 if token.map else 0
            if token.type == "fence":
                last = found[-1] if found else None
                is_above = isinstance(last, Found) and last.line + 1 == line
                mark = last.text if isinstance(last, Found) and is_above else ""
                found.append(Block(token.info.strip(), token.content, line + 1, mark))
            elif token.type == "html_block":
                for each in re.finditer(r"<!--\s*(.*?)\s*-->", token.content, re.DOTALL):
                    before = token.content[: each.start()].count("\n")
                    found.append(Found(each[1], line + before))
        return found

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks."""
        return [part for part in self.parts if isinstance(part, Block)]

    @cached_property
    def links(self) -> list[Found]:
        """Where its links and images lead to."""
        return [
            Found(str(token.attrs.get("href", token.attrs.get("src"))), line)
            for token, line in self._inline()
            if token.type in {"link_open", "image"}
        ]

    @cached_property
    def code(self) -> list[Found]:
        """Its code spans."""
        inline = self._inline()
        return [Found(token.content, line) for token, line in inline if token.type == "code_inline"]

    @cached_property
    def anchors(self) -> set[str]:
        """What a link may name behind a #, as forges make it of headings."""
        found: set[str] = set()
        for opening, inside in zip(self._tokens, self._tokens[1:], strict=False):
            if opening.type == "heading_open":
                words = "".join(child.content for child in inside.children or ())
                slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
                numbered = (slug if n == 0 else f"{slug}-{n}" for n in count())
                found.add(next(name for name in numbered if name not in found))
        return found

    def _inline(self) -> Iterator[tuple[Token, int]]:
        for token in self._tokens:
            line = token.map[0] + 1 if token.map else 0
            for child in token.children or ():
                line += child.type in {"softbreak", "hardbreak"}
                yield child, line


def pages() -> list[Page]:
    """Every page there is."""
    return [Page(path) for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]


def shell_lines(block: Block) -> Iterator[Found]:
    """Give the commands of a block for a shell; in one of the kind `console`, those behind "$ "."""
    if block.info not in _SHELLS:
        return
    whole = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        if block.info == "console" and not whole:
            if not line.startswith("$ "):
                continue
            line = line[2:]  # noqa: PLW2901
        whole += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield Found(whole, number)
            whole = ""


def runs_of_chatrepl(line: str) -> Iterator[list[str]]:
    """Give the arguments of each `chatrepl …` in a line for a shell.

    >>> list(runs_of_chatrepl("A=b .venv/bin/chatrepl --json 'a | b' 2> log | chatrepl -q x"))
    [['--json', 'a | b'], ['-q', 'x']]
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.commenters = "#"
    for is_sign, group in groupby(lexer, key=lambda word: bool(re.fullmatch(r"[|&;()]+", word))):
        words = [] if is_sign else list(_unredirected(group))
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words and Path(words[0]).name == "chatrepl":
            yield words[1:]
        elif words[1:3] == ["-m", "chatrepl"]:
            yield words[3:]


def _unredirected(words: Iterator[str]) -> Iterator[str]:
    held: str | None = None
    for word in words:
        if re.fullmatch("[<>]+", word):
            next(words, None)
            held = None if held and held.isdigit() else held
            continue
        if held is not None:
            yield held
        held = word
    if held is not None:
        yield held
