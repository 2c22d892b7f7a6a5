"""What was typed at the prompt, kept from one run to the next."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory

from chatrepl.terminal.folds import Folds


class History(FileHistory):
    """The lines of all conversations in a file that only its owner reads.

    A line that can't be kept (a full disk, a read-only folder) is no reason to stop: it stays
    in this run's memory. Long texts are folded in memory, and whole in the file. Nothing is
    written before `save` has told whether it is to be: the prompt is there before the settings.
    """

    def __init__(self, file: Path, folds: Folds) -> None:
        super().__init__(file)
        self._folds = folds
        self._saves: bool | None = None
        self._held: list[str] = []  # lines that were typed before that is known
        self._telling = threading.Lock()  # another thread reads the settings
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(file, os.O_CREAT | os.O_APPEND, 0o600))

    def save(self, wanted: bool) -> None:
        """Write the lines from now on, and those that were typed before; or none at all."""
        with self._telling:
            self._saves = wanted
            held, self._held = self._held, []
        for line in held:
            self.store_string(line)

    def load_history_strings(self) -> Iterable[str]:
        """Read the file, newest line first."""
        try:
            yield from map(self._folds.fold_line, super().load_history_strings())
        except OSError:
            return

    def store_string(self, string: str) -> None:
        """Append a line, unless none is to be kept."""
        with self._telling:
            if self._saves is None:
                self._held.append(string)
            if not self._saves:
                return
        whole = self._folds.whole(string)
        try:
            super().store_string(whole.encode(errors="replace").decode())
        except OSError:
            return
