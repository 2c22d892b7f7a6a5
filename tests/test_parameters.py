"""The request's parameters: as flags and /set type them, and which layer wins."""

import math
from pathlib import Path
from typing import Any

import pytest

from chatrepl.config import Choices, parse_config
from chatrepl.errors import SettingsError
from chatrepl.parameters import changed, flags_of, listed
from chatrepl.settings import Flags, Settings, Sources

FILE = """
provider = "openai"
temperature = 0.5
extra_body = { min_p = 0.1, top_k = 1, user = "me" }
[personas.p]
seed = 1
extra_body = { top_k = 2 }
"""


def resolve(file: str, flags: Flags | None = None, typed: Choices | None = None) -> Settings:
    config = parse_config(file, "file")
    sources = Sources(config, Path("/file"), {}, flags or Flags(), typed=typed or Choices())
    return sources.resolve()


@pytest.mark.parametrize(
    ("pairs", "sent"),
    [
        (["top_p=0.5", "seed=3"], {"top_p": 0.5, "seed": 3}),
        (["temperature=1"], {"temperature": 1.0}),
        (["stop=END"], {"stop": "END"}),
        (["stop=5", "reasoning_effort=3"], {"stop": "5", "reasoning_effort": "3"}),
        (['stop=["a", "b"]'], {"stop": ["a", "b"]}),
        (['stop="\\n"'], {"stop": "\n"}),
        (["min_p=0.1", "user=me", "user=you"], {"min_p": 0.1, "user": "you"}),
        (['logit_bias={"5": -1}', "a=x=y", "b="], {"logit_bias": {"5": -1}, "a": "x=y", "b": ""}),
        (["logprobs=true", "user=null"], {"logprobs": True}),
    ],
)
def test_set_reads_json_where_it_is_json_else_text(
    pairs: list[str], sent: dict[str, object]
) -> None:
    assert resolve("", flags_of({"provider": "openai"}, pairs)).parameters == sent


