"""Typing into the real program in a pseudo-terminal, on the loopback server."""

from pathlib import Path

from tests.support.loopback import Loopback
from tests.support.program import Terminal, run


def test_a_talk_of_two_turns(home: Path, server: Loopback) -> None:
    with Terminal(
        "--base-url", server.base_url, "-m", "gpt-4", "-s", "Be kind.", home=home
    ) as terminal:
        terminal.wait_for_prompt()
        terminal.say("Hello there")
        terminal.wait_for("You said: Hello there")
        terminal.wait_for_prompt()
        terminal.say("And again")
        terminal.wait_for("You said: And again")
        terminal.wait_for_prompt()
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
    assert [received.said for received in server.requests] == [
        [("system", "Be kind."), ("user", "Hello there")],
        [
            ("system", "Be kind."),
            ("user", "Hello there"),
            ("assistant", "You said: Hello there"),
            ("user", "And again"),
        ],
    ]


def test_a_one_shot_prints_the_reply_alone(home: Path, server: Loopback) -> None:
    done = run("--base-url", server.base_url, "-m", "gpt-4", home=home, stdin="Hi\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: Hi\n", "")
