"""Whatever a file or a server holds, it ends in a result or in an error of ours."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import from_messages
from chatrepl.chat.previewing import preview
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import Paths
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.reading import read_image
from chatrepl.settings import Flags, read_sources
from chatrepl.store.database import Database
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.sessions import Sessions
from chatrepl.store.transcript import load_messages
from chatrepl.terminal.outcomes import Outcome, ending
from tests.support.asking import ask, assert_sound, endpoint
from tests.support.loopback import Loopback, Part, Reply, chunk, loopback

some = settings(
    max_examples=100,
    deadline=timedelta(seconds=5),  # whatever it is, nobody waits for it
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def mutated(*originals: bytes) -> st.SearchStrategy[bytes]:
    """One of several texts with some of its bytes cut out, doubled or changed."""

    def mutate(original: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for place, length, put in changes:
            start = place % (len(original) + 1)
            original = original[:start] + put + original[start + length :]
        return original

    odd = st.sampled_from(
        [b"", b"\x00", b"\xff", b"\n", b"\n\n", b'"', b"{", b"}", b"[]", b"null", b"1e999", b"-1"]
    ) | st.sampled_from(
        [b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"x"', b"9" * 30, b"[" * 200]
    )
    change = st.tuples(st.integers(0, 10**6), st.integers(0, 12), odd | st.binary(max_size=4))
    return st.builds(mutate, st.sampled_from(originals), st.lists(change, min_size=1, max_size=4))


MONSTERS = [unit * 100_000 for unit in (b"[", b'{"a":', b"9", b"\xff", b"\n", b"x", b"\x00")]


def count(data: bytes) -> str:
    """Name a monster, shortly."""
    return f"{data[:2]!r}"


# The settings file.

CONFIG = b"""
model = "gpt-4"
persona = "poet"
max_tokens = 100
temperature = 0.5
[personas.poet]
system = "You are a poet."
examples = [{ user = "Hi", assistant = "O" }]
[providers.here]
base_url = "http://localhost:8080/v1"
default_headers = { x-a = "b" }
stall_timeout = 3.5
[models."m"]
context_window = 9000
prices = { prompt = 1.5 }
"""


@some
@given(st.binary(max_size=80) | mutated(CONFIG))
@example(b"temperature = nan\n")
@example("\ufeffmodel = 'x'\n".encode())
@example("model = 'x'".encode("utf-16"))
def test_the_settings_file(tmp_path: Path, data: bytes) -> None:
    read_config(tmp_path, data)


@pytest.mark.parametrize("data", MONSTERS, ids=count)
@pytest.mark.parametrize(
    "before", [b"", b"system = ", b"max_tokens = ", b"[personas.x]\nexamples = "]
)
def test_a_monstrous_settings_file(tmp_path: Path, before: bytes, data: bytes) -> None:
    read_config(tmp_path, before + data)


def read_config(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(data)
    try:
        read_sources(Flags(), file, {}, Paths(tmp_path, tmp_path, tmp_path)).resolve()
    except SettingsError as error:
        assert "\n" not in error.text + error.hint
    assert file.read_bytes() == data


# --load.

CONTENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=8)}))
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool", "developer"]),
            "content": st.text(max_size=20) | PARTS | CONTENTS,
        },
        optional={"name": st.text(max_size=5) | CONTENTS, "tool_calls": CONTENTS},
    ),
    max_size=5,
)
TALK = json.dumps(
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hé"}], "name": "Ann"},
        {"role": "assistant", "content": "\ud83d\udc4d", "refusal": None},
    ]
).encode()


@some
@given(
    st.binary(max_size=60)
    | mutated(TALK)
    | (MESSAGES | CONTENTS).map(lambda value: json.dumps(value).encode())
)
@example(b'[{"role": "user", "content": "\\ud800"}]')
def test_a_loaded_file(tmp_path: Path, data: bytes) -> None:
    read_talk(tmp_path, data)


@pytest.mark.parametrize("data", MONSTERS, ids=count)
@pytest.mark.parametrize("before", [b"", b'[{"role": "user", "content": ', b'[{"role": '])
def test_a_monstrous_loaded_file(tmp_path: Path, before: bytes, data: bytes) -> None:
    read_talk(tmp_path, before + data)


def read_talk(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "talk.json"
    file.write_bytes(data)
    try:
        messages = load_messages(file, read_image)
    except SettingsError as error:
        assert "\n" not in error.text + error.hint
        return
    talk = from_messages(messages)
    assert [*talk.messages] == messages
    with suppress(ChatreplError):
        preview(Chat(ScriptedProvider(), card_for("gpt-4"), talk), "So?")
    for message in talk.messages:
        message.content.encode()


# The stream of a reply.


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Loopback, OpenAIProvider]]:
    with loopback() as server, closing(OpenAIProvider(endpoint(server.base_url))) as provider:
        yield server, provider


def stream(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)


USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
STREAM = (
    stream(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "Grüße, 漢字"}),
        chunk({"content": " 👍", "refusal": None}),
        chunk({}, "stop", usage=USAGE),
    )
    + b"data: [DONE]\n\n"
)
BROKEN = stream(chunk({"content": "Hi"}), {"error": {"message": "no", "code": 500, "type": "x"}})


def heard(asked: tuple[Loopback, OpenAIProvider], parts: list[Part]) -> None:
    """Ask, be answered so, and come to an end that can be told."""
    server, provider = asked
    server.then(Reply(parts, done=False))
    try:
        events = ask(provider)
    except ChatreplError as error:
        assert error.text
        assert "\n" not in error.text + error.hint
    else:
        assert_sound(events)
        finished = events[-1]
        reason = getattr(finished, "reason")  # noqa: B009 - assert_sound has made sure of it
        ending(Outcome("text", reason), 100)


@some
@given(st.binary(max_size=200) | mutated(STREAM, BROKEN))
@example(b"data: \xff\xfe\n\n" + STREAM)
@example(b"\xef\xbb\xbf" + STREAM)
@example(STREAM.replace(b"\n", b"\r"))
@example(b'data: {"choices": [{"delta": {"content": 1}}]}\n\n')
def test_a_stream(asked: tuple[Loopback, OpenAIProvider], data: bytes) -> None:
    heard(asked, [data])


@pytest.mark.parametrize("data", MONSTERS, ids=count)
@pytest.mark.parametrize("before", [b"", b"data: ", b'data: {"choices": ', b"event: ", b"id: "])
def test_a_monstrous_stream(
    asked: tuple[Loopback, OpenAIProvider], before: bytes, data: bytes
) -> None:
    heard(asked, [before + data + b"\n\n", STREAM])


@settings(some, max_examples=30)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_in_any_pieces(asked: tuple[Loopback, OpenAIProvider], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces: list[Part] = [STREAM[a:b] for a, b in pairwise(edges)]
    heard(asked, pieces)


# The database.


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a session in it."""
    file = tmp_path_factory.mktemp("whole") / "sessions.db"
    kept = Database(file, print)
    recorder = SessionRecorder(kept, print)
    chat = Chat(ScriptedProvider("One", "Two", "Three"), card_for("gpt-4"), recorder=recorder)
    for text in ("Hello there", "Tell me more"):
        list(chat.say(text))
    list(chat.retry())
    chat.keep()
    recorder.close()
    kept.close()
    return file


