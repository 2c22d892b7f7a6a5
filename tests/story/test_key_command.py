"""chatrepl key: a key in the system keyring, and where keys are looked for."""

import json
import stat
from pathlib import Path

import pytest

pytest.importorskip("keyring", reason="keyring is not installed (the extra 'keyring')")

from chatrepl.installing import install
from tests.support.keyrings import in_keyring, keyring_file
from tests.support.loopback import Loopback
from tests.support.program import Terminal, run
from tests.support.talk import say_and_hear, talk

KEY = "sk-kept-where-it-belongs"


def names_file(home: Path) -> Path:
    return home / "chatrepl" / "data" / "keyring.json"


def keep(home: Path, provider: str = "openai", key: str = KEY, *arguments: str) -> None:
    done = run("key", "set", provider, *arguments, home=home, stdin=key, env=in_keyring(home))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert provider in done.stderr
    assert key not in done.stderr


def key_sent(home: Path, server: Loopback, *arguments: str, **env: str) -> str:
    """Ask the server something, and give the key that it got."""
    variables = {**in_keyring(home), **env}
    arguments = arguments or ("--base-url", server.base_url)
    done = run(*arguments, "-m", "gpt-4", "Hi", home=home, env=variables)
    assert done.returncode == 0, done.stderr
    return server.requests[-1].headers["authorization"].removeprefix("Bearer ")


def assert_told(home: Path, *arguments: str, env: dict[str, str], words: list[str]) -> None:
    done = run(*arguments, home=home, stdin=f"{KEY}\n", env=env)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert KEY not in done.stderr


def test_a_key_is_kept_used_listed_and_removed(home: Path, server: Loopback) -> None:
    env = in_keyring(home)
    keep(home, key=f"{KEY}\nand a second line\n".split("\n")[0])
    assert key_sent(home, server) == KEY
    assert run("key", "list", home=home, env=env).stdout == "openai\n"
    listed = run("key", "list", "--json", home=home, env=env).stdout
    assert json.loads(listed) == [{"provider": "openai"}]

    assert run("key", "rm", "openai", home=home, env=env).returncode == 0
    assert json.loads(keyring_file(home).read_text()) == {}
    done = run("key", "list", home=home, env=env)
    assert (done.returncode, done.stdout) == (0, "")
    assert run("key", "list", "--json", home=home, env=env).stdout == "[]\n"
    assert KEY not in key_sent(home, server)
    assert_told(home, "key", "rm", "openai", env=env, words=["No key is kept for 'openai'"])


@pytest.mark.parametrize("piped", ["{}\nsecond\n", "  {}\r\n", "\ufeff{}"])
def test_the_first_line_of_a_pipe_is_the_key(home: Path, piped: str) -> None:
    run("key", "set", "openai", home=home, stdin=piped.format(KEY), env=in_keyring(home))
    assert json.loads(keyring_file(home).read_text()) == {"chatrepl/openai": KEY}


def test_a_key_that_is_typed_is_not_shown(home: Path, server: Loopback) -> None:
    with Terminal("key", "set", "openai", home=home, env=in_keyring(home)) as terminal:
        terminal.wait_for("Key of openai")
        terminal.say(KEY)
        assert terminal.wait_for_end() == 0
        assert KEY.encode() not in terminal.raw
    assert key_sent(home, server) == KEY


@pytest.mark.parametrize("end", ["ctrl-c", "ctrl-d"])
def test_asked_for_a_key_one_may_leave(home: Path, end: str) -> None:
    with Terminal("key", "set", "openai", home=home, env=in_keyring(home)) as terminal:
        terminal.wait_for("Key of openai")
        terminal.key(end)
        assert terminal.wait_for_end() == {"ctrl-c": 130, "ctrl-d": 2}[end]
        assert "Traceback" not in terminal.scrollback
    assert not keyring_file(home).exists()


def test_only_names_stand_in_the_programs_own_file_and_for_its_owner_alone(home: Path) -> None:
    keep(home)
    assert json.loads(names_file(home).read_text()) == ["openai"]
    assert stat.S_IMODE(names_file(home).stat().st_mode) == 0o600
    files = [path for path in (home / "chatrepl").rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("key", ["", "\n", "   \n", "sk-cut…\n", "two words\n", "sk-\x1b[31m\n"])
def test_what_can_be_no_key_is_refused_and_not_shown(home: Path, key: str) -> None:
    done = run("key", "set", "openai", home=home, stdin=key, env=in_keyring(home))
    assert done.returncode == 2
    assert "nothing was kept" in done.stderr
    assert not key.strip() or key.strip() not in done.stderr
    assert not keyring_file(home).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "opnai"], ["'opnai'", "Did you mean 'openai'"]),
        (["set", "embedded"], ["needs no key"]),
        (["set", "openai", KEY], ["no argument"]),
        (["set", "openai", f"--key={KEY}"], ["no argument"]),
        (["rm", "openai"], ["No key is kept for 'openai'"]),
        (["lime", "pie"], ["chatrepl -- key lime pie"]),
        (["set"], ["chatrepl key --help"]),
    ],
)
def test_bad_usage_is_told_and_changes_nothing(
    home: Path, arguments: list[str], words: list[str]
) -> None:
    done = run("key", *arguments, home=home, stdin=f"{KEY}\n", env=in_keyring(home))
    assert done.returncode == 2
    assert [word for word in words if word not in done.stderr] == []
    assert KEY not in done.stderr
    assert not keyring_file(home).exists()


