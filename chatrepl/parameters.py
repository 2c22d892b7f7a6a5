"""The parameters of a request as people type them: --set KEY=VALUE and /set NAME VALUE."""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chatrepl.config import PARAMETERS, Choices, ConfigFile, check_choices
from chatrepl.errors import SettingsError
from chatrepl.settings import Flags, Settings

_KEY = re.compile(r"[A-Za-z_][\w-]*")
_TEXTS = frozenset({"stop", "reasoning_effort"})  # what looks like a number is a text there
# Flags that typer takes as any text, or that could be NaN: it is neither below a bound nor above.
_TYPED = ("stop", "reasoning_effort", "temperature", "top_p")
_NEAR = 0.88
"""How alike a slip of the pen is. top_k is less like top_p, and min_tokens like max_tokens."""

FLAG_HINT = "chatrepl --help lists the options."
SET_HINT = "/set lists them."
_SETTINGS = {name for shape in (ConfigFile, Flags) for name in shape.__struct_fields__}
_OTHERS = sorted(_SETTINGS - {*PARAMETERS, "personas", "providers", "models", "styles"})
# What sets in the chat what is no parameter.
_COMMANDS = {
    "model": "/model NAME",
    "provider": "/model PROVIDER/MODEL",
    "system": "/system TEXT",
    "persona": "/persona NAME",
    "overflow": "/overflow HOW",
    "theme": "/theme NAME",
    "editing_mode": "/vi",
    "extra_body": "/set NAME VALUE, key by key,",
}
_FLAGS = {"extra_body": "--set KEY=VALUE, key by key,", "save": "--no-save"}
_IN_FILE = frozenset({"editing_mode", "submit", "theme"})  # which have no flag


def flags_of(given: Mapping[str, Any], pairs: Sequence[str] = ()) -> Flags:
    """Make flags of options, and of the KEY=VALUE of --set. Raises SettingsError.

    >>> flags_of({}, ["top_p=0.5", "min_p=0.1"]).extra_body
    {'min_p': 0.1}
    """
    for name in _TYPED:
        if name in given:
            check_choices({name: given[name]}, "The command line", FLAG_HINT)
    body: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for pair in pairs:
        typed, equals, text = pair.partition("=")
        if not equals or not _KEY.fullmatch(typed):
            raise SettingsError(f"--set: '{pair}' is no KEY=VALUE.", "Example: --set top_p=0.9")
        name = parameter_of(typed)
        if name in given:
            flag = f"--{name.replace('_', '-')}"
            raise SettingsError(f"{flag} and --set {typed} are the same.", "Leave one of them out.")
        (values if name in PARAMETERS else body)[name] = read_value(name, text)
    if body:
        values["extra_body"] = body
    checked = msgspec.structs.asdict(check_choices(values, "--set", FLAG_HINT))
    return Flags(**{**given, **{name: checked[name] for name in values}})


def parameter_of(typed: str, *, in_chat: bool = False, known: Collection[str] = ()) -> str:
    """Give the parameter that somebody means, or the name as it is: it then goes into extra_body.

    Raises SettingsError for what is a setting of another kind, and for a slip of the pen, unless
    the name is `known` to be meant.

    >>> parameter_of("Top-P"), parameter_of("min_p")
    ('top_p', 'min_p')
    """
    plain = typed.lower().replace("-", "_")
    if plain in PARAMETERS:
        return plain
    near = difflib.get_close_matches(plain, [*PARAMETERS, *_OTHERS], 1, _NEAR)
    if not near or typed in known:
        return typed
    source, meant = "/set" if in_chat else "--set", near[0]
    text = f"{source}: there is no parameter '{typed}'. Did you mean '{meant}'?"
    way = SET_HINT if in_chat else FLAG_HINT
    if meant not in PARAMETERS:
        kind = "a setting, and no parameter of a request."
        text = f"{source}: '{typed}' is {kind}" if plain == meant else f"{text} That is {kind}"
        way = f"{_way_to_set(meant, in_chat=in_chat)} sets it."
    if plain != "model":  # which is chatrepl's own to send
        way = f"{way[:-1]}; extra_body in the config file sends any name."
    raise SettingsError(text, way)


def _way_to_set(setting: str, *, in_chat: bool) -> str:
    if in_chat and setting in _COMMANDS:
        return _COMMANDS[setting]
    if setting in _IN_FILE:
        return f"{setting} in the config file"
    flag = _FLAGS.get(setting) or f"--{setting.replace('_', '-')}"
    return f"at the start, {flag}" if in_chat else flag


def read_value(name: str, text: str, source: str = "--set") -> Any:
    """Read a value: JSON where it is JSON, else text.

    Raises SettingsError for what begins as a table or a list does and is none.

    >>> read_value("top_p", "0.5"), read_value("stop", "5"), read_value("stop", '["a", "b"]')
    (0.5, '5', ['a', 'b'])
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith(("{", "[")):
            why = f"{source}: {name}: it begins as JSON does, and is none: {error}"
            raise SettingsError(
                why, f"{{ and [ begin a text only in quotes: '\"{text[:1]}…\"'"
            ) from error
        return text
    return text if name in _TEXTS and not isinstance(value, str | list) else value


def changed(typed: Choices, name: str, text: str, known: Collection[str] = ()) -> Choices:
    """Take note of `/set NAME VALUE`; "default", or "" in quotes, takes it back.

    `known` are names that extra_body has already. Raises SettingsError.
    """
    if not _KEY.fullmatch(name):
        raise SettingsError(f"'{name}' is no parameter.", "/set NAME VALUE; /set lists them.")
    name = parameter_of(name, in_chat=True, known=known)
    is_back = text in {"default", '""', "''"}
    value = None if is_back else read_value(name, text, "/set")
    if name in PARAMETERS:
        checked: Any = getattr(check_choices({name: value}, "/set", SET_HINT), name)
        return msgspec.structs.replace(typed, **{name: checked})
    body = {key: each for key, each in (typed.extra_body or {}).items() if key != name}
    if not is_back:
        body |= {name: value}
    choices = check_choices({"extra_body": body}, "/set", SET_HINT)
    return msgspec.structs.replace(typed, extra_body=choices.extra_body or None)


def listed(settings: Settings) -> Iterable[tuple[str, str, str]]:
    """List the parameters: name, value as JSON or "" where none is set, and where it is from."""
    for name in PARAMETERS:
        value = getattr(settings, name)
        shown = "" if value is None else json.dumps(value, ensure_ascii=False)
        yield name, shown, settings.origins.get(name, "")
    for name, value in settings.extra_body.items():
        origin = settings.origins.get(f"extra_body.{name}", "")
        yield name, json.dumps(value, ensure_ascii=False), origin
