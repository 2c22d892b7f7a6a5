"""`chatrepl init`: questions, a config file that means what was answered, and a first word."""

import importlib.util
import json
import re
import stat
import tomllib
from pathlib import Path

import pytest

from chatrepl.config import parse_config
from chatrepl.errors import SettingsError
from chatrepl.first_answers import checked_endpoint, with_endpoint
from chatrepl.first_config import Answers, config_text, overruled, settings_of, write_config
from tests.support.keyrings import in_keyring, keyring_file
from tests.support.loopback import Loopback, fails, says
from tests.support.program import Terminal, run

KEY = "sk-typed-into-init-0123456789"
NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

needs_keyring = pytest.mark.skipif(
    importlib.util.find_spec("keyring") is None, reason="keyring is not installed"
)


def config_of(home: Path) -> Path:
    return home / "chatrepl" / "config" / "config.toml"


def nothing_is_left(home: Path) -> bool:
    return not [path for path in (home / "chatrepl").rglob("*") if path.is_file()]


# What is written.

CASES = [
    Answers("openai", "gpt-6-luna", key_in="variable"),
    Answers("openai", "gpt-4", key=KEY, key_in="file"),
    Answers("openai", "gpt-4", key=KEY, key_in="keyring"),
    Answers("azure", "gpt-4o", "https://r.openai.azure.com", deployment='our "4o"'),
    Answers("azure", "gpt-4o", "https://r.openai.azure.com", api_version="2024-02-01"),
    Answers("embedded", "SmolLM2-135M-Instruct"),
    Answers("ollama", "llama3.2:3b", "http://localhost:11434/v1"),
    Answers("openrouter", "openai/gpt-4o", "https://openrouter.ai/api/v1", key=KEY, key_in="file"),
    Answers("other", "C:\\models\\ä", "http://10.0.0.1/v1", key='a"b\\c', key_in="file"),
]


@pytest.mark.parametrize("answers", CASES, ids=lambda each: f"{each.provider}-{each.key_in}")
def test_the_file_means_what_was_answered(answers: Answers) -> None:
    text = config_text(answers)
    _, settings = settings_of(text, Path("config.toml"), {})
    assert (settings.provider, settings.model) == (answers.name, answers.model)
    assert (settings.server.base_url or "") == answers.base_url
    assert settings.server.api_key == (answers.key if answers.key_in == "file" else None)
    assert answers.key_in == "file" or KEY not in text
    if answers.provider == "azure":
        assert settings.server.api_version == (answers.api_version or "2024-10-21")
        deployment = settings.server.deployments.get("gpt-4o", "")
        assert deployment == answers.deployment
    assert overruled(answers, settings) == []
    settings_lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    assert all(" = " in line for line in settings_lines)
    assert text.count("\n# ") >= len(tomllib.loads(text).get("providers", {}))


def test_a_variable_that_goes_before_the_file_is_named() -> None:
    answers = Answers("azure", "gpt-4o", "https://mine.example")
    env = {"AZURE_OPENAI_ENDPOINT": "https://theirs.example", "CHATREPL_MODEL": "gpt-4"}
    _, settings = settings_of(config_text(answers), Path("config.toml"), env)
    assert overruled(answers, settings) == ["AZURE_OPENAI_ENDPOINT", "CHATREPL_MODEL"]
    answers = Answers("azure", "gpt-4o", "https://mine.example", api_version="2024-02-01")
    _, settings = settings_of(config_text(answers), Path("c"), {"OPENAI_API_VERSION": "2023-05-15"})
    assert overruled(answers, settings) == ["OPENAI_API_VERSION"]


@pytest.mark.parametrize("path", ["", "/", "/openai/", "/openai/deployments/d/chat/completions"])
def test_azures_endpoint_is_taken_as_it_is_copied(path: str) -> None:
    answers = with_endpoint(Answers("azure"), f"https://r.openai.azure.com{path}".rstrip("/"))
    assert answers.base_url == "https://r.openai.azure.com"
    assert answers.deployment == ("d" if "deployments" in path else "")


