"""Copying: what the terminal is told, and a system's clipboard that does not do as it should."""

import os
import time
from pathlib import Path

import pytest

from chatrepl.terminal.clipboard import (
    LONGEST,
    copy_to_system,
    copy_to_tmux,
    fits_osc52,
    is_remote,
    osc52,
)
from chatrepl.terminal.code import CodeBlock, code_blocks
from chatrepl.terminal.pager import pager


@pytest.mark.parametrize(
    ("script", "is_copied"),
    [
        ('case "$*" in *-o) cat "$HOME/kept" ;; *) cat >"$HOME/kept" ;; esac', True),
        ('case "$*" in *-o) true ;; *) cat >/dev/null; exit 1 ;; esac', False),
        ("exit 1", False),
        ("sleep 30", False),
    ],
)
def test_only_what_can_be_read_back_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, is_copied: bool
) -> None:
    program = tmp_path / "xclip"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    start = time.monotonic()
    assert copy_to_system("two\nlines of 漢字 and a lone \ud800", patience=1.0) == is_copied
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("status", [0, 1])
def test_tmux_takes_a_text_for_its_terminal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    program = tmp_path / "tmux"
    program.write_text(
        f'#!/bin/sh\necho "$@" >{tmp_path}/said; cat >>{tmp_path}/said; exit {status}'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert copy_to_tmux("a\nb") == (status == 0)
    assert (tmp_path / "said").read_text() == "load-buffer -w -\na\nb"


def test_without_any_clipboard_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not copy_to_system("text")


def test_the_sequence_is_one_line_of_ascii_whatever_the_text_is() -> None:
    assert osc52("é\n\x1b]52;c;\x07") == "\x1b]52;c;w6kKG101MjtjOwc=\x07"
    assert osc52("a", in_tmux=True) == ("\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\")
    assert len(osc52("x" * LONGEST)) <= 100_000


@pytest.mark.parametrize(("text", "fits"), [("x" * LONGEST, True), ("é" * 40_000, False)])
def test_terminals_take_so_many_bytes(text: str, fits: bool) -> None:
    assert fits_osc52(text) == fits


@pytest.mark.parametrize("name", ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"])
def test_ssh_is_seen_in_the_environment(name: str) -> None:
    assert is_remote({name: "x"})
    assert not is_remote({name: "", "DISPLAY": ":0"})


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```py title=x\na\n\nb\n```\n\n~~~\nc\n~~~\n", [("py", "a\n\nb"), ("", "c")]),
        ("1. x\n   ```sh\n   ls\n   ```\n\n> ```\n> d\n> ```\n", [("sh", "ls"), ("", "d")]),
        ("Text:\n\n    indented\n\nand `inline`", []),
        ("```js\nnever closed", [("js", "never closed")]),
        ("```\n```", [("", "")]),
        ("none", []),
    ],
)
def test_the_code_blocks_of_a_reply(text: str, blocks: list[tuple[str, str]]) -> None:
    assert list(code_blocks(text)) == [CodeBlock(*block) for block in blocks]


def test_the_users_pager_goes_before_the_usual_one() -> None:
    assert pager({"PAGER": "most -s"}) == "most -s"
    assert pager({"PAGER": " "}) in {"less -R", "more", None}
