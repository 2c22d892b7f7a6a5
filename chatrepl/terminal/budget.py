"""Asking whether to send what might pass a cap of the budget."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from chatrepl.chat.events import Event
from chatrepl.errors import BudgetError

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl

_CHOICES = {"y": "send it all the same, this once", "n": "do not send it"}


def within_budget(
    repl: "Repl", begin: Callable[[], Iterator[Event]], show: Callable[[Iterator[Event]], bool]
) -> bool:
    """Show a turn as `show` does; if the budget has no room for it, the user is asked first."""
    try:
        return show(begin())
    except BudgetError as over:
        repl.screen.notice(over.text)
        repl.screen.notice(f"{over.hint} {over.commands}".strip())
    repl.keep_typed()
    if repl.prompt.choose(_CHOICES) != "y":
        return False
    repl.prefill = ""
    repl.chat.allowance.anyway = True
    try:
        return show(begin())
    finally:
        repl.chat.allowance.anyway = False  # of this turn only, if it has not got so far
