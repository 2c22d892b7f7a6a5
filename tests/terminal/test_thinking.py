"""The line that tells of a model's thoughts, and how a turn shows it."""

import time
from contextlib import suppress

import pytest
from rich.cells import cell_len

from chatrepl.chat.events import Event, Finished, ReasoningDelta, TextDelta
from chatrepl.errors import ServerError
from chatrepl.terminal.outcomes import Outcome, show_turn
from chatrepl.terminal.rendering import MarkdownReply
from chatrepl.terminal.thinking import Thinking
from tests.support.papers import Paper, read_back
from tests.terminal.test_outcomes import Heard, turn


def thinking(*pieces: str, seconds: float = 12.0) -> Thinking:
    """Thoughts of so many seconds."""
    times = iter([0.0])
    made = Thinking(lambda: next(times, seconds))
    for piece in pieces:
        made.take(piece)
    return made


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("Let me see.\n\nSo", 60, "thinking 12 s · Let me see. So"),
        ("one two three four five six seven", 40, "thinking 12 s · …four five six seven"),
        ("one two three four five six seven", 30, "thinking 12 s"),
        ("word", 5, "think"),
        ("漢字" * 30, 40, "thinking 12 s · …字" + "漢字" * 5),
        ("a\x1b[31mb\x1b]0;title\x07c", 60, "thinking 12 s · abc"),
    ],
)
def test_the_line_has_the_latest_words_and_fits(text: str, width: int, line: str) -> None:
    shown = thinking(*text).line(width)
    assert shown == line
    assert cell_len(shown) <= width


@pytest.mark.parametrize("width", range(1, 100))
def test_the_line_is_never_too_wide(width: int) -> None:
    words = "Some 漢字 and e\u0301 👍 in-a-word-that-is-longer-than-the-line-may-be " * 20
    assert cell_len(thinking(words).line(width)) <= width


@pytest.mark.parametrize(
    ("seconds", "tokens", "words"),
    [
        (0.2, "4", "thought for 0 s, 4 tokens; more"),
        (12.0, "≈1,340", "thought for 12 s, ≈1,340 tokens; more"),
        (59.7, "", "thought for 1 min 0 s; more"),
        (192.0, "", "thought for 3 min 12 s; more"),
    ],
)
def test_the_line_that_stays(seconds: float, tokens: str, words: str) -> None:
    thought = thinking("Hm.", seconds=seconds)
    assert thought.end()
    assert not thought.end()
    assert thought.summary(tokens, "more") == words
    assert thought.line(80) == ""


def told(*events: Event, error: BaseException | None = None) -> tuple[list[str], Outcome]:
    heard, outcome = Heard(), Outcome()
    said = turn(*events, closed=[], error=error)
    with suppress(ServerError, KeyboardInterrupt):
        show_turn(said, heard, outcome, say_thoughts=lambda thought: f"thought {thought.text}")
    return heard.told[1:-1], outcome


THOUGHTS = (ReasoningDelta("a "), ReasoningDelta("b"))


def test_what_stays_of_thoughts_is_said_before_the_reply_and_once() -> None:
    events = (*THOUGHTS, TextDelta("Yes"), ReasoningDelta(" c"), TextDelta("."), Finished("stop"))
    shown, outcome = told(*events)
    assert shown == ["thinking", "(thought a b\n)", "Yes", "."]
    assert (outcome.text, outcome.thoughts) == ("Yes.", "a b c")


@pytest.mark.parametrize("error", [None, ServerError("no"), KeyboardInterrupt()])
def test_thoughts_without_a_reply_are_said_too(error: BaseException | None) -> None:
    shown, outcome = told(*THOUGHTS, error=error)
    assert shown == ["thinking", "(thought a b)"]
    assert (outcome.text, outcome.thoughts) == ("", "a b")


def test_without_thoughts_nothing_is_said_of_them() -> None:
    assert told(TextDelta("Yes"))[0] == ["Yes"]


def test_the_line_is_alive_beside_the_spinner_and_gone_with_the_reply() -> None:
    paper, thoughts = Paper(60), Thinking()
    with MarkdownReply(paper) as reply:
        reply.think(thoughts.line)
        thoughts.take("One thing.")
        end = time.monotonic() + 5
        while "One thing." not in paper.raw:
            assert time.monotonic() < end
            time.sleep(0.01)
        thoughts.take(" Another.")
        while "Another." not in paper.raw:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert "thinking 0 s · One thing. Another." in read_back(paper).lines[0]
        thoughts.end()
        reply.text("The reply.")
    assert read_back(paper).lines == ["The reply."]


def test_where_nothing_is_drawn_anew_it_is_said_once() -> None:
    paper = Paper(60, dumb=True)
    with MarkdownReply(paper) as reply:
        reply.think(Thinking().line)
        reply.text("The reply.")
    assert read_back(paper).lines[-1] == "The reply."
