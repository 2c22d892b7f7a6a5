"""A reply while it streams: how it looks, how it is stopped, how it fails."""

import re
import socket
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.loopback import Cut, Loopback, Part, Reply, chunk, fails, says
from tests.support.program import COMMAND, Terminal
from tests.support.talk import say_and_hear, talk

AT_ONCE = {"retry-after-ms": "1"}


def said(server: Loopback) -> list[list[tuple[str, str]]]:
    return [received.said for received in server.requests]


def pieces(*texts: Part | str, finish: str | None = "stop") -> Reply:
    """A reply of these pieces; what is no text is done between them."""
    parts = [chunk({"content": text}) if isinstance(text, str) else text for text in texts]
    return Reply([*parts, chunk({}, finish)])


def wait_for_text_at_the_prompt(terminal: Terminal, text: str) -> None:
    """Wait until the last line that was typed into is `text` once more."""
    terminal.wait_until(
        lambda: (
            re.findall(r"^> .*$", terminal.screen, re.M)[-1:] == [f"> {text}"]
            and len(re.findall(rf"^> {re.escape(text)}$", terminal.screen, re.M)) > 1
        ),
        f"{text!r} at the prompt",
    )


def test_ctrl_c_before_the_first_word_gives_the_text_back(home: Path, server: Loopback) -> None:
    server.then(pieces(threading.Event(), "never"))
    with talk(home, server) as terminal:
        terminal.say("too slow")
        terminal.wait_until(lambda: server.requests, "the request")
        terminal.wait_until(lambda: re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", terminal.screen), "a spinner")
        terminal.key("ctrl-c")
        terminal.wait_for("stopped")
        wait_for_text_at_the_prompt(terminal, "too slow")
        assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", terminal.scrollback)
        terminal.key("enter")
        terminal.wait_for("You said: too slow")
    assert said(server) == [[("user", "too slow")], [("user", "too slow")]]


def test_ctrl_c_in_the_middle_keeps_what_came(home: Path, server: Loopback) -> None:
    server.then(pieces("Once upon ", "a time", threading.Event(), "never"))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for("Once upon a time")
        terminal.key("ctrl-c")
        terminal.wait_for("stopped")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
        assert terminal.scrollback.count("Once upon a time") == 1
    kept = [("user", "a story"), ("assistant", "Once upon a time"), ("user", "go on")]
    assert said(server)[1] == kept


def test_what_is_typed_while_a_reply_streams_waits_at_the_prompt(
    home: Path, server: Loopback
) -> None:
    go_on = threading.Event()
    server.then(pieces("The first half ", go_on, "and the second."))
    with talk(home, server) as terminal:
        terminal.say("tell me")
        terminal.wait_for("The first half")
        terminal.type("impatient")
        terminal.read(0.3)
        assert "impatient" not in terminal.scrollback
        go_on.set()
        terminal.wait_for("The first half and the second.")
        terminal.wait_for("> impatient")
        terminal.type(" words")
        terminal.key("enter")
        terminal.wait_for("You said: impatient words")
    assert said(server)[1][-1] == ("user", "impatient words")


class Jobs(Terminal):
    """A shell with job control, which goes on when the program is suspended."""

    command: ClassVar[list[str]] = [
        *("bash", "--norc", "-ic", '"$@"; echo "come back"; sleep 60', "bash", *COMMAND)
    ]


def test_ctrl_z_waits_for_the_end_of_a_reply(home: Path, server: Loopback) -> None:
    """Else the shell would run what was typed ahead."""
    go_on = threading.Event()
    server.then(pieces("The first half ", go_on, "and the second."))
    with Jobs("--base-url", server.base_url, "-m", "gpt-4", home=home) as terminal:
        terminal.wait_for_prompt()
        terminal.say("tell me")
        terminal.wait_for("The first half")
        terminal.type("typed ahead\x1a")
        terminal.read(0.3)
        go_on.set()
        terminal.wait_for("come back")
        shown = terminal.scrollback
        assert shown.index("and the second.") < shown.index("come back")
        assert "typed: " not in shown, "nothing is run"


def test_a_reply_that_is_not_whole_is_said_to_be_so(home: Path, server: Loopback) -> None:
    endings = {
        "length": "cut off: it reached max_tokens (2,048)",
        "content_filter": "cut off by the server's content filter",
        None: "may be incomplete",
    }
    server.then(*(says(f"Half a sent {finish}", finish) for finish in endings))
    with talk(home, server) as terminal:
        for finish, words in endings.items():
            terminal.say("tell me")
            terminal.wait_for(f"Half a sent {finish}")
            terminal.wait_for(words)
            terminal.wait_for_prompt()
        say_and_hear(terminal, "go on")
    kept = [content for role, content in said(server)[-1] if role == "assistant"]
    assert kept == [f"Half a sent {finish}" for finish in endings]


def test_after_an_error_the_text_is_back_and_the_next_turn_works(
    home: Path, server: Loopback
) -> None:
    failures: list[tuple[list[Reply], str]] = [
        ([fails(500, "out of order", AT_ONCE)] * 3, "failed with status 500: out of order"),
        ([fails(401, "bad key")], "did not accept the key: bad key"),
        ([fails(404, "no such model")], "does not know the model 'gpt-4'"),
        ([pieces("")], "The reply was empty."),
        ([Reply(body=b"<html>hello</html>")], "no chat completion"),
    ]
    with talk(home, server) as terminal:
        for number, (replies, words) in enumerate(failures):
            server.then(*replies)
            terminal.say(f"hello {number}")
            wait_for_text_at_the_prompt(terminal, f"hello {number}")
            assert words in " ".join(terminal.scrollback.split())
            terminal.type(" again")
            terminal.key("enter")
            terminal.wait_for(f"You said: hello {number} again")
            terminal.wait_for_prompt()
        assert "Traceback" not in terminal.scrollback
    asked = [content for role, content in said(server)[-1] if role == "user"]
    assert asked == [f"hello {number} again" for number in range(len(failures))]


def test_a_connection_that_is_refused_ends_nothing(home: Path, server: Loopback) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        config = home / "config.toml"
        config.write_text(
            f'[providers.off]\nbase_url = "{url}"\nretries = 0\n'
            f'[providers.on]\nbase_url = "{server.base_url}"\n'
        )
        flags = ("--config", str(config), "--provider", "off", "-m", "gpt-4")
        with Terminal(*flags, home=home) as terminal:
            terminal.wait_for_prompt()
            terminal.say("hello")
            terminal.wait_for("No connection to off")
            wait_for_text_at_the_prompt(terminal, "hello")
            terminal.key("ctrl-c")
            terminal.wait_for_prompt()
            terminal.say("/model on/gpt-4")
            terminal.wait_for("on/gpt-4: a window of")
            terminal.wait_for_prompt()
            say_and_hear(terminal, "and now")
    assert said(server) == [[("user", "and now")]]


def test_a_retry_is_said_and_then_answered(home: Path, server: Loopback) -> None:
    server.then(fails(503, "busy", AT_ONCE))
    with talk(home, server) as terminal:
        say_and_hear(terminal, "hello")
        assert "Trying again" in terminal.screen
    assert said(server) == [[("user", "hello")]] * 2


def test_what_came_before_the_stream_was_cut_is_kept(home: Path, server: Loopback) -> None:
    server.then(pieces("It was a dark ", "and stormy", 0.2, Cut()))
    with talk(home, server) as terminal:
        terminal.say("a story")
        terminal.wait_for("closed the connection")
        terminal.wait_for_prompt()  # empty: the exchange is in the conversation already
        assert terminal.scrollback.count("It was a dark and stormy") == 1
        say_and_hear(terminal, "go on")
    assert said(server)[1][1] == ("assistant", "It was a dark and stormy")


def test_control_sequences_of_a_server_never_reach_the_terminal(
    home: Path, server: Loopback
) -> None:
    evil = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x9b5m\u202e"
    server.then(
        pieces("Fine", *evil, "text. ", f"`{evil}` and\n\n```{evil}\n{evil}code\n```\n"),
        fails(400, f"Wrong{evil} request"),
        pieces(chunk({"content": "modelled"}, model=f"x{evil}")),
    )
    with talk(home, server) as terminal:
        say_and_hear(terminal, "one", "Finetext.")
        terminal.say("two")
        terminal.wait_for("Wrong request")
        wait_for_text_at_the_prompt(terminal, "two")
        terminal.key("enter")
        terminal.wait_for("modelled")
        terminal.wait_for_prompt()
        raw = terminal.raw
    for mark in (b"owned", b"]52;", b"b3duZWQ", "\x9b".encode(), "\u202e".encode()):
        assert mark not in raw


def test_a_lone_surrogate_does_no_harm(home: Path, server: Loopback) -> None:
    server.then(pieces("Half a pair \ud83d is here", " and the rest.\n"))
    with talk(home, server) as terminal:
        terminal.say("hello")
        terminal.wait_for("and the rest.")
        terminal.wait_for_prompt()
        assert "unforeseen" not in terminal.scrollback
        say_and_hear(terminal, "more")


MARKDOWN = """# Title

Some **bold** words, long enough that forty columns are too few for them.

- one
- two

```python
x = 1
```
"""


@pytest.mark.parametrize("columns", [80, 40])
def test_a_reply_is_rendered_as_markdown_for_the_width(
    home: Path, server: Loopback, columns: int
) -> None:
    server.then(says(MARKDOWN))
    with talk(home, server, columns=columns) as terminal:
        say_and_hear(terminal, "show me", "x = 1")
        lines = terminal.scrollback.split("\n")
        assert "Title".center(columns).rstrip() in lines
        assert lines[lines.index(" • one") + 1] == " • two"
        assert " x = 1" in lines
        assert "**" not in terminal.scrollback
        assert "```" not in terminal.scrollback
        paragraph = " ".join(lines[lines.index("Title".center(columns).rstrip()) + 2 :][:2])
        assert paragraph.startswith("Some bold words, long enough that forty columns are too few")
        assert (lines[lines.index(" • one") - 3] == "") == (columns == 80)
        assert b"\x1b[1mbold" in terminal.raw


def test_plain_shows_the_text_as_it_came_but_for_control_sequences(
    home: Path, server: Loopback
) -> None:
    server.then(pieces("**bold** \x1b[31mand\x1b[0m\n\n", "- a\n", "- b"))
    with talk(home, server, "--plain") as terminal:
        say_and_hear(terminal, "show me", "- b")
        assert "**bold** and\n\n- a\n- b\n" in terminal.screen
        assert b"\x1b[31m" not in terminal.raw


def test_a_dumb_terminal_gets_lines_only(home: Path, server: Loopback) -> None:
    server.then(says(MARKDOWN), fails(400, "not this"))
    with talk(home, server, env={"TERM": "dumb"}) as terminal:

        def wait_for_keys() -> None:
            """Wait until the prompt reads key by key: there it is written a moment before."""
            terminal.wait_until(lambda: not terminal.process.getecho(), "the prompt to read")

        wait_for_keys()
        terminal.say("show me")
        terminal.wait_for("x = 1")
        terminal.wait_for_prompt()
        wait_for_keys()
        terminal.say("what")
        terminal.wait_for("not this")
        assert b"\x1b" not in terminal.raw
        # What is back at the prompt must be seen, or it is sent unseen.
        terminal.wait_until(lambda: terminal.screen.endswith("> what"), "the text at the prompt")
        wait_for_keys()
        terminal.type(" now")
        terminal.key("enter")
        terminal.wait_for("You said: what now")
    assert said(server)[-1][-1] == ("user", "what now")


def test_no_color_means_no_colours(home: Path, server: Loopback) -> None:
    server.then(says(MARKDOWN), fails(400, "not this"))
    with talk(home, server, env={"NO_COLOR": "1", "COLORTERM": "truecolor"}) as terminal:
        say_and_hear(terminal, "show me", "x = 1")
        terminal.say("again")
        terminal.wait_for("not this")
        wait_for_text_at_the_prompt(terminal, "again")
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        terminal.type("/")
        terminal.wait_for("/persona")
        codes = b";".join(re.findall(rb"\x1b\[([\d;]*)m", terminal.raw)).split(b";")
    assert codes, "bold is no colour"
    assert not [code for code in codes if code[:1] in b"34" and len(code) == 2 and code != b"39"]
    assert not [code for code in codes if code.isdigit() and int(code) >= 90]


def test_a_window_that_changes_its_size_keeps_each_line_once(home: Path, server: Loopback) -> None:
    steps = [threading.Event() for _ in range(3)]
    server.then(
        pieces(
            "First line.\n\nSecond ",
            steps[0],
            "line.\n\nThird ",
            steps[1],
            "line.\n\n```\nfourth\n",
            steps[2],
            "fifth\n```\n\nThe sixth line.",
        )
    )
    with talk(home, server) as terminal:
        terminal.say("count")
        for step, columns, text in zip(
            steps, (60, 100, 50), ("Second", "Third", "fourth"), strict=True
        ):
            terminal.wait_for(text)
            terminal.resize(columns, 24)
            step.set()
        terminal.wait_for("The sixth line.")
        terminal.wait_for_prompt()
        lines = [line.strip() for line in terminal.scrollback.split("\n")]
        for line in ("First", "Second", "Third"):
            assert lines.count(f"{line} line.") == 1
            assert terminal.scrollback.count(line) == 1
        assert [line for line in lines if line in {"fourth", "fifth"}] == ["fourth", "fifth"]
        assert lines.count("The sixth line.") == 1


def test_a_long_code_block_leaves_each_line_once_in_the_scrollback(
    home: Path, server: Loopback
) -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(60))
    server.then(says(f"Look:\n\n```python\n{code}```\n\nDone.", pause=0.002))
    with talk(home, server, lines=12) as terminal:
        say_and_hear(terminal, "show me", "Done.")
        shown = re.findall(r"^ (line_\d+) = \d+$", terminal.scrollback, re.M)
    assert shown == [f"line_{number}" for number in range(60)]
