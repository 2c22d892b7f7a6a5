"""Settings: defaults < config file < persona < environment < flags.

Each value knows where it came from (`Settings.origins`). The config file is read, never written.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from chatrepl.config import (
    PARAMETERS,
    Budget,
    Choices,
    ConfigFile,
    EditingMode,
    Example,
    Kind,
    ModelTable,
    Overflow,
    Persona,
    ProviderTable,
    Submit,
    ThemeName,
    nearest,
    parse_config,
    place,
)
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths, expanded
from chatrepl.personas import Shelf


class Flags(Choices, frozen=True):
    """What the command line says."""

    persona: str | None = None
    base_url: str | None = None


_T = TypeVar("_T")
CHOICES = Choices.__struct_fields__
NOTHING = Choices()
_FLAGS = {"save": "--no-save", "extra_body": "--set"}  # those that are not named after it
BUILT_IN: Mapping[str, ProviderTable] = {
    "openai": ProviderTable(kind="openai", api_key_env="OPENAI_API_KEY"),
    "azure": ProviderTable(kind="azure", api_key_env="AZURE_OPENAI_API_KEY"),
    "embedded": ProviderTable(kind="embedded"),
}


# What the embedded provider runs: its default model, or a file.
_EMBEDDED = re.compile(r"^smollm2(-135m-instruct)?$|\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for this run.

    `origins` maps the name of each setting that somebody has set to where its value came from:
    the config file's path, "persona NAME", a variable's name, or a flag.
    """

    provider: str
    server: ProviderTable
    model: str | None = None
    persona: str | None = None
    system: str | None = None
    examples: tuple[Example, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    schema: str | None = None
    context_window: int | None = None
    overflow: Overflow = "trim"
    editing_mode: EditingMode = "emacs"
    submit: Submit = "enter"
    plain: bool = False
    accessible: bool = False
    save: bool = True
    budget: Budget | None = None
    theme: ThemeName = "auto"
    styles: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, ModelTable] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The kind of the chosen provider."""
        return self.server.kind or "openai"

    @property
    def parameters(self) -> dict[str, Any]:
        """What is sent with every request besides messages and max_tokens; null is not sent."""
        ours = {name: getattr(self, name) for name in PARAMETERS if name != "max_tokens"}
        sent = {**ours, **self.extra_body}
        return {name: value for name, value in sent.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that settings come from, read once; `resolve` puts them together.

    `kept` names the providers whose keys are in the system keyring, `folder` is that of the
    personas, and `typed` is what /set says, which goes before the flags.
    """

    file: ConfigFile
    file_path: Path | None
    environment: Mapping[str, str]
    flags: Flags
    kept: tuple[str, ...] = ()
    folder: Path | None = None
    typed: Choices = NOTHING

    @property
    def shelf(self) -> Shelf:
        """Every persona."""
        return Shelf(self.file.personas, self.file_path, self.folder)

    def place(self, *key: str) -> str:
        """Say where a key of the config file stands: the file, and the line if it can be found."""
        text = ""
        if self.file_path is not None:
            with suppress(OSError, ValueError):
                text = self.file_path.read_bytes().decode("utf-8-sig")
        return place(text, str(self.file_path), key)

    @property
    def providers(self) -> dict[str, ProviderTable]:
        """Every provider by name: the built-in ones, refined and added to by the file."""
        tables = dict(BUILT_IN)
        for name, table in self.file.providers.items():
            built_in = BUILT_IN.get(name)
            if built_in is not None and table.kind in {None, built_in.kind}:
                table = msgspec.structs.replace(  # noqa: PLW2901 - the table, completed
                    table,
                    kind=built_in.kind,
                    api_key_env=table.api_key_env
                    or (None if table.api_key_cmd else built_in.api_key_env),
                )
            tables[name] = table
        return tables

    @property
    def _is_old_azure(self) -> bool:
        """Whether the environment says, as before openai 1.0, that its names are for Azure."""
        return self.environment.get("OPENAI_API_TYPE", "").lower() in {"azure", "azure_ad"}

    @property
    def _is_accessible(self) -> bool:
        return self.environment.get("ACCESSIBLE", "0") not in {"", "0"}

    def resolve(self, **changes: Any) -> Settings:
        """Give the settings, with some flags changed. Raises SettingsError."""
        flags = msgspec.structs.replace(self.flags, **changes)
        persona_name = flags.persona or self.file.persona
        chosen: dict[str, Any] = {}
        origins: dict[str, str] = {}
        ranks: dict[str, int] = {}
        persona = Persona()
        if persona_name is not None:
            origins["persona"] = "--persona" if flags.persona else str(self.file_path)
            persona = self.shelf.find(persona_name, origins["persona"])
        for rank, (origin, layer) in enumerate(self._layers(flags, persona_name, persona)):
            for name in CHOICES:
                if (value := getattr(layer, name)) is not None:
                    origins[name] = origin or _FLAGS.get(name) or f"--{name.replace('_', '-')}"
                    if name == "extra_body":  # each key for itself
                        origins |= {f"{name}.{key}": origins[name] for key in value}
                        value = {**chosen.get(name, {}), **value}
                    chosen[name], ranks[name] = value, rank
        self._split_model(chosen, origins, ranks, flags)
        if not (chosen.get("model") or "").isprintable():
            raise SettingsError(f"The model name ({origins['model']}) is no text that can be sent.")
        name = chosen.pop("provider", None) or self._usual_provider(chosen.get("model"), flags)
        server = self._server(name, flags, origins)
        return Settings(
            provider=name,
            server=server,
            persona=persona_name,
            examples=tuple(persona.examples),
            editing_mode=self.file.editing_mode,
            submit=self.file.submit,
            budget=self.file.budget,
            theme=self.file.theme,
            styles=self.file.styles,
            models=self.file.models,
            origins=origins,
            **chosen,
        )

    def _layers(
        self, flags: Flags, persona_name: str | None, persona: Persona
    ) -> list[tuple[str, Choices]]:
        """Give who has a say, by the names of their origins; the last goes before all others.

        A flag's origin is the flag: theirs is empty.
        """
        return [
            (str(self.file_path), self.file),
            (f"persona {persona_name}", persona),
            ("CHATREPL_MODEL", Choices(model=self.environment.get("CHATREPL_MODEL") or None)),
            ("ACCESSIBLE", Choices(accessible=self._is_accessible or None)),
            ("", flags),
            ("/set", self.typed),
        ]

    def _split_model(
        self,
        chosen: dict[str, Any],
        origins: dict[str, str],
        ranks: dict[str, int],
        flags: Flags,
    ) -> None:
        """Read "provider/model", or a GGUF file, unless something as late has a provider."""
        if flags.base_url or ranks.get("model", -1) <= ranks.get("provider", -1):
            return
        provider, chosen["model"] = self.read_model(chosen["model"])
        if provider is not None:
            chosen["provider"], origins["provider"] = provider, origins["model"]

    def read_model(self, name: str) -> tuple[str | None, str]:
        """Read a model's name as it is typed: which provider it names, if any, and the model."""
        maker, _, rest = name.partition("/")
        if name.lower().endswith(".gguf") and expanded(name).is_file():
            return "embedded", name
        return (maker, rest) if rest and maker in self.providers else (None, name)

    def _usual_provider(self, model: str | None, flags: Flags) -> str:
        """Say who answers when nobody says it: whoever is set up, else the embedded model."""
        has = self.environment.get
        if flags.base_url:
            return "azure" if self._is_old_azure else "openai"
        if self.file.providers:
            return next(iter(self.file.providers))
        if model is not None and _EMBEDDED.search(model):
            return "embedded"
        if self._is_old_azure:
            return "azure"
        if has("OPENAI_BASE_URL") or has("OPENAI_API_BASE"):
            return "openai"
        if has("OPENAI_API_KEY"):
            return "openai"
        has_azure = has("AZURE_OPENAI_API_KEY") or "azure" in self.kept
        if has("AZURE_OPENAI_ENDPOINT") and has_azure:
            return "azure"
        if "openai" in self.kept:
            return "openai"
        return "embedded" if model is None else "openai"

    def _server(self, name: str, flags: Flags, origins: dict[str, str]) -> ProviderTable:
        """Complete the chosen provider's table from the environment and the flags."""
        table = named(name, self.providers, "provider", origins.get("provider", "default"))
        if table.kind == "embedded" and (flags.base_url or table.base_url):
            where = "--base-url" if flags.base_url else f"[providers.{name}]"
            text = f"The embedded model is not asked at a base_url ({where})."
            raise SettingsError(text, "Leave out base_url, or name another provider.")
        has = self.environment.get
        changes: dict[str, Any] = {}
        variables: dict[str, tuple[str, ...]] = {"base_url": (), "api_version": ()}
        if name == "openai":
            variables["base_url"] = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
        elif name == "azure":
            old = self._is_old_azure
            older = ("OPENAI_API_BASE", "OPENAI_BASE_URL") if old else ()
            variables["base_url"] = ("AZURE_OPENAI_ENDPOINT", *older)
            variables["api_version"] = ("OPENAI_API_VERSION",)
            usual = table.api_key_env == BUILT_IN["azure"].api_key_env
            if old and usual and not has("AZURE_OPENAI_API_KEY") and has("OPENAI_API_KEY"):
                changes["api_key_env"] = "OPENAI_API_KEY"
        for key, names in variables.items():
            if variable := next(filter(has, names), None):
                changes[key], origins[key] = has(variable), variable
            elif getattr(table, key):
                origins[key] = str(self.file_path)
        if flags.base_url:
            changes["base_url"], origins["base_url"] = flags.base_url, "--base-url"
        server = msgspec.structs.replace(table, **changes)
        check_url(server.base_url, f"provider {name} ({origins.get('base_url', 'default')})")
        return server


