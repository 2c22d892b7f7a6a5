"""The first prompt: it is there before all else, and nothing is lost that is typed into it."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
import typer
import typer.core

from chatrepl import cli_chat
from chatrepl.cli_talk import QUIET, SETTINGS
from tests.story.test_endings import Shell, assert_left_well
from tests.support.loopback import Loopback
from tests.support.processes import needs_proc
from tests.support.program import Terminal
from tests.support.talk import say_and_hear

LATER = {"openai", "httpx2", "pydantic", "typer", "msgspec", "sqlite3", "tiktoken", "rich"}
"""What no first prompt waits for."""


AnyTerminal = TypeVar("AnyTerminal", bound=Terminal)


def configure(home: Path, text: str, mode: int = 0o600) -> None:
    file = home / "chatrepl" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.touch(mode)
    file.write_text(text)
    file.chmod(mode)


def begun(terminal: AnyTerminal) -> AnyTerminal:
    """Wait for the very first sight of the prompt: nothing has been loaded yet."""
    terminal.wait_until(lambda: re.search(rb"m> ", terminal.raw), "the first prompt")
    return terminal


def wait_for_line(terminal: Terminal, line: str) -> None:
    terminal.wait_until(lambda: line in terminal.screen.split("\n"), f"the line {line!r}")


def at(server: Loopback, *more: str) -> tuple[str, ...]:
    return ("--base-url", server.base_url, "-m", "gpt-4", *more)


class Timed(Terminal):
    """The program, telling what it imports."""

    command: ClassVar[list[str]] = [sys.executable, "-X", "importtime", "-m", "chatrepl"]


def imported(raw: bytes) -> set[str]:
    """The packages of which something has been imported."""
    return {name.decode() for name in re.findall(rb"\| +(\w+)[\w.]*\r", raw)}


def test_the_prompt_is_on_the_screen_before_the_rest_is_imported(
    home: Path, server: Loopback
) -> None:
    with Timed(*at(server), home=home) as terminal:
        terminal.wait_until(lambda: imported(terminal.raw) >= {"openai", "sqlite3"}, "imports")
        shown = re.search(rb"\x1b\[0;[\d;]+m> ", terminal.raw)
        assert shown
        before = imported(terminal.raw[: shown.start()])
    assert "prompt_toolkit" in before
    assert before & LATER == set()


def test_a_line_that_is_sent_before_anything_is_loaded_is_answered(
    home: Path, server: Loopback
) -> None:
    configure(home, '[personas.pirate]\nsystem = "Be a pirate."\n')
    flags = ("--base-url", server.base_url, "-m", "x", "--persona", "pirate", "--temperature=0.5")
    with begun(Terminal(*flags, home=home)) as terminal:
        terminal.say("hello")
        terminal.wait_for("You said: hello")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "again")
        assert terminal.scrollback.count("> hello") == 1
    first, second = server.requests
    assert (first.body["model"], first.body["temperature"]) == ("x", 0.5)
    assert first.said == [("system", "Be a pirate."), ("user", "hello")]
    assert second.said[2:] == [("assistant", "You said: hello"), ("user", "again")]


def test_a_line_waits_at_the_prompt_until_it_is_sent(home: Path, server: Loopback) -> None:
    with begun(Terminal(*at(server), home=home)) as terminal:
        terminal.type("hel")
        terminal.wait_for("gpt-4 · ")  # all is loaded
        wait_for_line(terminal, "> hel")
        terminal.say("lo")
        terminal.wait_for("You said: hello")


@pytest.mark.parametrize(
    ("flags", "config", "words"),
    [
        ([], 'modle = "m"', "'modle'"),
        (["--overflow", "never"], "", "--overflow"),
        (["-p", "nobody"], "", "nobody"),
    ],
)
def test_what_cant_be_opened_ends_it_with_a_message_and_no_prompt(
    home: Path, flags: list[str], config: str, words: str
) -> None:
    configure(home, config)
    with begun(Shell("-m", "gpt-4", *flags, home=home, columns=160)) as terminal:
        terminal.wait_for("status")
        first, *others = [line for line in terminal.scrollback.split("\n") if line]
        assert words in first
        assert others[-1] == "status 2"
        assert len(others) <= 2
        assert_left_well(terminal)


def test_ctrl_d_at_once_leaves(home: Path, server: Loopback) -> None:
    with begun(Terminal(*at(server), home=home)) as terminal:
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
        assert terminal.scrollback.strip() == ">"
    assert server.requests == []


def test_ctrl_c_at_once_clears_the_line(home: Path, server: Loopback) -> None:
    with begun(Terminal(*at(server), home=home)) as terminal:
        terminal.type("never mind")
        terminal.key("ctrl-c")
        terminal.key("ctrl-c")
        terminal.say("hello")
        terminal.wait_for("You said: hello")
        terminal.wait_for_prompt()
        assert "Traceback" not in terminal.scrollback
    assert [received.said for received in server.requests] == [[("user", "hello")]]


def keyed(home: Path, server: Loopback) -> tuple[Path, str]:
    """Give a provider whose key is asked for on the terminal, and a config file it may come in.

    That is a pipe: what there is to load waits until somebody writes the config into it.
    """
    script, pipe = home / "key.sh", home / "pipe.toml"
    script.write_text(
        "printf 'PIN: ' >/dev/tty\nread pin </dev/tty\nprintf 'thanks\\n' >/dev/tty\necho $pin\n"
    )
    os.mkfifo(pipe, 0o600)
    table = f'[providers.mine]\nbase_url = "{server.base_url}"\napi_key_cmd = "sh {script}"\n'
    return pipe, f'provider = "mine"\nmodel = "gpt-4"\n{table}'


def test_a_key_command_has_the_terminal_for_itself(home: Path, server: Loopback) -> None:
    pipe, config = keyed(home, server)
    with begun(Terminal("--config", str(pipe), home=home)) as terminal:
        terminal.type("half a ")
        wait_for_line(terminal, "> half a")
        pipe.write_text(config)
        terminal.wait_for("PIN:")
        assert not re.search(r"^>", terminal.screen, re.MULTILINE), "the prompt is gone"
        terminal.type("1234\n")
        terminal.wait_for("thanks")
        wait_for_line(terminal, "> half a")
        terminal.say("line")
        terminal.wait_for("You said: half a line")
    assert server.requests[0].headers["authorization"] == "Bearer 1234"
    assert server.requests[0].said == [("user", "half a line")]


def test_a_line_that_was_sent_before_the_key_is_asked_for_is_answered(
    home: Path, server: Loopback
) -> None:
    pipe, config = keyed(home, server)
    with begun(Terminal("--config", str(pipe), home=home)) as terminal:
        terminal.say("hello")
        terminal.wait_until(lambda: b"\x1b[?2004l" in terminal.raw, "the end of the prompt")
        pipe.write_text(config)
        terminal.wait_for("PIN:")
        terminal.type("1234\n")
        terminal.wait_for("You said: hello")
        terminal.wait_for_prompt()
    assert [received.said for received in server.requests] == [[("user", "hello")]]


def test_commands_are_completed_as_soon_as_they_are_known(home: Path, server: Loopback) -> None:
    with begun(Terminal(*at(server), home=home)) as terminal:
        terminal.type("/tok")
        terminal.wait_for("/tokens")
        terminal.key("tab")
        wait_for_line(terminal, "> /tokens")
        terminal.key("enter")
        terminal.wait_for("tokens in 0 messages")


def assert_above_the_prompt(terminal: Terminal, notice: str, line: str) -> None:
    terminal.wait_for(notice)
    wait_for_line(terminal, line)
    shown = terminal.screen.split("\n")
    assert shown.index(line) > next(n for n, text in enumerate(shown) if notice in text)
    assert terminal.scrollback.count("\n> ") + terminal.scrollback.startswith("> ") == 1


def test_a_notice_stands_above_what_is_typed(home: Path, server: Loopback) -> None:
    configure(home, '[providers.mine]\napi_key = "secret"\n', 0o644)
    with begun(Terminal(*at(server), home=home)) as terminal:
        terminal.type("hel")
        assert_above_the_prompt(terminal, "which others may read", "> hel")
        terminal.say("lo")
        terminal.wait_for("You said: hello")


def test_without_a_key_it_is_said_above_the_prompt_who_answers(home_with_model: Path) -> None:
    with begun(Terminal(home=home_with_model)) as terminal:
        terminal.type("hel")
        assert_above_the_prompt(terminal, "No key is set", "> hel")


@needs_proc
@pytest.mark.parametrize("moment", [lambda _: None, lambda shell: shell.read(0.2)])
def test_a_signal_at_the_first_prompt_leaves_the_terminal_well(
    home: Path, server: Loopback, moment: Callable[[Shell], None]
) -> None:
    with begun(Shell(*at(server), home=home)) as terminal:
        moment(terminal)
        assert terminal.end(signal.SIGTERM) == 143
        assert_left_well(terminal)


def test_what_begins_with_the_prompt_is_what_the_parser_calls_a_setting() -> None:
    command = typer.main.get_command(cli_chat._app)
    assert isinstance(command, typer.core.TyperCommand)
    options = [each for each in command.params if isinstance(each, typer.core.TyperOption)]
    flags = {name for each in options if each.is_flag for name in each.opts}
    assert flags >= QUIET
    assert {name for each in options if not each.is_flag for name in each.opts} >= SETTINGS
    left = {name for each in options for name in each.opts} - QUIET - SETTINGS
    assert left <= {  # what ends at once, shows something first, or is no interactive chat
        *("--version", "--help", "-h", "--json", "--dry-run", "--verbose"),
        *("--install-completion", "--show-completion"),
        *("-c", "--continue", "--resume", "--load", "-f", "--file"),
        *("--code", "-q", "--quiet"),
    }
