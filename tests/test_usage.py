"""`chatrepl usage`: a bill on a terminal, for a screen reader, in a pipe, and in files."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatrepl.chat.bill import Bar, Bill, By, Row, bunched, remarks, together
from chatrepl.chat.costs import Completion, Total
from chatrepl.chat.usage import Usage
from chatrepl.cli_chat import read
from chatrepl.cli_usage import first_day, last_day
from chatrepl.errors import SettingsError
from chatrepl.store.migrations import APPLICATION_ID, MIGRATIONS
from chatrepl.terminal.bill import show
from chatrepl.terminal.charts import BLOCKS, columns
from chatrepl.terminal.screen import Screen
from tests.support.program import Terminal, run
from tests.support.store import spend

TODAY = date(2026, 11, 23)
EVIL = "m\x1b[31m[bold]\u202e\n=1"


def keep(home: Path) -> Path:
    """Fill a ledger: of today, of a week ago, and of the year before last."""
    file = home / "chatrepl" / "data" / "sessions.db"
    now = datetime.now(UTC)
    used = Usage(1200, 80, 1000, 30)
    known = Completion("reply", used, Decimal("1.234567890123"), model="gpt-5", provider="openai")
    unknown = Completion("reply", used, estimated=True, model=EVIL, provider="ollama")
    spend(file, known, ended=now, persona="tutor", times=2)
    spend(file, unknown, ended=now - timedelta(days=7))
    spend(file, known, ended=now - timedelta(days=700))
    return file


# When from.


@pytest.mark.parametrize(
    ("since", "first"),
    [
        *(("1d", "2026-11-23"), ("30d", "2026-10-25"), ("2w", "2026-11-10"), ("all", "None")),
        *((" Today ", "2026-11-23"), ("month", "2026-11-01"), ("2026-02-28", "2026-02-28")),
    ],
)
def test_since_when_is_read(since: str, first: str) -> None:
    assert str(first_day(since, TODAY)) == first


@pytest.mark.parametrize(
    "since", ["", "0d", "d", "-3d", "3x", "2026-02-30", "26-01-01", "9999999d", "٣d", "\x1b[2J"]
)
def test_what_is_no_time_is_told_with_what_is(since: str) -> None:
    with pytest.raises(SettingsError) as error:
        first_day(since, TODAY)
    assert "30d" in error.value.hint


# Charts.


def test_a_column_is_as_high_as_its_share_and_the_least_is_seen() -> None:
    assert columns([1, 0.5, 0, 0.001, None, 9 / 16], 1, 2, BLOCKS) == ["█    ▁", "██ ▁?█"]
    assert columns([1, 0.25], 4, 1, BLOCKS) == ["███ ▂▂▂"]


@pytest.mark.parametrize("step", range(1, 17))
def test_each_eighth_of_a_line_is_another_column(step: int) -> None:
    drawn = "".join(columns([(step - 0.4) / 16], 1, 2, BLOCKS))
    assert sum(BLOCKS.index(mark) for mark in drawn) == step


@pytest.mark.parametrize("days", [1, 6, 7, 8, 30])
def test_bars_of_weeks_end_today_and_leave_out_no_day(days: int) -> None:
    each = [Bar(str(day), str(day), Total(day)) for day in range(days)]
    bars = bunched(each, 7)
    assert (bars[0].first, bars[-1].last) == ("0", str(days - 1))
    assert [int(bar.last) - int(bar.first) for bar in bars[1:]] == [6] * (len(bars) - 1)
    assert together(bar.total for bar in bars) == together(day.total for day in each)


def bill(by: By = "day", rows: int = 3, days: int = 30, **more: int) -> Bill:
    """Draw up a bill of so many rows; the last days have no use."""
    total = Total(2, Usage(1_234_567, 2_345), Decimal("0.0004"), **more)
    names: dict[By, tuple[str, ...]] = {
        "day": ("2026-11-01",),
        "session": ("abcdef", "漢字 title " * 9),
    }
    row = Row(
        names.get(by, ("openrouter", "a/long-name-of-a-model"))[: 1 if by == "day" else 2], total
    )
    first = TODAY - timedelta(days=days - 1)
    every = [str(first + timedelta(days=number)) for number in range(days)]
    bars = [Bar(day, day, total if place < rows else Total()) for place, day in enumerate(every)]
    return Bill(by, None, (row,) * rows, tuple(bars), together([total] * rows))


class Wide(Screen):
    """A terminal of so many columns, as far as a bill asks."""

    on_terminal = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out.width = width


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("by", ["day", "model", "session"])
@pytest.mark.parametrize(("rows", "days"), [(1, 1), (3, 30), (400, 3000)])
def test_a_bill_fits_the_screen(
    capsys: pytest.CaptureFixture[str], width: int, by: By, rows: int, days: int
) -> None:
    from rich.cells import cell_len  # noqa: PLC0415

    found = bill(by, rows, days)
    show(found, Wide(width))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= 31 + 3 + 2 * 10
    assert found.total.written in next(line for line in lines if "total" in line)
    drawn = [line.partition("│")[2] for line in lines if "│" in line]
    assert len(drawn) == 12
    axis = next(line for line in lines if "└" in line)
    assert axis.count("─") >= max(map(len, drawn))
    by_words = [line for line in lines if re.match(r"(cost|requests) by", line)]
    assert by_words[0].split()[2:3] == by_words[1].split()[2:3], "day under day"


def test_rows_that_are_left_out_are_one_so_that_the_table_adds_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [Row(("p", f"m{number}"), Total(number)) for number in range(100, 0, -1)]
    show(replace(bill("model"), rows=tuple(rows)), Wide(80))
    lines = capsys.readouterr().out.splitlines()
    others = next(line for line in lines if "80 more" in line)
    assert others.split()[:3] == ["80", "more", "3,240"], "1 + 2 + … + 80"
    show(bill("day", rows=100, days=200), Wide(80))
    assert "69 before" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("more", "cost", "words"),
    [
        ({}, "$0.0004", []),
        ({"unpriced": 1}, "$0.0004 + ?", ["3 of 6 requests have no price"]),
        ({"unpriced": 2}, "unknown", ["6 of 6 requests have no price"]),
        ({"estimated": 1}, "≈$0.0004", ["3 of 6 requests have no token counts"]),
    ],
)
def test_what_is_not_known_is_said(
    capsys: pytest.CaptureFixture[str], more: dict[str, int], cost: str, words: list[str]
) -> None:
    found = bill("model", **more)
    show(found, Wide(80))
    assert capsys.readouterr().out.splitlines()[1].endswith(cost)
    assert [
        line.partition(" (")[0].partition(" from")[0]
        for line in remarks(found.total, found.unpriced, "f")
    ] == words


def test_until_when_is_read_and_never_later_than_today() -> None:
    assert [last_day(text, TODAY) for text in (None, " 2026-10-31", "2999-01-01")] == [
        *(None, date(2026, 10, 31), TODAY),
    ]
    for text in ("", "30d", "2026-02-30"):
        with pytest.raises(SettingsError, match=r"--until '.*' is no date"):
            last_day(text, TODAY)


# The program.


def test_in_a_pipe_there_is_a_line_for_each_row_and_remarks_go_to_stderr(home: Path) -> None:
    keep(home)
    done = run("usage", "--by", "model", home=home)
    assert done.returncode == 0
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        *(["openai", "gpt-5", "2", "2400", "2000", "160", "60", "2.469135780246", "0", "0"],),
        *(["ollama", "m[bold] =1", "1", "1200", "1000", "80", "30", "", "1", "1"],),
    ]
    assert "1 of 3 requests has no price (m[bold]" in done.stderr
    assert str(home / "chatrepl" / "config" / "config.toml") in done.stderr
    assert "\x1b" not in done.stderr


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of this process."""
    monkeypatch.setenv("CHATREPL_HOME", str(home / "chatrepl"))
    monkeypatch.delenv("ACCESSIBLE", raising=False)
    return home


