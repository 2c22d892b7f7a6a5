"""A session is a tree: edited, asked again, stepped through and gone on with, as it is typed."""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.story.test_commands import said
from tests.story.test_sessions import at_prompt, listed, shown, talk_begun, turns
from tests.support.loopback import Cut, Loopback, Part, Reply, chunk, fails, says
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk


def flat(terminal: Terminal) -> str:
    """Everything since the start, as if no line had been wrapped."""
    return " ".join(terminal.scrollback.split())


def answered(terminal: Terminal, line: str, *words: str) -> None:
    """Type a command; see that it says these words, however they are wrapped."""
    before = [flat(terminal).count(each) for each in words]
    terminal.say(line)
    for each, count in zip(words, before, strict=True):
        terminal.wait_until(lambda e=each, c=count: flat(terminal).count(e) > c, each)  # type: ignore[misc]


def ready(terminal: Terminal, line: str, *words: str) -> None:
    """Type a command that leaves the prompt empty."""
    answered(terminal, line, *words)
    terminal.wait_for_prompt()


def hear(terminal: Terminal, line: str, reply: str) -> None:
    """Type what has a reply, and wait for the prompt after it."""
    answered(terminal, line, reply)
    terminal.wait_for_prompt()


def kept(home: Path) -> Counter[str]:
    """Every reply that is in the database."""
    with closing(sqlite3.connect(home / "chatrepl" / "data" / "sessions.db")) as database:
        rows = database.execute("SELECT content FROM message WHERE role = 'assistant'")
        return Counter(text for (text,) in rows)


def clear(terminal: Terminal) -> None:
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()


@pytest.fixture
def columns() -> int:
    """A narrow terminal; the tests that do not ask for it have 80 columns."""
    return 40


@pytest.fixture
def numbered(server: Loopback) -> Loopback:
    """A server that numbers its replies."""
    server.usual = lambda _: says(f"Reply {len(server.requests)}.")
    return server


# Another reply, another message.


def test_another_reply_stands_beside_the_first(
    home: Path, numbered: Loopback, columns: int
) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        hear(terminal, "one", "Reply 1.")
        assert "‹" not in terminal.scrollback
        answered(terminal, "/retry", "Reply 2.", "‹2/2›")
        answered(terminal, "/retry", "Reply 3.", "‹3/3›")
        terminal.wait_for_prompt()
        hear(terminal, "two", "Reply 4.")
    assert said(numbered)[1] == said(numbered)[2] == [("user", "one")]
    one = [("user", "one"), ("assistant", "Reply 3.")]
    assert said(numbered)[3] == [*one, ("user", "two")]
    assert kept(home) == Counter(f"Reply {number}." for number in (1, 2, 3, 4))


def test_branches_are_listed_and_switched(home: Path, numbered: Loopback, columns: int) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        ready(terminal, "/branch", "nothing has been said yet")
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "/retry", "Reply 2.")
        hear(terminal, "/retry", "Reply 3.")
        terminal.say("/branch")
        terminal.wait_until(
            lambda: (
                re.findall(r"^([* ]) +(\d)  (‹\d/3›)", terminal.screen, re.M)
                == [(" ", "1", "‹1/3›"), (" ", "2", "‹2/3›"), ("*", "3", "‹3/3›")]
            ),
            "three branches",
        )
        terminal.wait_for_prompt()
        answered(terminal, "/branch 2", "> one", "Reply 2.", "‹2/3›")
        terminal.wait_for_prompt()
        hear(terminal, "two", "Reply 4.")
        answered(terminal, "/branch 4", "There is no branch 4", "1 to 3")
        at_prompt(terminal, "/branch 4")
    assert said(numbered)[3] == [("user", "one"), ("assistant", "Reply 2."), ("user", "two")]
    assert kept(home) == Counter(f"Reply {number}." for number in (1, 2, 3, 4))


