"""A reply that stalls: in the chat it is a choice, for a single answer an error."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.loopback import Loopback, Part, Reply, chunk
from tests.support.program import Terminal, run
from tests.support.talk import long_talk, say_and_hear

SILENT = threading.Event()
"""Is never set: the server waits until it sees the client gone, or half a minute."""

NOTICE = "Still waiting: r asks again, k keeps what came."


def configured(home: Path, server: Loopback) -> tuple[str, ...]:
    """The flags for a server whose replies count as stalled after half a second."""
    config = home / "config.toml"
    config.write_text(
        'provider = "loop"\nmodel = "gpt-4"\n[providers.loop]\n'
        f'base_url = "{server.base_url}"\nstall_timeout = 0.5\nretries = 0\n'
    )
    return "--config", str(config)


@contextmanager
def talk(home: Path, server: Loopback, *flags: str) -> Iterator[Terminal]:
    with Terminal(*configured(home, server), *flags, home=home) as terminal:
        terminal.wait_for_prompt()
        yield terminal


def half(*more: Part) -> Reply:
    return Reply([chunk({"content": "Half a "}), chunk({"content": "reply"}), *more])


def wait_for_line(terminal: Terminal, line: str) -> None:
    """Wait until the last line of the talk is this one."""
    terminal.wait_until(
        lambda: re.findall(r"^> .*$", terminal.screen, re.M)[-1:] == [line], f"the line {line!r}"
    )


def test_what_came_may_be_kept(home: Path, server: Loopback) -> None:
    server.then(half(SILENT))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        terminal.read(0.4)
        assert terminal.scrollback.count(NOTICE) == 1
        terminal.type("k")
        terminal.wait_for("stopped; what came is kept")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    kept = [("user", "a story"), ("assistant", "Half a reply"), ("user", "go on")]
    assert server.requests[-1].said == kept


def test_a_turn_of_which_nothing_came_gives_the_text_back(home: Path, server: Loopback) -> None:
    server.then(Reply([SILENT]))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        terminal.type("k")
        terminal.wait_for("stopped")
        wait_for_line(terminal, "> a story")
        terminal.key("enter")
        terminal.wait_for("You said: a story")


@pytest.mark.parametrize("parts", [[], half().parts])
def test_it_may_be_asked_again(home: Path, server: Loopback, parts: list[Part]) -> None:
    server.then(Reply([*parts, SILENT]), Reply([SILENT]))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        terminal.type("r")
        terminal.wait_for("asking again")
        terminal.wait_for(NOTICE, times=2)
        terminal.type("R")
        terminal.wait_for("You said: a story")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    assert [received.said[-1] for received in server.requests[:3]] == [("user", "a story")] * 3
    assert server.requests[-1].said[:2] == [
        ("user", "a story"),
        ("assistant", "You said: a story"),
    ]


def test_a_silence_that_ends_by_itself_needs_no_choice(home: Path, server: Loopback) -> None:
    first, second = threading.Event(), threading.Event()
    more: list[Part] = [
        first,
        chunk({"content": " and "}),
        second,
        chunk({"content": "its end."}, "stop"),
    ]
    server.then(half(*more))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        first.set()
        terminal.wait_for(NOTICE, times=2)
        second.set()
        terminal.wait_for("Half a reply and its end.")
        terminal.wait_for_prompt()
        assert terminal.scrollback.count(NOTICE) == 2


def test_other_keys_go_to_the_next_prompt(home: Path, server: Loopback) -> None:
    server.then(half(SILENT))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for("Half a reply")
        terminal.type("wörk")  # before the question: no answer to it
        terminal.wait_for(NOTICE)
        for key in ("x", "y", "\x7f", " or", "rk " * 9):  # nor are Backspace or what is pasted
            terminal.read(0.3)
            terminal.type(key)
        terminal.read(0.3)
        assert "stopped" not in terminal.scrollback
        terminal.type("k")
        terminal.wait_for("stopped")
        wait_for_line(terminal, f"> wörkx or{'rk ' * 9}".rstrip())
        terminal.type("!")
        terminal.key("enter")
        terminal.wait_for("You said:")
    assert server.requests[-1].said[-1][1] == f"wörkx or{'rk ' * 9}!"


def test_going_on_with_a_reply_may_be_asked_for_again(home: Path, server: Loopback) -> None:
    cut_off = Reply([chunk({"content": "One, two"}, "length")])
    server.then(cut_off, Reply([SILENT]), Reply([chunk({"content": ", three."}, "stop")]))
    with talk(home, server) as terminal:
        terminal.say("count")
        terminal.wait_for("cut off")
        terminal.wait_for_prompt()
        terminal.say("/continue")
        terminal.wait_for(NOTICE)
        terminal.type("r")
        terminal.wait_for("One, two, three.")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    assert server.requests[-1].said[1] == ("assistant", "One, two, three.")


def test_a_plain_reply_is_not_run_into_by_the_question(home: Path, server: Loopback) -> None:
    server.then(half(SILENT))
    with talk(home, server, "--plain") as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        assert "\nHalf a reply\nNothing has come for" in terminal.screen
        terminal.type("k")
        terminal.wait_for_prompt()


def test_ctrl_c_works_as_ever(home: Path, server: Loopback) -> None:
    server.then(half(SILENT))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for(NOTICE)
        terminal.key("ctrl-c")
        terminal.wait_for("stopped; what came is kept")
        terminal.wait_for_prompt()


def test_a_summary_that_stalls_may_be_asked_for_again(home: Path, server: Loopback) -> None:
    server.then(Reply([SILENT]))
    flags = (*long_talk(home), "--overflow", "summarize")
    with talk(home, server, *flags) as terminal:
        terminal.say("hello")
        terminal.wait_for("condensing the oldest")
        terminal.wait_for(NOTICE)
        terminal.type("r")
        terminal.wait_for("condensing the oldest", times=2)
        terminal.wait_for("You said: hello")


@pytest.mark.parametrize("parts", [[], half().parts])
def test_a_single_answer_ends_with_an_error(
    home: Path, server: Loopback, parts: list[Part]
) -> None:
    server.then(Reply([*parts, SILENT]))
    done = run(*configured(home, server), "a story", home=home)
    assert done.returncode == 8
    assert done.stdout == ("Half a reply\n" if parts else "")
    assert "loop (127.0.0.1" in done.stderr
    assert "sent nothing for 0.5 seconds." in done.stderr
    assert "stall_timeout" in done.stderr
    assert "Still waiting" not in done.stderr


def test_a_single_answer_on_a_terminal_is_not_asked_about_either(
    home: Path, server: Loopback
) -> None:
    server.then(half(SILENT))
    with Terminal(*configured(home, server), "a story", home=home) as terminal:
        assert terminal.wait_for_end() == 8
        assert "Half a reply" in terminal.scrollback
        assert "sent nothing for 0.5 seconds." in terminal.scrollback
        assert "Still waiting" not in terminal.scrollback
