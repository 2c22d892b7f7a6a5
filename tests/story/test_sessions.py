"""Every conversation is kept as a session, and gone on with: in a pipe and on a terminal."""

import json
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.asking import dead_url
from tests.support.loopback import Loopback, Part, Reply, chunk
from tests.support.program import COMMAND, Terminal, environment, run
from tests.support.talk import say_and_hear, talk

CONFIG = """
provider = "loop"
model = "model-1"

[providers.loop]
base_url = "{url}"

[providers.other]
base_url = "{url}"
default_headers = {{ x-other = "yes" }}

[personas.pirate]
system = "You are a pirate."
examples = [{{ user = "Hello", assistant = "Ahoy" }}]

[personas.poet]
system = "You are a poet."
examples = [{{ user = "Hello", assistant = "O muse" }}]
"""
AHOY = [("user", "Hello"), ("assistant", "Ahoy")]
MUSE = [("user", "Hello"), ("assistant", "O muse")]
Done = subprocess.CompletedProcess[str]


def ask(home: Path, server: Loopback, *arguments: str, status: int = 0) -> Done:
    """Ask one thing in a pipe."""
    done = run("--base-url", server.base_url, "-m", "gpt-4", *arguments, home=home)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def listed(home: Path) -> list[dict[str, Any]]:
    """The sessions as `sessions --json` lists them."""
    done = run("sessions", "--json", home=home)
    assert done.returncode == 0, done.stderr
    sessions: list[dict[str, Any]] = json.loads(done.stdout)
    return sessions


def shown(home: Path, name: str) -> list[tuple[str, str]]:
    """The role and text of each message as `sessions show --json` shows them."""
    done = run("sessions", "show", name, "--json", home=home)
    assert done.returncode == 0, done.stderr
    return [(m["role"], m["content"]) for m in json.loads(done.stdout)["messages"]]


def turns(*texts: str) -> list[tuple[str, str]]:
    """What a talk with the usual server is."""
    return [pair for text in texts for pair in (("user", text), ("assistant", f"You said: {text}"))]


def at_prompt(terminal: Terminal, text: str) -> None:
    terminal.wait_until(
        lambda: re.findall(r"^> .*$", terminal.screen, re.M)[-1:] == [f"> {text}"],
        f"{text!r} at the prompt",
    )


def talk_begun(home: Path, server: Loopback, *arguments: str) -> Terminal:
    """Start a talk whose first prompt may not be empty."""
    return Terminal("--base-url", server.base_url, "-m", "gpt-4", *arguments, home=home)


@pytest.fixture
def config(home: Path, server: Loopback) -> Path:
    """A config file in the usual place."""
    file = home / "chatrepl" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(CONFIG.format(url=server.base_url))
    return file


# What is kept.


def test_a_one_shot_is_a_session(home: Path, server: Loopback) -> None:
    ask(home, server, "Hello", "there")
    (session,) = listed(home)
    assert (session["title"], session["model"], session["messages"]) == ("Hello there", "gpt-4", 2)
    assert shown(home, session["id"]) == turns("Hello there")


def test_each_one_shot_is_a_session_of_its_own_newest_first(home: Path, server: Loopback) -> None:
    for text in ("one", "two"):
        ask(home, server, text)
    assert [session["title"] for session in listed(home)] == ["two", "one"]
    assert server.requests[1].said == [("user", "two")]


def test_a_talk_on_a_terminal_is_a_session(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "one")
        say_and_hear(terminal, "two")
        (session,) = listed(home)  # while it goes on
    assert (session["title"], session["messages"]) == ("one", 4)
    assert shown(home, session["id"]) == turns("one", "two")


