"""Showing a long text in the user's pager."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from chatrepl.errors import SettingsError
from chatrepl.terminal.children import ctrl_c_passed_on
from chatrepl.terminal.screen import Screen

_NOT_RUN = {126, 127}
"""What a shell says of a command that can't be run, or is not there."""


def pager(environment: Mapping[str, str]) -> str | None:
    """Give the command of the pager: PAGER, else less or more where there is one."""
    if named := environment.get("PAGER", "").strip():
        return named
    usual = {"less": "less -R", "more": "more"}
    return next((command for name, command in usual.items() if shutil.which(name)), None)


def page(text: str, screen: Screen) -> None:
    """Show a text, which is safe for a terminal, until the user has left the pager.

    Where the cursor can't be moved, or there is no pager, it is printed. Ctrl-C is the pager's.
    Raises SettingsError for a pager that can't be run.
    """
    command = pager(os.environ)
    if command is None or not screen.can_redraw:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with ctrl_c_passed_on():
        done = subprocess.run(  # noqa: S602 - the user's own command line, as they wrote it
            command,
            shell=True,
            input=text.encode(errors="replace"),
            env={"LESS": "-R", **os.environ},  # PAGER=less would show the colours as codes
            check=False,
        )
    if done.returncode in _NOT_RUN:
        raise SettingsError(f"The pager can't be run: {command}", "The variable PAGER names it.")
