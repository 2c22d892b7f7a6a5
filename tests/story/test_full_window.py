"""What is done when a talk has outgrown the window: asking first, or condensing."""

import json
import re
import threading
from pathlib import Path

import pytest

from tests.story.test_commands import command, refused, said
from tests.support.guide import num_tokens_from_messages
from tests.support.loopback import Loopback, Received, Reply, chunk, fails, says
from tests.support.program import Terminal, run
from tests.support.talk import long_talk, say_and_hear, talk

TYPED = "And what of the eighth ship?"
QUESTION = "The conversation has outgrown the window: 3 exchanges, 312 tokens, would have to be"
NOTE = "They talked of seven ships and the wide sea."
MARK = "Note: a summary, written by the model, of earlier messages that are not sent any more."
LETTERS = {"n": "begin a new", "t": "leave the oldest", "s": "condense the oldest", "c": "cancel"}


def is_summary(received: Received) -> bool:
    return received.said[0][1].startswith("You condense conversations.")


class Server:
    """The loopback server: it answers in two words, and a call for a summary as it is told."""

    def __init__(self, server: Loopback) -> None:
        self.loop = server
        self.summary = says(NOTE, usage=(700, 12))
        server.usual = self._answer

    def _answer(self, received: Received) -> Reply:
        if is_summary(received):
            return self.summary
        usage = num_tokens_from_messages(received.body["messages"]), 4
        return says(f"Noted {len(self.turns)}.", usage=usage)

    @property
    def turns(self) -> list[Received]:
        return [received for received in self.loop.requests if not is_summary(received)]

    @property
    def summaries(self) -> list[Received]:
        return [received for received in self.loop.requests if is_summary(received)]


@pytest.fixture
def answering(server: Loopback) -> Server:
    return Server(server)


def full(home: Path, server: Server, overflow: str, *flags: str) -> Terminal:
    """Start on a talk of ten exchanges that has room for seven."""
    loaded = long_talk(home, window=1_040)
    return talk(home, server.loop, *loaded, "--overflow", overflow, *flags, lines=40)


def ask(terminal: Terminal, text: str = TYPED) -> None:
    """Say something and see the question."""
    terminal.say(text)
    wait_for_question(terminal)


def wait_for_question(terminal: Terminal) -> None:
    # The last line: an earlier question may still stand above.
    terminal.wait_until(lambda: terminal.screen.endswith("\nn/t/s/c>"), "the question")


def wait_for_line_back(terminal: Terminal, text: str = TYPED) -> None:
    """Wait until a text stands at the prompt again, with the toolbar below it."""
    shown = re.compile(rf"^> {re.escape(text)}\n(\n*) gpt-4 · .*\Z", re.MULTILINE)
    terminal.wait_until(lambda: shown.search(terminal.screen), f"{text!r} at the prompt again")


def words_of(terminal: Terminal) -> str:
    """What is on the screen, however it was broken into lines."""
    return " ".join(terminal.scrollback.split())


def begins(received: Received) -> list[str]:
    """The first two words of each message of a request."""
    return [" ".join(text.split()[:2]) for _, text in received.said]


# overflow = "ask"


