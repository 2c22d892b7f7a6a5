"""Writing at the prompt: long pastes, the editor, vi, suggestions, going back."""

import re
from pathlib import Path

import pytest

from tests.story.test_keys import last_said, wait_for_line
from tests.story.test_streaming import said
from tests.support.loopback import Loopback, fails
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk

LONG = "\n".join(f"line {number} of the log" for number in range(132))
FOLDED = "[pasted 132 lines, 923 tokens]"

UNFOLD, EDITOR, RIGHT = "\x18\x10", "\x18\x05", "\x1b[C"


def configured(home: Path, server: Loopback, settings: str) -> Terminal:
    config = home / "config.toml"
    config.write_text(
        f'{settings}\nprovider = "loop"\nmodel = "gpt-4"\n'
        f'[providers.loop]\nbase_url = "{server.base_url}"\n'
    )
    terminal = Terminal("--config", str(config), home=home)
    terminal.wait_for_prompt()
    terminal.wait_for("gpt-4")  # the settings are known
    return terminal


def counting(terminal: Terminal) -> None:
    """Wait until the vocabulary is loaded."""
    terminal.wait_until(lambda: re.search(r"\d[ /]", terminal.screen), "a number of tokens")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_long_paste_is_folded_and_sent_whole(home: Path, server: Loopback, columns: int) -> None:
    with talk(home, server, columns=columns) as terminal:
        counting(terminal)
        terminal.type("Why? ")
        terminal.paste(LONG)
        terminal.type(" Tell me.")
        wait_for_line(terminal, f"> Why? {FOLDED} Tell me."[:columns].rstrip())
        terminal.key("enter")
        terminal.wait_for("You said: Why?")
        terminal.wait_for_prompt()
        assert last_said(server) == f"Why? {LONG} Tell me."


def test_a_folded_text_is_one_thing_until_it_is_unfolded(home: Path, server: Loopback) -> None:
    with talk(home, server, lines=60) as terminal:
        counting(terminal)
        for delete in ("\x7f", "\x17", "\x1b[D\x1b[3~"):  # Backspace, Ctrl-W, Left and Delete
            terminal.type("a ")
            terminal.paste(LONG)
            wait_for_line(terminal, f"> a {FOLDED}")
            terminal.type(f"{delete}\x7f\x7f")
            wait_for_line(terminal, ">")
        terminal.type("a")
        terminal.type(UNFOLD)  # there is nothing to unfold
        terminal.paste("few\n" * 41)
        wait_for_line(terminal, "> a[pasted 41 lines, 82 tokens]")
        terminal.type(" end")
        terminal.type(UNFOLD)
        wait_for_line(terminal, "> afew")
        terminal.key("enter")
        terminal.wait_for("You said: afew")
    assert last_said(server) == "a" + "few\n" * 41 + " end"


def test_a_line_that_comes_back_looks_as_it_did(home: Path, server: Loopback) -> None:
    server.then(fails(400, "Not today."))
    with talk(home, server) as terminal:
        counting(terminal)
        terminal.type("Why? ")
        terminal.paste(LONG)
        terminal.type(" Tell me.\r")
        terminal.wait_for("Not today.")
        wait_for_line(terminal, f"> Why? {FOLDED} Tell me.")
        terminal.wait_for(f"> Why? {FOLDED} Tell me.", times=2)
        terminal.key("enter")
        terminal.wait_for("You said: Why? line 0")
    assert last_said(server) == f"Why? {LONG} Tell me."


