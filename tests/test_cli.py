"""The command line in a pipe: what goes where, what the server gets, and how it ends."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import chatrepl
from tests.support.guide import num_tokens_from_messages
from tests.support.loopback import Cut, Loopback, Part, Reply, chunk, fails, says
from tests.support.program import COMMAND, Terminal, environment, run

NOBODY = "http://127.0.0.1:9/v1"
Done = subprocess.CompletedProcess[str]


def configure(home: Path, text: str) -> None:
    file = home / "chatrepl" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def save(home: Path, messages: object) -> str:
    """Write a --load file."""
    file = home / "messages.json"
    file.write_text(json.dumps(messages))
    return str(file)


def planned(
    *arguments: str, home: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> dict[str, Any]:
    """What --dry-run says would be sent, to gpt-4 unless something else is said."""
    variables = {"CHATREPL_MODEL": "gpt-4", **(env or {})}
    flags = ["--base-url", NOBODY, "--dry-run", "--json"]
    done = run(*flags, *arguments, home=home, env=variables, stdin=stdin)
    assert done.returncode == 0, done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def contents(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in plan["messages"]]


def assert_refused(done: Done, status: int, *words: str) -> None:
    """It ended with this status, said so in a few lines on stderr, and in no traceback."""
    assert done.returncode == status, done.stderr
    assert done.stderr.strip()
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert "unforeseen" not in done.stderr
    assert [word for word in words if word not in done.stderr] == []


# The prompt, and what comes on which stream.
@pytest.mark.parametrize(
    ("arguments", "stdin", "prompt"),
    [
        (["Hello", "there  you"], "", "Hello there  you"),
        ([], "from a pipe\n", "from a pipe"),
        (["Explain:"], "one\n\ntwo\n", "Explain:\n\none\n\ntwo"),
        (["--", "models", "of the atom"], "", "models of the atom"),
        (["--", "--json"], "", "--json"),
        ([], "<|endoftext|> \x00 \x1b[31m", "<|endoftext|> \x00 \x1b[31m"),
    ],
)
def test_the_prompt_is_the_words_then_a_blank_line_then_standard_input(
    home: Path, arguments: list[str], stdin: str, prompt: str
) -> None:
    plan = planned(*arguments, home=home, stdin=stdin)
    assert contents(plan) == [("user", prompt)]


def test_stdout_has_the_reply_alone_and_notices_go_to_stderr(home: Path, server: Loopback) -> None:
    server.then(says("**Bold** and\nplain\x1b[0m"))
    long = "Hi " * 2_500  # more than half of the window that is assumed
    done = run("--base-url", server.base_url, "-m", "no-such-model", long, home=home)
    assert (done.returncode, done.stdout) == (0, "**Bold** and\nplain\x1b[0m\n")
    assert "no-such-model" in done.stderr
    assert "4,096" in done.stderr


@pytest.mark.parametrize("arguments", [[""], []])
def test_an_empty_prompt_sends_nothing(home: Path, server: Loopback, arguments: list[str]) -> None:
    done = run("--base-url", server.base_url, *arguments, home=home, stdin=" \n\n")
    assert_refused(done, 2, "empty")
    assert server.requests == []


def test_json_prints_one_object_with_the_documented_keys(home: Path, server: Loopback) -> None:
    server.then(says("Hello → you", usage=(21, 4)))
    done = run("--base-url", server.base_url, "-m", "gpt-4", "--json", "Hi", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert re.fullmatch("[a-z]{6}", result.pop("session"))
    assert result == {
        "reply": "Hello → you",
        "reasoning": None,
        "finish_reason": "stop",
        "model": "loop-1",
        "provider": "openai",
        "usage": {
            "prompt_tokens": 21,
            "completion_tokens": 4,
            "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "cost": "0.00087",  # $30 and $60 for a million tokens, as OpenAI has always sold gpt-4
        "cost_estimated": False,
        "priced_by": f"genai-prices {metadata.version('genai-prices')}",
        "window": {
            "prompt_tokens": num_tokens_from_messages([{"role": "user", "content": "Hi"}]),
            "counted": "exact",
            "max_tokens": 2048,
            "context_window": 8192,
            "dropped": [],
        },
    }


def test_json_has_what_came_of_a_reply_that_broke_off(home: Path, server: Loopback) -> None:
    server.then(Reply([chunk({"content": "Half a"}), Cut()]))
    done = run("--base-url", server.base_url, "-m", "gpt-4", "--json", "Hi", home=home)
    assert_refused(done, 8)
    result = json.loads(done.stdout)
    assert (result["reply"], result["finish_reason"], result["usage"]) == ("Half a", None, None)
    assert result["cost_estimated"]
    assert Decimal(result["cost"]) > 0


# --dry-run.
def test_dry_run_sends_nothing_and_shows_everything(home: Path, server: Loopback) -> None:
    arguments = ["--base-url", server.base_url, "-m", "gpt-4", "-s", "Be kind.", "--dry-run", "Hi"]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    count = num_tokens_from_messages(messages)
    done = run(*arguments, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"system: Be kind.\nuser: Hi\n{count} tokens")
    done = run(*arguments, "--json", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "model": "gpt-4",
        "provider": "openai",
        "messages": messages,
        "parameters": {},
        "prompt_tokens": count,
        "counted": "exact",
        "max_tokens": 2048,
        "context_window": 8192,
        "dropped": [],
    }
    assert server.requests == []


def test_dry_run_says_what_is_left_out_message_by_message(home: Path) -> None:
    talk = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"{number} word" * 9}
        for number in range(8)
    ]
    system = {"role": "system", "content": "Be kind."}
    asked = {"role": "user", "content": "And now?"}
    whole = [system, *talk, asked]
    limits = ["--max-tokens", "20", "--context-window", "150"]
    plan = planned("--load", save(home, [system, *talk]), *limits, "And now?", home=home)
    dropped = [entry["index"] for entry in plan["dropped"]]
    assert dropped == list(range(1, 1 + len(dropped)))
    assert dropped
    assert plan["messages"] == [m for index, m in enumerate(whole) if index not in dropped]
    assert plan["prompt_tokens"] == num_tokens_from_messages(plan["messages"])
    for entry in plan["dropped"]:
        message = whole[entry["index"]]
        tokens = num_tokens_from_messages([message]) - 3  # without what primes the reply
        assert entry == {"index": entry["index"], "role": message["role"], "tokens": tokens}
    assert plan["prompt_tokens"] + 20 <= 150
    one_more = plan["prompt_tokens"] + sum(entry["tokens"] for entry in plan["dropped"][-2:])
    assert one_more + 20 > 150


def test_dry_run_needs_no_key_and_runs_no_command_for_one(home: Path) -> None:
    configure(home, f'[providers.mine]\napi_key_cmd = "touch {home}/touched; echo k"')
    for provider in ("mine", "azure"):
        flags = ["--provider", provider, "-m", "gpt-4"]
        assert run(*flags, "--dry-run", "Hi", home=home).returncode == 0
    assert not (home / "touched").exists()


# --load.
LOADED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?", "name": "ann"},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "!"}],
    },
]


def test_load_takes_every_form_of_message(home: Path) -> None:
    plan = planned("--load", save(home, LOADED), "Two?", home=home)
    assert plan["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?", "name": "ann"},
        {"role": "assistant", "content": "1!"},
        {"role": "user", "content": "Two?"},
    ]


def test_a_loaded_question_is_answered_without_a_prompt(home: Path, server: Loopback) -> None:
    file = save(home, [*LOADED, {"role": "user", "content": "Three?", "name": "bob"}])
    done = run("--base-url", server.base_url, "-m", "gpt-4", "--load", file, home=home)
    assert (done.returncode, done.stdout) == (0, "You said: Three?\n")
    [received] = server.requests
    assert received.body["messages"][-1] == {"role": "user", "content": "Three?", "name": "bob"}
    assert len(received.body["messages"]) == 4


def test_a_loaded_talk_that_is_answered_needs_a_prompt(home: Path) -> None:
    done = run("--base-url", NOBODY, "--load", save(home, LOADED), home=home)
    assert_refused(done, 2, "empty")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Be brief."),
        (["-s", "Be kind."], "Be kind."),
        (["-p", "fool"], "Be funny."),
        (["-p", "quiet"], "Be brief."),  # a persona without a system message asks for none
    ],
)
def test_a_loaded_system_message_stands_unless_another_is_asked_for(
    home: Path, arguments: list[str], expected: str
) -> None:
    configure(
        home,
        'system = "of the file"\n[personas.fool]\nsystem = "Be funny."\n'
        "[personas.quiet]\nmax_tokens = 9",
    )
    plan = planned("--load", save(home, LOADED), *arguments, "Hi", home=home)
    assert contents(plan)[0] == ("system", expected)


def test_an_empty_system_flag_takes_the_system_message_away(home: Path) -> None:
    plan = planned("--load", save(home, LOADED), "-s", "", "Hi", home=home)
    assert contents(plan)[0] == ("user", "One?")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{not json", "array"),
        (b"[]", "no messages"),
        (b'[{"role": "tool", "content": "x"}]', "tool"),
        (b'[{"role": "user", "content": "\xff"}]', "messages.json"),
    ],
)
def test_a_bad_load_file_is_told(home: Path, data: bytes, words: str) -> None:
    file = home / "messages.json"
    file.write_bytes(data)
    done = run("--base-url", NOBODY, "--load", str(file), "Hi", home=home)
    assert_refused(done, 2, "--load", words)


# System messages and personas.
def test_a_system_message_is_a_text_or_a_file(home: Path) -> None:
    (home / "system.txt").write_text("Be kind.\n\nAnd é.\n")
    assert contents(planned("-s", "A text", "Hi", home=home))[0] == ("system", "A text")
    by_file = planned("-s", f"@{home}/system.txt", "Hi", home=home)
    assert contents(by_file)[0] == ("system", "Be kind.\n\nAnd é.")


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        *[(flag, "missing") for flag in ("--system=@", "--load=", "--config=")],
        *[(flag, "~nobody-of-this-name/x") for flag in ("--system=@", "--load=", "--config=")],
        ("--load=", "."),
    ],
)
def test_a_file_that_cant_be_read_is_told(home: Path, flag: str, name: str) -> None:
    path = name if name.startswith("~") else str(home / name)
    done = run("--base-url", NOBODY, f"{flag}{path}", "Hi", home=home)
    assert_refused(done, 2, name if name != "." else str(home))


def test_the_server_gets_the_personas_messages_and_settings_below_the_flags(
    home: Path, server: Loopback
) -> None:
    configure(
        home,
        f"""
        temperature = 1.0
        model = "gpt-3.5-turbo"
        [personas.pirate]
        system = "Talk like a pirate."
        temperature = 0.25
        max_tokens = 30
        model = "gpt-4"
        provider = "mine"
        examples = [{{ user = "Hello", assistant = "Ahoy" }}, {{ user = "Bye", assistant = "Arr" }}]
        [providers.mine]
        base_url = "{server.base_url}"
        """,
    )
    done = run("-p", "pirate", "--max-tokens", "40", "Where to?", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: Where to?\n", "")
    [received] = server.requests
    assert received.said == [
        ("system", "Talk like a pirate."),
        ("user", "Hello"),
        ("assistant", "Ahoy"),
        ("user", "Bye"),
        ("assistant", "Arr"),
        ("user", "Where to?"),
    ]
    sent = {key: received.body[key] for key in ("model", "temperature", "max_tokens")}
    assert sent == {"model": "gpt-4", "temperature": 0.25, "max_tokens": 40}


def test_a_personas_examples_come_before_the_loaded_talk(home: Path) -> None:
    configure(home, '[personas.p]\nsystem = "S"\nexamples = [{ user = "a", assistant = "b" }]')
    plan = planned("-p", "p", "--load", save(home, LOADED), "Hi", home=home)
    assert [text for _, text in contents(plan)] == ["S", "a", "b", "One?", "1!", "Hi"]


def test_chatrepl_model_names_the_model(home: Path) -> None:
    assert planned("Hi", home=home, env={"CHATREPL_MODEL": "gpt-4-32k"})["model"] == "gpt-4-32k"


def test_the_config_file_is_found_by_variable_and_by_flag(home: Path) -> None:
    for name in ("other", "named"):
        (home / f"{name}.toml").write_text(f'system = "{name}"')
    configure(home, 'system = "usual"')
    env = {"CHATREPL_CONFIG": str(home / "other.toml")}
    named = ["--config", str(home / "named.toml")]
    assert contents(planned("Hi", home=home, env=env))[0] == ("system", "other")
    assert contents(planned(*named, "Hi", home=home, env=env))[0] == ("system", "named")


# Keys.
def test_a_key_goes_only_where_it_is_named(home: Path, server: Loopback) -> None:
    configure(
        home,
        f"""
        [providers.unnamed]
        base_url = "{server.base_url}"
        [providers.named]
        base_url = "{server.base_url}"
        api_key_env = "OPENAI_API_KEY"
        [providers.printed]
        base_url = "{server.base_url}"
        api_key_cmd = "printf 'first\\nsecond\\n'"
        """,
    )
    account = {"OPENAI_ORG_ID": "org-mine", "OPENAI_PROJECT_ID": "proj-mine"}
    env = {"OPENAI_API_KEY": "sk-mine", "AZURE_OPENAI_API_KEY": "az-mine", **account}
    for provider in ("unnamed", "named", "printed"):
        done = run("--provider", provider, "-m", "gpt-4", "Hi", home=home, env=env)
        assert (done.returncode, done.stderr) == (0, "")
    unnamed, named, printed = server.requests
    assert named.headers["authorization"] == "Bearer sk-mine"
    assert printed.headers["authorization"] == "Bearer first"
    for received in (unnamed, printed):
        assert "mine" not in " ".join(received.headers.values())


@pytest.mark.parametrize("command", ["echo key; exit 3", "true", "no-such-command-here"])
def test_a_key_command_that_gives_no_key_is_told(
    home: Path, server: Loopback, command: str
) -> None:
    configure(
        home,
        f'[providers.mine]\nbase_url = "{server.base_url}"\napi_key_cmd = "{command}"',
    )
    done = run("-m", "gpt-4", "Hi", home=home, env={"OPENAI_API_KEY": "sk-mine"})
    assert_refused(done, 2, "api_key_cmd", "mine")
    assert server.requests == []


@pytest.mark.parametrize("key", ["sk-secret…", "sk-se\ncret"])
def test_a_key_that_can_be_none_is_told_and_not_shown(
    home: Path, server: Loopback, key: str
) -> None:
    """A key with an ellipsis is one that was copied from a page that cuts it short."""
    done = run(
        *("--base-url", server.base_url, "-m", "gpt-4", "Hi"),
        home=home,
        env={"OPENAI_API_KEY": key},
    )
    assert_refused(done, 2, "OPENAI_API_KEY")
    assert "sk-s" not in done.stderr
    assert server.requests == []


def test_a_model_without_a_key_says_where_to_set_one(home: Path) -> None:
    assert_refused(run("-m", "gpt-4o", "Hi", home=home), 2, "OPENAI_API_KEY")


# Exit statuses.
def filtered(reply: Reply) -> Reply:
    return Reply([*reply.parts, chunk({}, "content_filter")])


CUT_SHORT = says("Half a", None, usage=None)


@pytest.mark.parametrize(
    ("reply", "status", "stdout", "words"),
    [
        (fails(401, "bad key"), 3, "", ["bad key", "OPENAI_API_KEY"]),
        (fails(403, "not you"), 3, "", ["not you"]),
        (fails(429, "no money", code="insufficient_quota"), 4, "", ["no money", "quota"]),
        (fails(400, "filtered", code="content_filter"), 6, "", ["filter", "prompt"]),
        (filtered(CUT_SHORT), 6, "Half a\n", ["filter"]),
        (says("Half a", "length"), 7, "Half a\n", ["max_tokens"]),
        (CUT_SHORT, 8, "Half a\n", ["finish_reason"]),
        (Reply([chunk({"content": "Half a"}), Cut()]), 8, "Half a\n", ["closed"]),
        (Reply(body=b"<html>Welcome</html>"), 8, "", ["base_url"]),
        (says(""), 8, "", ["empty"]),
    ],
    ids=[
        *("401", "403", "quota", "prompt filtered", "reply filtered", "length"),
        *("no finish_reason", "cut", "html", "empty reply"),
    ],
)
def test_how_it_ends_is_the_exit_status(
    home: Path, server: Loopback, reply: Reply, status: int, stdout: str, words: list[str]
) -> None:
    server.then(reply)
    done = run("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home)
    assert_refused(done, status, *words)
    assert done.stdout == stdout
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "exit_status"), [(429, 4), (500, 8)])
def test_what_may_pass_is_tried_twice_more(
    home: Path, server: Loopback, status: int, exit_status: int
) -> None:
    reply = fails(status, "not now", {"Retry-After": "0"})
    server.then(reply, reply, reply)
    done = run("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home)
    assert (done.returncode, done.stdout) == (exit_status, "")
    assert len(server.requests) == 3
    *retries, text, hint = done.stderr.splitlines()
    assert ["(1 of 2)" in retries[0], "(2 of 2)" in retries[1], len(retries)] == [True, True, 2]
    assert "not now" in text
    assert "again" in hint


def test_a_refused_connection_is_status_8(home: Path) -> None:
    configure(home, f'[providers.mine]\nbase_url = "{NOBODY}"\nretries = 0')
    assert_refused(run("-m", "gpt-4", "Hi", home=home), 8, "127.0.0.1:9", "mine")


@pytest.mark.parametrize("dry_run", [["--dry-run"], []])
def test_a_prompt_that_does_not_fit_is_status_5(
    home: Path, server: Loopback, dry_run: list[str]
) -> None:
    prompt = "word " * 200
    done = run(
        *("--base-url", server.base_url, "-m", "gpt-4", "--context-window", "150", *dry_run),
        *("--max-tokens", "50"),
        home=home,
        stdin=prompt,
    )
    count = num_tokens_from_messages([{"role": "user", "content": prompt}])
    assert_refused(done, 5, str(count), "50", "150")
    assert (done.stdout, server.requests) == ("", [])


@contextmanager
def started(*arguments: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program beside the test, with Ctrl-C as a shell leaves it."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A runner started in the background ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def stalling(server: Loopback) -> Iterator[threading.Event]:
    """The server says "Half a" and falls silent until the event, then says the rest."""
    more = threading.Event()
    rest: list[Part] = [chunk({"content": " word" * 20_000}) for _ in range(3)]
    server.then(Reply([chunk({"content": "Half a"}), more, *rest, chunk({}, "stop")]))
    yield more
    more.set()


def test_ctrl_c_is_status_130_and_says_nothing(
    home: Path, server: Loopback, stalling: threading.Event
) -> None:
    with started("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(6) == b"Half a"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == b"\n"
        assert process.stderr.read() == b""


def test_a_stdout_that_closes_while_the_reply_comes_ends_quietly(
    home: Path, server: Loopback, stalling: threading.Event
) -> None:
    with started("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"H"
        process.stdout.close()
        stalling.set()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def closed_pipe() -> int:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--dry-run", "Hi"]])
def test_a_stdout_that_nobody_reads_ends_quietly(home: Path, arguments: list[str]) -> None:
    writer = closed_pipe()
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("handles", "stdout"), [("<&-", "user: Hi"), ("</dev/null >&-", ""), ("<&- >&- 2>&-", "")]
)
def test_handles_that_were_closed_before_the_start_are_no_trouble(
    home: Path, handles: str, stdout: str
) -> None:
    """As cron jobs and daemons leave them."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {handles}', "sh", *COMMAND, "--dry-run", "-m", "gpt-4", "Hi"],
        env=environment(home),
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(stdout)
    assert bool(done.stdout) == bool(stdout)