BLOCKS = st.lists(
    st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=64)), min_size=1, max_size=6
)


@settings(some, max_examples=60)
@given(st.one_of(BLOCKS, st.none()), st.floats(0, 1))
def test_a_damaged_database(
    tmp_path: Path,
    database: Path,
    blocks: list[tuple[int, bytes]] | None,
    part: float,
) -> None:
    data = bytearray(database.read_bytes())
    if blocks is None:
        del data[int(len(data) * part) :]
    for place, put in blocks or ():
        start = place % (len(data) + 1)
        data[start : start + len(put)] = put
    for old in tmp_path.iterdir():
        old.unlink()
    file = tmp_path / "sessions.db"
    file.write_bytes(data)
    said: list[str] = []
    kept = Database(file, said.append)
    try:
        look_and_talk(kept, said)
    finally:
        kept.close()


def look_and_talk(kept: Database, said: list[str]) -> None:
    """Read all that can be read, then talk: no database ends a chat."""
    sessions = Sessions(kept)
    with suppress(ChatreplError):
        sessions.search("hello")
    with suppress(ChatreplError):
        for session in sessions.all():
            sessions.load(session.id)
    recorder = SessionRecorder(kept, said.append)
    chat = Chat(ScriptedProvider("Four"), card_for("gpt-4"), recorder=recorder)
    list(chat.say("And now?"))
    chat.keep()
    recorder.close()
    assert [message.content for message in chat.conversation.messages] == ["And now?", "Four"]


COLUMNS = ["title", "created", "updated", "head", "opening", "marks", "parent", "role", "content"]
COLUMNS += ["position", "finish_reason", "prompt_tokens", "written", "ended", "messages"]


@settings(some, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["session", "exchange", "message", "piece"]),
            st.sampled_from(COLUMNS),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
            | st.integers(-2, 2**63 - 1)
            | st.none()
            | st.sampled_from(['{"note": 1}', '{"pins": [99]}', '{"system": {"role": 1}}', "{"]),
        ),
        max_size=4,
    )
)
def test_a_database_that_somebody_else_has_changed(
    tmp_path: Path, database: Path, changes: list[tuple[str, str, Any]]
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    file = tmp_path / "sessions.db"
    shutil.copy(database, file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for table, column, value in changes:
            with suppress(sqlite3.Error):  # not every column is in every table
                connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    said: list[str] = []
    kept = Database(file, said.append)
    try:
        look_and_talk(kept, said)
    finally:
        kept.close()
