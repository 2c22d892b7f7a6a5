"""Tab in bash, zsh and fish themselves: the script is read, and the shell is asked to complete."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from chatrepl.cli_shells import SHELLS, installed, script
from chatrepl.paths import Paths
from tests.support.program import environment, run
from tests.test_cli import assert_refused

CONFIG = """
[personas.teacher]
system = '$(touch pwned) `touch pwned` "; touch pwned'
[personas.'$(touch pwned)']
system = "x"
[personas.'my own:']
system = "x"
"""

NEEDS = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in SHELLS
}
TUTOR = "--persona=tutor\tYou are a patient tutor. Do not hand out the solution: find…"
each_shell = pytest.mark.parametrize(
    "shell", [pytest.param(shell, marks=NEEDS[shell]) for shell in SHELLS]
)


@pytest.fixture
def variables(home: Path) -> dict[str, str]:
    """An environment in which `chatrepl` is the program under test."""
    folder = home / "bin"
    folder.mkdir()
    program = folder / "chatrepl"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m chatrepl "$@"\n')
    program.chmod(0o755)
    config = home / "chatrepl" / "config"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(CONFIG)
    (home / "a file.txt").touch()
    path = f"{folder}:{os.environ['PATH']}"
    return environment(home, {"PATH": path, "PYTHONPATH": str(Path.cwd())})


def ran(command: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        env=variables,
        cwd=variables["HOME"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def in_bash(line: str, variables: dict[str, str]) -> list[str]:
    """What COMPREPLY holds, as bash would be left with it behind a line."""
    words = " ".join(map(shlex.quote, line.split(" ")))
    code = f"""
        compopt() {{ echo "compopt $*"; }}
        {script("bash")}
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_TYPE=9
        COMP_WORDS=({words})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _chatrepl chatrepl "${{COMP_WORDS[COMP_CWORD]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return ran(["bash", "--norc", "-c", code], variables).splitlines()


def in_fish(line: str, variables: dict[str, str]) -> list[str]:
    code = f"{script('fish')}\ncomplete -C {shlex.quote(line)}"
    return ran(["fish", "--no-config", "-c", code], variables).splitlines()


def in_zsh(line: str, variables: dict[str, str]) -> list[str]:
    """What stands on the line of a zsh after Tab, which one offer alone is put into."""
    folder = Path(variables["HOME"])
    (folder / "it.zsh").write_text(script("zsh"))
    (folder / "keys.zsh").write_text(
        """
        told() { print -r -- "<$BUFFER>" > $HOME/told.new; mv $HOME/told.new $HOME/told }
        zle -N told; bindkey '^T' told; bindkey '^I' complete-word
        . $HOME/it.zsh
        PS1="go""od>"
        """
    )
    zsh = pexpect.spawn(
        "zsh", ["-f", "-i"], env=variables, timeout=20, encoding="utf-8", cwd=str(folder)
    )
    try:
        zsh.sendline(". ./keys.zsh")
        zsh.expect_exact("good>")
        zsh.send(f"{line}\t\x14")
        told, end = folder / "told", time.monotonic() + 20
        while not told.exists():
            assert time.monotonic() < end, zsh.before
            zsh.expect([pexpect.TIMEOUT, "."], timeout=0.02)  # it must be read to go on
        return [told.read_text().strip()[1:-1]]
    finally:
        zsh.close(force=True)


ASK = {"bash": in_bash, "fish": in_fish, "zsh": in_zsh}


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        pytest.param(shell, line, offered, marks=NEEDS[shell], id=f"{shell} {line}")
        for shell, line, offered in [
            ("bash", "chatrepl sess", ["sessions"]),
            ("bash", "chatrepl -p t", ["tutor", "translator", "teacher"]),
            ("bash", "chatrepl -p m", ["my\\ own:"]),
            ("bash", "chatrepl -p \\$", ["\\$\\(touch\\ pwned\\)"]),
            ("bash", "chatrepl -f a", ["compopt -o default", ""]),
            (
                "bash",
                "chatrepl -fa",
                ["compopt -o default", "compopt -o filenames", "-fa file.txt"],
            ),
            ("bash", "chatrepl --set see", ["compopt -o nospace", "seed="]),
            ("bash", "chatrepl a question ", [""]),
            ("fish", "chatrepl --perso", ["--persona\tA persona; chatrepl personas lists them."]),
            ("fish", "chatrepl -p m", ["my own:\tx"]),
            ("fish", "chatrepl --persona=tu", [TUTOR]),
            ("fish", "chatrepl -f a", ["a file.txt"]),
            ("fish", "chatrepl -fa", ["-fa file.txt"]),
            (
                "fish",
                "A=1 B=2 chatrepl sess",
                ["sessions\tList the saved conversations, newest first."],
            ),
            ("fish", "chatrepl a question ", []),
            ("zsh", "chatrepl -p my", ["chatrepl -p my\\ own: "]),
        ]
    ],
)
def test_a_shell_completes(
    shell: str, line: str, offered: list[str], variables: dict[str, str]
) -> None:
    assert ASK[shell](line, variables) == offered


@pytest.mark.thorough
@NEEDS["zsh"]
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("-p \\$", "-p \\$\\(touch\\ pwned\\) "),
        ("--persona=tu", "--persona=tutor "),
        ("--file=a", "--file=a\\ file.txt "),
        ("-fa", "-fa\\ file.txt "),
    ],
)
def test_zsh_completes_what_is_harder(
    typed: str, completed: str, variables: dict[str, str]
) -> None:
    assert in_zsh(f"chatrepl {typed}", variables) == [f"chatrepl {completed}"]


