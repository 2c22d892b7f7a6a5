"""Showing a turn's events, and saying how it ended."""

from collections.abc import Callable, Generator
from typing import Self

import pytest

from chatrepl.chat.events import (
    Assumed,
    Condensed,
    Condensing,
    Event,
    Finished,
    LegacyMarkup,
    NotCondensed,
    ReasoningDelta,
    Refitted,
    Retrying,
    Stalled,
    TextDelta,
    Trimmed,
    UsageReport,
)
from chatrepl.chat.usage import Usage
from chatrepl.errors import ServerError
from chatrepl.terminal.outcomes import Notable, Outcome, ending, in_words, show_turn


class Heard:
    """A reply that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __enter__(self) -> Self:
        self.told.append("begin")
        return self

    def __exit__(self, *_: object) -> None:
        self.told.append("end")

    def text(self, piece: str) -> None:
        self.told.append(piece)

    def think(self, line: Callable[[int], str]) -> None:
        self.told.append("thinking")

    def notice(self, line: str) -> None:
        self.told.append(f"({line})")


def turn(
    *events: Event, closed: list[bool], error: BaseException | None = None
) -> Generator[Event]:
    """Play events, then an error, and note when the turn is closed."""
    try:
        yield from events
        if error is not None:
            raise error
    finally:
        closed.append(True)


def test_a_turn_is_shown_in_the_order_in_which_it_comes() -> None:
    heard, outcome, closed = Heard(), Outcome(), list[bool]()
    usage = Usage(10, 2)
    events = turn(
        Retrying("The server failed.", 0.5, 1, 2),
        ReasoningDelta("hm"),
        TextDelta("Hello "),
        TextDelta("you."),
        UsageReport(usage),
        Finished("stop", "loop-1"),
        closed=closed,
    )
    show_turn(events, heard, outcome)
    retrying = "(The server failed. Trying again in 0.5 s (1 of 2).)"
    assert heard.told == ["begin", retrying, "thinking", "Hello ", "you.", "end"]
    assert outcome == Outcome("Hello you.", "stop", "loop-1", usage, thoughts="hm")
    assert closed == [True]


@pytest.mark.parametrize("error", [ServerError("no"), KeyboardInterrupt()])
def test_what_came_before_an_error_is_kept_and_the_turn_is_closed(error: BaseException) -> None:
    heard, outcome, closed = Heard(), Outcome(), list[bool]()
    with pytest.raises(type(error)):
        show_turn(turn(TextDelta("Half"), closed=closed, error=error), heard, outcome)
    assert outcome.text == "Half"
    assert outcome.finish_reason is None
    assert heard.told == ["begin", "Half", "end"]
    assert closed == [True]


def test_ctrl_c_while_a_piece_is_shown_closes_the_turn_before_it_passes_on() -> None:
    class Interrupted(Heard):
        def text(self, piece: str) -> None:
            raise KeyboardInterrupt

    outcome, closed = Outcome(), list[bool]()
    with pytest.raises(KeyboardInterrupt):
        show_turn(
            turn(TextDelta("Half"), TextDelta("never"), closed=closed), Interrupted(), outcome
        )
    assert outcome.text == "Half"
    assert closed == [True]


QUESTION = "(Nothing has come for 30 s. Still waiting: r asks again, k keeps what came.)"


def stalling(keys: list[str], *before: Event) -> tuple[list[str], Outcome, bool]:
    """Show a turn that stalls as often as keys are typed: what was told, and whether it ended."""
    heard, outcome, closed = Heard(), Outcome(), list[bool]()
    stalls = [Stalled(30.2 + 0.1 * number) for number in range(len(keys))]
    events = turn(*before, *stalls, TextDelta("end"), closed=closed)
    typed = iter(keys)
    stopped = False
    try:
        show_turn(events, heard, outcome, lambda: next(typed))
    except KeyboardInterrupt:
        stopped = True
    assert closed == [True]
    return heard.told[1:-1], outcome, stopped


@pytest.mark.parametrize(
    ("keys", "ask_again", "typed"),
    [
        (["", "k"], False, ""),
        (["", "", "K"], False, ""),
        (["", "r"], True, ""),
        (["kr", "x", "y", "R"], True, "krxy"),
        (["", "xr", "never"], True, "x"),
        (["", "ry"], True, "y"),
    ],
)
def test_a_key_ends_a_turn_that_stalls(keys: list[str], ask_again: bool, typed: str) -> None:
    told, outcome, stopped = stalling(keys, TextDelta("Half"))
    assert stopped
    assert told == ["Half", QUESTION]
    assert (outcome.text, outcome.ask_again, outcome.typed) == ("Half", ask_again, typed)


@pytest.mark.parametrize("keys", [["k", ""], ["", "", "x"], ["", "\x1b[A"], ["", "rock"]])
def test_any_other_key_is_kept_for_the_prompt(keys: list[str]) -> None:
    told, outcome, stopped = stalling(keys)
    assert not stopped
    assert told == [QUESTION, "end"]
    assert (outcome.ask_again, outcome.typed) == (False, "".join(keys))


def test_each_silence_is_said_once_and_without_a_keyboard_nothing_is_asked() -> None:
    heard, closed = Heard(), list[bool]()
    silence = [Stalled(30.0), Stalled(30.1)]
    events = turn(*silence, TextDelta("a"), *silence, TextDelta("b"), closed=closed)
    show_turn(events, heard, Outcome())
    said = "(Nothing has come for 30 s. Still waiting: Ctrl-C keeps what came.)"
    assert heard.told == ["begin", said, "a", said, "b", "end"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Trimmed(1, 40, True), "left out 1 exchange, 40 tokens; /context shows them"),
        (Trimmed(12, 4_000, True), "left out 12 exchanges, 4,000 tokens; /context shows them"),
        (Trimmed(2, 4_000, False), "left out 2 exchanges, ≈4,000 tokens; /context shows them"),
        (
            Refitted(4_096),
            "the server counts more tokens: trimmed for its window of 4,096, sent again",
        ),
        (Retrying("No.", 12.34, 2, 5), "No. Trying again in 12.3 s (2 of 5)."),
        (
            Assumed("what-1", 4_096),
            (
                "The context window of what-1 is not known: 4,096 tokens are assumed. "
                "context_window sets it (--context-window)."
            ),
        ),
        (Condensing(1), "condensing the oldest 1 exchange …"),
        (
            Condensed(6, 3_200, 210, False),
            "condensed 6 exchanges, ≈3,200 tokens, into a note of ≈210; /context shows it",
        ),
        (NotCondensed("No."), "No summary, so the oldest exchanges are left out: No."),
        (
            LegacyMarkup("<|im_start|>"),
            "<|im_start|> is legacy markup (ChatML), without effect here: it is sent as text.",
        ),
    ],
)
def test_an_event_is_said_in_a_line(event: Notable, words: str) -> None:
    assert in_words(event) == words


@pytest.mark.parametrize(
    ("reason", "text", "status", "words"),
    [
        ("stop", "Hello.", 0, ""),
        ("stop", " \n", 8, "empty"),
        ("stop", "", 8, "empty"),
        ("eos", "Hello.", 0, ""),
        ("length", "Hello", 7, "max_tokens (1,024)"),
        ("length", "", 7, "max_tokens (1,024)"),
        ("content_filter", "Hello", 6, "content filter"),
        ("content_filter", "", 6, "content filter"),
        ("tool_calls", "", 8, "tool call"),
        ("function_call", "", 8, "tool call"),
        (None, "Hello", 8, "incomplete"),
    ],
)
def test_how_a_turn_ended(reason: str | None, text: str, status: int, words: str) -> None:
    got, said = ending(Outcome(text, reason), 1_024)
    assert got == status
    assert words in said
    assert bool(said) == bool(words)
