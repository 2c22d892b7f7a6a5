"""The file of the sessions: private, migrated whole or not at all, and never destroyed."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatrepl.errors import ChatreplError, StorageError
from chatrepl.store import migrations
from chatrepl.store.database import Database
from chatrepl.store.migrations import APPLICATION_ID, MIGRATIONS
from chatrepl.store.sessions import Sessions
from tests.support.store import assert_sound, count, desk, load, rows, sessions_in, texts

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chatrepl" / "data" / "sessions.db"


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def database(file: Path, notices: list[str]) -> Iterator[Database]:
    with closing(Database(file, notices.append)) as opened:
        yield opened


def fill(file: Path, exchanges: int = 30) -> str:
    """Keep a talk in a database and give its id."""
    with desk(file) as run:
        for number in range(exchanges):
            run.say(f"Question {number}", f"Answer {number}. " + "The sea is wide. " * 20)
        return run.session


def write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def contents(file: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in file.parent.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(database: Database) -> StorageError:
    """The error that reading ends in: of one line, and with the file's name."""
    with pytest.raises(StorageError) as caught, database.reading():
        pass
    error = caught.value
    assert str(database.file) in error.text
    assert "\n" not in error.text + error.hint
    return error


# The file and how it is opened.


@posix
def test_the_file_and_its_folder_are_the_users_only(file: Path, database: Database) -> None:
    with database.reading():
        assert (mode(file.parent), mode(file)) == (0o700, 0o600)
    with database.writing() as connection:
        connection.execute("UPDATE session SET title = ''")
        assert {mode(path) for path in file.parent.iterdir()} == {0o600}, "-wal and -shm too"


@posix
def test_modes_that_were_wider_are_narrowed(file: Path) -> None:
    fill(file, 1)
    file.parent.chmod(0o755)
    file.chmod(0o644)
    with closing(Database(file, print)) as database, database.reading():
        assert (mode(file.parent), mode(file)) == (0o700, 0o600)


def test_nothing_is_made_before_it_is_needed(file: Path, database: Database) -> None:
    assert Sessions(database).all() == []
    assert Sessions(database).search("word") == []
    assert not file.parent.exists()


def test_it_is_a_write_ahead_log_with_foreign_keys(database: Database) -> None:
    with database.reading() as connection:
        asked = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "foreign_keys", "synchronous", "application_id")
        }
    assert asked == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
        "application_id": APPLICATION_ID,
    }


def test_a_transaction_is_kept_whole_or_not_at_all(file: Path, database: Database) -> None:
    fill(file, 1)
    with pytest.raises(KeyboardInterrupt), database.writing() as connection:
        connection.execute("UPDATE session SET title = 'lost'")
        raise KeyboardInterrupt
    with database.writing() as connection:
        connection.execute("UPDATE session SET model = 'kept'")
    assert rows(file, "SELECT title, model FROM session") == [("Question 0", "kept")]


def test_a_file_where_the_folder_should_be_is_a_storage_error(file: Path) -> None:
    file.parent.parent.mkdir()
    file.parent.write_text("in the way")
    with closing(Database(file, print)) as database:
        refusal(database)
    assert file.parent.read_text() == "in the way"


def test_a_folder_where_the_file_should_be_is_a_storage_error(file: Path) -> None:
    file.mkdir(parents=True)
    with closing(Database(file, print)) as database:
        refusal(database)


# Migrations.