def test_a_message_is_edited_and_the_old_one_stays_as_a_branch(
    home: Path, numbered: Loopback, columns: int
) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        for number, text in enumerate(("one", "two", "three"), 1):
            hear(terminal, text, f"Reply {number}.")
        answered(terminal, "/edit 3", "back to before message 3")
        at_prompt(terminal, "two")
        terminal.say(" and a half")
        terminal.wait_for("Reply 4.")
        terminal.wait_for("‹2/2›")
        terminal.wait_for_prompt()
        answered(terminal, "/branch 1", "> three", "Reply 3.")
        terminal.wait_for_prompt()
        hear(terminal, "four", "Reply 5.")
    first = [("user", "one"), ("assistant", "Reply 1.")]
    assert said(numbered)[3] == [*first, ("user", "two and a half")]
    assert said(numbered)[4][-2:] == [("assistant", "Reply 3."), ("user", "four")]
    assert len(said(numbered)[4]) == 7
    assert kept(home) == Counter(f"Reply {number}." for number in range(1, 6))


def test_what_can_not_be_edited_is_said_and_nothing_changes(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered, "-s", "Be kind.") as terminal:  # which is message 1
        hear(terminal, "one", "Reply 1.")
        for argument in ("9", "x", "0", "-1", "", "1", "1e3"):
            terminal.say(f"/edit {argument}")
            at_prompt(terminal, f"/edit {argument}".strip())
            clear(terminal)
        hear(terminal, "two", "Reply 2.")
    assert len(said(numbered)[1]) == 4


def test_a_message_of_several_lines_comes_whole_to_the_prompt(
    home: Path, numbered: Loopback
) -> None:
    with talk(home, numbered) as terminal:
        terminal.paste("first line\nsecond line")
        terminal.key("enter")
        terminal.wait_for("Reply 1.")
        terminal.wait_for_prompt()
        answered(terminal, "/edit 1", "back to before")
        terminal.wait_for("> first line", times=2)
        terminal.say("!")
        terminal.wait_for("Reply 2.")
    assert said(numbered)[1] == [("user", "first line\nsecond line!")]


def test_what_is_edited_and_not_sent_is_not_lost(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "two", "Reply 2.")
        answered(terminal, "/edit 1", "back to before")
        at_prompt(terminal, "one")
        clear(terminal)
        terminal.key("ctrl-d")
        assert terminal.wait_for_end() == 0
    assert kept(home) == Counter(["Reply 1.", "Reply 2."])
    with talk_begun(home, numbered, "-c") as terminal:
        terminal.wait_for_prompt()
        ready(terminal, "/redo", "forward again")
        ready(terminal, "/redo", "forward again")
        ready(terminal, "/redo", "nothing to redo")
        hear(terminal, "three", "Reply 3.")
    assert [text for _, text in said(numbered)[2]] == [
        "one",
        "Reply 1.",
        "two",
        "Reply 2.",
        "three",
    ]


def test_an_edited_message_that_gets_no_reply_comes_back_later(
    home: Path, numbered: Loopback
) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "one", "Reply 1.")
        answered(terminal, "/edit 1", "back to before")
        numbered.then(fails(401))
        terminal.say(" again")
        terminal.wait_for("did not accept the key")
        at_prompt(terminal, "one again")
        terminal.process.close(force=True)
    assert kept(home) == Counter(["Reply 1."])
    with talk_begun(home, numbered, "-c") as terminal:
        at_prompt(terminal, "one again")
        clear(terminal)
        ready(terminal, "/redo", "forward again")
        hear(terminal, "two", "Reply 3.")
    assert [text for _, text in said(numbered)[2]] == ["one", "Reply 1.", "two"]


def test_another_reply_that_does_not_come_leaves_the_one_that_is_there(
    home: Path, numbered: Loopback
) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "one", "Reply 1.")
        numbered.then(fails(401))
        answered(terminal, "/retry", "did not accept the key")
        at_prompt(terminal, "/retry")
        clear(terminal)
        hear(terminal, "two", "Reply 3.")
    assert said(numbered)[2] == [("user", "one"), ("assistant", "Reply 1."), ("user", "two")]


