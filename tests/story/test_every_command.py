"""Every slash command and every key, typed into the real program on narrow and wide screens."""

import re
from pathlib import Path

import pytest

from chatrepl.terminal import keys
from chatrepl.terminal.commands import COMMANDS
from tests.support.loopback import Loopback
from tests.support.program import Terminal
from tests.support.talk import talk

TYPED: dict[str, list[tuple[str, str]]] = {
    "help": [("/help", "leave, suspend"), ("/help /pin", "always send message N")],
    "system": [("/system Be brief.", "system: Be brief."), ('/system ""', "no system message")],
    "persona": [
        ("/persona nobody", "There is no persona 'nobody' (/persona)"),
        ("/persona show shell", "```sh"),
        ("/persona concise", "persona: concise"),
        ('/system ""', "no system message"),
    ],
    "set": [("/set seed", "seed: not set"), ("/set seed 5", "seed: 5 (/set)"), ("/set", "NAME")],
    "model": [("/model", "a window of 8,192 tokens")],
    "retry": [("/retry", "‹2/2›")],
    "continue": [("/continue", "was not cut off: nothing to go on with")],
    "edit": [("/edit 9", "There is no message 9"), ("/edit 1", "back to before message 1")],
    "undo": [("/undo", "one exchange back")],
    "redo": [("/undo", "one exchange back"), ("/redo", "forward again: messages 1 and 2")],
    "branch": [("/branch", "2 messages"), ("/branch 9", "There is no branch 9")],
    "new": [("/new", "a new conversation")],
    "clear": [("/clear", "a new conversation")],
    "fork": [("/fork", "a session of its own from here on")],
    "sessions": [("/sessions", "hello")],
    "resume": [("/resume nothing-like-it", "There is no session")],
    "search": [("/search hello", "user: hello")],
    "title": [("/title Ships", "title: Ships")],
    "export": [("/export ~/talk.md", "written to ~/talk.md")],
    "file": [("/file ~/none.txt", "There is no file ~/none.txt"), ("/file", "is attached; /file")],
    "tokens": [("/tokens", "tokens in 2 messages")],
    "usage": [("/usage", "total")],
    "context": [("/context", "tokens"), ("/context 1", "1 user, ")],
    "pin": [("/pin 1", "pinned: messages 1 and 2")],
    "unpin": [("/pin 1", "pinned: messages 1 and 2"), ("/unpin 1", "unpinned: messages 1 and 2")],
    "drop": [("/drop 1", "dropped: messages 1 and 2"), ("/drop", "back again")],
    "overflow": [("/overflow ask", "overflow: ask"), ("/overflow no", "There is no overflow 'no'")],
    "vi": [("/vi", "keys as in vi"), ("/vi", "keys as in emacs")],
    "copy": [("/copy", "copied the last reply"), ("/copy 1", "the last reply has none")],
    "raw": [("/raw", "You said: hello"), ("/raw 2", "/raw takes nothing after it.")],
    "open": [("/open", "You said: hello")],
    "thoughts": [("/thoughts", "no thoughts came with the last reply")],
    "theme": [("/theme plain", "theme: plain"), ("/theme no", "There is no theme 'no'")],
    "quit": [],
}
"""Lines for each command, each with words of its answer; a talk of one exchange goes before."""


CHANGING = {
    *("retry", "edit", "undo", "redo", "branch", "new", "clear", "fork", "resume"),
    *("pin", "unpin", "drop"),
}
"""Commands that leave another conversation than they found."""


def words(terminal: Terminal) -> str:
    """What has been on the screen, however the lines were broken."""
    return " ".join(terminal.scrollback.split())


def begin(terminal: Terminal) -> None:
    """Say the one thing that the commands are about."""
    before = words(terminal).count("You said: hello")
    terminal.say("hello")
    terminal.wait_until(lambda: words(terminal).count("You said: hello") > before, "the reply")
    terminal.wait_for_prompt()


def answered(terminal: Terminal, line: str, answer: str) -> None:
    """Type a line and see its answer and the next prompt, where the line may have come back."""
    before = words(terminal).count(answer)
    terminal.say(line)
    terminal.wait_until(lambda: words(terminal).count(answer) > before, f"{answer!r} of {line}")
    terminal.read(0.05)
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_command(home: Path, server: Loopback, columns: int) -> None:
    assert set(TYPED) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        assert command.name in {"quit"} or TYPED[command.name], f"/{command.name} is not typed"
    with talk(home, server, columns=columns, lines=30, env={"PAGER": "cat"}) as terminal:
        is_new = False
        for name, lines in TYPED.items():
            if not is_new or name in CHANGING:
                terminal.say("/new")
                terminal.wait_for_prompt()
                begin(terminal)
            is_new = name not in CHANGING
            for line, answer in lines:
                answered(terminal, line, answer)
            assert "unforeseen" not in words(terminal), name
        terminal.say("/quit")
        assert terminal.wait_for_end() == 0


def stands(terminal: Terminal, line: str) -> None:
    """Wait until this is what stands at the prompt, however wide it is."""
    terminal.wait_until(
        lambda: re.findall(r"^> .*$|^>$", terminal.screen, re.M)[-1:] == [line], f"{line!r}"
    )


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_key(home: Path, server: Loopback, columns: int) -> None:
    """Ctrl-Z is pressed in test_streaming.py: it takes a shell."""
    pressed = {name for names, _ in keys.HELP for name in names.split(", ")} - {"Ctrl-Z"}
    editor = {"VISUAL": "sh -c 'printf edited >\"$0\"'"}
    with talk(home, server, columns=columns, lines=60, env=editor) as terminal:

        def press(name: str, then: str) -> None:
            terminal.type(KEY[name])
            stands(terminal, then)
            pressed.discard(name)

        terminal.type("one")
        terminal.type(KEY["Alt-Enter"] + "two" + KEY["Ctrl-J"] + "three" + KEY["Enter"])
        terminal.wait_until(lambda: "You said: one two three" in words(terminal), "the reply")
        terminal.wait_for_prompt()
        assert server.requests[-1].said == [("user", "one\ntwo\nthree")]
        pressed -= {"Enter", "Alt-Enter", "Ctrl-J"}
        press("Up", "> one")
        terminal.type(KEY["Down"] * 2)
        press("Down", ">")
        terminal.type("/tok")
        terminal.wait_for("/tokens")
        press("Tab", "> /tokens")
        press("Ctrl-C", ">")
        press("Esc Esc", "> one")
        press("Ctrl-X Ctrl-E", "> edited")
        press("Ctrl-C", ">")
        terminal.paste("line\n" * 41)
        terminal.wait_for("> [pasted 41 lines, ")
        press("Ctrl-X Ctrl-P", "> line")
        press("Ctrl-C", ">")
        terminal.type(KEY["Ctrl-D"])
        assert terminal.wait_for_end() == 0
    assert pressed == {"Ctrl-D"}


KEY = {
    "Enter": "\r",
    "Alt-Enter": "\x1b\r",
    "Ctrl-J": "\n",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Tab": "\t",
    "Esc Esc": "\x1b\x1b",
    "Ctrl-X Ctrl-E": "\x18\x05",
    "Ctrl-X Ctrl-P": "\x18\x10",
    "Ctrl-C": "\x03",
    "Ctrl-D": "\x04",
}
