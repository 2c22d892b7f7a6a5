"""The first run: three quiet lines at most, and never again."""

from pathlib import Path

import pytest

from chatrepl.greeting import greeting, is_first_run
from chatrepl.paths import Paths
from tests.support.loopback import Loopback
from tests.support.program import Terminal, environment

SMALL = "SmolLM2-135M-Instruct"


def paths_in(home: Path) -> Paths:
    return Paths.from_environment(environment(home))


@pytest.mark.parametrize("chosen", [True, False])
def test_a_newcomer_is_told_who_answers_where_the_settings_are_and_of_help(chosen: bool) -> None:
    home = Path.home() / ".config"
    paths = Paths(home / "chatrepl", home, home)
    lines = greeting(SMALL, "embedded", paths, chosen=chosen, first=True)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    told = "\n".join(lines)
    for words in (f"{SMALL} answers", "~/.config/chatrepl/config.toml", "chatrepl init", "/help"):
        assert words in told
    assert ("OPENAI_API_KEY" in told) is not chosen


def test_who_has_been_here_is_told_only_that_a_key_is_missing(home: Path) -> None:
    paths = paths_in(home)
    assert greeting("gpt-4", "openai", paths, chosen=True, first=False) == []
    (line,) = greeting(SMALL, "embedded", paths, chosen=False, first=False)
    assert line.startswith("No key is set: SmolLM2-135M-Instruct answers")


@pytest.mark.parametrize("left", ["data/history", "data/sessions.db", "config/config.toml"])
def test_a_run_is_the_first_until_something_is_there(home: Path, left: str) -> None:
    paths = paths_in(home)
    assert is_first_run(paths)
    file = home / "chatrepl" / left
    file.parent.mkdir(parents=True)
    file.touch()
    assert not is_first_run(paths)


def test_a_newcomer_is_greeted_once_above_the_prompt(home: Path, server: Loopback) -> None:
    flags = ("--base-url", server.base_url, "-m", "gpt-4")
    with Terminal(*flags, home=home, first=True) as terminal:
        terminal.type("hel")
        terminal.wait_for("Help: /help")
        terminal.wait_until(lambda: "> hel" in terminal.screen.split("\n"), "the line")
        lines = terminal.scrollback.split("\n")
        place = f"{home}/chatrepl/config/config.toml".replace(str(home), "~", 1)
        assert lines[0] == "gpt-4 answers (openai)."
        assert " ".join(lines[1:-1]).startswith(f"Settings: {place}")
        assert lines.index("> hel") > lines.index("Help: /help")
        terminal.key("ctrl-c")
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
    with Terminal(*flags, home=home, first=True) as terminal:  # though nothing has been said
        terminal.wait_for("gpt-4 · ")
        assert "answers" not in terminal.scrollback
