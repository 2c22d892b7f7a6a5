"""The line that is typed into: history, completion, toolbar."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, ThreadedAutoSuggest
from prompt_toolkit.completion import DynamicCompleter
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress, merge_key_bindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.renderer import CPR_Support
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.utils import is_dumb_terminal

from chatrepl.posix import ENDING
from chatrepl.terminal.background import Background, style_of
from chatrepl.terminal.completion import CommandCompleter, Completable, begins_offer
from chatrepl.terminal.folds import Folds, ShowWords
from chatrepl.terminal.history import History
from chatrepl.terminal.keyboard import PASTE, PASTED, Keyboard
from chatrepl.terminal.keys import Aside, Submit, bindings, shown_mode
from chatrepl.terminal.theme import Theme
from chatrepl.undisturbed import undisturbed

_SWITCH = 0.001
"""Seconds until another thread has its turn while much is loaded: a key waits that long, often."""


_before: list[float] = []
"""What was set before each of the threads that work so came: of the first, what is usual."""
_counting = threading.Lock()


@contextmanager
def letting_keys_through() -> Iterator[None]:
    """Let the thread that draws the keys have its turn often, while this one works.

    That holds until the last of several threads has done its work.
    """
    with _counting:
        _before.append(sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        with _counting:
            usual, _ = _before[0], _before.pop()
            if not _before:
                sys.setswitchinterval(usual)


_ESCAPE = 0.05
"""Seconds after which Esc is that key, and not the beginning of another one's code."""


class Stopped(Exception):  # noqa: N818 - no error
    """The prompt was stopped from elsewhere; `typed` is what stood in it."""

    def __init__(self, typed: str) -> None:
        super().__init__(typed)
        self.typed = typed


def _as_sent(key: KeyPress) -> str:
    return f"{PASTE}{key.data}{PASTED}" if key.key == Keys.BracketedPaste else key.data


def _as_keys(sent: str) -> list[KeyPress]:
    """Read what a terminal has sent; Enter makes a new line, but at the end."""
    keys: list[KeyPress] = []
    parser = Vt100Parser(keys.append)
    parser.feed_and_flush(sent)
    while keys and keys[-1].key in {Keys.ControlM, Keys.ControlJ}:
        keys.pop()
    line_end = KeyPress(Keys.ControlJ, "\n")
    return [line_end if key.key == Keys.ControlM else key for key in keys]


def _session(**options: Any) -> PromptSession[Any]:
    """Make a session; on a dumb terminal one that writes no control sequence."""
    if not is_dumb_terminal():
        return PromptSession(**options)
    with create_app_session(output=PlainTextOutput(sys.stdout)):
        return PromptSession(**options)


_Line = TypeVar("_Line")


def _asked(session: PromptSession[_Line], message: AnyFormattedText, default: str = "") -> _Line:
    """Show a prompt, and give what is typed.

    Who is asked to end (SIGTERM, SIGHUP) ends the prompt first, as Enter would: what a signal
    raises in prompt_toolkit's tasks is lost there, or shown, and the cursor stays in the line.
    """
    app = session.app

    def end() -> None:
        if app.future is not None and not app.future.done():
            app.exit(exception=EOFError)

    def end_soon() -> None:
        if app.loop is not None:
            app.loop.call_soon_threadsafe(end)

    def end_at_once() -> None:
        if come:
            end()

    if is_dumb_terminal():  # such a prompt draws nothing that could stay, and has no `pre_run`
        return session.prompt(message, default=default)
    with undisturbed(ENDING[1:], end_soon) as come:
        return session.prompt(message, default=default, pre_run=end_at_once)


