"""Keys stay in memory and in request headers: nowhere else, whatever a server makes of them."""

import json
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from chatrepl.app import App
from chatrepl.errors import AuthenticationError
from chatrepl.paths import Paths
from chatrepl.providers.endpoint import Endpoint
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.settings import Flags, read_sources
from chatrepl.terminal.screen import Screen
from tests.support.asking import a_request, fault, wire
from tests.support.loopback import Loopback, Reply, chunk, fails, says
from tests.support.processes import children, command_of, needs_proc
from tests.support.program import Terminal, run
from tests.support.talk import say_and_hear

KEY = "sk-for/the+server=alone-0815"
ECHOES = {
    "plain": KEY,
    "quoted": quote(KEY, safe=""),
    "quoted as a path": quote(KEY),
    "base64": b64encode(KEY.encode()).decode(),
    "basic": b64encode(f":{KEY}".encode()).decode(),
    "at the cut": "x" * 290 + " " + KEY,
}

Given = tuple[list[str], dict[str, str]]


@pytest.fixture(params=["variable", "file", "command", "keyring"])
def given(request: pytest.FixtureRequest, home: Path, server: Loopback) -> Given:
    """The flags and variables that bring the key to the provider "mine", at the server."""
    file, secret = home / "mine.toml", home / "secret.txt"
    lines = {
        "variable": 'api_key_env = "MINE"',
        "file": f'api_key = "{KEY}"',
        "command": f'api_key_cmd = "cat {secret}"',
        "keyring": "",
    }
    file.touch(mode=0o600)
    table = f'[providers.mine]\nbase_url = "{server.base_url}"\nretries = 0\n'
    file.write_text(table + lines[request.param])
    env: dict[str, str] = {}
    if request.param == "variable":
        env = {"MINE": KEY}
    elif request.param == "command":
        secret.write_text(KEY)
    elif request.param == "keyring":
        pytest.importorskip("keyring", reason="keyring is not installed (the extra 'keyring')")
        from tests.support.keyrings import in_keyring  # noqa: PLC0415 - imports keyring

        env = in_keyring(home)
        done = run("key", "set", "mine", "--config", str(file), home=home, stdin=KEY, env=env)
        assert done.returncode == 0, done.stderr
    return ["--config", str(file), "-m", "gpt-4"], env


def files_with_a_secret(home: Path) -> list[Path]:
    """The files below the program's home that hold the key in any form."""
    forms = [form.split()[-1].encode() for form in ECHOES.values()]
    files = [path for path in (home / "chatrepl").rglob("*") if path.is_file()]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def assert_hidden(*texts: str) -> None:
    for text in texts:
        for name, form in ECHOES.items():
            assert form.split()[-1] not in text, f"the key, {name}"


