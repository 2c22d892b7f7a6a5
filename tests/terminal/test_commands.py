"""The registry of slash commands, and how a line is read as one."""

import re
from pathlib import Path
from typing import cast

import pytest

from chatrepl.errors import SettingsError
from chatrepl.terminal import keys
from chatrepl.terminal.commands import (
    COMMANDS,
    Command,
    find_command,
    free_text,
    read_command,
    run_command,
)
from chatrepl.terminal.repl import Repl

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"

each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("/help", ("help", "")),
        ("/HELP", ("help", "")),
        ("/model gpt-4", ("model", "gpt-4")),
        ("/model\tgpt-4 ", ("model", "gpt-4")),
        ("/Model openai/gpt-4", ("model", "openai/gpt-4")),
        ("/system a\nb", ("system", "a\nb")),
        ("/system\na\nb\n", ("system", "a\nb")),
        ("/", ("", "")),
        ("/ system", ("", "system")),
        ("/nonsense", ("nonsense", "")),
        ("/etc/hosts", None),
        ("/etc/hosts is what?", None),
        ("/help/me", None),
        ("/usr", ("usr", "")),
        ("/50 of them", None),
        ("/context 12", ("context", "12")),
        ("/drop", ("drop", "")),
        ("/drop-in replacement", ("drop-in", "replacement")),
        ("/-", None),
        ("//x", None),
        ("//help", None),
        (" /help", None),
        ("help", None),
        ("a /help", None),
        ("", None),
        ("\n/help", None),
    ],
)
def test_how_a_line_is_read(line: str, read: tuple[str, str] | None) -> None:
    assert read_command(line) == read


@each_command
def test_a_command_has_a_line_of_help(command: Command) -> None:
    assert command.help
    assert "\n" not in command.help
    assert len(command.usage) + len(command.help) < 76
    assert command.usage == f"/{command.name} {command.argument}".strip()
    assert re.fullmatch(r"[a-z]+", command.name)
    assert re.fullmatch(r"|\[[A-Z|]+\]|[A-Z|]+|\[NAME VALUE\]", command.argument)


@each_command
def test_it_is_decided_what_a_command_completes(command: Command) -> None:
    assert (command.values is not None) == bool(command.argument)
    assert (command.values is free_text) == (command.argument.strip("[]") == "TEXT")


@each_command
def test_a_command_is_documented(command: Command) -> None:
    usage = command.usage.replace("|", "\\|")  # as a table of Markdown wants it
    assert f"| `{usage}` |" in PAGE.read_text(encoding="utf-8")


def test_no_other_command_is_documented() -> None:
    documented = re.findall(r"^\| `/([a-z]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [command.name for command in COMMANDS]


@pytest.mark.parametrize("key", [key for names, _ in keys.HELP for key in names.split(", ")])
def test_a_key_is_documented(key: str) -> None:
    assert f"`{key}`" in PAGE.read_text(encoding="utf-8")


def test_the_issues_commands_are_there() -> None:
    first = "help system persona set model clear tokens retry undo quit"
    window = "context pin unpin drop overflow usage"
    sessions = "sessions resume search title new fork edit branch redo continue export"
    prompt = "vi file"
    reading = "copy raw open thoughts theme"
    issues = f"{first} {window} {sessions} {prompt} {reading}".split()
    assert {command.name for command in COMMANDS} == set(issues)


@each_command
def test_a_command_is_found_by_its_name(command: Command) -> None:
    assert find_command(command.name) is command


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("hlep", "/help"),
        ("quti", "/quit"),
        ("models", "/model"),
        ("token", "/tokens"),
        ("to", "/tokens"),
        ("q", "/quit"),
        ("contxt", "/context"),
        ("unpn", "/unpin"),
        ("over", "/overflow"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(name: str, near: str) -> None:
    with pytest.raises(SettingsError) as raised:
        find_command(name)
    assert raised.value.text == f"There is no command /{name}."
    assert f"Did you mean {near}?" in raised.value.hint


@pytest.mark.parametrize("name", [each.name for each in COMMANDS if not each.argument])
def test_a_command_that_takes_nothing_refuses_an_argument(name: str) -> None:
    nobody = cast("Repl", None)  # to which anything that is done would fail
    with pytest.raises(SettingsError) as raised:
        run_command(nobody, name, "2")
    assert raised.value.text == f"/{name} takes nothing after it."
    assert raised.value.hint == f"/{name} alone: {find_command(name).help}."


@pytest.mark.parametrize("name", ["zzz", "mnt"])
def test_a_name_near_nothing_gets_no_guess_but_the_way_out(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        find_command(name)
    assert "Did you mean" not in raised.value.hint
    assert "/help" in raised.value.hint
    assert "//" in raised.value.hint