Captured = pytest.CaptureFixture[str]


def test_json_and_csv_have_every_digit(here: Path, capsys: Captured) -> None:
    keep(here)
    assert read(["usage", "--since", "all", "--json", "--by", "persona"]) == 0
    used = {
        "requests": 2,
        "prompt_tokens": 2400,
        "cached_tokens": 2000,
        "completion_tokens": 160,
        "reasoning_tokens": 60,
        "cost": "2.469135780246",
        "unpriced": 0,
        "estimated": 0,
    }
    found = json.loads(capsys.readouterr().out)
    assert (found["by"], found["since"]) == ("persona", None)
    assert found["rows"][0] == {"persona": "tutor", **used}
    assert found["rows"][1]["persona"] is None
    assert (found["total"]["requests"], found["total"]["cost"]) == (4, "3.703703670369")
    out = here / "bill.csv"
    assert read(["usage", "-o", str(out), "--by", "model", "--since", "2w"]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert {**rows[0]} == {"provider": "openai", "model": "gpt-5"} | {
        name: str(value) for name, value in used.items()
    }
    assert (rows[1]["model"], rows[1]["cost"]) == (EVIL, "")


def test_a_time_that_is_over_has_nothing_of_later(here: Path, capsys: Captured) -> None:
    late = Completion("reply", Usage(1), model="of-today", provider="ollama")
    spend(keep(here), late, ended=datetime.now(UTC))
    week_ago = datetime.now(UTC).astimezone().date() - timedelta(days=7)
    for until, unpriced in ((week_ago, 1), (week_ago - timedelta(days=1), 0)):
        read(["usage", "--since", "90d", "--until", str(until), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (found["until"], found["total"]["requests"]) == (str(until), unpriced)
        assert found["since"] == str(until - timedelta(days=89))
    read(["usage", "--since", "2d", "--until", str(week_ago)])
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(week_ago)]
    assert "1 of 1 requests" in err
    assert "of-today" not in err


def test_into_a_pipe_words_are_printed_if_the_flag_asks_for_them(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(here)
    monkeypatch.setenv("ACCESSIBLE", "1")
    read(["usage", "--by", "model"])
    assert "\t" in capsys.readouterr().out, "a script of somebody who has the variable"
    read(["usage", "--by", "model", "--accessible"])
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("total: 3 requests, about 3,600 prompt tokens")
    assert len(out.splitlines()) == 3
    assert "\t" not in out


def test_a_file_is_overwritten_only_if_that_is_said(here: Path) -> None:
    out = here / "bill.csv"
    out.write_text("mine")
    with pytest.raises(SettingsError, match="is there already") as error:
        read(["usage", "-o", str(out)])
    assert "--force" in error.value.hint
    assert out.read_text() == "mine"
    assert read(["usage", "-o", str(out), "--force", "--json"]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["rows"] == []


def test_what_was_asked_before_costs_were_kept_is_free_or_has_no_price(
    here: Path, capsys: Captured
) -> None:
    """A database of the second format, in which a completion has no cost."""
    file = here / "chatrepl" / "data" / "sessions.db"
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        for step in MIGRATIONS[:2]:
            connection.executescript(step)
        connection.executescript(f"""
            PRAGMA application_id = {APPLICATION_ID};
            PRAGMA user_version = 2;
            INSERT INTO completion (ended, purpose, provider, model, prompt_tokens,
                                    completion_tokens, cached_tokens, reasoning_tokens)
            VALUES ('2026-10-01T10:00:00.000Z', 'reply', 'embedded', 'smollm2', 30, 20, 0, 0),
                   ('2026-10-01T10:01:00.000Z', 'reply', 'openai', 'gpt-4', 9, 5, 0, 0);
        """)
    assert read(["usage", "--since", "all", "--by", "model"]) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t") for line in out.splitlines()] == [
        ["embedded", "smollm2", "1", "30", "0", "20", "0", "0", "0", "0"],
        ["openai", "gpt-4", "1", "9", "0", "5", "0", "", "1", "0"],
    ]
    said = " ".join(err.split())
    assert "1 of 2 requests has no price (gpt-4 at openai) and is not in the sums" in said
    assert "from before costs were kept, or of a model whose price is not known" in said
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT cost, priced_by FROM completion ORDER BY id"
        assert connection.execute(query).fetchall() == [(0, "embedded"), (None, "")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "soon"], ["--since 'soon'", "30d"]),
        (["--by", "week"], ["--by", "day"]),
        (["--json", "--csv"], ["--json, --csv and --html"]),
        (["-o", "bill.txt"], ["bill.txt", ".csv"]),
        (["-o", "no/such/bill.csv"], ["bill.csv", "No such file"]),
        (["of", "the", "atom"], ["chatrepl -- usage of the atom"]),
    ],
)
def test_bad_usage_of_usage_is_told(
    here: Path, arguments: Sequence[str], words: Sequence[str]
) -> None:
    with pytest.raises(SettingsError) as error:
        read(["usage", *arguments])
    assert [word for word in words if word not in f"{error.value.text} {error.value.hint}"] == []


