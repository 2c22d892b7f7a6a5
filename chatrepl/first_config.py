"""The config file that `chatrepl init` writes: what was answered, with a word on each line."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from chatrepl.config import parse_config
from chatrepl.errors import SettingsError
from chatrepl.providers.azure import DEFAULT_API_VERSION
from chatrepl.settings import Flags, Settings, Sources


class Offer(NamedTuple):
    """A provider that can be chosen: a few words, where it is, and the variable of its key."""

    words: str
    base_url: str = ""
    key_env: str = ""


OFFERS: Mapping[str, Offer] = {
    "openai": Offer("OpenAI", key_env="OPENAI_API_KEY"),
    "azure": Offer("Azure OpenAI", key_env="AZURE_OPENAI_API_KEY"),
    "embedded": Offer("a very small model on this machine, without a key"),
    "ollama": Offer("a server of yours", "http://localhost:11434/v1"),
    "llamacpp": Offer("llama.cpp's llama-server", "http://localhost:8080/v1"),
    "vllm": Offer("a server of yours", "http://localhost:8000/v1"),
    "openrouter": Offer(
        "many models, one key", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"
    ),
    "other": Offer("another server with a Chat Completions API"),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered. `key_in` is where the key is, or will be kept.

    `deployment` is Azure's name for the model, where it differs.
    """

    provider: str
    model: str = ""
    base_url: str = ""
    key: str = ""
    key_in: Literal["variable", "keyring", "file", "nowhere"] = "nowhere"
    deployment: str = ""
    api_version: str = ""

    @property
    def name(self) -> str:
        """What the provider is called in the file."""
        return "mine" if self.provider == "other" else self.provider


def config_text(answers: Answers) -> str:
    """Give the text of the config file."""
    lines = [
        "# Written by chatrepl init. Every other setting is shown in config.example.toml;",
        "# chatrepl doctor checks what this one says.",
        "",
        "# Who answers, and which model. For one run, -m NAME or -m PROVIDER/NAME is another.",
        f"provider = {_quoted(answers.name)}",
        f"model = {_quoted(answers.model)}",
    ]
    if answers.provider != "embedded":
        lines += ["", f"[providers.{answers.name}]", *_table(answers)]
    return "\n".join(lines) + "\n"


def _table(answers: Answers) -> list[str]:
    lines: list[str] = []
    if answers.base_url:
        what = "The resource's address." if answers.provider == "azure" else "Where the API is."
        lines += [f"# {what}", f"base_url = {_quoted(answers.base_url)}"]
    lines += _key_lines(answers)
    if answers.provider == "azure":
        lines += ["# The version of the API."]
        lines += [f"api_version = {_quoted(answers.api_version or DEFAULT_API_VERSION)}"]
    if answers.deployment:
        pair = f"{_quoted(answers.model)} = {_quoted(answers.deployment)}"
        lines += ["# Model names and what their deployments are called."]
        lines += [f"deployments = {{ {pair} }}"]
    return lines


def _key_lines(answers: Answers) -> list[str]:
    variable = OFFERS[answers.provider].key_env
    named = f"api_key_env = {_quoted(variable)}"
    if answers.key_in == "file":
        key = f"api_key = {_quoted(answers.key)}"
        return ["# The key. Only you should be able to read this file.", key]
    if answers.key_in == "keyring":
        name = answers.name
        return [f"# The key is in the system keyring: chatrepl key set {name} changes it."]
    if variable:
        return ["# The environment variable that holds the key.", named]
    return ["# No key is sent. For one: chatrepl key set " + answers.name]


def settings_of(text: str, file: Path, environment: Mapping[str, str]) -> tuple[Sources, Settings]:
    """Read a config file's text as the next run will. Raises SettingsError."""
    sources = Sources(parse_config(text, str(file)), file, environment, Flags())
    return sources, sources.resolve()


def overruled(answers: Answers, settings: Settings) -> list[str]:
    """Name the variables that go before what was answered."""
    meant = {"provider": answers.name, "model": answers.model}
    if answers.base_url:
        meant["base_url"] = answers.base_url
    if answers.api_version:
        meant["api_version"] = answers.api_version
    holds = {
        "provider": settings.provider,
        "model": settings.model,
        "base_url": (settings.server.base_url or "").rstrip("/"),
        "api_version": settings.server.api_version,
    }
    wrong = [key for key, value in meant.items() if holds[key] != value]
    return sorted({settings.origins.get(key, key) for key in wrong})


def write_config(text: str, file: Path) -> Path | None:
    """Write the file, for its owner alone; give the path of the copy of one that was there.

    Raises SettingsError.
    """
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            new.touch(mode=0o600)
            new.write_text(text, encoding="utf-8")
            copy = _aside(file)
            new.replace(file)
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
    except OSError as error:
        text = f"The config file {file} can't be written: {error.strerror or error}"
        raise SettingsError(text, "Mend that and do it again, or name another: --config") from error
    return copy


def _aside(file: Path) -> Path | None:
    """Rename a file that is there, under a name that is free."""
    if not file.exists():
        return None
    number, copy = 1, file.with_name(f"{file.name}.old")
    while copy.exists():
        number += 1
        copy = file.with_name(f"{file.name}.old{number}")
    file.rename(copy)
    return copy


def _quoted(text: str) -> str:
    """Quote a printable text for TOML: its strings are then JSON's."""
    return json.dumps(text, ensure_ascii=False)
