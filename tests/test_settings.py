"""Settings: which layer wins, who answers, whose key goes where, and what a bad file is told."""

import contextlib
import json
import math
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.config import ConfigFile, ModelTable, Persona, ProviderTable, parse_config
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.settings import Flags, Settings, Sources, read_sources

FILE = Path("/etc/chatrepl/config.toml")


def resolve(file: str = "", env: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Put the layers together, without reading anything from this machine."""
    return Sources(parse_config(file, str(FILE)), FILE, env or {}, Flags(**flags)).resolve()


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(file: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse_config(file, "config.toml")
    return caught.value


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h/v1?api_key=hush", "has a '?'"),
        ("http://h/v1#hush", "has a '#'"),
        ("http://h:0/v1?email=a@b&api_key=hush", "no http or https URL"),
        ("htp://me:hush@h/v1", "no http or https URL: 'htp://h/v1'"),
    ],
)
def test_a_base_url_that_is_none_is_told_without_the_secret_in_it(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(env={"OPENAI_BASE_URL": url})
    assert words in caught.value.text
    assert "provider openai (OPENAI_BASE_URL)" in caught.value.text
    assert "hush" not in caught.value.text + caught.value.hint
    assert "default_headers" in caught.value.hint or "no http" in words


# Which layer wins. For each setting: its default, then what file, persona and flag say.
LADDERS: list[tuple[str, Any, Any, Any, Any]] = [
    ("provider", "embedded", "azure", "mine", "openai"),
    ("model", None, "by-file", "by-persona", "by-flag"),
    ("system", None, "by file", "by persona", "by flag"),
    ("max_tokens", None, 11, 12, 13),
    ("temperature", None, 0.25, 0.0, 1.5),
    ("top_p", None, 0.5, 0.0, 1.0),
    ("seed", None, 1, 0, -5),
    ("stop", None, "file", ["a", "b"], "flag"),
    ("reasoning_effort", None, "low", "high", "none"),
    ("schema", None, "a:int", "b:int", "c:int"),
    ("context_window", None, 1001, 1002, 1003),
    ("overflow", "trim", "ask", "summarize", "trim"),
    ("plain", False, True, False, True),
    ("accessible", False, True, False, True),
    ("save", True, False, True, False),
]


def flag_of(name: str) -> str:
    return "--no-save" if name == "save" else f"--{name.replace('_', '-')}"


@pytest.mark.parametrize(("name", "default", "file", "persona", "flag"), LADDERS)
def test_defaults_then_file_then_persona_then_flags(
    name: str, default: Any, file: Any, persona: Any, flag: Any
) -> None:
    by_file = f"{name} = {json.dumps(file)}\n"
    by_persona = f"[providers.mine]\n[personas.p]\n{name} = {json.dumps(persona)}\n"
    rungs: list[tuple[str, dict[str, Any], Any, str]] = [
        ("", {}, default, "default"),
        (by_file, {}, file, str(FILE)),
        (by_file + by_persona, {"persona": "p"}, persona, "persona p"),
        (by_file + by_persona, {"persona": "p", name: flag}, flag, flag_of(name)),
    ]
    for text, flags, value, origin in rungs:
        settings = resolve(text, **flags)
        assert getattr(settings, name) == value
        assert settings.origins.get(name, "default") == origin


def test_every_setting_has_its_ladder() -> None:
    assert {name for name, *_ in LADDERS} == set(Flags.__struct_fields__) - {
        *("persona", "base_url"),
        "extra_body",  # its keys have one each: test_parameters.py
    }


def test_chatrepl_model_goes_before_the_persona_and_behind_the_flag() -> None:
    file = 'provider = "openai"\n[personas.p]\nmodel = "by-persona"'
    env = {"CHATREPL_MODEL": "by-environment"}
    settings = resolve(file, env, persona="p")
    assert (settings.model, settings.origins["model"]) == ("by-environment", "CHATREPL_MODEL")
    assert resolve(file, env, persona="p", model="by-flag").model == "by-flag"
    assert resolve(file, {"CHATREPL_MODEL": ""}, persona="p").model == "by-persona"


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_BASE_URL"),
        ("openai", "OPENAI_API_BASE"),
        ("azure", "AZURE_OPENAI_ENDPOINT"),
    ],
)
def test_base_url_by_file_then_environment_then_flag(provider: str, variable: str) -> None:
    file = f'provider = "{provider}"\n[providers.{provider}]\nbase_url = "http://file/v1"'
    env = {variable: "http://environment/v1"}
    assert resolve(provider=provider).server.base_url is None
    assert resolve(file).server.base_url == "http://file/v1"
    assert resolve(file, env).server.base_url == "http://environment/v1"
    assert resolve(file, env, base_url="http://flag/v1").server.base_url == "http://flag/v1"


def test_the_environments_api_version_goes_before_the_files() -> None:
    file = 'provider = "azure"\n[providers.azure]\napi_version = "2024-02-01"'
    assert resolve(file).server.api_version == "2024-02-01"
    env = {"OPENAI_API_VERSION": "2024-10-21"}
    assert resolve(file, env).server.api_version == "2024-10-21"


def test_the_environments_address_is_only_for_the_provider_it_is_named_after() -> None:
    file = 'provider = "mine"\n[providers.mine]\nbase_url = "http://mine/v1"'
    env = {"OPENAI_BASE_URL": "http://other/v1", "AZURE_OPENAI_ENDPOINT": "http://other"}
    assert resolve(file, env).server.base_url == "http://mine/v1"


def test_the_files_persona_holds_unless_a_flag_names_another() -> None:
    file = 'persona = "a"\n[personas.a]\nsystem = "A"\n[personas.b]\nsystem = "B"'
    assert resolve(file).system == "A"
    assert resolve(file, persona="b").system == "B"


# Who answers when nobody says.
OPENAI = {"OPENAI_API_KEY": "k"}
AZURE = {"AZURE_OPENAI_ENDPOINT": "https://a.example", "AZURE_OPENAI_API_KEY": "k"}
OLD_AZURE = {
    "OPENAI_API_TYPE": "azure",
    "OPENAI_API_BASE": "https://old.example",
    "OPENAI_API_KEY": "old-key",
    "OPENAI_API_VERSION": "2023-05-15",
}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "embedded"),
        ({"OPENAI_API_KEY": ""}, "embedded"),
        ({"CHATREPL_HOME": "/x", "NO_COLOR": "1"}, "embedded"),
        (OPENAI, "openai"),
        ({"OPENAI_BASE_URL": "http://localhost/v1"}, "openai"),
        ({"OPENAI_API_BASE": "http://localhost/v1"}, "openai"),
        (AZURE, "azure"),
        ({"AZURE_OPENAI_API_KEY": "k"}, "embedded"),
        (AZURE | OPENAI, "openai"),
        (OLD_AZURE, "azure"),
        (AZURE | OPENAI | {"OPENAI_API_TYPE": "azure"}, "azure"),
        (OPENAI | {"OPENAI_API_TYPE": "Azure"}, "azure"),
        (OPENAI | {"OPENAI_API_TYPE": "open_ai"}, "openai"),
    ],
)
def test_who_answers_by_the_environment_alone(env: dict[str, str], expected: str) -> None:
    assert resolve(env=env).provider == expected


@pytest.mark.parametrize(
    ("file", "flags", "expected"),
    [
        ("[providers.first]\n[providers.second]", {}, "first"),
        ('provider = "second"\n[providers.first]\n[providers.second]', {}, "second"),
        ("[providers.first]\n[providers.second]", {"provider": "second"}, "second"),
        ("[providers.first]", {"model": "second/m"}, "first"),
        ("[providers.first]\n[providers.second]", {"model": "second/m"}, "second"),
        ("", {"base_url": "http://localhost/v1"}, "openai"),
        ("", {"model": "./some/model.GGUF"}, "embedded"),
        ("", {"model": "smollm2-135m-instruct"}, "embedded"),
        # A server of one's own may have models of that name too, as Ollama has.
        ("[providers.ollama]", {"model": "smollm2:135m"}, "ollama"),
        ("", {"base_url": "http://localhost/v1", "model": "smollm2:135m"}, "openai"),
        # llama.cpp's server gives its models the names of their files.
        ("", {"base_url": "http://localhost/v1", "model": "some.gguf"}, "openai"),
        # An address is where an OpenAI-compatible API is, whatever else the file has.
        ("[providers.azure]", {"base_url": "http://localhost/v1"}, "openai"),
        ("[providers.embedded]", {"base_url": "http://localhost/v1"}, "openai"),
    ],
)
def test_who_answers_by_file_and_flags(file: str, flags: dict[str, str], expected: str) -> None:
    assert resolve(file, OPENAI, **flags).provider == expected


def test_a_gguf_file_that_is_there_is_for_the_embedded_provider(tmp_path: Path) -> None:
    file = str(write(tmp_path / "model.gguf", "GGUF"))
    first = "[providers.first]"
    assert resolve(first, model=file).provider == "embedded"
    # The command line comes after the file, and says it as clearly as "provider/model" does.
    assert resolve(f'provider = "first"\n{first}', model=file).provider == "embedded"
    assert resolve(first, model=file, provider="first").provider == "first"
    assert resolve(first, model=file, base_url="http://localhost/v1").provider == "openai"
    assert resolve(first, model="elsewhere.gguf").provider == "first"


def test_a_model_that_is_named_is_not_asked_of_the_embedded_provider_for_want_of_a_key() -> None:
    assert resolve(model="gpt-4o").provider == "openai"


def test_the_names_of_before_openai_1_0_set_azure_up() -> None:
    server = resolve(env=OLD_AZURE).server
    assert server.kind == "azure"
    assert server.base_url == "https://old.example"
    assert server.api_version == "2023-05-15"
    assert server.api_key_env == "OPENAI_API_KEY"


# Which part of a model's name is a provider.
ROUTER = '[providers.openrouter]\nbase_url = "http://router/v1"\n'
CHOSEN = 'provider = "openrouter"\n' + ROUTER


@pytest.mark.parametrize(
    ("file", "env", "flags", "expected"),
    [
        ("", {}, {"model": "openai/gpt-4o"}, ("openai", "gpt-4o")),
        ("", {}, {"model": "azure/gpt-4o"}, ("azure", "gpt-4o")),
        ('model = "openai/gpt-4o"', {}, {}, ("openai", "gpt-4o")),
        ("", {"CHATREPL_MODEL": "openai/gpt-4o"}, {}, ("openai", "gpt-4o")),
        (ROUTER, {}, {"model": "openrouter/openai/gpt-4o"}, ("openrouter", "openai/gpt-4o")),
        ('model = "openai/gpt-4o"\n' + CHOSEN, {}, {}, None),
        (
            'provider = "openrouter"\n' + ROUTER,
            {},
            {"model": "openai/gpt-4o"},
            ("openai", "gpt-4o"),
        ),
        (ROUTER, {}, {"provider": "openrouter", "model": "openai/gpt-4o"}, None),
        (ROUTER, {}, {"model": "mistralai/mixtral"}, ("openrouter", "mistralai/mixtral")),
        (CHOSEN, {"CHATREPL_MODEL": "openai/gpt-4o"}, {}, ("openai", "gpt-4o")),
        # The later layer names a provider, so the earlier one's name is a name as it stands.
        ('model = "openai/gpt-4o"\n' + ROUTER, {}, {"provider": "openrouter"}, None),
        (
            ROUTER + '[personas.p]\nprovider = "openrouter"\nmodel = "openai/gpt-4o"',
            {},
            {"persona": "p"},
            None,
        ),
        (
            "",
            {},
            {"base_url": "http://localhost/v1", "model": "openai/gpt-4o"},
            ("openai", "openai/gpt-4o"),
        ),
        (
            "",
            {},
            {"base_url": "http://localhost/v1", "model": "azure/gpt-4o"},
            ("openai", "azure/gpt-4o"),
        ),
        ("", OPENAI, {"model": "openai/"}, ("openai", "openai/")),
    ],
)
def test_provider_and_model_in_one_name(
    file: str,
    env: dict[str, str],
    flags: dict[str, str],
    expected: tuple[str, str] | None,
) -> None:
    settings = resolve(file, env, **flags)
    assert (settings.provider, settings.model) == (expected or ("openrouter", "openai/gpt-4o"))


def test_a_provider_that_came_with_the_model_has_the_models_origin() -> None:
    origins = resolve('provider = "azure"', model="openai/gpt-4o").origins
    assert origins["provider"] == origins["model"] == "--model"


# Whose key goes where.
def test_the_files_table_refines_a_built_in_provider() -> None:
    server = resolve('provider = "openai"\n[providers.openai]\ntimeout = 5').server
    assert (server.kind, server.api_key_env, server.timeout) == ("openai", "OPENAI_API_KEY", 5.0)


@pytest.mark.parametrize(
    "table",
    [
        '[providers.mine]\nbase_url = "http://mine/v1"',
        '[providers.mine]\nkind = "azure"\nbase_url = "http://mine"',
        '[providers.mine]\nbase_url = "http://mine/v1"\napi_key_cmd = "true"',
        '[providers.mine]\nbase_url = "http://mine/v1"\napi_key_env = "MY_KEY"',
        # Under a built-in name, but another kind of server than the key is for.
        '[providers.openai]\nkind = "azure"\nbase_url = "http://mine"',
        '[providers.openai]\napi_key_cmd = "true"',
    ],
)
def test_openais_key_is_not_for_a_provider_that_does_not_name_it(table: str) -> None:
    assert resolve(table, OPENAI).server.api_key_env in {None, "MY_KEY"}


# Where the file is.
def test_config_flag_then_chatrepl_config_then_the_usual_file(tmp_path: Path) -> None:
    paths = Paths.from_environment({"CHATREPL_HOME": str(tmp_path / "home")})
    usual = tmp_path / "home" / "config" / "config.toml"
    other = write(tmp_path / "other.toml", 'model = "other"')
    named = write(tmp_path / "named.toml", 'model = "named"')
    env = {"CHATREPL_CONFIG": str(other)}
    nothing = read_sources(Flags(), None, {}, paths)
    assert (nothing.file, nothing.file_path) == (ConfigFile(), None)
    write(usual, 'model = "usual"')
    for config, variables, path in [(None, {}, usual), (None, env, other), (named, env, named)]:
        sources = read_sources(Flags(), config, variables, paths)
        assert (sources.file.model, sources.file_path) == (
            path.stem.replace("config", "usual"),
            path,
        )


def test_chatrepl_home_puts_everything_under_one_folder() -> None:
    paths = Paths.from_environment({"CHATREPL_HOME": "/somewhere"})
    assert {paths.config, paths.data, paths.cache} == {
        Path("/somewhere/config"),
        Path("/somewhere/data"),
        Path("/somewhere/cache"),
    }


def test_without_chatrepl_home_the_platforms_folders_are_used() -> None:
    paths = Paths.from_environment({})
    assert len({paths.config / "config.toml", paths.data, paths.cache}) == 3
    assert all(
        path.is_absolute() and "chatrepl" in path.parts for path in (paths.config, paths.data)
    )


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_file_that_is_named_but_missing_is_an_error(tmp_path: Path, how: str) -> None:
    missing = tmp_path / "missing.toml"
    env = {"CHATREPL_CONFIG": str(missing)} if how == "variable" else {}
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        read_sources(Flags(), missing if how == "flag" else None, env, Paths.from_environment({}))


@pytest.mark.parametrize("what", ["not UTF-8", "a directory", "unreadable", "no such user"])
def test_a_file_that_cant_be_read_is_an_error_that_names_it(tmp_path: Path, what: str) -> None:
    path = tmp_path / "config.toml"
    match what:
        case "not UTF-8":
            path.write_bytes(b'model = "caf\xe9"')
        case "a directory":
            path.mkdir()
        case "unreadable":  # even for root: a link to itself
            path.symlink_to(path)
        case "no such user":
            path = Path("~nobody-of-this-name/config.toml")
    with pytest.raises(SettingsError, match=r"config\.toml"):
        read_sources(Flags(), path, {}, Paths.from_environment({}))


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Windows PowerShell and Notepad write one."""
    path = write(tmp_path / "config.toml", b'\xef\xbb\xbfmodel = "m"')
    assert read_sources(Flags(), path, {}, Paths.from_environment({})).file.model == "m"


def test_a_bad_file_is_left_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "config.toml", "modle = 1\n# mine\n")
    before = path.stat()
    with pytest.raises(SettingsError):
        read_sources(Flags(), path, {}, Paths.from_environment({}))
    assert path.read_text() == "modle = 1\n# mine\n"
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