def test_stepping_back_and_forward_ends_where_it_began(
    home: Path, numbered: Loopback, columns: int
) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        ready(terminal, "/redo", "nothing to redo")
        ready(terminal, "/undo", "nothing to undo")
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "two", "Reply 2.")
        for text in ("two", "one"):
            answered(terminal, "/undo", "one exchange back")
            at_prompt(terminal, text)
            clear(terminal)
        ready(terminal, "/undo", "nothing to undo")
        ready(terminal, "/redo", "messages 1 and 2")
        ready(terminal, "/redo", "messages 3 and 4")
        ready(terminal, "/redo", "nothing to redo")
        hear(terminal, "three", "Reply 3.")
    assert [text for _, text in said(numbered)[2]] == [
        "one",
        "Reply 1.",
        "two",
        "Reply 2.",
        "three",
    ]


def test_what_is_said_after_stepping_back_is_a_branch(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "two", "Reply 2.")
        answered(terminal, "/undo", "one exchange back")
        at_prompt(terminal, "two")
        clear(terminal)
        answered(terminal, "three", "Reply 3.", "‹2/2›")
        terminal.wait_for_prompt()
    assert said(numbered)[2] == [("user", "one"), ("assistant", "Reply 1."), ("user", "three")]
    assert kept(home) == Counter(f"Reply {number}." for number in (1, 2, 3))


def test_the_branches_of_a_session_are_there_again_when_it_is_resumed(
    home: Path, numbered: Loopback
) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "/retry", "Reply 2.")
        ready(terminal, "/branch 1", "Reply 1.")
        terminal.key("ctrl-d")
        terminal.wait_for_end()
    with talk(home, numbered, "-c") as terminal:
        terminal.wait_for("Reply 1.")
        terminal.wait_for("‹1/2›")
        ready(terminal, "/branch 2", "Reply 2.")
        hear(terminal, "two", "Reply 3.")
    assert said(numbered)[2][1] == ("assistant", "Reply 2.")


# Other sessions.


@pytest.mark.parametrize("command", ["/new", "/clear"])
def test_a_new_conversation_is_another_session(
    home: Path, numbered: Loopback, command: str
) -> None:
    with talk(home, numbered, "-s", "Be kind.") as terminal:
        hear(terminal, "one", "Reply 1.")
        ready(terminal, command, "a new conversation")
        hear(terminal, "two", "Reply 2.")
    assert said(numbered)[1] == [("system", "Be kind."), ("user", "two")]
    assert [session["title"] for session in listed(home)] == ["two", "one"]


def test_a_fork_goes_on_alone(home: Path, numbered: Loopback, columns: int) -> None:
    with talk(home, numbered, "-s", "Be kind.", columns=columns) as terminal:
        hear(terminal, "one", "Reply 1.")
        (first,) = listed(home)
        ready(terminal, "/fork", "a session of its own")
        hear(terminal, "two", "Reply 2.")
    fork, before = listed(home)
    assert before["id"] == first["id"]
    assert fork["title"] != before["title"]
    beginning = [("system", "Be kind."), ("user", "one"), ("assistant", "Reply 1.")]
    assert shown(home, before["id"]) == beginning
    assert shown(home, fork["id"]) == [*beginning, ("user", "two"), ("assistant", "Reply 2.")]


def test_the_title_is_shown_and_set(home: Path, numbered: Loopback, columns: int) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        ready(terminal, "/title", "no title yet")
        hear(terminal, "one", "Reply 1.")
        ready(terminal, "/title", "title: one")
        ready(terminal, "/title A   better one", "title: A better one")
        hear(terminal, "two", "Reply 2.")
    assert [session["title"] for session in listed(home)] == ["A better one"]


def test_a_title_that_is_given_first_stays(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered) as terminal:
        ready(terminal, "/title Given first", "title: Given first")
        hear(terminal, "one", "Reply 1.")
    assert [session["title"] for session in listed(home)] == ["Given first"]


