"""Sessions, listed, searched, found, read, renamed and removed; and a model to compare with."""

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from chatrepl.chat.events import Event, Finished, TextDelta, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.previewing import pin
from chatrepl.chat.usage import Usage
from chatrepl.errors import ChatreplError, ServerError, SettingsError, StreamInterruptedError
from chatrepl.store.rows import stamp
from chatrepl.store.sessions import Sessions
from tests.store.test_recorder import soon
from tests.support.store import Desk, assert_sound, count, desk, load, rows, sessions_in, shape

REFUSED = ServerError("The server fell over.")
CUT = StreamInterruptedError("The stream was cut.")
TABLES = ("session", "exchange", "message", "piece", "completion", "message_text")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def sessions(file: Path) -> Iterator[Sessions]:
    with sessions_in(file) as opened:
        yield opened


def keep(file: Path, *texts: str, title: str | None = None) -> str:
    """Keep a session of messages and replies by turns, and give its id."""
    with desk(file) as run:
        run.recorder.title = title
        for prompt, reply in zip(texts[::2], texts[1::2], strict=True):
            run.say(prompt, [TextDelta(reply), Finished("stop")])
        run.chat.keep()
        return run.session


# Lists.


def test_there_is_nothing_before_something_was_said(sessions: Sessions) -> None:
    assert (sessions.all(), sessions.search("word")) == ([], [])
    with pytest.raises(SettingsError, match="no session yet"):
        sessions.find("word")


def test_the_newest_comes_first_and_what_is_gone_on_with_is_new(
    file: Path, sessions: Sessions
) -> None:
    first, second = keep(file, "One", "1"), keep(file, "Two", "2")
    assert [found.id for found in sessions.all()] == [second, first]
    with desk(file, load(file, first)) as run:
        run.say("Three", "3")
    assert [(found.id, found.messages) for found in sessions.all()] == [(first, 4), (second, 2)]
    assert [found.id for found in sessions.all(limit=1)] == [first]


def test_times_are_utc_and_in_order(file: Path, sessions: Sessions) -> None:
    begin = datetime.now(UTC) - timedelta(milliseconds=1)
    keep(file, "One", "1")
    (found,) = sessions.all()
    assert begin <= found.created <= found.updated <= datetime.now(UTC)


def test_messages_are_those_of_the_current_branch(file: Path, sessions: Sessions) -> None:
    with desk(file) as run:
        run.say("One", "1")
        run.say("Two", "2")
        run.retry("2 again")
        run.chat.go_to(run.chat.conversation.exchanges[0].id)
        run.chat.keep()
    assert sessions.all()[0].messages == 2


# Searching.


def hits(sessions: Sessions, text: str) -> list[str]:
    return [hit.text for hit in sessions.search(text)]


MESSAGES = (
    "The Quick brown FOX of Älmhult",
    "jumps over the lazy dog; 100% sure",
    "snake_case and snakeXcase",
    'She said "no way" - twice',
    "東京は日本の首都です",
    "AND OR NOT NEAR(a b) foo* ^bar content:baz",
    "back\\slash and it's ok",
    "Ж и З: чай, ÖL and ÅÄ",
)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("quick", [0]),
        ("QUICK fox", [0]),
        ("fox quick", [0]),
        ("quick dog", []),
        ("row", [0]),
        ("älmhult", [0]),
        ("ÄLMHULT", [0]),
        ("100%", [1]),
        ("0%", [1]),
        ("%", [1]),
        ("e_c", [2]),
        ("_", [2]),
        ("snake_case", [2]),
        ('"no way"', [3]),
        ('"no', [3]),
        ('"', [3]),
        ("東京", [4]),
        ("首都です", [4]),
        ("都", [4]),
        ("AND OR NOT", [5]),
        ("foo*", [5]),
        ("qui*", []),
        ("NEAR(a", [5]),
        ("content:baz", [5]),
        ("^bar", [5]),
        ("-", [3]),
        ("\\s", [6]),
        ("back\\slash", [6]),
        ("it's", [6]),
        ("OK", [6]),
        ("th quick", [0]),
        ("чай", [7]),
        ("ЧАЙ", [7]),
        ("ж", [7]),
        ("öl", [7]),
        ("åä Ж", [7]),
        ("", []),
        ("  \t\n ", []),
        ("(", [5]),
        ("'", [6]),
        (";", [1]),
        ("\0", []),
        ("\udcff\udcff\udcff", []),
        ("\udcff", []),
    ],
)
def test_a_search_finds_every_word_as_it_stands_in_any_case(
    file: Path, sessions: Sessions, words: str, found: list[int]
) -> None:
    keep(file, *MESSAGES)
    assert hits(sessions, words) == [MESSAGES[number] for number in found]


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "Cc"]), min_size=1, max_size=8)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(WORD, min_size=1, max_size=3), extra=WORD)
def test_any_text_is_found_by_its_own_words(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], extra: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "sessions.db"
    text = f"{extra} {' and '.join(words)} {extra}"
    keep(file, "Hello", text)
    with sessions_in(file) as sessions:
        assert text in hits(sessions, " ".join(reversed(words)))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text())
