"""`chatrepl usage`: what the chats of this user cost, by day, model, session or persona."""

import os
import re
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatrepl.cli_options import HELP_NAMES, Json, new_app
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths, expanded
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from chatrepl.chat.bill import Bill, By

app = new_app()

_FORMS = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html"}


@app.command(context_settings=HELP_NAMES)
def usage(  # noqa: PLR0913, PLR0917 - the options of the command
    by: Annotated[
        Literal["day", "model", "session", "persona"],
        typer.Option("--by", metavar="WHAT", help="day, model, session or persona."),
    ] = "day",
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="30d, 12w, today, month (since its first day), 2026-11-01, or all.",
        ),
    ] = "30d",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="The last day, by default today: 2026-10-31."),
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="Print a page with charts.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to FILE: .json, .csv or .html."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    accessible: Annotated[
        bool, typer.Option("--accessible", help="For a screen reader: words, no charts.")
    ] = False,
) -> int:
    """Show what was used and what it cost: requests, tokens, US dollars.

    Prices are those of the day of each request. What has no known price is counted and said,
    and is in no sum. Days are those of your time zone.
    """
    form = _form({"json": as_json, "csv": as_csv, "html": as_html}, out)
    screen = Screen(accessible=accessible)
    bill = _bill(by, since, until, screen)
    if form:
        _write(_text(bill, form), out, force=force)
        if out is not None:
            screen.notice(f"The usage is in {out}")
    else:
        _show(bill, screen, spoken=accessible)
    return 0


def _bill(by: "By", since: str, until: str | None, screen: Screen) -> "Bill":
    today = datetime.now(UTC).astimezone().date()
    end = last_day(until, today)
    begin = first_day(since, end or today)

    from chatrepl.store.database import Database  # noqa: PLC0415 - --help needs none of it
    from chatrepl.store.ledger import Ledger  # noqa: PLC0415
    from chatrepl.store.sessions import Sessions  # noqa: PLC0415

    with closing(Database(Paths.from_environment().sessions, screen.notice)) as database:
        Sessions(database).end_abandoned()  # what killed programs left is on the bill too
        return Ledger(database).bill(by, begin, today, end)


def _show(bill: "Bill", screen: Screen, *, spoken: bool) -> None:
    if not bill.rows:
        when = f"since {bill.since}" if bill.since else "yet"
        when = f"from {bill.since or 'the beginning'} to {bill.until}" if bill.until else when
        screen.notice(f"Nothing was asked {when}.")
        return
    from chatrepl.chat.bill import remarks  # noqa: PLC0415 - --help needs none of it
    from chatrepl.terminal.bill import show  # noqa: PLC0415

    folder = Paths.from_environment().config
    config = expanded(os.environ.get("CHATREPL_CONFIG") or folder / "config.toml")
    show(bill, screen, spoken=spoken)
    sys.stdout.flush()  # what there is to remark comes after it
    for line in remarks(bill.total, bill.unpriced, config):
        screen.notice(line)


def first_day(since: str, today: date) -> date | None:
    """Read from which day on; None is ever since. Raises SettingsError.

    >>> first_day("30d", date(2026, 11, 23)), first_day("month", date(2026, 11, 23))
    (datetime.date(2026, 10, 25), datetime.date(2026, 11, 1))
    """
    word = since.strip().lower()
    named = {"all": None, "today": today, "month": today.replace(day=1)}
    if word in named:
        return named[word]
    try:
        if found := re.fullmatch(r"([1-9][0-9]{0,8})([dw])", word):
            return today - timedelta(days=int(found[1]) * (7 if found[2] == "w" else 1) - 1)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
            return date.fromisoformat(word)
    except (ValueError, OverflowError):
        pass
    raise SettingsError(
        f"--since '{since}' is no time.",
        "It takes a number of days or weeks (30d, 12w), today, month, a date (2026-11-01), or all.",
    )


def last_day(until: str | None, today: date) -> date | None:
    """Read up to which day, never beyond today; None is no end. Raises SettingsError.

    >>> last_day("2026-10-31", date(2026, 11, 23))
    datetime.date(2026, 10, 31)
    """
    if until is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", until.strip()):
            return min(date.fromisoformat(until.strip()), today)
    except ValueError:
        pass
    raise SettingsError(f"--until '{until}' is no date.", "Example: --until 2026-10-31")


def _form(flags: dict[str, bool], out: Path | None) -> str:
    """Tell the form that is wanted: by a flag, else by the file's name; none for people."""
    wanted = [form for form, flag in flags.items() if flag]
    if len(wanted) > 1:
        raise SettingsError("--json, --csv and --html are three forms.", "Name one of them.")
    if wanted or out is None:
        return wanted[0] if wanted else ""
    form = _FORMS.get(out.suffix.lower())
    if form is None:
        text = f"The form of {out} can't be told from its name: nothing was written."
        raise SettingsError(text, "Known: .json, .csv and .html; or say --json, --csv or --html.")
    return form


def _text(bill: "Bill", form: str) -> str:
    if form == "html":
        from chatrepl.store.bill_page import bill_page  # noqa: PLC0415 - rarely wanted

        return bill_page(bill)
    from chatrepl.terminal.bill import as_csv, as_dict  # noqa: PLC0415

    if form == "csv":
        return as_csv(bill)
    import msgspec  # noqa: PLC0415 - much faster than json, if there are many sessions

    return msgspec.json.format(msgspec.json.encode(as_dict(bill)), indent=2).decode() + "\n"


def _write(text: str, out: Path | None, *, force: bool) -> None:
    if out is None:
        sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
        return
    try:
        with expanded(out).open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        text = f"{out} is there already: nothing was written."
        raise SettingsError(text, "Name another file, or overwrite it with --force.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{out} can't be written: {why}") from error
