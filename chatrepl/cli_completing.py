"""What Tab offers behind `chatrepl` in a shell. No server is asked, and nothing is changed.

The script of a shell (chatrepl/data/completion.*) calls `chatrepl --complete SHELL LINE`, where
LINE is what is typed up to the cursor, and gets a line for each offer: the value, a tab, and what
is said of it. The line `files`, without a tab, asks the shell to offer files.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperArgument, TyperGroup

from chatrepl import cli_chat
from chatrepl.cli_shells import SHELLS
from chatrepl.paths import Paths
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.settings import Sources

_END = "\0"  # stands for the cursor: no line of a shell holds it
_SET = re.compile(r"[A-Za-z_]\w*=")
_LIST = "63"  # COMP_TYPE of bash where it shows what there is and inserts nothing
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


class Typed(NamedTuple):
    """A line up to the cursor, the word that is typed there, and three variables of bash."""

    line: str
    word: str
    kind: str = ""  # COMP_TYPE
    breaks: str = ""  # COMP_WORDBREAKS
    columns: str = ""


class Offer(NamedTuple):
    """One value that may follow, and a few words about it."""

    value: str
    help: str = ""


def answer(arguments: Sequence[str]) -> int:
    """Answer a shell: its name, the line, and of bash COMP_TYPE, COMP_WORDBREAKS and COLUMNS.

    Whatever goes wrong, nothing is said: somebody is in the middle of a line.
    """
    with suppress(Exception):
        shell, line, *more = arguments
        words, typed = split(line)
        known = Known(os.environ, Paths.from_environment())
        found = offers(words, typed, known)
        if found is None:
            lines = ["files"]
        elif shell == "bash":
            lines = _for_bash(_told(found), Typed(line, typed, *more))
        else:
            lines = [f"{value}\t{about}" for value, about in _told(found)]
        sys.stdout.writelines(f"{one}\n" for one in lines)
        sys.stdout.flush()
    return 0


def split(line: str) -> tuple[list[str], str]:
    """Split a line as a shell does, into the words before the cursor's and what is typed of that.

    The command itself and what is set for it (NAME=…) are left out. A quote may be open.

    >>> split("chatrepl -p 'my per")
    (['-p'], 'my per')
    >>> split("NO_COLOR=1 chatrepl -p ")
    (['-p'], '')
    """
    lexer = shlex.shlex(line + _END, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # a quote is open: what is in it so far
        words.append(lexer.token)
    while len(words) > 1 and _SET.match(words[0]):
        del words[0]
    return words[1:-1], words[-1].rstrip(_END)


@dataclass(frozen=True)
class Known:
    """What there is to name, by the settings and the sessions; `config` is that of --config."""

    environment: Mapping[str, str]
    paths: Paths
    config: Path | None = None

    @cached_property
    def _sources(self) -> "Sources":
        from chatrepl.settings import Flags, read_sources  # noqa: PLC0415 - most ask for options

        return read_sources(Flags(), self.config, self.environment, self.paths)

    def personas(self) -> Iterator[Offer]:
        """Name the personas."""
        for name, words, _ in self._sources.shelf.described():
            yield Offer(name, words)

    def providers(self) -> Iterator[Offer]:
        """Name the providers, with what they speak or where they are."""
        for name, table in self._sources.providers.items():
            yield Offer(name, table.base_url or table.kind or "openai")

    def models(self) -> Iterator[Offer]:
        """Name the models of the settings, and those that the last sessions were held with."""
        from chatrepl.chat.catalogue import DEFAULT_MODEL  # noqa: PLC0415 - see `_sources`
        from chatrepl.providers import smollm2  # noqa: PLC0415
        from chatrepl.store.glimpse import newest  # noqa: PLC0415

        names = {f"embedded/{smollm2.NAME}": "on this machine"}
        for session in newest(self.paths.sessions):
            if session.provider and session.model:
                names.setdefault(f"{session.provider}/{session.model}", "asked before")
        with suppress(Exception):  # of a bad config file; the other names are there all the same
            names |= dict.fromkeys(self._sources.file.models, "in the config file")
            for name, table in self._sources.providers.items():
                names |= {f"{name}/{model}": "deployment" for model in table.deployments}
        names.setdefault(DEFAULT_MODEL, "of OpenAI")
        yield from map(Offer, names, names.values())

    def sessions(self) -> Iterator[Offer]:
        """Name the newest sessions by their ids, with their titles."""
        from chatrepl.store.glimpse import newest  # noqa: PLC0415 - see `_sources`

        for session in newest(self.paths.sessions):
            yield Offer(session.id, session.title)

    def parameters(self) -> Iterator[Offer]:
        """Name the parameters of --set."""
        from chatrepl.config import PARAMETERS  # noqa: PLC0415 - see `_sources`

        yield from (Offer(f"{name}=") for name in PARAMETERS)


def _words(*words: str) -> Callable[[Known], Iterator[Offer]]:
    return lambda _: map(Offer, words)


VALUES: Mapping[str, Callable[[Known], Iterable[Offer]]] = {
    "persona": Known.personas,
    "name": Known.personas,  # of `chatrepl personas`
    "provider": Known.providers,
    "model": Known.models,
    "resume": Known.sessions,
    "session": Known.sessions,
    "pairs": Known.parameters,
    "reasoning_effort": _words(*_EFFORTS),
}
"""What an option or an argument takes, by the name of its parameter."""

OF_FILES = frozenset({"files", "load", "config", "schema", "out"})
"""Those that take a file."""


@dataclass
class _Place:
    """Where in the command line the cursor is, after the words before it.

    `given` has options by the names of their parameters, and one that is not known by its own.
    `awaited` is the option whose value comes next, `count` how many arguments there were, and
    `is_open` whether options may follow: there was no --.
    """

    command: Any
    given: dict[str, str] = field(default_factory=dict)
    awaited: Any = None
    count: int = 0
    is_open: bool = True

    def option(self, name: str) -> Any:
        """Give the option of a name, or None."""
        return next((each for each in self.command.params if name in each.opts), None)

    def read(self, word: str) -> tuple[Any, str, str]:
        """Read an option: itself or None, what of the word is its value, and what is before that.

        Short flags may stand before a short one, and its value behind it: -qpNAME.
        """
        if word.startswith("--"):
            name, joined, value = word.partition("=")
            return self.option(name), value, name + joined
        for at in range(1, len(word)):
            option = self.option(f"-{word[at]}")
            if option is None or not option.is_flag:
                return option, word[at + 1 :], word[: at + 1]
            self.given[option.name] = ""
        return None, "", word

    def takes(self, command: Any) -> bool:
        """Whether a subcommand takes all the options that stand before it."""
        return set(self.given) <= {each.name for each in command.params}


def offers(words: Sequence[str], typed: str, known: Known) -> list[Offer] | None:
    """Give what may follow `words` and begins with what is `typed`, or None for files.

    Raises ChatreplError for a bad config file.
    """
    commands = cli_chat.commands()
    place = _after(words, commands)
    known = Known(known.environment, known.paths, _config(place, known))
    if place.awaited is not None:
        return _values(place, place.awaited, typed, known)
    if place.is_open and typed.startswith("-"):
        option, value, before = place.read(typed)
        if value or before.endswith("="):
            found = _values(place, option, value, known)
            return found and [Offer(before + one, how) for one, how in found]
        return _beginning(typed, _options(place))
    if isinstance(place.command, TyperGroup):
        return _beginning(typed, _subcommands(place.command.commands))
    if place.command is commands[""]:
        if {"install_completion", "show_completion"} & set(place.given):
            return _beginning(typed, map(Offer, SHELLS))
        is_first = place.is_open and not place.count
        rest = {name: each for name, each in commands.items() if name and place.takes(each)}
        return _beginning(typed, _subcommands(rest if is_first else {}))
    arguments = [each for each in place.command.params if isinstance(each, TyperArgument)]
    taken = arguments[place.count :] or [each for each in arguments[-1:] if each.nargs == -1]
    return _values(place, taken[0], typed, known) if taken else []


def _after(words: Sequence[str], commands: Mapping[str, Any]) -> _Place:
    place = _Place(commands[""])
    for word in words:
        inner = commands if place.command is commands[""] else {}
        if isinstance(place.command, TyperGroup):
            inner = place.command.commands
        if place.awaited is not None:
            place.given[place.awaited.name] = word
            place.awaited = None
        elif place.is_open and word == "--":
            place.is_open = False
        elif place.is_open and word.startswith("-"):
            option, value, before = place.read(word)
            if option is not None and not option.is_flag and not value and before[-1] != "=":
                place.awaited = option
            place.given[option.name if option else word] = value
        elif place.is_open and not place.count and word and word in inner:
            place.command = inner[word]
        else:
            place.count += 1
    return place


def _config(place: _Place, known: Known) -> Path | None:
    return Path(place.given["config"]) if "config" in place.given else known.config


def _values(place: _Place, parameter: Any, typed: str, known: Known) -> list[Offer] | None:
    """Give what an option or an argument may be; None for files."""
    if parameter is None or getattr(parameter, "is_flag", False):
        return []
    is_path = parameter.name == "model" and re.match(r"[.~/]", typed)
    if parameter.name in OF_FILES or is_path:
        return None
    if parameter.name in VALUES:
        return _beginning(typed, VALUES[parameter.name](known))
    # Those of a Literal; to make a context by parsing would load pydantic.
    choices = parameter.shell_complete(typer.Context(place.command), typed)
    return [Offer(item.value) for item in choices if item.type == "plain"]


def _options(place: _Place) -> Iterator[Offer]:
    """Name the options that have not been given yet, or may be again."""
    for each in place.command.params:
        if isinstance(each, TyperArgument) or each.hidden:
            continue
        if each.name not in place.given or each.multiple:
            yield Offer(max(each.opts, key=len), each.help or "")
    yield Offer("--help", "Show this message and exit.")


def _subcommands(commands: Mapping[str, Any]) -> Iterator[Offer]:
    for name, command in commands.items():
        yield Offer(name, (command.help or "").split("\n")[0])


def _beginning(typed: str, found: Iterable[Offer]) -> list[Offer]:
    return [offer for offer in found if offer.value.startswith(typed)]


def _told(found: Iterable[Offer]) -> list[Offer]:
    """Make offers fit for a terminal; one whose value is not is left out."""
    return [
        Offer(value, " ".join(clean(about).split()))
        for value, about in found
        if value.isprintable()
    ]


def _for_bash(found: Sequence[Offer], typed: Typed) -> list[str]:
    """Give offers as COMPREPLY takes them; where bash only lists them, with what is said of each.

    bash replaces what is behind the last of the characters at which it breaks words.
    """
    if typed.kind == _LIST and len(found) > 1:
        width = max(len(value) for value, _ in found)
        room = max(int(typed.columns or 80) - 2, width)
        shown = (f"{value:{width}}  ({about})" if about else value for value, about in found)
        return [line[:room] for line in shown]
    cut = max((typed.word.rfind(mark) for mark in ":=" if mark in typed.breaks), default=-1) + 1
    rest = [value[cut:] for value, _ in found]
    quote = re.search(r"""(?:^|\s|=)(["'])[^"']*$""", typed.line)  # one that is open
    if quote is not None and quote[1] == "'":
        return [value for value in rest if "'" not in value]
    special = r"""([\\$`"])""" if quote is not None else r"([^\w@%+=:,./-])"
    return [re.sub(special, r"\\\1", value) for value in rest]
