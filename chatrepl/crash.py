"""What to say of a fault of our own: a line for the person, the traceback in a file."""

import traceback
from collections.abc import Callable
from pathlib import Path

from chatrepl.errors import ChatreplError


def unforeseen(error: Exception, folder: Path, hide: Callable[[str], str] = str) -> ChatreplError:
    """Write the traceback into `folder`, and give what a person should be told.

    `hide` takes the secrets out of a text: an exception may tell what a server has said.
    """
    said = " ".join(hide(str(error)).split())
    text = f"Something unforeseen went wrong: {type(error).__name__}: {said}"
    file = folder / "crash.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = hide("".join(traceback.format_exception(error)))
        file.write_text(lines, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ChatreplError(text, "Please report this.")
    return ChatreplError(text, f"Please report this, with {file}")
