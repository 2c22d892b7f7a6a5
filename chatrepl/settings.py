"""Settings: defaults < config file < persona < environment < flags.

Each value knows where it came from (`Settings.origins`). A bad file is an error with the line
and the nearest known key; the file is never written.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from chatrepl.errors import SettingsError
from chatrepl.paths import Paths

Kind = Literal["openai", "azure", "embedded"]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the config file."""


class Choices(Table, frozen=True):
    """What the file, a persona, the environment or a flag can say of a chat."""

    provider: str | None = None
    model: str | None = None
    system: str | None = None
    max_tokens: Positive | None = None
    temperature: Temperature | None = None
    context_window: Positive | None = None
    plain: bool | None = None


class Example(Table, frozen=True):
    """One few-shot example: a user message and the reply that it should get."""

    user: str
    assistant: str


class Persona(Choices, frozen=True):
    """A named system prompt with examples and settings."""

    examples: list[Example] = []


class ProviderTable(Table, frozen=True):
    """A server and how it is spoken to. `timeout` is in seconds of silence."""

    kind: Kind | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_cmd: str | None = None
    api_version: str | None = None
    deployments: dict[str, str] = {}
    default_headers: dict[str, str] = {}
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class ModelTable(Table, frozen=True):
    """What the user says of a model. Prices are per million tokens, in US dollars."""

    context_window: Positive | None = None
    max_output: Positive | None = None
    encoding: Literal["cl100k_base", "o200k_base"] | None = None
    prices: dict[Literal["prompt", "cached", "completion"], float] = {}
    parameters: dict[Literal["max_tokens", "temperature", "stream_options"], str] = {}


class ConfigFile(Choices, frozen=True):
    """The whole of config.toml."""

    persona: str | None = None
    personas: dict[str, Persona] = {}
    providers: dict[str, ProviderTable] = {}
    models: dict[str, ModelTable] = {}


class Flags(Choices, frozen=True):
    """What the command line says."""

    persona: str | None = None
    base_url: str | None = None


CHOICES = Choices.__struct_fields__
BUILT_IN: Mapping[str, ProviderTable] = {
    "openai": ProviderTable(kind="openai", api_key_env="OPENAI_API_KEY"),
    "azure": ProviderTable(kind="azure", api_key_env="AZURE_OPENAI_API_KEY"),
    "embedded": ProviderTable(kind="embedded"),
}


