"""kill -9 in the middle of a reply: what was said is on disk, but for the last second of it."""

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.support.loopback import Loopback, Part, Received, Reply, chunk, loopback, says
from tests.support.program import COMMAND, Terminal, environment, run
from tests.support.store import sessions_in
from tests.support.talk import say_and_hear

LANES, KILLS = 5, 10  # several programs at once, each with a home of its own
LOSS = 1.0  # seconds of a reply that may be missing
TRANSPORT = 0.3  # seconds from the server's socket to the program's journal


class Lane:
    """A session that is killed and gone on with, and what must be in it.

    `history` are the prompts and replies that were found there before, which must stay; `unsent`
    is a prompt of which no reply was found.
    """

    def __init__(self, server: Loopback, home: Path, number: int) -> None:
        self.server, self.home = server, home
        self.chance = random.Random(number)
        self.sent: list[float] = []
        self.history: list[tuple[str, str]] = []
        self.slack: list[float] = []
        self.unsent = ""
        server.usual = self.answer
        home.mkdir()

    @property
    def file(self) -> Path:
        return self.home / "chatrepl" / "data" / "sessions.db"

    def answer(self, received: Received) -> Reply:
        prompt = received.said[-1][1]
        if prompt.startswith("short"):
            return says(f"Noted {prompt}.")
        self.sent = []
        return Reply(self.pieces(self.sent))

    def pieces(self, sent: list[float]) -> Iterator[Part]:
        """Stream about 100 numbered pieces a second, and note when each was written."""
        for number in range(400):
            yield chunk({"content": f"{number} "})
            sent.append(time.monotonic())
            time.sleep(0.01)
        yield chunk({}, "stop")

    def check(self, prompt: str, killed: float, sent: list[float]) -> None:
        """Look at the database after a kill."""
        with closing(sqlite3.connect(self.file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with sessions_in(self.file) as sessions:
            (session,) = sessions.all()
            saved = sessions.load(session.id)
        texts = [tuple(m.content for m in e.messages) for e in saved.conversation.exchanges]
        assert texts[: len(self.history)] == self.history
        (*more,) = texts[len(self.history) :]
        reply = ""
        if more:
            ((said, reply),) = more
            assert said == prompt
            self.history.append((prompt, reply))
        self.unsent = saved.unsent
        assert self.unsent == ("" if more else prompt)
        found = reply.split()
        assert found == [str(number) for number in range(len(found))]
        due = sum(moment <= killed - LOSS - TRANSPORT for moment in sent)
        assert len(found) >= due, f"{due - len(found)} pieces are missing"
        if len(found) < len(sent):
            self.slack.append(killed - sent[len(found)])


def kill_one_shots(lane: Lane) -> None:
    flags = ("--base-url", lane.server.base_url, "-m", "gpt-4")
    for number in range(KILLS):
        more = ["-c"] if lane.file.exists() else []
        if number % 3 == 0:
            prompt = f"short {number}"
            done = run(*flags, *more, prompt, home=lane.home)
            assert done.stdout == f"Noted {prompt}.\n", done.stderr
            lane.history.append((prompt, f"Noted {prompt}."))
        lane.sent = []
        program = subprocess.Popen(
            [*COMMAND, *flags, "-c", f"long {number}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(lane.home),
        )
        try:
            wait_for_pieces(lane)
            time.sleep(lane.chance.uniform(0.2, 2.5))
            killed = time.monotonic()
        finally:
            program.kill()
            assert program.wait(20) == -9
        lane.check(f"long {number}", killed, list(lane.sent))


def kill_talks(lane: Lane) -> None:
    for number in range(KILLS):
        lane.sent = []
        flags = ("--base-url", lane.server.base_url, "-m", "gpt-4", *(["-c"] if number else []))
        with Terminal(*flags, home=lane.home) as terminal:
            line = f"> {lane.unsent}".rstrip()  # what was not answered is at the prompt again
            terminal.wait_until(lambda: line in terminal.screen.splitlines(), line)  # noqa: B023
            terminal.type("\x15")
            terminal.wait_for_prompt()
            say_and_hear(terminal, f"short {number}", f"Noted short {number}.")
            lane.history.append((f"short {number}", f"Noted short {number}."))
            terminal.say(f"long {number}")
            terminal.wait_until(lambda: lane.sent, "a piece")
            terminal.read(lane.chance.uniform(0.2, 2.5))
            killed = time.monotonic()
            terminal.process.kill(9)
            terminal.wait_for_end()
        lane.check(f"long {number}", killed, list(lane.sent))


def wait_for_pieces(lane: Lane) -> None:
    end = time.monotonic() + 30
    while not lane.sent:
        assert time.monotonic() < end, "the program never asked"
        time.sleep(0.01)


def test_fifty_kills_lose_no_exchange_and_no_more_than_a_second_of_a_reply(
    tmp_path: Path,
) -> None:
    def work(number: int) -> Lane:
        with loopback() as server:
            lane = Lane(server, tmp_path / str(number), number)
            (kill_talks if number % 2 else kill_one_shots)(lane)
            return lane

    with ThreadPoolExecutor(LANES) as pool:
        lanes = list(pool.map(work, range(LANES)))
    print([f"{max(lane.slack):.2f} s" for lane in lanes], "at most were missing")
    for lane in lanes:
        (session,) = json.loads(run("sessions", "--json", home=lane.home).stdout)
        shown = json.loads(run("sessions", "show", session["id"], "--json", home=lane.home).stdout)
        said = [message["content"] for message in shown["messages"]]
        assert said[: 2 * len(lane.history)] == [text for pair in lane.history for text in pair]