def test_sessions_are_listed_found_and_resumed(
    home: Path, numbered: Loopback, columns: int
) -> None:
    with talk(home, numbered, columns=columns) as terminal:
        ready(terminal, "/sessions", "none yet")
        hear(terminal, "Of cats", "Reply 1.")
        ready(terminal, "/new", "a new conversation")
        hear(terminal, "Of dogs", "Reply 2.")
        dogs, cats = (session["id"] for session in listed(home))
        answered(terminal, "/sessions", f"{dogs} just now", f"{cats} just now")
        terminal.wait_for_prompt()
        ready(terminal, "/sessions zebra", "no session has 'zebra'")
        answered(terminal, "/search CATS", f"{cats} Of cats", "user: Of cats")
        terminal.wait_for_prompt()
        assert b"33mcats\x1b[" in terminal.raw
        ready(terminal, "/search zebra", "no message holds 'zebra'")
        answered(terminal, f"/resume {cats[:3]}", "“Of cats”", "> Of cats", "Reply 1.")
        terminal.wait_for_prompt()
        hear(terminal, "And more", "Reply 3.")
        answered(terminal, "/resume zebra", "There is no session 'zebra'")
        at_prompt(terminal, "/resume zebra")
        clear(terminal)
        ready(terminal, "/resume dogs", "“Of dogs”")
    assert [text for _, text in said(numbered)[2]] == ["Of cats", "Reply 1.", "And more"]
    assert shown(home, dogs) == [("user", "Of dogs"), ("assistant", "Reply 2.")]


def test_what_is_resumed_brings_its_system_message(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered, "-s", "Be kind.") as terminal:
        hear(terminal, "one", "Reply 1.")
    with talk(home, numbered, "-s", "Be brief.") as terminal:
        ready(terminal, "/resume one", "“one”")
        hear(terminal, "two", "Reply 2.")
    assert said(numbered)[1][0] == ("system", "Be kind.")


def test_sessions_and_branches_are_completed(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered) as terminal:
        hear(terminal, "Of cats", "Reply 1.")
        hear(terminal, "/retry", "Reply 2.")
        (cats,) = (session["id"] for session in listed(home))
        terminal.type("/branch ")
        terminal.wait_for("‹1/2›")
        terminal.wait_for("‹2/2›", times=2)
        clear(terminal)
        terminal.type(f"/resume {cats[:2]}")
        terminal.wait_for("Of cats, just now")  # offered while one types
        terminal.key("tab")
        at_prompt(terminal, f"/resume {cats}")


def test_a_talk_is_exported(home: Path, numbered: Loopback, columns: int) -> None:
    file = home / "t.json"
    with talk(home, numbered, "-s", "Be kind.", columns=columns) as terminal:
        hear(terminal, "one", "Reply 1.")
        hear(terminal, "/retry", "Reply 2.")
        ready(terminal, f"/export {file}", "written to")
        ready(terminal, "/export ~/a talk.html", "written to")
        for times, place in ((4, file), (6, home / "t.pdf")):
            answered(terminal, f"/export {place}", "nothing was written")
            terminal.wait_for("> /export", times=times)  # it is at the prompt again
            clear(terminal)
        answered(terminal, "/export", "Into which file?")
    assert [message["content"] for message in json.loads(file.read_text())] == [
        "Be kind.",
        "one",
        "Reply 2.",
    ]
    assert "<title>one</title>" in (home / "a talk.html").read_text()


def test_with_nothing_kept_all_that_needs_no_database_works(home: Path, numbered: Loopback) -> None:
    with talk(home, numbered, "--no-save") as terminal:
        hear(terminal, "one", "Reply 1.")
        answered(terminal, "/retry", "Reply 2.", "‹2/2›")
        terminal.wait_for_prompt()
        ready(terminal, "/branch 1", "Reply 1.")
        ready(terminal, "/fork", "no session to fork")
        ready(terminal, "/sessions", "none yet")
        ready(terminal, "/search one", "no message")
        answered(terminal, "/undo", "one exchange back")
        at_prompt(terminal, "one")
        clear(terminal)
        ready(terminal, "/redo", "forward again")
        ready(terminal, f"/export {home}/t.md", "written to")
    assert not list(home.rglob("*.db*"))
    assert "Reply 1." in (home / "t.md").read_text()


# Going on with a reply.


def cut_off(text: str, how: str) -> Reply:
    """A reply that ends in the middle."""
    parts: list[Part] = [chunk({"content": text})]
    return Reply([*parts, chunk({}, "length") if how == "length" else Cut()])