def test_azures_endpoint_may_have_the_query_that_it_is_copied_with() -> None:
    url = "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=v"
    assert checked_endpoint(url) == url
    for bad in ("https://r.openai.azure.com?api-version=v", "https://r#d", "r.openai.azure.com"):
        with pytest.raises(SettingsError):
            checked_endpoint(bad)


def test_a_file_that_is_there_is_kept_under_a_free_name(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    assert write_config("one", file) is None
    assert write_config("two", file) == file.with_name("config.toml.old")
    assert write_config("three", file) == file.with_name("config.toml.old2")
    written = {path.name: path.read_text() for path in file.parent.iterdir()}
    assert written == {"config.toml": "three", "config.toml.old": "one", "config.toml.old2": "two"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(SettingsError, match=r"config\.toml can't be written"):
        write_config("", tmp_path / "folder" / "config.toml")


# In a pipe.


def test_openai_with_the_key_of_the_variable(home: Path, server: Loopback) -> None:
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
    server.then(says("Hello\x1b]0;there\x07!"))
    done = run("init", home=home, stdin="\n\n\n", env=env)
    assert (done.returncode, done.stdout) == (0, "")
    assert "It answers: Hello!" in done.stderr
    assert "[openai]" in done.stderr
    assert KEY not in done.stderr
    config = parse_config(config_of(home).read_text(), "")
    host = server.root.removeprefix("http://")
    assert f"Its address is that in OPENAI_BASE_URL: {server.base_url}" in done.stderr
    assert f"Asking gpt-6-luna at {host} for a word" in done.stderr
    assert (config.provider, config.model) == ("openai", "gpt-6-luna")
    assert config.providers["openai"].api_key_env == "OPENAI_API_KEY"
    (received,) = server.requests
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body["max_completion_tokens"] <= 32
    done = run("Hi", home=home, env={"OPENAI_API_KEY": KEY})
    assert done.stdout == "You said: Hi\n", "in another shell the key goes to the same server"


def test_no_model_is_offered_that_the_server_says_it_has_not(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "embed-1"}, {"id": "llama3.2"}]}
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "ACCESSIBLE": "1"}
    done = run("init", home=home, stdin="\n\n\n", env=env)
    assert done.returncode == 0, done.stderr
    assert "Model [llama3.2]" in done.stderr
    assert "\n1: openai, OpenAI\n" in done.stderr
    assert re.search(r"\S {2,}\S", done.stderr) is None, "columns"


def test_a_server_of_ones_own_offers_its_models(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "embed-1"}, {"id": "llama3.2"}]}
    stdin = f"ollama\n{server.base_url}\n\n\n"
    done = run("init", home=home, stdin=stdin, env=NO_KEYRING)
    assert done.returncode == 0, done.stderr
    assert "It has: embed-1, llama3.2" in done.stderr
    assert "Model [llama3.2]" in done.stderr
    assert run("Hi", home=home).stdout == "You said: Hi\n"
    assert server.requests[-1].body["model"] == "llama3.2"
    assert server.requests[-1].headers["authorization"] == "Bearer none"


def test_azure_with_a_deployment_of_another_name(home: Path, server: Loopback) -> None:
    stdin = f"2\n{server.root}\n{KEY}\nours\ngpt-4o\n"
    env = {**NO_KEYRING, "OPENAI_API_VERSION": "2024-02-01"}
    done = run("init", home=home, stdin=stdin, env=env)
    assert done.returncode == 0, done.stderr
    assert run("Hi", home=home).stdout == "You said: Hi\n"
    for received in server.requests:
        path = "/openai/deployments/ours/chat/completions?api-version=2024-02-01"
        assert received.path == path
        assert received.headers["api-key"] == KEY
    assert len(server.requests) == 2
    assert stat.S_IMODE(config_of(home).stat().st_mode) == 0o600
    assert KEY in config_of(home).read_text()


