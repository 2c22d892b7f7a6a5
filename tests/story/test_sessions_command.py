"""`chatrepl sessions`: what was kept is listed, found, shown, changed, deleted and exported."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatrepl.chat.usage import Usage
from tests.story.test_sessions import CONFIG, ask, listed, shown, turns
from tests.support.asking import dead_url
from tests.support.loopback import Loopback, loopback, says
from tests.support.program import COMMAND, Terminal, environment, run

KEPT = Path("chatrepl", "data", "sessions.db")
EVIL = "e\x1b]52;c;c2VjcmV0\x07v\u202ei\x9b2Jl\x1b[31m"
Done = subprocess.CompletedProcess[str]


def sessions(home: Path, *arguments: str, status: int = 0, stdin: str = "") -> Done:
    """Run the command in a pipe."""
    done = run("sessions", *arguments, home=home, stdin=stdin)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    if status:
        assert done.stdout == ""
        assert 1 <= done.stderr.count("\n") <= 2
    return done


def as_json(home: Path, *arguments: str) -> Any:
    return json.loads(sessions(home, *arguments, "--json").stdout)


def on_terminal(home: Path, *arguments: str, columns: int = 80) -> Terminal:
    """Run the command in a pseudo-terminal, to its end."""
    with Terminal("sessions", *arguments, home=home, columns=columns) as terminal:
        assert terminal.wait_for_end() == 0, terminal.scrollback
    return terminal


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A home with two sessions in it, made once: copies are cheaper."""
    home = tmp_path_factory.mktemp("both")
    with loopback() as server:
        ask(home, server, "Of cats and their whiskers")
        ask(home, server, "-c", "And their tails?")
        ask(home, server, "What of dogs? " + "They bark. " * 20)
    return home, [session["id"] for session in listed(home)[::-1]]


@pytest.fixture
def two(home: Path, both: tuple[Path, list[str]]) -> list[str]:
    """Two sessions: the ids of that about cats, in which twice something was said, and a later."""
    shutil.copytree(both[0] / "chatrepl", home / "chatrepl")
    return both[1]


# Listing.


@pytest.mark.parametrize("columns", [40, 80])
def test_the_list_is_a_line_for_each_session_however_wide(
    home: Path, server: Loopback, two: list[str], columns: int
) -> None:
    ask(home, server, "漢字" * 100)
    lines = on_terminal(home, columns=columns).scrollback.split("\n")
    assert [line.split()[0] for line in lines] == [listed(home)[0]["id"], *two[::-1]]
    assert "Of cats" in lines[2]
    assert all(re.search("  just now  |  1 min ago  ", line) for line in lines)
    assert ("gpt-4" in lines[2]) == (columns >= 80)


def test_in_a_pipe_the_list_has_fields_between_tabs(home: Path, two: list[str]) -> None:
    rows = [line.split("\t") for line in sessions(home).stdout.splitlines()]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (two[1], "2", "gpt-4"),
        (two[0], "4", "gpt-4"),
    ]
    assert rows[1][4] == "Of cats and their whiskers"


def test_the_list_as_json(home: Path, two: list[str]) -> None:
    found = as_json(home)
    assert [(each["id"], each["messages"]) for each in found] == [(two[1], 2), (two[0], 4)]
    for each in found:
        assert {"id", "title", "model", "created", "messages"} <= each.keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each["created"])
    assert found[1]["title"] == "Of cats and their whiskers"


def test_the_list_may_be_shortened(home: Path, two: list[str]) -> None:
    assert [each["id"] for each in as_json(home, "-n", "1")] == [two[1]]
    assert sessions(home, "-n", "1").stdout.count("\n") == 1


# Searching.


def test_a_search_finds_the_messages_that_hold_all_the_words(home: Path, two: list[str]) -> None:
    found = as_json(home, "search", "THEIR", "whisk")
    assert [(hit["session"]["id"], hit["role"]) for hit in found] == [
        (two[0], "assistant"),
        (two[0], "user"),
    ]
    assert found[1]["content"] == "Of cats and their whiskers"
    assert as_json(home, "search", "whiskers", "bark") == []


def test_what_was_found_is_highlighted_on_a_terminal(home: Path, two: list[str]) -> None:
    terminal = on_terminal(home, "search", "WHISK", columns=40)
    assert two[0] in terminal.scrollback
    assert terminal.raw.count(b"\x1b[1;33mwhisk\x1b[") == 2
    assert b"33mcats" not in terminal.raw


def test_in_a_pipe_nothing_is_highlighted(home: Path, two: list[str]) -> None:
    done = sessions(home, "search", "whiskers")
    assert "user: Of cats and their whiskers" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_hit_shows_the_words_around_it(home: Path, server: Loopback) -> None:
    ask(home, server, "far " * 300 + "needle " + "away " * 300)
    for line in sessions(home, "search", "needle").stdout.splitlines()[1:]:
        assert "needle" in line
        assert len(line) < 250