# Texts that are no texts.
def test_bytes_that_are_no_utf8_are_replaced_and_that_is_said(home: Path) -> None:
    arguments = ["--base-url", NOBODY, "-m", "gpt-4", "--dry-run"]
    done = run(*arguments, home=home, stdin=b"caf\xe9 \xf0\x9f")
    assert done.returncode == 0
    assert done.stdout.startswith("user: caf\ufffd \ufffd\n")
    assert "UTF-8" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_replacement_characters_in_good_utf8_are_nothing_to_speak_of(home: Path) -> None:
    arguments = ["--base-url", NOBODY, "-m", "gpt-4", "--dry-run"]
    done = run(*arguments, home=home, stdin="a \ufffd b")
    assert (done.returncode, done.stderr) == (0, "")


def run_bytes(*arguments: str | bytes, home: Path) -> subprocess.CompletedProcess[bytes]:
    """Run with arguments that may be no UTF-8, as file names and pastes can be."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_arguments_that_are_no_utf8_are_replaced(home: Path) -> None:
    flags = ["--base-url", NOBODY, "-m", "gpt-4", "--dry-run", "--json"]
    done = run_bytes(*flags, "-s", b"s\xff", b"caf\xe9", home=home)
    assert done.returncode == 0, done.stderr
    assert contents(json.loads(done.stdout)) == [("system", "s\ufffd"), ("user", "caf\ufffd")]


@pytest.mark.parametrize("flag", ["-m", "-p", "--provider", "--base-url", "--load", "--config"])
def test_a_name_that_is_no_utf8_is_bad_usage(home: Path, flag: str) -> None:
    done = run_bytes("--base-url", NOBODY, flag, b"http://x\xff", "Hi", home=home)
    assert_refused(
        subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        ),
        2,
    )


def test_lone_surrogates_and_nul_in_a_loaded_file_do_not_crash(home: Path) -> None:
    file = home / "messages.json"
    file.write_bytes(rb'[{"role": "user", "content": "a\u0000b\ud83d\ude00 \ud800c"}]')
    done = run("--base-url", NOBODY, "-m", "gpt-4", "--dry-run", "--load", str(file), home=home)
    if done.returncode == 0:
        assert done.stdout.startswith("user: a\x00b😀 \ufffdc\n")
    else:
        assert_refused(done, 2, "--load")


def test_a_reply_with_halves_of_characters_does_not_crash(home: Path, server: Loopback) -> None:
    """Some servers cut a reply between the two halves of a character's \\u escapes."""
    pieces = [chunk({"content": piece}) for piece in ("a\ud83d", "\ude00b \ud800c")]
    server.then(Reply([*pieces, chunk({}, "stop")]))
    done = run("--base-url", server.base_url, "-m", "gpt-4", "--json", "Hi", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch("a(😀|[\ufffd?]{2})b [\ufffd?]c", json.loads(done.stdout)["reply"])


def test_a_reply_that_stdout_cant_encode_is_not_lost(home: Path, server: Loopback) -> None:
    server.then(says("5 € → paid"))
    done = run(
        *("--base-url", server.base_url, "-m", "gpt-4", "Hi"),
        home=home,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"5 \S+ \S+ paid\n", done.stdout)


# Bad usage.
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-such-option", "Hi"], ["--no-such-option"]),
        (["--max-tokens", "0", "Hi"], ["--max-tokens"]),
        (["--max-tokens", "many", "Hi"], ["--max-tokens"]),
        (["--context-window", "9" * 400, "Hi"], ["--context-window"]),
        (["--temperature", "2.5", "Hi"], ["--temperature"]),
        (["--temperature", "nan", "Hi"], ["--temperature"]),
        (["--model"], ["--model"]),
        (["-p", "teacher", "Hi"], ["teacher"]),
        (["--provider", "opnai", "Hi"], ["opnai", "openai", "azure", "embedded"]),
        (["-m", "gpt-4", "--max-tokens", "9000", "Hi"], ["9,000", "8,192"]),
        (["--provider", "azure", "Hi"], ["azure", "AZURE_OPENAI_API_KEY"]),
        (["--base-url", "localhost:8080", "-m", "gpt-4", "Hi"], ["base_url", "localhost:8080"]),
        (["--base-url", "http://[", "-m", "gpt-4", "Hi"], ["base_url"]),
        (["--base-url", "http://localhost:http/v1", "-m", "gpt-4", "Hi"], ["base_url"]),
        (["--base-url", "http://a b/v1", "-m", "gpt-4", "Hi"], ["base_url"]),
    ],
)
def test_bad_usage_is_told_in_a_line_or_two(
    home: Path, arguments: list[str], words: list[str]
) -> None:
    env = {"OPENAI_API_KEY": "k"}
    done = run(*arguments, home=home, env=env)
    assert_refused(done, 2, *words)
    assert len(done.stderr.splitlines()) <= 2
    assert done.stdout == ""