@example("quick\0fox")
@example("\udcff\udcff\udcff")
def test_any_search_ends_in_a_result(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("any") / "sessions.db"
    keep(file, "Hello", "World")
    with sessions_in(file) as sessions:
        sessions.search(text)
        with suppress(SettingsError):
            sessions.find(text)


def test_hits_are_newest_first_and_no_more_than_asked_for(file: Path, sessions: Sessions) -> None:
    for number in range(5):
        keep(file, f"needle {number}", f"needle reply {number}")
    found = sessions.search("needle", limit=3)
    assert [hit.text for hit in found] == ["needle reply 4", "needle 4", "needle reply 3"]
    assert [hit.role for hit in found] == ["assistant", "user", "assistant"]
    assert found[0].session.title == "needle 4"


def test_what_is_on_another_branch_is_found(file: Path, sessions: Sessions) -> None:
    with desk(file) as run:
        run.say("One", "needle")
        run.retry("hay")
    assert hits(sessions, "needle") == ["needle"]


# Finding.


def test_a_session_is_found_by_id_its_beginning_its_title_or_a_message(
    file: Path, sessions: Sessions
) -> None:
    name = keep(file, "What about Paris?", "It is in France.")
    keep(file, "Something else", "Indeed.")
    for word in (name, name.upper(), f" {name} ", name[:3], "PARIS", "about paris", "in france"):
        assert [found.id for found in sessions.find(word)] == [name], word


def test_an_id_goes_before_a_title_and_a_title_before_a_message(
    file: Path, sessions: Sessions
) -> None:
    first = keep(file, "One", "1")
    titled = keep(file, f"All about {first}", "x")
    assert [found.id for found in sessions.find(first)] == [first]
    keep(file, "Other", "All about everything")
    assert [found.id for found in sessions.find("all about")] == [titled]


def test_several_are_given_newest_first(file: Path, sessions: Sessions) -> None:
    names = [keep(file, f"Paris {number}", "Yes") for number in range(3)]
    assert [found.id for found in sessions.find("paris")] == names[::-1]
    assert len(sessions.find("yes")) == 3, "once each"


@pytest.mark.parametrize("word", ["nothing like it", "", "  ", "%", "x\0y", "\udcff\udcff\udcff"])
def test_what_is_not_found_is_named(file: Path, sessions: Sessions, word: str) -> None:
    keep(file, "One", "1")
    with pytest.raises(SettingsError, match="no session") as caught:
        sessions.find(word)
    assert caught.value.hint


def test_a_session_that_is_gone_is_a_settings_error(file: Path, sessions: Sessions) -> None:
    keep(file, "One", "1")
    with pytest.raises(SettingsError, match="nobody"):
        sessions.load("nobody")


# Changing.


def test_a_session_can_be_renamed(file: Path, sessions: Sessions) -> None:
    name = keep(file, "One", "1")
    sessions.rename(name, "Ein “anderer” Name 漢字")
    assert sessions.load(name).session.title == "Ein “anderer” Name 漢字"
    with desk(file, sessions.load(name)) as run:
        run.say("Two", "2")
    assert sessions.all()[0].title == "Ein “anderer” Name 漢字", "going on leaves it"


def is_gone(file: Path) -> bool:
    """Whether nothing of a session is left but what it has cost: a bill stays."""
    return not any(count(file, table) for table in TABLES if table != "completion")


def test_a_removed_session_is_gone_from_every_table(file: Path, sessions: Sessions) -> None:
    with desk(file) as run:
        run.say("Secret question", "Secret answer")
        run.retry("Secret answer again")
        with suppress(ServerError):
            run.say("Secret and vain", [REFUSED])
        name = run.session
    assert all(count(file, table) for table in TABLES if table != "piece")
    sessions.remove(name)
    assert is_gone(file)
    assert hits(sessions, "secret") == []
    assert_sound(file)


def test_a_removed_text_is_not_left_in_the_file(file: Path) -> None:
    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.iterdir())

    name = keep(file, "One", "Attack at dawn, quoth xzjkw")
    other = keep(file, "Two", "Something else")
    assert b"xzj" in on_disk().replace(b"xzjkw", b""), "the index has it by three letters"
    with sessions_in(file) as sessions:
        sessions.remove(name)
    assert b"quoth" not in on_disk()
    assert b"xzj" not in on_disk(), "nor can it be put together of the index"
    assert len(load(file, other).conversation.exchanges) == 1


