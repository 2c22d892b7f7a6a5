"""Beginning a talk with the loopback server in a pseudo-terminal."""

import json
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


def long_talk(home: Path, exchanges: int = 10, window: int = 1_000) -> tuple[str, ...]:
    """Give the flags for a talk of exchanges of about 100 tokens each in a small window.

    A quarter of the window is kept for the reply. Question N and Answer N begin with these words.
    """
    messages = [{"role": "system", "content": "Be kind."}]
    for n in range(1, exchanges + 1):
        messages.append({"role": "user", "content": f"Question {n}" + " ship" * 60})
        messages.append({"role": "assistant", "content": f"Answer {n}" + " sea" * 30})
    file = home / "talk.json"
    file.write_text(json.dumps(messages))
    return "--load", str(file), "--context-window", str(window)
