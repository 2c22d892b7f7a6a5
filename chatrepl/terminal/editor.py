"""Writing in the user's own editor."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from chatrepl.errors import SettingsError
from chatrepl.posix import IS_POSIX
from chatrepl.terminal.children import ctrl_c_passed_on

_USUAL = ("editor", "nano", "vi", "notepad")
_CHOOSE = "Set the variable VISUAL or EDITOR to the one you use."


def edit(text: str, suffix: str = ".md") -> str:
    """Give a text as it is when the editor has ended, less the line end that editors add.

    The editor is $VISUAL, $EDITOR or a usual one; it has the terminal, which must be as a program
    expects it. Raises SettingsError where there is no editor, it fails, or what it leaves is no
    UTF-8.
    """
    command = _command()
    descriptor, name = tempfile.mkstemp(suffix, "chatrepl-")  # read by its owner alone
    file = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as new:
            new.write(text)
        try:
            with ctrl_c_passed_on():
                status = subprocess.call([*command, name])  # noqa: S603 - the user's own choice
        except OSError as error:
            said = f"The editor '{command[0]}' can't be run: {error.strerror}."
            raise SettingsError(said, _CHOOSE) from error
        if status:  # above 0 it is often the user who would not: `:cq`
            said = f"The editor '{command[0]}' ended with status {status}: nothing was changed."
            raise SettingsError(said, "" if status > 0 else _CHOOSE)
        return file.read_bytes().decode().replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        said = f"What the editor '{command[0]}' left is no UTF-8: nothing was changed."
        raise SettingsError(said, "Save it as UTF-8.") from error
    finally:
        file.unlink(missing_ok=True)


def _command() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        if chosen := os.environ.get(variable, "").strip():
            try:
                return shlex.split(chosen, posix=IS_POSIX)
            except ValueError as error:
                said = f"The variable {variable} can't be read: {error}."
                raise SettingsError(said, _CHOOSE) from error
    for name in _USUAL:
        if shutil.which(name):
            return [name]
    raise SettingsError("There is no editor.", _CHOOSE)
