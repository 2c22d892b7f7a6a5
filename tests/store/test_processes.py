"""Several programs with one database, and in one session, at once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.store import assert_sound, count, load, rows, sessions_in

# A program of its own: it says so many things in a session, a new one or the one it is told.
TALKER = """
import json, statistics, sys, time
from pathlib import Path
from tests.support.store import Desk, load
file, name, exchanges, session = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
run = Desk(file, load(file, session) if session else None)
print("ready", flush=True)
sys.stdin.readline()
costs = []
for number in range(exchanges):
    begin = time.perf_counter()
    run.say(f"{name} asks {number}", f"{name} hears {number}")
    costs.append(time.perf_counter() - begin)
    run.chat.keep()
run.close()
path = [exchange.messages[0].content for exchange in run.chat.conversation.exchanges]
told = {"notices": run.notices, "session": run.session, "path": path}
print(json.dumps(told | {"ms": 1000 * statistics.median(costs), "most": 1000 * max(costs)}))
"""


def talk_at_once(file: Path, programs: int, exchanges: int, session: str = "") -> list[Any]:
    """Have programs talk, all from the same moment, and give what each told at its end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TALKER, str(file), f"p{number}", str(exchanges), session],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(programs)
    ]
    try:
        for program in started:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        for program in started:
            assert program.stdin is not None
            program.stdin.write("\n")
            program.stdin.flush()
        said = [program.communicate(timeout=90) for program in started]
    finally:
        for program in started:
            program.kill()
    assert [error for _, error in said] == [""] * programs
    return [json.loads(out) for out, _ in said]


def test_four_programs_write_200_exchanges_each_into_one_database(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    told = talk_at_once(file, 4, 200)
    assert [each["notices"] for each in told] == [[]] * 4
    assert (count(file, "exchange"), count(file, "message"), count(file, "piece")) == (800, 1600, 0)
    assert len({each["session"] for each in told}) == 4
    for number, each in enumerate(told):
        exchanges = load(file, each["session"]).conversation.exchanges
        assert [e.messages[0].content for e in exchanges] == [
            f"p{number} asks {n}" for n in range(200)
        ]
        assert all(e.is_whole for e in exchanges)
    assert_sound(file)
    print(json.dumps([(round(each["ms"], 1), round(each["most"])) for each in told]))


def test_two_programs_in_one_session_lose_nothing_and_see_their_own_branch(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sessions.db"
    (first,) = talk_at_once(file, 1, 2)
    told = talk_at_once(file, 2, 40, first["session"])
    assert [each["notices"] for each in told] == [[], []]
    assert {each["session"] for each in told} == {first["session"]}
    begun = ["p0 asks 0", "p0 asks 1"]
    own = [begun + [f"p{number} asks {n}" for n in range(40)] for number in range(2)]
    assert [each["path"] for each in told] == own
    saved = load(file, first["session"])
    branches = [
        [exchange.messages[0].content for exchange in saved.tree.path(leaf)]
        for leaf in saved.tree.leaves()
    ]
    assert sorted(branches) == sorted(own)
    assert [e.messages[0].content for e in saved.conversation.exchanges] in own
    assert_sound(file)
    with sessions_in(file) as sessions:
        assert sessions.all()[0].messages == 84


def test_programs_that_begin_at_once_with_no_database_make_one(tmp_path: Path) -> None:
    file = tmp_path / "new" / "data" / "sessions.db"
    told = talk_at_once(file, 6, 3)
    assert [each["notices"] for each in told] == [[]] * 6
    assert rows(file, "SELECT count(*) FROM exchange") == [(18,)]
    assert [path.name for path in file.parent.iterdir()] == ["sessions.db"], "nothing set aside"
