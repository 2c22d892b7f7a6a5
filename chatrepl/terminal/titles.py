"""Titles of sessions, as they are typed."""

from chatrepl.chat.sessions import is_visible
from chatrepl.terminal.sanitize import clean


def title_from(words: str) -> str:
    """Give what was typed as a title: one line, or nothing if nothing of it can be seen.

    >>> title_from(" Cafés\\x1b[2J  in Lima "), title_from("\\u200b")
    ('Cafés in Lima', '')
    """
    line = " ".join(clean(words).split())
    return line if is_visible(line) else ""