def test_the_question_tells_the_numbers_and_the_answers(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        assert QUESTION in words_of(terminal)
        for letter, meaning in LETTERS.items():
            assert re.search(rf"^ +{letter} +.*{meaning}", terminal.screen, re.MULTILINE)
        # Words are no answer: "not now" is not meant to begin a new conversation.
        for number, other in enumerate(("x", "", "not now"), 2):
            terminal.say(other)
            terminal.wait_for("n/t/s/c>", times=number)
        terminal.say("C")
        wait_for_line_back(terminal)
    assert answering.loop.requests == []


def test_on_a_narrow_screen_the_answers_can_be_read_to_their_ends(
    home: Path, answering: Server
) -> None:
    flags = ("--overflow", "ask", *long_talk(home, window=1_040))
    with talk(home, answering.loop, *flags, columns=40) as terminal:
        ask(terminal)
        shown = "".join(terminal.screen.split())
        assert shown.count("oldestexchanges") == shown.count("fromnowon") == 2
        assert "beginanewconversationwiththismessage" in shown


def test_as_long_as_everything_fits_nothing_is_asked(home: Path, answering: Server) -> None:
    flags = ("--overflow", "ask", *long_talk(home, 3))
    with talk(home, answering.loop, *flags) as terminal:
        say_and_hear(terminal, TYPED, "Noted 1.")
    assert len(answering.turns[0].said) == 8


def test_a_new_conversation_begins_with_what_was_typed(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        terminal.say("n")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "Go on.", "Noted 2.")
    assert begins(answering.turns[0]) == ["Be kind.", "And what"]
    assert begins(answering.turns[1]) == ["Be kind.", "And what", "Noted 1.", "Go on."]


def test_trimming_holds_from_then_on(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        terminal.say("t")
        terminal.wait_for("left out 3 exchanges, 312 tokens; /context shows them")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
        say_and_hear(terminal, "What of it?" + " ship" * 60, "Noted 2.")
        command(terminal, "/overflow", "overflow: trim")
    assert begins(answering.turns[0])[:2] == ["Be kind.", "Question 4"]
    assert answering.summaries == []


def test_summarizing_holds_from_then_on(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        terminal.say("s")
        terminal.wait_for("condensed ")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
        command(terminal, "/overflow", "overflow: summarize")
    assert answering.turns[0].said[1] == ("system", f"{MARK}\n{NOTE}")
    assert answering.turns[0].said[-1] == ("user", TYPED)


@pytest.mark.parametrize("key", ["c", "ctrl-c", "ctrl-d"])
def test_cancelling_brings_the_text_back_and_the_next_time_is_asked_again(
    home: Path, answering: Server, key: str
) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        if key == "c":
            terminal.say("c")
        else:
            terminal.key(key)
        wait_for_line_back(terminal)
        terminal.key("enter")
        terminal.wait_until(lambda: words_of(terminal).count(QUESTION) == 2, "the question again")
        wait_for_question(terminal)
        terminal.key("ctrl-c")
        wait_for_line_back(terminal)
        terminal.key("ctrl-c")
        command(terminal, "/tokens", "tokens in 21 messages")
    assert answering.loop.requests == []


@pytest.mark.parametrize("letter", ["n", "t", "s"])
def test_a_failure_after_the_answer_loses_neither_text_nor_talk(
    home: Path, answering: Server, letter: str
) -> None:
    answering.loop.usual = lambda _: fails(401, "That key is not known.")
    with full(home, answering, "ask") as terminal:
        ask(terminal)
        terminal.say(letter)
        wait_for_line_back(terminal)
        terminal.key("ctrl-c")
        command(terminal, "/tokens", "tokens in 21 messages")


def test_a_retry_asks_too_and_loses_nothing(home: Path, answering: Server) -> None:
    file = home / "talk.json"
    with full(home, answering, "ask") as terminal:
        ask(terminal, "/retry")
        assert QUESTION in words_of(terminal)
        terminal.key("ctrl-c")
        terminal.wait_until(lambda: terminal.screen.count("/retry") == 1, "nothing more")
        command(terminal, "/tokens", "tokens in 21 messages")
        ask(terminal, "/retry")
        terminal.say("t")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
        command(terminal, "/context 21", "Noted 1.")
    assert answering.turns[0].said[-1][1] == json.loads(file.read_text())[-2]["content"]


def test_a_retry_in_a_new_conversation_has_its_question(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        ask(terminal, "/retry")
        terminal.say("n")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
    assert begins(answering.turns[0]) == ["Be kind.", "Question 10"]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_one_shot_under_ask_sends_nothing_and_says_what_to_do(
    home: Path, answering: Server, flags: tuple[str, ...]
) -> None:
    server = ("--base-url", answering.loop.base_url, "-m", "gpt-4", "--overflow", "ask", *flags)
    done = run(*server, *long_talk(home, window=1_040), TYPED, home=home)
    assert (done.returncode, done.stdout) == (5, "")
    text, hint = done.stderr.splitlines()
    assert text == f"{QUESTION} left out."
    assert "--overflow trim" in hint
    assert "--overflow summarize" in hint
    assert "/clear" not in hint, "there are no slash commands in one-shot"
    assert answering.loop.requests == []


# overflow = "summarize"


def test_the_oldest_exchanges_become_a_note(home: Path, answering: Server) -> None:
    with full(home, answering, "summarize") as terminal:
        say_and_hear(terminal, TYPED, "Noted 1.")
        shown = words_of(terminal)
        found = re.search(
            r"condensed (\d+) exchanges, ([\d,]+) tokens, into a note of (\d+); /context shows it",
            shown,
        )
        assert found
        assert f"condensing the oldest {found[1]} exchanges" in shown
        assert "left out" not in shown
        command(terminal, "/context", "window   1,040 tokens")
        table = terminal.screen
        command(terminal, "/context note", NOTE)
        assert MARK in words_of(terminal)
        command(terminal, "/usage", "total")
        turn = num_tokens_from_messages(answering.turns[0].body["messages"])
        used = dict(
            re.findall(r"^(summary|reply 1|total) +([\d,]+ +0 +\d+)", terminal.screen, re.M)
        )
        counts = {name: count.split() for name, count in used.items()}
        assert counts["summary"] == ["700", "0", "12"]
        assert counts["reply 1"] == [f"{turn:,}", "0", "4"]
        assert counts["total"] == [f"{700 + turn:,}", "0", "16"]
        command(terminal, "/context 2", "2 user, 67 tokens")
        say_and_hear(terminal, "Go on.", "Noted 2.")
        assert terminal.scrollback.count("condensed ") == 1
    condensed = int(found[1])
    assert 3 < condensed < 10, "more than have to go, so that the next turns have room"
    note = ("system", f"{MARK}\n{NOTE}")
    roles = [("user", "ship"), ("assistant", "sea")]
    gone = [
        (role, f"{'Question' if role == 'user' else 'Answer'} {n}" + f" {word}" * (60, 30)[i])
        for n in range(1, condensed + 1)
        for i, (role, word) in enumerate(roles)
    ]
    # What the model is given to condense: nothing that is sent on, and all that is not.
    [summary] = answering.summaries
    assert summary.said[1:-1] == gone
    assert summary.said[-1][0] == "user"
    assert "at most" in summary.said[-1][1]
    assert summary.body["max_tokens"] < 250
    cost = num_tokens_from_messages({"role": r, "content": t} for r, t in gone) - 3
    assert int(found[2].replace(",", "")) == cost
    assert int(found[3]) == num_tokens_from_messages([{"role": note[0], "content": note[1]}]) - 3
    # What is sent in their place.
    for received in answering.turns:
        assert received.said[:2] == [("system", "Be kind."), note]
        assert begins(received)[2] == f"Question {condensed + 1}"
    rows = [line.split() for line in table.split("\n")]
    assert ["note", "system"] in [row[:2] for row in rows]
    assert sum(row[-3:] == ["in", "the", "note"] for row in rows) == 2 * condensed
    assert re.search(rf"◆ note +{found[3]}$", table, re.MULTILINE)


def test_the_next_note_holds_the_first(home: Path, answering: Server) -> None:
    with full(home, answering, "summarize") as terminal:
        for number in range(1, 7):
            say_and_hear(terminal, "What of it?" + " ship" * 80, f"Noted {number}.")
    assert len(answering.summaries) > 1
    assert NOTE in answering.summaries[1].said[0][1]
    assert [text for _, text in answering.turns[-1].said].count(f"{MARK}\n{NOTE}") == 1


def test_pinned_and_dropped_exchanges_are_not_condensed(home: Path, answering: Server) -> None:
    with full(home, answering, "summarize") as terminal:
        command(terminal, "/pin 2", "pinned")
        command(terminal, "/drop 4", "dropped")
        say_and_hear(terminal, TYPED, "Noted 1.")
        terminal.wait_for("condensed ")
    assert "Question 1" not in begins(answering.summaries[0])
    assert "Question 2" not in begins(answering.summaries[0])
    assert begins(answering.turns[0])[2] == "Question 1"
    assert "Question 2" not in begins(answering.turns[0])


@pytest.mark.parametrize("origin", ["flag", "file", "persona", "persona goes before file"])
def test_one_shot_summarizes_wherever_that_is_set(
    home: Path, answering: Server, origin: str
) -> None:
    config = home / "config.toml"
    wanted = 'overflow = "summarize"'
    persona = f"[personas.terse]\n{wanted}"
    text, flags = {
        "flag": ('overflow = "ask"', ("--overflow", "summarize")),
        "file": (wanted, ()),
        "persona": (persona, ("-p", "terse")),
        "persona goes before file": (f'overflow = "ask"\n{persona}', ("-p", "terse")),
    }[origin]
    config.write_text(text)
    server = ("--base-url", answering.loop.base_url, "-m", "gpt-4", "--config", str(config))
    done = run(*server, *flags, *long_talk(home, window=1_040), TYPED, home=home)
    assert (done.returncode, done.stdout) == (0, "Noted 1.\n")
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("condensing the oldest ")
    assert lines[1].startswith("condensed ")
    assert answering.turns[0].said[1] == ("system", f"{MARK}\n{NOTE}")


def test_overflow_shows_and_switches(home: Path, answering: Server) -> None:
    with full(home, answering, "ask") as terminal:
        command(terminal, "/overflow", "overflow: ask; you are asked")
        refused(terminal, "/overflow never", "There is no overflow 'never'.", "trim, ask")
        command(terminal, "/overflow summarize", "overflow: summarize; the model condenses")
        say_and_hear(terminal, TYPED, "Noted 1.")
        terminal.wait_for("condensed ")
        terminal.type("/overflow tr")
        terminal.wait_for("the oldest exchanges are left out")
        terminal.key("tab")
        terminal.wait_for("> /overflow trim")
        terminal.key("enter")
        terminal.wait_for("overflow: trim; the oldest exchanges are left out")
        terminal.wait_for_prompt()
    assert len(answering.summaries) == 1


FAILURES = {
    "refused": (fails(400, "No summaries today."), "No summaries today."),
    "empty": (says(""), "The summary was empty."),
    "too long": (says("word " * 900), "no shorter than what it condenses"),
    "cut": (Reply([chunk({"content": "They"}), b"data: {oops\n\n"]), ""),
    "overflow": (
        fails(
            400,
            "This model's maximum context length is 1040 tokens. However, you requested 1100 "
            "tokens (1000 in the messages, 100 in the completion).",
            code="context_length_exceeded",
        ),
        "",
    ),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_when_no_summary_comes_the_oldest_are_left_out(
    home: Path, answering: Server, kind: str
) -> None:
    answering.summary, reason = FAILURES[kind]
    server = ("--base-url", answering.loop.base_url, "-m", "gpt-4", "--overflow", "summarize")
    done = run(*server, *long_talk(home, window=1_040), TYPED, home=home)
    assert (done.returncode, done.stdout) == (0, "Noted 1.\n")
    notices = done.stderr.splitlines()
    assert notices[0].startswith("condensing the oldest ")
    assert notices[-2].startswith("No summary, so the oldest exchanges are left out: ")
    assert reason in notices[-2]
    assert notices[-1] == "left out 3 exchanges, 312 tokens"
    assert begins(answering.turns[0])[:2] == ["Be kind.", "Question 4"]


def test_what_is_too_long_even_for_a_summary_is_left_out_without_a_call(
    home: Path, answering: Server
) -> None:
    """Its prompt and its reply fitted; both together are more than the model can be given."""
    file = home / "talk.json"
    texts = [("user", "Question" + " ship" * 700), ("assistant", "Answer" + " sea" * 250)]
    file.write_text(json.dumps([{"role": role, "content": text} for role, text in texts]))
    server = ("--base-url", answering.loop.base_url, "-m", "gpt-4", "--overflow", "summarize")
    flags = ("--load", str(file), "--context-window", "1000")
    done = run(*server, *flags, TYPED, home=home)
    assert (done.returncode, done.stdout) == (0, "Noted 1.\n")
    assert answering.summaries == []
    assert "0 exchanges" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("left out 1 exchange, ")


def test_a_failed_summary_leaves_no_note_behind(home: Path, answering: Server) -> None:
    answering.summary = fails(400, "No summaries today.")
    with full(home, answering, "summarize") as terminal:
        say_and_hear(terminal, TYPED, "Noted 1.")
        terminal.wait_for("No summary, so the oldest")
        terminal.wait_for("left out 3 exchanges, 312 tokens")
        refused(terminal, "/context note", "There is no note yet")


def test_ctrl_c_during_the_summary_brings_the_text_back(home: Path, answering: Server) -> None:
    held = threading.Event()
    answering.summary = Reply([chunk({"content": "They"}), held])
    with full(home, answering, "summarize") as terminal:
        terminal.say(TYPED)
        terminal.wait_for("condensing the oldest")
        terminal.wait_until(lambda: answering.summaries, "the call")
        terminal.key("ctrl-c")
        terminal.wait_for("stopped")
        wait_for_line_back(terminal)
        held.set()
        answering.summary = says(NOTE)
        terminal.key("enter")
        terminal.wait_for("Noted 1.")
        terminal.wait_for_prompt()
    assert answering.turns[0].said[1] == ("system", f"{MARK}\n{NOTE}")
    assert answering.turns[0].said[-1] == ("user", TYPED)


def test_one_shot_under_summarize_is_ended_by_nothing_but_the_turn(
    home: Path, answering: Server
) -> None:
    """The summary costs a call only when something has to go."""
    server = ("--base-url", answering.loop.base_url, "-m", "gpt-4", "--overflow", "summarize")
    done = run(*server, *long_talk(home, 3), TYPED, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Noted 1.\n", "")
    assert len(said(answering.loop)) == 1


def test_what_was_typed_before_the_question_is_no_answer_and_not_lost(
    home: Path, answering: Server
) -> None:
    with full(home, answering, "ask") as terminal:
        terminal.type(f"{TYPED}\rsomething typed ahead\r")
        wait_for_question(terminal)
        terminal.say("t")
        terminal.wait_for("Noted 1.")
        wait_for_line_back(terminal, "something typed ahead")


def test_a_dry_run_under_ask_ends_as_the_run_would(home: Path, answering: Server) -> None:
    loaded = long_talk(home, window=1_040)
    flags = ("--base-url", answering.loop.base_url, "-m", "gpt-4", *loaded, "--overflow", "ask")
    done = run(*flags, "--dry-run", TYPED, home=home)
    assert (done.returncode, done.stdout) == (5, "")
    assert "would have to be left out" in done.stderr
    done = run(*flags[:-1], "summarize", "--dry-run", TYPED, home=home)
    assert done.returncode == 0
    assert "condensed first" in done.stderr
