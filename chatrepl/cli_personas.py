"""`chatrepl personas`: which there are, and one whole."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatrepl.cli_options import HELP_NAMES, Config, Json, new_app
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen, print_json

if TYPE_CHECKING:
    from chatrepl.personas import Shelf

app = new_app()


@app.command(context_settings=HELP_NAMES)
def personas(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The one to show.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """List the personas, or show one whole as TOML. What is wrong with one is said.

    They are built in, of the config file, or each in a file of its own: personas/NAME.toml
    beside the config file.
    """
    from chatrepl.settings import Flags, read_sources  # noqa: PLC0415

    shelf = read_sources(Flags(), config, os.environ, Paths.from_environment()).shelf
    screen = Screen()
    if name is not None:
        if as_json:
            print_json({"name": name, "from": shelf.origin(name), **shelf.whole(name)})
        else:
            text = shelf.text(name)
            print(clean(text) if screen.on_terminal else text, end="")
            sys.stdout.flush()  # what is wrong with it comes after it
        shelf.check(name)
    elif as_json:
        print_json([_as_dict(each, shelf) for each in shelf.names])
    else:
        rows = [tuple(map(clean, row)) for row in shelf.described(whole=screen.accessible)]
        if screen.on_terminal:
            from chatrepl.terminal.tables import show_pairs  # noqa: PLC0415 - imports rich

            gap = " " if screen.accessible else "  "
            pairs = ((name, f"{words}{gap}({origin})") for name, words, origin in rows)
            show_pairs(pairs, screen)
        else:
            print("\n".join("\t".join(row) for row in rows))
    return 0


def _as_dict(name: str, shelf: "Shelf") -> dict[str, Any]:
    """Give a persona whole, or under "wrong" why it can't be."""
    head = {"name": name, "from": shelf.origin(name)}
    try:
        shelf.check(name)
        return {**head, **shelf.whole(name)}
    except SettingsError as error:
        return {**head, "wrong": error.text}
