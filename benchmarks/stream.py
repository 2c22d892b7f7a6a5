"""What a streamed reply costs: CPU, bytes to the terminal, memory, and the time to the screen."""

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.lab import Lab
from benchmarks.programs import Cost, Seen, chatrepl, floor
from benchmarks.replies import text
from benchmarks.report import Row, table

_MARKDOWN = ("markdown 500", "markdown 2000", "markdown 10000", "markdown 40000")
_COMPARED = (*_MARKDOWN, "paragraph 20000", "lines 10000")
_GROWING = ("markdown", "paragraph", "fence", "list", "table")
_ENDS = (2_000, 40_000)  # pieces, between which growth is taken
_SLOW, _MARKED = "markdown 500 at 100", "words 300 at 100"
_TURNS = ("markdown 200",) * 10

Costs = Mapping[str, Sequence[Cost]]


def stream(lab: Lab) -> list[Row]:
    """Measure CPU and bytes of replies of many shapes and sizes, and print the whole table.

    The floor is the printing loop; of bytes it is rich, rendering the whole reply once.
    """
    theirs = ["Hello", *_COMPARED]
    growing = [f"{shape} {size}" for shape in _GROWING for size in _ENDS]
    ours = list(dict.fromkeys([*theirs, *growing, _SLOW]))
    acts: dict[str, Callable[[], Cost]] = {}
    for name in ours:
        if name in theirs:
            acts[f"floor, {name}"] = partial(lab.one_shot, floor("printing"), name)
        acts[f"chatrepl, {name}"] = partial(lab.one_shot, chatrepl(), name)
        if name in {*_MARKDOWN, _SLOW}:
            file = lab.folder / f"{name}.md"
            file.write_text(text(name), encoding="utf-8")
            acts[f"rich, {name}"] = partial(lab.one_shot, floor("rendering"), str(file))
    costs = lab.rounds("stream", acts)
    print(_details(ours, costs) + "\n")
    rows = []
    for name in _COMPARED:
        print_loop, chat = (1_000 * _cpu(costs, f"{who}, {name}") for who in _BOTH)
        rows.append(Row(f"CPU, {name}", print_loop, chat, "ms"))
    for name in ("markdown 10000", _SLOW):
        rich, chat = (_output(costs, f"{who}, {name}") for who in ("rich", "chatrepl"))
        rows.append(Row(f"bytes out, {name}", rich, chat, ""))
    grown = _growth(costs, "floor", "markdown")
    rows += [
        Row(f"growth, {shape}", grown, _growth(costs, "chatrepl", shape), "") for shape in _GROWING
    ]
    return rows


_BOTH = ("floor", "chatrepl")


def memory(lab: Lab) -> list[Row]:
    """Measure the peak of memory, in a talk of ten turns and in one long reply."""
    long = _MARKDOWN[-1]
    acts = {
        "floor, turns": partial(lab.one_shot, floor("printing"), *_TURNS),
        "chatrepl, turns": partial(_ten_turns, lab),
        "floor, long": partial(lab.one_shot, floor("printing"), long),
        "chatrepl, long": partial(lab.one_shot, chatrepl(), long),
    }
    costs = lab.rounds("memory", acts)

    def row(measure: str, name: str) -> Row:
        theirs, ours = (_median(costs[f"{who}, {name}"], _megabytes) for who in _BOTH)
        return Row(measure, theirs, ours, "MB")

    return [row("memory, ten turns", "turns"), row(f"memory, {long}", "long")]


def latency(lab: Lab) -> list[Row]:
    """Measure from the sending of a piece to its being on the terminal."""
    waits = lab.rounds(
        "latency",
        {
            "floor": partial(_waits, lab, floor("printing")),
            "chatrepl": partial(_waits, lab, chatrepl()),
        },
    )
    rows = []
    for share in (50, 99):
        theirs, ours = (
            1_000 * statistics.median(statistics.quantiles(run, n=100)[share - 1] for run in runs)
            for runs in waits.values()
        )
        rows.append(Row(f"send to screen, p{share}", theirs, ours, "ms"))
    return rows


def _median(runs: Sequence[Cost], figure: Callable[[Cost], float]) -> float:
    return statistics.median(map(figure, runs))


def _cpu(costs: Costs, name: str) -> float:
    return _median(costs[name], lambda cost: cost.cpu)


def _megabytes(cost: Cost) -> float:
    return cost.memory / 1e6


def _output(costs: Costs, name: str) -> float:
    """Give the bytes that the terminal got for each byte of the reply."""
    size = len(text(name.partition(", ")[2]).encode())
    return _median(costs[name], lambda cost: cost.output) / size


def _growth(costs: Costs, who: str, shape: str) -> float:
    """Give the exponent with which CPU grows, less that of a reply of one word."""
    least = _cpu(costs, f"{who}, Hello")
    low, high = (_cpu(costs, f"{who}, {shape} {size}") - least for size in _ENDS)
    if min(low, high) <= 0:  # lost in the noise
        return math.nan
    return math.log(high / low) / math.log(_ENDS[1] / _ENDS[0])


def _details(names: Sequence[str], costs: Costs) -> str:
    """Give a table of everything, floors and rich included."""
    whos = ("floor", "chatrepl", "rich")
    rows = []
    for name in names:
        keys = [key if (key := f"{who}, {name}") in costs else "" for who in whos]
        cpu = [f"{1_000 * _cpu(costs, key):,.0f}" if key else "" for key in keys]
        out = [f"{_output(costs, key):.2f}" if key else "" for key in keys]
        rows.append((name, f"{len(text(name).encode()):,}", *cpu, *out))
    head = ("reply", "bytes", *(f"CPU ms, {who}" for who in whos), *(f"out, {who}" for who in whos))
    return table(head, rows)


def _ten_turns(lab: Lab) -> Cost:
    """Type the turns into the REPL, one after the other, and leave with Ctrl-D."""
    server, seen = lab.server, Seen()

    def shown(turn: int) -> bool:
        server.look()
        return len(server.requests) == turn and seen.typed == ""

    with lab.run(chatrepl(), hear=seen.feed) as program:
        program.read_until(lambda: seen.typed is not None, "a prompt")
        for turn, line in enumerate(_TURNS, 1):
            program.type(f"{line}\r")
            program.read_until(partial(shown, turn), "the next prompt", server.tells)
        program.type("\x04")
        return program.wait()


def _waits(lab: Lab, command: list[str]) -> list[float]:
    """Give how long each piece of a reply took from the server to the terminal."""
    came: dict[str, float] = {}
    rest = b""

    def hear(now: float, data: bytes) -> None:
        nonlocal rest
        rest += data
        for word in re.findall(rb"w\d{4}", rest):
            came.setdefault(word.decode(), now)
        rest = rest[-4:]

    with lab.run([*command, _MARKED], piped=True, hear=hear) as program:
        program.wait()
    lab.server.look(1)
    (sent,) = lab.server.sent
    words = text(_MARKED).split()
    return [came[word] - at for word, at in zip(words, sent, strict=True)]
