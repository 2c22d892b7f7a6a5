"""The line below the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.terminal.toolbar import toolbar


@pytest.mark.parametrize(
    ("model", "count", "window", "width", "shown"),
    [
        ("gpt-4", "1,204", 8_192, 80, " gpt-4 · 1,204 of 8,192 tokens"),
        ("gpt-4", "≈1,204", 131_072, 80, " gpt-4 · ≈1,204 of 131,072 tokens"),
        ("gpt-4", "", 8_192, 80, " gpt-4 · … of 8,192 tokens"),
        ("gpt-4", "1,204", 8_192, 31, " gpt-4 · 1,204 of 8,192 tokens"),
        ("gpt-4", "1,204", 8_192, 30, " gpt-4 · 1,204 of 8,192 tokens"),
        ("gpt-4", "1,204", 8_192, 29, " gpt-4 · 1,204/8,192"),
        ("gpt-4", "1,204", 8_192, 20, " gpt-4 · 1,204/8,192"),
        ("gpt-4", "1,204", 8_192, 19, " gpt… · 1,204/8,192"),
        ("gpt-4", "1,204", 8_192, 16, " 1,204/8,192"),
        ("gpt-4", "1,204", 8_192, 5, " 1,20"),
        ("gpt-4", "1,204", 8_192, 0, ""),
    ],
)
def test_the_toolbar_says_what_it_has_room_for(
    model: str, count: str, window: int, width: int, shown: str
) -> None:
    assert toolbar(model, count, window, width) == shown


@given(
    st.text("abc-4", min_size=1, max_size=60),
    st.sampled_from(["", "3", "≈12,345", "1,234,567"]),
    st.integers(1, 10**9),
    st.integers(0, 120),
)
def test_the_toolbar_is_never_wider_than_the_screen(
    model: str, count: str, window: int, width: int
) -> None:
    assert len(toolbar(model, count, window, width)) <= width
