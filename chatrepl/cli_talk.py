"""An interactive chat: the prompt is on the screen first, all else is loaded beside it."""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from chatrepl.errors import ChatreplError
from chatrepl.greeting import is_first_run
from chatrepl.paths import Paths
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from chatrepl.app import App
    from chatrepl.terminal.keys import Aside
    from chatrepl.terminal.prompt import Prompt
    from chatrepl.terminal.repl import Repl

QUIET = frozenset({"--no-save", "--plain", "--accessible"})
"""Options without a value that leave the chat an interactive one."""

SETTINGS = frozenset(
    {
        *("-s", "--system", "-p", "--persona", "-m", "--model", "--provider", "--base-url"),
        *("--max-tokens", "--temperature", "--context-window", "--overflow", "--config"),
        *("--top-p", "--seed", "--stop", "--reasoning-effort", "--set", "--schema"),
    }
)
"""Options with a value that do."""


class Wanted(NamedTuple):
    """What the command line asks for; `flags` are the settings in it, `pairs` those of --set."""

    flags: Mapping[str, Any] = MappingProxyType({})
    prompt: str | None = None
    config: Path | None = None
    load: Path | None = None
    resume: str | None = None
    as_json: bool = False
    dry_run: bool = False
    verbose: bool = False
    code: bool = False
    quiet: bool = False
    pairs: Sequence[str] = ()
    files: tuple[str, ...] = ()


def opened(wanted: Wanted, screen: Screen) -> "App":
    """Read the settings; nothing is started yet. Raises ChatreplError."""
    from chatrepl.app import App  # noqa: PLC0415 - --help and the first prompt need none of it
    from chatrepl.parameters import flags_of  # noqa: PLC0415
    from chatrepl.settings import read_sources  # noqa: PLC0415

    paths = Paths.from_environment()
    given = {name: value for name, value in wanted.flags.items() if value is not None}
    flags = flags_of(given, wanted.pairs)
    sources = read_sources(flags, wanted.config, os.environ, paths)
    app = App(
        sources,
        paths,
        screen,
        load=wanted.load,
        resume=wanted.resume,
        verbose=wanted.verbose,
        files=wanted.files,
    )
    screen.accessible = app.settings.accessible
    if app.exposure:
        screen.notice(app.exposure)
    return app


@contextmanager
def running(app: "App") -> Iterator["App"]:
    """Close it at the end; it tells a fault of ours, for it knows what secrets to leave out."""
    with closing(app):
        try:
            yield app
        except (ChatreplError, BrokenPipeError):
            raise
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal is gone
                raise
            raise app.unforeseen(error) from error
        except Exception as error:
            raise app.unforeseen(error) from error


def is_talk(argv: Sequence[str]) -> bool:
    """Tell without the parser that these arguments ask for an interactive chat and no more.

    What is wrong with their values is found out later, beside the prompt.

    >>> is_talk([]), is_talk(["-m", "gpt-4", "--plain"]), is_talk(["-m", "gpt-4", "hello"])
    (True, True, False)
    """
    words = iter(argv)
    for word in words:
        name, is_joined, _ = word.partition("=")
        if name in SETTINGS and name.startswith("--") and is_joined:
            continue
        if word in SETTINGS:
            next(words, None)
        elif word not in QUIET:
            return False
    return True


def talk(wanted: Wanted, screen: Screen) -> None:
    """Open a chat, show where it stands, and talk until the user leaves."""
    from chatrepl.terminal.prompt import Prompt  # noqa: PLC0415 - imports prompt_toolkit

    with running(opened(wanted, screen)) as app:
        app.first = is_first_run(app.paths)
        app.ready(interactive=True)
        repl = _repl(app, screen, Prompt(app.paths.history, screen.theme))
        if app.saved is not None:
            repl.show_where(app.saved)
        repl.run()


