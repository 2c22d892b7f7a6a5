"""Long texts in the prompt: each stands there as a few words, and is sent whole."""

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments

_LONG = 2_000
"""Characters of a text that is folded when it has more."""

_LINES = 40
"""Lines of a text that is folded when it has more."""

_HUGE = 10 * _LONG
"""Characters of a line that is folded although nobody pasted it: each key would lay it out."""

_FIRST = 0x100000  # of the last private-use plane, which no text has
_MARK = re.compile(r"[\U00100000-\U0010FFFD]")


class Folds:
    """The long texts of a run. In the line, one character stands for each: its mark.

    So no key can cut a text in two. `size` says in a few words how much a text is.

    >>> folds = Folds()
    >>> mark = folds.fold("x = 1" + chr(10) + "y" * 2500)
    >>> len(mark), folds.words(mark)
    (1, '[pasted 2 lines, 2,506 characters]')
    >>> len(folds.whole("Why is this slow? " + mark))
    2524
    """

    def __init__(self) -> None:
        self.size: Callable[[str], str] = lambda text: f"{len(text):,} characters"
        self._texts: list[tuple[str, str]] = []  # each with its words, in the order of the marks
        self._pasted: dict[str, str] = {}  # marks by their texts
        self._others: dict[str, str] = {}

    def fold(self, text: str, *, pasted: bool = True) -> str:
        """Give the mark that stands for a text, or the text itself if it is short."""
        if not _is_long(text):
            return text
        marks = self._pasted if pasted else self._others
        if text not in marks:
            lines = text.rstrip("\n").count("\n") + 1
            counted = f"{lines:,} line{'s' if lines > 1 else ''}, {self.size(text)}"
            self._texts.append((text, f"[pasted {counted}]" if pasted else f"[{counted}]"))
            marks[text] = chr(_FIRST + len(self._texts) - 1)
        return marks[text]

    def fold_line(self, line: str) -> str:
        """Fold a line that comes back: what was pasted, and if it is still long, all but its head.

        That is its first line, so that the words which go before a log can be seen and searched.
        """
        line = self.folded(line)
        if not _is_long(line):
            return line
        end = line.find("\n")
        if 0 <= end <= _LONG:
            return line[: end + 1] + self.fold(line[end + 1 :], pasted=False)
        return self.fold(line, pasted=False) if len(line) > _HUGE else line

    def folded(self, line: str) -> str:
        """Put marks in the place of the texts that were pasted."""
        for text, mark in self._pasted.items():
            line = line.replace(text, mark)
        return line

    def whole(self, line: str) -> str:
        """Put the texts back in the place of their marks."""
        return _MARK.sub(lambda found: self._of(found[0])[0], line)

    def words(self, mark: str) -> str:
        """Give the words that are shown for a character: itself, if it is no mark."""
        return self._of(mark)[1]

    @staticmethod
    def last(line: str) -> int:
        """Give the place of the last mark in a line, or -1."""
        return max((found.start() for found in _MARK.finditer(line)), default=-1)

    def _of(self, mark: str) -> tuple[str, str]:
        number = ord(mark) - _FIRST
        return self._texts[number] if 0 <= number < len(self._texts) else (mark, mark)


def _is_long(text: str) -> bool:
    return len(text) > _LONG or text.rstrip("\n").count("\n") >= _LINES


class ShowWords(Processor):
    """Has the prompt draw the words of a fold where its mark stands."""

    def __init__(self, folds: Folds) -> None:
        self._folds = folds

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Give a line as it is drawn, and where each of its characters is in it."""
        fragments = transformation_input.fragments
        if not _MARK.search(fragment_list_to_text(fragments)):
            return Transformation(fragments)
        shown = [
            (style, self._folds.words(text))
            for style, text, *_ in explode_text_fragments(fragments)
        ]
        places = [0, *accumulate(len(text) for _, text in shown)]

        def to_display(place: int) -> int:
            beyond = place - len(shown)
            return places[-1] + beyond if beyond > 0 else places[place]

        return Transformation(
            list(shown),
            source_to_display=to_display,
            display_to_source=lambda place: bisect_right(places, place) - 1,
        )
