"""Keeping control sequences away from the terminal.

Whatever comes from a server, a file or an error may hold sequences that move the cursor, set
the title, write to the clipboard or turn the text's direction round. rich lets them through, so
they are taken out before anything is shown: C0 but newline and tab, DEL, C1, ESC sequences
whole, bidi overrides and isolates, invisible tag characters.
"""

import re

# A control string (OSC, DCS, SOS, PM, APC) ends on its line or is none; so does the wait for it.
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c\n]{0,4096}"
_CSI = r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}"
_SINGLES = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f"
_UNWANTED = re.compile(
    rf"{_STRING}(?:\x07|\x1b\\|\x9c)|{_CSI}[@-~]|\x1b[ -/]{{0,8}}[0-Z\\-~]|\x1b\[|[{_SINGLES}]"
)
_UNFINISHED = re.compile(rf"(?:{_STRING}\x1b?|{_CSI}|\x1b[ -/]{{0,8}})\Z")
_SUSPECT = re.compile(rf"[{_SINGLES}]")


class Sanitizer:
    """Filters a text that comes in pieces; any split into pieces gives the same result."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece and give what is safe to show so far."""
        text = self._held + piece
        self._held = ""
        if not _SUSPECT.search(text):
            return text
        if unfinished := _UNFINISHED.search(text):
            self._held = unfinished[0]
            text = text[: unfinished.start()]
        return _UNWANTED.sub("", text)

    def flush(self) -> str:
        """Give what was held back in case it became a sequence: the text has ended."""
        text, self._held = self._held, ""
        return _UNWANTED.sub("", text)


def clean(text: str) -> str:
    """Filter a whole text.

    >>> clean("a\\x1b[31mred\\x1b]52;c;AAAA\\x07 b\\u202e")
    'ared b'
    """
    return _UNWANTED.sub("", text)
