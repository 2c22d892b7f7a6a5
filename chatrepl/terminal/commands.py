"""The slash commands, in one registry: each with its usage, its help and its completions."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chatrepl.errors import SettingsError
from chatrepl.terminal import (
    attachments,
    keys,
    parameter_commands,
    persona_commands,
    reading_commands,
    session_commands,
    window_commands,
)
from chatrepl.terminal.completion import Completable
from chatrepl.terminal.further import FURTHER
from chatrepl.terminal.paths import paths
from chatrepl.terminal.window_commands import message_numbers

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl

_COMMAND = re.compile(r"/([A-Za-z][\w-]*|\?)?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command.

    `argument` names what it takes, in the manner of a usage line, or is empty. `values` gives
    what may be completed of what is typed of it; it is None where the command takes nothing, and
    `free_text` where that is anything.
    """

    name: str
    argument: str
    help: str
    run: Callable[["Repl", str], None]
    values: Callable[["Repl", str], Iterable[tuple[str, str]]] | None = None

    @property
    def usage(self) -> str:
        """Give the command as it is typed."""
        return f"/{self.name} {self.argument}".rstrip()


def read_command(line: str) -> tuple[str, str] | None:
    """Split a line into a command's name and its argument; None if it is a message.

    A path such as /etc/hosts is no command.

    >>> read_command("/model gpt-4"), read_command("/etc/hosts is what?")
    (('model', 'gpt-4'), None)
    """
    found = _COMMAND.match(line)
    if found is None:
        return None
    return (found[1] or "").lower(), line[found.end() :].strip()


def as_message(line: str) -> str:
    """Give what a line says that is no command: // is a / there."""
    return line[1:] if line.startswith("//") else line


def as_line(text: str) -> str:
    """Give the line that says a text, even if it begins as a command does.

    >>> as_line("/model is what?"), as_line("/etc/hosts is what?")
    ('//model is what?', '/etc/hosts is what?')
    """
    return f"/{text}" if text.startswith("//") or read_command(text) else text


def find_command(name: str) -> Command:
    """Look a command up. Raises SettingsError with the nearest name."""
    if name in BY_NAME:
        return BY_NAME[name]
    if name == "?":
        return BY_NAME["help"]
    begun = [known for known in BY_NAME if known.startswith(name)]
    near = begun or difflib.get_close_matches(name, list(BY_NAME), 1)
    hint = f"Did you mean /{near[0]}? " if near else ""
    text = f"There is no command /{name}."
    raise SettingsError(text, f"{hint}/help lists them; // sends a message that begins with /.")


def run_command(repl: "Repl", name: str, argument: str) -> None:
    """Run a command by its name. Raises ChatreplError, also for what the command does not take."""
    command = find_command(name)
    if argument and not command.argument:
        text = f"/{command.name} takes nothing after it."
        raise SettingsError(text, f"/{command.name} alone: {command.help}.")
    command.run(repl, argument)


def completables(repl: "Repl") -> list[Completable]:
    """Give the registry as completion sees it."""
    return [
        Completable(
            command.name,
            command.help,
            None if command.values is None else partial(command.values, repl),
        )
        for command in COMMANDS
    ]


def _help(repl: "Repl", argument: str) -> None:
    from chatrepl.terminal.tables import show_pairs  # noqa: PLC0415 - imports rich

    if argument:
        command = find_command(argument.lstrip("/").lower())
        further = [("", FURTHER[command.name])] if command.name in FURTHER else []
        show_pairs([(command.usage, command.help), *further], repl.screen)
        return
    rows = [(command.usage, command.help) for command in COMMANDS]
    rows.append(("//…", "send a message that begins with /"))
    show_pairs([*rows, ("", ""), *keys.HELP], repl.screen)


def _system(repl: "Repl", argument: str) -> None:
    chat = repl.chat
    if argument:
        text = "" if argument == '""' else argument
        chat.conversation = chat.conversation.with_system(text)
    system = chat.conversation.system
    repl.screen.notice(f"system: {system.content}" if system else "no system message")


def _model(repl: "Repl", argument: str) -> None:
    chat = repl.chat
    if argument:
        with repl.prompt.keyboard.released():  # a key may have to be asked for
            repl.host.use_model(chat, argument)
        repl.warm_up()
    chat.ask_limits()
    card = chat.card
    assumed = "" if card.window_known else " (assumed: its real size is not known)"
    repl.screen.notice(
        f"{chat.provider.name}/{card.name}: a window of {card.context_window:,} tokens{assumed}, "
        f"replies of up to {chat.max_tokens:,}"
    )