def test_nothing_asked_yet_is_said_and_makes_no_database(here: Path, capsys: Captured) -> None:
    assert read(["usage"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Nothing was asked since 20")
    assert not (here / "chatrepl" / "data" / "sessions.db").exists()


def test_on_a_terminal_there_are_a_table_and_two_charts_or_words(home: Path) -> None:
    keep(home)
    with Terminal("usage", home=home, lines=40) as terminal:
        assert terminal.wait_for_end() == 0
        assert re.search(r"^total +3 +≈3,600 .* ≈\$2\.47 \+ \?$", terminal.screen, re.MULTILINE)
        assert "cost by day: ≈$2.47 + ?" in terminal.screen
        assert re.search(r"^ +│ +\? +█$", terminal.screen, re.MULTILINE), terminal.screen
        assert "requests by day: 3" in terminal.screen
        assert "1 of 3 requests has no price" in terminal.screen
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    with Terminal("usage", "--by", "model", home=home, env=ascii_only) as terminal:
        assert terminal.wait_for_end() == 0
        assert "cost by day: ~$2.47 + ?" in terminal.scrollback
        assert re.search(r"^ +\| +\? +#$", terminal.scrollback, re.MULTILINE)
    with Terminal("usage", "--accessible", home=home) as terminal:
        assert terminal.wait_for_end() == 0
        assert "total: 3 requests, about 3,600 prompt tokens (3,000 cached)" in terminal.screen
        assert "at least about $2.47" in terminal.screen.replace("\n", " ")
        assert not re.search("[│█▁]", terminal.screen)
