"""Talks that outgrow the model's context window, on a server that enforces it."""

import json
import re
from pathlib import Path

import pytest

from tests.support.loopback import Loopback, Received, Reply, with_window
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk

LIMIT = 4_096
TURNS = 10


def watch(server: Loopback, limit: int = LIMIT, hunger: float = 1.0) -> list[int]:
    """Let the server enforce a window, and give the statuses that it will answer with."""
    enforced = with_window(limit, hunger=hunger)
    statuses: list[int] = []

    def usual(received: Received) -> Reply:
        reply = enforced(received)
        statuses.append(reply.status)
        return reply

    server.usual = usual
    return statuses


def message(number: int) -> str:
    """A message of 600 tokens and a few; ten of them are twice what the window has room for."""
    return f"Message {number} " + "ꙮ" * 200  # three tokens each, in both vocabularies


def tell(terminal: Terminal, number: int) -> None:
    """Paste a long message, as nobody types one, and wait for its reply."""
    terminal.paste(message(number))
    terminal.key("enter")
    terminal.wait_for("Noted number", times=number)
    terminal.wait_for_prompt()


def assert_well_formed(received: Received, number: int) -> None:
    """It begins with the system message, then a user message, and ends with what was said."""
    roles = [role for role, _ in received.said]
    assert roles[0] == "system"
    assert roles[1::2] == ["user"] * len(roles[1::2])
    assert roles[2::2] == ["assistant"] * len(roles[2::2])
    assert received.said[-1] == ("user", message(number))


def test_ten_turns_in_a_small_window_without_one_error(home: Path, server: Loopback) -> None:
    statuses = watch(server)
    with talk(home, server, "-s", "Be kind.", model="gpt-35-turbo") as terminal:
        for number in range(1, TURNS + 1):
            tell(terminal, number)
        shown = terminal.scrollback
    assert statuses == [200] * TURNS
    for number, received in enumerate(server.requests, 1):
        assert_well_formed(received, number)
    assert len(server.requests[1].said) == 4, "nothing is left out before it must be"
    assert len(server.requests[-1].said) < 2 * TURNS
    assert re.search(r"left out \d+ exchanges?, [\d,]+ tokens; /context shows them", shown)


@pytest.mark.parametrize(
    ("model", "flags"),
    [("gpt-35-turbo", ()), ("what-1", ("--context-window", str(LIMIT)))],
)
def test_a_server_that_counts_more_is_no_concern_of_the_user(
    home: Path, server: Loopback, model: str, flags: tuple[str, ...]
) -> None:
    statuses = watch(server, hunger=1.6)
    with talk(home, server, "-s", "Be kind.", *flags, model=model) as terminal:
        for number in range(1, TURNS + 1):
            tell(terminal, number)
        shown = terminal.scrollback
    answered = [
        received
        for received, status in zip(server.requests, statuses, strict=True)
        if status == 200
    ]
    assert len(answered) == TURNS
    for number, received in enumerate(answered, 1):
        assert_well_formed(received, number)
    for word in ("exceeds", "refused", "does not fit", "unforeseen"):
        assert word not in shown
    assert statuses.count(400) <= 2, "one lesson is enough, and the second is to be sure"


def test_a_server_with_a_smaller_window_than_was_known(home: Path, server: Loopback) -> None:
    statuses = watch(server, limit=2_500)
    flags = ("-s", "Be kind.", "--max-tokens", "500")
    with talk(home, server, *flags, model="gpt-35-turbo") as terminal:
        for number in range(1, 6):
            tell(terminal, number)
        terminal.wait_for("of 2,500 tokens")
    assert statuses.count(200) == 5
    assert statuses.count(400) == 1


def test_a_message_that_does_not_fit_comes_back_with_the_numbers(
    home: Path, server: Loopback
) -> None:
    statuses = watch(server)
    with talk(home, server, model="gpt-35-turbo", lines=30) as terminal:
        say_and_hear(terminal, "hello", "Noted number 1.")
        terminal.paste("ꙮ" * 1_340 + " end")
        terminal.wait_for("ꙮ end")
        terminal.key("enter")
        terminal.wait_for("The message does not fit")
        words = " ".join(terminal.scrollback.split())
        # The text, "user" and the frame of 3, and 3 that prime the reply.
        assert "4,028 tokens with the system message, and 1,024 kept for the reply" in words
        assert "in a window of 4,096" in words
        terminal.wait_for("ꙮ end", times=2)
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "shorter", "Noted number 3.")
    assert statuses == [200, 200]


def test_a_loaded_talk_goes_on_in_the_chat(home: Path, server: Loopback) -> None:
    file = home / "talk.json"
    loaded = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hello", "name": "ann"},
        {"role": "assistant", "content": "Hello Ann."},
    ]
    file.write_text(json.dumps(loaded))
    with talk(home, server, "--load", str(file)) as terminal:
        say_and_hear(terminal, "who am I?")
    assert server.requests[0].body["messages"] == [
        *loaded,
        {"role": "user", "content": "who am I?"},
    ]


def test_a_loaded_question_is_answered_first(home: Path, server: Loopback) -> None:
    file = home / "talk.json"
    file.write_text(json.dumps([{"role": "user", "content": "are you there?"}]))
    with talk(home, server, "--load", str(file)) as terminal:
        terminal.wait_for("You said: are you there?")
        say_and_hear(terminal, "good")
    assert [received.said for received in server.requests] == [
        [("user", "are you there?")],
        [
            ("user", "are you there?"),
            ("assistant", "You said: are you there?"),
            ("user", "good"),
        ],
    ]
