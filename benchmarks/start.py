"""How long a start takes, and whether typing notices that something is loading."""

import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks.lab import Lab
from benchmarks.programs import Seen, chatrepl, floor
from benchmarks.report import Row

_KEYS = "abcdefghijklmnopqrstuvwxyz" * 2
_PAUSE, _WHILE = 0.03, 1.5  # seconds


def start(lab: Lab) -> list[Row]:
    """Measure from the start to the request, and to the prompt."""
    return [
        _compared(
            lab,
            "one-shot: start to request",
            partial(_to_request, lab, floor("printing")),
            partial(_to_request, lab, chatrepl()),
        ),
        _compared(
            lab,
            "REPL: start to prompt",
            partial(_to_prompt, lab, floor("prompt")),
            partial(_to_prompt, lab, chatrepl()),
        ),
    ]


def keys(lab: Lab) -> list[Row]:
    """Measure from a key to its echo, in the first moments after the prompt."""
    acts = {
        "floor": partial(_echoes, lab, floor("prompt")),
        "chatrepl": partial(_echoes, lab, chatrepl()),
    }
    typed = lab.rounds("keys", acts)

    def row(measure: str, figure: Callable[[list[float]], float]) -> Row:
        theirs, ours = (statistics.median(map(figure, typed[name])) for name in acts)
        return Row(measure, 1_000 * theirs, 1_000 * ours, "ms")

    return [
        row("REPL: first key echoed", lambda echoes: echoes[0]),
        row("REPL: worst key while loading", max),
    ]


def enter(lab: Lab) -> list[Row]:
    """Measure from Enter to the request, when everything has had time to load."""
    return [
        _compared(
            lab,
            "REPL: Enter to request after 2 s",
            partial(_enter_to_request, lab, floor("asking")),
            partial(_enter_to_request, lab, chatrepl()),
        )
    ]


def _compared(
    lab: Lab, measure: str, theirs: Callable[[], float], ours: Callable[[], float]
) -> Row:
    costs = lab.rounds(measure, {"floor": theirs, "chatrepl": ours})
    middles = {name: 1_000 * statistics.median(taken) for name, taken in costs.items()}
    return Row(measure, middles["floor"], middles["chatrepl"], "ms")


def _to_request(lab: Lab, command: list[str]) -> float:
    with lab.run([*command, "Hello"], piped=True) as program:
        program.wait()
        lab.server.look(1)
        (request,) = lab.server.requests
        return request - program.begun


def _to_prompt(lab: Lab, command: list[str]) -> float:
    seen = Seen()
    with lab.run(command, hear=seen.feed) as program:
        program.read_until(lambda: seen.typed is not None, "a prompt")
        return seen.changed - program.begun


def _echoes(lab: Lab, command: list[str]) -> list[float]:
    """Type for a while, and give how long each key took to be on the screen."""
    seen, echoed, typed = Seen(), list[float](), list[float]()

    def hear(now: float, data: bytes) -> None:
        seen.feed(now, data)
        shown = len(seen.typed or "")
        echoed.extend([now] * (shown - len(echoed)))

    with lab.run(command, hear=hear) as program:
        program.read_until(lambda: seen.typed is not None, "a prompt")
        begin = seen.changed
        for number, key in enumerate(_KEYS[: int(_WHILE / _PAUSE)]):
            program.read_for(begin + number * _PAUSE - time.monotonic())
            typed.append(program.type(key))
        program.read_until(lambda: len(echoed) == len(typed), "the last echo")
        return [shown - key for key, shown in zip(typed, echoed, strict=True)]


def _enter_to_request(lab: Lab, command: list[str]) -> float:
    server, seen = lab.server, Seen()
    with lab.run(command, hear=seen.feed) as program:
        program.read_until(lambda: seen.typed is not None, "a prompt")
        program.read_for(2)
        begin = program.type("Hello\r")

        def came() -> list[float]:
            server.look()
            return server.requests

        program.read_until(came, "a request", server.tells)
        program.read_for(0.3)
        return server.requests[-1] - begin