def test_any_text_can_be_searched_for(home: Path, server: Loopback) -> None:
    odd = ["漢", "字学", "½", "a*b", '"quo', "100%", "a_b", "(x"]
    ask(home, server, f"before {' '.join(odd)} after")
    ask(home, server, "nothing of the kind")
    for words in odd:
        found = json.loads(sessions(home, "search", "--json", "--", words).stdout)
        assert [words in hit["content"] for hit in found] == [True, True]


def test_nothing_found_is_said(home: Path, two: list[str]) -> None:
    done = sessions(home, "search", "zebra")
    assert done.stdout == ""
    assert "zebra" in done.stderr
    assert as_json(home, "search", "zebra") == []


# Showing.


@pytest.mark.parametrize("columns", [40, 120])
def test_a_session_is_shown_whole(home: Path, two: list[str], columns: int) -> None:
    seen = on_terminal(home, "show", two[0], columns=columns).scrollback
    texts = ["Of cats and their whiskers", "You said: Of cats", "And their tails?"]
    places = [seen.index(text) for text in texts]
    assert places == sorted(places)
    assert two[0] in seen


def test_in_a_pipe_a_session_is_shown_as_text(home: Path, two: list[str]) -> None:
    done = sessions(home, "show", "whiskers")
    for role, text in turns("Of cats and their whiskers", "And their tails?"):
        assert f"{role}\n{text}\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_session_as_json(home: Path, server: Loopback) -> None:
    server.then(says("Half of", "length", usage=(7, 2)))
    ask(home, server, "-s", "Be kind.", "one", status=7)
    found = as_json(home, "show", listed(home)[0]["id"])
    assert {"id", "title", "model", "created", "messages"} <= found.keys()
    system, prompt, reply = found["messages"]
    assert (system["role"], system["content"]) == ("system", "Be kind.")
    assert (prompt["role"], prompt["content"]) == ("user", "one")
    assert (reply["role"], reply["content"]) == ("assistant", "Half of")
    assert reply["finish_reason"] == "length"
    assert reply["usage"] == Usage(7, 2).as_openai()


def test_what_was_never_answered_is_shown(home: Path) -> None:
    run("--base-url", dead_url(), "-m", "gpt-4", "Anybody there?", home=home)
    (session,) = listed(home)
    assert "not answered" in sessions(home, "show", session["id"]).stdout
    assert shown(home, session["id"]) == [("user", "Anybody there?")]


# Which one.


@pytest.mark.thorough
@pytest.mark.parametrize("command", [["rename", "x"], ["rm", "-y"]])
def test_a_name_that_several_have_is_refused_with_all_of_them(
    home: Path, server: Loopback, command: list[str]
) -> None:
    ask(home, server, "A cat, first")
    ask(home, server, "A cat, second")
    before = listed(home)
    done = sessions(home, command[0], "cat", *command[1:], status=2)
    for session in before:
        assert f"{session['id']} ({session['title']})" in done.stderr
    assert listed(home) == before


@pytest.mark.parametrize("command", [["rename", "x"], ["rm", "-y"]])
def test_a_name_that_nothing_has_is_told(home: Path, two: list[str], command: list[str]) -> None:
    done = sessions(home, command[0], "zebra", *command[1:], status=2)
    assert "There is no session 'zebra'" in done.stderr


# Renaming and deleting.


def test_renaming(home: Path, two: list[str]) -> None:
    done = sessions(home, "rename", two[0], "About", " cats ")
    assert "About cats" in done.stderr
    assert [each["title"] for each in listed(home)][1] == "About cats"
    assert as_json(home, "rename", two[0], "Cats")["title"] == "Cats"
    assert len(as_json(home, "show", "cats")["messages"]) == 4


def test_an_empty_title_is_refused(home: Path, two: list[str]) -> None:
    before = listed(home)
    sessions(home, "rename", two[0], "  ", status=2)
    assert listed(home) == before


@pytest.mark.parametrize(
    ("answer", "status", "goes"),
    [("y\r", 0, True), ("n\r", 0, False), ("\r", 0, False), ("\x03", 130, False)],
)
def test_deleting_asks_first(
    home: Path, two: list[str], answer: str, status: int, goes: bool
) -> None:
    with Terminal("sessions", "rm", two[0], home=home) as terminal:
        terminal.wait_for("for good?")
        assert "Of cats and their whiskers" in terminal.scrollback
        terminal.type(answer)
        assert terminal.wait_for_end() == status
        assert "Traceback" not in terminal.scrollback
    assert [each["id"] for each in listed(home)] == ([two[1]] if goes else two[::-1])


