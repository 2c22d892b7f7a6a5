"""The manual page, chatrepl(1), in roff's man macros, from what tools.reference has read.

Its date is that of the newest version that CHANGELOG.md dates, so that the same code gives the
same page on any day. See man(7) for the macros.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chatrepl import __version__
from chatrepl.cli_help import VARIABLES
from chatrepl.terminal import keys
from chatrepl.terminal.commands import COMMANDS
from chatrepl.terminal.further import FURTHER

if TYPE_CHECKING:
    from tools.reference import Help, Option

SUMMARY = "an interactive chat with a language model, inside its context window"

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"

DESCRIPTION = """\
On a terminal and without PROMPT, chatrepl is an interactive chat: it keeps the conversation \
inside the model's context window, says what it left out, and shows replies as Markdown while \
they stream. With PROMPT, or with standard input piped in, it gives one answer and exits.
The reply goes to standard output and nothing else does; notices and errors go to standard error.
A first word that is the name of a command runs that command; a prompt that begins with one \
needs -- before it.
"""

FILES = (
    ("~/.config/chatrepl/config.toml", "the settings; chatrepl init writes it"),
    ("~/.config/chatrepl/personas/NAME.toml", "a persona of your own"),
    ("~/.local/share/chatrepl/sessions.db", "every conversation that is kept"),
    ("~/.local/share/chatrepl/history", "what was typed at the prompt"),
    (
        "~/.local/share/chatrepl/calibrations.json",
        "what was learnt of how models count their tokens",
    ),
    ("~/.local/share/chatrepl/keyring.json", "whose keys are in the system keyring; no key"),
)

EXAMPLES = (
    ("An interactive chat:", "chatrepl"),
    ("One answer:", 'chatrepl "Why is the sky blue?"'),
    ("With what a program prints:", 'git diff | chatrepl "Write a commit message for this."'),
    ("As one object, for a script:", 'chatrepl --json "Name three rivers." | jq -r .reply'),
    ("With files:", "chatrepl -f a.py -f 'tests/*.py' \"Review this.\""),
    ("On with the last conversation:", 'chatrepl -c "And of Spain?"'),
    (
        "A server on this machine:",
        "chatrepl --base-url http://localhost:11434/v1 -m llama3.2",
    ),
)

_NAMED = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def escaped(text: str) -> str:
    r"""Give a text as roff reads it as it stands, in lines of a good length.

    >>> print(escaped("a -b \\ it's …"))
    a \-b \e it\(aqs \[u2026]
    >>> print(escaped(".TH"))
    \&.TH
    """
    lines = textwrap.wrap(text, 72, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^(?=[.])", r"\\&", "\n".join(map(_shown, lines)), flags=re.MULTILINE)


def _shown(line: str) -> str:
    return "".join(_NAMED.get(c) or (c if c.isascii() else f"\\[u{ord(c):04X}]") for c in line)


def _date() -> str:
    """Give the date of the newest version that has one, or nothing."""
    found = re.search(
        r"^## \[.+\] - ([\d-]+)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else ""


def page(commands: "Sequence[Help]", statuses: Iterable[tuple[str, str]]) -> str:
    """Give the whole page."""
    chat, *others = commands
    lines = [
        '.\\" Made by python -m tools.reference.',
        f'.TH CHATREPL 1 "{_date()}" "chatrepl {__version__}" "User Commands"',
        *(".SH NAME", f"chatrepl \\- {escaped(SUMMARY)}"),
        *(".SH SYNOPSIS", ".B chatrepl", ".RI [ OPTION ]...", ".RI [ PROMPT ]..."),
        *(".br", ".B chatrepl", ".I COMMAND", ".RI [ OPTION ]...", ".RI [ ARGUMENT ]..."),
        ".SH DESCRIPTION",
        *_paragraphs(DESCRIPTION.splitlines()),
        ".SH OPTIONS",
        *_options(chat.options),
        ".SH COMMANDS",
        *(line for each in others for line in _command(each)),
        ".SH IN THE CHAT",
        escaped("Any line but these is said. // sends a message that begins with /."),
    ]
    for command in COMMANDS:
        about = ". ".join(filter(None, [command.help, FURTHER.get(command.name, "")]))
        lines += _term(escaped(command.usage), about)
    lines += (".SS Keys", *(line for names, about in keys.HELP for line in _term(names, about)))
    lines.append(".SH FILES")
    lines.append("On Linux; CHATREPL_HOME puts all of them into one folder.")
    lines += (line for name, about in FILES for line in _term(_italic(name), about))
    lines.append(".SH ENVIRONMENT")
    for names, about in VARIABLES:
        lines += _term(", ".join(map(_bold, names)), about)
    lines.append(".SH EXIT STATUS")
    lines += (line for status, about in statuses for line in _term(_bold(status), about))
    lines += [".PP", escaped("chatrepl doctor ends with the status of the first thing wrong.")]
    lines.append(".SH EXAMPLES")
    for about, command_line in EXAMPLES:
        lines += [".TP", escaped(about), ".nf", _shown(command_line), ".fi"]
    lines += [".SH SEE ALSO", escaped("chatrepl --help, chatrepl doctor, and in a chat /help.")]
    lines += [".PP", escaped("The tutorial, guides and the reference are in docs/ of the project.")]
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    return f"\\fB{_shown(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{_shown(text)}\\fR"


def _term(term: str, about: str) -> list[str]:
    """Give a term, which is roff already, and what is said of it."""
    return [".TP", term, escaped(about)]


def _paragraphs(parts: Iterable[str]) -> list[str]:
    return [line for part in parts for line in (".PP", escaped(part))][1:]


def _options(options: "Iterable[Option]") -> list[str]:
    lines = []
    for option in options:
        term = ", ".join(map(_bold, option.names))
        if option.metavar:
            term = f"{term} {_italic(option.metavar)}".strip()
        default = f" (default: {option.default})" if option.default else ""
        lines += _term(term, option.meaning + default)
    return lines


def _command(command: "Help") -> list[str]:
    """Give a subcommand: its first paragraph of help, and its options but --help."""
    arguments = [each for each in command.options if not each.names]
    usage = " ".join(
        [
            _bold(command.name),
            *(
                _italic(one.metavar) if one.required else f"[{_italic(one.metavar)}]"
                for one in arguments
            ),
        ]
    )
    said = [" ".join(part.split()) for part in command.about.split("\n\n")]
    lines = [f'.SS "{usage}"', *_paragraphs(said)]
    return [*lines, *_options(each for each in command.options if "--help" not in each.names)]
