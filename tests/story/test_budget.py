"""A budget, spent by one program after the other: said, asked about, and kept to."""

import json
from pathlib import Path

from tests.story.test_full_window import wait_for_line_back, words_of
from tests.support.loopback import Loopback, says
from tests.support.program import Terminal, run
from tests.support.store import count, rows
from tests.support.talk import say_and_hear, talk

# Each reply costs $0.10: 100 tokens, by the server's count.
CONFIG = """
budget = { day = 0.25, month = "2M tokens" }
max_tokens = 100
[models."gpt-4"]
prices = { prompt = 0, completion = 1000 }
"""


def flags(home: Path, config: str = CONFIG) -> tuple[str, ...]:
    file = home / "config.toml"
    file.write_text(config)
    return "--config", str(file)


def ask(home: Path, server: Loopback, *arguments: str) -> tuple[int, str]:
    """Ask one thing; give the status and what was said on stderr."""
    flag = ("--config", str(home / "config.toml"), "--base-url", server.base_url, "-m", "gpt-4")
    done = run(*flag, *arguments, "Hello", home=home)
    return done.returncode, done.stderr


def test_programs_share_a_budget_and_the_chat_asks(home: Path, server: Loopback) -> None:
    server.usual = lambda _: says("Yes.", usage=(10, 100))
    database = home / "chatrepl" / "data" / "sessions.db"
    flag = flags(home)
    assert ask(home, server, "--no-save") == (0, "")
    assert (count(database, "session"), count(database, "message")) == (0, 0)
    assert rows(database, "SELECT model, completion_tokens FROM completion") == [("gpt-4", 100)]
    with talk(home, server, *flag) as terminal:
        say_and_hear(terminal, "One.", "Yes.")
        below = words_of(terminal).rpartition("Yes.")[2]
        assert "80 % of the day's budget is used: $0.20 of $0.25." in below
        terminal.wait_until(lambda: terminal.screen.endswith("tokens · $0.10"), "the toolbar")
        question(terminal, "Two.", "This request may cost up to $0.10; $0.20 of the day's $0.25")
        assert "Lower --max-tokens, raise the budget or wait until tomorrow. /set" in words_of(
            terminal
        )
        terminal.say("y")
        terminal.wait_for("Yes.", times=2)
        terminal.wait_for_prompt()
        question(terminal, "Three.", "$0.30 of the day's $0.25 are spent (budget.day in /")
        assert "Raise the budget or wait until tomorrow." in words_of(terminal)
        terminal.say("n")
        wait_for_line_back(terminal, "Three.")
        terminal.key("ctrl-c")
        terminal.say("/usage")
        terminal.wait_for("120 % of the day's budget is used: $0.30 of $0.25.")
        terminal.wait_for("0 % of the month's budget is used: 330 of 2,000,000 tokens.")
        lines = [line.split() for line in terminal.screen.splitlines()]
        assert ["reply", "2", "10", "0", "100", "0", "$0.10"] in lines
        assert ["total", "20", "0", "200", "0", "$0.20"] in lines
    bill = json.loads(run("usage", "--by", "session", "--json", home=home).stdout)
    assert [
        (row["title"], row["prompt_tokens"], row["completion_tokens"], row["cost"])
        for row in bill["rows"]
    ] == [("One.", 20, 200, "0.2"), (None, 10, 100, "0.1")]
    assert len(server.requests) == 3
    status, said = ask(home, server)
    assert status == 10
    assert said.startswith("This request may cost up to $0.10; $0.30 of the day's $0.25 are spent")
    assert len(said.splitlines()) == 2
    assert len(server.requests) == 3
    assert (count(database, "completion"), count(database, "reservation")) == (3, 0)
    flags(home, 'max_tokens = 20\nbudget = { month = "0.5k tokens" }')
    near = "88 % of the month's budget is used: 440 of 500 tokens.\n"
    assert ask(home, server) == (0, near), "it is this reply that brings it near"


def question(terminal: Terminal, text: str, words: str) -> None:
    """Say something and see the question."""
    terminal.say(text)
    terminal.wait_until(lambda: terminal.screen.endswith("\ny/n>"), "the question")
    assert words in words_of(terminal)
