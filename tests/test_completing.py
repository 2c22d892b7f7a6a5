"""What Tab offers: a pure function of the line, the settings and the sessions."""

from pathlib import Path

import pytest

from chatrepl import cli_chat
from chatrepl.cli_completing import OF_FILES, VALUES, Known, offers, split
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.store.glimpse import newest
from tests.support.program import environment, run
from tests.support.store import desk

CONFIG = """
[providers.ollama]
base_url = "http://localhost:11434/v1"
[providers.azure]
deployments = { "gpt-4o" = "ours" }
[models."llama3.2:1b"]
context_window = 8192
[personas.teacher]
system = "You are a patient teacher."
"""


def known(home: Path, config: str = "") -> Known:
    variables = environment(home)
    paths = Paths.from_environment(variables)
    if config:
        paths.config.mkdir(parents=True)
        (paths.config / "config.toml").write_text(config)
    return Known(variables, paths)


def offered(line: str, known: Known) -> list[str] | None:
    words, typed = split(f"chatrepl {line}")
    found = offers(words, typed, known)
    return None if found is None else [offer.value for offer in found]


@pytest.mark.parametrize(
    ("line", "words", "typed"),
    [
        ("chatrepl ", [], ""),
        ("chatrepl --per", [], "--per"),
        ("chatrepl -p 'a b' --plain", ["-p", "a b"], "--plain"),
        ("chatrepl -p 'a b", ["-p"], "a b"),
        ("chatrepl -p a\\ b", ["-p"], "a b"),
        ("chatrepl -p 'a b' ", ["-p", "a b"], ""),
        ("chatrepl '' x # y", ["", "x", "#"], "y"),
        ("/usr/bin/chatrepl é", [], "é"),
        ("A_1=x B='y z' chatrepl -p A=", ["-p"], "A="),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str], typed: str) -> None:
    assert split(line) == (words, typed)


SUBCOMMANDS = [name for name in cli_chat.commands() if name]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("", SUBCOMMANDS),
        ("sess", ["sessions"]),
        ("--plain sess", []),
        ("-m gpt-4 sess", []),
        ("-qm gpt-4 sess", []),
        ("--no-such sess", []),
        ("--provider ollama ", ["models", "doctor"]),
        ("--json sess", ["sessions"]),
        ("sess --plain", ["--plain"]),
        ("a word sess", []),
        ("-- sess", []),
        ("-- --per", []),
        ("--per", ["--persona"]),
        ("--persona=tu", ["--persona=tutor"]),
        ("-p tu", ["tutor"]),
        ("-p tutor ", []),
        ("-ptu", ["-ptutor"]),
        ("-qptu", ["-qptutor"]),
        ("-qp tu", ["tutor"]),
        ("-ptutor --per", []),
        ("-qp tutor --qui", []),
        ("-p tutor --per", []),
        ("--stop x --sto", ["--stop"]),
        ("--overflow ", ["trim", "ask", "summarize"]),
        ("--overflow=s", ["--overflow=summarize"]),
        ("--reasoning-effort m", ["minimal", "medium"]),
        ("--set t", ["temperature=", "top_p="]),
        ("--max-tokens ", []),
        ("--plain=", []),
        ("--no-such=", []),
        ("--no-such --pers", ["--persona"]),
        ("--install-completion ", ["bash", "zsh", "fish"]),
        ("sessions ex", ["export"]),
        ("sessions export -f ", ["md", "json", "html"]),
        ("sessions export --fo", ["--format", "--force"]),
        ("sessions sessions", []),
        ("key set o", ["openai", "ollama"]),
        ("key set openai ", []),
        ("personas te", ["teacher"]),
        ("personas --per", []),
        ("doctor --provider a", ["azure"]),
        ("-m ollama/ models --pro", ["--provider"]),
        ("-m llama3.2", ["llama3.2:1b"]),
        ("-m azure/", ["azure/gpt-4o"]),
        ("--help-", []),
        ("--he", ["--help"]),
    ],
)
def test_what_is_offered(home: Path, line: str, values: list[str]) -> None:
    assert offered(line, known(home, CONFIG)) == values


@pytest.mark.parametrize(
    "line",
    [
        *("-f ", "--file=a", "--config x", "--load ", "--schema ", "-m ./m", "-m ~/m", "-m /m"),
        *("-fa", "-qf "),
        *("sessions export abcdef -o ", "doctor --config "),
    ],
)
def test_a_file_is_offered_where_one_is_wanted(home: Path, line: str) -> None:
    assert offered(line, known(home)) is None


