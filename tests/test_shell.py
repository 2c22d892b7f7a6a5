"""For the shell: what a script relies on, through the real program."""

import json
import shlex
from pathlib import Path

import pytest

from tests.support.loopback import Loopback, fails, says
from tests.support.program import Terminal, run
from tests.test_cli import assert_refused, configure

FORM = "```sh\nprintf 'a b\\n'\n```"


def at(server: Loopback) -> tuple[str, ...]:
    return "--base-url", server.base_url, "-m", "gpt-4"


def test_code_for_a_shell_is_the_code_alone(home: Path, server: Loopback) -> None:
    server.then(says(f"Here:\n{FORM}\nThat prints it."))
    done = run(*at(server), "-p", "shell", "--code", "-q", "print a b", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "printf 'a b\\n'\n", "")
    body = server.requests[0].body
    assert body["temperature"] == 0.0
    assert [message["role"] for message in body["messages"]] == [
        *("system", "user", "assistant", "user")
    ]


def test_parameters_of_flags_and_a_schema_are_sent_and_a_reply_is_checked(
    home: Path, server: Loopback
) -> None:
    server.then(says('{"a": "1"}'))
    flags = ["--top-p", "0.5", "--seed", "3", "--stop", "x y", "--stop", "z", "--set", "min_p=0.1"]
    effort = ["--reasoning-effort", "low", "--set", "temperature=0"]
    done = run(*at(server), *flags, *effort, "--schema", "a:int", "Hi", home=home)
    assert_refused(done, 9, "a: '1' is not of type 'integer'")
    assert done.stdout == '{"a": "1"}\n'
    body = server.requests[0].body
    given = {"top_p": 0.5, "seed": 3, "stop": ["x y", "z"], "min_p": 0.1, "temperature": 0.0}
    assert {name: body.get(name) for name in given} == given
    assert body["reasoning_effort"] == "low"
    assert body["response_format"]["json_schema"]["strict"] is True


def test_a_parameter_that_the_server_refuses_names_the_setting(
    home: Path, server: Loopback
) -> None:
    configure(home, "top_p = 0.5\n")
    server.then(fails(400, "Unsupported parameter", code="unsupported_parameter", param="top_p"))
    done = run(*at(server), "Hi", home=home)
    assert_refused(done, 8, "'top_p'", "top_p is set by a flag, /set, the persona or the config")


ODD = "a 'b' \"c\"\n\x1b[31m d"


def test_files_with_odd_names_are_read_and_their_faults_told_in_a_line_or_two(
    home: Path, server: Loopback
) -> None:
    folder = home / ODD
    (folder / "personas").mkdir(parents=True)
    files = {
        "talk.json": json.dumps([{"role": "user", "content": "Before."}]),
        "system.txt": "Be odd.",
        "schema.json": json.dumps({"type": "object", "properties": {"a": {"type": "string"}}}),
        "config.toml": "seed = 5\n",
        "personas/it's mine.toml": 'system = "@../system.txt"',
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    named = ["--config", str(folder / "config.toml"), "--schema", str(folder / "schema.json")]
    named += ["--load", str(folder / "talk.json")]
    server.usual = lambda _: says('{"a": "b"}')
    by_flag = run(*at(server), *named, "-s", f"@{folder}/system.txt", "Hi", home=home)
    by_persona = run(*at(server), *named, "-p", "it's mine", "Hi", home=home)
    for done in (by_flag, by_persona):
        assert (done.returncode, done.stderr) == (0, "")
    for received in server.requests:
        said = [("system", "Be odd."), ("user", "Before."), ("user", "Hi")]
        assert (received.said, received.body["seed"]) == (said, 5)
    assert len(server.requests) == 2
    for name in files:
        (folder / name).write_text("[")
    for flags in (named[2:4], ["--load", str(folder / "none")]):
        done = run(*at(server), *flags, "Hi", home=home)
        assert_refused(done, 2, "a 'b' \"c\"\\n d")
        assert len(done.stderr.splitlines()) <= 2
        assert "\x1b" not in done.stderr


@pytest.mark.parametrize("flags", [["--code", "--json"], ["--code", "--dry-run"]])
def test_code_goes_with_no_other_form(home: Path, flags: list[str]) -> None:
    assert_refused(run(*flags, "Hi", home=home), 2, "--code goes neither with --json")


def test_code_and_quiet_need_a_prompt_on_a_terminal(home: Path) -> None:
    with Terminal("-q", "-m", "gpt-4", home=home, env={"OPENAI_API_KEY": "k"}) as terminal:
        assert terminal.wait_for_end() == 2
        assert "PROMPT" in terminal.screen


def test_a_bad_schema_is_told_before_anything_is_sent_or_started(home: Path) -> None:
    assert_refused(run("--schema", "a:date", "Hi", home=home), 2, "'a:date' is no field")


def test_an_empty_schema_is_told_as_the_flag_that_it_is(home: Path) -> None:
    done = run("--schema", "", "Hi", home=home)
    assert_refused(done, 2, "--schema: there is nothing in it.", "name:str")
    assert "config.example.toml" not in done.stderr


def test_a_persona_that_is_wrong_is_marked_and_told_where_it_is_shown(home: Path) -> None:
    folder = home / "chatrepl" / "config" / "personas"
    folder.mkdir(parents=True)
    bad = folder / "bad.toml"
    bad.write_text("temprature = 1\n")
    why = "line 1: unknown key 'temprature'. Did you mean 'temperature'?"
    listed = run("personas", home=home)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert f"bad\twrong: {why}\t{bad}" in listed.stdout.splitlines()
    shown = run("personas", "bad", home=home)
    assert (shown.returncode, shown.stdout) == (2, "temprature = 1\n")
    assert shown.stderr.startswith(f"{bad}, {why}\n")
    as_json = json.loads(run("personas", "--json", home=home).stdout)
    assert as_json[-1] == {"name": "bad", "from": str(bad), "wrong": f"{bad}, {why}"}
    assert "system" in as_json[0]


def test_personas_lists_them_and_shows_one_whole(home: Path) -> None:
    configure(home, '[personas.pirate]\nsystem = "Arr.\\nAhoy."\nseed = 1\n')
    listed = run("personas", home=home)
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    config = str(home / "chatrepl" / "config" / "config.toml")
    assert ["pirate", "Arr. Ahoy.", config] in rows
    assert rows[0][0::2] == ["concise", "built in"]
    shown = run("personas", "pirate", home=home)
    assert shown.stdout == 'system = """\nArr.\nAhoy."""\nseed = 1\n'
    as_json = json.loads(run("personas", "--json", home=home).stdout)
    pirate = {"name": "pirate", "from": config, "system": "Arr.\nAhoy.", "seed": 1}
    assert as_json[-1] == pirate
    hint = shlex.join(["personas", "a", "b"])
    assert_refused(run("personas", "a", "b", home=home), 2, f"chatrepl -- {hint}")
