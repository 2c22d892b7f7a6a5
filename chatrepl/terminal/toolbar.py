"""The line below the prompt: who answers, how full the window is, what the session has cost."""

from prompt_toolkit.utils import get_cwidth

from chatrepl.chat.costs import Total
from chatrepl.terminal.gauge import Reading


def toolbar(  # noqa: PLR0913 - what it shows
    model: str,
    reading: Reading | None,
    window: int,
    width: int,
    *,
    unsaved: bool = False,
    cost: str = "",
) -> str:
    """Give the toolbar's text, never wider than the screen; `reading` is None while unknown.

    What the session has cost is the first to go where there is no room.

    >>> toolbar("gpt-4", Reading(1204, "", 0.0, True), 8192, 80)
    ' gpt-4 · 1,204 of 8,192 tokens'
    >>> toolbar("gpt-4", Reading(1204, "", 0.25, True), 8192, 80)
    ' gpt-4 · 1,204 of 8,192 tokens · 25 % left out'
    >>> toolbar("gpt-4", Reading(1204, "", 0.0, True), 8192, 80, cost="$0.0123")
    ' gpt-4 · 1,204 of 8,192 tokens · $0.0123'
    >>> toolbar("a-model-with-a-long-name", Reading(1204, "≈", 0.0, True), 131072, 30)
    ' a-model-wit… · ≈1,204/131,072'
    """
    room = width - 1
    count = f"{reading.about}{reading.tokens:,}" if reading else "…"
    said = _said(reading) + (" · unsaved" if unsaved else "")
    forms = [f"{count} of {window:,} tokens{said}", f"{count}/{window:,}{said}"]
    if cost:
        forms = [*(f"{form} · {cost}" for form in forms), *forms]
    if said:
        forms.append(f"{count}/{window:,}")
    for form in forms:
        if get_cwidth(model) + 3 + len(form) <= room:
            return f" {model} · {form}"
    shortest = forms[-1]
    left = room - len(shortest) - 4
    return f" {shortened(model, left)}… · {shortest}" if left > 0 else f" {shortest}"[:width]


def cost_of(total: Total) -> str:
    """Give what the toolbar says of a session's cost: nothing where all was free.

    >>> from decimal import Decimal
    >>> cost_of(Total(1)), cost_of(Total(1, unpriced=1)), cost_of(Total(2, unpriced=1))
    ('', 'cost unknown', 'cost unknown')
    >>> cost_of(Total(2, cost=Decimal("0.25"))), cost_of(Total(2, cost=Decimal(1), unpriced=1))
    ('$0.25', '$1.00 + ?')
    """
    if total.cost:
        return total.written
    return "cost unknown" if total.unpriced else ""


def shortened(text: str, columns: int) -> str:
    """Cut a text so that it is no wider than some columns.

    >>> shortened("模型-7b", 5)
    '模型-'
    """
    while get_cwidth(text) > max(0, columns):
        text = text[:-1]
    return text


def _said(reading: Reading | None) -> str:
    if reading is None:
        return ""
    if not reading.fits:
        return " · does not fit"
    # Never "0 %" of something, and never "100 %" while the message itself is sent.
    share = min(99, max(1, round(100 * reading.share)))
    return f" · {share} % {reading.fate}" if reading.share else ""
