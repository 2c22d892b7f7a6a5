"""What the subcommands of the command line have in common."""

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


def new_app() -> typer.Typer:
    """Make a typer app: plain help, and errors that are ours to tell."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_NAMES,
    )
