"""The loop: ask for a line, run it or say it, show what comes."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module

from chatrepl.chat.attachments import Attachment, merged
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.events import Event
from chatrepl.chat.messages import Message
from chatrepl.chat.schema import fault_of_last
from chatrepl.chat.sessions import Saved
from chatrepl.chat.tree import Tree
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError, WindowFullError
from chatrepl.terminal.attachments import compose, outlined, waiting
from chatrepl.terminal.budget import within_budget
from chatrepl.terminal.commands import (
    as_line,
    as_message,
    completables,
    read_command,
    run_command,
)
from chatrepl.terminal.editor import edit
from chatrepl.terminal.gauge import Gauge
from chatrepl.terminal.host import Host
from chatrepl.terminal.keys import Aside
from chatrepl.terminal.outcomes import Outcome, ending, show_turn, whole_in_words
from chatrepl.terminal.prompt import Prompt, letting_keys_through
from chatrepl.terminal.replies import announced, open_block, reply_on
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen
from chatrepl.terminal.thinking import Thinking
from chatrepl.terminal.toolbar import shortened, toolbar
from chatrepl.terminal.window_commands import message_numbers

_ROOM = {
    "n": "begin a new conversation with this message",
    "t": "leave the oldest exchanges out, from now on",
    "s": "have the model condense the oldest exchanges, from now on",
    "c": "cancel",
}
"""What can be done about a full window."""


_PAUSE = 0.5
"""Seconds without a key before the vocabulary is loaded: for a part of that no key gets through."""


_Files = tuple[Attachment, ...]


class Repl:
    """An interactive chat.

    `prefill` is what the next prompt begins with, `attached` what goes with the next message;
    `came_back` is what of that came back with an earlier message.
    """

    def __init__(
        self,
        host: Host,
        screen: Screen,
        prompt: Prompt,
        *,
        answer_first: bool = False,
    ) -> None:
        self.host = host
        self.screen = screen
        self.prefill = ""
        self.attached: _Files = ()
        self.came_back: _Files = ()
        self._typed = ""  # keys typed ahead that are not to send anything: they go below that
        self.leaving = False
        self._went_from: tuple[int, _Files, _Files] | None = None  # before the first Esc Esc
        self._went_back_to = ""
        self._answered = False  # whether something of a reply has come in this turn
        self._answer_first = answer_first
        self._chat: Chat | None = None
        self._loading = False  # whether that has been begun
        self._opening = threading.Lock()
        self.prompt = prompt
        self._gauge = Gauge(prompt.refresh)
        prompt.vi, prompt.submit = host.vi, host.submit
        prompt.equip(
            completables(self),
            self._toolbar,
            size=self._size,
            can_go_back=self._can_go_back,
            cleared=self._cleared,
        )

    @property
    def chat(self) -> Chat:
        """The chat, built on first use."""
        with self._opening:
            if self._chat is None:
                self._chat = self.host.open_chat()
            return self._chat

    def run(self, line: str | Aside = "") -> None:
        """Talk until the user leaves; `line` has been typed already, or is what was wanted."""
        with self.prompt.held():
            self._run(line)

    def _run(self, line: str | Aside) -> None:
        if self._answer_first:
            self._guarded(self.retry, "")
        on_shown = None if self._loading or line else self.warm_up
        if line and not self._loading:
            self.warm_up()
        while not self.leaving:
            if isinstance(line, Aside):
                self._guarded(partial(self._turn_aside, line), "")
            elif line:
                self._guarded(partial(self._do, line), line)
            if self.leaving:
                return
            default, ahead = clean(self.prefill), self._typed
            if default and ahead.strip():
                default += "\n"
            self.prefill = self._typed = ""
            typed = self.prompt.line(default, ahead, on_shown=on_shown)
            if typed is None:
                return
            line, on_shown = typed, None

    def _turn_aside(self, aside: Aside) -> None:
        """Do what was wanted instead of sending the line; the line is kept."""
        self.prefill = aside.typed
        if aside.wish == "edit":
            with self.prompt.keyboard.released():
                self.prefill = edit(aside.typed)
        else:
            if self._went_from is None:
                head = self.chat.conversation.head
                self._went_from = head, self.attached, self.came_back
            earlier, _ = next(iter(message_numbers(self, "")))
            run_command(self, "edit", earlier)
            self._went_back_to = self.prefill

    def _cleared(self) -> None:
        """Step forward again to where Esc Esc began: nothing was to be changed after all."""
        if self._went_from is not None:
            head, self.attached, self.came_back = self._went_from
            self._went_from, self._went_back_to = None, ""
            self.chat.go_to(head)
            self.screen.notice("forward again: nothing was changed")

    def bring_back(self, message: Message) -> None:
        """Put a message at the next prompt, with what is attached to it, to be said again.

        What the user has attached meanwhile stays, and goes before a file of the same name.
        """
        before = self.attached
        self.put_away()
        self.prefill = as_line(message.content)
        self.attached = merged(message.attachments, self.attached)
        self.came_back = message.attachments
        if self.attached != before:
            self.screen.notice(waiting(self.attached))

    def put_away(self) -> None:
        """Let go of what came back with a message that is not to be said again now."""
        gone = set(map(id, self.came_back))  # the user may have attached the same by /file
        self.attached = tuple(each for each in self.attached if id(each) not in gone)
        self.came_back = ()

    def _can_go_back(self, line: str) -> bool:
        """Whether Esc Esc goes to an earlier message: not from a line that it would lose."""
        asked = self._chat is not None and any(e.prompt for e in self._chat.conversation.exchanges)
        return asked and self.prompt.folds.whole(line) in {"", self._went_back_to}

    def _size(self, text: str) -> str:
        """Say how much a text is, in tokens if they can be counted at once."""
        tokens = self._tokens(text)
        return f"{tokens} tokens" if tokens else f"{len(text):,} characters"

    def _tokens(self, text: str) -> str:
        """Count the tokens of a text; "" where that would take loading something."""
        counter = self._chat.counter if self._chat is not None else None
        return f"{counter.about}{counter.text(text):,}" if counter and counter.loaded else ""

    def retry(self) -> None:
        """Ask the last user message again."""
        prompt = self.chat.conversation.exchanges[-1].prompt
        assert prompt is not None
        self.turn(self.chat.retry, prompt, "")

    def go_on(self) -> None:
        """Go on with the last reply: the block in which it was cut off is shown again, whole."""
        again = True
        while again:
            reply = self.chat.conversation.exchanges[-1].reply
            assert reply is not None
            show = partial(self.answer, text="", before=open_block(reply.content))
            again = within_budget(self, self.chat.go_on, show)

    def show_where(self, saved: Saved) -> None:
        """Show where a session stands that is gone on with."""
        from chatrepl.terminal.sessions import described  # noqa: PLC0415 - imports rich

        self.screen.notice(described(saved.session, datetime.now(UTC)))
        self.prefill = as_line(saved.unsent)
        self.attached = merged(saved.unsent_files, self.attached)
        if saved.unsent_files:
            self.screen.notice(waiting(self.attached))
        self._show(saved.conversation, saved.tree)

    def show_last(self) -> None:
        """Show the last exchange."""
        self._show(self.chat.conversation, self.chat.tree)

    def _show(self, talk: Conversation, tree: Tree) -> None:
        if not talk.exchanges:
            return
        from rich.text import Text  # noqa: PLC0415

        exchange = talk.exchanges[-1]
        for message in exchange.messages:
            if message is exchange.reply:
                if self.screen.accessible:
                    self.screen.out.print("assistant:")
                with reply_on(self.screen, plain=self.host.plain) as reply:
                    reply.text(message.content)
            else:
                shown = clean(outlined(message)).replace("\n", "\n  ")
                who = "you" if message.role == "user" else message.role
                mark = f"{who}: " if self.screen.accessible else "> "
                self.screen.out.print(Text.assemble((mark, "role"), shown))
            print()
        if exchange.reply is not None and not exchange.is_whole:
            self.screen.notice("The reply was cut off. /continue goes on with it.")
        self._say_place(tree, exchange.id)

    def _say_place(self, tree: Tree, exchange: int) -> None:
        which, of = tree.place(exchange)
        if of > 1:
            place = f"reply {which} of {of};" if self.screen.accessible else f"‹{which}/{of}› "
            self.screen.notice(f"{place} /branch switches")

    def warm_up(self) -> None:
        """Begin to `load`, in a thread of its own."""
        self._loading = True
        threading.Thread(target=self.load, daemon=True).start()

    def load(self) -> None:
        """Load what the next message will need, beside the prompt."""
        self._loading = True
        # Whatever goes wrong will be said when it is in the way.
        with suppress(Exception), letting_keys_through():
            import_module("chatrepl.terminal.rendering")
            self.chat.provider.prepare()
            self.chat.ask_limits()
        with suppress(Exception):
            self.prompt.wait_for_pause(_PAUSE)
            self.chat.counter.load()
        self.prompt.refresh()

    def turn(self, begin: Callable[[], Iterator[Event]], prompt: Message, line: str) -> None:
        """Show a turn that says `prompt`; if the window is full and the user wants it so, ask.

        If nothing comes of it, `line` goes back to the prompt.
        """
        try:
            self._ask(begin, line)
        except WindowFullError as full:
            self.screen.notice(full.text)
            self.keep_typed()
            choice = self.prompt.choose(_ROOM)
            self.prefill = "" if choice in {"n", "t", "s"} else line
            match choice:
                case "n":
                    chat = self.chat
                    before = chat.conversation, chat.recorder, chat.tree, chat.spending
                    self.host.keeping.begin(chat)
                    try:
                        self._ask(lambda: chat.say(prompt.content, prompt.attachments), line)
                    finally:
                        if not self._answered:
                            self.host.keeping.forget(chat)
                            chat.begin(*before)
                case "t" | "s" as letter:
                    self.host.use_overflow(self.chat, "trim" if letter == "t" else "summarize")
                    self._ask(begin, line)

    def _ask(self, begin: Callable[[], Iterator[Event]], line: str) -> None:
        """Show a turn, and as often as the user wants it another after one that stalled."""
        while within_budget(self, begin, partial(self.answer, text=line)):
            self.prefill = ""
            if self._answered:
                begin = self.chat.retry

    def answer(self, events: Iterator[Event], text: str, before: str = "") -> bool:
        """Show a turn, after what was `before` in its block.

        If nothing comes of it, `text` goes back to the prompt. Tells whether the user wants it
        anew.
        """
        outcome = Outcome()
        print()
        try:
            reply = reply_on(self.screen, plain=self.host.plain, before=before)
            if self.screen.accessible:
                reply = announced(reply, self.screen, self.chat.card.name)
            keyboard = self.prompt.keyboard
            typed = keyboard.typed if keyboard.is_held else None
            show_turn(events, reply, outcome, typed, self._say_thoughts)
        except KeyboardInterrupt:
            self.keep_typed()
            stopped = "asking again" if outcome.ask_again else "stopped"
            self.screen.notice(f"{stopped}; what came is kept" if outcome.text else stopped)
        else:
            _, words = ending(outcome, self.chat.max_tokens, in_chat=True)
            if not words and (why := fault_of_last(self.chat.schema, self.chat.conversation)):
                words = f"The reply does not hold to the schema: {why}"
            if self.screen.accessible and not words:
                words = whole_in_words(outcome, self.chat.card.context_window)
            if words:
                self.screen.notice(words)
        finally:
            self._typed += outcome.typed
            if outcome.text:
                self._answered = True
                self._say_place(self.chat.tree, self.chat.conversation.head)
                print()
            elif not self._answered:
                self.prefill = text
        return outcome.ask_again

    def _say_thoughts(self, thinking: Thinking) -> str:
        return thinking.summary(self._tokens(thinking.text), "/thoughts shows it")

    def _do(self, line: str) -> None:
        self._went_from, self._went_back_to = None, ""
        command = read_command(line)
        if command is not None:
            run_command(self, *command)
            return
        said = compose(self, as_message(line))
        try:
            self.turn(lambda: self.chat.say(said.content, said.attachments), said, line)
        finally:
            if self._answered:  # even if the reply was cut off: they are in the talk now
                self.attached = self.came_back = ()

    def _guarded(self, act: Callable[[], None], line: str) -> None:
        """Do something; whatever goes wrong is said, the line comes back, and the chat goes on."""
        self._answered = False
        try:
            act()
            if self.prompt.keyboard.has_kept:
                self.keep_typed()
        except ChatreplError as error:
            error.hint = f"{error.hint} {error.commands}".strip()
            self.screen.error(error)
            if self._answered:
                self.screen.notice("What came is kept: /continue goes on with it.")
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise  # the terminal is gone
            self.screen.error(self.host.unforeseen(error))
        except KeyboardInterrupt:
            self.screen.notice("stopped")
        else:
            return
        finally:
            if self._chat is not None:
                with suppress(KeyboardInterrupt):  # what is not written now will be later
                    self._chat.keep()
        self.keep_typed()
        if not self._answered:
            self.prefill = self.prefill or line

    def keep_typed(self) -> None:
        """Keep what was typed ahead off the wires: it was typed for another course of things."""
        self._typed += self.prompt.typed_ahead()

    def _toolbar(self, line: str, width: int) -> str:
        chat = self._chat
        if chat is None:
            return f" {shortened(self.host.model, width - 1)}"
        line = "" if read_command(line) else as_message(line)
        reading = self._gauge.read(chat, line, self.attached) if chat.counter.loaded else None
        window, unsaved = chat.card.context_window, chat.recorder.unsaved
        spent = chat.spending.total
        cost = spent.written if spent.cost else ""
        return toolbar(chat.card.name, reading, window, width, unsaved=unsaved, cost=cost)
