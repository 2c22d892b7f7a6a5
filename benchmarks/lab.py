"""Where everything is measured: a server, a home with nothing special in it, rounds."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

from benchmarks.programs import Cost, Program, Seen, chatrepl, floor
from benchmarks.server import Server

_T = TypeVar("_T")


class Lab:
    """A server, an environment, and how often everything is run.

    Each program has run once before anything is measured: bytecode and files are at hand, and
    chatrepl has its folders and its database.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self._stack = ExitStack()
        self.server = self._stack.enter_context(Server())
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.environment: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CHATREPL_HOME": str(self.folder / "chatrepl"),
            "CHATREPL_MODEL": "gpt-4",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "OPENAI_API_KEY": "sk-nobody-asks-for-it",
            "OPENAI_BASE_URL": self.server.url,
        }

    def __enter__(self) -> Self:
        """Run each program once."""
        for command in (floor("printing"), chatrepl()):
            self.one_shot(command, "Hello")
        for command in (floor("prompt"), floor("asking"), chatrepl()):
            seen = Seen()
            with self.run(command, hear=seen.feed) as program:
                program.read_until(lambda: seen.typed is not None, "a prompt")  # noqa: B023
                program.read_for(2)
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and remove the home."""
        self._stack.close()

    def run(
        self,
        command: list[str],
        *,
        piped: bool = False,
        hear: Callable[[float, bytes], object] = lambda _time, _data: None,
    ) -> Program:
        """Start a program; what the server has told before is forgotten."""
        self.server.forget()  # it would wait if nobody took in what it tells
        return Program(command, self.environment, piped=piped, hear=hear)

    def one_shot(self, command: list[str], *prompts: str) -> Cost:
        """Run a program to its end with prompts as its arguments, and give what it cost."""
        with self.run([*command, *prompts], piped=True) as program:
            return program.wait()

    def rounds(self, what: str, acts: Mapping[str, Callable[[], _T]]) -> dict[str, list[_T]]:
        """Do the acts in turn, as often as told, and give what came of each."""
        results: dict[str, list[_T]] = {name: [] for name in acts}
        for number in range(1, self.runs + 1):
            print(f"{what}: {number} of {self.runs}", file=sys.stderr)
            for name, act in acts.items():
                results[name].append(act())
        return results
