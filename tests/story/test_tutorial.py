"""docs/tutorial.md, followed word by word: its shell lines are run, its chat is typed.

Blocks of the kind `console` are lines for the shell; the last line before a block of the kind
`chat` starts the program, into which that and the next ones are typed. A block of the kind `text`
must then be seen, `…` being anything. What stands under `<!-- file: NAME -->` is saved.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from tests.support.pages import ROOT, Block, Page, shell_lines
from tests.support.program import KEYS, Terminal, environment

PAGE = Page(ROOT / "docs" / "tutorial.md")
SLOW = 120.0  # seconds: a model on a busy machine


class Step(NamedTuple):
    kind: str  # shell, start, say, press, see or save
    text: str
    line: int
    name: str = ""


def steps() -> Iterator[Step]:
    """Give what the page tells people to do, and what they are told to see."""
    blocks = PAGE.blocks
    for block, after in zip(blocks, [*blocks[1:], Block("", "", 0)], strict=True):
        if block.mark == "by hand":
            continue
        if block.mark.startswith("file: "):
            yield Step("save", block.text, block.line, block.mark.removeprefix("file: "))
        elif block.info == "console":
            lines = list(shell_lines(block))
            for line in lines:
                starts = after.info == "chat" and line == lines[-1]
                yield Step("start" if starts else "shell", line.text, line.line)
        elif block.info in {"chat", "text"}:
            for number, text in enumerate(block.text.splitlines(), block.line):
                is_key = text.lower() in KEYS and block.info == "chat"
                kind = "see" if block.info == "text" else "press" if is_key else "say"
                yield Step(kind, text, number)
        else:
            raise AssertionError(f"{PAGE.at(block.line)}: what is a block of '{block.info}'?")


STEPS = list(steps())


class Shell(Terminal):
    """A line for the shell, run on a terminal as people do."""

    command: ClassVar[list[str]] = ["bash", "-o", "pipefail", "-c"]


class Reader:
    """Somebody who follows the page, in a folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.terminal: Terminal | None = None
        self.written = ""  # by the last line for the shell
        self.last = ""  # typed in the chat
        bin_ = home / "bin"
        bin_.mkdir()
        (bin_ / "chatrepl").write_text(f'#!/bin/sh\nexec {sys.executable} -m chatrepl "$@"\n')
        (bin_ / "chatrepl").chmod(0o700)
        self.path = f"{bin_}:{environment(home)['PATH']}"

    @property
    def chat(self) -> Terminal:
        assert self.terminal is not None, "no chat has been started"
        return self.terminal

    def follow(self, step: Step, then: Step | None) -> None:
        """Do one step; before a key is pressed, the prompt need not be empty."""
        match step.kind:
            case "save":
                (self.home / step.name).write_text(step.text)
            case "shell":
                self.shell(step.text)
            case "start":
                arguments = shlex.split(step.text)[1:]
                self.terminal = Terminal(*arguments, home=self.home, first=True)
                self.chat.wait_for_prompt(SLOW)
            case "say":
                self.say(step.text.removeprefix("> "), then is None or then.kind != "press")
            case "press":
                self.chat.key(step.text.lower())
                self.chat.wait_for_prompt()
            case "see":
                self.see(step.text)

    def shell(self, line: str) -> None:
        with Shell(line, home=self.home, env={"PATH": self.path}, first=True) as shell:
            status = shell.wait_for_end(SLOW)
            self.written = " ".join(shell.scrollback.split())
        assert status in {0, 7}, self.written  # 7: the reply reached --max-tokens

    def say(self, line: str, waits: bool) -> None:
        """Type a line; it is taken when an empty prompt waits again: an error brings it back."""
        before = self.words.count(f"> {line}")
        self.last = f"> {line}"
        self.chat.say(line)
        if line == "/quit":
            assert self.chat.wait_for_end() == 0
            self.chat.__exit__()
            self.terminal = None
            return
        self.chat.wait_until(lambda: self.words.count(f"> {line}") > before, f"{line} echoed")
        if waits:
            self.chat.wait_for_prompt(SLOW)

    def see(self, text: str) -> None:
        pattern = ".*".join(map(re.escape, " ".join(text.split()).split("…")))
        if self.terminal is None:
            assert re.search(pattern, self.written), self.written
        else:
            self.chat.wait_until(lambda: re.search(pattern, self.answer), repr(text))

    @property
    def words(self) -> str:
        """What has been on the screen, however the lines were broken."""
        return " ".join(self.chat.scrollback.split())

    @property
    def answer(self) -> str:
        """What is on the screen since the last line was typed."""
        return self.words.rpartition(self.last)[2]


def test_the_tutorial_can_be_followed(
    home_with_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home_with_model)
    reader = Reader(home_with_model)
    try:
        for number, step in enumerate(STEPS):
            rest = (each for each in STEPS[number + 1 :] if each.kind != "see")
            try:
                reader.follow(step, next(rest, None))
            except AssertionError as error:
                raise AssertionError(f"{PAGE.at(step.line)}: {step.text}: {error}") from error
    finally:
        if reader.terminal is not None:
            reader.terminal.__exit__()
    assert reader.terminal is None, "the page does not tell how to leave"
    assert "A day in Paris" in (home_with_model / "paris.html").read_text()
    assert (home_with_model / "answer.txt").read_text().strip()


def test_the_page_tells_to_do_something_of_each_kind() -> None:
    kinds = [step.kind for step in STEPS]
    assert {kind: kinds.count(kind) for kind in ("start", "save", "press")} == {
        "start": 3,
        "save": 1,
        "press": 1,
    }
    assert kinds.count("say") > 14
    assert kinds.count("see") > 10
    typed = {step.text.split()[1] for step in STEPS if step.kind == "say"}
    commands = "retry undo redo context pin title export usage persona quit"
    assert typed >= {f"/{name}" for name in commands.split()}