def test_where_nobody_can_be_asked_nothing_is_deleted_without_yes(
    home: Path, two: list[str]
) -> None:
    done = sessions(home, "rm", two[0], status=2, stdin="y\n")
    assert "--yes" in done.stderr
    assert len(listed(home)) == 2
    assert as_json(home, "rm", "--yes", two[0])["id"] == two[0]
    assert [each["id"] for each in listed(home)] == [two[1]]


def test_nothing_of_what_was_deleted_is_left(home: Path, server: Loopback, two: list[str]) -> None:
    sessions(home, "rm", "-y", two[0])
    assert as_json(home, "search", "whiskers") == []
    sessions(home, "show", two[0], status=2)
    assert b"whiskers" not in (home / KEPT).read_bytes()
    assert shown(home, two[1])[0][1].startswith("What of dogs?")


# Exporting.


@pytest.mark.parametrize(
    ("form", "beginning"),
    [([], "# Of cats"), (["-f", "html"], "<!"), (["-f", "json"], "["), (["--json"], "[")],
)
def test_an_export_goes_to_standard_output(
    home: Path, two: list[str], form: list[str], beginning: str
) -> None:
    done = sessions(home, "export", two[0], *form)
    assert done.stdout.startswith(beginning)
    assert "their whiskers" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "more", "beginning"),
    [
        ("talk.md", [], "# Of cats"),
        ("talk.HTML", [], "<!"),
        ("talk.json", [], "["),
        ("talk.txt", ["-f", "md"], "# Of cats"),
        ("talk.md", ["-f", "json"], "["),
    ],
)
def test_the_files_suffix_decides_the_form_unless_it_is_named(
    home: Path, two: list[str], name: str, more: list[str], beginning: str
) -> None:
    file = home / name
    done = sessions(home, "export", two[0], "-o", str(file), *more)
    assert done.stdout == ""
    assert str(file) in done.stderr
    assert file.read_text().startswith(beginning)


def test_a_suffix_that_tells_nothing_is_refused(home: Path, two: list[str]) -> None:
    done = sessions(home, "export", two[0], "-o", str(home / "talk.txt"), status=2)
    assert ".html" in done.stderr
    assert not (home / "talk.txt").exists()


def test_a_file_that_is_there_is_overwritten_only_by_force(home: Path, two: list[str]) -> None:
    file = home / "talk.md"
    file.write_text("mine")
    done = sessions(home, "export", two[0], "-o", str(file), status=2)
    assert "--force" in done.stderr
    assert file.read_text() == "mine"
    sessions(home, "export", two[0], "-o", str(file), "--force")
    assert file.read_text().startswith("# Of cats")


def test_a_tilde_is_the_home_directory(home: Path, two: list[str]) -> None:
    sessions(home, "export", two[0], "-o", "~/talk.md")
    assert (home / "talk.md").read_text().startswith("# Of cats")


def test_a_file_that_cant_be_written_is_told(home: Path, two: list[str]) -> None:
    done = sessions(home, "export", two[0], "-o", str(home / "no" / "talk.md"), status=2)
    assert "No such file" in done.stderr


def test_what_is_exported_as_json_is_sent_the_same_when_it_is_loaded(
    home: Path, server: Loopback
) -> None:
    config = home / "config.toml"
    config.write_text(CONFIG.format(url=server.base_url))
    flags = ("--config", str(config))
    run(*flags, "-p", "pirate", f"one {EVIL}", home=home)
    server.then(says('two "quoted" \\ <b>\n\n```\ncode\n```\n 👍', "length"))
    run(*flags, "-c", "\n tabs\tand blanks ", home=home)
    run(*flags, "-c", "three", home=home)
    said = server.requests[-1].said
    file = home / "talk.json"
    name = listed(home)[0]["id"]
    sessions(home, "export", name, "-o", str(file))
    run(*flags, "--load", str(file), "four", home=home)
    assert server.requests[-1].said == [*said, ("assistant", "You said: three"), ("user", "four")]


# What steers a terminal.


@pytest.fixture(scope="module")
def evil_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("evil")
    with loopback() as server:
        ask(home, server, "-s", EVIL, f"{EVIL} prompt")
    name: str = listed(home)[0]["id"]
    with closing(sqlite3.connect(home / KEPT, isolation_level=None)) as database:
        title = f"{EVIL} prompt"
        database.execute("UPDATE session SET model = ?, title = ?", (EVIL, title))
    return home, name


