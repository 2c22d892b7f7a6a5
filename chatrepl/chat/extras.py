"""What a server puts into the prompt beside the messages: a schema, tools."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FORM = "response_format"
_NO_TEXT = frozenset({"stop", "logit_bias", "metadata", "modalities", "stream_options"})
"""Parameters that are lists or tables, and no part of the prompt by the API's reference."""


@dataclass(frozen=True, slots=True)
class Extra:
    """`text` is what goes into the prompt as JSON, as far as one can know; `name` is its name."""

    name: str = ""
    text: str = ""


NOTHING = Extra()


def extra_of(parameters: Mapping[str, Any]) -> Extra:
    """Give what of a request's parameters becomes a part of the prompt.

    The servers do not publish how they write it down. What is a number or a word is none, such as
    temperature; a table or a list most likely is.

    >>> extra_of({"seed": 1, "stop": ["END"], "tools": [{"type": "function"}]})
    Extra(name='tools', text='[{"type": "function"}]')
    """
    added = {
        name: value
        for name, value in parameters.items()
        if isinstance(value, Mapping | list) and name not in _NO_TEXT
    }
    if not added:
        return NOTHING
    form = added.get(_FORM)
    schema = form.get("json_schema") if isinstance(form, Mapping) else None
    if isinstance(schema, Mapping) and "schema" in schema:
        added[_FORM] = schema["schema"]
    names = ["the schema" if name == _FORM else name for name in added]
    texts = (json.dumps(value, ensure_ascii=False) for value in added.values())
    return Extra(" and ".join(names), "\n".join(texts))


def formless(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give parameters without the form of a whole reply."""
    return {name: value for name, value in parameters.items() if name != _FORM}