def test_the_others_stay_when_one_is_removed(file: Path, sessions: Sessions) -> None:
    names = [keep(file, f"Paris {number}", "Yes") for number in range(3)]
    sessions.remove(names[1])
    assert [found.id for found in sessions.all()] == [names[2], names[0]]
    assert len(hits(sessions, "paris")) == 2
    assert_sound(file)


def test_a_very_long_session_can_be_read_and_removed(file: Path, sessions: Sessions) -> None:
    """SQLite follows no chain of more than 1,000 triggers, nor of deletions that cascade."""
    with desk(file) as run:
        run.say("Begin", "Yes.")
        name = run.session
        with run.database.writing() as connection:
            for _ in range(1500):
                connection.execute(
                    "INSERT INTO exchange (session, parent, begun, ended, provider, model, "
                    "finish_reason, messages) SELECT session, id, begun, ended, provider, model, "
                    "finish_reason, messages + 2 FROM exchange ORDER BY id DESC LIMIT 1"
                )
            connection.execute(
                "INSERT INTO message (exchange, position, role, content) "
                "SELECT id, 0, 'user', 'More' FROM exchange WHERE id > 1"
            )
            connection.execute(
                "INSERT INTO message (exchange, position, role, content) "
                "SELECT id, 1, 'assistant', 'Yes.' FROM exchange WHERE id > 1"
            )
            connection.execute("UPDATE session SET head = (SELECT max(id) FROM exchange)")
    assert len(sessions.load(name).conversation.exchanges) == 1501
    sessions.remove(name)
    assert is_gone(file)
    assert_sound(file)


# What a killed program leaves.


def leave_behind(file: Path, age: timedelta, go_on: bool = False) -> str:
    """Make a journal as a killed program does, so long ago."""
    name = keep(file, "One", "first", "Two", "sec" if go_on else "x")
    written = stamp(datetime.now(UTC) - age)
    with desk(file) as run, run.database.writing() as connection:
        if not go_on:
            connection.execute("DELETE FROM message WHERE content = 'x'")
            connection.execute(
                "UPDATE exchange SET ended = NULL, finish_reason = NULL, messages = 3 WHERE id = 2"
            )
        for piece in ("o", "nd"):
            connection.execute("INSERT INTO piece VALUES (2, ?, ?)", (written, piece))
    return name


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=1)], ids=["now", "an hour ago"])
@pytest.mark.parametrize("go_on", [False, True], ids=["a reply", "a reply gone on with"])
def test_a_journal_that_was_left_is_read_as_a_reply(
    file: Path, age: timedelta, go_on: bool
) -> None:
    name = leave_behind(file, age, go_on)
    for _ in range(2):
        saved = load(file, name)
        reply = saved.conversation.exchanges[-1].reply
        assert reply == Message("assistant", "second" if go_on else "ond")
        assert saved.unsent == ""
    assert count(file, "piece") == (0 if age else 2), "it may still be coming, or not"
    assert_sound(file)