# Where there is no keyring.
@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("keyring.backends.fail.Keyring", "none that can be used"),
        ("keyring.backends.null.Keyring", "none that can be used"),
        ("no.such.Keyring", "No module named"),
        ("LockedKeyring", "Failed to unlock the collection"),
        ("TalkativeKeyring", "can't keep [hidden]"),
    ],
)
def test_a_keyring_of_no_use_is_told(home: Path, backend: str, why: str) -> None:
    env = in_keyring(home, backend)
    words = ["system keyring", "openai", why, "api_key_env", "api_key_cmd"]
    assert_told(home, "key", "set", "openai", env=env, words=words)
    assert not names_file(home).exists()


@pytest.fixture
def without_keyring(tmp_path: Path) -> dict[str, str]:
    """The variables with which the package can't be imported."""
    folder = tmp_path / "no-keyring"
    folder.mkdir()
    (folder / "keyring.py").write_text("raise ImportError('there is none')")
    return {"PYTHONPATH": str(folder)}


def test_without_the_package_it_is_said_what_brings_it(
    home: Path, without_keyring: dict[str, str]
) -> None:
    brings = f"{install('chatrepl-terminal[keyring]')} brings it"
    words = ["system keyring", "'openai'", brings]
    assert_told(home, "key", "set", "openai", env=without_keyring, words=[*words, "api_key_env"])
    keep(home)
    assert run("key", "list", home=home, env=without_keyring).stdout == "openai\n"
    assert_told(home, "-m", "gpt-4", "Hi", env=without_keyring, words=words)


def test_a_start_without_a_kept_key_does_not_ask_the_keyring(
    home: Path, server: Loopback, without_keyring: dict[str, str]
) -> None:
    assert key_sent(home, server, **without_keyring) == "none"


def test_a_keyring_that_fails_is_named_but_only_when_its_key_is_needed(
    home: Path, server: Loopback
) -> None:
    keep(home)
    env = in_keyring(home, "LockedKeyring")
    words = ["system keyring", "'openai'", "Failed to unlock the collection", "api_key_env"]
    flags = ["--base-url", server.base_url, "-m", "gpt-4", "Hi"]
    assert_told(home, *flags, env=env, words=words)
    assert server.requests == []
    assert key_sent(home, server, OPENAI_API_KEY="sk-other", **env) == "sk-other"


def test_a_key_that_has_gone_from_the_keyring_is_missed_and_can_be_removed(home: Path) -> None:
    keep(home)
    keyring_file(home).unlink()
    env = in_keyring(home)
    assert_told(home, "-m", "gpt-4", "Hi", env=env, words=["no key", "chatrepl key set openai"])
    assert run("key", "rm", "openai", home=home, env=env).returncode == 0
    assert json.loads(names_file(home).read_text()) == []


def test_a_list_of_names_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "chatrepl").mkdir()
    (home / "chatrepl" / "data").write_text("a file, where a folder should be")
    env = in_keyring(home)
    assert_told(home, "key", "set", "openai", env=env, words=["keyring.json", "CHATREPL_HOME"])


# Which key is taken, and who answers.
def test_a_provider_of_ones_own_can_have_a_kept_key(home: Path, server: Loopback) -> None:
    file = home / "mine.toml"
    file.write_text(f'[providers.mine]\nbase_url = "{server.base_url}"\n')
    keep(home, "mine", KEY, "--config", str(file))
    assert key_sent(home, server, "--config", str(file)) == KEY


@pytest.mark.thorough
@pytest.mark.parametrize("best", ["cmd", "variable", "file", "keyring"])
def test_a_key_is_looked_for_in_order(home: Path, server: Loopback, best: str) -> None:
    places = ["cmd", "variable", "file", "keyring"]
    there = places[places.index(best) :]
    lines = ["[providers.mine]", f'base_url = "{server.base_url}"', 'api_key_env = "MINE"']
    lines += ['api_key_cmd = "echo sk-of-cmd"'] if "cmd" in there else []
    lines += ['api_key = "sk-of-file"'] if "file" in there else []
    file = home / "mine.toml"
    file.write_text("\n".join(lines))
    keep(home, "mine", "sk-of-keyring", "--config", str(file))
    env = {"MINE": "sk-of-variable"} if "variable" in there else {"MINE": ""}
    assert key_sent(home, server, "--config", str(file), **env) == f"sk-of-{best}"


@pytest.mark.parametrize(
    ("kept", "env", "provider"),
    [
        ("openai", {}, "openai"),
        ("azure", {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}, "azure"),
        ("azure", {}, "embedded"),
        ("openai", {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r"}, "azure"),
    ],
)
def test_a_provider_with_a_kept_key_is_set_up(
    home: Path, kept: str, env: dict[str, str], provider: str
) -> None:
    keep(home, kept)
    done = run("--dry-run", "--json", "Hi", home=home, env={**in_keyring(home), **env})
    assert json.loads(done.stdout)["provider"] == provider


def test_a_chat_begins_with_the_kept_key(home: Path, server: Loopback) -> None:
    keep(home)
    env = {**in_keyring(home), "OPENAI_BASE_URL": server.base_url}
    with talk(home, server, env=env) as terminal:
        say_and_hear(terminal, "hello")
        assert KEY.encode() not in terminal.raw
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