def test_each_format_has_its_number(file: Path, database: Database) -> None:
    with database.reading():
        pass
    assert rows(file, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert_sound(file)


def test_a_step_that_fails_half_way_leaves_the_old_format(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as connection:
        # The first step makes tables; that this view is there already fails it in the middle.
        connection.execute("CREATE VIEW message AS SELECT 1")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with pytest.raises(sqlite3.OperationalError, match="message"):
            migrations.migrate(connection, "other.db")
        names = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        assert names == [("message",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        assert not connection.in_transaction
        connection.execute("DROP VIEW message")
        migrations.migrate(connection, "other.db")
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_what_is_half_made_is_a_storage_error_and_stays(file: Path, notices: list[str]) -> None:
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE message (text)")
        connection.execute("INSERT INTO message VALUES ('precious')")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.commit()
    with closing(Database(file, notices.append)) as database:
        refusal(database)
    assert rows(file, "SELECT text FROM message") == [("precious",)]


@pytest.mark.parametrize("programs", [2, 8])
def test_programs_that_migrate_at_once_do_not_disturb_each_other(file: Path, programs: int) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom chatrepl.store.database import Database\n"
        "sys.stdin.readline()\n"
        "with Database(Path(sys.argv[1]), print).reading() as connection:\n"
        "    print(connection.execute('SELECT count(*) FROM session').fetchone())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(programs)
    ]
    time.sleep(0.3)
    for program in started:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    said = [program.communicate(timeout=30) for program in started]
    assert said == [("(0,)\n", "")] * programs
    assert_sound(file)


def test_a_database_of_a_newer_format_is_named_and_left_untouched(
    file: Path, notices: list[str]
) -> None:
    fill(file, 1)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = contents(file)
    with closing(Database(file, notices.append)) as database:
        error = refusal(database)
    assert "newer" in error.text
    assert error.hint
    assert contents(file)[file.name] == before[file.name]
    assert notices == []
    assert set(contents(file)) == set(before)


@pytest.mark.parametrize("application", [0, 0x0F055112])
@pytest.mark.parametrize("version", [0, 1, 7])
def test_another_programs_database_is_named_and_left_untouched(
    file: Path, notices: list[str], application: int, version: int
) -> None:
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE session (theirs)")
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    before = file.read_bytes()
    with closing(Database(file, notices.append)) as database:
        assert "not one of chatrepl's" in refusal(database).text
    assert file.read_bytes() == before
    assert notices == []


# Damage: set aside, told, never destroyed.


def assert_set_aside(file: Path, notices: list[str], before: bytes) -> Path:
    """Assert that a file of these bytes lies beside, and that its name was told."""
    aside = [path for path in file.parent.iterdir() if path != file and path.read_bytes() == before]
    assert len(aside) == 1
    assert any(str(aside[0]) in notice for notice in notices)
    return aside[0]


def use(file: Path, notices: list[str]) -> None:
    """Use a database as a run of the program does; only an error of ours may come of it."""
    with closing(Database(file, notices.append)) as database:
        sessions = Sessions(database)
        for act in (
            sessions.all,
            lambda: sessions.search("wide sea"),
            lambda: sessions.search("an"),
            lambda: [sessions.load(found.id) for found in sessions.all()],
            lambda: sessions.rename("nobody", "Nothing"),
        ):
            with suppress(ChatreplError):
                act()


def chat_goes_on(file: Path) -> None:
    """Assert that there is a database that a talk can be kept in."""
    session = fill(file, 2)
    assert len(load(file, session).conversation.exchanges) == 2
    assert_sound(file)


@pytest.mark.parametrize(
    "data",
    [b"this is no database", b"\0" * 4096, b"SQLite format 3\0", os.urandom(20_000)],
    ids=["text", "zeros", "magic", "noise"],
)
def test_what_is_no_database_is_set_aside_with_its_name_told(
    file: Path, notices: list[str], data: bytes
) -> None:
    write(file, data)
    use(file, notices)
    assert_set_aside(file, notices, data)
    assert len(notices) == 1
    chat_goes_on(file)


def test_what_belongs_to_a_damaged_file_goes_with_it(file: Path, notices: list[str]) -> None:
    writer = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.support.store import Desk\n"
        "run = Desk(Path(sys.argv[1]))\nrun.say('Precious question', 'Precious answer')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    fill(file, 12)
    subprocess.run([sys.executable, "-c", writer, str(file)], check=False, timeout=30)
    log = file.with_name(file.name + "-wal")
    assert b"Precious answer" in log.read_bytes()
    assert b"Precious answer" not in file.read_bytes()
    data = bytearray(file.read_bytes())
    data[:100] = b"no header " * 10
    file.write_bytes(data)
    log.write_bytes(b"no header " + log.read_bytes()[10:])  # or it would mend the file
    before = contents(file)
    use(file, notices)
    aside = assert_set_aside(file, notices, bytes(data))
    assert aside.with_name(aside.name + "-wal").read_bytes() == before[log.name]
    chat_goes_on(file)


def test_a_log_that_mends_its_file_is_used(file: Path, notices: list[str]) -> None:
    writer = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.support.store import Desk\n"
        "run = Desk(Path(sys.argv[1]))\nrun.say('Question', 'Precious answer')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", writer, str(file)], check=False, timeout=30)
    use(file, notices)
    assert notices == []
    with sessions_in(file) as sessions:
        assert [hit.text for hit in sessions.search("precious")] == ["Precious answer"]


def test_a_truncated_file_is_never_destroyed(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "sessions.db"
    fill(whole, 12)
    data = whole.read_bytes()
    assert len(data) > 50_000
    # A file of one byte counts as an empty one: SQLite itself makes such files.
    sizes = [*range(2, 120), 511, 512, 513, *range(1024, len(data) - 1, 2039)]
    for size in sizes:
        file, notices = tmp_path / str(size) / "sessions.db", list[str]()
        write(file, data[:size])
        use(file, notices)
        assert len(notices) == 1, size
        assert_set_aside(file, notices, data[:size])
    chat_goes_on(file)


def test_an_empty_file_becomes_a_database(file: Path, notices: list[str]) -> None:
    write(file, b"")
    use(file, notices)
    assert notices == []
    chat_goes_on(file)


@pytest.mark.parametrize("seed", range(6))
def test_a_page_of_noise_ends_in_a_result_or_a_storage_error(tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole" / "sessions.db"
    fill(whole, 12)
    data, chance = whole.read_bytes(), random.Random(seed)
    pages = len(data) // 4096
    for page in range(1, pages):
        file, notices = tmp_path / str(page) / "sessions.db", list[str]()
        noise = chance.choice([chance.randbytes(4096), b"\0" * 4096, data[4096:8192]])
        damaged = data[: page * 4096] + noise + data[page * 4096 + 4096 :]
        write(file, damaged)
        use(file, notices)
        kept = [path.read_bytes() for path in file.parent.iterdir()]
        assert damaged in kept or notices == [], page
        if notices:
            assert_set_aside(file, notices, damaged)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_end_in_a_result_or_a_storage_error(tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole" / "sessions.db"
    fill(whole, 12)
    data, chance = whole.read_bytes(), random.Random(seed)
    for trial in range(60):
        file, notices = tmp_path / str(trial) / "sessions.db", list[str]()
        damaged = bytearray(data)
        for _ in range(20):
            damaged[chance.randrange(100, len(data))] = chance.randrange(256)
        write(file, bytes(damaged))
        use(file, notices)


def test_damage_that_shows_while_it_is_used_is_told_and_the_talk_is_saved_anew(
    file: Path,
) -> None:
    with desk(file) as run:
        run.say("One", "First.")
        run.database.close()
        data = bytearray(file.read_bytes())
        data[4096:] = os.urandom(len(data) - 4096)
        file.write_bytes(data)
        run.say("Two", "Second.")
        run.say("Three", "Third.")
        run.chat.keep()
        session = run.session
    assert any("damaged" in notice for notice in run.notices)
    assert_set_aside(file, run.notices, bytes(data))
    said = [text for role, text in texts(load(file, session).conversation)]
    assert said == ["One", "First.", "Two", "Second.", "Three", "Third."]


@MANY
@given(data=st.binary(max_size=3000))
def test_any_bytes_end_in_a_result_and_still_exist(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file, notices = tmp_path_factory.mktemp("any") / "sessions.db", list[str]()
    write(file, data)
    use(file, notices)
    if len(data) > 1:
        assert_set_aside(file, notices, data)


@MANY
@given(data=st.binary(max_size=200), place=st.integers(0, 199))
def test_any_header_ends_in_a_result_and_still_exists(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int
) -> None:
    file, notices = tmp_path_factory.mktemp("any") / "sessions.db", list[str]()
    fill(file, 1)
    whole = bytearray(file.read_bytes())
    whole[place : place + len(data)] = data
    write(file, bytes(whole))
    use(file, notices)
    if notices:
        assert_set_aside(file, notices, bytes(whole))


NUMBERS = st.one_of(st.integers(-3, 9), st.integers(-(2**31), 2**31 - 1))
TABLES = st.lists(
    st.sampled_from(["session", "exchange", "message", "piece", "completion", "message_text"]),
    unique=True,
)


@MANY
@given(version=NUMBERS, application=st.sampled_from([0, 1, APPLICATION_ID]), tables=TABLES)
def test_any_half_made_schema_ends_in_a_result_or_a_storage_error(
    tmp_path_factory: pytest.TempPathFactory, version: int, application: int, tables: list[str]
) -> None:
    file, notices = tmp_path_factory.mktemp("half") / "sessions.db", list[str]()
    with closing(sqlite3.connect(file)) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (id, precious)")
            connection.execute(f"INSERT INTO {table} VALUES (1, 'precious')")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {application}")
        connection.commit()
    use(file, notices)
    assert notices == []
    for table in tables:
        assert rows(file, f"SELECT precious FROM {table}") == [("precious",)]


def test_a_database_without_tables_gets_them_whatever_number_it_has(file: Path) -> None:
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with closing(Database(file, print)) as database:
        try:
            assert Sessions(database).all() == []
        except StorageError as error:
            assert "no such table" not in error.text
            assert error.hint


# Locks.


def hold(file: Path, seconds: float) -> Callable[[], None]:
    """Lock a database from another connection for a while; give what waits for the end."""
    locked = threading.Event()

    def work() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            locked.set()
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    thread = threading.Thread(target=work)
    thread.start()
    assert locked.wait(10)
    return thread.join


def test_a_locked_database_is_waited_for(file: Path, database: Database) -> None:
    fill(file, 1)
    wait = hold(file, 1.0)
    with database.writing() as connection:
        connection.execute("UPDATE session SET title = 'written'")
    wait()
    assert rows(file, "SELECT title FROM session") == [("written",)]


def test_a_new_database_that_another_program_is_making_is_waited_for(
    file: Path, database: Database
) -> None:
    file.parent.mkdir(parents=True)
    wait = hold(file, 1.0)
    assert Sessions(database).all() == []
    wait()


def test_a_database_that_stays_locked_is_told_and_left(file: Path, notices: list[str]) -> None:
    session = fill(file, 1)
    wait = hold(file, 5.0)
    with closing(Database(file, notices.append)) as database:
        begin = time.monotonic()
        with pytest.raises(StorageError, match="lock"), database.writing():
            pytest.fail("it is locked")
        assert time.monotonic() - begin < 4.5
        assert len(Sessions(database).load(session).conversation.exchanges) == 1, "reading goes on"
    wait()
    assert notices == []
    assert count(file, "session") == 1


def test_one_that_must_not_wait_does_not(file: Path, database: Database) -> None:
    fill(file, 1)
    with database.reading():
        pass
    wait = hold(file, 1.5)
    begin = time.monotonic()
    with pytest.raises(StorageError), database.writing(patience=0):
        pytest.fail("it is locked")
    assert time.monotonic() - begin < 1
    wait()