def test_an_embedded_model_that_is_not_there_is_told_with_the_one_that_is(home: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed (the extra 'local')")
    missing = run("-m", str(home / "nope.gguf"), "Hi", home=home)
    assert_refused(missing, 2, "nope.gguf", "SmolLM2")
    (home / "text.gguf").write_text("no model")
    assert_refused(run("-m", str(home / "text.gguf"), "Hi", home=home), 2, "text.gguf", "GGUF")


@pytest.mark.parametrize("word", ["sessions", "usage", "init", "doctor", "key"])
def test_a_subcommands_name_gets_a_hint_that_says_how_to_make_it_a_prompt(
    home: Path, word: str
) -> None:
    hint = f"chatrepl -- {word} of the atom"
    assert_refused(run(word, "of", "the", "atom", home=home), 2, hint)


def test_a_bad_config_file_is_told_and_left_alone(home: Path) -> None:
    configure(home, '# mine\nmodle = "m"\n')
    assert_refused(run("Hi", home=home), 2, "config.toml, line 2", "'modle'", "'model'")
    file = home / "chatrepl" / "config" / "config.toml"
    assert file.read_text() == '# mine\nmodle = "m"\n'


def test_json_and_dry_run_need_a_prompt_on_a_terminal(home: Path) -> None:
    with Terminal("--json", "-m", "gpt-4", home=home, env={"OPENAI_API_KEY": "k"}) as terminal:
        assert terminal.wait_for_end() == 2
        assert "PROMPT" in terminal.screen


# Help.
OPTIONS = [
    *("-s, --system", "-p, --persona", "-m, --model", "--provider", "--base-url", "--max-tokens"),
    *("--temperature", "--top-p", "--seed", "--stop", "--reasoning-effort", "--set", "--schema"),
    *("--context-window", "--overflow", "-f, --file", "--load", "-c, --continue"),
    *("--resume", "--no-save", "--json", "--code", "-q, --quiet", "--dry-run", "--plain"),
    *("--accessible", "--config", "--verbose", "--install-completion", "--show-completion"),
    *("--version", "-h, --help"),
]
STATUSES = [*range(11), 129, 130, 143]


def test_help_lists_every_option_and_exit_status(home: Path) -> None:
    done = run("--help", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("-h", home=home).stdout == done.stdout
    listed = re.findall(r"^  (-[-\w]+(?:, --[-\w]+)?)(?: [A-Z|=]+)?  ", done.stdout, re.MULTILINE)
    assert listed == OPTIONS
    for status in STATUSES:
        assert re.search(rf"^ +{status} +\w", done.stdout, re.MULTILINE), status


def test_the_reference_has_every_option_status_and_variable() -> None:
    folder = Path(__file__).parent.parent / "docs" / "reference"
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    variables = [
        *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_TYPE=azure"),
        *("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
        *("CHATREPL_MODEL", "CHATREPL_CONFIG", "CHATREPL_HOME", "NO_COLOR"),
        *("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"),
    ]
    words = [word for option in OPTIONS for word in option.split(", ")]
    of_chat = pages["cli.md"].partition("\n## chatrepl models")[0]
    missing = [
        word for word in words if not re.search(rf"^\| .*`{word}[ `]", of_chat, re.MULTILINE)
    ]
    missing += [word for word in variables if f"`{word}`" not in pages["environment.md"]]
    missing += [str(n) for n in STATUSES if f"\n| {n} | " not in pages["exit-statuses.md"]]
    assert missing == []


def test_the_saved_sessions_are_listed_without_what_a_chat_needs(home: Path) -> None:
    done = subprocess.run(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], "sessions"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    heavy = {"openai", "httpx2", "tiktoken", "prompt_toolkit", "rich.markdown", "genai_prices"}
    assert "chatrepl.store.sessions" in loaded
    assert loaded & heavy == set()


def test_version(home: Path) -> None:
    done = run("--version", home=home)
    assert (done.stdout, done.returncode) == (f"chatrepl {chatrepl.__version__}\n", 0)


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_takes_the_colours_away(home: Path, env: dict[str, str], coloured: bool) -> None:
    with Terminal("--provider", "nope", "Hi", home=home, env=env) as terminal:
        assert terminal.wait_for_end() == 2
        assert "nope" in terminal.screen
        assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]", terminal.raw)) == coloured