def test_the_config_file_that_the_line_names_is_read(home: Path) -> None:
    file = home / "other.toml"
    file.write_text('[personas.fencer]\nsystem = "You fence."\n')
    about = known(home, CONFIG)
    assert offered(f"--config {file} -p fe", about) == ["fencer"]
    assert offered(f"--config={file} personas t", about) == ["tutor", "translator"]


def test_a_bad_config_file_takes_only_away_what_it_has(home: Path) -> None:
    bad = known(home, "nonsense = 1\n")
    with pytest.raises(SettingsError):
        offered("-p ", bad)
    assert offered("-m embed", bad) == ["embedded/SmolLM2-135M-Instruct"]
    done = run("--complete", "fish", "chatrepl -p ", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_sessions_are_offered_by_their_ids_newest_first(home: Path) -> None:
    about = known(home)
    assert offered("--resume ", about) == []
    ids = []
    for title in ("First  $(touch x)\nof two", "Second"):
        with desk(about.paths.sessions) as one:
            one.say(title)
            ids.append(one.session)
    before = about.paths.sessions.read_bytes()
    assert offered("--resume ", about) == ids[::-1]
    assert offered("sessions rm ", about) == ids[::-1]
    assert offered(f"sessions show {ids[0][:5]}", about) == ids[:1]
    assert offered("-m scripted/", about) == ["scripted/gpt-4"]
    assert about.paths.sessions.read_bytes() == before
    done = run("--complete", "zsh", "chatrepl --resume ", home=home)
    assert done.stdout == f"{ids[1]}\tSecond\n{ids[0]}\tFirst $(touch x)\n"


def test_a_database_that_is_none_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    assert newest(file) == []
    assert not file.exists()
    file.write_bytes(b"no database" * 100)
    assert newest(file) == []
    assert [path.name for path in tmp_path.iterdir()] == ["sessions.db"]


def test_what_takes_a_value_by_its_name_is_there() -> None:
    def names(command: object) -> set[str]:
        inner = getattr(command, "commands", {}).values()
        own = {each.name for each in getattr(command, "params", ())}
        return own.union(*map(names, inner))

    there = set().union(*map(names, cli_chat.commands().values()))
    assert {*VALUES, *OF_FILES} <= there


BREAKS = " \t\n\"'@><=;|&(:"


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("-p my", [r"my\ \$HOME", r"my\ own"]),
        ("-p 'my", ["my $HOME", "my own"]),
        ('-p "my', [r"my \$HOME", "my own"]),
        ("-p it", [r"it\'s"]),
        ("-p 'it", []),
        ("--persona=tut", ["tutor"]),
        ("-m llama3.2:", ["1b"]),
    ],
)
def test_bash_gets_what_it_is_to_put_in_the_place_of_its_word(
    home: Path, line: str, printed: list[str]
) -> None:
    names = ("my $HOME", "my own", "it's")
    known(home, CONFIG + "".join(f'[personas."{name}"]\nsystem = "x"\n' for name in names))
    done = run("--complete", "bash", f"chatrepl {line}", "9", BREAKS, "80", home=home)
    assert done.stdout.splitlines() == printed


def test_bash_lists_what_is_said_of_each_as_wide_as_the_screen(home: Path) -> None:
    done = run("--complete", "bash", "chatrepl -p t", "63", BREAKS, "40", home=home)
    assert done.stdout.splitlines() == [
        "tutor       (You are a patient tutor. ",
        "translator  (You translate. Translate ",
    ]


def test_what_no_shell_can_show_is_not_offered(home: Path) -> None:
    known(
        home, '[personas."te\\u001bx"]\nsystem = "x"\n[personas.test]\nsystem = "a\\tb\\u001b[2J"\n'
    )
    done = run("--complete", "fish", "chatrepl -p te", home=home)
    assert done.stdout == "test\ta b\n"


@pytest.mark.parametrize("arguments", [[], ["bash"], ["bash", "chatrepl -p ", "x", "y", "z", "a"]])
def test_a_shell_that_asks_wrongly_gets_no_word(home: Path, arguments: list[str]) -> None:
    done = run("--complete", *arguments, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
