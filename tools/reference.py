"""docs/reference and the manual page, made from the code.

`python -m tools.reference` writes them; with `--check` it writes nothing, names those that are
not what the code gives, and its status is 1 if there are any. Nothing in them depends on the
machine, the terminal or the day.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from typer.core import TyperArgument, TyperGroup

from chatrepl import cli_chat
from chatrepl.cli_help import FULLER, TAKES, VARIABLES
from chatrepl.cli_options import narrowed
from chatrepl.settings import Settings
from chatrepl.terminal import keys
from chatrepl.terminal.commands import COMMANDS
from chatrepl.terminal.further import FURTHER
from tools import manpage
from tools.reference_config import config_page

ROOT = Path(__file__).parent.parent
MADE = "<!-- Made by `python -m tools.reference` from {}. -->\n"
WIDTH = 80

PAGES = {
    "cli.md": "every command and option of the command line",
    "commands.md": "the slash commands and keys of a chat",
    "config.md": "every setting of the config file",
    "environment.md": "the variables that are looked at",
    "exit-statuses.md": "how the program ends, for scripts",
}


CLI_HEAD = """\
The first word decides: a command's name runs that command, anything else is a prompt.
"""

TAB = """\
### Tab in the shell

`chatrepl --install-completion` has bash (4.4 or newer), zsh or fish complete commands, options, \
personas, providers, models, sessions and files. It says what it writes:

- bash: `completion.bash` in the data directory, and a line at the end of `~/.bashrc` that reads it
- zsh: `completion.zsh` in the data directory, and a line at the end of `.zshrc`, in `$ZDOTDIR` or \
the home directory
- fish: `~/.config/fish/completions/chatrepl.fish`

Done again, it adds no second line; that of another home is replaced. To undo it, \
remove the line and the file. No server is asked when Tab is pressed: the \
models are those of the config file and of the last sessions.
"""


class Option(NamedTuple):
    """An option, or an argument, which has no names: what it takes, what that means, the default.

    `required` is of use for an argument alone.
    """

    names: tuple[str, ...]
    metavar: str
    meaning: str
    default: str
    required: bool = False


class Help(NamedTuple):
    """A command: the words that call it, its --help, and its options; the arguments first."""

    name: str
    text: str
    about: str
    options: tuple[Option, ...]


def helps() -> list[Help]:
    """Give every command, `chatrepl` itself first."""
    return [
        one
        for name, command in cli_chat.commands().items()
        for one in _helps(f"chatrepl {name}".rstrip(), command)
    ]


def _helps(name: str, command: Any) -> Iterator[Help]:
    command.epilog = narrowed(command.epilog or "", WIDTH - 2)
    context = command.make_context(
        name, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    text = tidied(command.get_help(context).rstrip())
    shown = [each for each in command.params if not each.hidden]
    options = [_option(each, context) for each in shown]
    helping = Option(("-h", "--help"), "", "show this message and exit", "")
    yield Help(name, text, command.help or "", (*options, helping))
    if isinstance(command, TyperGroup):
        for inner, one in command.commands.items():
            yield from _helps(f"{name} {inner}", one)


def tidied(text: str) -> str:
    """Take out of a help text what typer, by its version, says of the types of arguments.

    >>> print(tidied("Usage: x {TEXT…}... [A]\\n\\nArguments:\\n  TEXT… <list[str]>  Words."))
    Usage: x TEXT… [A]
    <BLANKLINE>
    Arguments:
      TEXT…  Words.
    """
    usage, gap, rest = text.partition("\n")
    usage = re.sub(r"\{(.+?)\}(?:\.\.\.)?", r"\1", usage).replace("[PROMPT]...", "[PROMPT]")
    head, arguments, tail = rest.partition("Arguments:\n")
    block, end, tail = tail.partition("\n\n")
    rows = [re.match(r"  (\S+)(?: <\S+>)? +(.+)", line) for line in block.splitlines()]
    pairs = [row.groups() for row in rows if row]
    width = max((len(name) for name, _ in pairs), default=0)
    block = "\n".join(f"  {name:{width}}  {about}" for name, about in pairs)
    return "".join([usage, gap, head, arguments, block, end, tail])


def _option(parameter: Any, context: Any) -> Option:
    is_of_chat = context.info_name == "chatrepl"
    is_flag = getattr(parameter, "is_flag", False)
    names = () if isinstance(parameter, TyperArgument) else tuple(parameter.opts)
    meaning = parameter.help or ""
    metavar = "" if is_flag else _metavar(parameter, context)
    if is_of_chat:
        meaning = FULLER.get(max(names, key=len), meaning)
        metavar = TAKES.get(max(names, key=len), metavar)
    default = parameter.default
    if is_of_chat and not is_flag:
        default = {field.name: field.default for field in fields(Settings)}.get(parameter.name)
    plain = default if isinstance(default, str | int) and not is_flag else ""
    return Option(names, metavar, _begun(meaning), str(plain), parameter.required)


def _metavar(parameter: Any, context: Any) -> str:
    """Give what an option takes as its line of --help shows it: choices, where it has no name."""
    shown: str = parameter.metavar or parameter.get_help_record(context)[0].rpartition(" ")[2]
    return shown.strip("[]<>")


def _begun(meaning: str) -> str:
    """Begin small and end without a full stop, as the cells of a table do."""
    text = meaning.removesuffix(".")
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def cell(text: str) -> str:
    """Make a text fit for a cell of a Markdown table; what is between ` stays as it is.

    >>> cell("a|b, check.*, `c|d*`")
    'a\\\\|b, check.\\\\*, `c\\\\|d*`'
    """
    parts = re.split(r"(`[^`]+`)", text.replace("|", "\\|"))
    for at, part in enumerate(parts):
        if not at % 2:
            parts[at] = re.sub(r"([*<>])", r"\\\1", part)
    return " ".join("".join(parts).split())


