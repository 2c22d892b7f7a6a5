"""What a session has spent: its completions, read back from the ledger."""

import sqlite3
from typing import Any

from chatrepl.chat.costs import Completion, of_units
from chatrepl.chat.usage import Usage


def read_completions(connection: sqlite3.Connection, session: str) -> tuple[Completion, ...]:
    """Read what a session has used on all of its branches, oldest first."""
    rows = connection.execute(
        "SELECT purpose, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost, "
        "priced_by, estimated, model, provider FROM completion "
        "WHERE exchange IN (SELECT id FROM exchange WHERE session = ?) ORDER BY id",
        (session,),
    )
    return tuple(_completion(*row) for row in rows)


def _completion(purpose: Any, *columns: Any) -> Completion:
    *counts, units, priced_by, estimated, model, provider = columns
    usage, cost = Usage(*counts), of_units(units)
    return Completion(purpose, usage, cost, priced_by, bool(estimated), model, provider)
