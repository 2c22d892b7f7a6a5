"""The loop: ask for a line, run it or say it, show what comes."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from chatrepl.chat.events import Event
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError, WindowFullError
from chatrepl.terminal.commands import completables, find_command, read_command
from chatrepl.terminal.gauge import Gauge
from chatrepl.terminal.keys import unechoed
from chatrepl.terminal.outcomes import Outcome, ending, show_turn
from chatrepl.terminal.prompt import Prompt
from chatrepl.terminal.replies import reply_on
from chatrepl.terminal.screen import Screen
from chatrepl.terminal.toolbar import toolbar


class Host(Protocol):
    """What the loop asks of the program around it. Its methods raise ChatreplError."""

    @property
    def model(self) -> str:
        """Name the model, before the chat is there to be asked."""

    @property
    def plain(self) -> bool:
        """Whether replies are shown as text."""

    def unforeseen(self, error: Exception) -> ChatreplError:
        """Keep a fault of the program's own, and say so."""

    def open_chat(self) -> Chat:
        """Build the chat: may load packages, so it runs beside the prompt."""

    def use_model(self, chat: Chat, name: str) -> None:
        """Let another model answer."""

    def use_persona(self, chat: Chat, name: str) -> None:
        """Take a persona's system message, examples and settings."""

    def use_overflow(self, chat: Chat, how: str) -> None:
        """Do something else from now on when the window is full."""

    def models(self) -> Iterable[tuple[str, str]]:
        """List models by name, each with a few words."""

    def personas(self) -> Iterable[tuple[str, str]]:
        """List the personas by name, each with the beginning of its system message."""


_ROOM = {
    "n": "begin a new conversation with this message",
    "t": "leave the oldest exchanges out, from now on",
    "s": "have the model condense the oldest exchanges, from now on",
    "c": "cancel",
}
"""What can be done about a full window."""


class Repl:
    """An interactive chat. `prefill` is what the next prompt begins with."""

    def __init__(
        self,
        host: Host,
        screen: Screen,
        history: Path,
        *,
        answer_first: bool = False,
    ) -> None:
        self.host = host
        self.screen = screen
        self.prefill = ""
        self.leaving = False
        self._answered = False  # whether something of a reply has come in this turn
        self._answer_first = answer_first
        self._chat: Chat | None = None
        self._opening = threading.Lock()
        self._prompt = Prompt(history, completables(self), self._toolbar)
        self._gauge = Gauge(self._prompt.refresh)

    @property
    def chat(self) -> Chat:
        """The chat, built on first use."""
        with self._opening:
            if self._chat is None:
                self._chat = self.host.open_chat()
            return self._chat

    def run(self) -> None:
        """Talk until the user leaves."""
        if self._answer_first:
            self._guarded(self.retry, "")
        on_shown: Callable[[], None] | None = self.warm_up
        while not self.leaving:
            default, self.prefill = self.prefill, ""
            once, on_shown = on_shown, None
            try:
                line = self._prompt.ask(default, on_shown=once)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if line.strip():
                self._guarded(partial(self._do, line), line)

    def retry(self) -> None:
        """Ask the last user message again."""
        prompt = self.chat.conversation.exchanges[-1].prompt
        assert prompt is not None
        self.turn(self.chat.retry, prompt.content, "")

    def warm_up(self) -> None:
        """Load beside the prompt what the next message will need."""
        threading.Thread(target=self._warm_up, daemon=True).start()

    def turn(self, begin: Callable[[], Iterator[Event]], text: str, line: str) -> None:
        """Show a turn that says `text`; if the window is full and the user wants to be asked, ask.

        If nothing comes of it, `line` goes back to the prompt.
        """
        try:
            self.answer(begin(), line)
        except WindowFullError as full:
            self.screen.notice(full.text)
            choice = self._prompt.choose(_ROOM)
            self.prefill = "" if choice in {"n", "t", "s"} else line
            match choice:
                case "n":
                    before = self.chat.conversation
                    self.chat.conversation = before.cleared()
                    try:
                        self.answer(self.chat.say(text), line)
                    finally:
                        if not self._answered:
                            self.chat.conversation = before
                case "t" | "s" as letter:
                    self.host.use_overflow(self.chat, "trim" if letter == "t" else "summarize")
                    self.answer(begin(), line)

    def answer(self, events: Iterator[Event], text: str) -> None:
        """Show a turn; if nothing comes of it, `text` goes back to the prompt."""
        outcome = Outcome()
        print()
        try:
            with unechoed():
                show_turn(events, reply_on(self.screen, plain=self.host.plain), outcome)
        except KeyboardInterrupt:
            self.screen.notice("stopped; what came is kept" if outcome.text else "stopped")
        else:
            _, words = ending(outcome, self.chat.max_tokens)
            if words:
                self.screen.notice(words)
        finally:
            self._answered = bool(outcome.text)
            if self._answered:
                print()
            else:
                self.prefill = text

    def _do(self, line: str) -> None:
        command = read_command(line)
        if command is not None:
            name, argument = command
            find_command(name).run(self, argument)
            return
        text = line[1:] if line.startswith("//") else line
        self.turn(lambda: self.chat.say(text), text, line)

    def _guarded(self, act: Callable[[], None], line: str) -> None:
        """Do something; whatever goes wrong is said, the line comes back, and the chat goes on."""
        self._answered = False
        try:
            act()
        except ChatreplError as error:
            self.screen.error(error)
        except Exception as error:  # noqa: BLE001 - no error ends a conversation
            self.screen.error(self.host.unforeseen(error))
        except KeyboardInterrupt:
            self.screen.notice("stopped")
        else:
            return
        if not self._answered:
            self.prefill = self.prefill or line

    def _warm_up(self) -> None:
        try:
            chat = self.chat
            chat.provider.prepare()
            chat.counter.load()
            chat.ask_limits()
        except Exception:  # noqa: BLE001 - whatever it is will be said when it is in the way
            return
        self._prompt.refresh()

    def _toolbar(self, line: str, width: int) -> str:
        chat = self._chat
        if chat is None:
            return f" {self.host.model}"[:width]
        command = read_command(line)
        line = "" if command else line.removeprefix("/") if line.startswith("//") else line
        reading = self._gauge.read(chat, line) if chat.counter.loaded else None
        return toolbar(chat.card.name, reading, chat.card.context_window, width)
