"""Reading what has come: copied, as its source, in the pager, in colours, and what was thought."""

import base64
import contextlib
import json
import re
import shlex
import termios
import time
from pathlib import Path

import pexpect

from tests.support.loopback import Loopback, Reply, chunk, says
from tests.support.program import COMMAND, Terminal, environment, run
from tests.support.talk import say_and_hear, talk

CODE = "Run **this**:\n\n```sh\nls -l\n```\n\nThen:\n\n- ```python\n  x = '漢'\n  y = 2\n  ```\n"


def program(folder: Path, name: str, script: str) -> Path:
    """Put a shell script where programs are looked for."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def copied(terminal: Terminal) -> list[str]:
    """What the terminal was told to take into its clipboard."""
    found = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", terminal.raw)
    return [base64.b64decode(data).decode() for data in found]


def answer(terminal: Terminal, line: str, words: str, times: int = 1) -> None:
    terminal.say(line)
    terminal.wait_for(words, times=times)
    terminal.wait_for_prompt()


def refused(terminal: Terminal, line: str, *answers: str) -> None:
    terminal.say(line)
    for each in answers:
        terminal.wait_for(each)
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()


def test_a_reply_is_copied_shown_as_its_source_and_opened(home: Path, server: Loopback) -> None:
    kept, seen = home / "kept", home / "seen"
    program(
        home / "bin",
        "xclip",
        f'case "$*" in *-o) cat {kept} ;; *) cat >{kept}; echo noise; echo noise >&2 ;; esac',
    )
    # It gets a Ctrl-C, as the chat does at that moment, and leaves the terminal in disorder.
    script = f'trap "" INT; kill -INT 0; (cat; echo "[$LESS]") >"{seen}"; stty tostop </dev/tty'
    pager = program(home / "bin", "my pager", script)
    path = f"{home / 'bin'}:/usr/bin:/bin"
    env = {"PATH": path, "DISPLAY": ":0", "PAGER": f"'{pager}'"}
    server.then(says(CODE))
    with talk(home, server, env=env, lines=40) as terminal:
        modes = termios.tcgetattr(terminal.process.child_fd)
        for times, command in enumerate(("/copy", "/raw", "/open"), 1):
            answer(terminal, command, "no reply yet", times)
        answer(terminal, "/thoughts", "no thoughts came")
        say_and_hear(terminal, "How?", "y = 2")
        terminal.type("/copy ")
        terminal.wait_for("python: x = '漢'")
        terminal.type("2")
        terminal.key("enter")
        terminal.wait_for("copied code block 2 (python), 13 characters: system clipboard, terminal")
        terminal.wait_for_prompt()
        assert kept.read_text() == "x = '漢'\ny = 2"
        answer(terminal, "/copy", "copied the last reply, 75 characters: system clipboard")
        assert copied(terminal) == ["x = '漢'\ny = 2", CODE]
        assert "noise" not in terminal.scrollback
        refused(terminal, "/copy 0", "There is no code block 0: the last reply has 2.")
        refused(terminal, "/copy 3", "block 3: the last reply has 2.", "/copy alone copies")
        assert "**" not in terminal.scrollback
        answer(terminal, "/raw", "Run **this**:")
        terminal.say("/open")
        terminal.wait_until(lambda: seen.exists() and "[-R]" in seen.read_text(), "the pager")
        terminal.wait_for_prompt()
        shown = re.sub(r"\x1b\[[0-9;]*m", "", seen.read_text())
        assert "Run this:" in shown
        assert "**" not in shown
        assert termios.tcgetattr(terminal.process.child_fd) == modes
        assert "stopped" not in terminal.scrollback
        say_and_hear(terminal, "and again")


def test_over_ssh_only_the_terminal_is_asked_and_not_for_too_much(
    home: Path, server: Loopback
) -> None:
    program(home / "bin", "xclip", f"touch {home / 'called'}")
    env = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "DISPLAY": ":0", "SSH_TTY": "/dev/pts/1"}
    server.then(says("Short."), Reply([chunk({"content": "x" * 75_000}), chunk({}, "stop")]))
    with talk(home, server, "--plain", env=env | {"TMUX": "/tmp/t,1,0"}) as terminal:
        say_and_hear(terminal, "a", "Short.")
        answer(terminal, "/copy", "6 characters: terminal (OSC 52)")
        sequence = b"\x1b]52;c;U2hvcnQu\x07"
        assert sequence + b"\x1bPtmux;\x1b" + sequence + b"\x1b\\" in terminal.raw
        say_and_hear(terminal, "b", "xxx")
        refused(terminal, "/copy", "74,994 bytes (OSC 52)", "/export FILE")
    assert not (home / "called").exists()


def test_thoughts_are_a_line_while_they_come_and_shown_on_demand(
    home: Path, server: Loopback
) -> None:
    words = [f"I think of the number {number}. " for number in range(20)]
    thinks = [part for word in words for part in (chunk({"reasoning_content": word}), 0.03)]
    server.then(Reply([*thinks, chunk({"content": "It is 7."}), chunk({}, "stop")]))
    tagged = "<think>\nHm, \x1b[31mthe end.\n</think>\n\nNo, it is 8."
    server.then(says(tagged), says("<think>Too long", "length"))
    with talk(home, server, columns=40) as terminal:
        terminal.wait_for("gpt-4 · 3 of 8,192")  # the vocabulary has been loaded
        terminal.say("Which?")
        terminal.wait_until(
            lambda: re.search(r"^\S thinking 0 s · ….* number \d+\.$", terminal.screen, re.M),
            "the latest thoughts",
        )
        terminal.wait_for("It is 7.")
        terminal.wait_for_prompt()
        assert "thinking" not in terminal.scrollback
        assert re.search(r"^thought for 1 s, 1\d\d tokens; /thoughts", terminal.screen, re.M)
        answer(terminal, "/thoughts", "I think of the number 0. I think of")
        say_and_hear(terminal, "Sure?", "No, it is 8.")
        assert terminal.scrollback.count("Hm") == 0
        answer(terminal, "/thoughts", "Hm, the end.")
        terminal.say("Why?")
        terminal.wait_for("max_tokens (2,048) was used up")
        terminal.wait_for("> Why?", times=2)
        terminal.key("ctrl-c")
        answer(terminal, "/thoughts", "Too long")
    assert server.requests[2].said[1::2] == [
        ("assistant", "It is 7."),
        ("assistant", "No, it is 8."),
    ]


def test_one_answer_in_a_pipe_is_the_reply_alone_and_in_json_thoughts_are_apart(
    home: Path, server: Loopback
) -> None:
    flags = ("--base-url", server.base_url, "-m", "gpt-4")
    server.then(*[says("<think>Hm.</think>\n\nYes.")] * 2)
    done = run(*flags, "Well?", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Yes.\n", "")
    result = json.loads(run(*flags, "--json", "Well?", home=home).stdout)
    assert (result["reply"], result["reasoning"]) == ("Yes.", "Hm.")


def test_the_theme_is_the_terminals_and_no_answer_of_it_is_ever_typed(
    home: Path, server: Loopback
) -> None:
    gate = says("One word", pause=0.3)
    server.then(gate)
    with talk(home, server) as terminal:
        assert terminal.raw.index(b"\x1b]11;?\x1b\\") < terminal.raw.index(b"\x1b[6n")
        assert terminal.colour(">") == "cyan", "as long as nobody knows"
        terminal.type("typed ahead")
        terminal.type("\x1b]11;rgb:ffff/ff")
        terminal.read(0.05)
        terminal.type("ff/eeee\x1b\\")
        terminal.type(" and behind")
        terminal.wait_until(lambda: terminal.colour(">") == "blue", "a prompt for a light ground")
        assert "> typed ahead and behind" in terminal.screen.split("\n")
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        answer(terminal, "/theme", "theme: auto (light, as the terminal's background)")
        terminal.say("hello")
        terminal.wait_for("One")
        terminal.type("\x1b]11;rgb:00/00/00\x07")  # late, while a reply streams
        terminal.wait_for("word")
        terminal.wait_for_prompt()
        terminal.wait_until(lambda: terminal.colour(">") == "cyan", "a prompt for a dark ground")
        assert "rgb" not in terminal.scrollback
        answer(terminal, "/theme plain", "theme: plain")
        assert terminal.colour(">") == "default"
        refused(terminal, "/theme blue", "There is no theme 'blue'.", "auto, dark, light, plain")


def test_who_leaves_before_the_terminal_has_answered_leaves_nothing_to_the_shell(
    home: Path, server: Loopback
) -> None:
    program = shlex.join([*COMMAND, "--base-url", server.base_url, "-m", "gpt-4"])
    left = 'stty -icanon -echo min 0 time 2; echo "left[$(dd bs=99 count=1 2>/dev/null)]"'
    shell = pexpect.spawn("sh", ["-c", f"{program}; {left}"], env=environment(home), timeout=20)
    with contextlib.closing(shell):
        shell.expect_exact("\x1b]11;?\x1b\\")
        shell.expect_exact("\x1b[6n")
        shell.send("\x04")
        time.sleep(0.2)
        shell.send("\x1b]11;rgb:ff/ff/ff\x1b\\" + "\x1b[1;1R")  # in the order of the questions
        shell.expect_exact("left[]")


def test_styles_of_the_users_own_hold_and_a_wrong_one_is_told(home: Path, server: Loopback) -> None:
    config = home / "config.toml"
    config.write_text('theme = "light"\n[styles]\nprompt = "green"\n"markdown.h2" = "red"\n')
    server.then(says("## A heading\n\nText."))
    with talk(home, server, "--config", str(config)) as terminal:
        terminal.wait_until(lambda: terminal.colour(">") == "green", "the user's prompt")
        say_and_hear(terminal, "a", "A heading")
        assert terminal.colour("A heading") == "red"
    config.write_text('[styles]\npromt = "green"\n')
    done = run("--config", str(config), "Hello", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"{config}, line 2: unknown style 'promt' in [styles]. Did you mean 'prompt'?"
        in done.stderr
    )
