"""The two consoles, and the few shapes in which the program speaks for itself."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from chatrepl.errors import ChatreplError
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.theme import Theme, from_environment

if TYPE_CHECKING:
    from rich.console import Console


class Screen:
    """Standard output for what the model says, standard error for what the program says.

    rich is imported when something is first shown: the prompt does not wait for it. Text from
    outside never goes through rich's markup.

    While something is being drawn, `above` is what shows a notice without spoiling it; it may be
    called from any thread, and shows it with `say`. `theme` says how everything looks. A `quiet`
    one shows errors only.

    `accessible` says that it is read by a screen reader: lines in their order, nothing drawn anew,
    no columns. The variable ACCESSIBLE says so too, unless it is empty or 0.
    """

    def __init__(self, *, accessible: bool = False) -> None:
        self.accessible = accessible or os.environ.get("ACCESSIBLE", "0") not in {"", "0"}
        self.quiet = False
        self.above: Callable[[str], None] | None = None
        self.theme = Theme(from_environment(os.environ))
        self._consoles: dict[str, Console] = {}
        self._shown: dict[str, Mapping[str, str]] = {}  # the styles that each has

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
        return self._console("out")

    @property
    def err(self) -> "Console":
        """Standard error."""
        return self._console("err")

    def notice(self, line: str) -> None:
        """Say a dim line, above what is being drawn."""
        if not self.quiet:
            self.show(line)

    def show(self, line: str) -> None:
        """Say a dim line as a notice is said, though it be quiet."""
        above = self.above
        if above is not None:
            above(line)
        else:
            self.say(line)

    def say(self, line: str) -> None:
        """Say a dim line where the cursor is."""
        self._say(line, "notice")

    def error(self, error: ChatreplError) -> None:
        """Say what went wrong, and on a second line what to do next, or who knows more.

        Each is one line, though a file's name in it may have a line end.
        """
        text = error.text.replace("\n", "\\n")
        self._say(f"Error: {text}" if self.accessible else text, "error")
        more = "More: chatrepl doctor" if error.checkable else ""
        if hint := f"{error.hint} {more}".strip():
            self._say(hint.replace("\n", "\\n"), "hint")

    def _say(self, line: str, style: str) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(clean(line) + "\n")
            return
        from rich.text import Text  # noqa: PLC0415 - see the class

        self.err.print(Text(clean(line), style="" if self.accessible else style))

    def _console(self, name: str) -> "Console":
        """Give a console, in the styles that hold now."""
        from rich.theme import Theme as Styles  # noqa: PLC0415 - see the class

        styles = self.theme.styles
        if name not in self._consoles:
            from rich.console import Console, ConsoleDimensions  # noqa: PLC0415

            is_err = name == "err"
            self._consoles[name] = Console(
                stderr=is_err, highlight=False, markup=False, emoji=False, theme=Styles(styles)
            )
            if self._consoles[name].is_dumb_terminal:  # rich takes all of them to have 80 columns
                self._consoles[name].size = ConsoleDimensions(*shutil.get_terminal_size())
        elif self._shown[name] is not styles:
            self._consoles[name].push_theme(Styles(styles), inherit=False)
        self._shown[name] = styles
        return self._consoles[name]


def print_json(value: object) -> None:
    """Print JSON, with no control sequence in it for a terminal."""
    import json  # noqa: PLC0415 - the first prompt does not wait for it

    text = json.dumps(value, ensure_ascii=False, indent=2)
    print(clean(text) if sys.stdout.isatty() else text)
