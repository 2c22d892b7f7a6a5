"""Whether the terminal is dark or light: it is asked, and its answer is kept off the prompt.

OSC 11 asks for the background colour (xterm's control sequences; kitty, iTerm2, GNOME Terminal and
many more answer it). It is asked right before prompt_toolkit asks where the cursor is, whose answer
is awaited before a prompt ends: a terminal answers in order, so nothing is left for the shell to
read. One that knows no OSC 11 says nothing.
"""

import os
import re
import time
from collections.abc import Callable, Mapping

from prompt_toolkit.filters import Condition, emacs_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.styles import BaseStyle, DynamicStyle, Style

from chatrepl.terminal.theme import Shade, Theme, for_prompt

_LATEST = 2.0
"""Seconds after which, with vi's keys, an answer is not waited for any more."""

_START = ("escape", "]", "1", "1", ";")
_LONGEST = 40
"""Keys after which an answer that has not ended is none."""

_RGB = re.compile(r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.IGNORECASE)


def style_of(theme: Theme) -> BaseStyle:
    """Give the prompt's style, which is another one when the theme's styles are."""
    made: list[tuple[Mapping[str, str], Style]] = []

    def now() -> Style:
        styles = theme.styles
        if not made or made[0][0] is not styles:
            made[:] = [(styles, Style.from_dict(for_prompt(styles)))]
        return made[0][1]

    return DynamicStyle(now)


def read_answer(text: str) -> Shade | None:
    """Read a colour as X11 names it, by its luminance (ITU-R BT.709); None if it is none.

    >>> read_answer("rgb:1e1e/1e1e/2e2e"), read_answer("rgb:ff/ff/ea"), read_answer("x")
    ('dark', 'light', None)
    """
    found = _RGB.match(text)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return "light" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else "dark"


class Background:
    """The question for the background, and the keys that take its answer out of what is typed.

    `seen` is told the answer, whenever it comes. prompt_toolkit reads it as keys, Escape, "]",
    "1"…, none of which reaches the line. With vi's keys, where Escape acts at once, that is so
    only while the answer may be on its way. `clock` is in seconds.
    """

    def __init__(
        self, seen: Callable[[Shade], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keys = KeyBindings()
        self._seen = seen
        self._clock = clock
        self._asked: float | None = None
        self._taken: list[str] = []
        self._is_taking = False
        begins = emacs_mode | Condition(self._may_come)
        self.keys.add(*_START, filter=begins)(self._begin)
        taking = Condition(lambda: self._is_taking)
        self.keys.add(Keys.Any, filter=taking, eager=True)(self._take)

    def ask(self, output: Output) -> None:
        """Ask with the next thing that is written, where it is of any use; once."""
        if self._asked is not None:
            return
        # The console of an older Linux writes a part of what it does not know.
        is_of_use = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "linux"
        if output.responds_to_cpr and is_of_use:
            self._asked = self._clock()
            output.write_raw("\x1b]11;?\x1b\\")

    def _may_come(self) -> bool:
        return self._asked is not None and self._clock() - self._asked < _LATEST

    def _begin(self, _: KeyPressEvent) -> None:
        self._is_taking = True
        self._taken.clear()

    def _take(self, event: KeyPressEvent) -> None:
        self._taken.append(event.data)
        text = "".join(self._taken)
        has_ended = text.endswith(("\x07", "\x1b\\", "\x9c"))
        self._is_taking = not has_ended and len(self._taken) < _LONGEST
        if has_ended and (shade := read_answer(text)) is not None:
            self._asked = float("-inf")  # no other one comes
            self._seen(shade)