def descendants(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from descendants(child)


@needs_proc
def test_a_key_is_in_no_argument_file_or_line_of_a_talk(
    home: Path, server: Loopback, given: Given
) -> None:
    flags, env = given
    gate = threading.Event()
    elsewhere = f"http://h/?key={quote(KEY, safe='')}"
    failures = {
        "did not accept the key": fails(401, f"no key {KEY}", {"x-key": KEY}),
        "redirects to": Reply(status=307, body={}, headers={"location": elsewhere}),
        "broke off": Reply([{"error": {"message": f"no: {KEY}"}}]),
    }
    with Terminal(*flags, "--verbose", home=home, env=env) as terminal:
        terminal.wait_for_prompt()
        server.then(Reply([chunk({"content": "Half"}), gate, chunk({}, "stop")]))
        terminal.say("go")
        terminal.wait_for("Half")
        pid = terminal.process.pid or 0
        arguments = [" ".join(command_of(one)) for one in descendants(pid)]
        gate.set()
        terminal.wait_for_prompt()
        for n, (words, reply) in enumerate(failures.items()):
            server.then(reply)
            terminal.say(f"go {n}")
            terminal.wait_for(words)
            terminal.wait_for(f"> go {n}", times=2)
            terminal.key("ctrl-c")  # the failed text is at the prompt again
            terminal.wait_for_prompt()
        say_and_hear(terminal, "and end")
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
        raw = terminal.raw.decode()
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert arguments
    assert "chatrepl" in arguments[0]
    assert_hidden(raw, *arguments)
    assert files_with_a_secret(home) == []


def replies(echo: str) -> dict[str, Reply]:
    """Answers that show the key, in every place that an error is made of."""
    return {
        "401": fails(401, f"wrong key {echo}."),
        "403 detail": Reply(status=403, body={"detail": f"wrong key {echo}."}),
        "400 list": Reply(status=400, body={"detail": [{"msg": f"wrong key {echo}."}]}),
        "429": fails(429, f"too often: {echo}."),
        "500": fails(500, f"fell over {echo}."),
        "raw": fails(502, "upstream", metadata={"raw": f"they said {echo}."}),
        "parameter": fails(400, f"not {echo}", code="unsupported_value", param=f"p {echo}"),
        "filter": fails(
            400, "no", code="content_filter", innererror={f"k {echo}": {"filtered": True}}
        ),
        "page": Reply(status=401, body=f"<html>Your key: {echo}</html>".encode()),
        "redirect": Reply(status=308, body={}, headers={"location": f"http://h/{echo}/v1"}),
        "stream": Reply([{"error": {"message": f"broke: {echo}."}}]),
        "code in the stream": Reply([{"error": {"message": echo, "code": "insufficient_quota"}}]),
        "no json": Reply([f"data: {{{echo}\n\n".encode()]),
        "odd type": Reply([{"choices": f"{echo}"}]),
    }


@pytest.mark.parametrize("where", replies(""))
@pytest.mark.parametrize("form", ECHOES)
def test_a_server_that_shows_the_key_is_told_without_it(
    server: Loopback, where: str, form: str
) -> None:
    server.usual = lambda _: replies(ECHOES[form])[where]
    provider = OpenAIProvider(Endpoint("mine", KEY, "Check MINE.", server.base_url))
    with closing(provider):
        error = fault(provider)
    assert_hidden(error.text, error.hint)
    assert "sk-for" not in error.text + error.hint


@pytest.mark.parametrize("where", ["401", "redirect", "stream", "page"])
def test_so_it_is_in_the_program(home: Path, server: Loopback, where: str) -> None:
    server.usual = lambda _: replies(KEY)[where]
    config = home / "mine.toml"
    config.write_text("[providers.openai]\nretries = 1\n")
    flags = ["--config", str(config), "--base-url", server.base_url, "-m", "gpt-4", "--json"]
    done = run(*flags, "Hi", home=home, env={"OPENAI_API_KEY": KEY})
    assert done.returncode > 1, done.stderr
    assert_hidden(done.stderr, done.stdout)
    assert files_with_a_secret(home) == []


def test_the_client_s_own_log_does_not_show_the_key(home: Path, server: Loopback) -> None:
    env = {"OPENAI_API_KEY": KEY, "OPENAI_LOG": "debug"}
    done = run("--base-url", server.base_url, "-m", "gpt-4", "Hi", home=home, env=env)
    assert done.returncode == 0
    assert_hidden(done.stderr)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "answer", ["407 No {}", "407 No\r\nx-key: {}", "302 F\r\nlocation: http://h/{}"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_s_error_shows_neither_key_nor_password(
    home: Path, answer: str, scheme: str
) -> None:
    head = f"HTTP/1.1 {answer.format(quote(KEY, safe=''))}\r\ncontent-length: 0\r\n\r\n"
    with wire(head.encode()) as (port, got):
        proxy = f"http://me:proxy-password@127.0.0.1:{port}"
        env = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy}
        flags = ["--base-url", f"{scheme}://chatrepl.test/v1", "-m", "gpt-4", "--verbose", "Hi"]
        done = run(*flags, home=home, env={"OPENAI_API_KEY": KEY, **env})
    assert done.returncode == 8, done.stderr
    assert got, "the proxy was not asked"
    assert_hidden(done.stderr)
    assert "proxy-password" not in done.stderr


def test_a_proxy_of_no_use_is_told_without_its_password(home: Path) -> None:
    proxy = "sock://me:proxy-password@h:1"
    env = {"OPENAI_API_KEY": KEY, "HTTPS_PROXY": proxy, "https_proxy": proxy}
    done = run("-m", "gpt-4", "Hi", home=home, env=env)
    assert done.returncode == 2, done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert "proxy-password" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f'[providers]\nmine = "{KEY}"',
        f'[providers.mine]\napi_key = ["{KEY}"]',
        f'[providers.mine]\napi_key = "{KEY}',
        f"[providers.mine]\napi_key = {KEY}",
        f'[providers.mine]\napi_kye = "{KEY}"',
        f'[providers.mine]\napi_key = "{KEY} …"\nbase_url = "http://127.0.0.1:9/v1"',
        f'[providers.mine]\nbase_url = "ftp://me:{KEY}@h"',
        f'[providers.mine]\nbase_url = "http://me:{quote(KEY, safe="")}@127.0.0.1:9/v1"',
        f'[providers.mine]\ndefault_headers = {{ X-Token = "{KEY}…" }}\nbase_url = "http://h"',
        f'[providers.embedded]\nbase_url = "http://me:{quote(KEY, safe="")}@h/v1"',
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_secrets(home: Path, text: str) -> None:
    file = home / "mine.toml"
    file.write_text(f"{text}\nretries = 0\n")
    done = run("--config", str(file), "Hi", home=home)
    assert done.returncode in {2, 8}, done.stderr
    assert_hidden(done.stderr)


def test_a_crash_report_holds_no_secret(home: Path, server: Loopback) -> None:
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
    paths = Paths(home / "config", home / "data", home / "cache")
    flags = Flags(provider="openai", model="gpt-4")
    app = App(read_sources(flags, None, env, paths), paths, Screen())
    server.then(fails(401, f"wrong key {KEY}, {quote(KEY, safe='')}"))
    app.ready()
    chat = app.open_chat()
    try:
        with pytest.raises(RuntimeError) as caught:
            try:
                list(chat.provider.stream(a_request()))
            except AuthenticationError as refused:
                raise RuntimeError(f"a fault of ours, with {KEY}") from refused
    finally:
        app.close()
    error = caught.value
    assert isinstance(error, Exception)
    told = app.unforeseen(error)
    report = (home / "cache" / "crash.txt").read_text()
    assert "a fault of ours, with [hidden]" in report
    assert "AuthenticationError" in report, "the chain"
    assert_hidden(report, told.text, told.hint)


# A config file that others may read.
SECRETS = [
    'api_key = "sk-1"',
    'default_headers = { Authorization = "Bearer t" }',
    'default_headers = { X-Goog-Api-Key = "t" }',
    'default_headers = { cookie = "t" }',
    'base_url = "http://me:password@127.0.0.1:9/v1"',
    'base_url = "http://token@127.0.0.1:9/v1"',
]
NO_SECRETS = [
    'api_key_env = "MINE"',
    'api_key = ""',
    'api_key_cmd = "echo k"',
    'default_headers = { X-Author = "me", X-Keyboard = "qwerty" }',
    'base_url = "http://127.0.0.1:9/v1?a=b@c"',
]


def warnings(home: Path, text: str, mode: int, *arguments: str) -> list[str]:
    file = home / "my config.toml"
    file.write_text(text)
    file.chmod(mode)
    command = arguments or ("--dry-run", "-m", "gpt-4", "Hi")
    done = run(*command, "--config", str(file), home=home)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "chmod" in line]
    for line in lines:
        assert f"chmod 600 '{file}'" in line
    return lines