# What the embedded provider runs: its default model, or a file.
_EMBEDDED = re.compile(r"^smollm2|\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for this run.

    `origins` maps a setting's name to where its value came from: "default", a file's path,
    "persona NAME", a variable's name or a flag.
    """

    provider: str
    server: ProviderTable
    model: str | None = None
    persona: str | None = None
    system: str | None = None
    examples: tuple[Example, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    context_window: int | None = None
    plain: bool = False
    models: Mapping[str, ModelTable] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The kind of the chosen provider."""
        return self.server.kind or "openai"


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that settings come from, read once; `resolve` puts them together."""

    file: ConfigFile
    file_path: Path | None
    environment: Mapping[str, str]
    flags: Flags

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

    def resolve(self, **changes: Any) -> Settings:
        """Give the settings, with some flags changed. Raises SettingsError."""
        flags = msgspec.structs.replace(self.flags, **changes)
        persona_name = flags.persona or self.file.persona
        persona = Persona()
        if persona_name is not None:
            persona = self._named(persona_name, self.file.personas, "persona", "-p")
        layers: list[tuple[str, Choices]] = [
            (str(self.file_path), self.file),
            (f"persona {persona_name}", persona),
            ("CHATREPL_MODEL", Choices(model=self.environment.get("CHATREPL_MODEL") or None)),
            ("command line", flags),
        ]
        chosen: dict[str, Any] = {}
        origins: dict[str, str] = {}
        ranks: dict[str, int] = {}
        for rank, (origin, layer) in enumerate(layers):
            for name in CHOICES:
                if (value := getattr(layer, name)) is not None:
                    chosen[name], origins[name], ranks[name] = value, origin, rank
        self._split_model(chosen, origins, ranks, flags)
        name = chosen.pop("provider", None) or self._usual_provider(chosen.get("model"), flags)
        server = self._server(name, flags)
        return Settings(
            provider=name,
            server=server,
            persona=persona_name,
            examples=tuple(persona.examples),
            models=self.file.models,
            origins=origins,
            **chosen,
        )

    def _split_model(
        self,
        chosen: dict[str, Any],
        origins: dict[str, str],
        ranks: dict[str, int],
        flags: Flags,
    ) -> None:
        """Read "provider/model", unless something said as late names the provider."""
        maker, slash, rest = str(chosen.get("model") or "").partition("/")
        if not slash or not rest or maker not in self.providers or flags.base_url:
            return
        if ranks.get("provider", -1) < ranks["model"]:
            chosen["provider"], chosen["model"] = maker, rest
            origins["provider"] = origins["model"]

    def _usual_provider(self, model: str | None, flags: Flags) -> str:
        """Say who answers when nobody says it: whoever is set up, else the embedded model."""
        has = self.environment.get
        if model is not None and _EMBEDDED.search(model):
            return "embedded"
        if self.file.providers:
            return next(iter(self.file.providers))
        if has("OPENAI_API_TYPE", "").lower() in {"azure", "azure_ad"}:
            return "azure"
        if flags.base_url or has("OPENAI_BASE_URL") or has("OPENAI_API_BASE"):
            return "openai"
        if has("OPENAI_API_KEY"):
            return "openai"
        if has("AZURE_OPENAI_ENDPOINT") and has("AZURE_OPENAI_API_KEY"):
            return "azure"
        return "embedded" if model is None else "openai"

    def _server(self, name: str, flags: Flags) -> ProviderTable:
        """Complete the chosen provider's table from the environment and the flags."""
        table: ProviderTable = self._named(name, self.providers, "provider", "--provider")
        has = self.environment.get
        changes: dict[str, Any] = {}
        if name == "openai":
            changes["base_url"] = has("OPENAI_BASE_URL") or has("OPENAI_API_BASE")
        elif name == "azure":
            old = has("OPENAI_API_TYPE", "").lower().startswith("azure")
            changes["base_url"] = has("AZURE_OPENAI_ENDPOINT") or (
                (has("OPENAI_API_BASE") or has("OPENAI_BASE_URL")) if old else None
            )
            changes["api_version"] = has("OPENAI_API_VERSION")
            if old and not has("AZURE_OPENAI_API_KEY") and has("OPENAI_API_KEY"):
                changes["api_key_env"] = "OPENAI_API_KEY"
        changes["base_url"] = flags.base_url or changes.get("base_url")
        changes = {key: value for key, value in changes.items() if value}
        server = msgspec.structs.replace(table, **changes)
        check_url(server.base_url, f"provider {name}")
        return server

    def _named(self, name: str, known: Mapping[str, Any], what: str, flag: str) -> Any:
        if name in known:
            return known[name]
        raise SettingsError(
            f"There is no {what} '{name}' ({flag}).{_nearest(name, known)}",
            f"Known: {', '.join(sorted(known))}." if known else f"The config file has no {what}s.",
        )


def check_url(url: str | None, where: str) -> None:
    """Raise SettingsError unless `url` is None or an http(s) URL with a host."""
    if url is not None and not re.match(r"https?://[^/\s]+", url):
        text = f"base_url of {where} is no http or https URL: {url}"
        raise SettingsError(text, "Example: http://localhost:8080/v1")


def read_sources(
    flags: Flags, config: Path | None, environment: Mapping[str, str], paths: Paths
) -> Sources:
    """Read the config file: `config`, else CHATREPL_CONFIG, else the usual one if it exists.

    Raises SettingsError for a file that is named but missing, or bad.
    """
    named = config or environment.get("CHATREPL_CONFIG")
    path = Path(named).expanduser() if named else paths.config / "config.toml"
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if named:
            text = f"There is no config file {path}."
            raise SettingsError(text, "Check --config and CHATREPL_CONFIG.") from None
        return Sources(ConfigFile(), None, environment, flags)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The config file {path} can't be read: {error}") from error
    return Sources(parse_config(text, str(path)), path, environment, flags)


def parse_config(text: str, source: str) -> ConfigFile:
    """Parse and check the text of a config file. Raises SettingsError."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source}: {error}", "The file is not valid TOML.") from error
    check = _Check(text, source)
    named: dict[str, dict[str, Any]] = {}
    for section, shape in (
        ("personas", Persona),
        ("providers", ProviderTable),
        ("models", ModelTable),
    ):
        table = tables.get(section, {})
        if not isinstance(table, dict):
            raise check.error((section,), f"'{section}' must be tables: [{section}.NAME]")
        named[section] = {
            name: check.convert(value, shape, (section, name)) for name, value in table.items()
        }
    top = {key: value for key, value in tables.items() if key not in named}
    whole: ConfigFile = msgspec.structs.replace(check.convert(top, ConfigFile, ()), **named)
    return whole


class _Check:
    """Checks tables of one file, and names the line where one is wrong."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source

    def convert(self, value: object, shape: type[Table], at: tuple[str, ...]) -> Any:
        known = shape.__struct_fields__
        if isinstance(value, dict):
            for key in value:
                if key not in known:
                    where = f" in [{'.'.join(at)}]" if at else ""
                    text = f"unknown key '{key}'{where}.{_nearest(key, known)}"
                    raise self.error((*at, key), text)
        try:
            return msgspec.convert(value, shape)
        except msgspec.ValidationError as error:
            words, _, path = str(error).partition(" - at `$.")
            key = tuple(re.findall(r"^\w+", path))
            name = ".".join((*at, *key)) or "the file"
            raise self.error((*at, *key), f"{name}: {_plain(words)}") from error

    def error(self, at: tuple[str, ...], text: str) -> SettingsError:
        line = _line_of(self._text, at)
        where = f"{self._source}, line {line}" if line else self._source
        return SettingsError(f"{where}: {text}", "config.example.toml shows every key.")


def _line_of(text: str, at: tuple[str, ...]) -> int | None:
    """Find the line on which a key stands: the first that must be there for it to appear."""
    lines = text.splitlines()
    start = None
    for count in range(len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        for key in at:
            table = table.get(key) if isinstance(table, dict) else None
        if table is not None:
            return start
        start = count + 1
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _plain(words: str) -> str:
    """Say msgspec's words as a person would."""
    words = words.replace(" | null", "").replace("`", "")
    names = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    names |= {"object": "a table", "array": "a list"}
    return re.sub(r"\b(str|int|float|bool|object|array)\b", lambda m: names[m[0]], words)
