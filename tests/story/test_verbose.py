"""--verbose: every request on standard error, and nothing secret in it."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx2
import pytest

from chatrepl.providers.endpoint import Endpoint
from chatrepl.providers.showing import hooks_for
from chatrepl.terminal.rendering import MarkdownReply
from tests.support.loopback import Loopback, fails, says
from tests.support.papers import Paper, read_back
from tests.support.processes import wait_until
from tests.support.program import run
from tests.support.talk import say_and_hear, talk

KEY = "sk-never-to-be-shown-4711"


def seen(
    home: Path, server: Loopback, *arguments: str, env: Mapping[str, str] | None = None
) -> str:
    """Ask with --verbose and give what stands on standard error."""
    flags = ["--base-url", server.base_url, "-m", "gpt-4", "--verbose"]
    variables = {"OPENAI_API_KEY": KEY, **(env or {})}
    done = run(*flags, *(arguments or ["Hi"]), home=home, env=variables)
    assert KEY not in done.stderr
    return done.stderr


def body_of(said: str) -> dict[str, object]:
    """The body of the last request: from the line of its first brace to that of its last."""
    text = said[said.rindex("\n{\n") : said.rindex("\n}\n") + 2]
    body: dict[str, object] = json.loads(text)
    return body


def test_quiet_is_for_notices_and_not_for_requests(home: Path, server: Loopback) -> None:
    assert "→ POST" in seen(home, server, "-q", "Hi")


def test_a_request_and_its_status_are_shown(home: Path, server: Loopback) -> None:
    # A model that nobody knows: the server is asked what it knows.
    flags = ["--base-url", server.base_url, "-m", "what-1", "--verbose", "Hi"]
    done = run(*flags, home=home, env={"OPENAI_API_KEY": KEY})
    assert (done.returncode, done.stdout) == (0, "You said: Hi\n")
    [received] = server.requests
    lines = done.stderr.splitlines()
    assert lines[0] == "→ GET " + server.base_url + "/models"
    start = lines.index(f"→ POST {server.base_url}/chat/completions")
    assert "← 404 Not Found" in lines[:start]
    assert lines[-1] == "← 200 OK"
    assert body_of(done.stderr) == received.body
    shown = dict(line.strip().split(": ", 1) for line in lines[start + 1 : lines.index("{")])
    assert shown.pop("authorization") == "[hidden]"
    assert received.headers.pop("authorization") == f"Bearer {KEY}"
    assert shown == received.headers
    assert KEY not in done.stderr


def test_without_the_flag_nothing_is_shown(home: Path, server: Loopback) -> None:
    done = run("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home)
    assert done.stderr == ""


def test_an_error_and_each_further_try_are_shown(home: Path, server: Loopback) -> None:
    server.then(fails(500), fails(401, f"no such key: {KEY}"))
    said = seen(home, server)
    posts = [line for line in said.splitlines() if line.startswith(("→ POST", "← ", "openai"))]
    assert [line[:8] for line in posts[-6:]] == [
        *("→ POST h", "← 500 In", "openai ("),
        *("→ POST h", "← 401 Un", "openai ("),
    ]


def test_secrets_are_hidden_wherever_they_stand(home: Path, server: Loopback) -> None:
    file = home / "mine.toml"
    file.write_text(
        f"""
        [providers.mine]
        base_url = "{server.base_url.replace("http://", "http://me:a%2Fpass@")}"
        api_key = "{KEY}"
        [providers.mine.default_headers]
        X-Api-Token = "tok-of-the-header"
        Cookie = "session=biscuit"
        X-Team = "docs"
        """,
    )
    file.chmod(0o600)
    text = f"Is {KEY} or tok-of-the-header or a/pass or biscuit secret?"
    flags = ["--config", str(file), "-m", "gpt-4", "--verbose"]
    done = run(*flags, text, home=home)
    assert done.returncode == 0, done.stderr
    received = server.requests[-1]
    assert received.headers["x-api-token"] == "tok-of-the-header"
    assert received.headers["authorization"].startswith("Basic ")
    for name in ("x-api-token", "cookie", "authorization"):
        assert f"  {name}: [hidden]\n" in done.stderr
    assert "  x-team: docs\n" in done.stderr
    assert f"→ POST http://[hidden]@{server.root.removeprefix('http://')}/v1/" in done.stderr
    assert "Is [hidden] or [hidden] or [hidden] or biscuit secret?" in done.stderr
    for secret in (KEY, "tok-of", "a/pass", "a%2Fpass", b64encode(b"me:a/pass").decode()):
        assert secret not in done.stderr


def test_azure_s_key_is_hidden(home: Path, server: Loopback) -> None:
    env = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": server.root}
    done = run("--provider", "azure", "-m", "gpt-4", "--verbose", "Hi", home=home, env=env)
    assert done.returncode == 0, done.stderr
    assert server.requests[-1].headers["api-key"] == KEY
    assert "  api-key: [hidden]\n" in done.stderr
    assert KEY not in done.stderr


def test_the_embedded_model_is_asked_with_a_key_that_is_hidden(home_with_model: Path) -> None:
    flags = ["-m", "smollm2", "--max-tokens", "5", "--verbose", "Hi"]
    done = run(*flags, home=home_with_model, timeout=120)
    assert "  authorization: [hidden]\n" in done.stderr
    assert "Bearer" not in done.stderr
    assert "← 200 OK" in done.stderr


def test_a_long_text_is_cut_and_its_size_is_told(home: Path, server: Loopback) -> None:
    text = "é" * 1_990 + KEY + "a" * 1_000
    said = seen(home, server, text)
    size = 2 * 1_990 + len(KEY) + 1_000
    assert f'"{"é" * 1_990}[hidden]aa… ({size:,} bytes in all)"' in said
    assert server.requests[-1].said == [("user", text)]


def test_control_characters_do_not_reach_the_terminal(home: Path, server: Loopback) -> None:
    said = seen(home, server, "a \x1b]52;c;AAAA\x07 b \u202e c \x9b31m d")
    assert not set(said) & set("\x1b\x07\x9b\u202e")
    assert "← 200 OK" in said


def test_models_shows_its_request(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "one"}]}
    flags = ["models", "--base-url", server.base_url, "--verbose"]
    done = run(*flags, home=home, env={"OPENAI_API_KEY": KEY})
    assert done.stdout.startswith("one\t")
    assert done.stderr.startswith(f"→ GET {server.base_url}/models\n")
    assert done.stderr.endswith("← 200 OK\n")
    assert KEY not in done.stderr


def test_in_a_chat_requests_stand_above_the_prompt_and_the_reply(
    home: Path, server: Loopback
) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "gpt-4"}]}
    with talk(home, server, "--verbose", env={"OPENAI_API_KEY": KEY}) as terminal:
        terminal.wait_for("→ GET ")  # from beside the prompt
        terminal.wait_for("← 200 OK")
        terminal.wait_for_prompt()
        server.then(fails(500), says("**One** and two."))
        terminal.say("go")
        terminal.wait_for("One and two.")
        terminal.wait_for_prompt()
        assert terminal.scrollback.count("/v1/chat/completions") == 2
        after = terminal.scrollback.rpartition("← 200 OK")[2]
        assert after.split("\n")[:4] == ["", "One and two.", "", ">"]
        assert not [
            line for line in terminal.scrollback.split("\n") if line[:1] in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" and line
        ]
        say_and_hear(terminal, "again")
        assert KEY.encode() not in terminal.raw


def in_a_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_a_notice_from_another_thread_stands_above_the_block_that_is_being_drawn() -> None:
    paper = Paper(60, 20)
    with MarkdownReply(paper) as reply:
        reply.text("one\ntwo\nthree")
        wait_until(lambda: "three" in paper.raw, "the open block")
        for n in range(3):
            in_a_thread(partial(paper.notice, f"notice {n}"))
        reply.text(" and more\n")
    paper.notice("after the end")
    shown = [line.strip() for line in read_back(paper).lines if line.strip()]
    notices = [f"notice {n}" for n in range(3)]
    assert shown == [*notices, "one two three and more", "after the end"]
    assert paper.above is None


def test_a_notice_that_comes_too_late_draws_no_spinner() -> None:
    paper = Paper()
    with MarkdownReply(paper) as reply:
        above = paper.above
    assert above == reply.notice
    in_a_thread(partial(above, "late"))
    assert read_back(paper).lines == ["late"]


@pytest.mark.parametrize(
    ("key", "text", "hidden"),
    [
        ("sk-1234567890", "a sk-1234567890b", "a [hidden]b"),
        ("a/b+c=d&e", "x=a%2Fb%2Bc%3Dd%26e", "x=[hidden]"),
        ("sk-1234567890", b64encode(b"sk-1234567890").decode(), "[hidden]=="),
        ("sk-1234567890", "Basic " + b64encode(b":sk-1234567890").decode(), "Basic [hidden]="),
        ("test", "a test, not the latest", "a [hidden], not the latest"),
        ("none", "none", "none"),
        ("k", "http://user:pass@host/v1", "http://[hidden]@host/v1"),
    ],
)
def test_what_is_hidden(key: str, text: str, hidden: str) -> None:
    assert Endpoint("mine", key, "").hide(text) == hidden


def test_what_a_query_calls_a_secret_is_hidden() -> None:
    shown: list[str] = []
    [leaving] = hooks_for(Endpoint("mine", "none", "", log=shown.append))["request"]
    url = "http://h/v1?api-version=1&api_key=abcd&%61ccess_token=e?f&q=a#x"
    leaving(httpx2.Request("GET", url))
    line = "http://h/v1?api-version=1&api_key=[hidden]&%61ccess_token=[hidden]&q=a#x"
    assert shown[0].split("\n")[0] == f"→ GET {line}"


def test_an_endpoint_does_not_show_its_key() -> None:
    shown = repr(Endpoint("mine", KEY, "", headers={"X-Token": "tok"}))
    assert KEY not in shown
    assert "tok" not in shown
