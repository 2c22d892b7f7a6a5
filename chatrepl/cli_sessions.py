"""`chatrepl sessions`: the saved conversations, listed, searched, shown, changed and exported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatrepl.cli_options import HELP_NAMES, Json, new_app
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths, expanded
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen, print_json

if TYPE_CHECKING:
    from chatrepl.chat.sessions import Session
    from chatrepl.store.sessions import Sessions

app = new_app()

_Which = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, or words of it.")]


@contextmanager
def _opened() -> Iterator["Sessions"]:
    from chatrepl.store.database import Database  # noqa: PLC0415 - --help needs none of it
    from chatrepl.store.sessions import Sessions  # noqa: PLC0415

    database = Database(Paths.from_environment().sessions, Screen().notice)
    try:
        yield Sessions(database)
    finally:
        database.close()


@app.callback(invoke_without_command=True)
def sessions(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--limit",
            min=0,
            metavar="N",
            help="No more than N; 0: all. On a terminal, unless said, 20.",
        ),
    ] = None,
) -> int:
    """List the saved conversations, newest first."""
    if context.invoked_subcommand is not None:
        if as_json:
            command = f"chatrepl sessions {context.invoked_subcommand} … --json"
            raise SettingsError("--json stands before the subcommand.", f"Behind it: {command}")
        return 0
    from chatrepl.terminal.sessions import SOME, as_dict, show_list  # noqa: PLC0415

    screen = Screen()
    if limit is None:
        limit = SOME if screen.on_terminal and not as_json else 0
    with _opened() as store:
        found = store.all()
    left, found = len(found), found[: limit or None]
    left -= len(found)
    if as_json:
        print_json([as_dict(each) for each in found])
    elif found:
        show_list(found, screen)
        if left and screen.on_terminal:
            screen.notice(f"and {left:,} more; -n 0 lists them all")
    else:
        screen.notice("There is no session yet: every conversation becomes one.")
    return 0


@app.command(context_settings=HELP_NAMES)
def search(
    text: Annotated[list[str], typer.Argument(metavar="TEXT…", help="Words that it must hold.")],
    as_json: Json = False,
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, metavar="N", help="No more messages than N.")
    ] = 50,
) -> int:
    """Find messages that hold all of the words, in any case."""
    from chatrepl.terminal.sessions import hits_as_dicts, show_hits  # noqa: PLC0415

    words, screen = " ".join(text), Screen()
    with _opened() as store:
        hits = store.search(words, limit)
    if as_json:
        print_json(hits_as_dicts(hits))
    elif hits:
        show_hits(hits, words, screen)
    else:
        screen.notice(f"No message holds '{words}'.")
    return 0


@app.command(context_settings=HELP_NAMES)
def show(session: _Which, as_json: Json = False) -> int:
    """Show what was said."""
    from chatrepl.terminal.sessions import show_talk, talk_as_dict  # noqa: PLC0415

    with _opened() as store:
        saved = store.load(_the_one(store, session).id)
    if as_json:
        print_json(talk_as_dict(saved))
    else:
        show_talk(saved, Screen())
    return 0


@app.command(context_settings=HELP_NAMES)
def rename(
    session: _Which,
    title: Annotated[list[str], typer.Argument(metavar="TITLE…", help="The new title.")],
    as_json: Json = False,
) -> int:
    """Give a session another title."""
    from chatrepl.terminal.titles import title_from  # noqa: PLC0415 - --help needs none of it

    words = title_from(" ".join(title))
    if not words:
        raise SettingsError("The title is empty: nothing was changed.")
    with _opened() as store:
        found = _the_one(store, session)
        store.rename(found.id, words)
        _tell(store.load(found.id).session, f"{found.id} is now “{words}”.", as_json=as_json)
    return 0


@app.command("rm", context_settings=HELP_NAMES)
def remove(
    session: _Which,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Delete a session with all its branches, after asking."""
    with _opened() as store:
        found = _the_one(store, session)
        if not yes and not _confirmed(found):
            Screen().notice("Nothing was deleted.")
            return 0
        store.remove(found.id)
        _tell(found, f"“{found.title}” is deleted.", as_json=as_json)
    return 0


@app.command(context_settings=HELP_NAMES)
def export(
    session: _Which,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.")
    ] = None,
    form: Annotated[
        Literal["md", "json", "html"] | None,
        typer.Option("-f", "--format", help="md, json or html; else by FILE, or md."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Write a session as Markdown, as JSON for --load, or as one HTML page."""
    from chatrepl.store import export as exporting  # noqa: PLC0415 - imports a parser and Pygments

    with _opened() as store:
        saved = store.load(_the_one(store, session).id)
    chosen = "json" if as_json else form
    about = saved.session
    if out is None:
        text = exporting.export(
            saved.conversation,
            chosen or "md",
            title=about.title,
            created=about.created,
            model=about.model,
        )
        sys.stdout.write(text)
        return 0
    exporting.write(
        saved.conversation,
        expanded(out),
        form=chosen,
        title=about.title,
        created=about.created,
        model=about.model,
        force=force,
    )
    Screen().notice(f"“{about.title}” is in {out}")
    return 0


def _the_one(store: "Sessions", name: str) -> "Session":
    """Find the session that is meant. Raises SettingsError if it could be several."""
    found = store.find(name)
    if len(found) == 1:
        return found[0]
    some = ", ".join(f"{each.id} ({each.title})" for each in found[:4])
    text = f"{len(found):,} sessions match '{name}': {some}{' …' if len(found) > 4 else ''}"
    raise SettingsError(text, "Name one by its id.")


def _confirmed(session: "Session") -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("Deleting asks first, and nobody is there to answer.", "--yes does it.")
    about = f"“{clean(session.title)}” ({session.id}, {session.messages:,} messages)"
    return typer.confirm(f"Delete {' '.join(about.split())} for good?", err=True)


def _tell(session: "Session", words: str, *, as_json: bool) -> None:
    from chatrepl.terminal.sessions import as_dict  # noqa: PLC0415

    if as_json:
        print_json(as_dict(session))
    else:
        Screen().notice(words)
