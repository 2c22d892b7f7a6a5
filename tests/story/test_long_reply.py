"""A reply longer than the screen, resized and stopped at every twentieth piece."""

import itertools
import re
import threading
from pathlib import Path

import pytest

from tests.support.loopback import Loopback, Part, Reply, chunk
from tests.support.papers import at_once
from tests.support.program import Terminal
from tests.support.talk import talk
from tests.support.tmux import Tmux

STEP = 20
PROMPT = r"^> *$"
MODEL = "gpt-4o"  # with a window that all the turns fit into


def long_reply() -> list[str]:
    """Long blocks of all kinds, in pieces that each hold a word found nowhere else."""
    pieces = [
        "# A title @\n\n",
        *["@ is *a* word, "] * 45,
        "\n\n```python\nfirst = @\n",
        *["@ = 'text'  # why\n"] * 50,
        "```\n\nThe list @:\n\n",
        *["- item @\n"] * 50,
        "\nThe table @:\n\n| left | right |\n|---|---|\n",
        *["| @ ", "| @ |\n"] * 50,
        "\nAnd @ ",
        *["@ of the **last** paragraph, "] * 35,
        "end @.",
    ]
    return [piece.replace("@", f"w{number:03}") for number, piece in enumerate(pieces)]


PIECES = long_reply()
PARTS = [PIECES[start : start + STEP] for start in range(0, len(PIECES), STEP)]


def last_word(pieces: list[str]) -> str:
    return re.findall(r"w\d+", "".join(pieces)).pop()  # type: ignore[no-any-return]


def words(shown: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bw(\d+)\b", shown)]


def with_stops(parts: list[list[str]]) -> tuple[Reply, list[threading.Event]]:
    """A reply that waits after each part until it is told to go on."""
    stops = [threading.Event() for _ in parts]
    stream: list[Part] = []
    for pieces, stop in zip(parts, stops, strict=True):
        stream += [*(chunk({"content": piece}) for piece in pieces), stop]
    return Reply([*stream, chunk({}, "stop")]), stops


def wait_for(terminal: Terminal | Tmux, pattern: str) -> None:
    """Wait until what is on the screen has a line like this, or a word."""
    terminal.wait_until(lambda: re.search(pattern, terminal.screen, re.MULTILINE), pattern)


def assert_each_once(shown: str) -> None:
    """Assert that every word of the reply is there, in its order, and so is every line."""
    assert words(shown) == list(range(len(PIECES)))
    assert len(re.findall(r"\bleft\b", shown)) == 1


def test_a_window_that_grows_at_every_twentieth_piece(home: Path, server: Loopback) -> None:
    reply, stops = with_stops(PARTS)
    server.then(reply)
    with talk(home, server, model=MODEL, columns=60, lines=12) as terminal:
        terminal.say("tell me")
        for number, (pieces, stop) in enumerate(zip(PARTS, stops, strict=True), 1):
            wait_for(terminal, last_word(pieces))
            terminal.resize(60 + 4 * number, 12 + number)
            stop.set()
        wait_for(terminal, PROMPT)
        assert_each_once(terminal.scrollback)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([(60, 24), (100, 24)], id="width", marks=pytest.mark.thorough),
        pytest.param([(80, 12), (80, 40)], id="height", marks=pytest.mark.thorough),
        pytest.param([(100, 15), (47, 30), (120, 10), (80, 24)], id="both"),
    ],
)
def test_a_window_that_folds_its_lines_anew_at_every_twentieth_piece(
    home: Path, server: Loopback, sizes: list[tuple[int, int]]
) -> None:
    reply, stops = with_stops(PARTS)
    server.then(reply)
    with Tmux("--base-url", server.base_url, "-m", MODEL, home=home) as terminal:
        wait_for(terminal, PROMPT)
        terminal.say("tell me")
        for pieces, stop, size in zip(PARTS, stops, itertools.cycle(sizes), strict=False):
            wait_for(terminal, last_word(pieces))
            shown = words(terminal.scrollback)
            assert shown == sorted(set(shown)), f"a line twice at {last_word(pieces)}"
            terminal.resize(*size)
            stop.set()
        wait_for(terminal, PROMPT)
        assert_each_once(terminal.scrollback)


def test_ctrl_c_at_every_twentieth_piece_leaves_what_came_once(
    home: Path, server: Loopback
) -> None:
    came = [PIECES[: start + STEP] for start in range(0, len(PIECES), STEP)]
    with talk(home, server, model=MODEL) as terminal:
        for pieces in came:
            reply, _ = with_stops([pieces])
            server.then(reply)
            terminal.say("tell me")
            wait_for(terminal, last_word(pieces))
            terminal.key("ctrl-c")
            wait_for(terminal, PROMPT)
        turns = terminal.scrollback.split("> tell me\n")[1:]
    assert len(turns) == len(came)
    for turn, pieces in zip(turns, came, strict=True):
        shown, stopped, _ = turn.partition("\nstopped; what came is kept\n")
        assert stopped
        assert shown.strip("\n").split("\n") == at_once("".join(pieces), 80).lines