@needs_keyring
def test_a_key_goes_into_the_keyring_where_there_is_one(home: Path, server: Loopback) -> None:
    env = {**in_keyring(home), "OPENAI_BASE_URL": server.base_url}
    done = run("init", home=home, stdin=f"openai\n{KEY}\ngpt-4\n", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(keyring_file(home).read_text()) == {"chatrepl/openai": KEY}
    assert KEY not in config_of(home).read_text() + done.stderr
    assert run("Hi", home=home, env=env).stdout == "You said: Hi\n"
    assert {each.headers["authorization"] for each in server.requests} == {f"Bearer {KEY}"}


def test_what_does_not_work_is_told_and_written_in_a_pipe(home: Path, server: Loopback) -> None:
    server.then(fails(401, "Incorrect API key provided."))
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
    done = run("init", home=home, stdin="openai\n\ngpt-4\n", env=env)
    assert done.returncode == 3
    assert "did not accept the key" in done.stderr
    assert "Check the variable OPENAI_API_KEY." in done.stderr
    assert config_of(home).exists()


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("", "ended too early"),
        ("openai\n", "ended too early"),
        ("9\n", "'9' is none of them: 1 to 8"),
        ("other\nlocalhost\n", "no http or https URL"),
        ("openai\nsk-cut…\n", "can't be a key"),
        ("embedded\nnone.gguf\n", "There is no file none.gguf"),
        ("vllm\nhttp://127.0.0.1:9/v1\n\n\n", "An answer is needed"),
    ],
)
def test_in_a_pipe_a_bad_answer_ends_it(home: Path, stdin: str, words: str) -> None:
    done = run("init", home=home, stdin=stdin, env=NO_KEYRING)
    assert done.returncode == 2
    assert words in done.stderr
    assert nothing_is_left(home)


def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for(
    home: Path, server: Loopback
) -> None:
    file = home / "mine.toml"
    file.write_text("# mine\n")
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
    done = run("init", "--config", str(file), home=home, stdin="\n\n\n", env=env)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert file.read_text() == "# mine\n"
    done = run("init", "--force", "--config", str(file), home=home, stdin="\n\n\n", env=env)
    assert done.returncode == 0
    assert "mine.toml.old" in done.stderr
    assert file.with_name("mine.toml.old").read_text() == "# mine\n"
    assert 'provider = "openai"' in file.read_text()
    assert not config_of(home).exists()


# At a terminal.


def test_at_a_terminal_one_may_go_back(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "one-model"}]}
    server.then(fails(401, "Incorrect API key provided."))
    with Terminal("init", home=home, env=NO_KEYRING, lines=70) as terminal:
        terminal.wait_for("Number or name")
        terminal.say("nobody")
        terminal.wait_for("'nobody' is none of them")
        terminal.say("vllm")
        terminal.wait_for("Address")
        terminal.say(server.base_url)
        terminal.wait_for("Key, which is not shown")
        terminal.say("sk-wrong")
        terminal.wait_for("Model [one-model]")
        terminal.say("")
        terminal.wait_for("did not accept the key")
        assert not config_of(home).exists()
        terminal.wait_for("1  back")
        terminal.say("")
        terminal.wait_for("Number or name [vllm]")
        terminal.say("")
        terminal.wait_for(f"[{server.base_url}]")
        terminal.say("")
        terminal.wait_for("Enter: the one typed before")
        terminal.say(KEY)
        terminal.wait_for("Model [one-model]", times=2)
        terminal.say("")
        terminal.wait_for("It answers: You said: Hello")
        assert terminal.wait_for_end() == 0
        assert KEY.encode() not in terminal.raw
    assert KEY in config_of(home).read_text()
    assert "sk-wrong" not in config_of(home).read_text()


@pytest.mark.parametrize("end", ["ctrl-c", "ctrl-d"])
def test_one_may_leave_without_a_trace(home: Path, end: str) -> None:
    with Terminal("init", home=home, first=True) as terminal:
        terminal.wait_for("Number or name")
        terminal.say("ollama")
        terminal.wait_for("Address")
        terminal.key(end)
        assert terminal.wait_for_end() == 130
        assert "Traceback" not in terminal.scrollback
    assert nothing_is_left(home)


def test_at_a_terminal_it_is_asked_whether_a_file_may_be_replaced(home: Path) -> None:
    file = home / "c.toml"
    file.write_text("# mine\n")
    with Terminal("init", "--config", str(file), home=home) as terminal:
        terminal.wait_for("Replace it")
        terminal.say("")
        assert terminal.wait_for_end() == 0
        assert "Nothing was written." in terminal.scrollback
    assert file.read_text() == "# mine\n"