def test_a_talk_in_which_nothing_was_said_is_none(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
    ask(home, server, "--dry-run", "hello")
    ask(home, server, " ", status=2)
    assert listed(home) == []


def test_json_has_the_sessions_id(home: Path, server: Loopback) -> None:
    told = json.loads(ask(home, server, "--json", "one").stdout)["session"]
    again = json.loads(ask(home, server, "--json", "-c", "two").stdout)["session"]
    assert [session["id"] for session in listed(home)] == [told] == [again]


def test_no_save_keeps_nothing(home: Path, server: Loopback) -> None:
    done = ask(home, server, "--no-save", "--json", "one")
    assert json.loads(done.stdout)["session"] is None
    with talk(home, server, "--no-save") as terminal:
        say_and_hear(terminal, "two")
        terminal.say("/title")
        terminal.wait_for("not saved")
    assert not list(home.rglob("*.db*"))
    files = [file for file in home.rglob("*") if file.is_file()]
    assert [file for file in files if b"two" in file.read_bytes()] == [], "the history neither"


def test_save_false_keeps_nothing(home: Path, server: Loopback, config: Path) -> None:
    config.write_text("save = false\n" + config.read_text())
    assert run("one", home=home).returncode == 0
    assert not list(home.rglob("*.db*"))


def test_what_is_resumed_with_no_save_is_sent_and_stays_as_it_was(
    home: Path, server: Loopback
) -> None:
    ask(home, server, "one")
    ask(home, server, "-c", "--no-save", "two")
    assert server.requests[-1].said == [*turns("one"), ("user", "two")]
    assert [session["messages"] for session in listed(home)] == [2]


def test_only_the_owner_can_read_what_is_kept(home: Path, server: Loopback) -> None:
    ask(home, server, "one")
    file = home / "chatrepl" / "data" / "sessions.db"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Hello", "Hello"),
        ("\n\n  What   is\tthis?  \nA second line", "What is this?"),
        ("漢字" * 100, "漢字" * 29 + "漢…"),
        ("\x1b[31mred\x1b]0;t\x07 \u202eevil", "red evil"),
        ("\u200b", "Untitled"),
        ("\x1b[31m\nsecond", "second"),
    ],
)
def test_a_title_is_made_of_the_first_prompt(
    home: Path, server: Loopback, prompt: str, title: str
) -> None:
    ask(home, server, "--", prompt)
    (row,) = run("sessions", home=home).stdout.splitlines()
    assert row.split("\t")[4] == title


# Going on.


@pytest.mark.parametrize("flag", ["-c", "--continue"])
def test_continue_goes_on_with_the_last_session(home: Path, server: Loopback, flag: str) -> None:
    ask(home, server, "one")
    ask(home, server, "two")
    ask(home, server, flag, "three")
    assert server.requests[-1].said == [*turns("two"), ("user", "three")]
    assert [session["messages"] for session in listed(home)] == [4, 2]


def test_the_last_session_is_the_one_that_was_last_talked_in(home: Path, server: Loopback) -> None:
    ask(home, server, "one")
    first = listed(home)[0]["id"]
    ask(home, server, "two")
    ask(home, server, "--resume", first, "three")
    ask(home, server, "-c", "four")
    assert server.requests[-1].said == [*turns("one", "three"), ("user", "four")]


def test_resume_finds_a_session_by_its_id_or_its_beginning_or_words(
    home: Path, server: Loopback
) -> None:
    ask(home, server, "The capital of France")
    name = listed(home)[0]["id"]
    ask(home, server, "-c", "And its zebras?")
    ask(home, server, "Something else")
    ways = [name, name.upper(), name[:3], name[:5], "CAPITAL of", "zebras"]
    for number, way in enumerate(ways):
        ask(home, server, "--resume", way, f"more {number}")
    assert shown(home, name)[::2] == [
        ("user", text)
        for text in (
            "The capital of France",
            "And its zebras?",
            *(f"more {number}" for number in range(len(ways))),
        )
    ]


def test_of_several_matches_the_newest_is_taken_and_the_others_are_said(
    home: Path, server: Loopback
) -> None:
    ask(home, server, "A cat, first")
    ask(home, server, "A cat, second")
    ask(home, server, "A dog")
    first = listed(home)[2]["id"]
    done = ask(home, server, "--resume", "cat", "more")
    assert server.requests[-1].said[0] == ("user", "A cat, second")
    assert "1 more" in done.stderr
    assert f"{first} (A cat, first)" in done.stderr
    assert done.stdout == "You said: more\n"


@pytest.mark.parametrize("arguments", [["-c"], ["--resume", "nothing"]])
def test_without_a_session_to_go_on_with_nothing_is_asked(
    home: Path, server: Loopback, arguments: list[str]
) -> None:
    done = ask(home, server, *arguments, "more", status=2)
    assert "no session" in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not list(home.rglob("*.db*"))
    assert server.requests == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["nothing", "zz", "'; --", "%", "_", '"', "\x1b[31m", "a" * 9000])
