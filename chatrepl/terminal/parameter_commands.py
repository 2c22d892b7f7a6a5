"""/set: the parameters of the requests."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl

HELP = {
    "max_tokens": "the longest reply, in tokens",
    "temperature": "how freely words are picked, 0 to 2",
    "top_p": "the share of likeliest words to pick from, 0 to 1",
    "seed": "a number: the same request, mostly the same reply",
    "stop": "where a reply ends: a text, or a JSON list of texts",
    "reasoning_effort": "how long a reasoning model thinks",
}
_JOINED = re.compile(r"([A-Za-z_][\w-]*)=(.*)", re.DOTALL)  # as --set has it
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""What the API's reference knows of; not every model takes each, and servers may know others."""


def set_(repl: "Repl", argument: str) -> None:
    """List the parameters, show one, or set one."""
    joined = _JOINED.fullmatch(argument)
    words = list(joined.groups()) if joined else argument.split(None, 1)
    if len(words) == 2:
        repl.host.set_parameter(repl.chat, *words)
    rows = list(repl.host.parameters())
    if not words:
        from chatrepl.terminal.tables import show_pairs  # noqa: PLC0415 - imports rich

        show_pairs(((name, _said(value, origin)) for name, value, origin in rows), repl.screen)
        repl.screen.notice('any other NAME goes into extra_body; /set NAME "" takes a value back')
        return
    found = {name: _said(value, origin) for name, value, origin in rows}
    name = repl.host.parameter_of(words[0])
    repl.screen.notice(f"{name}: {found.get(name, _said('', ''))}")


def _said(value: str, origin: str) -> str:
    return clean(f"{value}  ({origin})") if value else "not set"


def values(repl: "Repl", typed: str) -> Iterable[tuple[str, str]]:
    """List what /set can be followed by, for completion."""
    first, space, _ = typed.lower().partition(" ")
    for name, value, origin in repl.host.parameters():
        if not space:
            yield name, HELP.get(name) or "in extra_body"
        elif name.lower() == first:
            efforts = EFFORTS if name == "reasoning_effort" else ()
            yield from ((f"{name} {effort}", "") for effort in efforts)
            if value:
                yield f"{name} default", f"instead of {value}  ({origin})"