def code(text: str) -> str:
    """Give a text as code, or nothing of nothing."""
    return f"`{text}`" if text else ""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a table of Markdown."""
    lines = [list(head), ["---"] * len(list(head)), *(list(map(cell, row)) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def cli_page() -> str:
    """Give the page of the command line."""
    parts = ["# The command line\n", MADE.format("the options in chatrepl/cli_*.py"), CLI_HEAD]
    for one in helps():
        rows = ((_usage(each), each.meaning, code(each.default)) for each in one.options)
        parts += [
            f"## {one.name}\n",
            f"```text\n{one.text}\n```\n",
            table(("option", "meaning", "default"), rows),
            *([TAB] if one.name == "chatrepl" else []),
        ]
    return "\n".join(parts)


def _usage(option: Option) -> str:
    if not option.names:
        return code(option.metavar)
    *most, last = option.names
    return ", ".join(map(code, (*most, f"{last} {option.metavar}".rstrip())))


def commands_page() -> str:
    """Give the page of slash commands and keys."""
    rows = [
        (code(each.usage), ". ".join(filter(None, [each.help, FURTHER.get(each.name, "")])))
        for each in COMMANDS
    ]
    rows.append((code("//…"), "send a message that begins with `/`"))
    typed = ((", ".join(map(code, names.split(", "))), meaning) for names, meaning in keys.HELP)
    return "\n".join(
        [
            "# Slash commands and keys\n",
            MADE.format("chatrepl/terminal/commands.py, further.py and keys.py"),
            "`/help` lists them in a chat, and `/help COMMAND` says more of one.\n",
            "## Commands\n",
            table(("command", "meaning"), rows),
            "## Keys\n",
            table(("key", "does"), typed),
        ]
    )


def statuses() -> list[tuple[str, str]]:
    """Give the exit statuses, and what each means."""
    return re.findall(r"^  (\d+) +(.+)$", cli_chat.STATUSES, re.MULTILINE)


def exit_statuses_page() -> str:
    """Give the page of exit statuses."""
    return "\n".join(
        [
            "# Exit statuses\n",
            MADE.format("STATUSES in chatrepl/cli_chat.py"),
            table(("status", "meaning"), statuses()),
            cli_chat.STATUSES.strip().splitlines()[-1] + "\n",
            "`chatrepl doctor` ends with the status of the first thing that is wrong.\n",
            "What can go wrong, and what you see then, is in [faults.md](../faults.md).\n",
        ]
    )


def environment_page() -> str:
    """Give the page of the environment's variables."""
    rows = ((", ".join(map(code, names)), meaning) for names, meaning in VARIABLES)
    return "\n".join(
        [
            "# Environment\n",
            MADE.format("VARIABLES in chatrepl/cli_help.py"),
            "A variable goes before the config file and the persona, a flag before a variable.\n",
            table(("variable", "meaning"), rows),
            "A provider of the config file may name another one for its key, as `api_key_env`.\n",
        ]
    )


def index_page() -> str:
    """Give the list of pages."""
    lines = [f"- [{name}]({name}): {about}" for name, about in PAGES.items()]
    lines.append("- [chatrepl.1](../man/chatrepl.1): the manual page, for `man chatrepl`")
    return "\n".join(["# Reference\n", MADE.format("the code"), *lines, ""])


def pages() -> Mapping[Path, str]:
    """Give every file by its place in the project, and what it should hold."""
    made = {
        "README.md": index_page(),
        "cli.md": cli_page(),
        "commands.md": commands_page(),
        "config.md": config_page(MADE, cell, table),
        "environment.md": environment_page(),
        "exit-statuses.md": exit_statuses_page(),
    }
    found = {Path("docs/reference") / name: text for name, text in made.items()}
    return {**found, Path("docs/man/chatrepl.1"): manpage.page(helps(), statuses())}


def main(arguments: list[str]) -> int:
    """Write the files, or say which are not as they should be."""
    wrong = []
    for name, text in pages().items():
        file = ROOT / name
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        wrong.append(name)
        if "--check" not in arguments:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    for name in wrong:
        print(name)
    return 1 if wrong and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
