"""Keeping a talk while it goes on: before the request, as the reply comes, and at its end."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatrepl.chat.catalogue import Served
from chatrepl.chat.conversation import Conversation, Note, from_messages
from chatrepl.chat.events import Event, Finished, TextDelta, UsageReport
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Request
from chatrepl.chat.sessions import title_of
from chatrepl.chat.usage import Usage
from chatrepl.errors import ChatreplError, ServerError, StreamInterruptedError
from tests.support.store import (
    Desk,
    assert_sound,
    count,
    desk,
    hear,
    load,
    rows,
    sessions_in,
    shape,
    texts,
)

REFUSED = ServerError("The server fell over.")
CUT = StreamInterruptedError("The stream was cut.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def run(file: Path) -> Iterator[Desk]:
    with desk(file) as opened:
        yield opened


class Watched:
    """A provider that calls something at each of its steps."""

    name = "watched"
    goes_on = False

    def __init__(self, *steps: Event | Callable[[], object]) -> None:
        self._steps = steps

    def prepare(self) -> None:
        pass

    def served(self) -> Sequence[Served]:
        return ()

    def look_up(self, model: str) -> Served | None:
        return None

    def close(self) -> None:
        pass

    def stream(self, request: Request) -> Iterator[Event]:
        for step in self._steps:
            if callable(step):
                step()
            else:
                yield step


def soon(condition: Callable[[], object], within: float = 1.0) -> None:
    """Wait until something is so; a slow machine has half a second more."""
    end = time.monotonic() + within + 0.5
    while not condition():
        assert time.monotonic() < end, "it never was"
        time.sleep(0.02)


def said(file: Path, session: str) -> list[tuple[str, str]]:
    return texts(load(file, session).conversation)


# Before, while and after.


def test_the_message_is_on_disk_before_the_request_leaves(file: Path, run: Desk) -> None:
    seen: list[tuple[str, str]] = []
    query = "SELECT role, content FROM message ORDER BY id"
    provider: Provider = Watched(lambda: seen.extend(rows(file, query)), Finished("stop"))
    run.chat.provider = provider
    hear(run.chat.say("Is it there?"))
    assert seen == [("user", "Is it there?")]


def test_the_journal_has_what_came_within_a_second_and_goes_with_the_end(
    file: Path, run: Desk
) -> None:
    journal: list[str] = []

    def is_written(text: str) -> Callable[[], None]:
        def check() -> None:
            query = "SELECT text FROM piece ORDER BY rowid"
            soon(lambda: "".join(piece for (piece,) in rows(file, query)) == text)
            journal.append(text)

        return check

    run.chat.provider = Watched(
        TextDelta("One"),
        is_written("One"),
        TextDelta(", two"),
        TextDelta(", three"),
        is_written("One, two, three"),
        lambda: journal.append(load(file, run.session).conversation.exchanges[-1].reply.content),  # type: ignore[union-attr]
        UsageReport(Usage(7, 5, 3, 1)),
        Finished("stop"),
    )
    hear(run.chat.say("Count."))
    assert journal == ["One", "One, two, three", "One, two, three"]
    assert count(file, "piece") == 0
    (exchange,) = load(file, run.session).conversation.exchanges
    assert exchange == Exchange(
        (Message("user", "Count."), Message("assistant", "One, two, three")),
        "stop",
        Usage(7, 5, 3, 1),
        "gpt-4",
        "watched",
    )
    query = "SELECT purpose, model, prompt_tokens, completion_tokens FROM completion"
    assert rows(file, query) == [("reply", "gpt-4", 7, 5)]


def test_the_journal_of_a_reply_is_never_that_of_another(file: Path, run: Desk) -> None:
    for number in range(40):
        run.chat.provider = Watched(TextDelta(f"{number}"), Finished("stop"))
        hear(run.chat.say("Count."))
    assert count(file, "piece") == 0
    replies = [text for role, text in said(file, run.session) if role == "assistant"]
    assert replies == [str(number) for number in range(40)]


def test_a_session_has_the_title_of_its_first_message(file: Path, run: Desk) -> None:
    run.say("What is the capital\nof France?")
    with sessions_in(file) as sessions:
        (session,) = sessions.all()
    assert (session.title, session.messages) == ("What is the capital", 2)
    assert (session.provider, session.model) == ("scripted", "gpt-4")
    assert (session.id, len(session.id)) == (run.session, 6)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", "Untitled"),
        (" \n\t\n", "Untitled"),
        ("\n\n  first \t line \nsecond", "first line"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 30, "word " * 11 + "word…"),
    ],
)
def test_a_title_is_the_beginning_of_a_line(text: str, title: str) -> None:
    assert title_of(text) == title


def test_a_reply_that_is_cut_off_is_kept_as_it_came(file: Path, run: Desk) -> None:
    with pytest.raises(StreamInterruptedError):
        run.say("Go.", [TextDelta("Half a"), TextDelta(" word"), CUT])
    (exchange,) = load(file, run.session).conversation.exchanges
    assert (exchange.reply and exchange.reply.content, exchange.is_whole) == ("Half a word", False)
    assert exchange.finish_reason is None
    assert count(file, "piece") == 0


def test_a_reply_that_the_user_stops_is_kept_as_it_came(file: Path, run: Desk) -> None:
    run.chat.provider = Watched(TextDelta("Half"), TextDelta(" never"), Finished("stop"))
    events = run.chat.say("Go.")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert said(file, run.session) == [("user", "Go."), ("assistant", "Half")]
    assert count(file, "piece") == 0


def test_what_was_asked_in_vain_comes_back_unsent(file: Path, run: Desk) -> None:
    run.say("First", "Yes.")
    with pytest.raises(ServerError):
        run.say("Second", [REFUSED])
    run.chat.keep()
    saved = load(file, run.session)
    assert texts(saved.conversation) == [("user", "First"), ("assistant", "Yes.")]
    assert saved.unsent == "Second"
    run.say("Third", "No.")
    run.chat.keep()
    saved = load(file, run.session)
    assert [text for _, text in texts(saved.conversation)] == ["First", "Yes.", "Third", "No."]
    assert saved.unsent == ""
    assert saved.tree.place(saved.conversation.head) == (1, 1), "no branch was made of it"


def test_a_first_message_in_vain_comes_back_unsent_too(file: Path, run: Desk) -> None:
    with pytest.raises(ServerError):
        run.say("Hello?", [REFUSED])
    run.chat.keep()
    saved = load(file, run.session)
    assert (texts(saved.conversation), saved.unsent) == ([], "Hello?")
    with desk(file, saved) as later:
        later.say("Hello!", "Hi.")
        later.chat.keep()
    assert said(file, run.session) == [("user", "Hello!"), ("assistant", "Hi.")]


def test_a_summary_that_was_spent_in_vain_is_counted(file: Path, run: Desk) -> None:
    with pytest.raises(ServerError):
        run.say("Hello?", [UsageReport(Usage(9, 1)), REFUSED])
    assert rows(file, "SELECT purpose, prompt_tokens FROM completion") == [("reply", 9)]


# Going on with a reply.


def test_a_reply_gone_on_with_is_one_reply(file: Path, run: Desk) -> None:
    run.say("Count.", [TextDelta("One, tw"), UsageReport(Usage(5, 2)), Finished("length")])
    run.go_on_with_reply([TextDelta("o, three"), UsageReport(Usage(8, 3)), Finished("stop")])
    saved = load(file, run.session)
    (exchange,) = saved.conversation.exchanges
    assert exchange.reply == Message("assistant", "One, two, three")
    assert (exchange.finish_reason, exchange.usage) == ("stop", Usage(13, 5))
    assert saved.session.messages == 2
    assert len(rows(file, "SELECT * FROM completion")) == 2


def test_the_journal_of_what_goes_on_follows_what_there_is(file: Path, run: Desk) -> None:
    run.say("Count.", [TextDelta("One, tw"), Finished("length")])
    seen: list[list[tuple[str, str]]] = []
    run.chat.provider = Watched(
        TextDelta("o, three"),
        lambda: soon(lambda: count(file, "piece")),
        lambda: seen.append(said(file, run.session)),
        Finished("stop"),
    )
    hear(run.chat.go_on())
    assert seen == [[("user", "Count."), ("assistant", "One, two, three")]]
    assert said(file, run.session) == seen[0]


def test_going_on_in_vain_leaves_the_reply_as_it_is(file: Path, run: Desk) -> None:
    run.say("First", "Yes.")
    run.say("Count.", [TextDelta("One, tw"), Finished("length")])
    with pytest.raises(ServerError):
        run.go_on_with_reply([REFUSED])
    run.chat.keep()
    saved = load(file, run.session)
    assert texts(saved.conversation)[-1] == ("assistant", "One, tw")
    assert saved.conversation.exchanges[-1].finish_reason == "length"
    assert saved.unsent == ""


def test_stepping_back_after_going_on_in_vain_is_kept(file: Path, run: Desk) -> None:
    run.say("First", "Yes.")
    run.say("Count.", [TextDelta("One, tw"), Finished("length")])
    with pytest.raises(ServerError):
        run.go_on_with_reply([REFUSED])
    run.chat.keep()
    run.chat.go_to(run.chat.conversation.exchanges[0].id)
    run.chat.keep()
    assert said(file, run.session) == [("user", "First"), ("assistant", "Yes.")]


# Branches and what stands around a talk.


def test_another_reply_and_another_message_are_branches(file: Path, run: Desk) -> None:
    run.say("One", "first")
    run.say("Two", "second")
    run.retry("second again")
    run.chat.go_to(run.chat.conversation.exchanges[0].id)
    run.say("Two, said better", "third")
    run.chat.keep()
    saved = load(file, run.session)
    assert [t for _, t in texts(saved.conversation)] == [
        "One",
        "first",
        "Two, said better",
        "third",
    ]
    assert saved.tree.place(saved.conversation.head) == (3, 3)
    assert shape(saved.tree, saved.conversation) == shape(run.chat.tree, run.chat.conversation)
    assert saved.session.messages == 4


def test_a_retry_in_vain_leaves_the_old_reply(file: Path, run: Desk) -> None:
    run.say("One", "first")
    with pytest.raises(ServerError):
        run.retry([REFUSED])
    run.chat.keep()
    saved = load(file, run.session)
    assert texts(saved.conversation) == [("user", "One"), ("assistant", "first")]
    assert (saved.unsent, len(saved.tree.exchanges)) == ("", 1)


def test_pins_drops_note_system_message_and_examples_come_back(file: Path) -> None:
    talk = Conversation(
        Message("system", "Be kind."),
        (Message("user", "2+2?", "Ann"), Message("assistant", "4")),
    )
    with desk(file) as run:
        run.chat.begin(talk, run.recorder)
        for number in range(6):
            run.say(f"Question {number}", f"Answer {number}")
        kept = run.chat.conversation.pinned(4).dropped(3).dropped(1)
        run.chat.conversation = replace(kept, note=Note("Two were told.", 0, 3, frozenset({1})))
        run.chat.keep()
        expected = run.chat.conversation
    saved = load(file, run.session).conversation
    assert saved == expected
    assert (set(saved.pins), saved.drops) == ({4}, (3, 1))
    assert saved.note == Note("Two were told.", 0, 3, frozenset({1}))


def test_a_system_message_that_changes_in_the_middle_comes_back(file: Path, run: Desk) -> None:
    run.say("One")
    run.chat.conversation = run.chat.conversation.with_system("Be brief.")
    run.chat.keep()
    assert load(file, run.session).conversation.system == Message("system", "Be brief.")
    run.chat.conversation = run.chat.conversation.with_system("")
    run.chat.keep()
    assert load(file, run.session).conversation.system is None


def test_a_mark_on_another_branch_comes_back_with_it(file: Path, run: Desk) -> None:
    run.say("One", "first")
    run.say("Two", "second")
    run.chat.conversation = run.chat.conversation.pinned(1)
    other = run.chat.conversation.head
    run.chat.go_to(run.chat.conversation.exchanges[0].id)
    run.say("Three", "third")
    run.chat.keep()
    saved = load(file, run.session)
    assert saved.conversation.pins == frozenset()
    assert saved.tree.follow(saved.conversation, other).pins == {1}


# What was loaded from a file.

SHAPES: dict[str, list[tuple[str, str]]] = {
    "begins with a reply": [("assistant", "Hi"), ("user", "Ho"), ("assistant", "Hu")],
    "system in the middle": [("user", "a"), ("assistant", "b"), ("system", "c"), ("user", "d")],
    "two replies": [("system", "s"), ("user", "a"), ("assistant", "b"), ("assistant", "c")],
    "two users": [("user", "a"), ("user", "b"), ("user", "c"), ("assistant", "d")],
    "only system": [("system", "s")],
    "systems only": [("system", "s"), ("system", "t"), ("system", "u")],
    "empty texts": [("user", ""), ("assistant", ""), ("user", " "), ("assistant", "\n")],
    "odd characters": [("user", "\0\ud800\x1b[31m\u202e"), ("assistant", "漢字 👍🏽 \r\n\t")],
    "ends with a user": [("user", "a"), ("assistant", "b"), ("user", "c")],
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_loaded_talk_of_any_shape_comes_back_with_what_is_said_after_it(
    file: Path, run: Desk, name: str
) -> None:
    loaded = from_messages([Message(role, text) for role, text in SHAPES[name]])  # type: ignore[arg-type]
    run.chat.begin(loaded, run.recorder)
    run.say("And now?", "Now.")
    run.chat.keep()
    saved = load(file, run.session).conversation
    assert saved.messages == run.chat.conversation.messages
    assert saved == run.chat.conversation
    assert saved.messages[-2:] == (Message("user", "And now?"), Message("assistant", "Now."))
    assert_sound(file)


def test_a_loaded_talk_that_ends_with_a_user_is_answered_in_its_place(
    file: Path, run: Desk
) -> None:
    messages = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    run.chat.begin(from_messages(messages), run.recorder)
    run.retry("d")
    run.chat.keep()
    assert [text for _, text in said(file, run.session)] == ["a", "b", "c", "d"]


# What comes from outside.


@pytest.mark.parametrize("count_of", [2**63, 2**80, -1])
def test_absurd_usage_does_not_end_the_chat(file: Path, run: Desk, count_of: int) -> None:
    run.say("Hi", [TextDelta("Ho"), UsageReport(Usage(count_of, 1)), Finished("stop")])
    run.say("And?", "More.")
    assert [text for _, text in said(file, run.session)] == ["Hi", "Ho", "And?", "More."]


@pytest.mark.parametrize("field", ["title", "finish_reason"])
def test_a_lone_surrogate_elsewhere_does_not_end_the_chat(
    file: Path, run: Desk, field: str
) -> None:
    reason = "odd\udcff" if field == "finish_reason" else "stop"
    run.say("Hi", [TextDelta("Ho"), Finished(reason)])
    if field == "title":
        run.recorder.rename("odd\udcff")
    assert said(file, run.session) == [("user", "Hi"), ("assistant", "Ho")]


# Other programs.


def test_a_session_that_was_deleted_meanwhile_is_written_anew(file: Path, run: Desk) -> None:
    run.say("One", "first")
    run.say("Two", "second")
    run.chat.conversation = run.chat.conversation.pinned(0)
    run.chat.keep()
    before = run.session
    with sessions_in(file) as sessions:
        sessions.remove(before)
    run.say("Three", "third")
    run.chat.keep()
    assert run.session != before
    saved = load(file, run.session)
    assert [text for _, text in texts(saved.conversation)] == [
        "One",
        "first",
        "Two",
        "second",
        "Three",
        "third",
    ]
    assert (saved.session.title, set(saved.conversation.pins)) == ("One", {0})
    assert count(file, "session") == 1
    assert_sound(file)


def test_a_session_that_is_deleted_while_it_answers_is_written_anew(file: Path, run: Desk) -> None:
    def remove() -> None:
        with sessions_in(file) as sessions:
            sessions.remove(run.session)

    run.chat.provider = Watched(
        TextDelta("Half"),
        lambda: soon(lambda: count(file, "piece")),
        remove,
        TextDelta(" and half"),
        lambda: time.sleep(0.7),
        Finished("stop"),
    )
    hear(run.chat.say("Hi"))
    run.chat.keep()
    assert said(file, run.session) == [("user", "Hi"), ("assistant", "Half and half")]


def test_a_database_that_is_locked_for_a_moment_costs_nothing(file: Path, run: Desk) -> None:
    run.say("One", "first")
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.8, lambda: other.execute("ROLLBACK"))
        timer.start()
        run.say("Two", "second")
        timer.join()
    assert run.notices == []
    assert len(said(file, run.session)) == 4


def test_a_database_that_is_locked_while_a_reply_comes_is_still_waited_for(
    file: Path, run: Desk
) -> None:
    run.say("One", "first")
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:

        def reply() -> Iterator[Event]:
            other.execute("BEGIN IMMEDIATE")
            yield TextDelta("second")
            time.sleep(0.4)  # the journal gives up after half of that
            timer.start()
            yield Finished("stop")

        timer = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
        run.say("Two", reply())
        timer.join()
    assert run.notices == []
    assert len(said(file, run.session)) == 4


# A disk that fails and comes back.


class Disk:
    """The folder of a database, which can be gone: a file is in its place."""

    def __init__(self, run: Desk) -> None:
        self._run = run
        self._folder = run.database.file.parent
        self._away = self._folder.with_name("away")

    def fail(self) -> None:
        if self._folder.exists():
            self._folder.rename(self._away)
        self._folder.write_text("in the way")
        self._run.database.close()  # last, or the journal would open it again

    def come_back(self) -> None:
        self._folder.unlink()
        if self._away.exists():
            self._away.rename(self._folder)


def test_a_disk_that_fails_is_said_once_and_so_is_that_it_is_back(file: Path, run: Desk) -> None:
    disk = Disk(run)
    run.say("One", "first")
    disk.fail()
    for number in range(3):
        run.say(f"Unsaved {number}", f"reply {number}")
        run.chat.keep()
    assert len(run.notices) == 1
    assert run.notices[0].startswith("This chat is not saved.")
    assert str(file) in run.notices[0]
    assert "\n" not in run.notices[0]
    disk.come_back()
    run.say("Saved", "again")
    run.chat.keep()
    assert run.notices[1:] == ["This chat is saved again."]
    replies = [text for role, text in said(file, run.session) if role == "assistant"]
    assert replies == ["first", "reply 0", "reply 1", "reply 2", "again"]
    disk.fail()
    run.say("Unsaved once more", "x")
    assert len(run.notices) == 3, "another failure is said again"


def test_a_disk_that_fails_from_the_start_keeps_nothing_back(file: Path, run: Desk) -> None:
    disk = Disk(run)
    disk.fail()
    assert run.say("One", "first") == "first"
    assert run.recorder.session is None
    disk.come_back()
    run.say("Two", "second")
    assert [text for _, text in said(file, run.session)] == ["One", "first", "Two", "second"]
    assert load(file, run.session).session.title == "One"


def test_what_was_not_saved_is_saved_by_whatever_is_kept_next(file: Path, run: Desk) -> None:
    disk = Disk(run)
    run.say("One", "first")
    disk.fail()
    run.say("Two", "second")
    disk.come_back()
    run.chat.keep()
    assert run.notices[1:] == ["This chat is saved again."]
    assert [text for _, text in said(file, run.session)] == ["One", "first", "Two", "second"]


def test_usage_and_reply_of_an_end_that_failed_come_later(file: Path, run: Desk) -> None:
    disk = Disk(run)
    usage = UsageReport(Usage(4, 2))
    run.chat.provider = Watched(TextDelta("first"), disk.fail, usage, Finished("stop"))
    hear(run.chat.say("One"))
    assert len(run.notices) == 1
    disk.come_back()
    run.say("Two", "second")
    exchange = load(file, run.session).conversation.exchanges[0]
    assert (exchange.reply and exchange.reply.content, exchange.usage) == ("first", Usage(4, 2))
    assert rows(file, "SELECT prompt_tokens FROM completion ORDER BY id")[0] == (4,)


def test_a_branch_that_was_made_meanwhile_is_not_lost(file: Path, run: Desk) -> None:
    disk = Disk(run)
    run.say("One", "first")
    disk.fail()
    run.say("Two", "second")
    disk.come_back()
    run.retry("second again")
    run.chat.keep()
    saved = load(file, run.session)
    assert shape(saved.tree, saved.conversation) == shape(run.chat.tree, run.chat.conversation)


def test_stepping_to_what_could_not_be_written_writes_it(file: Path, run: Desk) -> None:
    disk = Disk(run)
    run.say("One", "first")
    disk.fail()
    run.say("Two", "second")
    head = run.chat.conversation.head
    disk.come_back()
    run.retry("second again")
    run.chat.go_to(head)
    run.chat.keep()
    assert [text for _, text in said(file, run.session)] == ["One", "first", "Two", "second"]


def test_a_title_that_could_not_be_written_is_written_later(file: Path, run: Desk) -> None:
    disk = Disk(run)
    run.say("One", "first")
    disk.fail()
    run.recorder.rename("Better")
    disk.come_back()
    run.say("Two", "second")
    assert load(file, run.session).session.title == "Better"


# In a file system of its own: it fills up, it is read-only.

SMALL_DISK = """
import json, os, sys
from contextlib import suppress
from pathlib import Path
from tests.support.store import Desk, load, texts
folder, kind = Path(sys.argv[1]), sys.argv[2]
run = Desk(folder / "sessions.db")
replies = [run.say("One", "first")]
if kind == "full":
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(512))
    for number in range(3):
        replies.append(run.say(f"Unsaved {number}", "long " * 20_000))
    ballast.unlink()
    replies.append(run.say("Two", "second"))
    run.chat.keep()
    run.close()