@each_shell
def test_no_shell_runs_what_is_offered(shell: str, variables: dict[str, str]) -> None:
    """A persona's name and words, and a session's title, are anybody's text."""
    found = ASK[shell]("chatrepl -p ", variables)
    assert any("concise" in line for line in found) or shell == "zsh"
    if shell == "bash":
        ASK[shell]('chatrepl -p "', variables)
    assert not (Path(variables["HOME"]) / "pwned").exists()


# --install-completion.
@each_shell
def test_an_installed_completion_is_there_in_a_new_shell(
    shell: str, home: Path, variables: dict[str, str]
) -> None:
    done = run("--install-completion", shell, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    asked = {
        "bash": ["bash", "-i", "-c", "complete -p chatrepl"],
        "zsh": ["zsh", "-i", "-c", "print complete -F $_comps[chatrepl] chatrepl"],
        "fish": ["fish", "-c", "complete -C 'chatrepl sess'"],
    }
    shown = ran(asked[shell], variables)
    wanted = "sessions\tList the saved" if shell == "fish" else "complete -F _chatrepl chatrepl"
    assert wanted in shown


def test_installing_says_what_it_wrote_and_is_done_once(home: Path) -> None:
    start = home / ".bashrc"
    start.write_bytes(b"alias x=y # \xff")  # no newline at its end, and no UTF-8
    file = home / "chatrepl" / "data" / "completion.bash"
    line = f"[ ! -r {file} ] || . {file}  # chatrepl"
    done = run("--install-completion", "bash", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        f"{file} is written.",
        f"{start} has a new last line, which reads it and ends in '# chatrepl'.",
    ]
    assert file.read_text() == script("bash")
    once = start.read_bytes()
    assert once == b"alias x=y # \xff\n" + f"{line}\n".encode()
    again = run("--install-completion", "bash", home=home)
    assert f"{start} reads it already." in again.stdout
    assert start.read_bytes() == once


def test_another_home_takes_the_place_of_the_last_one_wherever_it_is_named_from(
    home: Path,
) -> None:
    dotfiles, start = home / "dotfiles", home / ".bashrc"
    dotfiles.write_bytes(
        b"a\n[ -r /x/completion.bash ] && . /x/completion.bash  # chatrepl\nb \xff"
    )
    dotfiles.chmod(0o640)
    start.symlink_to(dotfiles)
    before = Path.cwd()
    os.chdir(home)
    try:
        for data in (Path("it's"), home / "last"):
            said = installed("bash", home, {}, Paths(home, data, home), login=True)
    finally:
        os.chdir(before)
    file = home / "last" / "completion.bash"
    line = f"[ ! -r {file} ] || . {file}  # chatrepl\n".encode()
    assert dotfiles.read_bytes() == b"a\n" + line + b"b \xff"
    assert (home / "it's" / "completion.bash").exists()
    assert (start.is_symlink(), dotfiles.stat().st_mode & 0o777) == (True, 0o640)
    assert "reads it now" in said[1]
    assert ".bash_profile has to read it" in said[2]


@NEEDS["bash"]
def test_a_shell_starts_well_from_anywhere_and_when_the_script_is_gone(home: Path) -> None:
    here = os.path.relpath(home / "here")
    done = run("--install-completion", "bash", home=home, env={"CHATREPL_HOME": here})
    file = Path(here).absolute() / "data" / "completion.bash"
    assert f"{file} is written." in done.stdout
    command = ["bash", "--norc", "-c", f". {home / '.bashrc'}; echo $?; complete -p"]
    assert ran(command, environment(home)) == "0\ncomplete -F _chatrepl chatrepl\n"
    file.unlink()
    assert ran([*command[:-1], command[-1][:-13]], environment(home)) == "0\n"


def test_zsh_and_fish_keep_their_files_where_they_are_told(home: Path) -> None:
    (home / "z").mkdir()
    env = {"ZDOTDIR": str(home / "z"), "XDG_CONFIG_HOME": str(home / "x"), "SHELL": "/bin/fish"}
    assert run("--install-completion", "zsh", home=home, env=env).returncode == 0
    assert "completion.zsh" in (home / "z" / ".zshrc").read_text()
    assert run("--install-completion", "fish", home=home, env=env).returncode == 0
    assert (home / "x" / "fish" / "completions" / "chatrepl.fish").read_text() == script("fish")
    assert not (home / ".zshrc").exists()


@NEEDS["bash"]
def test_without_a_name_it_is_for_the_shell_that_runs_it(variables: dict[str, str]) -> None:
    assert ran(["bash", "-c", "chatrepl --show-completion; true"], variables) == script("bash")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_shown(home: Path, shell: str) -> None:
    done = run("--show-completion", shell, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, script(shell), "")


def test_a_shell_that_is_not_known_and_a_file_that_cant_be_written_are_told(home: Path) -> None:
    done = run("--install-completion", "tcsh", home=home)
    assert_refused(done, 2, "'tcsh'", "bash, zsh, fish")
    (home / ".bashrc").mkdir()
    done = run("--install-completion", "bash", home=home)
    assert_refused(done, 2, f"{home / '.bashrc'} can't be written", "--show-completion bash")
