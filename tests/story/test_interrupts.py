"""Ctrl-C, at every moment of a turn: the prompt is back, or the program gone, at once."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.loopback import Loopback, Reply, chunk, fails
from tests.support.mute import Mute, full_port
from tests.support.program import COMMAND, Terminal, environment
from tests.support.talk import long_talk, say_and_hear, talk

AT_ONCE = 0.3
"""Seconds that Ctrl-C may take."""

SILENT = threading.Event()
"""Is never set: the server waits until it sees the client gone, or half a minute."""


def is_waiting(terminal: Terminal) -> bool:
    return bool(re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", terminal.screen))


def interrupt(terminal: Terminal) -> float:
    """Press Ctrl-C and give how long it takes until the turn has ended."""
    start = time.monotonic()
    terminal.key("ctrl-c")
    terminal.wait_for("stopped")
    return time.monotonic() - start


def assert_text_is_back(terminal: Terminal, text: str) -> None:
    terminal.wait_until(
        lambda: re.findall(r"^> .*$", terminal.screen, re.M)[-1:] == [f"> {text}"],
        f"{text!r} at the prompt",
    )


@contextmanager
def mute_url() -> Iterator[str]:
    with Mute(None) as server:
        yield f"http://127.0.0.1:{server.port}/v1"


@contextmanager
def full_url() -> Iterator[str]:
    with full_port() as port:
        yield f"http://127.0.0.1:{port}/v1"


def ending(program: "subprocess.Popen[bytes]", after: float = 0.0) -> float:
    """Interrupt a one-shot, and give how long it takes to be gone."""
    time.sleep(after)
    start = time.monotonic()
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=20)
    took = time.monotonic() - start
    assert program.returncode == 130, said
    assert b"Traceback" not in said
    return took


def one_shot(home: Path, base_url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, "--base-url", base_url, "-m", "gpt-4", "hello"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("nowhere", [mute_url, full_url])
def test_while_connecting(home: Path, nowhere: Callable[[], AbstractContextManager[str]]) -> None:
    with nowhere() as url:
        with Terminal("--base-url", url, "-m", "gpt-4", home=home) as terminal:
            terminal.wait_for_prompt()
            terminal.say("hello")
            terminal.read(0.7)
            assert interrupt(terminal) < AT_ONCE
            assert_text_is_back(terminal, "hello")
        with one_shot(home, url) as program:
            assert ending(program, after=1.5) < 2 * AT_ONCE


def test_while_waiting_for_the_first_word(home: Path, server: Loopback) -> None:
    server.then(Reply([SILENT]), Reply([SILENT]))
    with talk(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_until(lambda: server.requests, "the request")
        terminal.wait_until(lambda: is_waiting(terminal), "a spinner")
        assert interrupt(terminal) < AT_ONCE
        assert_text_is_back(terminal, "hello")
    with one_shot(home, server.base_url) as program:
        while len(server.requests) < 2:
            time.sleep(0.02)
        assert ending(program, after=0.1) < 2 * AT_ONCE


def test_while_a_reply_streams(home: Path, server: Loopback) -> None:
    words = [part for _ in range(2_000) for part in (chunk({"content": "more "}), 0.005)]
    server.then(Reply(words))
    with talk(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_for("more more more")
        assert interrupt(terminal) < AT_ONCE
        terminal.wait_for("stopped; what came is kept")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "and now")
    role, kept = server.requests[-1].said[1]
    assert role == "assistant"
    assert kept.startswith("more more more ")
    server.then(Reply(words))
    with one_shot(home, server.base_url) as program:
        assert program.stdout is not None
        program.stdout.read(10)
        assert ending(program) < 2 * AT_ONCE


def test_while_a_retry_is_waited_for(home: Path, server: Loopback) -> None:
    server.then(*[fails(429, "Slow down.", {"retry-after": "50"})] * 2)
    with talk(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_for("Trying again in 50.0 s")
        assert interrupt(terminal) < AT_ONCE
        assert_text_is_back(terminal, "hello")
    with one_shot(home, server.base_url) as program:
        while len(server.requests) < 2:
            time.sleep(0.02)
        assert ending(program, after=0.1) < 2 * AT_ONCE


def test_while_the_oldest_exchanges_are_condensed(home: Path, server: Loopback) -> None:
    server.then(Reply([SILENT]))
    with talk(home, server, *long_talk(home), "--overflow", "summarize") as terminal:
        terminal.say("hello")
        terminal.wait_for("condensing the oldest")
        terminal.wait_until(lambda: server.requests, "the request")
        assert interrupt(terminal) < AT_ONCE
        assert_text_is_back(terminal, "hello")
        terminal.key("enter")
        terminal.wait_for("condensing the oldest", times=2)


def test_while_the_embedded_model_is_started(home_with_model: Path) -> None:
    with Terminal("--provider", "embedded", home=home_with_model) as terminal:
        terminal.wait_for_prompt()
        terminal.say("Tell me a long story.")
        terminal.wait_until(lambda: is_waiting(terminal), "a spinner")
        assert interrupt(terminal) < AT_ONCE
        terminal.wait_for("> ", times=2)
