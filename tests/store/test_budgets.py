"""What is spent of a budget: summed to the last digit, by the local calendar, for all programs."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.budgets import Amounts, Cap
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.events import Finished, TextDelta, UsageReport
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.ports import NoRecorder
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import BudgetError, ServerError, StorageError
from chatrepl.providers.scripted import Line, ScriptedProvider
from chatrepl.store.budgets import LEFT_BEHIND, Budgets
from chatrepl.store.counts import CountsRecorder
from chatrepl.store.database import Database
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.rows import stamp, write_completion
from tests.support.store import count, rows

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOTHING = Amounts()


def cap(period: str, limit: object, *, in_tokens: bool = False) -> Cap:
    return Cap(period, Decimal(str(limit)), in_tokens, f"budget.{period} in FILE")  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    with closing(Database(file, print)) as opened:
        yield opened


def spend(
    database: Database, cost: Decimal | None, tokens: tuple[int, int] = (1, 1), ended: str = ""
) -> None:
    """Write a completion, as if it had ended at some time."""
    done = Completion("reply", Usage(*tokens), cost, "config")
    with database.writing() as connection:
        write_completion(connection, None, Exchange((), provider="p", model="m"), done, "")
        if ended:
            last = "(SELECT max(id) FROM completion)"
            connection.execute(f"UPDATE completion SET ended = ? WHERE id = {last}", (ended,))


costs = st.none() | st.decimals(0, 99_999, places=12)


def test_what_is_spent_is_the_sum_of_the_bills_to_the_last_digit(database: Database) -> None:
    budgets = Budgets(database, [cap("day", 1), cap("month", 1, in_tokens=True)])

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(costs, st.integers(0, 10**9), st.integers(0, 10**9)), max_size=8))
    def sums_agree(bills: list[tuple[Decimal | None, int, int]]) -> None:
        with database.writing() as connection:
            connection.execute("DELETE FROM completion")
            for cost, prompt, completion in bills:
                done = Completion("reply", Usage(prompt, completion), cost)
                write_completion(connection, None, Exchange(()), done, "")
        dollars, tokens = budgets.standings(None, NOTHING)
        assert dollars.spent == sum((cost for cost, *_ in bills if cost is not None), Decimal(0))
        assert tokens.spent == sum(prompt + completion for _, prompt, completion in bills)

    sums_agree()


def test_whatever_a_server_says_the_sum_is_one(database: Database) -> None:
    for said in (Usage(2**63, 2**70), Usage(-5, 3)):
        most = said.bounded
        counts = most.prompt_tokens, most.completion_tokens
        spend(database, Decimal("99999.999999999999"), counts)
    with database.writing() as connection:  # as many as overflow a sum of 64 bits
        copied = "ended, purpose, provider, model, prompt_tokens, completion_tokens, "
        copied += "cached_tokens, reasoning_tokens, cost"
        for _ in range(7):
            connection.execute(f"INSERT INTO completion ({copied}) SELECT {copied} FROM completion")
    budgets = Budgets(database, [cap("day", 1), cap("day", 1, in_tokens=True)])
    dollars, tokens = budgets.standings(None, NOTHING)
    assert dollars.spent == 256 * Decimal("99999.999999999999")
    assert tokens.spent == 128 * (2 * 10**12 + 3)


@pytest.mark.parametrize(
    ("zone", "now", "day", "month"),
    [
        ("UTC", "2026-11-23T00:00:00.000Z", "2026-11-23T00:00:00.000Z", "2026-11-01T00:00:00.000Z"),
        # 23:30 of the 31st in UTC is the 1st in Tokyo.
        (
            *("Asia/Tokyo", "2026-10-31T23:30:00.000Z"),
            *("2026-10-31T15:00:00.000Z", "2026-10-31T15:00:00.000Z"),
        ),
        # The clocks went back on the 1st, at two.
        (
            *("America/New_York", "2026-11-02T04:30:00.000Z"),
            *("2026-11-01T04:00:00.000Z", "2026-11-01T04:00:00.000Z"),
        ),
        # There was no midnight: clocks went from it to one.
        (
            *("Africa/Cairo", "2026-04-24T12:00:00.000Z"),
            *("2026-04-23T22:00:00.000Z", "2026-03-31T22:00:00.000Z"),
        ),
    ],
)
def test_days_and_months_are_those_of_the_local_calendar(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    now: str,
    day: str,
    month: str,
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for begin, tokens in ((day, 1), (month, 10)):
            just_before = datetime.fromisoformat(begin) - timedelta(milliseconds=1)
            spend(database, None, (tokens, 0), begin)
            spend(database, None, (100 * tokens, 0), stamp(just_before))
        caps = [cap(period, 1, in_tokens=True) for period in ("day", "month")]
        budgets = Budgets(database, caps, lambda: datetime.fromisoformat(now))
        standings = budgets.standings(None, NOTHING)
    finally:
        monkeypatch.undo()
        time.tzset()
    spent = [int(standing.spent) for standing in standings]
    assert spent == ([11, 11] if day == month else [1, 111])
    assert [standing.begun for standing in standings] == [day, month]


def test_a_session_has_its_own_completions_and_one_that_is_not_saved_tells(
    database: Database, file: Path
) -> None:
    caps = [cap("session", 1000, in_tokens=True), cap("day", 1000, in_tokens=True)]
    chats = []
    for _ in range(2):
        budgets = Budgets(database, caps)
        recorder = SessionRecorder(database, print, budgets=budgets)
        chat = Chat(ScriptedProvider(), card_for("gpt-4"), reply_limit=50, purse=budgets)
        chat.begin(Conversation(), recorder)
        chats.append((chat, budgets))
    for (chat, _), used in zip(chats, (100, 20), strict=True):
        answer(chat, used)
    standings = [b.standings(chat.recorder.session, NOTHING) for chat, b in chats]
    assert [[int(s.spent) for s in each] for each in standings] == [[100, 120], [20, 120]]
    unsaved = chats[0][1].standings(None, Amounts(7))
    assert [int(standing.spent) for standing in unsaved] == [7, 120]
    assert count(file, "reservation") == 0


def answer(chat: Chat, used: int, *before: Line) -> None:
    """Say something, for which the server reports so many tokens."""
    end: list[Line] = [TextDelta("Yes."), UsageReport(Usage(used, 0)), Finished("stop")]
    chat.provider = ScriptedProvider([*before, *end])
    list(chat.say("Hello"))


def test_what_one_program_has_reserved_the_other_has_not(database: Database) -> None:
    caps = [cap("day", 1), cap("month", 100, in_tokens=True)]
    one, other = Budgets(database, caps), Budgets(database, caps)
    one.reserve(Amounts(60, Decimal("0.5")), "s", NOTHING)
    with pytest.raises(BudgetError, match="reserved by requests under way"):
        other.reserve(Amounts(10, Decimal("0.6")), "t", NOTHING)
    with pytest.raises(BudgetError, match="the month's"):
        other.reserve(Amounts(41, None), "t", NOTHING)
    other.reserve(Amounts(40, Decimal("0.5")), "t", NOTHING)
    one.release()
    other.reserve(Amounts(60, Decimal("0.5")), "t", NOTHING)
    assert [int(100 * s.reserved) for s in other.standings("t", NOTHING)] == [100, 10_000]


def test_what_another_program_reserves_at_the_same_moment_is_seen(
    database: Database, file: Path
) -> None:
    one, other = (Budgets(database, [cap("day", 1)]) for _ in range(2))
    one.reserve(Amounts(1, Decimal("0.1")), "s", NOTHING)
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as third,
        ThreadPoolExecutor() as pool,
    ):
        third.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(other.reserve, Amounts(1, Decimal("0.5")), "t", NOTHING)
        time.sleep(0.1)
        assert not waiting.done()
        third.execute("UPDATE reservation SET cost = 6 * cost")
        third.execute("COMMIT")
        with pytest.raises(BudgetError, match=r"0\.60 reserved"):
            waiting.result(timeout=20)


def test_what_is_sent_anyway_is_reserved_too(database: Database) -> None:
    budgets = Budgets(database, [cap("day", 1)])
    budgets.reserve(Amounts(1, Decimal(3)), None, NOTHING, anyway=True)
    [standing] = budgets.standings(None, NOTHING)
    assert standing.reserved == 3


def test_a_reservation_of_a_session_is_no_other_sessions(database: Database) -> None:
    one, other = (Budgets(database, [cap("session", 1)]) for _ in range(2))
    one.reserve(Amounts(1, Decimal("0.9")), None, NOTHING)
    with pytest.raises(BudgetError):
        one.reserve(Amounts(1, Decimal("0.2")), "begun-since", NOTHING)
    other.reserve(Amounts(1, Decimal("0.9")), None, NOTHING)


def test_what_a_killed_program_left_behind_counts_for_an_hour(
    database: Database, file: Path
) -> None:
    clock = [NOW]
    killed, left = (Budgets(database, [cap("day", 1)], lambda: clock[0]) for _ in range(2))
    killed.reserve(Amounts(1, Decimal("0.9")), "s", NOTHING)
    clock[0] = NOW + LEFT_BEHIND
    with pytest.raises(BudgetError):
        left.reserve(Amounts(1, Decimal("0.2")), "t", NOTHING)
    clock[0] += timedelta(milliseconds=1)
    left.reserve(Amounts(1, Decimal("0.2")), "t", NOTHING)
    assert count(file, "reservation") == 1, "and then it is gone"


def test_the_completion_takes_the_place_of_the_reservation_in_one_transaction(
    database: Database, file: Path
) -> None:
    caps = [cap("day", 10_000, in_tokens=True)]
    budgets = Budgets(database, caps)
    chat = Chat(ScriptedProvider(), card_for("gpt-4"), reply_limit=50, purse=budgets)
    chat.begin(Conversation(), SessionRecorder(database, print, budgets=budgets))
    seen: list[tuple[int, int]] = []

    def at_every_commit(statement: str) -> None:
        if statement.startswith("COMMIT"):
            seen.append((count(file, "completion"), count(file, "reservation")))

    with database.reading() as connection:
        connection.set_trace_callback(at_every_commit)
    answer(chat, 100)
    connection.set_trace_callback(None)
    seen.append((count(file, "completion"), count(file, "reservation")))
    assert (0, 1) in seen
    assert seen[-1] == (1, 0)
    assert not {(1, 1), (0, 0)} & set(seen[seen.index((0, 1)) :])


class Disturbed(Budgets):
    """Ctrl-C comes just when what was reserved is taken over."""

    def take_over(self) -> list[int]:
        held = super().take_over()
        signal.raise_signal(signal.SIGINT)
        return held


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_loses_no_bill_and_leaves_nothing_reserved(
    database: Database, file: Path, saved: bool
) -> None:
    budgets = Disturbed(database, [cap("day", 10_000, in_tokens=True)])
    recorder = CountsRecorder(database, print, budgets)
    chat = Chat(ScriptedProvider(), card_for("gpt-4"), reply_limit=50, purse=budgets)
    chat.begin(
        Conversation(), SessionRecorder(database, print, budgets=budgets) if saved else recorder
    )
    with pytest.raises(KeyboardInterrupt):
        answer(chat, 100)
    assert (count(file, "completion"), count(file, "reservation")) == (1, 0)
    chat.recorder = NoRecorder()
    with pytest.raises(KeyboardInterrupt):
        answer(chat, 100)
    assert count(file, "reservation") == 0


def test_a_request_that_cost_nothing_leaves_nothing(database: Database, file: Path) -> None:
    budgets = Budgets(database, [cap("day", 10_000, in_tokens=True)])
    for recorder in (
        SessionRecorder(database, print, budgets=budgets),
        CountsRecorder(database, print, budgets),
        None,
    ):
        chat = Chat(ScriptedProvider(), card_for("gpt-4"), reply_limit=50, purse=budgets)
        chat.begin(Conversation(), recorder)
        with pytest.raises(ServerError):
            answer(chat, 100, ServerError("Down."))
        assert (count(file, "completion"), count(file, "reservation")) == (0, 0)


# A chat that is not saved.


def test_of_a_chat_that_is_not_saved_only_the_counts_are_kept(
    database: Database, file: Path
) -> None:
    budgets = Budgets(database, [cap("day", 200, in_tokens=True)])
    chat = Chat(ScriptedProvider(name="who"), card_for("gpt-4"), reply_limit=50, purse=budgets)
    chat.begin(Conversation(), CountsRecorder(database, print, budgets, "tutor"))
    answer(chat, 140)
    columns = "exchange, purpose, model, persona, prompt_tokens"
    assert rows(file, f"SELECT {columns} FROM completion") == [
        (None, "reply", "gpt-4", "tutor", 140)
    ]
    for table in ("session", "exchange", "message", "piece", "reservation"):
        assert count(file, table) == 0
    with pytest.raises(BudgetError):
        answer(chat, 140)


def test_counts_that_cant_be_written_are_written_later(tmp_path: Path) -> None:
    file = tmp_path / "data" / "sessions.db"
    notices: list[str] = []
    with closing(Database(file, print)) as database:
        budgets = Budgets(database, [cap("day", 9_000, in_tokens=True)])
        recorder = CountsRecorder(database, notices.append, budgets)
        chat = Chat(ScriptedProvider(), card_for("gpt-4"), reply_limit=50, purse=budgets)
        chat.begin(Conversation(), recorder)
        answer(chat, 1)
        with database.reading() as connection:
            connection.execute("PRAGMA query_only = ON")
            with suppress(StorageError):
                answer(chat, 2)
            recorder.spent(Completion("reply", Usage(3)))
            recorder.end(None, Conversation(), (), ())
            recorder.end(None, Conversation(), (), ())
            connection.execute("PRAGMA query_only = OFF")
        assert len(notices) == 1
        assert "not counted in the budget yet" in notices[0]
        recorder.close()
    assert rows(file, "SELECT prompt_tokens FROM completion") == [(1,), (3,)]


def test_a_database_that_cant_be_asked_is_the_reason_why_nothing_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    file.mkdir()
    with closing(Database(file, print)) as database:
        budgets = Budgets(database, [cap("day", 1)])
        with pytest.raises(StorageError) as caught:
            budgets.reserve(Amounts(1, Decimal("0.1")), None, NOTHING)
    assert caught.value.text.startswith("The budget can't be checked, so nothing was sent. The ")
    assert str(file) in caught.value.text
    assert "take the budget out" in caught.value.hint
    assert budgets.take_over() == []


def test_bills_that_are_lost_with_a_damaged_database_are_told_once_before_all_counts_from_zero(
    file: Path,
) -> None:
    with closing(Database(file, print)) as database:
        spend(database, Decimal("0.9"))
    file.write_bytes(b"x" * file.stat().st_size)
    with closing(Database(file, lambda _: None)) as database:
        budgets = Budgets(database, [cap("day", 1)])
        with pytest.raises(StorageError) as caught:
            budgets.reserve(Amounts(1, Decimal("0.5")), None, NOTHING)
        assert "nothing was sent" in caught.value.text
        assert caught.value.hint == "The next request counts from zero."
        assert budgets.take_over() == []
        (standing,) = budgets.reserve(Amounts(1, Decimal("0.5")), None, NOTHING)
        assert standing.spent + standing.reserved == 0


def test_a_cap_of_a_session_alone_has_lost_nothing(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"x" * 9999)
    with closing(Database(file, lambda _: None)) as database:
        Budgets(database, [cap("session", 1)]).reserve(NOTHING, None, NOTHING)


# Several programs.

SPENDER = """
import random, sys
from decimal import Decimal
from pathlib import Path
from tests.support.spender import Spender
spender = Spender(Path(sys.argv[1]), Decimal(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(spender.spend_all(random.Random(sys.argv[3])))
"""


def started(file: Path, limit: Decimal, programs: int) -> list[subprocess.Popen[str]]:
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, str(file), str(limit), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(programs)
    ]
    for program in begun:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in begun:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    return begun


def test_four_programs_at_once_never_pass_a_cap_and_one_that_is_killed_is_no_harm(
    file: Path, database: Database
) -> None:
    limit = Decimal(300)
    spend(database, None)  # the file is there
    programs = started(file, limit, 4)
    try:
        spent = Decimal(0)
        while spent < limit / 4:
            spent = checked(file, limit)
        programs[0].kill()
        programs[0].wait()
        said = [program.communicate(timeout=60) for program in programs[1:]]
    finally:
        for program in programs:
            program.kill()
            program.communicate()
    assert [error for _, error in said] == [""] * 3
    assert max(int(out) for out, _ in said) > 0
    assert checked(file, limit) > limit * 9 / 10
    assert count(file, "reservation") <= 1, "that of the killed one"


def checked(file: Path, limit: Decimal) -> Decimal:
    """Give what is spent now; with what is reserved it is never more than the cap."""
    spent, reserved = (
        f"coalesce((SELECT sum(cost) FROM {table}), 0)" for table in ("completion", "reservation")
    )
    [(done, under_way)] = rows(file, f"SELECT {spent}, {reserved}")
    assert done + under_way <= limit * 10**12
    return Decimal(done) / 10**12
