"""The keys of the prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, emacs_mode, is_searching, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.vi_state import InputMode

from chatrepl.terminal.folds import Folds
from chatrepl.terminal.keyboard import as_text

HELP = (
    ("Enter", "send; submit in the config file makes that Alt-Enter"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Up, Down", "go through the history; Ctrl-R searches it, Right takes what is suggested"),
    ("Tab", "complete a command, what it takes, or the path behind an @"),
    ("Esc Esc", "on an empty line: change an earlier message and go on from there"),
    ("Ctrl-X Ctrl-E", "write in $VISUAL or $EDITOR"),
    ("Ctrl-X Ctrl-P", "unfold the pasted text before the cursor"),
    ("Ctrl-C", "clear the line; stop a reply and keep what came"),
    ("Ctrl-D, Ctrl-Z", "leave, suspend; while a reply streams, once it has ended"),
)

Submit = Literal["enter", "alt-enter"]
"""The key that sends a message; the other one makes a new line."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Something else is wanted than to send the line, in which `typed` stands.

    `wish` is "edit" (in an editor) or "back" (to an earlier message).
    """

    wish: Literal["edit", "back"]
    typed: str


def bindings(
    submit: Callable[[], Submit],
    folds: Folds,
    can_go_back: Callable[[str], bool],
    has_menu: Callable[[], bool],
) -> KeyBindings:
    """Bind the keys that are ours; all others are prompt_toolkit's, for emacs or vi.

    In vi's insert mode Esc Enter is two keys, of which the second sends.
    """
    keys = KeyBindings()
    enter_sends = Condition(lambda: submit() == "enter")

    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    keys.add("enter", filter=~is_searching & (enter_sends | vi_navigation_mode))(_send)
    keys.add("enter", filter=~is_searching & ~enter_sends & ~vi_navigation_mode)(_new_line)
    keys.add("escape", "enter", filter=emacs_mode & enter_sends)(_new_line)
    keys.add("escape", "enter", filter=emacs_mode & ~enter_sends)(_send)
    keys.add("c-j", filter=~is_searching)(_new_line)
    keys.add("tab", filter=~is_searching & Condition(has_menu))(_complete)
    _bind_folds(keys, folds)
    _bind_asides(keys, can_go_back)
    return keys


def _complete(event: KeyPressEvent) -> None:
    """Complete at once: an Enter may follow, and a menu that is still being filled drops a Tab."""
    buffer = event.current_buffer
    if buffer.complete_state and buffer.complete_state.completions:
        buffer.complete_next()
        return
    asked = CompleteEvent(completion_requested=True)
    found = list(buffer.completer.get_completions(buffer.document, asked))
    if len(found) == 1:
        buffer.apply_completion(found[0])
    elif common := get_common_complete_suffix(buffer.document, found):
        buffer.insert_text(common)
    elif found:
        buffer.start_completion()


def _bind_folds(keys: KeyBindings, folds: Folds) -> None:
    @keys.add("<bracketed-paste>", filter=~is_searching)
    def _paste(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(folds.fold(as_text(event.data)))

    @keys.add("c-x", "c-p", filter=~is_searching)
    def _unfold(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        place = folds.last(buffer.document.text_before_cursor)
        if place >= 0:
            text = folds.whole(buffer.text[place])
            line = buffer.text[:place] + text + buffer.text[place + 1 :]
            moved = buffer.cursor_position + len(text) - 1
            buffer.document = Document(line, moved)


def _bind_asides(keys: KeyBindings, can_go_back: Callable[[str], bool]) -> None:
    @Condition
    def may_go_back() -> bool:
        return can_go_back(get_app().current_buffer.text)

    @keys.add("c-x", "c-e", filter=~is_searching)
    def _edit(event: KeyPressEvent) -> None:
        _leave(event, "edit")

    @keys.add("escape", "escape", filter=(emacs_mode | vi_navigation_mode) & may_go_back)
    def _back(event: KeyPressEvent) -> None:
        _leave(event, "back")


def _leave(event: KeyPressEvent, wish: Literal["edit", "back"]) -> None:
    """Take the prompt off the screen: what is wanted comes in its place."""
    event.app.erase_when_done = True
    event.app.exit(result=Aside(wish, event.current_buffer.text))


_MODES = {
    InputMode.INSERT: "vi insert",
    InputMode.INSERT_MULTIPLE: "vi insert",
    InputMode.NAVIGATION: "vi normal",
    InputMode.REPLACE: "vi replace",
    InputMode.REPLACE_SINGLE: "vi replace",
}


def shown_mode(mode: EditingMode) -> str:
    """Say in which mode the keys of vi are; those of emacs have none."""
    return _MODES[get_app().vi_state.input_mode] if mode == EditingMode.VI else ""
