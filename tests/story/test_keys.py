"""The keys of the prompt, pressed one by one in the real program."""

import stat
from pathlib import Path

from tests.support.loopback import Loopback
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk


def last_said(server: Loopback) -> str:
    return server.requests[-1].said[-1][1]


def wait_for_line(terminal: Terminal, line: str) -> None:
    """Wait until a line of the screen is exactly this."""
    terminal.wait_until(lambda: line in terminal.screen.split("\n"), f"the line {line!r}")


def test_a_new_line_can_be_typed_and_enter_sends_it_all(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.type("first")
        terminal.key("alt-enter")
        terminal.type("second")
        wait_for_line(terminal, "  second")
        terminal.key("ctrl-j")
        terminal.type("third")
        wait_for_line(terminal, "  third")
        assert server.requests == []
        terminal.key("enter")
        terminal.wait_for("You said: first second third")  # Markdown joins the lines
    assert last_said(server) == "first\nsecond\nthird"


def test_a_pasted_text_of_many_lines_is_one_message(home: Path, server: Loopback) -> None:
    text = "def f():\n\tif x:\n\n        return 'é漢👍'\n\n# end  \n"
    with talk(home, server) as terminal:
        terminal.paste(text)
        wait_for_line(terminal, "  # end")
        assert server.requests == []
        terminal.key("enter")
        terminal.wait_for("You said:")
        terminal.wait_for_prompt()
    assert [received.said for received in server.requests] == [[("user", text)]]


def test_the_history_is_kept_on_disk_for_the_owner_alone(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "the older one")
        terminal.type("the newer")
        terminal.key("ctrl-j")
        terminal.type("of two lines")
        terminal.key("enter")
        terminal.wait_for("You said: the newer")
        terminal.wait_for_prompt()
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
    history = home / "chatrepl" / "data" / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    with talk(home, server) as terminal:
        terminal.key("up")
        wait_for_line(terminal, "> the newer")
        terminal.key("enter")
        terminal.wait_for("You said: the newer of two lines")
        terminal.wait_for_prompt()
        assert last_said(server) == "the newer\nof two lines"
        terminal.key("ctrl-r")
        terminal.type("old")
        terminal.wait_for("the older one")
        terminal.key("enter")
        wait_for_line(terminal, "> the older one")
        terminal.key("enter")
        terminal.wait_for("You said: the older one")
    assert last_said(server) == "the older one"


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.type("never mind")
        terminal.wait_for("> never mind")
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "hello")
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
        assert terminal.scrollback.endswith("You said: hello\n\n>"), "no farewell, no traceback"
    assert [received.said for received in server.requests] == [[("user", "hello")]]


def test_an_empty_line_is_nothing_to_send(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.key("enter")
        terminal.wait_until(lambda: terminal.screen.startswith(">\n>\n"), "a second prompt")
        terminal.say("   ")
        terminal.wait_until(lambda: terminal.screen.startswith(">\n>\n>\n"), "a third prompt")
        assert server.requests == []


def test_tab_completes_commands_and_shows_their_help(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.type("/")
        terminal.wait_for("list the commands and keys")
        terminal.wait_for("/persona")
        terminal.type("to")
        terminal.wait_until(lambda: "/persona" not in terminal.screen, "fewer commands")
        terminal.key("tab")
        wait_for_line(terminal, "> /tokens")
        terminal.key("enter")
        terminal.wait_for("tokens in 0 messages")
        terminal.wait_for_prompt()
        terminal.type("/help per")
        terminal.wait_for("list the personas or switch;")
        terminal.key("tab")
        terminal.wait_for("/help persona")
    assert server.requests == []


def test_enter_takes_the_line_as_it_is_while_completions_show(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.type("/to")
        terminal.wait_for("show how many tokens the conversation has")
        terminal.key("enter")
        terminal.wait_for("There is no command /to.")


def test_the_toolbar_shows_the_model_and_the_tokens_as_they_grow(
    home: Path, server: Loopback
) -> None:
    with talk(home, server) as terminal:
        terminal.wait_for("gpt-4 · 3 of 8,192 tokens")
        say_and_hear(terminal, "hello")
        # 3 prime the reply; "user", "hello" and their frame of 3; "assistant", four words, 3.
        terminal.wait_for("gpt-4 · 16 of 8,192 tokens")


def test_a_narrow_toolbar_stays_on_one_line(home: Path, server: Loopback) -> None:
    with talk(home, server, model="gpt-4-0613", columns=20) as terminal:
        terminal.wait_for("gpt-4-06… · 3/8,192")
        assert terminal.screen.count("8,192") == 1
