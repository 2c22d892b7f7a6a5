"""config.toml: its tables, and what is said of a bad one."""

import difflib
import json
import math
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from chatrepl.amounts import read_amount
from chatrepl.errors import SettingsError

Kind = Literal["openai", "azure", "embedded"]
Overflow = Literal["trim", "ask", "summarize"]
EditingMode = Literal["emacs", "vi"]
Submit = Literal["enter", "alt-enter"]
ThemeName = Literal["auto", "dark", "light", "plain"]
Positive = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Price = Annotated[float, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the config file."""


class Choices(Table, frozen=True):
    """What the file, a persona, the environment or a flag can say of a chat."""

    provider: str | None = None
    model: str | None = None
    system: str | None = None
    max_tokens: Positive | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    seed: Seed | None = None
    stop: Text | Texts | None = None
    reasoning_effort: Text | None = None
    extra_body: dict[str, Any] | None = None
    schema: Text | None = None
    context_window: Positive | None = None
    overflow: Overflow | None = None
    plain: bool | None = None
    accessible: bool | None = None
    save: bool | None = None


class Example(Table, frozen=True):
    """One few-shot example: a user message and the reply that it should get."""

    user: str
    assistant: str


class Persona(Choices, frozen=True):
    """A named system prompt with examples and settings."""

    examples: list[Example] = []


class ProviderTable(Table, frozen=True):
    """A server and how it is spoken to. Both timeouts are in seconds of silence."""

    kind: Kind | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_cmd: str | None = None
    api_key: str | None = None
    api_version: str | None = None
    deployments: dict[str, str] = {}
    default_headers: dict[str, str] = {}
    timeout: Seconds = 120.0
    stall_timeout: Seconds = 30.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2


class Prices(Table, frozen=True):
    """What a model costs per million tokens, in US dollars."""

    prompt: Price | None = None
    cached: Price | None = None
    completion: Price | None = None


class Parameters(Table, frozen=True):
    """What a server calls our parameters; "" says that one is not sent."""

    max_tokens: str | None = None
    temperature: str | None = None
    top_p: str | None = None
    seed: str | None = None
    stop: str | None = None
    reasoning_effort: str | None = None
    stream_options: str | None = None


class ModelTable(Table, frozen=True):
    """What the user says of a model."""

    context_window: Positive | None = None
    max_output: Positive | None = None
    encoding: Literal["cl100k_base", "o200k_base"] | None = None
    prices: Prices = Prices()
    parameters: Parameters = Parameters()


class Budget(Table, frozen=True):
    """What may be spent at most, each in US dollars or as `read_amount` reads it."""

    session: float | str | None = None
    day: float | str | None = None
    month: float | str | None = None


class ConfigFile(Choices, frozen=True):
    """The whole of config.toml."""

    persona: str | None = None
    budget: Budget | None = None
    editing_mode: EditingMode = "emacs"
    submit: Submit = "enter"
    theme: ThemeName = "auto"
    styles: dict[str, str] = {}
    personas: dict[str, Persona] = {}
    providers: dict[str, ProviderTable] = {}
    models: dict[str, ModelTable] = {}


# Tables inside tables: what they are, and whether they stand alone, by name or in a list.
_INNER: dict[str, tuple[type[Table], type]] = {
    "personas": (Persona, dict),
    "providers": (ProviderTable, dict),
    "models": (ModelTable, dict),
    "prices": (Prices, Table),
    "budget": (Budget, Table),
    "parameters": (Parameters, Table),
    "examples": (Example, list),
}


PARAMETERS = ("max_tokens", "temperature", "top_p", "seed", "stop", "reasoning_effort")
"""The settings that are sent with every request; any other parameter is a key of `extra_body`."""

_OUR_OWN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_completion_tokens", "n"}
)
"""What chatrepl sends itself; of several replies (`n`), all billed, it would show one mixture."""


def parse_config(text: str, source: str) -> ConfigFile:
    """Parse and check the text of a config file. Raises SettingsError."""
    config: ConfigFile = _Check(text, source).convert(_tables(text, source), ConfigFile, ())
    return config


def parse_persona(text: str, source: str) -> Persona:
    """Parse and check a file that holds one persona. Raises SettingsError."""
    persona: Persona = _Check(text, source).convert(_tables(text, source), Persona, ())
    return persona


def check_choices(values: dict[str, Any], source: str, hint: str) -> Choices:
    """Check settings that were typed. Raises SettingsError, with `hint`, which names `source`."""
    choices: Choices = _Check("", source, hint).convert(values, Choices, ())
    return choices


def _tables(text: str, source: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - most starts have no file to read

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number beyond numbers
        end = f"at line {len(text.rstrip().split(chr(10)))}"
        words = str(error).replace("at end of document", end)
        raise SettingsError(f"{source}: {words}", "The file is not valid TOML.") from error


class _Check:
    """Checks the tables of one file, and names the line where one is wrong."""

    def __init__(self, text: str, source: str, hint: str = "") -> None:
        self._text = text
        self._source = source
        self._hint = hint

    def convert(self, value: object, shape: type[Table], at: tuple[str | int, ...]) -> Any:
        if not isinstance(value, dict):
            kind = _plain(type(value).__name__)  # and not the value: it may be a key
            raise self.error(at, f"{_dotted(at)}: Expected a table, got {kind}")
        known = shape.__struct_fields__
        inner: dict[str, Any] = {}
        for key, part in value.items():
            if key not in known:
                where = f" in [{_dotted(at)}]" if at else ""
                text = f"unknown key '{_shown(key)}'{where}.{nearest(key, known)}"
                raise self.error((*at, key), text)
            if key in _INNER:
                inner[key] = self._inner(key, part, (*at, key))
            elif isinstance(part, float) and not math.isfinite(part):
                raise self.error((*at, key), f"{_dotted((*at, key))}: Expected a finite number")
            elif key == "extra_body" and isinstance(part, dict):
                self._extra(part, (*at, key))
            elif key == "styles" and isinstance(part, dict):
                self._styles(part, (*at, key))
            elif shape is Budget:
                self._amount(part, (*at, key))
        flat = {key: part for key, part in value.items() if key not in inner}
        try:
            return msgspec.structs.replace(msgspec.convert(flat, shape), **inner)
        except msgspec.ValidationError as error:
            words, _, path = str(error).partition(" - at `$.")
            key = re.findall(r"^\w+", path)
            choices = _choices(shape, key[0]) if key and "enum" in words else ""
            said = f"{_dotted((*at, *key)) or 'the file'}: {_plain(words)}{choices}"
            raise self.error((*at, *key), said) from error

    def _extra(self, body: dict[str, Any], at: tuple[str | int, ...]) -> None:
        """Check what requests are to have besides: JSON, and nothing that is set elsewhere."""
        for key, value in body.items():
            where = (*at, key)
            if key in _OUR_OWN:
                raise self.error(where, f"{_dotted(where)}: '{key}' is chatrepl's own to send")
            if key in PARAMETERS:
                text = f"{_dotted(where)}: '{key}' is a setting: set it outside extra_body"
                raise self.error(where, text)
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:  # a date, inf, a number's size
                text = f"{_dotted(where)}: Expected what JSON can say (no date, no inf, no nan)"
                raise self.error(where, text) from error

    def _styles(self, styles: dict[str, Any], at: tuple[str | int, ...]) -> None:
        """Check that each style is a text; what it says is the theme's to know."""
        for name, style in styles.items():
            where = (*at, name)
            if isinstance(style, dict):
                inner = _shown(f"{name}.{next(iter(style), 'NAME')}")
                raise self.error(
                    where, f'{_dotted(where)}: a name with a dot has quotes: "{inner}"'
                )
            if not isinstance(style, str):
                got = _plain(type(style).__name__)
                raise self.error(where, f"{_dotted(where)}: Expected text, got {got}")

    def _amount(self, written: object, at: tuple[str | int, ...]) -> None:
        """Check an amount of the budget."""
        try:
            read_amount(written)
        except ValueError as error:
            raise self.error(at, f"{_dotted(at)}: {error}") from error

    def _inner(self, key: str, value: object, at: tuple[str | int, ...]) -> Any:
        shape, container = _INNER[key]
        if container is Table:
            return self.convert(value, shape, at)
        if not isinstance(value, container):
            form = f"tables: [{key}.NAME]" if container is dict else "a list of tables"
            raise self.error(at, f"{_dotted(at)} must be {form}")
        if isinstance(value, dict):
            return {name: self.convert(part, shape, (*at, name)) for name, part in value.items()}
        assert isinstance(value, list)
        return [self.convert(part, shape, (*at, i)) for i, part in enumerate(value)]

    def error(self, at: tuple[str | int, ...], text: str) -> SettingsError:
        hint = self._hint or f"Every key is shown in {example_file()}"
        return SettingsError(f"{place(self._text, self._source, at)}: {text}", hint)


def place(text: str, source: str, at: tuple[str | int, ...]) -> str:
    """Name a file, and the line of its text on which a key stands if it stands there."""
    line = _line_of(text, at)
    return f"{source}, line {line}" if line else source


def _line_of(text: str, at: tuple[str | int, ...]) -> int | None:
    """Find the line on which a key stands: the first that must be there for it to appear."""
    import tomllib  # noqa: PLC0415 - see `_tables`

    lines = text.replace("\r\n", "\n").split("\n")
    start = None
    for count in range(len(lines) + 1):
        try:
            found: Any = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        try:
            for key in at:
                found = found[key]
        except (KeyError, IndexError, TypeError):
            start = count + 1
        else:
            return start
    return None


def example_file() -> Path:
    """Give the path of config.example.toml: in the package, or beside it in a clone."""
    packaged = Path(__file__).with_name("config.example.toml")
    return packaged if packaged.exists() else packaged.parent.with_name("config.example.toml")


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest known name was meant, if there is one near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean '{_shown(near[0])}'?" if near else ""


def _dotted(at: tuple[str | int, ...]) -> str:
    """Name a place; a number in a list is no part of the name."""
    return ".".join(_shown(key) for key in at if isinstance(key, str))


def _shown(key: str) -> str:
    return key if key.isprintable() else repr(key)[1:-1]


def _choices(shape: type[Table], key: str) -> str:
    """Say what a field may be, where that is one of a few words."""

    def words(hint: object) -> list[str]:
        if isinstance(hint, str):
            return [hint]
        return [word for part in typing.get_args(hint) for word in words(part)]

    return f"; known: {', '.join(words(typing.get_type_hints(shape)[key]))}"


def _plain(words: str) -> str:
    """Say msgspec's words as a person would."""
    for theirs, ours in ((" | null", ""), (" | ", " or "), ("`", ""), ("enum value", "value")):
        words = words.replace(theirs, ours)
    words = re.sub(r"Expected \w+ <= (\d+)(\.0)?", r"it may be \1 at most", words)
    words = re.sub(r"Expected \w+ >= (-?\d+)(\.0)?", r"it must be \1 at least", words)
    words = re.sub(r"Expected (str|array) of length >= 1", "it is empty", words)
    names = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    names |= {"object": "a table", "array": "a list", "Object": "a table"}
    return re.sub(r"\b(str|int|float|bool|object|array|Object)\b", lambda m: names[m[0]], words)