def talk_at_once(read: Callable[[], Wanted], screen: Screen) -> None:
    """Show the prompt, open the chat beside it, and talk until the user leaves."""
    from chatrepl.terminal.prompt import Prompt  # noqa: PLC0415 - see `talk`

    paths = Paths.from_environment()
    is_first = is_first_run(paths)  # before the prompt is there, which leaves a mark
    prompt = Prompt(paths.history, screen.theme)
    if screen.accessible:
        prompt.be_linear()
    opening = _Opening(read, screen, prompt, is_first=is_first)
    line: str | Aside | None = None
    with prompt.held():
        try:
            line, typed = _first_line(prompt, opening)
        finally:
            if line is None:
                opening.abandon()
        if line is not None:
            with running(opening.app()):
                repl = opening.repl()
                repl.prefill = typed
                repl.run(line)


def _first_line(prompt: "Prompt", opening: "_Opening") -> "tuple[str | Aside | None, str]":
    """Give the first line, None if the user leaves; and what is typed so far of the next one."""
    from chatrepl.terminal.keyboard import as_text  # noqa: PLC0415 - see `talk`
    from chatrepl.terminal.keys import Aside  # noqa: PLC0415
    from chatrepl.terminal.prompt import Stopped  # noqa: PLC0415

    line: str | Aside | None = ""
    while True:
        try:
            shown = line.typed if isinstance(line, Aside) else line or ""
            line = prompt.line(shown, on_shown=opening.begin)
            if line is not None:
                opening.wait()
        except Stopped as stopped:
            prompt.is_stopped = False
            # What nobody has read yet was not typed for what comes now.
            return "", stopped.typed + as_text(prompt.typed_ahead())
        except KeyboardInterrupt:  # who does not want to wait has the line at the prompt again
            continue
        prompt.is_stopped = False
        return line, ""


class _Opening:
    """Opens a chat beside the prompt, and stops the prompt if that can't be done there."""

    def __init__(
        self, read: Callable[[], Wanted], screen: Screen, prompt: "Prompt", *, is_first: bool
    ) -> None:
        self._read = read
        self._is_first = is_first
        self._screen = screen
        self._prompt = prompt
        self._begun = False
        self._opened = threading.Event()
        self._app: App | None = None
        self._repl: Repl | None = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Begin, at the first call."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._open, name="chatrepl-opening", daemon=True).start()

    def wait(self) -> None:
        """Wait until all has been opened, or can't be."""
        self._opened.wait()

    def app(self) -> "App":
        """Give the app. Raises what went wrong if there is none."""
        self.wait()
        if self._app is None and self._error is not None:
            raise self._error
        assert self._app is not None
        return self._app

    def repl(self) -> "Repl":
        """Give the chat, made ready here if that takes the terminal. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        if self._repl is None:
            with self._prompt.keyboard.released():
                self.app().ready(interactive=True)
            self._repl = _repl(self.app(), self._screen, self._prompt)
        return self._repl

    def abandon(self) -> None:
        """Close what has been opened so far."""
        if self._app is not None:
            self._app.close()

    def _open(self) -> None:
        from chatrepl.terminal.prompt import letting_keys_through  # noqa: PLC0415 - see `talk`

        try:
            with letting_keys_through():
                self._app = opened(self._read(), self._screen)
                self._app.first = self._is_first
                if not self._app.needs_terminal:
                    self._app.ready(interactive=True)
                    self._repl = _repl(self._app, self._screen, self._prompt)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        if self._repl is None:
            self._prompt.stop()
        self._opened.set()
        if self._repl is not None:
            self._repl.load()


def _repl(app: "App", screen: Screen, prompt: "Prompt") -> "Repl":
    from chatrepl.terminal.repl import Repl  # noqa: PLC0415 - imports what a chat is made of

    prompt.save_history(app.settings.save)
    if screen.accessible:
        prompt.be_linear()
    repl = Repl(app, screen, prompt, answer_first=app.is_unanswered)
    if app.attached:
        from chatrepl.terminal.attachments import waiting  # noqa: PLC0415 - see above

        repl.attached = app.attached
        screen.notice(waiting(repl.attached))
    return repl
