"""Showing requests as they leave, and how they were answered, with the secrets hidden."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import httpx2

from chatrepl.providers.endpoint import Endpoint, is_secret_name

_LONGEST = 2_000
"""Characters of one text in a request's body; the rest is counted, not shown."""

_IN_QUERY = re.compile(r"(?<=[?&])([^?&=#]*)=[^&#]*")


def hooks_for(endpoint: Endpoint) -> dict[str, list[Callable[..., None]]]:
    """Give the HTTP client's hooks: for the endpoint's log, and for who is told the headers."""
    log, heard = endpoint.log, endpoint.heard
    hooks: dict[str, list[Callable[..., None]]] = {"request": [], "response": []}
    if heard is not None:

        def hear(response: httpx2.Response) -> None:
            heard(response.headers)

        hooks["response"].append(hear)
    if log is None:
        return hooks

    def leaving(request: httpx2.Request) -> None:
        log(endpoint.hide(_request(request, endpoint.hide)))

    def come(response: httpx2.Response) -> None:
        log(endpoint.hide(f"← {response.status_code} {response.reason_phrase}".rstrip()))

    hooks["request"].append(leaving)
    hooks["response"].append(come)
    return hooks


def _request(request: httpx2.Request, hide: Callable[[str], str]) -> str:
    lines = [f"→ {request.method} {_IN_QUERY.sub(_less_secret, str(request.url))}"]
    for name, value in request.headers.items():
        lines.append(f"  {name}: {'[hidden]' if is_secret_name(name) else value}")
    body = request.read()
    if body:
        lines.append(_body(body, hide))
    return "\n".join(lines)


def _less_secret(pair: re.Match[str]) -> str:
    """Hide the value of a query's part whose name is that of a secret."""
    return f"{pair[1]}=[hidden]" if is_secret_name(unquote_plus(pair[1])) else pair[0]


def _body(data: bytes, hide: Callable[[str], str]) -> str:
    try:
        body = json.loads(data)
    except ValueError:
        return _shortened(data.decode(errors="replace"), hide)
    return json.dumps(_readable(body, hide), ensure_ascii=False, indent=2)


def _readable(value: Any, hide: Callable[[str], str]) -> Any:
    """Shorten the texts of a body, and hide the secrets before JSON escapes anything in them."""
    if isinstance(value, str):
        return _shortened(value, hide)
    if isinstance(value, list):
        return [_readable(part, hide) for part in value]
    if isinstance(value, dict):
        return {hide(name): _readable(part, hide) for name, part in value.items()}
    return value


def _shortened(text: str, hide: Callable[[str], str]) -> str:
    shown = hide(text)
    if len(shown) <= _LONGEST:
        return shown
    size = len(text.encode(errors="replace"))
    return f"{shown[:_LONGEST]}… ({size:,} bytes in all)"
