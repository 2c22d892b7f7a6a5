"""What commands take with 100,000 exchanges stored, more than the program takes to start."""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

from benchmarks.lab import Lab
from benchmarks.programs import Seen, chatrepl
from benchmarks.report import Row
from benchmarks.store import RARE, fill
from chatrepl.store.database import Database

_SIZES = {"": (2_000, 50), " in one session": (1, 100_000)}
"""What is added to a measure's name, and sessions and the exchanges in each."""


def scale(lab: Lab) -> list[Row]:
    """Measure whole programs; from each is taken what it takes where nothing is stored."""
    rows: list[Row] = []
    before = lab.environment
    try:
        for more, (sessions, exchanges) in _SIZES.items():
            home = lab.folder / f"home{sessions}"
            with closing(Database(home / "data" / "sessions.db", print)) as database:
                fill(database, sessions, exchanges)
            lab.environment = {**before, "CHATREPL_HOME": str(home)}
            rows += _rows(lab, more, f"s{sessions // 2:05}", before)
    finally:
        lab.environment = before
    return rows


def _rows(lab: Lab, more: str, session: str, empty: Mapping[str, str]) -> list[Row]:
    full = lab.environment
    acts: dict[str, Callable[[], float]] = {
        "its own start": partial(_to_end, lab, "--version"),
        "a start without a session": partial(_to_prompt, lab),
        "one answer, nothing stored": partial(_to_request, lab, empty),
        "sessions": partial(_to_end, lab, "sessions"),
        "sessions search": partial(_to_end, lab, "sessions", "search", RARE),
        "usage": partial(_to_end, lab, "usage", "--since", "all"),
        "usage --by session": partial(_to_end, lab, "usage", "--since", "all", "--by", "session"),
        "--resume, to the prompt": partial(_to_prompt, lab, "--resume", session),
        "-c, to the request": partial(_to_request, lab, full, "--no-save", "-c"),
    }
    taken = lab.rounds(f"100,000 exchanges{more}", acts)
    middle = {name: 1_000 * statistics.median(each) for name, each in taken.items()}
    floors = {
        "--resume, to the prompt": "a start without a session",
        "-c, to the request": "one answer, nothing stored",
    }
    return [
        Row(
            f"100,000 exchanges{more}: {name}",
            None,
            max(0.0, middle[name] - middle[floors.get(name, "its own start")]),
            "ms",
        )
        for name in list(acts)[3:]
    ]


def _to_end(lab: Lab, *arguments: str) -> float:
    begun = time.monotonic()
    lab.one_shot(chatrepl(), *arguments)
    return time.monotonic() - begun


def _to_prompt(lab: Lab, *arguments: str) -> float:
    seen = Seen()
    with lab.run([*chatrepl(), *arguments], hear=seen.feed) as program:
        program.read_until(lambda: seen.typed is not None, "a prompt")
        return seen.changed - program.begun


def _to_request(lab: Lab, environment: Mapping[str, str], *arguments: str) -> float:
    before, lab.environment = lab.environment, environment
    try:
        with lab.run([*chatrepl(), *arguments, "Hello"], piped=True) as program:
            program.wait()
            lab.server.look(1)
            (request,) = lab.server.requests
            return request - program.begun
    finally:
        lab.environment = before
