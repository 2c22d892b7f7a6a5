"""The embedded model: a real llama.cpp in a real child process, and what becomes of both."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chatrepl.chat.events import Finished, TextDelta, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Request
from chatrepl.errors import ChatreplError, ContextOverflowError, SettingsError
from chatrepl.providers import smollm2
from chatrepl.providers.embedded import EmbeddedModel, EmbeddedProvider, find_model
from tests.support.asking import a_request, answering, ask, text_of
from tests.support.processes import (
    children,
    command_of,
    is_alive,
    needs_proc,
    wait_until,
)

WINDOW = 2048
Build = Callable[..., EmbeddedProvider]


def question(text: str = "What is the capital of France?", max_tokens: int = 30) -> Request:
    before = [Message("system", smollm2.SYSTEM)]
    return a_request(text, model="smollm2", before=before, max_tokens=max_tokens, temperature=0.0)


@pytest.fixture
def build(model_file: Path, tmp_path: Path) -> Iterator[Build]:
    """Providers that share a log file, which the test may name."""
    with ExitStack() as stack:

        def build(file: Path | None = None) -> EmbeddedProvider:
            folder, log = model_file.parent.parent, tmp_path / "cache" / "server.log"
            provider = EmbeddedProvider(EmbeddedModel(file, folder, log, WINDOW), 60.0)
            stack.callback(provider.close)
            return provider

        yield build


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "cache" / "server.log"


@pytest.fixture(scope="module")
def served(model_file: Path, log: Path) -> Iterator[EmbeddedProvider]:
    """A provider that has been started already; loading the model takes a second."""
    model = EmbeddedModel(None, model_file.parent.parent, log, WINDOW)
    with closing(EmbeddedProvider(model, 60.0)) as provider:
        provider.prepare()
        yield provider


def child_of(provider: EmbeddedProvider) -> int:
    assert provider._process is not None
    return provider._process.pid


def address_of(provider: EmbeddedProvider) -> tuple[str, int]:
    assert provider._inner is not None
    url = urlsplit(provider._inner.endpoint.base_url or "")
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


def key_of(provider: EmbeddedProvider) -> str:
    assert provider._inner is not None
    return provider._inner.endpoint.api_key


# Talking


def test_it_knows_the_capital_of_france(served: EmbeddedProvider) -> None:
    events = ask(served, question())
    assert "Paris" in text_of(events)
    assert len([event for event in events if isinstance(event, TextDelta)]) > 3  # it streams
    (usage,) = (event.usage for event in events if isinstance(event, UsageReport))
    assert usage.prompt_tokens > 10
    assert usage.completion_tokens > 3
    assert events[-1] == Finished("stop", smollm2.NAME)


def test_a_reply_at_its_limit_is_cut_off(served: EmbeddedProvider) -> None:
    events = ask(served, question(max_tokens=3))
    assert events[-1] == Finished("length", smollm2.NAME)


def test_a_stopped_reply_does_not_hold_up_the_next(served: EmbeddedProvider) -> None:
    long = question("Tell me a story that never ends.", max_tokens=1_000)
    events = answering(served, long)
    next(events)
    events.close()
    assert "Paris" in text_of(ask(served, question()))


def test_a_prompt_over_the_window_is_an_overflow_with_both_numbers(
    served: EmbeddedProvider,
) -> None:
    with pytest.raises(ContextOverflowError) as caught:
        ask(served, question("word " * 4_000))
    assert caught.value.context_window == WINDOW
    assert caught.value.prompt_tokens is not None
    assert 4_000 <= caught.value.prompt_tokens <= 4_100  # a token a word, and the template's few
    assert "Paris" in text_of(ask(served, question()))


# Who can listen in


@needs_proc
def test_the_key_can_not_be_seen_from_outside(served: EmbeddedProvider) -> None:
    key, pid = key_of(served), child_of(served)
    assert len(key) >= 24
    assert key not in " ".join(command_of(pid))
    assert key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_each_start_has_a_key_of_its_own(served: EmbeddedProvider, build: Build) -> None:
    other = build()
    other.prepare()
    assert key_of(other) != key_of(served)


@pytest.mark.parametrize("elsewhere", ["127.0.0.2", "::1"])
def test_it_listens_on_one_address_of_this_machine_alone(
    served: EmbeddedProvider, elsewhere: str
) -> None:
    host, port = address_of(served)
    assert host == "127.0.0.1"
    socket.create_connection((host, port), timeout=20).close()
    with pytest.raises(OSError):
        socket.create_connection((elsewhere, port), timeout=5).close()


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/completion", "/tokenize", "/v1/models", "/props", "/slots"]
)
def test_nobody_is_served_without_the_key(
    served: EmbeddedProvider, path: str, key: str | None
) -> None:
    with closing(http.client.HTTPConnection(*address_of(served), timeout=20)) as connection:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        connection.request("POST", path, b"{}", {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        assert answer.status == 401
        assert b"SmolLM2" not in answer.read()


def test_the_log_tells_neither_the_key_nor_the_talk(served: EmbeddedProvider, log: Path) -> None:
    ask(served, question("Say the word heliotrope."))
    said = log.read_text()
    assert key_of(served) not in said
    assert "heliotrope" not in said


# Beginning and ending


@needs_proc
def test_nothing_is_started_before_it_is_needed(build: Build) -> None:
    before = children()
    build().close()
    assert children() == before


@needs_proc
def test_closing_ends_the_child(build: Build) -> None:
    provider = build()
    provider.prepare()
    pid = child_of(provider)
    assert is_alive(pid)
    provider.close()
    assert not is_alive(pid)
    provider.close()


@needs_proc
def test_two_threads_that_prepare_at_once_start_one_child(build: Build) -> None:
    provider, before = build(), children()
    together = threading.Barrier(2)
    errors: list[Exception] = []

    def prepare() -> None:
        together.wait(20)
        try:
            provider.prepare()
        except Exception as error:  # noqa: BLE001 - the main thread looks at it
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert children() - before == {child_of(provider)}


PARENT = """\
import sys, time
from pathlib import Path
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.events import TextDelta
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Request
from chatrepl.providers import smollm2
from chatrepl.providers.embedded import EmbeddedModel, EmbeddedProvider

