"""response_format with a schema, and what to ask for where a server does not take it.

Of json_schema the next lesser is json_object, then nothing. The schema is then told to the model
in words: OpenAI wants the word JSON in the messages, and the model has to know the fields.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

RESPONSE_FORMAT = "response_format"

_ORDER = "Answer with JSON and no other word. It must hold to this JSON Schema:\n"


def fit_format(body: dict[str, Any], refused: Collection[str]) -> None:
    """Ask in a request's body for the best form that was not refused."""
    form = body.get(RESPONSE_FORMAT)
    if not _is_schema(form) or "json_schema" not in refused:
        return
    assert form is not None
    if "json_object" in refused:
        del body[RESPONSE_FORMAT]
    else:
        body[RESPONSE_FORMAT] = {"type": "json_object"}
    schema = form["json_schema"]["schema"]
    order = _ORDER + json.dumps(schema, ensure_ascii=False)
    first, *rest = body["messages"]
    if first["role"] == "system":
        first = {**first, "content": f"{first['content']}\n\n{order}"}
        body["messages"] = [first, *rest]
    else:
        body["messages"] = [{"role": "system", "content": order}, first, *rest]


def refused_format(parameters: Mapping[str, Any], refused: Collection[str]) -> str:
    """Name the form that a server has just refused, or nothing if there is no lesser one."""
    if not _is_schema(parameters.get(RESPONSE_FORMAT)):
        return ""
    return next((form for form in ("json_schema", "json_object") if form not in refused), "")


def _is_schema(form: object) -> bool:
    return (
        isinstance(form, Mapping)
        and form.get("type") == "json_schema"
        and isinstance(form.get("json_schema"), Mapping)
        and "schema" in form["json_schema"]
    )
