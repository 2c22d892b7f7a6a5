"""What is typed while a reply streams: it waits, and is sent only if all went well."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.story.test_streaming import pieces, said
from tests.support.loopback import Loopback, fails
from tests.support.program import Terminal
from tests.support.talk import talk


def lines_at_the_end(terminal: Terminal, *lines: str) -> None:
    """Wait until the talk ends with these lines, above the toolbar."""
    terminal.wait_until(
        lambda: (
            [line for line in terminal.screen.split("\n") if line][-1 - len(lines) : -1]
            == list(lines)
        ),
        f"{lines} at the prompt",
    )


@contextmanager
def replying(home: Path, server: Loopback) -> Iterator[tuple[Terminal, threading.Event]]:
    """A talk in which a reply has begun, and ends once the event is set."""
    go_on = threading.Event()
    server.then(pieces("First ", go_on, "reply."))
    with talk(home, server) as terminal:
        terminal.say("one")
        terminal.wait_for("First")
        yield terminal, go_on


def test_an_enter_in_it_sends_it_after_the_reply(home: Path, server: Loopback) -> None:
    with replying(home, server) as (terminal, go_on):
        terminal.type("two\rthree\rfo")
        terminal.paste("ur\nfive")
        terminal.read(0.3)
        assert "two" not in terminal.scrollback, "nothing is echoed"
        go_on.set()
        terminal.wait_for("You said: three")
        lines_at_the_end(terminal, "> four", "  five")
    prompts = [request[-1][1] for request in said(server)]
    assert prompts == ["one", "two", "three"]


def test_after_a_reply_that_was_stopped_it_waits(home: Path, server: Loopback) -> None:
    with replying(home, server) as (terminal, _):
        terminal.type("tow\x7f\x7fwo\rthree\r")
        terminal.read(0.3)
        terminal.key("ctrl-c")
        terminal.wait_for("stopped; what came is kept")
        lines_at_the_end(terminal, "> two", "  three")
        assert len(server.requests) == 1
        terminal.say("!")
        terminal.wait_for("You said: two three!")
    assert said(server)[1][-1] == ("user", "two\nthree!")


def test_after_an_error_it_stands_below_the_line_that_comes_back(
    home: Path, server: Loopback
) -> None:
    server.then(fails(401, "That key is not known."))
    with talk(home, server) as terminal:
        terminal.type("one\rtwo\r")
        terminal.wait_for("did not accept the key")
        lines_at_the_end(terminal, "> one", "  two")
        assert len(server.requests) == 1


def test_a_tab_in_it_completes(home: Path, server: Loopback) -> None:
    with replying(home, server) as (terminal, go_on):
        terminal.type("/toke\t\r")
        terminal.read(0.2)
        go_on.set()
        terminal.wait_for("tokens in 2 messages")


def test_it_does_not_go_to_a_program_that_is_run_meanwhile(home: Path, server: Loopback) -> None:
    editor = home / "editor.sh"
    editor.write_text('read -t 1 word; printf %s "edited:$word" >"$1"\n')
    with talk(home, server, env={"VISUAL": f"sh '{editor}'"}) as terminal:
        terminal.type("a line\x18\x05")
        terminal.wait_for("> edited:")
        terminal.say("!")
        terminal.wait_for("You said: edited:!")
