"""The embedded model: llama.cpp in a child process, spoken to like any other server."""

import importlib.util
import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Event
from chatrepl.chat.ports import Request
from chatrepl.errors import ConnectionFailedError, SettingsError, StreamInterruptedError
from chatrepl.installing import install
from chatrepl.posix import APART
from chatrepl.providers import smollm2
from chatrepl.providers.endpoint import Endpoint
from chatrepl.providers.openai import OpenAIProvider

DEFAULT_WINDOW = 8_192
"""SmolLM2's context window in tokens, and what another GGUF model is given unless it is told."""


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """Which model to serve: a GGUF file of the user's, or None for SmolLM2.

    `folder` is the data directory that SmolLM2 lies in, `log` the file that the server's log
    goes to; `context_window` is in tokens.
    """

    file: Path | None
    folder: Path
    log: Path
    context_window: int = DEFAULT_WINDOW

    @property
    def name(self) -> str:
        """The model's name, as it is shown."""
        return self.file.name if self.file else smollm2.NAME

    @property
    def path(self) -> Path:
        """The GGUF file."""
        return self.file or smollm2.model_file(self.folder)


def find_model(name: str | None, folder: Path, log: Path, context_window: int) -> EmbeddedModel:
    """Read a model name: SmolLM2's, or the path of a GGUF file. Raises SettingsError."""
    if name is None or smollm2.is_name(name):
        return EmbeddedModel(None, folder, log, context_window)
    try:
        file = Path(name).expanduser().resolve()
        with file.open("rb") as start:
            magic = start.read(4)
    except (OSError, ValueError, RuntimeError) as error:  # the last two: a NUL, no such user
        text = f"The embedded provider has no model '{name}', and no such file can be read."
        hint = f"Known: {smollm2.NAME}, or the path of a GGUF file; elsewhere: provider/model."
        raise SettingsError(text, hint) from error
    if magic != b"GGUF":
        text = f"{name} is no GGUF file."
        raise SettingsError(text, "The embedded model runs models in the GGUF format.")
    return EmbeddedModel(file, folder, log, context_window)


def check_installed() -> None:
    """Raise SettingsError if llama.cpp is not there."""
    if importlib.util.find_spec("xllamacpp") is None:
        text = "The embedded model is not installed."
        hint = (
            f"For the embedded model: {install('chatrepl-terminal[local]')}; "
            "for a server: set OPENAI_API_KEY, or base_url in the config file."
        )
        raise SettingsError(text, hint)


class EmbeddedProvider:
    """Serves a model in a child process on loopback, from the first need until `close`."""

    name = "embedded"
    goes_on = True  # as llama.cpp does

    def __init__(
        self, model: EmbeddedModel, timeout: float, log: Callable[[str], None] | None = None
    ) -> None:
        self._model = model
        self._log = log  # is shown every request
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None
        self._inner: OpenAIProvider | None = None
        self._starting = threading.Lock()
        self._closing = False

    @property
    def needs_fetch(self) -> bool:
        """Whether the first use will download the model."""
        return self._model.file is None and not smollm2.is_fetched(self._model.folder)

    def fetch(self, progress: smollm2.Progress = lambda _done, _total: None) -> None:
        """Download the model if it is not there."""
        if self.needs_fetch:
            smollm2.fetch(self._model.folder, progress)

    def prepare(self) -> None:
        """Start the child process and load the model."""
        self._running().prepare()

    def served(self) -> Sequence[Served]:
        """Offer the one model that it runs."""
        return (Served(self._model.name, self._model.context_window),)

    def look_up(self, model: str) -> Served | None:
        """Tell the window that the model is given."""
        return self.served()[0] if model == self._model.name else None

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model."""
        try:
            yield from self._running().stream(request)
        except (ConnectionFailedError, StreamInterruptedError) as error:
            if self._has_ended():
                text = f"The embedded model's process ended. Its log: {self._model.log}"
                hint = "Try again; the next message starts it anew."
                raise ConnectionFailedError(text, hint) from error
            raise

    def close(self) -> None:
        """End the child process, without waiting for a model that is still being loaded."""
        self._closing = True
        process = self._process
        if process is not None and self._inner is None:
            process.kill()
        with self._starting:
            if self._inner is not None:
                self._inner.close()
                self._inner = None
            self._end()

    def _end(self) -> None:
        """Close the child's pipes, which ends it, and see that it has ended."""
        if self._process is None:
            return
        with self._process as process:
            try:
                process.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
        self._process = None

    def _running(self) -> OpenAIProvider:
        """Give the server, started if it does not run: it may have been killed."""
        with self._starting:
            if self._closing:
                raise ConnectionFailedError("The embedded model has been closed.")
            if self._inner is None or self._process is None or self._process.poll() is not None:
                self._inner = self._start()
            return self._inner

    def _start(self) -> OpenAIProvider:
        self._end()
        self.fetch()
        api_key = secrets.token_urlsafe(24)
        order = {
            "name": self._model.name,
            "model": str(self._model.path),
            "context_window": self._model.context_window,
            "api_key": api_key,
            "sampling": smollm2.SAMPLING if self._model.file is None else {},
        }
        with self._open_log() as log:
            # Apart: Ctrl-C in the terminal is for the reply, not for the model.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "chatrepl.providers.llama_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                **APART,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._closing:
            self._process.kill()
        try:
            # Standard input and not an argument: arguments can be read by anybody.
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            hello = self._process.stdout.readline()
        except OSError:
            hello = ""
        if not hello:
            self._end()
            text = f"{self._model.path} could not be loaded. The log: {self._model.log}"
            raise ConnectionFailedError(text, "Is the file whole, and is there memory for it?")
        base_url = json.loads(hello)["address"] + "/v1"
        return OpenAIProvider(
            Endpoint("embedded", api_key, "", base_url, timeout=self._timeout, log=self._log)
        )

    def _open_log(self) -> TextIO:
        log = self._model.log
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return log.open("w")
        except OSError as error:
            text = f"The embedded model's log {log} can't be written: {error.strerror}"
            raise SettingsError(text, "Set CHATREPL_HOME to another folder.") from error

    def _has_ended(self) -> bool:
        """Tell whether the child has gone; its connections close a moment before it does."""
        try:
            return self._process is not None and self._process.wait(1) is not None
        except subprocess.TimeoutExpired:
            return False
