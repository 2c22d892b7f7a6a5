"""For everyone: a screen reader, small and dumb terminals, other scripts than Latin."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

from chatrepl.terminal.commands import COMMANDS
from tests.story.test_endings import wait_for_keys
from tests.support.loopback import Loopback, Reply, says
from tests.support.program import Terminal, run
from tests.support.store import desk
from tests.support.talk import talk

MARKDOWN = """\
## Cities

| city | country |
|---|---|
| Lima | Peru |
| Oslo | Norway |

```py
x = 1
```
"""
IN_WORDS = """\
Heading 2: Cities

city: Lima; country: Peru
city: Oslo; country: Norway

Code, py:
x = 1
End of code.
"""

# Lines, boxes, blocks, the spinner, marks that only an eye takes in at once.
DRAWN = re.compile("[\u2500-\u259f\u2800-\u28ff‹›≈•⠋]")
UPWARDS = re.compile(rb"\x1b\[\d*[AFHfd]|\x1b\[6n|\x1bM")


def linear_talk(home: Path, server: Loopback, *flags: str, columns: int = 80) -> Terminal:
    terminal = Terminal(
        *("--base-url", server.base_url, "-m", "gpt-4"),
        *flags,
        home=home,
        columns=columns,
        env={"PAGER": "cat"},
    )
    wait_for_turn(terminal)
    return terminal


def wait_for_turn(terminal: Terminal) -> None:
    """Wait for an empty prompt of the linear kind."""
    terminal.wait_until(lambda: terminal.screen.endswith("\nyou:") or terminal.screen == "you:", "")


def test_a_screen_reader_gets_lines_one_after_the_other_and_each_once(
    home: Path, server: Loopback
) -> None:
    server.then(says(MARKDOWN, usage=(12, 30)))
    with linear_talk(home, server, "--accessible") as terminal:
        terminal.say("Show me two cities, and their countries.")
        terminal.wait_for("end of reply, 42 of 8,192 tokens")
        wait_for_turn(terminal)
        shown = terminal.scrollback
        assert f"\nwaiting for gpt-4\nassistant:\n{IN_WORDS}end of reply" in shown
        names = [each.name for each in COMMANDS if each.name not in {"quit", "new", "clear"}]
        for name in [*names, "new"]:
            terminal.say(f"/{name}")
            terminal.wait_until(partial(has_answered, terminal, name), f"/{name} answered")
            if not terminal.screen.endswith("you:"):  # the line came back, or another one
                terminal.key("ctrl-c")
            wait_for_turn(terminal)
        terminal.say("/search COUNTRIES")
        terminal.wait_for("user: Show me two cities, and their countries.")
        wait_for_turn(terminal)
        terminal.type("/re")
        terminal.key("tab")
        terminal.wait_for("/retry  /redo   /resume")
        terminal.key("ctrl-c")
        wait_for_turn(terminal)
        shown, raw = terminal.scrollback, terminal.raw
    said = [line for line in shown.split("\n") if line != "/retry  /redo   /resume"]
    assert [line for line in said if DRAWN.search(line)] == []
    assert [line for line in said if re.search(r"\S {2,}\S", line)] == [], "columns"
    assert UPWARDS.search(raw) is None
    flat = " ".join(shown.split())
    assert "\nuser: Show me two cities" in shown, "no line is indented"
    assert "branch 1: reply 1 of 2, 2 messages, Show me two cities, and their countries." in flat
    assert "tutor: You are a patient tutor." in flat
    assert "say in a sentence what they have learnt." in flat
    assert "/retry: ask for another reply to the last message" in shown
    assert "reply 2 of 2; /branch switches" in shown
    assert "Error: Which message?" in shown
    assert re.search(
        r"^1, user, sent, \d+ tokens: Show me two cities, and their countries\.$",
        shown,
        re.MULTILINE,
    )
    assert re.search(r"^\w{6}, just now, 2 messages, gpt-4: Show me two cities,", shown, re.M)


def has_answered(terminal: Terminal, name: str) -> bool:
    """Whether a command has been answered, and the next prompt is there; it may hold a text."""
    _, asked, rest = terminal.scrollback.rpartition(f"you: /{name}\n")
    return bool(asked and re.search(r"^you:.*\Z", rest, re.MULTILINE))


def test_the_config_file_makes_it_so_too_and_tab_and_toolbar_wait_for_nobody(
    home: Path, server: Loopback
) -> None:
    config = home / "config.toml"
    config.write_text("accessible = true\n")
    with linear_talk(home, server, "--config", str(config)) as terminal:
        terminal.say("Hello")
        terminal.wait_for("assistant:\nYou said: Hello\nend of reply")
        wait_for_turn(terminal)
        assert terminal.screen.endswith("you:")


@pytest.mark.parametrize(
    ("env", "is_linear"), [({"ACCESSIBLE": "1"}, True), ({"ACCESSIBLE": "0"}, False), ({}, False)]
)
def test_the_variable_makes_a_single_answer_so(
    home: Path, server: Loopback, env: dict[str, str], is_linear: bool
) -> None:
    server.then(says(MARKDOWN))
    flags = ("--base-url", server.base_url, "-m", "gpt-4")
    with Terminal(*flags, "Two cities", home=home, env=env) as terminal:
        assert terminal.wait_for_end() == 0
        assert (IN_WORDS.strip() == terminal.screen) == is_linear


def test_a_faults_line_says_that_it_is_one(home: Path) -> None:
    done = run("--accessible", "-p", "nobody", "Hi", home=home)
    assert done.stderr.startswith("Error: There is no persona 'nobody'")
    assert not run("-p", "nobody", "Hi", home=home).stderr.startswith("Error")


# Small, dumb and colourless terminals.

LONG = "Unimaginable circumstances notwithstanding, everything went extraordinarily well."


@pytest.mark.parametrize(
    ("columns", "env"),
    [
        (20, {}),
        (60, {"TERM": "dumb", "FORCE_COLOR": "1"}),
        (20, {"TERM": "unknown"}),
        (40, {"NO_COLOR": "1"}),
    ],
)
def test_no_word_is_broken_and_nothing_is_lost(
    home: Path, server: Loopback, columns: int, env: dict[str, str]
) -> None:
    server.then(says(LONG))
    with talk(home, server, env=env, columns=columns, lines=40) as terminal:
        typed(terminal, env, "How was it?")
        terminal.wait_until(lambda: "well." in terminal.scrollback, "the reply")
        terminal.wait_for_prompt()
        typed(terminal, env, "/help")
        terminal.wait_for("suspend")
        terminal.wait_for_prompt()
        typed(terminal, env, "/sessions")
        terminal.wait_for("just now")
        terminal.wait_for_prompt()
        shown, raw = terminal.scrollback, terminal.raw
    words = shown.split()
    helped = " ".join(each.help for each in COMMANDS)
    assert {*LONG.split(), *helped.split()} <= set(words)
    assert words.count("it?") >= 2, "the title is in the list of sessions"
    colours = set(re.findall(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38)[;m]", raw))
    assert not colours or not ({"NO_COLOR", "TERM"} & env.keys())
    if "TERM" in env:
        assert b"\x1b" not in raw


def typed(terminal: Terminal, env: dict[str, str], line: str) -> None:
    wait_for_keys(terminal, env if "TERM" in env else {})
    terminal.say(line)


@pytest.mark.parametrize("columns", [20, 40, 80, 400])
def test_help_is_as_wide_as_the_screen(home: Path, columns: int) -> None:
    lines = run("--help", home=home, env={"COLUMNS": str(columns)}).stdout.split("\n")
    epilog = lines[next(n for n, line in enumerate(lines) if "Commands (" in line) :]
    assert max(map(len, epilog)) <= max(columns, 26)
    assert {"conversations;", "CHATREPL_CONFIG."} <= {*" ".join(epilog).split()}
    if columns >= 40:
        assert max(map(len, lines)) <= columns


# Right to left, and wide characters.

ARABIC = "القاهرة هي عاصمة مصر، وعدد سكانها عشرة ملايين."
HEBREW = "ירושלים היא בירת ישראל."


def test_right_to_left_text_is_whole_and_in_its_order(home: Path, server: Loopback) -> None:
    server.then(says(f"\u202e{ARABIC}\u2066\u2069\n\n| א | ב |\n|---|---|\n| {HEBREW} | 1 |"))
    with talk(home, server, columns=400) as terminal:
        terminal.say("שלום")
        terminal.wait_for(HEBREW)
        terminal.wait_for_prompt()
        shown = terminal.scrollback
    assert [line for line in shown.split("\n") if line][:2] == ["> שלום", ARABIC]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", shown)


def test_a_model_with_a_wide_name_has_a_toolbar_of_one_line(home: Path, server: Loopback) -> None:
    with talk(home, server, model="模型" * 8, columns=40, lines=10) as terminal:
        terminal.wait_for("/4,096")
        assert [line for line in terminal.screen.split("\n") if "模" in line] == [
            next(line for line in terminal.screen.split("\n") if "/4,096" in line)
        ]


# What else is said to nobody's harm.


def test_an_assumed_window_is_said_where_it_matters(home: Path, server: Loopback) -> None:
    flags = ("--base-url", server.base_url, "-m", "what-1")
    assert run(*flags, "word " * 1_800, home=home).stderr == ""
    assert "4,096 tokens are assumed" in run(*flags, "word " * 2_200, home=home).stderr


def test_options_may_stand_before_a_subcommand(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = Reply(body={"data": [{"id": "some-model"}]})
    done = run("--base-url", server.base_url, "--json", "models", "some", home=home)
    assert [found["id"] for found in json.loads(done.stdout)] == ["some-model"]
    assert server.requests == [], "it was taken for a prompt"
    flags = ("--base-url", server.base_url, "-m", "gpt-4")
    assert run(*flags, "--", "models", "some", home=home).stdout == "You said: models some\n"
    wrong = run(*flags, "sessions", home=home)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert f"chatrepl {' '.join(flags)} -- sessions" in wrong.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--temperature", "9"], "'--temperature': it may be 2 at most."),
        (["--temperature", "hot"], "'--temperature': a number is needed."),
        (["--max-tokens", "1.5"], "'--max-tokens': a whole number is needed."),
        (["sessions", "-n", "-1"], "'-n' / '--limit': it must be 0 at least."),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(home: Path, argv: list[str], words: str) -> None:
    done = run(*argv, home=home)
    assert done.returncode == 2
    assert done.stderr.split("\n")[0] == f"Invalid value for {words}"


def test_without_a_session_there_is_none_to_fork(home: Path, server: Loopback) -> None:
    with talk(home, server, "--no-save") as terminal:
        terminal.say("/fork")
        terminal.wait_for("this chat is not saved (--no-save), so there is no session to fork")


def test_an_export_tells_when_the_session_began(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        terminal.say("Hello")
        terminal.wait_for("You said: Hello")
        terminal.wait_for_prompt()
        terminal.say(f"/export {home}/talk.md")
        terminal.wait_for("written to")
    assert re.search(r"\b20\d\d-\d\d-\d\d \d\d:\d\d", (home / "talk.md").read_text())


def test_a_terminal_lists_twenty_sessions_and_says_how_many_more(
    home: Path,
) -> None:
    for number in range(23):
        with desk(home / "chatrepl" / "data" / "sessions.db") as each:
            each.say(f"Talk {number}")
    with Terminal("sessions", home=home, lines=40) as terminal:
        assert terminal.wait_for_end() == 0
        assert terminal.screen.count("Talk") == 20
        assert "and 3 more; -n 0 lists them all" in terminal.screen
    assert run("sessions", home=home).stdout.count("Talk") == 23
