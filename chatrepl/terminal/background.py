"""Whether the terminal is dark or light: it is asked, and its answer is kept off the prompt.

OSC 11 asks for the background colour (xterm's control sequences; also kitty, iTerm2, GNOME
Terminal, Windows Terminal 1.22, tmux 3.4 and many more). It is asked right before prompt_toolkit
asks where the cursor is, whose answer is awaited before a prompt ends: a terminal answers in
order, so nothing is left for the shell to read. One that knows no OSC 11 says nothing.
"""

import os
import re
from collections.abc import Callable, Mapping

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.styles import BaseStyle, DynamicStyle, Style

from chatrepl.terminal.theme import Background, Theme, for_prompt

_START = ("escape", "]", "1", "1", ";")
_LONGEST = 40
"""Keys after which an answer that has not ended is none."""

_RGB = re.compile(r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.IGNORECASE)


def ask(output: Output) -> None:
    """Ask for the background, with the next thing that is written, where it is of any use."""
    # The console of an older Linux writes a part of what it does not know.
    is_of_use = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "linux"
    if output.responds_to_cpr and is_of_use:
        output.write_raw("\x1b]11;?\x1b\\")


def style_of(theme: Theme) -> BaseStyle:
    """Give the prompt's style, which is another one when the theme's styles are."""
    made: list[tuple[Mapping[str, str], Style]] = []

    def now() -> Style:
        styles = theme.styles
        if not made or made[0][0] is not styles:
            made[:] = [(styles, Style.from_dict(for_prompt(styles)))]
        return made[0][1]

    return DynamicStyle(now)


def read_answer(text: str) -> Background | None:
    """Read a colour as X11 names it, by its luminance (ITU-R BT.709); None if it is none.

    >>> read_answer("rgb:1e1e/1e1e/2e2e"), read_answer("rgb:ff/ff/ea"), read_answer("x")
    ('dark', 'light', None)
    """
    found = _RGB.match(text)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return "light" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else "dark"


def answers(seen: Callable[[Background], None]) -> KeyBindings:
    """Take the answer out of what is typed, whenever it comes, and tell what it says.

    prompt_toolkit reads it as keys: Escape, "]", "1"… None of them reaches the line.
    """
    keys = KeyBindings()
    taken: list[str] = []
    is_taking = False

    @keys.add(*_START)
    def _begin(_: KeyPressEvent) -> None:
        nonlocal is_taking
        is_taking = True
        taken.clear()

    @keys.add(Keys.Any, filter=Condition(lambda: is_taking), eager=True)
    def _take(event: KeyPressEvent) -> None:
        nonlocal is_taking
        taken.append(event.data)
        text = "".join(taken)
        has_ended = text.endswith(("\x07", "\x1b\\", "\x9c"))
        is_taking = not has_ended and len(taken) < _LONGEST
        if has_ended and (background := read_answer(text)) is not None:
            seen(background)

    return keys