@pytest.mark.parametrize(("plain", "how"), [((), "length"), (("--plain",), "cut")])
def test_a_reply_goes_on_in_the_middle_of_a_word(
    home: Path, server: Loopback, columns: int, plain: tuple[str, ...], how: str
) -> None:
    server.then(cut_off("First.\n\nThen a long wo", how), says("rd and the end."))
    with talk(home, server, *plain, columns=columns) as terminal:
        answered(terminal, "one", "/continue goes on with it.")
        terminal.wait_for_prompt()
        answered(terminal, "/continue", "Then a long word and the end.")
        terminal.wait_for_prompt()
        ready(terminal, "/continue", "nothing to go on with")
        hear(terminal, "two", "You said: two")
    whole = "First.\n\nThen a long word and the end."
    assert said(server)[2] == [("user", "one"), ("assistant", whole), ("user", "two")]
    assert kept(home) == Counter([whole, "You said: two"])
    assert shown(home, "one") == [("user", "one"), ("assistant", whole), *turns("two")]


def test_a_code_block_goes_on_as_one(home: Path, server: Loopback, columns: int) -> None:
    first = "Here:\n\n```python\ndef double(x):\n    # twi"
    rest = "ce\n    return 2 * x\n```\n\nThat *was* it."
    server.then(cut_off(first, "length"), says(rest))
    with talk(home, server, columns=columns) as terminal:
        answered(terminal, "one", "/continue goes on with it.")
        terminal.wait_for_prompt()
        before = len(terminal.raw)
        answered(terminal, "/continue", "That was it.")
        terminal.wait_for_prompt()
        lines = [line.strip() for line in terminal.scrollback.split("\n")]
        shown = lines[len(lines) - lines[::-1].index("> /continue") :]
        code = shown.index("def double(x):")
        assert shown[code : code + 3] == ["def double(x):", "# twice", "return 2 * x"]
        assert "```" not in terminal.scrollback
        assert re.search(rb"\x1b\[[\d;]+mreturn\x1b", terminal.raw[before:])
    assert kept(home) == Counter([first + rest])


def test_what_ctrl_c_has_stopped_goes_on(home: Path, server: Loopback) -> None:
    server.then(Reply([chunk({"content": "Half of a sen"}), 20.0]), says("tence."))
    with talk(home, server) as terminal:
        terminal.say("one")
        terminal.wait_for("Half of a sen")
        terminal.key("ctrl-c")
        terminal.wait_for("stopped")
        terminal.wait_for_prompt()
        hear(terminal, "/continue", "Half of a sentence.")
    assert kept(home) == Counter(["Half of a sentence."])


def test_when_nothing_goes_on_the_half_stays_and_can_be_tried_again(
    home: Path, server: Loopback
) -> None:
    server.then(says("Half of a sen", "length"), fails(401), says("tence."))
    with talk(home, server) as terminal:
        answered(terminal, "one", "/continue goes on with it.")
        terminal.wait_for_prompt()
        answered(terminal, "/continue", "did not accept the key")
        at_prompt(terminal, "/continue")
        clear(terminal)
        assert kept(home) == Counter(["Half of a sen"])
        hear(terminal, "/continue", "Half of a sentence.")
    assert kept(home) == Counter(["Half of a sentence."])


def test_a_reply_goes_on_after_the_program_was_left(home: Path, server: Loopback) -> None:
    server.then(says("Half of a sen", "length"), says("tence."))
    with talk(home, server) as terminal:
        answered(terminal, "one", "/continue goes on with it.")
        terminal.wait_for_prompt()
        terminal.key("ctrl-d")
        terminal.wait_for_end()
    with talk(home, server, "-c") as terminal:
        hear(terminal, "/continue", "Half of a sentence.")
    assert kept(home) == Counter(["Half of a sentence."])


def test_there_is_nothing_to_go_on_with(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        ready(terminal, "/continue", "nothing to go on with")
        say_and_hear(terminal, "one")
        ready(terminal, "/continue", "nothing to go on with")
    assert len(server.requests) == 1