folder, log = map(Path, sys.argv[1:])
provider = EmbeddedProvider(EmbeddedModel(None, folder, log, 2048), 60.0)
provider.prepare()
try:
    print("serving", flush=True)
    time.sleep(120)
except KeyboardInterrupt:
    messages = (
        Message("system", smollm2.SYSTEM), Message("user", "What is the capital of France?")
    )
    events = provider.stream(Request(card_for("smollm2"), messages, 30, {"temperature": 0.0}))
    print("".join(event.text for event in events if isinstance(event, TextDelta)), flush=True)
"""


@pytest.fixture
def parent(model_file: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python program of its own that has an embedded model."""
    command = [sys.executable, "-c", PARENT, str(model_file.parent.parent), str(tmp_path / "log")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()


def the_child_of(parent: subprocess.Popen[str]) -> int:
    wait_until(lambda: children(parent.pid), "a child process")
    (pid,) = children(parent.pid)
    return pid


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_child_goes_when_the_parent_goes_however_that_was(
    parent: subprocess.Popen[str], how: signal.Signals
) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline() == "serving\n"
    pid = the_child_of(parent)
    os.kill(parent.pid, how)
    assert parent.wait(60) == -how
    wait_until(lambda: not is_alive(pid), "the end of the child")


@needs_proc
def test_a_parent_that_is_killed_during_the_start_leaves_no_child(
    parent: subprocess.Popen[str],
) -> None:
    pid = the_child_of(parent)
    parent.kill()
    parent.wait(60)
    wait_until(lambda: not is_alive(pid), "the end of the child")


@needs_proc
def test_ctrl_c_is_for_the_parent_alone(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline() == "serving\n"
    pid = the_child_of(parent)
    os.killpg(parent.pid, signal.SIGINT)
    assert "Paris" in parent.stdout.readline()  # it was the same child: no other was ever started
    assert children(parent.pid) in ({pid}, set())
    parent.wait(60)
    wait_until(lambda: not is_alive(pid), "the end of the child")


# When things break


@needs_proc
def test_a_killed_child_is_started_anew(build: Build, tmp_path: Path) -> None:
    provider = build()
    provider.prepare()
    first = child_of(provider)
    os.kill(first, signal.SIGKILL)
    try:
        ask(provider, question())
    except ChatreplError as error:
        assert str(tmp_path / "cache" / "server.log") in error.text
    assert "Paris" in text_of(ask(provider, question()))
    assert child_of(provider) != first


@needs_proc
def test_a_child_that_is_killed_while_it_talks_is_said_to_have_ended(
    build: Build, tmp_path: Path
) -> None:
    provider = build()
    events = answering(provider, question("Tell me a long story.", max_tokens=1_000))
    assert isinstance(next(events), TextDelta)
    os.kill(child_of(provider), signal.SIGKILL)
    with pytest.raises(ChatreplError) as caught:
        list(events)
    assert caught.value.status == 8
    assert str(tmp_path / "cache" / "server.log") in caught.value.text
    assert "Paris" in text_of(ask(provider, question()))


@pytest.mark.parametrize("what", ["cut off", "cut off in its header", "junk", "text", "empty"])
def test_a_file_that_is_no_whole_model_is_said_and_named(
    build: Build, model_file: Path, tmp_path: Path, what: str
) -> None:
    with model_file.open("rb") as model:
        beginning = model.read(50_000_000 if what == "cut off" else 1_000)
    data = {"junk": b"GGUF" + bytes(range(256)) * 99, "text": b"Hello.\n", "empty": b""}
    file = tmp_path / "broken.gguf"
    file.write_bytes(data.get(what, beginning))
    provider = build(file)
    with pytest.raises(ChatreplError) as caught:
        ask(provider, question())
    assert "broken.gguf" in caught.value.text
    # Neither an error like this nor its hint may send anybody round in a circle.
    assert "Try again" not in caught.value.hint
    provider.close()


@needs_proc
def test_a_file_in_the_working_directory_is_not_run(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("json", "threading", "xllamacpp"):
        (tmp_path / f"{module}.py").write_text("open('ran', 'w').close()\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    provider = build()
    with suppress(ChatreplError):
        provider.prepare()
    assert not Path("ran").exists()
    assert "Paris" in text_of(ask(provider, question()))


# Which model


@pytest.mark.parametrize(
    "name", [None, "smollm2", "SmolLM2-135M-Instruct", "smollm2-135m-instruct"]
)
def test_the_default_model_goes_by_its_name(tmp_path: Path, name: str | None) -> None:
    model = find_model(name, tmp_path, tmp_path / "log", WINDOW)
    assert model.file is None
    assert model.path == smollm2.model_file(tmp_path)
    assert model.name == smollm2.NAME
    assert model.context_window == WINDOW
    assert EmbeddedProvider(model, 1.0).needs_fetch


def test_any_gguf_file_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "My model.Q8.gguf"
    file.write_bytes(b"GGUF\3\0\0\0")
    monkeypatch.chdir(tmp_path)
    for name in (str(file), "My model.Q8.gguf", "./My model.Q8.gguf"):
        model = find_model(name, tmp_path / "data", tmp_path / "log", WINDOW)
        assert model.path == file
        assert model.name == "My model.Q8.gguf"
        assert not EmbeddedProvider(model, 1.0).needs_fetch


def test_a_path_of_the_users_answers_too(build: Build, model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine ünd Ω.gguf"
    file.symlink_to(model_file)
    provider = build(find_model(str(file), tmp_path, tmp_path / "log", WINDOW).file)
    assert "Paris" in text_of(ask(provider, question()))


@pytest.mark.parametrize(
    "name",
    [
        "no-such-model",
        "no/such/file.gguf",
        "text.gguf",
        "empty.gguf",
        "a folder.gguf",
        "",
        "nul\0.gguf",
        "~nobody-by-this-name/x.gguf",
        pytest.param(
            "/proc/self/mem",  # a file that can be opened and not read
            marks=needs_proc,
        ),
    ],
)
def test_what_is_no_model_is_a_matter_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.gguf").write_text("Hello.\n")
    Path("empty.gguf").touch()
    Path("a folder.gguf").mkdir()
    with pytest.raises(SettingsError) as caught:
        find_model(name, tmp_path, tmp_path / "log", WINDOW)
    assert caught.value.status == 2
    assert name in caught.value.text
    assert "GGUF" in caught.value.text + caught.value.hint
    assert "\n" not in caught.value.text