@pytest.mark.parametrize("go_on", [False, True], ids=["a reply", "a reply gone on with"])
def test_a_reply_that_was_left_is_billed_once_by_estimate(file: Path, go_on: bool) -> None:
    leave_behind(file, timedelta(hours=1), go_on)
    with sessions_in(file) as sessions:
        for _ in range(2):
            sessions.end_abandoned()
    written = datetime.now(UTC) - timedelta(hours=1)
    ((ended, *bill),) = rows(
        file,
        "SELECT ended, exchange, provider, model, prompt_tokens, completion_tokens, cost, "
        "priced_by FROM completion WHERE estimated AND ended < ?",
        stamp(datetime.now(UTC) - timedelta(minutes=1)),
    )
    assert abs(datetime.fromisoformat(ended) - written) < timedelta(minutes=1)
    before = len("OnefirstTwo" + "sec" * go_on)
    assert bill == [2, "scripted", "gpt-4", -(-before // 4), 1, None, ""]


def test_a_reply_that_was_only_slow_is_billed_once(file: Path) -> None:
    usage = UsageReport(Usage(30, 4))
    with desk(file) as run, sessions_in(file) as others:

        def script() -> Iterator[Event]:
            yield TextDelta("Well")
            soon(lambda: count(file, "piece"))
            others.end_abandoned(datetime.now(UTC) + timedelta(minutes=2))
            assert rows(file, "SELECT estimated FROM completion") == [(1,)]
            yield usage
            yield Finished("stop", "m")

        run.say("One", script())
    assert rows(file, "SELECT prompt_tokens, estimated FROM completion") == [(30, 0)]


def test_a_reply_that_was_left_long_ago_is_found_by_a_search(file: Path) -> None:
    leave_behind(file, timedelta(hours=1))
    with sessions_in(file) as sessions:
        assert hits(sessions, "ond") == ["ond"]
        assert sessions.all()[0].messages == 4


def test_a_reply_that_was_left_can_be_gone_on_with(file: Path) -> None:
    name = leave_behind(file, timedelta(0))
    with desk(file, load(file, name)) as run:
        run.go_on_with_reply("ly this")
        run.say("Three", "third")
        run.chat.keep()
    said = [message.content for message in load(file, name).conversation.messages]
    assert said == ["One", "first", "Two", "ondly this", "Three", "third"]
    assert count(file, "piece") == 0


# What only damage, or another program, can have written.


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE session SET created = '2026-11-t3T01:30:22.838Z' WHERE id = :id",
        "UPDATE session SET updated = '' WHERE id = :id",
        "UPDATE session SET head = 999 WHERE id = :id",
        "UPDATE session SET head = NULL WHERE id = :id",
        "UPDATE session SET opening = '{', marks = 'null' WHERE id = :id",
        """UPDATE session SET marks = '{"pins":[999],"drops":[1,1]}' WHERE id = :id""",
        "DELETE FROM message WHERE exchange = 2",
        "DELETE FROM message WHERE exchange IN (2, 3)",
        "DELETE FROM message",
        "UPDATE exchange SET parent = 3 WHERE id = 1",
        "UPDATE exchange SET parent = id",
        "UPDATE exchange SET parent = 999 WHERE id = 2",
        "UPDATE exchange SET session = 'nobody' WHERE id = 2",
        "UPDATE exchange SET prompt_tokens = 1, completion_tokens = NULL",
        "UPDATE message SET role = 'wizard' WHERE exchange = 2",
        "UPDATE message SET content = CAST(x'ff80' AS TEXT) WHERE exchange = 2",
        "INSERT INTO piece VALUES (3, 'no time', 'late')",
    ],
)
def test_an_odd_row_hides_no_other_session_and_ends_in_a_result_or_a_named_error(
    file: Path, sessions: Sessions, damage: str
) -> None:
    name = keep(file, "One", "1", "Two", "2", "Three", "3")
    other = keep(file, "Other", "Yes")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(damage, {"id": name} if ":id" in damage else {})
    assert other in [found.id for found in sessions.all()]
    for act in (
        lambda: sessions.load(name),
        lambda: sessions.search("o"),
        lambda: sessions.find("three"),
    ):
        with suppress(ChatreplError):
            act()
    sessions.remove(name)
    assert [found.id for found in sessions.all()] == [other]


# Several at once.


