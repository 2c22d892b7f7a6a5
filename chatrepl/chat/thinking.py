"""Thoughts that a model writes into its reply: `<think>…</think>` at its very head.

Servers that know of it send them apart (`reasoning_content`, `reasoning`); one that does not
(llama.cpp without --reasoning-format, Ollama without think) leaves the tags of DeepSeek-R1 and
Qwen3 in the text.

A template may put the opening tag into the prompt, so that a reply has only the closing one. Its
thoughts are taken as text: while they come nothing tells them from a reply, which may speak of
`</think>` too, and what is on the screen can't be taken back.
"""

from collections.abc import Iterator

from chatrepl.chat.events import Event, Finished, ReasoningDelta, TextDelta, UsageReport
from chatrepl.errors import ChatreplError

OPENING, CLOSING = "<think>", "</think>"

Piece = ReasoningDelta | TextDelta


class ThoughtSplitter:
    """Takes a reply piece by piece and tells its thoughts from its text.

    Any split into pieces gives the same thoughts and the same text. Blanks around the thoughts
    and blank lines between them and the text belong to neither. Thoughts that are never closed
    are thoughts to the end.
    """

    def __init__(self) -> None:
        self._held = ""  # what can't be told yet
        self._place = "head"  # then "thoughts", "gap", "text"
        self._begun = False  # whether a thought has been given

    def feed(self, piece: str) -> Iterator[Piece]:
        """Take a piece and give what is known of it so far."""
        self._held += piece
        if self._place == "head":
            self._read_head()
        if self._place == "thoughts":
            yield from self._read_thoughts()
        if self._place == "gap":
            self._read_gap()
        if self._place == "text" and self._held:
            text, self._held = self._held, ""
            yield TextDelta(text)

    def flush(self) -> Iterator[Piece]:
        """Give what was held back in case it became a tag: the reply has ended."""
        held, self._held = self._held, ""
        if self._place == "head" and held:
            yield TextDelta(held)
        elif self._place == "thoughts" and held.strip():
            yield ReasoningDelta(held.rstrip())

    def _read_head(self) -> None:
        head = self._held.lstrip()
        if head.startswith(OPENING):
            self._place, self._held = "thoughts", head.removeprefix(OPENING)
        elif not OPENING.startswith(head):
            self._place = "text"

    def _read_thoughts(self) -> Iterator[Piece]:
        """Give thoughts, less what may be the beginning of their end."""
        if not self._begun:
            self._held = self._held.lstrip()
        thoughts, closing, rest = self._held.partition(CLOSING)
        end = len(thoughts) if closing else len(thoughts) - _overlap(thoughts)
        known = thoughts[:end].rstrip()
        if closing:
            self._place, self._held = "gap", rest
        else:
            self._held = thoughts[len(known) :]
        if known:
            self._begun = True
            yield ReasoningDelta(known)

    def _read_gap(self) -> None:
        """Leave out blank lines, and not the indentation of the first line that is none."""
        blanks = len(self._held) - len(self._held.lstrip())
        if blanks < len(self._held):
            self._place = "text"
            self._held = self._held[self._held.rfind("\n", 0, blanks) + 1 :]


def _overlap(text: str) -> int:
    """Count the characters at the end of a text with which the closing tag may begin."""
    sizes = range(min(len(text), len(CLOSING) - 1), 0, -1)
    return next((size for size in sizes if CLOSING.startswith(text[-size:])), 0)


def thoughts_apart(events: Iterator[Event]) -> Iterator[Event]:
    """Give a provider's events with the thoughts in a reply's text as what they are."""
    splitter = ThoughtSplitter()
    try:
        for event in events:
            if isinstance(event, TextDelta):
                yield from splitter.feed(event.text)
                continue
            if isinstance(event, UsageReport | Finished):
                yield from splitter.flush()
            yield event
    except ChatreplError:
        yield from splitter.flush()
        raise
