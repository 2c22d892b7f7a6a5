"""The parameters of a request as people type them: --set KEY=VALUE and /set NAME VALUE."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chatrepl.config import PARAMETERS, Choices, check_choices
from chatrepl.errors import SettingsError
from chatrepl.settings import Flags, Settings

_KEY = re.compile(r"[A-Za-z_][\w-]*")
_TEXTS = frozenset({"stop", "reasoning_effort"})  # what looks like a number is a text there
_TYPED = ("stop", "reasoning_effort")  # flags that typer takes as any text


def flags_of(given: Mapping[str, Any], pairs: Sequence[str] = ()) -> Flags:
    """Make flags of options, and of the KEY=VALUE of --set, which go before. Raises SettingsError.

    >>> flags_of({}, ["top_p=0.5", "min_p=0.1"]).extra_body
    {'min_p': 0.1}
    """
    for name in _TYPED:
        if name in given:
            check_choices({name: given[name]}, "The command line")
    body: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not _KEY.fullmatch(name):
            raise SettingsError(f"--set: '{pair}' is no KEY=VALUE.", "Example: --set top_p=0.9")
        (values if name in PARAMETERS else body)[name] = read_value(name, text)
    if body:
        values["extra_body"] = body
    checked = msgspec.structs.asdict(check_choices(values, "--set"))
    return Flags(**{**given, **{name: checked[name] for name in values}})


def read_value(name: str, text: str) -> Any:
    """Read a value: JSON where it is JSON, else text.

    >>> read_value("top_p", "0.5"), read_value("stop", "5"), read_value("stop", '["a", "b"]')
    (0.5, '5', ['a', 'b'])
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if name in _TEXTS and not isinstance(value, str | list) else value


def changed(typed: Choices, name: str, text: str) -> Choices:
    """Take note of `/set NAME VALUE`; "default", or "" in quotes, takes it back.

    Raises SettingsError.
    """
    if not _KEY.fullmatch(name):
        raise SettingsError(f"'{name}' is no parameter.", "/set NAME VALUE; /set lists them.")
    is_back = text in {"default", '""', "''"}
    value = None if is_back else read_value(name, text)
    if name in PARAMETERS:
        checked: Any = getattr(check_choices({name: value}, "/set"), name)
        return msgspec.structs.replace(typed, **{name: checked})
    body = {key: each for key, each in (typed.extra_body or {}).items() if key != name}
    if not is_back:
        body |= {name: value}
    return msgspec.structs.replace(
        typed, extra_body=check_choices({"extra_body": body}, "/set").extra_body or None
    )


def listed(settings: Settings) -> Iterable[tuple[str, str, str]]:
    """List the parameters: name, value as JSON or "" where none is set, and where it is from."""
    for name in PARAMETERS:
        value = getattr(settings, name)
        shown = "" if value is None else json.dumps(value, ensure_ascii=False)
        yield name, shown, settings.origins.get(name, "")
    for name, value in settings.extra_body.items():
        origin = settings.origins.get(f"extra_body.{name}", "")
        yield name, json.dumps(value, ensure_ascii=False), origin