def test_the_history_has_it_whole_and_shows_it_folded(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.paste(LONG)
        terminal.key("enter")
        terminal.wait_for("You said: line 0")
    with talk(home, server) as terminal:
        terminal.key("up")
        wait_for_line(terminal, "> line 0 of the log")
        terminal.wait_for("  [131 lines, ")
        terminal.key("enter")
        terminal.wait_for("You said: line 0")
    assert [request[-1][1] for request in said(server)] == [LONG, LONG]


def test_a_line_is_written_in_the_editor(home: Path, server: Loopback) -> None:
    editor = home / "my editor.sh"
    editor.write_text('#!/bin/sh\nstty -a | grep -q " icanon" && printf " and more\\n" >>"$2"\n')
    editor.chmod(0o755)
    with talk(home, server, env={"VISUAL": f"'{editor}' --wait", "EDITOR": "false"}) as terminal:
        terminal.type("a line")
        terminal.type(EDITOR)
        wait_for_line(terminal, "> a line and more")
        terminal.key("enter")
        terminal.wait_for("You said: a line and more")
        terminal.wait_for_prompt()
        terminal.paste(LONG)  # in the editor it is whole
        terminal.wait_for("> [pasted 132 lines, ")
        terminal.type(EDITOR)
        terminal.wait_for("] and more")
        terminal.key("enter")
        terminal.wait_for("You said: line 0")
        assert last_said(server) == f"{LONG} and more"


@pytest.mark.parametrize(
    ("visual", "words"),
    [
        ("false", "'false' ended with status 1: nothing was changed."),
        ("/no/such/editor -w", "'/no/such/editor' can't be run: No such file or directory."),
        ("vi 'open", "The variable VISUAL can't be read: No closing quotation."),
    ],
)
def test_an_editor_that_fails_is_told_and_the_line_stays(
    home: Path, server: Loopback, visual: str, words: str
) -> None:
    with talk(home, server, env={"VISUAL": visual}) as terminal:
        terminal.type("half a line")
        terminal.type(EDITOR)
        terminal.wait_for(words)
        wait_for_line(terminal, "> half a line")
        terminal.say(" more")
        terminal.wait_for("You said: half a line more")


def test_esc_esc_goes_back_message_by_message(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.type("\x1b\x1b")  # there is nothing to go back to
        for text in ("one", "two", "three"):
            say_and_hear(terminal, text)
        terminal.type("not empty")
        terminal.type("\x1b\x1b")
        terminal.read(0.3)
        assert "back to before" not in terminal.scrollback
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        terminal.type("\x1b\x1b")
        terminal.wait_for("back to before message 5")
        wait_for_line(terminal, "> three")
        terminal.type("\x1b\x1b")
        terminal.wait_for("back to before message 3")
        wait_for_line(terminal, "> two")
        terminal.key("ctrl-c")  # as if nothing had been
        terminal.wait_for("forward again: nothing was changed")
        terminal.wait_for_prompt()
        terminal.type("\x1b\x1b\x1b\x1b")
        wait_for_line(terminal, "> two")
        terminal.say(", but other")
        terminal.wait_for("You said: two, but other")
    talked = [("user", "one"), ("assistant", "You said: one"), ("user", "two, but other")]
    assert said(server)[-1] == talked


def test_a_message_that_begins_as_a_command_comes_back_as_a_message(
    home: Path, server: Loopback
) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "//help is a word", "You said: /help is a word")
        terminal.say("/undo")
        wait_for_line(terminal, "> //help is a word")
        terminal.say("s")
        terminal.wait_for("You said: /help is a words")


def test_the_keys_of_vi(home: Path, server: Loopback) -> None:
    with configured(home, server, 'editing_mode = "vi"') as terminal:
        terminal.wait_for(" vi insert · gpt-4")
        terminal.type("a few words here\x1b")
        terminal.wait_for(" vi normal · gpt-4")
        terminal.type("bbdwA too")
        wait_for_line(terminal, "> a few here too")
        terminal.key("enter")
        terminal.wait_for("You said: a few here too")
        terminal.wait_for_prompt()
        terminal.say("/vi")
        terminal.wait_for("keys as in emacs")
        terminal.wait_until(lambda: "vi insert" not in terminal.screen, "no mode")
        terminal.type("one two\x01zero \x05 three")
        wait_for_line(terminal, "> zero one two three")
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        terminal.say("/vi")
        terminal.wait_for(" vi insert · gpt-4")


def test_alt_enter_may_be_what_sends(home: Path, server: Loopback) -> None:
    with configured(home, server, 'submit = "alt-enter"') as terminal:
        terminal.type("one\rtwo")
        wait_for_line(terminal, "  two")
        terminal.key("alt-enter")
        terminal.wait_for("You said: one two")
        terminal.wait_for_prompt()
    assert last_said(server) == "one\ntwo"


def test_what_was_typed_before_is_suggested(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "a question of last week")
    with talk(home, server) as terminal:
        terminal.type("a que")
        wait_for_line(terminal, "> a question of last week")
        terminal.type(RIGHT)
        terminal.key("enter")
        terminal.wait_for("You said: a question of last week")
    assert last_said(server) == "a question of last week"


def test_paths_are_completed_with_tab(home: Path, server: Loopback) -> None:
    (home / "a file.txt").write_text("12345")
    with talk(home, server) as terminal:
        terminal.type("/export ~/a")
        terminal.wait_for("5 bytes")
        terminal.key("tab")
        wait_for_line(terminal, "> /export ~/a file.txt")