class Prompt:
    """Asks for a line; it can do so before there is a chat to ask for.

    `is_stopped` says that it asks for none: who takes note of that sets it back. `keyboard` is
    to be held from the first line to the last. `theme` says how it looks, and is told what the
    terminal says of its background.
    """

    def __init__(self, history: Path, theme: Theme) -> None:
        self.keyboard = Keyboard()
        self.folds = Folds()
        self.is_stopped = False
        self.submit: Submit = "enter"
        self._style = style_of(theme)
        self._background = Background(theme.seen)
        self._completer = CommandCompleter(())
        self._toolbar: Callable[[str, int], str] = lambda _line, _width: ""
        self._can_go_back: Callable[[str], bool] = lambda _line: False
        self._cleared: Callable[[], None] = lambda: None
        self._history = History(history, self.folds)
        self._session: PromptSession[str | Aside] = _session(
            multiline=True,
            prompt_continuation="  ",
            key_bindings=merge_key_bindings(
                [
                    bindings(lambda: self.submit, self.folds, self._may_go_back, self._has_menu),
                    self._background.keys,
                ]
            ),
            completer=DynamicCompleter(lambda: self._completer),
            # Else six rows are kept free below every line.
            complete_while_typing=Condition(lambda: begins_offer(self._before_cursor)),
            auto_suggest=ThreadedAutoSuggest(AutoSuggestFromHistory()),
            enable_suspend=True,
            history=self._history,
            input_processors=[ShowWords(self.folds)],
            bottom_toolbar=self._below,
            style=self._style,
            reserve_space_for_menu=6,
        )
        self._mark = "> "
        self._session.app.ttimeoutlen = _ESCAPE
        self._typed_last = time.monotonic()
        self._session.app.key_processor.before_key_press += self._note_key

    def be_linear(self) -> None:
        """Show what is typed and nothing else, for a screen reader; Tab lists what may follow.

        May be called from any thread.
        """
        session = self._session
        self._mark = "you: "
        session.bottom_toolbar = session.auto_suggest = None
        session.complete_style = CompleteStyle.READLINE_LIKE
        session.reserve_space_for_menu = 0
        # The terminal is not asked where its cursor is: what is below would be drawn, blank.
        session.app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED
        self.refresh()

    def save_history(self, wanted: bool) -> None:
        """Say whether what is typed is to be kept for later runs: until then nothing is."""
        self._history.save(wanted)

    def equip(
        self,
        commands: Iterable[Completable],
        toolbar: Callable[[str, int], str],
        *,
        size: Callable[[str], str],
        can_go_back: Callable[[str], bool],
        cleared: Callable[[], None],
    ) -> None:
        """Complete these commands from now on.

        `toolbar` gives the text below the prompt: of the line, as wide as it is told. `size` says
        how much a folded text is, `can_go_back` whether Esc Esc has a meaning for a line;
        `cleared` is called when Ctrl-C has cleared it.
        """
        self._completer = CommandCompleter(commands)
        self._toolbar = toolbar
        self.folds.size = size
        self._can_go_back = can_go_back
        self._cleared = cleared
        if self._has_menu():
            self._soon(self._session.default_buffer.start_completion)  # of what is typed already

    @property
    def vi(self) -> bool:
        """Whether the keys are those of vi, and not of emacs."""
        return self._session.editing_mode == EditingMode.VI

    @vi.setter
    def vi(self, wanted: bool) -> None:
        self._session.editing_mode = EditingMode.VI if wanted else EditingMode.EMACS

    def line(
        self, default: str = "", ahead: str = "", *, on_shown: Callable[[], None] | None = None
    ) -> str | Aside | None:
        """Wait for a line with something in it, or another wish; None if the user leaves.

        It begins with `default`; then come the keys of `ahead`, of which Enter makes a new line.
        `on_shown` is called once the prompt is on the screen. Raises Stopped.
        """
        store_typeahead(self._session.input, _as_keys(ahead))
        while True:
            try:
                shown = default if is_dumb_terminal() else self.folds.fold_line(default)
                line = self._ask(shown, on_shown=on_shown)
            except KeyboardInterrupt:
                self._cleared()
                line = ""
            except EOFError:
                return None
            if isinstance(line, Aside):
                return Aside(line.wish, self.folds.whole(line.typed))
            if line.strip():
                return self.folds.whole(line)
            default, on_shown = "", None

    def typed_ahead(self) -> str:
        """Take the keys that have been typed since the last line, as the terminal sent them."""
        ahead = "".join(map(_as_sent, get_typeahead(self._session.input)))
        return ahead + self.keyboard.typed()

    def stop(self) -> None:
        """Take the prompt off the screen, from any thread: who waits for a line gets Stopped.

        Where nobody waits just now, the next one to do so gets it.
        """
        app = self._session.app
        self.is_stopped = True

        def stop() -> None:
            if app.future is None or app.future.done():
                return  # the line has just been sent
            app.erase_when_done = True
            app.exit(exception=Stopped(self.folds.whole(self._session.default_buffer.text)))

        self._soon(stop)

    def _ask(self, default: str = "", *, on_shown: Callable[[], None] | None = None) -> str | Aside:
        """Wait for a line and give it as it was typed, or what is wanted instead.

        `on_shown` is called once the prompt is on the screen. Raises KeyboardInterrupt for
        Ctrl-C and EOFError for Ctrl-D on an empty line.
        """
        if self.is_stopped:
            raise Stopped(self.folds.whole(default))
        app = self._session.app
        app.erase_when_done = False
        self._background.ask(self._session.output)
        if on_shown is not None and is_dumb_terminal():
            on_shown()
        elif on_shown is not None:

            def once(_: object) -> None:
                app.after_render -= once
                on_shown()

            app.after_render += once
        if is_dumb_terminal():
            # Such a prompt shows what is typed and nothing else; it shows its message, though.
            return self._session.prompt(f"{self._mark}{default}", default=default)
        try:
            with patch_stdout(raw=True):  # what another thread says stands above the prompt
                return _asked(self._session, self._message, default)
        finally:
            if self.keyboard.is_held:  # a text that is pasted meanwhile is one text
                self._session.output.enable_bracketed_paste()
                self._session.output.flush()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the keyboard, until no line is asked for any more."""
        with self.keyboard.held():
            try:
                yield
            finally:
                if self.keyboard.is_held:
                    self._session.output.disable_bracketed_paste()
                    self._session.output.flush()

    def _message(self) -> StyleAndTextTuples:
        return [("class:prompt", self._mark)]

    @property
    def _before_cursor(self) -> str:
        return self._session.default_buffer.document.text_before_cursor

    def _has_menu(self) -> bool:
        return self._session.complete_style != CompleteStyle.READLINE_LIKE

    def _may_go_back(self, line: str) -> bool:
        return self._can_go_back(line)

    def _below(self) -> str:
        line = self.folds.whole(self._session.default_buffer.text)
        mode = f" {words} ·" if (words := shown_mode(self._session.editing_mode)) else ""
        return mode + self._toolbar(line, self._session.output.get_size().columns - len(mode))

    def choose(self, choices: Mapping[str, str]) -> str | None:
        """Let one of several letters be typed, each with its meaning; None if Ctrl-C is.

        What is none of them goes into the history: it may have been typed before the question.
        """
        session: PromptSession[str] = _session(
            style=self._style, key_bindings=self._background.keys
        )
        for letter, meaning in choices.items():
            print(f"  {letter}  {meaning}")
        question = f"{'/'.join(choices)}> "
        while True:
            try:
                line = _asked(session, [("class:prompt", question)])
            except (KeyboardInterrupt, EOFError):
                return None
            letter = line.strip().lower()
            if letter in choices:
                return letter
            if letter:
                self._session.history.append_string(line)

    def wait_for_pause(self, seconds: float) -> None:
        """Wait until a prompt is on the screen and nothing has been typed for a while."""
        if is_dumb_terminal():
            return  # there the prompt is not this session's, and no key is drawn
        while time.monotonic() - self._typed_last < seconds or not self._session.app.is_running:
            time.sleep(0.1)

    def _note_key(self, _: object) -> None:
        self._typed_last = time.monotonic()

    def refresh(self) -> None:
        """Draw the toolbar anew; may be called from any thread."""
        if self._session.app.is_running:
            with suppress(RuntimeError):  # it has just ended
                self._session.app.invalidate()

    def _soon(self, act: Callable[[], None]) -> None:
        """Have something done by the thread that asks for the line, if one does."""
        loop = self._session.app.loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(act)