# What a bad file is told: the line, the key, and the nearest known key.
@pytest.mark.parametrize(
    ("file", "line", "key", "nearest"),
    [
        ('modle = "m"', 1, "modle", "model"),
        ('\n# a comment\nmodel = "m"\nprovidr = "x"', 4, "providr", "provider"),
        ('model = "m"\n\n[zzz.p]\nsystem = "x"', 3, "zzz", ""),
        ('[personas.p]\nsystem = """\none\ntwo"""\ntemprature = 1', 5, "temprature", "temperature"),
        ("[personas]\np = { temprature = 1 }", 2, "temprature", "temperature"),
        ("personas.p.temprature = 1", 1, "temprature", "temperature"),
        ('[providers."a.b"]\nkind = "openai"\nbaseurl = "x"', 3, "baseurl", "base_url"),
        ('[models."gpt-4"]\ncontext_windows = 1', 2, "context_windows", "context_window"),
        ('[personas.p]\nexamples = [{ user = "a", asistant = "b" }]', 2, "asistant", "assistant"),
        (
            '[personas.p]\n[[personas.p.examples]]\nuser = "a"\nassistant = "b"\nusr = "c"',
            5,
            "usr",
            "user",
        ),
        ('[models.m]\nencoding = "o200k_base"\nprices = { promt = 1 }', 3, "promt", "prompt"),
        ("[models.m.prices]\nprompt = 1\ncashed = 1", 3, "cashed", "cached"),
        ('[models.m]\n\nparameters = { max_token = "x" }', 3, "max_token", "max_tokens"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(
    file: str, line: int, key: str, nearest: str
) -> None:
    error = refusal(file)
    assert error.text.startswith(f"config.toml, line {line}: ")
    assert f"'{key}'" in error.text
    assert (f"Did you mean '{nearest}'?" in error.text) == bool(nearest)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\u2029"])
def test_lines_are_counted_as_toml_counts_them(end: str, odd: str) -> None:
    file = end.join([f"# a {odd} comment", f'system = "a {odd} text"', "modle = 1"])
    assert refusal(file).text.startswith("config.toml, line 3: ")


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("model = 1", 1, ["model", "text", "whole number"]),
        ('\n[persona.p]\nsystem = "x"', 2, ["persona", "text", "table"]),
        ('max_tokens = "many"', 1, ["max_tokens", "whole number", "text"]),
        ("max_tokens = true", 1, ["max_tokens", "true or false"]),
        ("\nmax_tokens = 0", 2, ["max_tokens: it must be 1 at least"]),
        ("context_window = 1.5", 1, ["context_window", "whole number"]),
        ("temperature = 2.1", 1, ["temperature", "2"]),
        ("temperature = nan", 1, ["temperature"]),
        ("plain = 1", 1, ["plain", "true or false"]),
        ("system = 2024-01-01", 1, ["system", "text"]),
        ("personas = 1", 1, ["personas", "tables"]),
        ("[[providers]]\nname = 1", 1, ["providers", "tables"]),
        ("[models]\nm = 1", 2, ["models.m", "table"]),
        ('[personas.p]\nexamples = "x"', 2, ["personas.p.examples", "list"]),
        ('[personas.p]\nexamples = [{ user = "x" }]', 2, ["personas.p.examples", "assistant"]),
        ("[providers.x]\nretries = 11", 2, ["providers.x.retries", "10"]),
        ("[providers.x]\ntimeout = 0", 2, ["providers.x.timeout", "> 0"]),
        ("[providers.x]\ntimeout = inf", 2, ["providers.x.timeout"]),
        ("[providers.x.deployments]\na = 1", 1, ["providers.x.deployments", "text"]),
        ('[models.m]\nprices = { prompt = "x" }', 2, ["models.m.prices", "number"]),
        ('[providers.x]\nkind = "opena"', 2, ["providers.x.kind", "openai", "azure", "embedded"]),
        ('[models.m]\nencoding = "x"', 2, ["models.m.encoding", "cl100k_base", "o200k_base"]),
    ],
)
def test_a_wrong_value_is_told_with_its_line_in_plain_words(
    file: str, line: int, words: list[str]
) -> None:
    error = refusal(file)
    assert error.text.startswith(f"config.toml, line {line}: ")
    assert [word for word in words if word not in error.text + error.hint] == []
    assert "null" not in error.text
    assert "`" not in error.text


@pytest.mark.parametrize(
    ("file", "line"),
    [("model = ", 1), ("a = 1\na = 2", 2), ("model = 'm'\n[providers", 2), ("\n\n= 1", 3)],
)
def test_bad_toml_is_told_with_its_line(file: str, line: int) -> None:
    error = refusal(file)
    assert error.text.startswith("config.toml")
    assert f"line {line}" in error.text


@pytest.mark.parametrize(
    "file",
    ["a = " + "[" * 20_000, "max_tokens = " + "9" * 5_000, "context_window = " + "9" * 400],
    ids=["nested too deep", "more digits than Python reads", "more than any window"],
)
def test_a_monstrous_value_is_an_error_like_any_other(file: str) -> None:
    assert refusal(file).text.startswith("config.toml")


@pytest.mark.parametrize("file", [r'"a\nb" = 1', '[personas."a\\nb"]\nx = 1'])
def test_an_error_is_one_line_whatever_the_file_holds(file: str) -> None:
    assert "\n" not in refusal(file).text


# Unknown names: the name, and the known ones.
@pytest.mark.parametrize(
    ("file", "flags", "words"),
    [
        (
            "[personas.teacher]\n[personas.pirate]",
            {"persona": "techer"},
            ["'techer'", "teacher", "pirate"],
        ),
        ("", {"persona": "teacher"}, ["'teacher'", "concise", "tutor"]),
        ('persona = "x"\n[personas.teacher]', {}, ["'x'", "teacher"]),
        (
            "[providers.mine]",
            {"provider": "mien"},
            ["'mien'", "mine", "openai", "azure", "embedded"],
        ),
        ('provider = "x"', {}, ["'x'", "openai", "azure", "embedded"]),
        ('[personas.p]\nprovider = "x"', {"persona": "p"}, ["'x'", "openai"]),
    ],
)
def test_an_unknown_name_is_told_with_the_known_ones(
    file: str, flags: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(file, **flags)
    said = f"{caught.value.text} {caught.value.hint}"
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://", "http://[", ""])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    file = f'provider = "mine"\n[providers.mine]\nbase_url = "{url}"'
    with pytest.raises(SettingsError, match="base_url"):
        resolve(file)


# Whatever the file holds, the answer is a ConfigFile or a SettingsError.
def answered(text: str) -> ConfigFile | None:
    try:
        config = parse_config(text, "config.toml")
    except SettingsError as error:
        assert error.text.startswith("config.toml")
        return None
    with contextlib.suppress(SettingsError):
        Sources(config, None, {}, Flags()).resolve()
    return config


@given(st.text())
def test_arbitrary_text_never_raises_anything_else(text: str) -> None:
    answered(text)


KNOWN_KEYS = sorted(
    {
        key
        for shape in (ConfigFile, Persona, ProviderTable, ModelTable)
        for key in shape.__struct_fields__
    }
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.sampled_from([*KNOWN_KEYS, "user", "assistant", "prompt", "openai", "azure"]) | texts
scalars = (
    st.booleans()
    | st.integers(-5, 20)
    | st.integers()
    | st.floats()
    | texts
    | st.dates()
    | st.sampled_from(["openai", "azure", "cl100k_base", "http://x/v1", "@x", "x.gguf", "a/b"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
# Half of the tables are named and filled as real files name and fill them.
named_tables = st.dictionaries(texts, st.dictionaries(keys, values, max_size=4), max_size=2)
files = st.dictionaries(keys, values, max_size=5) | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(ConfigFile.__struct_fields__, scalars),
        "personas": named_tables,
        "providers": named_tables,
        "models": named_tables,
    },
)


def as_toml(value: Any) -> str:
    """Write a value as TOML, tables inline."""
    match value:
        case dict():
            return (
                "{" + ", ".join(f"{as_toml(str(k))} = {as_toml(v)}" for k, v in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case float() if not math.isfinite(value):
            return str(value)
        case float():
            return repr(value) if "." in repr(value) else repr(value).replace("e", ".0e")
        case date():
            return value.isoformat()
        case _:
            return str(value)


@given(files)
def test_arbitrary_tables_never_raise_anything_else(tables: dict[str, Any]) -> None:
    text = "\n".join(f"{as_toml(key)} = {as_toml(value)}" for key, value in tables.items())
    tomllib.loads(text)  # it is TOML: what is tried here is what comes after
    config = answered(text)
    if config is not None:
        assert set(tables) <= set(ConfigFile.__struct_fields__)
        assert config.model == tables.get("model")
