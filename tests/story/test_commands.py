"""The slash commands, typed into the real program."""

import re
from pathlib import Path

from chatrepl.terminal.commands import COMMANDS
from tests.support.loopback import Loopback, says
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk

CONFIG = """
[personas.pirate]
system = "You are a pirate."
examples = [{ user = "Hello", assistant = "Ahoy" }]
max_tokens = 77

[personas.poet]
system = "You are a poet."
model = "gpt-4-32k"
"""


def command(terminal: Terminal, line: str, *answers: str) -> None:
    """Type a command, see all its answers and the next prompt."""
    terminal.say(line)
    for answer in answers:
        terminal.wait_for(answer)
    terminal.wait_for_prompt()


def refused(terminal: Terminal, line: str, *answers: str) -> None:
    """Type what is answered with an error, see it and the line at the next prompt; clear it."""
    terminal.say(line)
    for answer in answers:
        terminal.wait_for(answer)
    terminal.wait_for(f"> {line}", times=2)
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()


def said(server: Loopback) -> list[list[tuple[str, str]]]:
    return [received.said for received in server.requests]


def test_help_lists_every_command_and_key(home: Path, server: Loopback) -> None:
    with talk(home, server, lines=60) as terminal:
        command(terminal, "/help", "Ctrl-D")
        rows = [re.split(r" {2,}", line.strip()) for line in terminal.screen.split("\n")]
        for each in COMMANDS:
            assert [each.usage, each.help] in rows
        assert any("//" in row[0] for row in rows)
        command(terminal, "/help /retry", "The one before stays as a branch.")
        refused(terminal, "/help nothing", "There is no command /nothing.")
    assert server.requests == []


def test_system_shows_sets_and_removes_the_system_message(home: Path, server: Loopback) -> None:
    with talk(home, server, "-s", "Be kind.") as terminal:
        command(terminal, "/system", "system: Be kind.")
        command(terminal, "/system Be brief.", "system: Be brief.")
        say_and_hear(terminal, "one")
        command(terminal, '/system ""', "no system message")
        say_and_hear(terminal, "two")
    assert [messages[0] for messages in said(server)] == [("system", "Be brief."), ("user", "one")]


def test_persona_lists_and_switches(home: Path, server: Loopback) -> None:
    config = home / "config.toml"
    config.write_text(CONFIG)
    with talk(home, server, "--config", str(config)) as terminal:
        command(terminal, "/persona", "You are a pirate.", "You are a poet.")
        say_and_hear(terminal, "hello")
        command(terminal, "/persona pirate", "persona: pirate")
        say_and_hear(terminal, "again")
        refused(terminal, "/persona nobody", "There is no persona 'nobody'", "pirate, poet")
    examples = [("user", "Hello"), ("assistant", "Ahoy")]
    talked = [("user", "hello"), ("assistant", "You said: hello"), ("user", "again")]
    assert said(server)[1] == [("system", "You are a pirate."), *examples, *talked]
    assert server.requests[1].body["max_tokens"] == 77


def test_model_shows_and_switches_and_the_talk_goes_on(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        command(terminal, "/model", "gpt-4: a window of 8,192 tokens", "replies of up to 2,048")
        say_and_hear(terminal, "one")
        command(terminal, "/model gpt-4-32k", "a window of 32,768 tokens")
        terminal.wait_for("gpt-4-32k · ")
        say_and_hear(terminal, "two")
        command(terminal, "/model what-1", "4,096 tokens (assumed")
        refused(terminal, "/model embedded/nothing", "has no model 'nothing'")
    assert [received.body["model"] for received in server.requests] == ["gpt-4", "gpt-4-32k"]
    assert len(said(server)[1]) == 3


def test_clear_begins_anew_and_keeps_the_system_message(home: Path, server: Loopback) -> None:
    with talk(home, server, "-s", "Be kind.") as terminal:
        say_and_hear(terminal, "one")
        command(terminal, "/clear", "a new conversation")
        say_and_hear(terminal, "two")
    assert said(server)[1] == [("system", "Be kind."), ("user", "two")]


def test_tokens_tells_what_the_talk_costs(home: Path, server: Loopback) -> None:
    server.then(says("Hi.", usage=(9, 5)))
    with talk(home, server) as terminal:
        say_and_hear(terminal, "hello", "Hi.")
        command(terminal, "/tokens", "for the reply")
        # 3 for the reply, 3 + user + hello, 3 + assistant + two tokens.
        assert "14 tokens in 2 messages" in terminal.screen
        assert "8,192, of which 2,048 for the reply" in terminal.screen
        assert "≈" not in terminal.screen


def test_an_estimate_is_marked_as_one(home: Path, server: Loopback) -> None:
    with talk(home, server, "--context-window", "9000", model="what-1") as terminal:
        terminal.wait_for("what-1 · ≈3 of 9,000 tokens")
        command(terminal, "/tokens", "tokenizer is not known")


def test_retry_asks_again_and_the_old_reply_goes(home: Path, server: Loopback) -> None:
    server.then(says("A first reply."), says("A second reply."))
    with talk(home, server) as terminal:
        command(terminal, "/retry", "nothing to ask again")
        say_and_hear(terminal, "one", "A first reply.")
        say_and_hear(terminal, "/retry", "A second reply.")
        say_and_hear(terminal, "two")
    one = ("user", "one")
    assert said(server)[:2] == [[one], [one]]
    assert said(server)[2] == [one, ("assistant", "A second reply."), ("user", "two")]


def test_undo_takes_the_message_back_to_the_prompt(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        command(terminal, "/undo", "nothing to undo")
        say_and_hear(terminal, "one")
        say_and_hear(terminal, "two")
        terminal.say("/undo")
        terminal.wait_until(lambda: re.search(r"again\n+> two$", terminal.screen, re.M), "two")
        terminal.type(" and a half")
        terminal.key("enter")
        terminal.wait_for("You said: two and a half")
    talked = [("user", "one"), ("assistant", "You said: one")]
    assert said(server)[2] == [*talked, ("user", "two and a half")]


def test_quit_leaves_with_status_0(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.say("/quit")
        assert terminal.wait_for_end() == 0


def test_an_unknown_command_stays_at_the_prompt_and_nothing_is_sent(
    home: Path, server: Loopback
) -> None:
    with talk(home, server) as terminal:
        refused(terminal, "/modle x", "There is no command /modle.", "Did you mean /model?")
        assert server.requests == []
        say_and_hear(terminal, "hello")


def test_a_message_may_begin_with_a_slash(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "//help me", "You said: /help me")
        say_and_hear(terminal, "/etc/hosts is what?")
    assert said(server)[1][::2] == [("user", "/help me"), ("user", "/etc/hosts is what?")]
