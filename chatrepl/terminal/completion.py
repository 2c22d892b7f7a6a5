"""What Tab offers: a pure function of the line, and its adapter for prompt_toolkit."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from chatrepl.errors import ChatreplError
from chatrepl.terminal.paths import paths
from chatrepl.terminal.sanitize import clean

Values = Callable[[str], Iterable[tuple[str, str]]]
"""What an argument may be, given what is typed of it: values, each with a few words of help."""

# Both as a line is read when it is sent: see chatrepl.attaching, which a test holds this to.
_ATTACHED = re.compile(r"""(?<!\S)@("(?:[^"\\\n]|\\+(?!["\\])|(?:\\\\)*\\")*|[^\s"]*)\Z""")
_BARE = re.compile(r"""[^\s"'()<>\[\]{};,@][^\s"'()<>\[\]{};,]*(?<![.:!?])""")


class Completable(NamedTuple):
    """A command as completion sees it; `arguments` is None where it takes nothing."""

    name: str
    help: str
    arguments: Values | None


class Offer(NamedTuple):
    """One completion: the text that replaces the last `length` characters, and its help."""

    text: str
    length: int
    help: str


def begins_offer(line: str) -> bool:
    """Whether a line up to the cursor is one that may be completed: a command, a path behind @."""
    is_command = line.startswith("/") and not line.startswith("//") and "\n" not in line
    return is_command or _ATTACHED.search(line) is not None


def offers(line: str, commands: Iterable[Completable], files: Values = paths) -> Iterator[Offer]:
    """Complete a line up to the cursor: a command's name, its argument, the path behind an @.

    What begins with what is typed comes first, then what holds it.

    >>> commands = [Completable("model", "show or switch", lambda _: [("gpt-4", "8,192")])]
    >>> [offer.text for offer in offers("/mo", commands)]
    ['/model']
    >>> [offer.text for offer in offers("/model g", commands)]
    ['gpt-4']
    """
    if not begins_offer(line):
        return
    found = _ATTACHED.search(line)
    if found is not None:
        typed = found[1]
        for path, words in files(_unquoted(typed)):
            if "\n" not in path:  # which nothing can name in a line
                yield Offer(quoted(path), len(typed), words)
        return
    word, space, argument = line[1:].partition(" ")
    for command in commands:
        if not space:
            if command.name.startswith(word.lower()):
                yield Offer(f"/{command.name}", len(line), command.help)
        elif command.name == word.lower() and command.arguments is not None:
            for value, words in _fitting(command.arguments, argument):
                yield Offer(value, len(argument), words)


def quoted(path: str) -> str:
    r"""Write a path as it stands behind an @: in quotes if it must be; open, for a folder.

    >>> quoted("src/a.py"), quoted("a, b.py"), quoted("a b/")
    ('src/a.py', '"a, b.py"', '"a b/')
    >>> print(quoted('5" disk.txt'))
    "5\" disk.txt"
    """
    if _BARE.fullmatch(path):
        return path
    # As Windows' command lines have it: a backslash counts only before a quote.
    inside = re.sub(r'(\\*)"', r'\1\1\\"', path)
    if path.endswith("/"):
        return f'"{inside}'
    backslashes = len(inside) - len(inside.rstrip("\\"))
    return '"' + inside + "\\" * backslashes + '"'


def _unquoted(typed: str) -> str:
    if not typed.startswith('"'):
        return typed
    return re.sub(r'(\\+)"', lambda found: found[1][: len(found[1]) // 2] + '"', typed[1:])


def _fitting(arguments: Values, typed: str) -> list[tuple[str, str]]:
    """Give the values that fit what is typed; where they can't be told, there are none."""
    try:
        values = list(arguments(typed))
    except ChatreplError:
        return []
    start = typed.lower()
    begins = [pair for pair in values if pair[0].lower().startswith(start)]
    return begins + [pair for pair in values if start in pair[0].lower() and pair not in begins]


class CommandCompleter(Completer):
    """Completes slash commands and paths in the prompt."""

    def __init__(self, commands: Iterable[Completable]) -> None:
        self._commands = tuple(commands)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Give what fits before the cursor."""
        for offer in offers(document.text_before_cursor, self._commands):
            display = clean(offer.text)
            yield Completion(offer.text, -offer.length, display, display_meta=clean(offer.help))
