"""What Tab offers: a pure function of the line, and its adapter for prompt_toolkit."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from chatrepl.errors import ChatreplError

Values = Callable[[], Iterable[tuple[str, str]]]
"""What an argument may be: values, each with a few words of help."""


class Completable(NamedTuple):
    """A command as completion sees it; `arguments` is None where it takes free text or nothing."""

    name: str
    help: str
    arguments: Values | None


class Offer(NamedTuple):
    """One completion: the text that replaces the last `length` characters, and its help."""

    text: str
    length: int
    help: str


def offers(line: str, commands: Iterable[Completable]) -> Iterator[Offer]:
    """Complete a line up to the cursor: a command's name, then its argument.

    >>> commands = [Completable("model", "show or switch", lambda: [("gpt-4", "8,192")])]
    >>> [offer.text for offer in offers("/mo", commands)]
    ['/model']
    >>> [offer.text for offer in offers("/model g", commands)]
    ['gpt-4']
    """
    if not line.startswith("/") or line.startswith("//") or "\n" in line:
        return
    word, space, argument = line[1:].partition(" ")
    for command in commands:
        if not space:
            if command.name.startswith(word.lower()):
                yield Offer(f"/{command.name}", len(line), command.help)
        elif command.name == word.lower() and command.arguments is not None:
            for value, words in _values(command.arguments):
                if value.lower().startswith(argument.lower()):
                    yield Offer(value, len(argument), words)


def _values(arguments: Values) -> Iterable[tuple[str, str]]:
    """Give what an argument may be; where that can't be told, nothing is offered."""
    try:
        return list(arguments())
    except ChatreplError:
        return []


class CommandCompleter(Completer):
    """Completes slash commands in the prompt."""

    def __init__(self, commands: Iterable[Completable]) -> None:
        self._commands = tuple(commands)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Give what fits before the cursor."""
        for offer in offers(document.text_before_cursor, self._commands):
            yield Completion(offer.text, -offer.length, display_meta=offer.help)
