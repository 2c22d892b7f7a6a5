"""Schema: the form that a reply in JSON is to have, and whether it has it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chatrepl.chat.conversation import Conversation
from chatrepl.errors import SettingsError

_FIELDS = re.compile(r"\s*[\w-]+\s*:\s*\w+[\w\s,:\[\]-]*")
_FIELD = re.compile(r"\s*([\w-]+)\s*:\s*((?:list\s*\[\s*)*)(\w+)((?:\s*\])*)\s*")
_TYPES = {
    **dict.fromkeys(("str", "string", "text"), "string"),
    **dict.fromkeys(("int", "integer"), "integer"),
    **dict.fromkeys(("float", "number"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
}
_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*")  # as CommonMark has the first line of a code block
_DATA = frozenset({"enum", "const", "default", "examples"})  # no schemas are in there
# Tables whose keys are names of the user's own, and whose values are schemas.
_NAMES = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_FORM = (
    "Fields are name:type with commas between, as in name:str,tags:list[str]; "
    "types: str, int, float, bool, list[…] of these."
)
_SHOWN = 200  # characters of a reason: jsonschema quotes what is wrong, at any length


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON Schema. `source` is what the user calls it: a file, or the fields themselves."""

    source: str
    rules: Mapping[str, Any]

    @property
    def response_format(self) -> dict[str, Any]:
        """Give what the API is told.

        It is strict as far as the API will have it: every object then names all its properties
        as required and takes no other. What the schema does not say of that is added; if it says
        otherwise, it goes as a wish.
        """
        rules = _completed(self.rules)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(self.rules.get("title") or "reply"))[:64]
        told = {"name": name, "strict": _is_strict(rules), "schema": rules}
        return {"type": "json_schema", "json_schema": told}

    def fault(self, reply: str) -> str:
        """Say what is wrong with a reply, or nothing if it holds.

        Of a reply that is one fenced code block it is the code that counts: so do most models
        answer that are only told the schema in words.
        """
        try:
            value = json.loads(_unfenced(reply))
        except ValueError as error:
            return f"it is no JSON: {error}"
        except RecursionError:
            return "it is nested too deeply"
        from jsonschema.exceptions import best_match  # noqa: PLC0415 - 0.1 s

        try:
            wrong = best_match(_validator(self.rules).iter_errors(value))
        except Exception as error:  # noqa: BLE001 - a $ref to nowhere, a pattern that is none
            return f"it can't be checked by {self.source}: {_short(str(error))}"
        if wrong is None:
            return ""
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in wrong.path)
        return f"{where.lstrip('.')}: {_short(wrong.message)}" if where else _short(wrong.message)


def fault_of_last(schema: Schema | None, talk: Conversation) -> str:
    """Say what is wrong with the last reply by a schema; nothing where there is none of either."""
    reply = talk.exchanges[-1].reply if talk.exchanges else None
    return schema.fault(reply.content) if schema and reply else ""


def looks_like_fields(text: str) -> bool:
    """Tell fields from the name of a file.

    >>> looks_like_fields("name:str, tags:list[str]"), looks_like_fields("/tmp/schema.json")
    (True, False)
    """
    return bool(_FIELDS.fullmatch(text))


def read_fields(text: str, setting: str = "--schema", file: str = "") -> Schema:
    """Read `name:type,…`. Raises SettingsError.

    `setting` is what errors call it, `file` the path that is not there, if it was meant as one.

    >>> read_fields("name:str,ages:list[int]").rules["properties"]["ages"]
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    if not text.strip():
        raise SettingsError(f"{setting}: there is nothing in it.", _FORM)
    if not looks_like_fields(text):
        fault = f"'{_short(text)}' is no list of fields, and there is no file '{file or text}'"
        raise SettingsError(f"{setting}: {fault}.", _FORM)
    properties: dict[str, Any] = {}
    for field in text.split(","):
        found = _FIELD.fullmatch(field)
        depth = found[2].count("[") if found else 0
        if found is None or found[3] not in _TYPES or depth != found[4].count("]"):
            shown = field.strip()
            fault = f"'{shown}' is no field" if shown else "there is a comma without a field"
            raise SettingsError(f"{setting}: {fault}.", _FORM)
        if found[1] in properties:
            raise SettingsError(f"{setting}: there are two fields '{found[1]}'.")
        kind: dict[str, Any] = {"type": _TYPES[found[3]]}
        for _ in range(depth):
            kind = {"type": "array", "items": kind}
        properties[found[1]] = kind
    return Schema(text, _completed({"type": "object", "properties": properties}))


def read_rules(text: str, source: str) -> Schema:
    """Read a JSON Schema, as a file has it; `source` is what errors call it.

    Raises SettingsError.
    """
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - 0.1 s

    hint = 'Example: {"type": "object", "properties": {"name": {"type": "string"}}}'
    try:
        rules = json.loads(text)
        if not isinstance(rules, dict):
            raise SettingsError(f"The schema {source} is no JSON object.", hint)
        _validator(rules).check_schema(rules)
    except SchemaError as error:
        text = f"The schema {source} is no JSON Schema: {_short(error.message)}"
        raise SettingsError(text, hint) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The schema {source} is no JSON: {error}", hint) from error
    for reference in _references(rules):
        if not reference.startswith("#"):
            text = f"The schema {source} refers to '{reference}', which is not read."
            raise SettingsError(text, "Put what it refers to under $defs.")
    return Schema(source, rules)


def _unfenced(reply: str) -> str:
    """Give what stands in a reply's code block, if the reply is that one block; else the reply."""
    lines = reply.strip().split("\n")
    opening, end = _FENCE.fullmatch(lines[0].rstrip()), lines[-1].strip()
    if opening is None or len(lines) == 1 or set(end) != {opening[1][0]}:
        return reply
    return "\n".join(lines[1:-1]) if len(end) >= len(opening[1]) else reply


def _validator(rules: Mapping[str, Any]) -> Any:
    """Give what checks by a schema, in the draft that it names; else the newest."""
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415

    return validator_for(rules, default=Draft202012Validator)(rules)


def _schemas(rules: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a schema and every one in it: nothing that is data, and no table of names."""
    waiting: list[Any] = [rules]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            yield part
            for key, value in part.items():
                if key in _NAMES and isinstance(value, dict):
                    waiting += value.values()
                elif key not in _DATA:
                    waiting.append(value)


def _completed(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Add to each object what strictness needs, where the schema does not speak of it."""
    whole: dict[str, Any] = json.loads(json.dumps(rules))
    for part in _schemas(whole):
        if _is_object(part) and isinstance(properties := part.get("properties"), dict):
            part.setdefault("additionalProperties", False)
            part.setdefault("required", list(properties))
    return whole


def _is_strict(rules: Mapping[str, Any]) -> bool:
    return all(
        part.get("additionalProperties") is False
        and set(part.get("properties", ())) == set(part.get("required", ()))
        for part in _schemas(rules)
        if _is_object(part)
    )


def _is_object(rules: Mapping[str, Any]) -> bool:
    kind = rules.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _references(rules: Mapping[str, Any]) -> list[str]:
    found = (part.get("$ref") for part in _schemas(rules))
    return [reference for reference in found if isinstance(reference, str)]


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
