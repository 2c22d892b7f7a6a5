"""`chatrepl --install-completion` and `--show-completion`: Tab in bash, zsh and fish."""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.posix import LOGIN_SHELLS

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


def installed(
    shell: str,
    home: Path,
    environment: Mapping[str, str],
    paths: Paths,
    *,
    login: bool = LOGIN_SHELLS,
) -> list[str]:
    """Write the script for a shell where that reads it, and give what is to be said of it.

    fish has a folder for such files. bash and zsh have one only with something else installed, or
    set up: there the file is among the data, and a line of the shell's own file reads it. Done
    again, it changes nothing; a line that reads another file of ours is replaced. `login` is
    whether terminals start login shells. Raises SettingsError.
    """
    if shell == "fish":
        folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        file, start = folder / "fish" / "completions" / "chatrepl.fish", None
    else:
        file = (paths.data / f"completion.{shell}").absolute()  # it is read from anywhere
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
    if shell == "bash" and login:
        said.append(f"Terminals start login shells here: {home / '.bash_profile'} has to read it.")
    new = "bash (4.4 or newer)" if shell == "bash" else shell
    undo = "that line and that file" if start else "that file"
    return [*said, f"A new {new} completes chatrepl by Tab. To undo it, remove {undo}."]


def _with_line(start: Path, file: Path) -> str:
    """Have a shell read a file when it starts, and say so; bytes that are no UTF-8 stay."""
    name = shlex.quote(str(file))
    line = f"[ ! -r {name} ] || . {name}  # chatrepl".encode()
    before = start.read_bytes() if start.exists() else b""
    ours = re.compile(rb"^\[ [^\n]*/completion\.\w+'?  # chatrepl$", re.MULTILINE)
    if ours.findall(before) == [line]:
        return f"{start} reads it already."
    if ours.search(before):
        _replace(start, ours.sub(lambda _: line, before))
        return f"{start} reads it now, where it read another: the line ends in '# chatrepl'."
    with start.open("ab") as end:
        gap = b"" if before.endswith(b"\n") or not before else b"\n"
        end.write(gap + line + b"\n")
    return f"{start} has a new last line, which reads it and ends in '# chatrepl'."


def _replace(file: Path, data: bytes) -> None:
    """Write a file anew so that it is never half written; behind a link, what that points to."""
    file = file.resolve()
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        new.write_bytes(data)
        shutil.copymode(file, new)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


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
