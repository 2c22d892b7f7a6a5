"""/set and /persona, typed into the real program, with an editor of the tests' own."""

import re
from pathlib import Path

from tests.story.test_commands import command, refused
from tests.support.loopback import Loopback, says
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk

CONFIG = """
temperature = 0.5
[personas.pirate]
system = "You are a pirate."
examples = [{ user = "Hello", assistant = "Ahoy" }]
"""

# Notes how it was called and how the terminal is, reads a line, and writes what it was told to.
EDITOR = """
printf '%s\\n' "$@" > args
stty -a > modes
echo "EDITING"
read -r line
cat next > "$2"
exit "$(cat status)"
"""


def start(home: Path, server: Loopback) -> Terminal:
    folder = home / "chatrepl" / "config"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG)
    (home / "my editor.sh").write_text(f"cd '{home}'\n{EDITOR}")
    visual = f"sh '{home}/my editor.sh' --wait"
    return talk(home, server, env={"VISUAL": visual, "EDITOR": "false"}, columns=120, lines=40)


def edits(terminal: Terminal, home: Path, text: str, status: int = 0) -> None:
    """Be the user in the editor that has just been opened."""
    (home / "next").write_text(text)
    (home / "status").write_text(str(status))
    terminal.type("done\r")


def test_set_lists_shows_sets_and_takes_back(home: Path, server: Loopback) -> None:
    config = home / "chatrepl" / "config" / "config.toml"
    with start(home, server) as terminal:
        command(terminal, "/set", f"({config})", "seed", "not set", "/set NAME")
        command(terminal, "/set temperature 0.9", "temperature: 0.9  (/set)")
        command(terminal, '/set stop "\\n"', 'stop: "\\n"  (/set)')
        command(terminal, "/set top_k=3", "top_k: 3  (/set)")
        command(terminal, "/set Top-P", "top_p: not set")
        refused(terminal, "/set model", "/model NAME sets it.")
        refused(terminal, "/set temperature 3", "/set: temperature: it may be 2 at most")
        terminal.type("/set reasoning_effort lo")
        terminal.wait_for("reasoning_effort low")
        terminal.key("tab")
        terminal.key("enter")
        terminal.wait_for('reasoning_effort: "low"  (/set)')
        terminal.wait_for_prompt()
        say_and_hear(terminal, "one")
        command(terminal, '/set temperature ""', "temperature: 0.5")
        command(terminal, "/set top_k default", "top_k: not set")
        command(terminal, "/set seed", "seed: not set")
        command(terminal, "/persona pirate", "persona: pirate")
        say_and_hear(terminal, "two")
    given = ("temperature", "stop", "top_k", "reasoning_effort")
    sent = [[received.body.get(name) for name in given] for received in server.requests]
    assert sent == [[0.9, "\n", 3, "low"], [0.5, "\n", None, "low"]]


def test_personas_are_listed_shown_and_edited_and_nothing_is_lost(
    home: Path, server: Loopback
) -> None:
    file = home / "chatrepl" / "config" / "personas" / "pirate.toml"
    with start(home, server) as terminal:
        command(terminal, "/persona", "concise", "You are a pirate.", "/persona NAME switches")
        command(terminal, "/persona pirate", "persona: pirate")
        command(terminal, "/persona show pirate", 'user = "Hello"')
        refused(terminal, "/persona edit nobody", "There is no persona 'nobody'")
        terminal.say("/persona new pirate")
        terminal.wait_for("There is a persona 'pirate' already.")
        terminal.wait_for("> /persona edit pirate")
        terminal.key("enter")
        terminal.wait_for("EDITING")
        edits(terminal, home, 'system = "You are a\nparrot."\n')
        terminal.wait_for("The file is not valid TOML.")
        terminal.wait_for("The file is not valid TOML.")
        terminal.wait_until(
            lambda: re.search(r"TOML\.\n+> /persona edit pirate$", terminal.screen, re.M), "it back"
        )
        wait, name = (home / "args").read_text().splitlines()
        assert (wait, Path(name).suffix) == ("--wait", ".toml")
        modes = (home / "modes").read_text().split()
        assert {"icanon", "echo", "isig", "icrnl", "opost"} <= set(modes)
        assert file.read_text() == 'system = "You are a\nparrot."\n', "nothing written is lost"
        terminal.key("enter")
        terminal.wait_for("EDITING", times=2)
        edits(terminal, home, 'system = "You are a parrot."\nschema = "word:str"\n')
        terminal.wait_for("persona: pirate, as it is now in")
        terminal.wait_for_prompt()
        server.then(says("Kraa."), says('{"word": "kraa"}'))
        say_and_hear(terminal, "one", "The reply does not hold to the schema: it is no JSON")
        say_and_hear(terminal, "two", "kraa")
        server.then(says('{"word": "kr', "length"))
        say_and_hear(terminal, "three", "The reply was cut off")
        assert terminal.scrollback.count("does not hold") == 1
        terminal.say("/persona new mate")
        terminal.wait_for("EDITING", times=3)
        edits(terminal, home, 'system = "x"\n', status=3)
        terminal.wait_for("ended with status 3: nothing was changed.")
        terminal.wait_for("> /persona new mate", times=2)
    assert not file.with_name("mate.toml").exists()
    assert server.requests[0].said == [("system", "You are a parrot."), ("user", "one")]
    assert server.requests[1].body["response_format"]["type"] == "json_schema"
