"""What the subcommands of the command line have in common."""

import re
import textwrap
from pathlib import Path
from typing import Annotated

import typer

HELP_NAMES = {"help_option_names": ["-h", "--help"]}

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Config file to read instead of the usual one."),
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="NAME", help="openai, azure, embedded, or one of the config file."
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Where an OpenAI-compatible API is."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_PLAINLY = (
    (r"Input should be less than or equal to (.+)", r"it may be \1 at most."),
    (r"Input should be greater than or equal to (.+)", r"it must be \1 at least."),
    (r"Input should be a valid integer.*", "a whole number is needed."),
    (r"Input should be a valid number.*", "a number is needed."),
    (r"Value error, ", ""),
)


def plainly(words: str) -> str:
    """Put what typer's validator says of a value into words of ours.

    >>> plainly("Invalid value for '--temperature': Input should be less than or equal to 2")
    "Invalid value for '--temperature': it may be 2 at most."
    """
    for theirs, ours in _PLAINLY:
        words = re.sub(theirs, ours, words)
    return words


def narrowed(text: str, width: int) -> str:
    """Break the lines of a help text that are too wide for the screen; a list keeps its columns.

    >>> print(narrowed("  models [TEXT]  list the models that there are", 40))
      models [TEXT]  list the models that
                     there are
    """
    lines = []
    for line in text.split("\n"):
        term = re.match(r" *(?:\S+ )*\S+ {2,}(?=\S)| *", line)
        indent = term.end() if term and term.end() <= width // 2 else 4
        lines += textwrap.wrap(
            line, max(width, 20), subsequent_indent=" " * indent, break_on_hyphens=False
        ) or [""]
    return "\n".join(lines)


def new_app() -> typer.Typer:
    """Make a typer app: plain help, and errors that are ours to tell."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_NAMES,
    )