needs_modes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


@pytest.mark.thorough
@needs_modes
@pytest.mark.parametrize("line", SECRETS)
def test_a_file_with_a_secret_that_others_may_read_is_warned_of_once(home: Path, line: str) -> None:
    assert len(warnings(home, f"[providers.mine]\n{line}\n", 0o644)) == 1


@pytest.mark.thorough
@needs_modes
@pytest.mark.parametrize("line", NO_SECRETS)
def test_a_file_without_a_secret_may_be_read(home: Path, line: str) -> None:
    assert warnings(home, f"[providers.mine]\n{line}\n", 0o644) == []


@needs_modes
@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_it_is_warned_of_by_its_mode(home: Path, mode: int, told: int) -> None:
    assert len(warnings(home, f"[providers.mine]\n{SECRETS[0]}\n", mode)) == told


@needs_modes
def test_models_warns_too_and_what_reads_no_file_does_not(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "one"}]}
    table = f'[providers.mine]\nbase_url = "{server.base_url}"\n{SECRETS[0]}\n'
    assert len(warnings(home, table, 0o644, "models")) == 1
    env = {"CHATREPL_CONFIG": str(home / "my config.toml")}
    for arguments in (["--version"], ["--help"], ["key", "list"]):
        assert "chmod" not in run(*arguments, home=home, env=env).stderr


def test_the_key_is_not_in_json_either(home: Path, server: Loopback) -> None:
    server.then(says("fine"))
    flags = ["--base-url", server.base_url, "-m", "gpt-4", "--json", "Hi"]
    done = run(*flags, home=home, env={"OPENAI_API_KEY": KEY})
    assert json.loads(done.stdout)["reply"] == "fine"
    assert_hidden(done.stdout, done.stderr)