def test_four_threads_read_while_one_writes(file: Path) -> None:
    name = keep(file, "needle", "first")
    wrong: list[BaseException] = []
    over = threading.Event()
    reads = [0] * 4

    def read(number: int) -> None:
        try:
            with sessions_in(file) as sessions:
                while not over.is_set():
                    saved = sessions.load(name)
                    said = [m.content for m in saved.conversation.messages]
                    assert said[:2] == ["needle", "first"]
                    assert sessions.search("needle")
                    assert sessions.all()[0].id == name
                    reads[number] += 1
        except BaseException as error:  # noqa: BLE001 - whatever a thread ends in is told
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    with desk(file, load(file, name)) as run:
        for number in range(60):
            run.say(f"More {number}", f"Yes {number}")
            run.chat.keep()
    over.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert all(reads)
    assert run.notices == []
    assert len(load(file, name).conversation.exchanges) == 61


def test_threads_may_share_what_is_open(file: Path, sessions: Sessions) -> None:
    keep(file, "needle", "first")
    wrong: list[BaseException] = []

    def read() -> None:
        end = time.monotonic() + 0.5
        try:
            while time.monotonic() < end:
                assert sessions.load(sessions.all()[0].id)
                assert sessions.search("needle")
        except BaseException as error:  # noqa: BLE001 - whatever a thread ends in is told
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []


# Whatever is said and done, against a model in plain Python.


@dataclass(eq=False)
class Node:
    """An exchange of the model."""

    prompt: str
    reply: str
    above: "Node | None"
    below: list["Node"] = field(default_factory=list)
    pinned: bool = False
    whole: bool = True

    def path(self) -> list["Node"]:
        return [*(self.above.path() if self.above else []), self]

    def plain(self) -> tuple[object, ...]:
        return (self.prompt, self.reply, self.whole, self.pinned, *(n.plain() for n in self.below))


