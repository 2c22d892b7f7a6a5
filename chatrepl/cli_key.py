"""`chatrepl key`: the keys of providers, kept in the system keyring."""

import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from chatrepl.cli_options import HELP_NAMES, Config, Json, new_app
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen, print_json

if TYPE_CHECKING:
    from chatrepl.store.keys import Keys

app = new_app()


@app.callback()
def key() -> None:
    """Keep the keys of providers in the system keyring."""


_KeyOf = Annotated[str, typer.Argument(metavar="PROVIDER", help="Whose key it is.")]


@app.command(
    "set",
    context_settings={**HELP_NAMES, "allow_extra_args": True, "ignore_unknown_options": True},
)
def set_key(
    context: typer.Context,
    provider: _KeyOf,
    config: Config = None,
) -> int:
    """Keep a key: it is typed without being shown, or is the first line of a pipe."""
    if context.args:
        text = "The key is no argument: others can read those. Nothing was kept."
        raise SettingsError(text, "Type it when it is asked for, after: chatrepl key set PROVIDER")
    from chatrepl.settings import Flags, named, read_sources  # noqa: PLC0415

    paths = Paths.from_environment()
    known = read_sources(Flags(), config, os.environ, paths).providers
    if named(provider, known, "provider", "key set").kind == "embedded":
        raise SettingsError("The embedded model needs no key.")
    keys = _keys()
    keyring = keys.check(provider)
    keys.keep(provider, _typed_key(provider))
    Screen().notice(f"The key of '{provider}' is kept in the system keyring ({keyring}).")
    return 0


@app.command("rm", context_settings=HELP_NAMES)
def remove_key(provider: _KeyOf) -> int:
    """Remove a key."""
    _keys().forget(provider)
    Screen().notice(f"The key of '{provider}' is removed from the system keyring.")
    return 0


@app.command("list", context_settings=HELP_NAMES)
def list_keys(as_json: Json = False) -> int:
    """List the providers whose keys are kept."""
    names = _keys().names
    if as_json:
        print_json([{"provider": name} for name in names])
    elif names:
        text = "\n".join(names)
        print(clean(text) if sys.stdout.isatty() else text)
    else:
        Screen().notice("No key is kept in the system keyring.")
    return 0


def _keys() -> "Keys":
    from chatrepl.store.keys import Keys  # noqa: PLC0415 - --help needs none of it

    return Keys(Paths.from_environment().kept_keys)


def _typed_key(provider: str) -> str:
    """Read a key, from a terminal without showing it. Raises SettingsError if it can be none."""
    from chatrepl.store.keys import checked_key  # noqa: PLC0415 - see `_keys`

    if sys.stdin.isatty():
        try:
            typed = getpass.getpass(f"Key of {provider} (it is not shown): ")
        except EOFError:
            typed = ""
    else:
        typed = sys.stdin.buffer.readline().decode("utf-8-sig", errors="replace")
    typed = typed.strip()
    if not typed:
        raise SettingsError("The key is empty: nothing was kept.")
    return checked_key(typed)
