"""`chatrepl --install-completion` and `--show-completion`: Tab in bash, zsh and fish."""

import os
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from chatrepl.errors import SettingsError
from chatrepl.paths import Paths

SHELLS = ("bash", "zsh", "fish")


def completion(named: str | None, *, install: bool) -> int:
    """Print the script that completes in a shell, or install it and say what was written where.

    Without a name it is for the shell that has started the program. Raises SettingsError.
    """
    shell = _shell(named)
    if install:
        paths = Paths.from_environment()
        print(*installed(shell, Path.home(), os.environ, paths), sep="\n")
    else:
        print(script(shell), end="")
    return 0


def script(shell: str) -> str:
    """Give the script for a shell, one of SHELLS."""
    file = resources.files("chatrepl.data") / f"completion.{shell}"
    return file.read_text(encoding="utf-8")


def installed(shell: str, home: Path, environment: Mapping[str, str], paths: Paths) -> list[str]:
    """Write the script for a shell where that reads it, and give what is to be said of it.

    fish has a folder for such files. bash and zsh have one only with something else installed, or
    set up: there the file is among the data, and a line at the end of the shell's own file reads
    it. Done again, it changes nothing. Raises SettingsError.
    """
    if shell == "fish":
        folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        file, start = folder / "fish" / "completions" / "chatrepl.fish", None
    else:
        file = paths.data / f"completion.{shell}"
        start = home / ".bashrc"
        if shell == "zsh":
            start = Path(environment.get("ZDOTDIR") or home) / ".zshrc"
    said = []
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script(shell), encoding="utf-8")
        said.append(f"{file} is written.")
        if start is not None:
            said.append(_with_line(start, file))
    except OSError as error:
        text = f"{error.filename or file} can't be written: {error.strerror}."
        hint = f"chatrepl --show-completion {shell} prints the script, to be put elsewhere."
        raise SettingsError(text, hint) from error
    undo = "that line and that file" if start else "that file"
    return [*said, f"A new {shell} completes chatrepl by Tab. To undo it, remove {undo}."]


def _with_line(start: Path, file: Path) -> str:
    """Have a shell read a file when it starts, and say so; bytes that are no UTF-8 stay."""
    name = shlex.quote(str(file))
    line = f"[ -r {name} ] && . {name}  # chatrepl"
    before = start.read_bytes() if start.exists() else b""
    if line.encode() in before.splitlines():
        return f"{start} reads it already."
    with start.open("ab") as end:
        gap = b"" if before.endswith(b"\n") or not before else b"\n"
        end.write(gap + line.encode() + b"\n")
    return f"{start} has a new last line, which reads it and ends in '# chatrepl'."


def _shell(named: str | None) -> str:
    """Give the shell that is meant. Raises SettingsError if it is none of SHELLS."""
    shell = named if named is not None else _running_shell()
    if shell in SHELLS:
        return shell
    text = f"There is no completion for the shell '{shell}'." if shell else "Which shell is it?"
    raise SettingsError(text, f"Name one of {', '.join(SHELLS)}: chatrepl --install-completion zsh")


def _running_shell() -> str:
    """Give the shell that has started the program, else the one that the user logs in with."""
    import shellingham  # noqa: PLC0415 - only needed here

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        return Path(os.environ.get("SHELL", "")).name