def test_max_tokens_is_set_as_the_others_but_stands_apart() -> None:
    settings = resolve("", flags_of({}, ["max_tokens=9"]))
    assert (settings.max_tokens, settings.parameters) == (9, {})


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("top_p", ["'top_p'", "KEY=VALUE"]),
        ("=1", ["KEY=VALUE"]),
        ("a b=1", ["KEY=VALUE"]),
        ("top_p=2", ["--set: top_p: it may be 1 at most"]),
        ("temperature=hot", ["temperature", "a number, got text"]),
        ("temperature=NaN", ["temperature", "finite"]),
        ("seed=1.5", ["seed", "whole number"]),
        ("stop=[]", ["stop: it is empty"]),
        ("stop=", ["stop: it is empty"]),
        ("stop=[1]", ["stop", "text, got a whole number"]),
        ("messages=[]", ["'messages' is chatrepl's own"]),
        ("stream=false", ["'stream'"]),
        ("n=5", ["'n' is chatrepl's own"]),
        ("x=Infinity", ["extra_body.x", "JSON"]),
        ("max_tokens=0", ["max_tokens: it must be 1 at least"]),
        ("stop=[END", ["stop", "begins as JSON does, and is none", "in quotes"]),
        ("a={b: 1}", ["a", "is none"]),
        ("tempature=1", ["no parameter 'tempature'. Did you mean 'temperature'?", "--help"]),
        ("model=x", ["'model' is a setting", "--model sets it."]),
        ("context_window=9", ["'context_window' is a setting", "--context-window sets it"]),
        ("models=[]", ["'models'. Did you mean 'model'? That is a setting", "extra_body in the"]),
        ("theme=dark", ["theme in the config file sets it"]),
    ],
)
def test_a_bad_set_is_told_with_its_name(pair: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        flags_of({}, [pair])
    assert [word for word in words if word not in f"{caught.value.text} {caught.value.hint}"] == []
    assert "config.example.toml" not in caught.value.hint


@pytest.mark.parametrize("name", ["Temperature", "TOP-P", "Seed", "max-tokens"])
def test_the_case_of_a_known_name_does_not_matter(name: str) -> None:
    flags = flags_of({}, [f"{name}=1"])
    assert getattr(flags, name.lower().replace("-", "_")) == 1
    assert flags.extra_body is None


@pytest.mark.parametrize("name", ["top_k", "min_tokens", "reasoning_format", "user", "X-y"])
def test_another_name_is_sent_as_it_is(name: str) -> None:
    assert flags_of({}, [f"{name}=1"]).extra_body == {name: 1}


def test_the_same_in_both_ways_is_an_error() -> None:
    with pytest.raises(SettingsError, match="--seed and --set Seed are the same"):
        flags_of({"seed": 3}, ["Seed=9"])


def test_a_name_that_the_config_file_sends_can_be_set() -> None:
    with pytest.raises(SettingsError, match="/set: there is no parameter 'models'"):
        changed(Choices(), "models", "[]")
    assert changed(Choices(), "models", "[]", ["models"]).extra_body == {"models": []}


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_an_option_that_is_no_number_is_told(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: Expected a finite number"):
        flags_of({name: math.nan})


@pytest.mark.parametrize("given", [{"stop": [""]}, {"reasoning_effort": ""}])
def test_an_option_that_says_nothing_is_told(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="it is empty"):
        flags_of(given)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("extra_body = { stop = 1 }", "'stop' is a setting"),
        ("extra_body = { stream = true }", "'stream' is chatrepl's own"),
        ("\n[personas.p.extra_body]\nsince = 2020-01-01", "line 3: personas.p.extra_body.since"),
        ("extra_body = { a = [{ b = inf }] }", "extra_body.a: Expected what JSON can say"),
        ("extra_body = 5", "extra_body: Expected a table"),
    ],
)
def test_what_no_request_can_have_is_told_with_its_line(file: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_config(file, "f")
    assert words in caught.value.text


def test_each_key_of_extra_body_is_taken_from_the_last_that_has_it() -> None:
    typed = changed(changed(Choices(), "user", '"you"'), "top_p", "0.25")
    flags = flags_of({"persona": "p", "seed": 2}, ["min_p=0.2"])
    settings = resolve(FILE, flags, typed)
    assert list(listed(settings)) == [
        ("max_tokens", "", ""),
        ("temperature", "0.5", "/file"),
        ("top_p", "0.25", "/set"),
        ("seed", "2", "--seed"),
        ("stop", "", ""),
        ("reasoning_effort", "", ""),
        ("min_p", "0.2", "--set"),
        ("top_k", "2", "persona p"),
        ("user", '"you"', "/set"),
    ]
    body = {"min_p": 0.2, "top_k": 2, "user": "you"}
    assert settings.parameters == {"temperature": 0.5, "top_p": 0.25, "seed": 2, **body}


@pytest.mark.parametrize("back", ["default", '""', "''"])
def test_what_was_set_is_taken_back_to_what_the_settings_say(back: str) -> None:
    typed = Choices()
    for name, value in [("temperature", "1"), ("user", "x"), ("top_k", "9"), ("new", "1")]:
        typed = changed(typed, name, value)
    assert resolve(FILE, typed=typed).parameters["temperature"] == 1.0
    for name in ("temperature", "user", "top_k", "new"):
        typed = changed(typed, name, back)
    assert typed == Choices()
    assert resolve(FILE, typed=typed).parameters == resolve(FILE).parameters


def test_the_word_default_can_be_a_value_in_quotes() -> None:
    assert changed(Choices(), "stop", '"default"').stop == "default"


def test_null_keeps_a_key_of_the_file_from_being_sent() -> None:
    settings = resolve(FILE, typed=changed(Choices(), "user", "null"))
    assert settings.parameters == {"temperature": 0.5, "min_p": 0.1, "top_k": 1}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temperature", "3", "/set: temperature: it may be 2 at most"),
        ("temperature=1", "x", "'temperature=1' is no parameter"),
        ("model", "gpt-4", "'model' is a setting, and no parameter of a request. /model NAME sets"),
        ("messages", "x", "'messages' is chatrepl's own"),
        ("temprature", "1", "Did you mean 'temperature'? /set lists them"),
        ("user", "{", "/set: user: it begins as JSON does"),
        ("stop", "[]", "/set: stop: it is empty"),
    ],
)
def test_a_bad_value_is_told_and_nothing_is_set(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        changed(Choices(), name, value)
    assert words in f"{caught.value.text} {caught.value.hint}"
    assert "config.example.toml" not in caught.value.hint
