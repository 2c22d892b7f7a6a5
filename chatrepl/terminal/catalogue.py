"""What `chatrepl models` shows: models, and what is known of each."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.tokens import encoding_for
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from rich.table import Table

_ROOMY = 80  # columns
_HEAD = ("model", "window", "largest reply", "$/M prompt", "$/M reply", "encoding")


def show(cards: Iterable[ModelCard], screen: Screen) -> None:
    """Print a table, or into a pipe a line for each model, with tabs between."""
    cards = list(cards)
    if not screen.on_terminal:
        print("\n".join(clean("\t".join(_fields(card))) for card in cards))
        return
    rows = [_row(card) for card in cards]
    from rich.text import Text  # noqa: PLC0415

    if screen.accessible:
        for name, *facts in rows:
            told = zip(_HEAD[1:], facts, strict=True)
            known = ", ".join(f"{title} {fact}" for title, fact in told if fact != "–")
            screen.out.print(Text(f"{name}: {known}"))
    elif screen.out.width < _ROOMY:
        for name, *facts in rows:
            words = [f"{title} {fact}" for title, fact in zip(_HEAD[1:], facts, strict=True)]
            screen.out.print(Text(name, style="name"), Text(", ".join(words)), sep="\n")
    else:
        screen.out.print(_table(rows))
    if any(cell.endswith("?") for row in rows for cell in row):
        screen.notice("? is assumed: the window is not known")


def _table(rows: Iterable[tuple[str, ...]]) -> "Table":
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="faint", pad_edge=False)
    for title in _HEAD:
        left = title in {"model", "encoding"}
        table.add_column(title, justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _fields(card: ModelCard) -> tuple[str, ...]:
    """Give what is known for a program to read: plain numbers, and nothing for what is not."""
    return (
        card.name,
        str(card.context_window) if card.window_known else "",
        str(card.max_output or ""),
        card.prices.get("prompt", ""),
        card.prices.get("completion", ""),
        _encoding(card)[0],
    )


def _row(card: ModelCard) -> tuple[str, ...]:
    encoding, exact = _encoding(card)
    return (
        clean(card.name),
        f"{card.context_window:,}{'' if card.window_known else '?'}",
        f"{card.max_output:,}" if card.max_output else "–",
        card.prices.get("prompt", "–"),
        card.prices.get("completion", "–"),
        encoding if exact else f"≈ {encoding}",
    )


def _encoding(card: ModelCard) -> tuple[str, bool]:
    return (card.encoding, True) if card.encoding else encoding_for(card.name)


def as_dicts(cards: Iterable[ModelCard]) -> list[dict[str, Any]]:
    """Give models as JSON objects; what is not known is null."""
    models = []
    for card in cards:
        encoding, exact = _encoding(card)
        models.append(
            {
                "id": card.name,
                "context_window": card.context_window if card.window_known else None,
                "max_output": card.max_output,
                "prices": dict(card.prices) or None,
                "encoding": encoding,
                "counted": "exact" if exact else "estimate",
            }
        )
    return models
