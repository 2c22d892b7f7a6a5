"""Asking questions before there is a chat: at a terminal with completion, else line by line."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence

from chatrepl.errors import SettingsError
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

Check = Callable[[str], str]
"""Gives an answer as it is to be taken. Raises SettingsError for one that can't be."""


class Questions:
    """Asks on standard error; the answers come from the terminal, or are the lines of a pipe.

    At a terminal a bad answer is told and asked for again, and Ctrl-D leaves as Ctrl-C does. In a
    pipe nobody can be asked again: a bad answer, or none where one is needed, is a SettingsError.
    """

    def __init__(self) -> None:
        self.at_terminal = sys.stdin.isatty()
        self._accessible = Screen().accessible

    def say(self, *lines: str) -> None:
        """Say something between two questions."""
        for line in map(clean, lines):
            sys.stderr.write((line if self._accessible else _folded(line)) + "\n")
        sys.stderr.flush()

    def ask(  # noqa: PLR0913 - each is what some question needs
        self,
        question: str,
        default: str = "",
        check: Check = str,
        *,
        words: Sequence[str] = (),
        secret: bool = False,
        needed: bool = True,
    ) -> str:
        """Ask for a line; Enter alone is the default. `words` are completed."""
        shown = f"{clean(question)} [{clean(default)}]: " if default else f"{clean(question)}: "
        while True:
            answer = self._line(shown, words, secret=secret).strip() or default
            try:
                if not answer and needed:
                    raise SettingsError("An answer is needed here.")
                return check(answer) if answer else ""
            except SettingsError as error:
                if not self.at_terminal:
                    raise
                self.say(*filter(None, (error.text, error.hint)))

    def choose(self, question: str, choices: Mapping[str, str], default: str) -> str:
        """Let one of several be chosen by its name or number; each comes with a few words."""
        names, width = list(choices), max(map(len, choices))
        for number, (name, words) in enumerate(choices.items(), 1):
            if self._accessible:
                self.say(f"{number}: {name}, {words}")
            else:
                self.say(f"  {number}  {name:{width}}  {words}".rstrip())

        def read(answer: str) -> str:
            if answer.isdecimal() and 1 <= int(answer) <= len(names):
                return names[int(answer) - 1]
            if answer.lower() in choices:
                return answer.lower()
            raise SettingsError(f"'{answer}' is none of them: 1 to {len(names)}, or a name.")

        return self.ask(question, default, read, words=names)

    def _line(self, shown: str, words: Sequence[str], *, secret: bool) -> str:
        if not self.at_terminal:
            sys.stderr.write(shown)
            line = sys.stdin.readline()
            sys.stderr.write("\n")
            if not line:
                text = "The answers ended too early; nothing was written."
                raise SettingsError(text, "In a pipe there is one answer a line; see --help.")
            return line.lstrip("\ufeff")
        from prompt_toolkit import prompt  # noqa: PLC0415 - not needed in a pipe
        from prompt_toolkit.completion import WordCompleter  # noqa: PLC0415

        completer = WordCompleter(list(words), ignore_case=True, sentence=True) if words else None
        sys.stderr.flush()
        try:
            return prompt(shown, is_password=secret, completer=completer)
        except EOFError:
            raise KeyboardInterrupt from None


def _folded(line: str) -> str:
    """Fold a line between words at a terminal; what is in a list keeps its distance."""
    if not sys.stderr.isatty():
        return line
    width, indent = shutil.get_terminal_size().columns, " " * 5 if line.startswith(" ") else ""
    return textwrap.fill(line, max(20, width), subsequent_indent=indent, break_on_hyphens=False)