@pytest.fixture
def evil(home: Path, evil_home: tuple[Path, str]) -> str:
    """A session in whose title, model, system message and messages are control sequences."""
    shutil.copytree(evil_home[0] / "chatrepl", home / "chatrepl")
    return evil_home[1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json"],
        ["search", "prompt"],
        ["search", "prompt", "--json"],
        ["show", "ID"],
        ["show", "ID", "--json"],
        ["rename", "ID", EVIL],
        ["rm", "-y", "ID"],
        ["rm", "-y", "ID", "--json"],
        ["export", "ID", "-f", "md"],
        ["export", "ID", "-f", "json"],
        ["export", "ID", "-f", "html"],
    ],
)
def test_what_was_said_steers_no_terminal(home: Path, evil: str, arguments: list[str]) -> None:
    arguments = [evil if each == "ID" else each for each in arguments]
    terminal = on_terminal(home, *arguments, columns=40)
    assert_harmless(terminal)
    assert terminal.raw


def test_a_title_steers_no_terminal_when_deleting_is_asked_for(home: Path, evil: str) -> None:
    with Terminal("sessions", "rm", evil, home=home) as terminal:
        terminal.wait_for("for good?")
        assert_harmless(terminal)
        terminal.say("n")
        terminal.wait_for_end()


def test_a_title_steers_no_terminal_when_several_match(
    home: Path, server: Loopback, evil: str
) -> None:
    ask(home, server, "another prompt")
    with Terminal("sessions", "show", "prompt", home=home) as terminal:
        assert terminal.wait_for_end() == 2
        assert_harmless(terminal)


def assert_harmless(terminal: Terminal) -> None:
    shown = terminal.raw.decode()
    assert "\x1b]" not in shown
    assert "\x1b[31me" not in shown
    assert not set(shown) & set("\x07\x9b\u202e")


# Without a database, and with one that is of no use.


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 0),
        (["search", "x"], 0),
        (["show", "x"], 2),
        (["rename", "x", "y"], 2),
        (["rm", "-y", "x"], 2),
        (["export", "x"], 2),
    ],
)
def test_where_nothing_was_kept_that_is_said_and_no_database_made(
    home: Path, arguments: list[str], status: int
) -> None:
    done = sessions(home, *arguments, status=status)
    assert done.stdout == ""
    assert "session" in done.stderr or "No message" in done.stderr
    assert not list(home.iterdir())


def test_where_nothing_was_kept_the_list_is_an_empty_array(home: Path) -> None:
    assert as_json(home) == as_json(home, "search", "x") == []
    assert not list(home.iterdir())


EACH = [[], ["search", "cats"], ["rm", "-y", "cats"]]


@pytest.mark.parametrize("arguments", EACH)
@pytest.mark.parametrize("damage", ["garbage", "cut", "holes"])
def test_a_damaged_database_is_set_aside_and_never_destroyed(
    home: Path, two: list[str], arguments: list[str], damage: str
) -> None:
    file = home / KEPT
    data = file.read_bytes()
    bad = {
        "garbage": b"This is no database. " * 500,
        "cut": data[: len(data) // 2],
        "holes": data[:8192] + b"\xff" * (len(data) - 8192),
    }[damage]
    file.write_bytes(bad)
    done = run("sessions", *arguments, home=home)
    assert done.returncode in {0, 1, 2}
    assert "Traceback" not in done.stderr
    assert "damaged" in done.stderr
    (aside,) = file.parent.glob("sessions.damaged-*.db")
    assert str(aside) in done.stderr
    assert aside.read_bytes() == bad


@pytest.mark.parametrize("arguments", EACH)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("PRAGMA user_version = 9999", "newer chatrepl"),
        ("PRAGMA application_id = 7", "not one of chatrepl's"),
    ],
)
def test_a_database_that_is_not_ours_to_change_is_left_alone(
    home: Path, two: list[str], arguments: list[str], change: str, words: str
) -> None:
    file = home / KEPT
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(change)
    before = file.read_bytes()
    done = sessions(home, *arguments, status=1)
    assert words in done.stderr
    assert str(file) in done.stderr
    assert file.read_bytes() == before


def test_a_folder_in_the_place_of_the_database_is_told(home: Path) -> None:
    (home / KEPT).mkdir(parents=True)
    assert str(home / KEPT) in sessions(home, status=1).stderr


# Starting.


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["show", "cats"], ["search", "cats"], ["rm", "--help"]]
)
def test_the_command_loads_none_of_what_a_chat_needs(
    home: Path, two: list[str], arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "sessions", *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert "typer" in loaded
    assert not loaded & {"openai", "tiktoken", "prompt_toolkit", "rich.markdown", "httpx2"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "chatrepl -- sessions nonsense"),
        (["show"], "SESSION"),
        (["--nothing"], "--nothing"),
        (["export", "x", "-f", "pdf"], "pdf"),
        (["-n", "-1"], "-1"),
    ],
)
def test_bad_usage_is_told_in_a_line_or_two(home: Path, arguments: list[str], words: str) -> None:
    assert words in sessions(home, *arguments, status=2).stderr