def test_a_name_that_no_session_has_is_told(home: Path, server: Loopback, name: str) -> None:
    ask(home, server, "one")
    done = ask(home, server, "--resume", name, "more", status=2)
    assert "There is no session" in done.stderr
    assert "chatrepl sessions" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name_at_all_is_not_taken_for_the_last_session(
    home: Path, server: Loopback, name: str
) -> None:
    ask(home, server, "one")
    done = ask(home, server, "--resume", name, "more", status=2)
    assert "--resume" in done.stderr
    assert "-c goes on with the last" in done.stderr
    assert len(server.requests) == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize("flags", [["-c"], ["--resume", "one"]])
def test_a_loaded_file_is_no_session_to_go_on_with(
    home: Path, server: Loopback, flags: list[str]
) -> None:
    ask(home, server, "one")
    file = home / "talk.json"
    file.write_text('[{"role": "user", "content": "Hi"}]')
    done = ask(home, server, *flags, "--load", str(file), "more", status=2)
    assert "--load" in done.stderr
    assert len(server.requests) == 1


def test_a_loaded_talk_is_kept_with_all_that_was_loaded(home: Path, server: Loopback) -> None:
    file = home / "talk.json"
    loaded = [{"role": role, "content": text} for role, text in turns("one", "two")]
    file.write_text(json.dumps(loaded))
    ask(home, server, "--load", str(file), "three")
    ask(home, server, "-c", "four")
    assert server.requests[-1].said == [*turns("one", "two", "three"), ("user", "four")]
    assert listed(home)[0]["title"] == "one"


def test_a_resumed_talk_asks_the_same_model(home: Path, server: Loopback, config: Path) -> None:
    assert run("-m", "other/model-2", "one", home=home).returncode == 0
    assert run("-c", "two", home=home).returncode == 0
    asked = [(each.body["model"], "x-other" in each.headers) for each in server.requests]
    assert asked == [("model-2", True)] * 2


@pytest.mark.parametrize(
    ("flags", "model", "other"),
    [
        (["-m", "model-3"], "model-3", False),
        (["-m", "other/model-3"], "model-3", True),
        (["--provider", "loop"], "model-1", False),
    ],
)
def test_another_model_answers_if_it_is_asked_for(
    home: Path, server: Loopback, config: Path, flags: list[str], model: str, other: bool
) -> None:
    run("-m", "other/model-2", "one", home=home)
    assert run("-c", *flags, "two", home=home).returncode == 0
    request = server.requests[-1]
    assert (request.body["model"], "x-other" in request.headers) == (model, other)
    assert request.said == [*turns("one"), ("user", "two")]
    assert listed(home)[0]["model"] == model


def test_another_address_answers_if_it_is_asked_for(
    home: Path, server: Loopback, config: Path
) -> None:
    run("-m", "other/model-2", "one", home=home)
    done = run("-c", "--base-url", server.base_url, "two", home=home)
    assert done.returncode == 0, done.stderr
    assert "x-other" not in server.requests[-1].headers


def test_without_the_provider_that_answered_another_does(
    home: Path, server: Loopback, config: Path
) -> None:
    run("-m", "other/model-2", "one", home=home)
    config.write_text(config.read_text().replace("[providers.other]", "[providers.another]"))
    done = run("-c", "two", home=home)
    assert done.returncode == 0, done.stderr
    assert server.requests[-1].body["model"] == "model-1"


@pytest.mark.parametrize(
    ("flags", "before"),
    [
        ([], [("system", "You are a pirate."), *AHOY]),
        (["--system", "Be brief."], [("system", "Be brief."), *AHOY]),
        (["--system", ""], AHOY),
        (["--persona", "poet"], [("system", "You are a poet."), *MUSE]),
    ],
)
def test_system_message_and_examples_stay_unless_others_are_asked_for(
    home: Path,
    server: Loopback,
    config: Path,
    flags: list[str],
    before: list[tuple[str, str]],
) -> None:
    run("-p", "pirate", "one", home=home)
    assert run("-c", *flags, "two", home=home).returncode == 0
    assert server.requests[-1].said == [*before, *turns("one"), ("user", "two")]
    run("-c", "three", home=home)  # what was asked for last stays, too
    assert server.requests[-1].said == [*before, *turns("one", "two"), ("user", "three")]


@pytest.mark.thorough
@pytest.mark.parametrize("usual", ['system = "Be kind."\n', 'persona = "poet"\n'])
def test_the_config_files_usual_beginning_is_not_put_before_a_session_that_is_resumed(
    home: Path, server: Loopback, config: Path, usual: str
) -> None:
    run("one", home=home)
    run("-p", "pirate", "two", home=home)
    config.write_text(usual + config.read_text())
    run("--resume", "one", "more", home=home)
    assert server.requests[-1].said == [*turns("one"), ("user", "more")]
    run("--resume", "two", "more", home=home)
    pirate = [("system", "You are a pirate."), *AHOY]
    assert server.requests[-1].said == [*pirate, *turns("two"), ("user", "more")]


