"""Beginning a talk with the loopback server in a pseudo-terminal."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.loopback import Loopback
from tests.support.program import Terminal


def talk(
    home: Path,
    server: Loopback,
    *arguments: str,
    model: str = "gpt-4",
    env: Mapping[str, str] | None = None,
    columns: int = 80,
    lines: int = 24,
) -> Terminal:
    """Start the program on the server and wait for its first prompt."""
    flags = ("--base-url", server.base_url, "-m", model, *arguments)
    terminal = Terminal(*flags, home=home, env=env, columns=columns, lines=lines)
    try:
        terminal.wait_for_prompt()
    except BaseException:
        terminal.process.close(force=True)
        raise
    return terminal


def say_and_hear(terminal: Terminal, text: str, reply: str = "") -> None:
    """Say a line, wait for its reply (the usual one, unless told) and for the next prompt."""
    terminal.say(text)
    terminal.wait_for(reply or f"You said: {text}")
    terminal.wait_for_prompt()