def named(name: str, known: Mapping[str, _T], what: str, origin: str) -> _T:
    """Look a name up. Raises SettingsError with the known ones."""
    if name in known:
        return known[name]
    raise SettingsError(
        f"There is no {what} '{name}' ({origin}).{nearest(name, known)}",
        f"Known: {', '.join(sorted(known))}.",
    )


def check_url(url: str | None, where: str) -> None:
    """Raise SettingsError unless `url` is None or an http(s) URL with a host, and no query.

    The API's paths are put behind it. What may be a secret in it is not told.
    """
    if url is None:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        shown = re.sub(r"//.*@", "//", url, flags=re.DOTALL)  # less a name and password
        shown = re.split(r"[?#&;]", shown)[0]
        text = f"base_url of {where} is no http or https URL: {shown!r}"
        raise SettingsError(text, "Example: http://localhost:8080/v1")
    if mark := next((mark for mark in "?#" if mark in url), ""):
        text = f"base_url of {where} has a '{mark}': the API's paths are put behind it."
        raise SettingsError(text, "End it before that; a key goes into api_key or default_headers.")


def read_sources(
    flags: Flags, config: Path | None, environment: Mapping[str, str], paths: Paths
) -> Sources:
    """Read the config file: `config`, else CHATREPL_CONFIG, else the usual one if it exists.

    Raises SettingsError for a file that is named but missing, or bad.
    """
    named = config or environment.get("CHATREPL_CONFIG")
    path = expanded(named) if named else paths.config / "config.toml"
    folder = path.parent / "personas"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if named:
            text = f"There is no config file {path}."
            raise SettingsError(text, "Check --config and CHATREPL_CONFIG.") from None
        return Sources(ConfigFile(), None, environment, flags, folder=folder)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"The config file {path} can't be read: {why}") from error
    return Sources(parse_config(text, str(path)), path, environment, flags, folder=folder)