told = run.notices
kept = texts(load(folder / "sessions.db", run.session).conversation) if kind == "full" else []
print(json.dumps({"notices": told, "replies": len(replies), "kept": kept}))
"""


def on_a_small_disk(folder: Path, kind: str) -> dict[str, Any]:
    """Run a talk on a file system of 2 MB, in a name space of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to make a file system of its own with")
    folder.mkdir()
    option = "size=2m,ro" if kind == "read-only" else "size=2m"
    script = f'mount -t tmpfs -o {option} none "$1" && exec "$2" -c "$3" "$1" {kind}'
    arguments = ("sh", str(folder), sys.executable, SMALL_DISK)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not done.stdout and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_full_disk_is_said_once_and_nothing_is_lost(tmp_path: Path) -> None:
    seen = on_a_small_disk(tmp_path / "disk", "full")
    assert seen["replies"] == 5
    assert len(seen["notices"]) == 2, seen["notices"]
    assert "full" in seen["notices"][0]
    assert seen["notices"][1] == "This chat is saved again."
    prompts = [text for role, text in seen["kept"] if role == "user"]
    assert prompts == ["One", "Unsaved 0", "Unsaved 1", "Unsaved 2", "Two"]


def test_a_read_only_disk_is_said_and_the_chat_goes_on(tmp_path: Path) -> None:
    seen = on_a_small_disk(tmp_path / "disk", "read-only")
    assert (seen["replies"], len(seen["notices"])) == (1, 1)
    assert "ead-only" in seen["notices"][0]


def test_a_file_that_may_only_be_read_is_told_plainly(file: Path) -> None:
    with desk(file) as run:
        run.say("One", "first")
    file.chmod(0o400)
    if os.access(file, os.W_OK):
        pytest.skip("root may write everywhere")
    with desk(file) as run:
        assert run.say("Two", "second") == "second"
    assert len(run.notices) == 1


def test_nothing_of_the_recorder_is_raised(file: Path, run: Desk) -> None:
    disk = Disk(run)
    disk.fail()
    with suppress(ChatreplError):
        run.say("One", [TextDelta("Half"), CUT])
    run.recorder.rename("Title")
    run.recorder.save(run.chat.conversation)
    run.chat.keep()
    assert len(run.notices) == 1
