"""The session database with many sessions in it: how long each thing takes.

`python -m benchmarks.store` makes 5,000 sessions of 20 exchanges through the real tables, then
takes the median of 7 of what the program does with them. About a minute.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.store.database import Database
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.sessions import Sessions

TIMES, RARE, FREQUENT, SHORT = 7, "zyzzyva", "sailing", "of"


def words(chance: random.Random, count: int) -> str:
    """Give so many words that read like English; one in 40 is the frequent one."""
    vowels, others = "aeiou", "bcdfglmnprst"
    made = (
        "".join(chance.choice(others) + chance.choice(vowels) for _ in range(chance.randint(1, 3)))
        for _ in range(count)
    )
    return " ".join(FREQUENT if chance.random() < 1 / 40 else word for word in made)


def fill(database: Database, sessions: int, exchanges: int) -> None:
    """Make sessions with bills, a thousand exchanges or more in a transaction.

    The rare word is in the session in the middle.
    """
    chance = random.Random(1)  # noqa: S311 - no secret
    texts = [words(chance, 40) for _ in range(2_000)]
    step = max(1, 1_000 // exchanges)
    for first in range(0, sessions, step):
        with database.writing() as connection:
            for number in range(first, min(first + step, sessions)):
                connection.execute(
                    "INSERT INTO session (id, title, created, updated, provider, model) "
                    "VALUES (?, ?, ?, ?, 'loop', 'gpt-4')",
                    (f"s{number:05}", texts[number % 2_000][:60], *(_time(number),) * 2),
                )
                parent = None
                for place in range(exchanges):
                    parent = connection.execute(
                        "INSERT INTO exchange (session, parent, begun, ended, provider, model, "
                        "finish_reason, messages) VALUES (?, ?, ?, ?, 'loop', 'gpt-4', 'stop', ?)",
                        (f"s{number:05}", parent, *(_time(number),) * 2, 2 * place + 2),
                    ).lastrowid
                    connection.execute(
                        "INSERT INTO completion (exchange, ended, purpose, provider, model, "
                        "prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost, "
                        "priced_by) VALUES (?, ?, 'reply', 'loop', 'gpt-4', 900, 60, 0, 0, ?, ?)",
                        (parent, _time(number, place), 30_600_000_000, "genai-prices"),
                    )
                    is_rare = number == sessions // 2 and place == 0
                    said = (RARE if is_rare else chance.choice(texts), chance.choice(texts))
                    connection.executemany(
                        "INSERT INTO message (exchange, position, role, content) "
                        "VALUES (?, ?, ?, ?)",
                        [(parent, 0, "user", said[0]), (parent, 1, "assistant", said[1])],
                    )
                connection.execute(
                    "UPDATE session SET head = ? WHERE id = ?", (parent, f"s{number:05}")
                )


def _time(number: int, place: int = 0) -> str:
    """Give a time in 2026, another one for each session and each exchange of one."""
    day, second = divmod(37 * number + place, 86_400)
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(day % 300, second)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(act: Callable[[], object]) -> float:
    """Time something, the median of several."""
    costs = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        act()
        costs.append(1_000 * (time.perf_counter() - begin))
    return statistics.median(costs)


def exchange_kept(database: Database) -> Callable[[], None]:
    """Give what keeps one more exchange in a session: begin and end, each on the disk."""
    recorder = SessionRecorder(database, print)
    talk = Conversation()

    def keep() -> None:
        nonlocal talk
        talk = talk.asking(Message("user", "What about the sea?"))
        talk = talk.with_last(Exchange(talk.exchanges[-1].messages, id=len(talk.exchanges)))
        recorder.begin(talk)
        talk = talk.answered(Message("assistant", "It is wide. " * 20), "stop", None)
        recorder.end(talk.exchanges[-1], talk, (), ())

    keep()  # the session itself
    return keep


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=5_000)
    parser.add_argument("--exchanges", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.db"
        with closing(Database(file, print)) as database:
            begin = time.perf_counter()
            fill(database, options.sessions, options.exchanges)
            made = time.perf_counter() - begin
        with closing(Database(file, print)) as database:
            sessions = Sessions(database)
            middle = f"s{options.sessions // 2:05}"
            acts: dict[str, Callable[[], object]] = {
                "list all": sessions.all,
                "list the newest 20": lambda: sessions.all(20),
                "search a rare word": lambda: sessions.search(RARE),
                "search a frequent word": lambda: sessions.search(FREQUENT),
                "search two letters": lambda: sessions.search(SHORT),
                "search two letters that are nowhere": lambda: sessions.search("qx"),
                "find by id": lambda: sessions.find(middle),
                "find by a word of a message": lambda: sessions.find(RARE),
                "load one": lambda: sessions.load(middle),
                "begin and end of one exchange": exchange_kept(database),
            }
            costs = {name: milliseconds(act) for name, act in acts.items()}
        size = file.stat().st_size / 1e6
    total = options.sessions * options.exchanges
    print(f"{total:,} exchanges in {options.sessions:,} sessions, {size:,.0f} MB", end="")
    print(f" (made in {made:.0f} s); median of {TIMES}\n")
    print("| | ms |")
    print("|---|--:|")
    for name, cost in costs.items():
        print(f"| {name} | {cost:,.1f} |")


if __name__ == "__main__":
    main()
