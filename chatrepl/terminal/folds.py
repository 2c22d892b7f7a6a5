"""Long texts in the prompt: each stands there as a few words, and is sent whole."""

import re
from collections.abc import Callable

_LONG = 2_000
"""Characters of a text that is folded when it has more."""

_LINES = 40
"""Lines of a text that is folded when it has more."""

_MARK = re.compile(r"\[pasted [^][]*\]")


class Folds:
    """The long texts of a run, by the words that stand for them.

    `size` says in a few words how much a text is.

    >>> folds = Folds()
    >>> line = f"Why is this slow? {folds.fold('x = 1' + chr(10) + 'y' * 2500)}"
    >>> line
    'Why is this slow? [pasted 2 lines, 2,506 characters]'
    >>> len(folds.whole(line))
    2524
    """

    def __init__(self) -> None:
        self.size: Callable[[str], str] = lambda text: f"{len(text):,} characters"
        self._texts: dict[str, str] = {}
        self._words: dict[str, str] = {}

    def fold(self, text: str) -> str:
        """Give the words that stand for a text, or the text itself if it is short."""
        if len(text) <= _LONG and text.rstrip("\n").count("\n") < _LINES:
            return text
        if text not in self._words:
            lines = text.rstrip("\n").count("\n") + 1
            counted = f"{lines:,} line{'s' if lines > 1 else ''}, {self.size(text)}"
            words, number = f"[pasted {counted}]", 1
            while words in self._texts:
                number += 1
                words = f"[pasted {counted}, no. {number}]"
            self._texts[words], self._words[text] = text, words
        return self._words[text]

    def whole(self, line: str) -> str:
        """Put the texts back in the place of the words."""
        return _MARK.sub(lambda found: self._texts.get(found[0], found[0]), line)

    def folded(self, line: str) -> str:
        """Put the words in the place of the texts."""
        for text, words in self._words.items():
            line = line.replace(text, words)
        return line

    def before(self, line: str) -> str:
        """Give the words that a line ends with, if they stand for a text; else nothing."""
        if not line.endswith("]"):
            return ""
        words = line[line.rfind("[pasted ") :]
        return words if words in self._texts else ""