# On a terminal.


def test_resuming_shows_where_the_talk_stood(home: Path, server: Loopback) -> None:
    ask(home, server, "First question")
    ask(home, server, "-c", "Tell me of **bold** things")
    name = listed(home)[0]["id"]
    with talk(home, server, "--resume", name[:4]) as terminal:
        for seen in ("First question", name, "4 messages", "> Tell me of **bold** things"):
            assert seen in terminal.scrollback
        assert "You said: Tell me of bold things" in terminal.scrollback
        say_and_hear(terminal, "three")
    assert len(server.requests[-1].said) == 5


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("plain", [[], ["--plain"]])
def test_what_is_shown_on_resuming_steers_no_terminal(
    home: Path, server: Loopback, columns: int, plain: list[str]
) -> None:
    evil = "a\x1b]52;c;c2VjcmV0\x07b\u202ec\x9b2Jd"
    ask(home, server, evil)
    with talk(home, server, "-c", *plain, columns=columns) as terminal:
        terminal.wait_for("You said: abcd")
        assert "“abcd”" in terminal.scrollback
        assert b"]52;" not in terminal.raw
        assert "\u202e" not in terminal.raw.decode()


def test_what_was_asked_in_vain_comes_back_at_the_prompt(home: Path, server: Loopback) -> None:
    ask(home, server, "one")
    nowhere = ("--base-url", dead_url(), "-m", "gpt-4")
    assert run(*nowhere, "-c", "Is anybody there?", home=home).returncode == 8
    with talk_begun(home, server, "-c") as terminal:
        at_prompt(terminal, "Is anybody there?")
        terminal.key("enter")
        terminal.wait_for("You said: Is anybody there?")
    assert server.requests[-1].said == [*turns("one"), ("user", "Is anybody there?")]


def test_a_first_question_that_was_asked_in_vain_is_not_lost(home: Path, server: Loopback) -> None:
    done = run("--base-url", dead_url(), "-m", "gpt-4", "Is anybody there?", home=home)
    assert done.returncode == 8
    (session,) = listed(home)
    assert shown(home, session["id"]) == [("user", "Is anybody there?")]
    with talk_begun(home, server, "--resume", session["id"]) as terminal:
        at_prompt(terminal, "Is anybody there?")


def test_what_was_asked_in_vain_is_not_sent_with_another_question(
    home: Path, server: Loopback
) -> None:
    ask(home, server, "one")
    run("--base-url", dead_url(), "-m", "gpt-4", "-c", "Is anybody there?", home=home)
    ask(home, server, "-c", "two")
    assert server.requests[-1].said == [*turns("one"), ("user", "two")]
    assert shown(home, listed(home)[0]["id"]) == turns("one", "two")


def test_what_was_asked_in_vain_on_a_terminal_comes_back_later(
    home: Path, server: Loopback
) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "one")
        server.then(Reply(status=401, body={"error": {"message": "no"}}))
        terminal.say("two")
        terminal.wait_for("did not accept the key")
        at_prompt(terminal, "two")
        terminal.key("ctrl-c")
        terminal.key("ctrl-d")
        terminal.wait_for_end()
    with talk_begun(home, server, "-c") as terminal:
        at_prompt(terminal, "two")


@pytest.mark.parametrize("said", ["", "Half a reply"])
def test_after_kill_9_nothing_that_was_said_is_missing(
    home: Path, server: Loopback, said: str
) -> None:
    ask(home, server, "one")
    forever = threading.Event()
    parts: list[Part] = [chunk({"content": said}), forever] if said else [forever]
    server.then(Reply(parts))
    program = subprocess.Popen(
        [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4", "-c", "two"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert program.stdout is not None
    end = time.monotonic() + 20
    while len(server.requests) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    if said:
        assert program.stdout.read(len(said)).decode() == said
        time.sleep(1.2)  # what came a second ago is on the disk
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=20)
    forever.set()
    kept = [*turns("one"), ("user", "two")] + ([("assistant", said)] if said else [])
    assert shown(home, listed(home)[0]["id"]) == kept
    with talk_begun(home, server, "-c") as terminal:
        if said:
            terminal.wait_for(said)
            terminal.wait_for_prompt()
        else:
            at_prompt(terminal, "two")
