"""The line below the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.terminal.gauge import Reading
from chatrepl.terminal.toolbar import toolbar


def reading(about: str = "", left_out: float = 0.0, *, fits: bool = True) -> Reading:
    return Reading(1_204, about, left_out, fits)


@pytest.mark.parametrize(
    ("read", "width", "shown"),
    [
        (reading(), 80, " gpt-4 · 1,204 of 8,192 tokens"),
        (reading("≈"), 80, " gpt-4 · ≈1,204 of 8,192 tokens"),
        (None, 80, " gpt-4 · … of 8,192 tokens"),
        (reading(), 30, " gpt-4 · 1,204 of 8,192 tokens"),
        (reading(), 29, " gpt-4 · 1,204/8,192"),
        (reading(), 20, " gpt-4 · 1,204/8,192"),
        (reading(), 19, " gpt… · 1,204/8,192"),
        (reading(), 16, " 1,204/8,192"),
        (reading(), 5, " 1,20"),
        (reading(), 0, ""),
        (reading(left_out=0.25), 80, " gpt-4 · 1,204 of 8,192 tokens · 25 % left out"),
        (reading("≈", 0.25), 80, " gpt-4 · ≈1,204 of 8,192 tokens · 25 % left out"),
        (reading(left_out=0.25), 40, " gpt-4 · 1,204/8,192 · 25 % left out"),
        (reading(left_out=0.25), 30, " gpt-4 · 1,204/8,192"),
        (reading(fits=False), 80, " gpt-4 · 1,204 of 8,192 tokens · does not fit"),
        (reading(fits=False), 40, " gpt-4 · 1,204/8,192 · does not fit"),
    ],
)
def test_the_toolbar_says_what_it_has_room_for(
    read: Reading | None, width: int, shown: str
) -> None:
    assert toolbar("gpt-4", read, 8_192, width) == shown


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, " gpt-4 · 1,204 of 8,192 tokens · 25 % left out · $0.0123"),
        (50, " gpt-4 · 1,204/8,192 · 25 % left out · $0.0123"),
        (40, " gpt-4 · 1,204/8,192 · 25 % left out"),
    ],
)
def test_the_cost_goes_before_anything_else_does(width: int, shown: str) -> None:
    assert toolbar("gpt-4", reading(left_out=0.25), 8_192, width, cost="$0.0123") == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0001, "1 %"), (0.004, "1 %"), (0.016, "2 %"), (0.5, "50 %"), (0.9999, "99 %")],
)
def test_a_share_is_never_said_to_be_nothing_or_all(share: float, shown: str) -> None:
    assert toolbar("gpt-4", reading(left_out=share), 8_192, 80).endswith(f" · {shown} left out")


readings = st.builds(
    Reading, st.integers(0, 10**9), st.sampled_from(["", "≈"]), st.floats(0, 1), st.booleans()
)


@given(
    st.text("abc-4", min_size=1, max_size=60),
    st.none() | readings,
    st.integers(1, 10**9),
    st.integers(1, 200),
)
def test_the_toolbar_is_never_wider_than_the_screen(
    model: str, read: Reading | None, window: int, width: int
) -> None:
    text = toolbar(model, read, window, width)
    assert len(text) <= width
    assert "\n" not in text


@given(st.none() | readings, st.integers(1, 10**9), st.integers(32, 200))
def test_the_numbers_are_cut_only_when_nothing_else_is_left(
    read: Reading | None, window: int, width: int
) -> None:
    count = f"{read.about}{read.tokens:,}" if read else "…"
    text = toolbar("a-model-with-a-long-name", read, window, width)
    assert f"{count} of {window:,}" in text or f"{count}/{window:,}" in text
