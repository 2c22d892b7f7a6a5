"""The ledger: bills whose sums are exact, by whatever they are drawn up, in local days."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.bill import Bill, By, together
from chatrepl.chat.costs import Completion
from chatrepl.chat.usage import Usage
from chatrepl.store.database import Database
from chatrepl.store.ledger import Ledger
from chatrepl.store.rows import stamp
from tests.support.store import count, desk, rows, sessions_in, spend

TODAY = date(2026, 11, 23)
ONE = Usage(10, 5, 2, 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


def bill(file: Path, by: By = "day", since: date | None = None, today: date = TODAY) -> Bill:
    with closing(Database(file, print)) as database:
        return Ledger(database).bill(by, since, today)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cost(dollars: str | None = "0.01", **more: str | bool) -> Completion:
    return Completion(
        "reply",
        ONE,
        None if dollars is None else Decimal(dollars),
        estimated=bool(more.get("estimated")),
        model=str(more.get("model", "gpt-4")),
        provider=str(more.get("provider", "openai")),
    )


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Live in another place for a while, as the C library and Python both see it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def test_there_is_no_bill_before_something_was_asked(file: Path) -> None:
    found = bill(file, since=TODAY)
    assert (found.rows, found.days, found.total.completions) == ((), (), 0)
    assert not file.exists(), "to ask makes no database"


def test_what_models_cost_is_told_the_dearest_first(file: Path) -> None:
    for each in ("0.000000000001", "0.2"):
        spend(file, cost(each))
    spend(file, cost("0.5", model="gpt-5"))
    spend(file, cost("0", provider="embedded", model="smollm2"))
    spend(file, cost(None, provider="ollama", model="llama3.2", estimated=True))
    spend(file, cost(None, provider="ollama", model="llama3.2"))
    found = bill(file, "model")
    assert [(row.names, row.total.cost) for row in found.rows] == [
        (("openai", "gpt-5"), Decimal("0.5")),
        (("openai", "gpt-4"), Decimal("0.200000000001")),
        (("ollama", "llama3.2"), 0),
        (("embedded", "smollm2"), 0),
    ]
    assert [(row.total.unpriced, row.total.estimated) for row in found.rows] == [
        *((0, 0), (0, 0), (2, 1), (0, 0))
    ]
    assert found.rows[1].total.usage == ONE + ONE
    assert found.unpriced == (("ollama", "llama3.2"),)
    assert found.total == together(row.total for row in found.rows)


def test_a_deleted_session_and_what_was_not_saved_are_one_row_without_a_name(file: Path) -> None:
    names = []
    for text in ("Kept", "Deleted", "Deleted too"):
        with desk(file) as run:
            run.say(text)
            names.append(run.session)
    numbers = [number for (number,) in rows(file, "SELECT id FROM exchange ORDER BY id")]
    with closing(Database(file, print)) as database, database.writing() as connection:
        connection.execute("DELETE FROM completion")
    for number, dollars in zip([*numbers, None], ("1", "0.2", "0.03", "0.004"), strict=True):
        spend(file, cost(dollars), exchange=number)
    with sessions_in(file) as sessions:
        sessions.remove(names[1])
        sessions.remove(names[2])
    found = bill(file, "session")
    assert [(row.names, row.total.cost, row.total.completions) for row in found.rows] == [
        ((names[0], "Kept"), Decimal(1), 1),
        ((None, None), Decimal("0.234"), 3),
    ]


def test_personas_have_their_rows_and_a_chat_without_one_has_none(file: Path) -> None:
    for persona, dollars in (("tutor", "3"), ("", "2"), ("shell", "1"), ("tutor", "0.5")):
        spend(file, cost(dollars), persona=persona)
    assert [
        (row.names[0], str(row.total.cost.normalize())) for row in bill(file, "persona").rows
    ] == [*(("tutor", "3.5"), (None, "2"), ("shell", "1"))]


def test_what_a_server_said_of_tokens_and_costs_does_not_overflow(file: Path) -> None:
    huge = Completion("reply", Usage(2**63, 2**63).bounded, Decimal(99_999), model="m")
    spend(file, huge, times=100)  # 10**7 dollars: more of the database's units than it can add
    total = bill(file).total
    assert total.cost == 100 * 99_999
    assert total.usage.prompt_tokens == 100 * 10**12


# Days.


def test_the_days_between_are_in_the_chart_and_not_in_the_rows(file: Path) -> None:
    with zone("UTC"):
        spend(file, cost("1"), ended=at("2026-11-19T12:00"))
        spend(file, cost("2"), ended=at("2026-11-21T12:00"))
        spend(file, cost("9"), ended=at("2026-11-17T23:59:59.999"))
        found = bill(file, since=date(2026, 11, 18))
        assert [row.names for row in found.rows] == [("2026-11-19",), ("2026-11-21",)]
        assert [(bar.first[-2:], int(bar.total.cost)) for bar in found.days] == [
            *(("18", 0), ("19", 1), ("20", 0), ("21", 2), ("22", 0), ("23", 0))
        ]
        assert (found.since, int(found.total.cost)) == ("2026-11-18", 3)
        everything = bill(file)
        assert (everything.since, everything.days[0].first) == (None, "2026-11-17")


@pytest.mark.parametrize(
    ("place", "last", "first"),
    [
        ("UTC", "2026-03-28T23:59:59.999", "2026-03-29T00:00:00.000"),
        ("Asia/Kathmandu", "2026-03-28T18:14:59.999", "2026-03-28T18:15:00.000"),
        ("America/Los_Angeles", "2026-03-29T06:59:59.999", "2026-03-29T07:00:00.000"),
        # Clocks go forward, and back, on a day: 23 and 25 hours.
        ("Europe/Berlin", "2026-03-28T22:59:59.999", "2026-03-28T23:00:00.000"),
        ("Europe/Berlin", "2026-03-29T21:59:59.999", "2026-03-29T22:00:00.000"),
        ("Europe/Berlin", "2026-10-24T21:59:59.999", "2026-10-24T22:00:00.000"),
        ("Europe/Berlin", "2026-10-25T22:59:59.999", "2026-10-25T23:00:00.000"),
        # There was no midnight; there were two; a day was left out.
        ("America/Sao_Paulo", "2018-11-04T02:59:59.999", "2018-11-04T03:00:00.000"),
        ("America/Havana", "2026-11-01T03:59:59.999", "2026-11-01T04:00:00.000"),
        ("Africa/Cairo", "2026-04-23T21:59:59.999", "2026-04-23T22:00:00.000"),
        ("Pacific/Apia", "2011-12-30T09:59:59.999", "2011-12-30T10:00:00.000"),
    ],
)
def test_a_day_begins_at_midnight_where_the_user_is(
    file: Path, place: str, last: str, first: str
) -> None:
    with zone(place):
        for dollars, ended in (("1", last), ("2", first)):
            spend(file, cost(dollars), ended=at(ended))
        found = bill(file)
        days = [str(at(each).astimezone().date()) for each in (last, first)]
        assert days[0] < days[1]
        assert [(row.names[0], int(row.total.cost)) for row in found.rows] == [
            *((days[0], 1), (days[1], 2))
        ]
        later = bill(file, since=date.fromisoformat(days[1]))
        assert [row.total.cost for row in later.rows] == [2]


def test_a_time_that_is_none_is_in_the_sums_of_all_time(file: Path) -> None:
    spend(file, cost("1"), ended=at("2026-11-23T12:00"), times=4)
    with closing(Database(file, print)) as database, database.writing() as connection:
        for number, ended in ((1, "yesterday"), (2, "0000-00-00"), (3, "20261123T100000Z")):
            query = "UPDATE completion SET ended = ? WHERE id = ?"
            connection.execute(query, (ended, number))
    found = bill(file)
    assert found.total.cost == 4
    assert (found.days[0].first, found.days[0].total.completions) == ("1970-01-01", 2)
    lately = bill(file, since=date(2026, 11, 1))
    assert [row.names[0] for row in lately.rows] == ["2026-11-23"]
    assert lately.total == together(bar.total for bar in lately.days)


@pytest.mark.parametrize("place", ["America/Los_Angeles", "Europe/Berlin"])
def test_clocks_that_were_ahead_make_no_chart_of_centuries(file: Path, place: str) -> None:
    with zone(place):
        for ended in ("2026-11-23T12:00", "2036-05-05T12:00", "9999-12-31T23:30"):
            spend(file, cost("1"), ended=at(ended))
        found = bill(file, since=date(2026, 11, 22))
        assert [(bar.first, bar.last, int(bar.total.cost)) for bar in found.days] == [
            ("2026-11-22", "2026-11-22", 0),
            ("2026-11-23", "2026-11-23", 1),
            ("2026-11-24", "9999-12-31", 2),
        ]
        assert [row.names[0] for row in found.rows] == ["2026-11-23", "2036-05-05", "9999-12-31"]
        assert len(bill(file, since=date(2030, 1, 1)).days) == 1


# Sums.

Entry = tuple[datetime, int | None, tuple[int, ...], str, str, str, int | None, bool]

MOMENTS = st.integers(0, 35 * 24 * 3600).map(
    lambda seconds: at("2026-10-20") + timedelta(seconds=seconds)
)
ENTRIES = st.lists(
    st.tuples(
        MOMENTS,
        st.none() | st.integers(0, 10**17 - 1),  # units of cost
        st.tuples(*[st.integers(0, 10**12)] * 4),
        st.sampled_from(["openai", "ollama"]),
        st.sampled_from(["gpt-4", "llama3.2", "ü"]),
        st.sampled_from(["", "tutor"]),
        st.sampled_from([None, 1, 2, 3]),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(entries=ENTRIES, days=st.none() | st.integers(0, 40))
def test_every_bill_adds_up_to_what_is_in_the_rows_of_the_table(
    entries: list[Entry],
    days: int | None,
) -> None:
    since = None if days is None else TODAY - timedelta(days=days)
    with tempfile.TemporaryDirectory() as folder, zone("Europe/Berlin"):
        file = Path(folder) / "sessions.db"
        fill(file, entries)
        chosen = [each for each in entries if since is None or each[0].astimezone().date() >= since]
        expected = [
            sum(Decimal(each[1]).scaleb(-12) for each in chosen if each[1] is not None),
            *(sum(each[2][place] for each in chosen) for place in range(4)),
            len(chosen),
            sum(each[1] is None for each in chosen),
            sum(each[7] for each in chosen),
        ]
        for by in get_args(By):
            found = bill(file, by, since)
            together_in_days = together(bar.total for bar in found.days)
            assert found.total == together(row.total for row in found.rows) == together_in_days
            total, used = found.total, found.total.usage
            assert expected == [
                total.cost,
                *(used.prompt_tokens, used.completion_tokens),
                *(used.cached_tokens, used.reasoning_tokens),
                *(total.completions, total.unpriced, total.estimated),
            ]
            assert len({row.names for row in found.rows}) == len(found.rows)


def fill(file: Path, entries: list[Entry]) -> None:
    """Write completions as they are, of three exchanges in two sessions."""
    with closing(Database(file, print)) as database, database.writing() as connection:
        for name in ("s1", "s2"):
            connection.execute(
                "INSERT INTO session (id, title, created, updated, provider, model) "
                "VALUES (?, 'T', '', '', '', '')",
                (name,),
            )
        for name in ("s1", "s1", "s2"):
            connection.execute(
                "INSERT INTO exchange (session, begun, provider, model, messages) "
                "VALUES (?, '', '', '', 2)",
                (name,),
            )
        connection.executemany(
            "INSERT INTO completion (ended, cost, prompt_tokens, completion_tokens, "
            "cached_tokens, reasoning_tokens, provider, model, persona, exchange, estimated, "
            "purpose) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reply')",
            [(stamp(when), units, *counts, *rest) for when, units, counts, *rest in entries],
        )
    assert count(file, "completion") == len(entries)
