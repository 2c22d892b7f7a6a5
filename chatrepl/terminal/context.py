"""What `/context` shows: every message and where it stands, and the window as a bar."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message
from chatrepl.chat.previewing import fitted, nothing_fits
from chatrepl.chat.trimming import Window
from chatrepl.chat.turn import Chat
from chatrepl.terminal.attachments import outlined
from chatrepl.terminal.sanitize import clean

# The parts of the window in their order, each with a sign for terminals without colours.
_PARTS = {
    "system": "█",
    "note": "◆",
    "examples": "▓",
    "pins": "▒",
    "history": "░",
    "frame": "▔",
    "reply": "▁",
    "free": "·",
}
_ROOMY, _TIGHT = 60, 30  # columns
_FIRST_WORDS = 200  # characters; the table shows what there is room for

_MANY = 40
"""Messages from which on what stands alike is folded, a screen or two of them."""

_HEAD, _TAIL = 2, 6  # of what is folded, messages that are shown


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `number` is what `/context`, `/pin` and `/drop` take.

    One that stands for several messages is `folded`: that says which.
    """

    number: str
    message: Message
    tokens: int
    standing: str
    folded: str = ""

    @property
    def words(self) -> str:
        """How the message begins, in a line; or which messages this stands for."""
        said = replace(self.message, content=self.message.content[:_FIRST_WORDS])
        return self.folded or clean(" ".join(outlined(said).split()))

    @property
    def role(self) -> str:
        """Whose message it is; of several there is nothing to say."""
        return "" if self.folded else self.message.role


def rows(chat: Chat) -> list[Row]:
    """Give every message of a conversation with its tokens and where it stands."""
    talk = chat.conversation
    window = fitted(chat) or nothing_fits(chat)
    found = []
    numbers = iter(range(1, len(talk.messages) + 1))
    for message, standing in _standings(talk, window):
        number = "note" if standing == "note" else str(next(numbers))
        found.append(Row(number, message, chat.calibration.cost(message), standing))
    return found


def folded(lines: list[Row]) -> list[Row]:
    """Give the rows of a long table with one for the middle of many that stand alike."""
    if len(lines) <= _MANY:
        return lines
    short: list[Row] = []
    for standing, group in groupby(lines, key=lambda row: row.standing):
        alike = list(group)
        middle = alike[_HEAD:-_TAIL]
        if len(middle) > 1:
            words = f"… {len(middle):,} messages, {middle[0].number} to {middle[-1].number}"
            tokens = sum(row.tokens for row in middle)
            alike[_HEAD:-_TAIL] = [Row("", middle[0].message, tokens, standing, words)]
        short += alike
    return short


def _standings(talk: Conversation, window: Window) -> Iterator[tuple[Message, str]]:
    if talk.system:
        yield talk.system, "system"
    if talk.note:
        yield talk.note.message, "note"
    for message in talk.examples:
        yield message, "example"
    for index, exchange in enumerate(talk.exchanges):
        standing = window.standing(index)
        for message in exchange.messages:
            always = message.role == "system" and standing != "dropped"
            yield message, "system" if always else standing


def table(chat: Chat, width: int, lines: list[Row] | None = None) -> RenderableType:
    """Give the table of messages and the bar below it, at most `width` columns wide.

    `lines` are its rows, if they are not to be all.
    """
    lines = rows(chat) if lines is None else lines
    about = chat.calibration.about
    gap = 2 if width >= _ROOMY else 1
    grid = Table.grid(padding=(0, gap, 0, 0))
    others = [(row.number, row.role, f"{about}{row.tokens:,}", row.standing) for row in lines]
    taken = sum(max(map(len, cells)) for cells in zip(*others, strict=True)) if others else 0
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(1, width - taken - 4 * gap))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    for row, (number, role, tokens, standing) in zip(lines, others, strict=True):
        style = "faint" if standing in {"left out", "dropped", "in the note"} else ""
        cells = (number, role, row.words, tokens, standing)
        grid.add_row(*(Text(cell, style=style) for cell in cells))
    return Group(grid, Text(), _bar(chat, lines, width))


def in_lines(chat: Chat, lines: list[Row]) -> Iterator[str]:
    """Give the same as sentences, for a screen reader."""
    about = chat.calibration.about
    for row in lines:
        who = row.folded.removeprefix("… ") or f"{row.number}, {row.role}"
        words = f": {row.words}" if row.words and not row.folded else ""
        yield f"{who}, {row.standing}, {about}{row.tokens:,} tokens{words}"
    parts = (f"{name} {size:,}" for name, size in _sizes(chat, lines).items() if size)
    yield f"A window of {chat.card.context_window:,} tokens: {', '.join(parts)}."


def _sizes(chat: Chat, lines: list[Row]) -> dict[str, int]:
    """Give how large the parts of the window are, in tokens."""
    of_standing = {"system": "system", "note": "note", "example": "examples", "pinned": "pins"}
    sizes = dict.fromkeys(_PARTS, 0)
    for row in lines:
        if row.standing in {*of_standing, "sent"}:
            sizes[of_standing.get(row.standing, "history")] += row.tokens
    sizes["reply"] = chat.max_tokens
    sizes["frame"] = chat.calibration.overhead
    sizes["free"] = max(0, chat.card.context_window - sum(sizes.values()))
    return sizes


def _bar(chat: Chat, lines: list[Row], width: int) -> RenderableType:
    window, sizes = chat.card.context_window, _sizes(chat, lines)
    bar = Text(no_wrap=True, overflow="crop")
    legend = Table.grid(padding=(0, 2, 0, 0))
    legend.add_column()
    legend.add_column(justify="right")
    for name, columns in _shares(sizes, min(width, 80)).items():
        sign, style = _PARTS[name], f"context.{name}"
        bar.append(sign * columns, style=style)
        about = chat.calibration.about if name != "reply" else ""
        legend.add_row(Text(f"{sign} {name}", style=style), Text(f"{about}{sizes[name]:,}"))
    unit = " tokens" if width >= _TIGHT else ""
    legend.add_row(Text("  window"), Text(f"{window:,}{unit}"))
    return Group(bar, legend)


def _shares(sizes: dict[str, int], width: int) -> dict[str, int]:
    """Divide the bar among the parts that there are: a column each at least.

    >>> _shares({"system": 1, "history": 500, "free": 499, "note": 0}, 20)
    {'system': 1, 'history': 9, 'free': 10}
    """
    total = sum(sizes.values())
    shares = {name: max(1, round(width * size / total)) for name, size in sizes.items() if size}
    largest = max(shares, key=shares.__getitem__)
    shares[largest] += width - sum(shares.values())
    return shares
