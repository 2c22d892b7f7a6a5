"""How sessions are shown: as a list, as hits of a search, as what was said, and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import in_full, total
from chatrepl.chat.sessions import Hit, Saved, Session
from chatrepl.terminal.attachments import outlined
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

_AROUND = 60  # characters before and after what was found
_ROOMY, _NARROW = 60, 40  # columns

SOME = 20
"""Sessions in a list that nobody asked to be longer."""


def show_list(sessions: Sequence[Session], screen: Screen) -> None:
    """List sessions: a table on a terminal, else a line each with tabs, for other programs."""
    now = datetime.now(UTC)
    if not screen.on_terminal:
        for each in sessions:
            fields = (each.id, _iso(each.updated), str(each.messages), each.model, each.title)
            print("\t".join(_one_line(clean(field)) for field in fields))
        return
    if screen.accessible or screen.out.width < _NARROW:
        for each in sessions:
            _show_below(each, now, screen)
        return
    roomy = screen.out.width >= _ROOMY
    table = Table.grid(padding=(0, 2))
    for column in ("id", "ago", "messages", "model", "title"):
        if roomy or column in {"id", "ago", "title"}:
            right = column == "messages"
            ratio = 1 if column == "title" else None
            style = "name" if column == "id" else "faint" if column != "title" else ""
            table.add_column(
                justify="right" if right else "left",
                no_wrap=True,
                overflow="ellipsis",
                ratio=ratio,
                style=style,
                max_width=20 if column == "model" else None,
            )
    table.expand = True
    for each in sessions:
        cells = [each.id, ago(each.updated, now)]
        cells += [f"{each.messages:,}", each.model] if roomy else []
        table.add_row(*(Text(_one_line(clean(cell))) for cell in (*cells, each.title)))
    screen.out.print(table)


def _show_below(session: Session, now: datetime, screen: Screen) -> None:
    """Show a session in lines of its own: its id and age, its title."""
    title, about = _one_line(clean(session.title)), ago(session.updated, now)
    if screen.accessible:
        messages = "1 message" if session.messages == 1 else f"{session.messages:,} messages"
        words = ", ".join(part for part in (session.id, about, messages, session.model) if part)
        screen.out.print(Text(f"{clean(words)}: {title}"))
    else:
        screen.out.print(Text.assemble((session.id, "name"), (f" {about}", "faint"), f"\n{title}"))


def show_hits(hits: Iterable[Hit], text: str, screen: Screen) -> None:
    """Show what a search has found: the session, then the words around each place."""
    words, whole = text.split(), not screen.on_terminal
    last = ""
    for hit in hits:
        if hit.session.id != last:
            last = hit.session.id
            title = _one_line(clean(hit.session.title))
            gap = ": " if screen.accessible else "  "
            screen.out.print(Text.assemble((last, "name"), f"{gap}{title}"), soft_wrap=whole)
        line = Text(f"{'' if screen.accessible else '  '}{hit.role}: ", style="faint")
        found = Text(excerpt(clean(hit.text), words), style="not dim")
        found.highlight_words(words, "found", case_sensitive=False)
        screen.out.print(line + found, soft_wrap=whole)


def excerpt(text: str, words: Sequence[str]) -> str:
    """Cut out of a text the line around the first place where a word is.

    >>> excerpt("a" * 100 + " needle", ["NEEDLE"]).lstrip("a…")
    ' needle'
    """
    line = _one_line(text)
    places = [place for word in words if (place := line.lower().find(word.lower())) >= 0]
    middle = min(places, default=0)
    start, end = max(0, middle - _AROUND), middle + 2 * _AROUND
    before, after = "…" if start else "", "…" if end < len(line) else ""
    return before + line[start:end] + after


def show_talk(saved: Saved, screen: Screen) -> None:
    """Show what was said in a session, as the text that it is."""
    session = saved.session
    screen.notice(described(session, datetime.now(UTC)))
    for role, text, place in _said(saved):
        screen.out.print(Text.assemble((f"{role}{place}", "role")))
        screen.out.print(Text(clean(text)), soft_wrap=True)
        screen.out.print()
    if saved.unsent:
        screen.out.print(Text("user (not answered)", style="role"))
        screen.out.print(Text(clean(saved.unsent)), soft_wrap=True)


def _said(saved: Saved) -> Iterator[tuple[str, str, str]]:
    talk = saved.conversation
    for message in talk.preamble:
        yield message.role, outlined(message), ""
    for exchange in talk.exchanges:
        for message in exchange.messages:
            marks = ""
            if message is exchange.reply:
                marks = f" {placed(*saved.tree.place(exchange.id))}".rstrip()
                marks += "" if exchange.is_whole else " (cut off)"
            yield message.role, outlined(message), marks


def placed(which: int, of: int) -> str:
    """Say which of several alternatives something is, or nothing if it is the only one.

    >>> placed(2, 3), placed(1, 1)
    ('‹2/3›', '')
    """
    return f"‹{which}/{of}›" if of > 1 else ""


def described(session: Session, now: datetime) -> str:
    """Describe a session in a line."""
    messages = "1 message" if session.messages == 1 else f"{session.messages:,} messages"
    parts = [session.id, messages, session.model, ago(session.updated, now)]
    return f"“{_one_line(session.title)}” · {' · '.join(part for part in parts if part)}"


def ago(time: datetime, now: datetime) -> str:
    """Say roughly how long ago something was.

    >>> now = datetime(2026, 5, 2, 12, tzinfo=UTC)
    >>> ago(datetime(2026, 5, 2, 9, tzinfo=UTC), now), ago(datetime(2026, 3, 1, tzinfo=UTC), now)
    ('3 h ago', '2026-03-01')
    """
    seconds = max(0, int((now - time).total_seconds()))
    for size, unit, most in ((60, "min", 60), (3600, "h", 24), (86400, "d", 14)):
        if seconds < size:
            return "just now"
        if seconds < size * most:
            return f"{seconds // size} {unit} ago"
    return f"{time.astimezone():%Y-%m-%d}"


def as_dict(session: Session) -> dict[str, Any]:
    """Give a session as a JSON object."""
    return {
        "id": session.id,
        "title": session.title,
        "provider": session.provider,
        "model": session.model,
        "created": _iso(session.created),
        "updated": _iso(session.updated),
        "messages": session.messages,
    }


def talk_as_dict(saved: Saved) -> dict[str, Any]:
    """Give a whole session as a JSON object: its current branch."""
    messages = _messages(saved.conversation)
    if saved.unsent:
        messages.append({"role": "user", "content": saved.unsent})
    cost = in_full(total(saved.spent).known_cost)
    return as_dict(saved.session) | {"cost": cost, "messages": messages}


def _messages(talk: Conversation) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [message.as_openai() for message in talk.preamble]
    for exchange in talk.exchanges:
        for message in exchange.messages:
            plain: dict[str, Any] = message.as_openai()
            if message is exchange.reply:
                plain["finish_reason"] = exchange.finish_reason
                plain["usage"] = exchange.usage and exchange.usage.as_openai()
                plain["model"] = exchange.model or None
            messages.append(plain)
    return messages


def hits_as_dicts(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    """Give hits as JSON objects."""
    return [
        {"session": as_dict(hit.session), "role": hit.role, "content": hit.text} for hit in hits
    ]


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return " ".join(text.split())
