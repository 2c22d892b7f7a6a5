"""Every fault of the table, met by the real program: in a pipe, and in a terminal."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.asking import KEY
from tests.support.faults import CASES, SILENCE, Case, Stage, one_shot, page, staged
from tests.support.loopback import Loopback, Reply, chunk, fails
from tests.support.program import COMMAND, Terminal, environment
from tests.support.talk import say_and_hear, talk

TRACES = ("Traceback", "unforeseen", KEY)

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_in_a_pipe_a_fault_is_said_with_the_next_step(case: Case) -> None:
    seen = one_shot(case)
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
            terminal.wait_until(lambda: re.search(step, in_a_line(terminal)), repr(step), 6)
        kept = (text_is_back if case.back == "prompt" else reply_is_kept)(terminal, case)
        before = len(stage.server.requests)
        said = say_next(terminal, stage, case)
        assert [received.said for received in stage.server.requests[before:]] == [
            [*kept, ("user", said)]
        ]
        shown = terminal.scrollback + terminal.raw.decode(errors="replace")
        assert [trace for trace in TRACES if trace in shown] == []
        assert (stage.stranger.requests, stage.stranger.asked) == ([], [])


@contextmanager
def begun(stage: Stage, home: Path) -> Iterator[Terminal]:
    with Terminal(*stage.arguments, home=home, env=stage.env) as terminal:
        terminal.wait_for_prompt()
        yield terminal


def in_a_line(terminal: Terminal) -> str:
    return " ".join(terminal.scrollback.split())


def wait_for_words(
    terminal: Terminal, words: str, read: Callable[[str], str] = str, timeout: float = 6
) -> None:
    """Wait for words that may be broken into lines."""
    terminal.wait_until(lambda: words in read(in_a_line(terminal)), repr(words), timeout)


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


# Waiting, and what a person can do then.


LATER = fails(429, "Rate limit reached.", {"Retry-After": "30"})


def test_ctrl_c_ends_the_wait_for_a_retry_in_a_pipe(home: Path, server: Loopback) -> None:
    server.then(LATER)
    with subprocess.Popen(
        [*COMMAND, "--base-url", server.base_url, "-m", "gpt-4", "hello"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert b"Trying again in 30.0 s (1 of 2)" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(20) == 130
        assert time.monotonic() - began < 1  # stopping takes 0.3 s; the rest is for a busy machine
        assert process.stderr.read() == b""
    assert len(server.requests) == 1


def test_ctrl_c_ends_the_wait_for_a_retry_in_a_terminal(home: Path, server: Loopback) -> None:
    server.then(LATER)
    with talk(home, server) as terminal:
        terminal.say("hello")
        wait_for_words(terminal, "Trying again in 30.0 s")
        terminal.key("ctrl-c")
        terminal.wait_until(lambda: prompts(terminal) == ["hello"] * 2, "the text", timeout=1)
        say_and_hear(terminal, " again", "You said: hello again")
    assert [received.said for received in server.requests] == [
        [("user", "hello")],
        [("user", "hello again")],
    ]


def silent(server: Loopback, home: Path) -> tuple[str, ...]:
    """Give the flags with which the server may be silent for half a second."""
    file = home / "config.toml"
    file.write_text("[providers.openai]\nstall_timeout = 0.5\n")
    server.then(Reply([chunk({"content": "Half a sentence"}), SILENCE]))
    return "--config", str(file)


def test_after_a_silence_r_asks_again(home: Path, server: Loopback) -> None:
    with talk(home, server, *silent(server, home)) as terminal:
        terminal.say("hello")
        terminal.wait_for("r asks again")
        terminal.type("r")
        terminal.wait_for("You said: hello")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    hello, reply = ("user", "hello"), ("assistant", "You said: hello")
    assert [received.said for received in server.requests] == [
        [hello],
        [hello],
        [hello, reply, ("user", "go on")],
    ]


def test_after_a_silence_what_still_comes_is_shown(home: Path, server: Loopback) -> None:
    go_on = threading.Event()
    flags = silent(server, home)
    server.replies[:] = [
        Reply(
            [chunk({"content": "Half a "}), go_on, chunk({"content": "word."}), chunk({}, "stop")]
        )
    ]
    with talk(home, server, *flags) as terminal:
        terminal.say("hello")
        terminal.wait_for("Still waiting")
        go_on.set()
        terminal.wait_until(lambda: "word." in terminal.scrollback, "the rest")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    kept = [("user", "hello"), ("assistant", "Half a word."), ("user", "go on")]
    assert server.requests[1].said == kept


# The page of the documentation.


def test_the_page_of_faults_is_what_the_program_says() -> None:
    file = Path(__file__).parents[2] / "docs" / "faults.md"
    assert page() == file.read_text(encoding="utf-8"), "python -m tests.support.faults makes it"
