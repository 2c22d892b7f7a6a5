"""What the tests share: a home of their own, a loopback server, the embedded model."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatrepl.errors import ChatreplError
from chatrepl.paths import Paths
from chatrepl.providers import smollm2
from tests.support.loopback import Loopback, loopback


def pytest_configure() -> None:
    """Let the programs under test hear Ctrl-C and a hang-up.

    What is started in the background, as by nohup, ignores them, and so does all that it starts.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep on one worker what would disturb each other: llama.cpp's threads wait by spinning."""
    for item in items:
        if isinstance(item, pytest.Function) and "model_file" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("embedded"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home directory."""
    return tmp_path


@pytest.fixture
def server() -> Iterator[Loopback]:
    """A server on loopback."""
    with loopback() as running:
        yield running


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The embedded model's file, fetched if it is not on this machine yet."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed (the extra 'local')")
    folder = Paths.from_environment(os.environ).data
    if not smollm2.is_fetched(folder):
        try:
            smollm2.fetch(folder, lambda _done, _total: None)
        except ChatreplError as error:
            pytest.skip(f"the embedded model could not be fetched: {error.text}")
    return smollm2.model_file(folder)


@pytest.fixture
def home_with_model(home: Path, model_file: Path) -> Path:
    """An empty home in which the embedded model has been fetched already."""
    target = smollm2.model_file(home / "chatrepl" / "data")
    target.parent.mkdir(parents=True)
    target.symlink_to(model_file)
    return home
