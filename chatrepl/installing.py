"""How what is missing is installed: with the Python that runs this, not that of the shell."""

import shlex
import sys
from contextlib import suppress
from pathlib import Path


def install(package: str, python: str = sys.executable) -> str:
    """Give the command that installs a package where this program finds it.

    `python` is told from the working directory where it is below that. An extra of ours goes by
    `chatrepl-terminal[EXTRA]`: where that is installed, be it from a clone, pip brings only what
    the extra needs.

    >>> install("chatrepl-terminal[pdf]", "/usr/bin/python3")
    "/usr/bin/python3 -m pip install 'chatrepl-terminal[pdf]'"
    """
    path = Path(python or "python")  # a frozen program may have none
    with suppress(ValueError, OSError):  # it is elsewhere; there is no directory any more
        path = path.relative_to(Path.cwd())
    return f"{shlex.quote(str(path))} -m pip install {shlex.quote(package)}"