def _vi(repl: "Repl", _: str) -> None:
    repl.prompt.vi = not repl.prompt.vi
    repl.screen.notice("keys as in vi" if repl.prompt.vi else "keys as in emacs")


def _quit(repl: "Repl", _: str) -> None:
    repl.leaving = True


def _model_names(repl: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    return repl.host.models()


def _overflow_names(_: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    return window_commands.OVERFLOW.items()


def free_text(_: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    """Offer nothing: what is typed may be anything."""
    return ()


def _paths(_: "Repl", typed: str) -> Iterable[tuple[str, str]]:
    return paths(typed)


def _command_names(_: "Repl", _typed: str) -> list[tuple[str, str]]:
    return [(command.name, command.help) for command in COMMANDS]


COMMANDS = (
    Command("help", "[COMMAND]", "list the commands and keys", _help, _command_names),
    Command(
        "system", "[TEXT]", 'show or set the system message; "" removes it', _system, free_text
    ),
    Command(
        "persona",
        "[NAME]",
        "list the personas or switch; show, new, edit NAME too",
        persona_commands.persona,
        persona_commands.names,
    ),
    Command(
        "model", "[NAME]", "show the model or switch; provider/model too", _model, _model_names
    ),
    Command(
        "set",
        "[NAME VALUE]",
        "list the request's parameters, or set one",
        parameter_commands.set_,
        parameter_commands.values,
    ),
    Command("retry", "", "ask for another reply to the last message", session_commands.retry),
    Command("continue", "", "go on with a reply that was cut off", session_commands.go_on),
    Command(
        "edit",
        "N",
        "change message N and go on from there",
        session_commands.edit,
        message_numbers,
    ),
    Command("undo", "", "step back by an exchange", session_commands.undo),
    Command("redo", "", "step forward again", session_commands.redo),
    Command(
        "branch",
        "[N]",
        "list the branches of the conversation or switch to one",
        session_commands.branch,
        session_commands.branch_numbers,
    ),
    Command("new", "", "begin a new conversation", session_commands.new),
    Command("clear", "", "the same as /new", session_commands.new),
    Command("fork", "", "go on in a session of its own", session_commands.fork),
    Command(
        "sessions", "[TEXT]", "list the saved conversations", session_commands.sessions, free_text
    ),
    Command(
        "resume",
        "ID|TEXT",
        "go on with a saved conversation",
        session_commands.resume,
        session_commands.session_names,
    ),
    Command("search", "TEXT", "find messages in all of them", session_commands.search, free_text),
    Command(
        "title", "[TEXT]", "show or set the conversation's title", session_commands.title, free_text
    ),
    Command("export", "FILE", "write it as .md, .html or .json", session_commands.export, _paths),
    Command(
        "file",
        "[PATH]",
        'attach to the next message, or list; "" takes back',
        attachments.file,
        _paths,
    ),
    Command(
        "copy",
        "[N]",
        "copy the last reply, or its Nth code block",
        reading_commands.copy,
        reading_commands.block_numbers,
    ),
    Command("raw", "", "show the source of the last reply", reading_commands.raw),
    Command("open", "", "show the last reply in the pager", reading_commands.open_reply),
    Command(
        "thoughts", "", "show what the model thought before its reply", reading_commands.thoughts
    ),
    Command(
        "theme",
        "[NAME]",
        "show the theme, or switch: auto, dark, light, plain",
        reading_commands.theme,
        reading_commands.theme_names,
    ),
    Command("tokens", "", "show how many tokens the conversation has", window_commands.tokens),
    Command("usage", "", "show what was used so far and what it cost", window_commands.usage),
    Command(
        "context",
        "[N|ALL]",
        "show what is sent and what is not, or message N whole",
        window_commands.context,
        message_numbers,
    ),
    Command(
        "pin",
        "N",
        "always send message N and what belongs to it",
        window_commands.pin,
        message_numbers,
    ),
    Command(
        "unpin",
        "N",
        "let message N be left out again",
        window_commands.unpin,
        message_numbers,
    ),
    Command(
        "drop",
        "[N]",
        "never send message N again; alone, take that back",
        window_commands.drop,
        message_numbers,
    ),
    Command(
        "overflow",
        "[HOW]",
        "what to do when the window is full: trim, ask or summarize",
        window_commands.overflow,
        _overflow_names,
    ),
    Command("vi", "", "take the keys of vi, or those of emacs again", _vi),
    Command("quit", "", "leave", _quit),
)
BY_NAME = {command.name: command for command in COMMANDS}