class Talks(RuleBasedStateMachine):
    """Says and does anything, keeps it as the REPL does, and reads it back in another run."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.file = self.folder / "data" / "sessions.db"
        self.run = Desk(self.file)
        self.roots: list[Node] = []
        self.head: Node | None = None
        self.nodes: dict[int, Node] = {}
        self.number = 0
        self.unsent: str | None = None  # None: nothing that the model knows of

    def teardown(self) -> None:
        self.run.close()
        shutil.rmtree(self.folder)

    def is_talk(self) -> bool:
        return self.head is not None

    # What a turn does to the model.

    def text(self, kind: str) -> str:
        self.number += 1
        return f"{kind} {self.number}"

    def answered(self, prompt: str, above: Node | None, reply: str, *, whole: bool = True) -> None:
        node = Node(prompt, reply, above, whole=whole)
        (above.below if above else self.roots).append(node)
        self.head, self.unsent = node, ""
        self.nodes[self.run.chat.conversation.head] = node

    def kept(self) -> None:
        self.run.chat.keep()

    # Turns.

    @initialize()
    def begin(self) -> None:
        self.say()

    @rule()
    def say(self) -> None:
        prompt, reply, above = self.text("ask"), self.text("answer"), self.head
        self.run.say(prompt, reply)
        self.answered(prompt, above, reply)
        self.kept()

    @rule()
    def say_and_be_cut_off(self) -> None:
        prompt, reply, above = self.text("ask"), self.text("half"), self.head
        with suppress(StreamInterruptedError):
            self.run.say(prompt, [TextDelta(reply), CUT])
        self.answered(prompt, above, reply, whole=False)
        self.kept()

    @rule()
    def say_in_vain(self) -> None:
        prompt = self.text("vain")
        with suppress(ServerError):
            self.run.say(prompt, [REFUSED])
        self.unsent = prompt
        self.kept()

    @precondition(is_talk)
    @rule()
    def retry(self) -> None:
        assert self.head is not None
        reply, old = self.text("again"), self.head
        self.run.retry(reply)
        self.answered(old.prompt, old.above, reply)
        self.head.pinned = old.pinned
        self.kept()

    @precondition(is_talk)
    @rule()
    def retry_in_vain(self) -> None:
        with suppress(ServerError):
            self.run.retry([REFUSED])
        self.unsent = None
        self.kept()

    @precondition(is_talk)
    @rule()
    def go_on(self) -> None:
        assert self.head is not None
        more = self.text(" and")
        self.run.go_on_with_reply([TextDelta(more), Finished("stop")])
        self.head.reply += more
        self.head.whole = True
        self.unsent = ""
        self.kept()

    @precondition(is_talk)
    @rule()
    def go_on_in_vain(self) -> None:
        with suppress(ServerError):
            self.run.go_on_with_reply([REFUSED])
        self.unsent = None
        self.kept()

    # Steps.

    @precondition(is_talk)
    @rule()
    def undo(self) -> None:
        assert self.head is not None
        said = self.run.chat.conversation.exchanges
        self.run.chat.go_to(said[-2].id if len(said) > 1 else 0)
        self.head, self.unsent = self.head.above, None
        self.kept()

    @rule()
    def redo(self) -> None:
        onward = self.run.chat.tree.onward(self.run.chat.conversation.head)
        if onward is not None:
            self.run.chat.go_to(onward)
            self.head, self.unsent = self.nodes[onward], None
            self.kept()

    @rule(data=st.data())
    def go_to_any(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.nodes)))
        self.run.chat.go_to(number)
        self.head, self.unsent = self.nodes[number], None
        self.kept()

    # Marks.

    @precondition(is_talk)
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        assert self.head is not None
        index = data.draw(st.integers(0, len(self.run.chat.conversation.exchanges) - 1))
        pin(self.run.chat, index)
        self.head.path()[index].pinned = True
        self.kept()

    @precondition(is_talk)
    @rule(data=st.data())
    def drop_or_take_back(self, data: st.DataObject) -> None:
        talk = self.run.chat.conversation
        index = data.draw(st.integers(0, len(talk.exchanges) - 1))
        changed = talk.undropped() if index in talk.drops else talk.dropped(index)
        self.run.chat.conversation = changed
        self.kept()

    # Other runs of the program.

    @rule()
    def leave_and_resume(self) -> None:
        session = self.run.session
        self.run.close()
        assert self.run.notices == []
        saved = load(self.file, session)
        self.run = Desk(self.file, saved)
        by_reply = {node.reply: node for node in self.nodes.values()}
        self.nodes = {
            number: by_reply[exchange.reply.content]
            for number, exchange in saved.tree.exchanges.items()
            if exchange.reply is not None
        }
        self.unsent = None

    # What must always be so.

    @invariant()
    def another_run_reads_the_same(self) -> None:
        if not self.nodes:
            return
        saved, chat = load(self.file, self.run.session), self.run.chat
        path = self.head.path() if self.head else []
        said = [(n.prompt, n.reply) for n in path]
        loaded = saved.conversation.exchanges
        assert [tuple(m.content for m in each.messages) for each in loaded] == said
        assert loaded == chat.conversation.exchanges
        assert saved.conversation == chat.conversation
        assert shape(saved.tree, saved.conversation) == shape(chat.tree, chat.conversation)
        assert len(saved.tree.exchanges) == len(self.nodes)
        if self.unsent is not None:
            assert saved.unsent == self.unsent

    @invariant()
    def the_tree_is_the_models(self) -> None:
        tree, talk = self.run.chat.tree, self.run.chat.conversation
        pins, _ = tree.marks(talk)

        def below(parent: int) -> list[tuple[object, ...]]:
            return [
                (
                    *(message.content for message in tree.exchanges[number].messages),
                    tree.exchanges[number].is_whole,
                    number in pins,
                    *below(number),
                )
                for number in sorted(n for n, above in tree.parents.items() if above == parent)
            ]

        assert below(0) == [root.plain() for root in self.roots]


class TalksOnAFailingDisk(Talks):
    """The same, while the folder of the database comes and goes."""

    failing = False

    @property
    def away(self) -> Path:
        return self.folder / "away"

    @precondition(lambda self: not self.failing)
    @rule()
    def fail(self) -> None:
        self.file.parent.rename(self.away)
        self.file.parent.write_text("in the way")
        self.run.database.close()
        self.failing = True

    @precondition(lambda self: self.failing)
    @rule()
    def come_back(self) -> None:
        self.file.parent.unlink()
        self.away.rename(self.file.parent)
        self.failing = False
        self.kept()

    def leave_and_resume(self) -> None:
        """Not here: a run that ends while the disk is gone has lost what it could not write."""

    @invariant()
    def another_run_reads_the_same(self) -> None:
        if not self.failing:
            super().another_run_reads_the_same()


SOME = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTalks = Talks.TestCase
TestTalks.settings = SOME
TestTalksOnAFailingDisk = TalksOnAFailingDisk.TestCase
TestTalksOnAFailingDisk.settings = SOME
