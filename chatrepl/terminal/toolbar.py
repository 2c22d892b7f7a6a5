"""The line below the prompt: who answers, and how full the window is."""


def toolbar(model: str, count: str, window: int, width: int) -> str:
    """Give the toolbar's text, never wider than the screen; `count` is empty while unknown.

    >>> toolbar("gpt-4", "1,204", 8192, 80)
    ' gpt-4 · 1,204 of 8,192 tokens'
    >>> toolbar("a-model-with-a-long-name", "≈1,204", 131072, 30)
    ' a-model-wit… · ≈1,204/131,072'
    """
    room = width - 1
    full = f"{count or '…'} of {window:,} tokens"
    short = f"{count or '…'}/{window:,}"
    for size in (full, short):
        if len(model) + 3 + len(size) <= room:
            return f" {model} · {size}"
    left = room - len(short) - 4
    return f" {model[:left]}… · {short}" if left > 0 else f" {short}"[:width]
