"""The two consoles, and the few shapes in which the program speaks for itself."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatrepl.errors import ChatreplError
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from rich.console import Console


class Screen:
    """Standard output for what the model says, standard error for what the program says.

    rich is imported when something is first shown: the prompt does not wait for it. Text from
    outside never goes through rich's markup.

    While something is being drawn, `above` is what shows a notice without spoiling it; it may be
    called from any thread, and shows it with `say`.

    `accessible` says that it is read by a screen reader: lines in their order, nothing drawn anew,
    no columns. The variable ACCESSIBLE says so too, unless it is empty or 0.
    """

    def __init__(self, *, accessible: bool = False) -> None:
        self.accessible = accessible or os.environ.get("ACCESSIBLE", "0") not in {"", "0"}
        self.above: Callable[[str], None] | None = None
        self._out: Console | None = None
        self._err: Console | None = None

    @property
    def on_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return sys.stdout.isatty()

    @property
    def can_redraw(self) -> bool:
        """Whether it is one whose cursor can be moved."""
        return self.on_terminal and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}

    @property
    def out(self) -> "Console":
        """Standard output."""
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out

    @property
    def err(self) -> "Console":
        """Standard error."""
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def notice(self, line: str) -> None:
        """Say a dim line, above what is being drawn."""
        above = self.above
        if above is not None:
            above(line)
        else:
            self.say(line)

    def say(self, line: str) -> None:
        """Say a dim line where the cursor is."""
        self._say(line, "dim")

    def error(self, error: ChatreplError) -> None:
        """Say what went wrong, and on a second line what to do next."""
        self._say(f"Error: {error.text}" if self.accessible else error.text, "red")
        if error.hint:
            self._say(error.hint, "dim")

    def _say(self, line: str, style: str) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(clean(line) + "\n")
            return
        from rich.text import Text  # noqa: PLC0415 - see the class

        self.err.print(Text(clean(line), style="" if self.accessible else style))


# What rich's own styles of Markdown get wrong on a light background, or louder than the text.
_STYLES = {
    "markdown.code": "cyan",
    "markdown.block_quote": "italic",
    "markdown.h1": "bold underline",
    "markdown.h2": "bold",
    "markdown.h3": "bold",
    "markdown.h4": "italic",
    "markdown.item.number": "default",
    "markdown.link": "default",
    "markdown.link_url": "blue underline",
    "markdown.table.header": "bold",
    "markdown.table.border": "dim",
}


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console, ConsoleDimensions  # noqa: PLC0415 - see the class
    from rich.theme import Theme  # noqa: PLC0415

    console = Console(
        stderr=stderr, highlight=False, markup=False, emoji=False, theme=Theme(_STYLES)
    )
    if console.is_dumb_terminal:  # rich takes every such one to have 80 columns
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console


def print_json(value: object) -> None:
    """Print JSON, with no control sequence in it for a terminal."""
    import json  # noqa: PLC0415 - the first prompt does not wait for it

    text = json.dumps(value, ensure_ascii=False, indent=2)
    print(clean(text) if sys.stdout.isatty() else text)
