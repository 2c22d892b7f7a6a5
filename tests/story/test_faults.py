"""Every fault of the table, met by the real program: in a pipe, and in a terminal.

More of what can be done about a silence is in test_stall.py, of Ctrl-C in test_interrupts.py.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.asking import KEY
from tests.support.faults import CASES, Case, Seen, Stage, all_running, page, staged
from tests.support.program import Terminal
from tests.support.talk import say_and_hear

TRACES = ("Traceback", "unforeseen", KEY)

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def run_of() -> Iterator[Callable[[Case], Seen]]:
    """What each case shows in a pipe."""
    with all_running() as runs:
        yield runs


@each_case
def test_in_a_pipe_a_fault_is_said_with_the_next_step(
    case: Case, run_of: Callable[[Case], Seen]
) -> None:
    seen = run_of(case)
    assert seen.status == case.status, seen.stderr
    assert seen.stdout == (f"{case.reply}\n" if case.reply else "")
    assert [words for words in case.one_shot if words not in seen.stderr] == []
    assert re.search(case.step, seen.stderr, re.MULTILINE), seen.stderr
    assert len(seen.stderr.splitlines()) <= 3
    assert bool(seen.stderr) == bool(case.one_shot)
    assert [trace for trace in TRACES if trace in seen.stderr] == []
    assert case.requests in {None, len(seen.requests)}, "only what brought nothing is sent again"
    assert seen.strangers == [], "nobody else hears of it"


@each_case
def test_in_a_terminal_the_talk_goes_on_after_a_fault(case: Case, home: Path) -> None:
    with staged(case, home) as stage, begun(stage, home) as terminal:
        terminal.say(case.prompt)
        for words in case.repl or case.one_shot:
            wait_for_words(terminal, words, stage.anonymous)
        terminal.type(case.keys)
        if not case.repl:
            step = case.step.replace("^", "")  # lines are broken elsewhere
            terminal.wait_until(lambda: re.search(step, in_a_line(terminal)), repr(step), 5)
        kept = (text_is_back if case.back == "prompt" else reply_is_kept)(terminal, case)
        before = len(stage.server.requests)
        said = say_next(terminal, stage, case)
        assert [received.said for received in stage.server.requests[before:]] == [
            [*kept, ("user", said)]
        ]
        shown = terminal.scrollback + terminal.raw.decode(errors="replace")
        assert [trace for trace in TRACES if trace in shown] == [], shown
        assert (stage.stranger.requests, stage.stranger.asked) == ([], [])


@contextmanager
def begun(stage: Stage, home: Path) -> Iterator[Terminal]:
    with Terminal(*stage.arguments, home=home, env=stage.env) as terminal:
        terminal.wait_for_prompt()
        yield terminal


def in_a_line(terminal: Terminal) -> str:
    return " ".join(terminal.scrollback.split())


def wait_for_words(terminal: Terminal, words: str, read: Callable[[str], str]) -> None:
    """Wait for words that may be broken into lines, in what `read` makes of the screen."""
    terminal.wait_until(lambda: words in read(in_a_line(terminal)), repr(words), 10)


def prompts(terminal: Terminal) -> list[str]:
    return re.findall(r"^>(?: (.*))?$", terminal.screen, re.MULTILINE)


def text_is_back(terminal: Terminal, case: Case) -> list[tuple[str, str]]:
    """Wait until the text is at the prompt once more; nothing of it is in the conversation."""
    terminal.wait_until(lambda: prompts(terminal) == [case.prompt] * 2, "the text at the prompt")
    return []


def reply_is_kept(terminal: Terminal, case: Case) -> list[tuple[str, str]]:
    """Wait until an empty prompt is there below the reply; both sides are in the conversation."""
    terminal.wait_for(case.reply)
    terminal.wait_for_prompt()
    assert terminal.scrollback.count(case.reply) == 1
    return [("user", case.prompt), ("assistant", case.reply)]


def say_next(terminal: Terminal, stage: Stage, case: Case) -> str:
    """Say what comes next, hear the reply, and give what the server must have got."""
    if case.back != "prompt":
        say_and_hear(terminal, "go on")
        return "go on"
    if not stage.elsewhere and not case.again:
        say_and_hear(terminal, " again", f"You said: {case.prompt} again")
        return f"{case.prompt} again"
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()
    if stage.elsewhere:
        terminal.say("/model other/gpt-4")
        terminal.wait_for("other/gpt-4: a window of")
        terminal.wait_for_prompt()
    said, before = case.again or "and now", len(stage.server.requests)
    terminal.say(said)
    terminal.wait_until(lambda: len(stage.server.requests) > before, "the next request")
    terminal.wait_for_prompt()
    return said


# The page of the documentation.


def test_the_page_of_faults_is_what_the_program_says(run_of: Callable[[Case], Seen]) -> None:
    file = Path(__file__).parents[2] / "docs" / "faults.md"
    assert page(run_of) == file.read_text(encoding="utf-8"), (
        "python -m tests.support.faults makes it"
    )
