"""`chatrepl doctor`: whether all that a chat needs is there."""

import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from chatrepl.cli_options import HELP_NAMES, BaseUrl, Config, Json, ProviderName, new_app
from chatrepl.paths import Paths
from chatrepl.terminal.screen import Screen, print_json

EPILOG = """\b
Exit status: 0 if nothing is wrong, else that of the first thing that is:
  1  the clock, a vocabulary, the database, the embedded model's file
  2  the config file, a setting, a key that is missing, the terminal
  3  the key was not accepted
  4  rate limit or quota
  8  network or server: proxy, TLS, endpoint, model, deployment, api-version
"""

app = new_app()


@app.command(epilog=EPILOG, context_settings=HELP_NAMES)
def doctor(
    provider: ProviderName = None,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", metavar="NAME", help="Model, or provider/model."),
    ] = None,
    base_url: BaseUrl = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Check all that a chat needs, and say what to do about what is wrong.

    Key, endpoint, model or deployment, proxy, TLS, clock, vocabulary, database, embedded model
    and terminal, and which file or variable each value comes from. The server is asked for its
    list of models; where that does not tell, for a reply of one token.
    """
    from chatrepl.checks import Doctor  # noqa: PLC0415 - --help needs none of it
    from chatrepl.settings import Flags  # noqa: PLC0415
    from chatrepl.terminal.checkup import show  # noqa: PLC0415

    screen, paths = Screen(), Paths.from_environment()
    flags = Flags(provider=provider, model=model, base_url=base_url)
    found = []
    with closing(Doctor(flags, config, os.environ, paths, screen, sys.stdout)) as checking:
        for finding in checking.findings():
            found.append(finding)
            if not as_json:
                show(finding, screen)
    if as_json:
        print_json([finding.as_dict() for finding in found])
    return next((finding.status for finding in found if finding.status), 0)
