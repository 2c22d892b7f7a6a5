"""What an image costs: the examples of the published rules, and a bound over them all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.images import Detail, image_tokens, most_tokens, takes_images

# The worked examples of the guide "Images and vision", and their like for the other models.
EXAMPLES = [
    ("gpt-4o", 1024, 1024, "high", 765),
    ("gpt-4o", 2048, 4096, "high", 1105),
    ("gpt-4o", 4096, 8192, "low", 85),
    ("gpt-4o", 128, 64, "high", 255),
    ("gpt-4o-2024-11-20", 1024, 1024, "high", 765),
    ("chatgpt-4o-latest", 1024, 1024, "high", 765),
    ("gpt-4-turbo", 1024, 1024, "high", 765),
    ("gpt-4.1", 1024, 1024, "high", 765),
    ("gpt-4o-mini", 1024, 1024, "high", 2_833 + 4 * 5_667),
    ("gpt-4o-mini", 128, 64, "high", 8_500),
    ("gpt-4o-mini", 128, 64, "low", 2_833),
    ("o1", 1024, 1024, "high", 75 + 4 * 150),
    ("o3", 128, 64, "high", 225),
    ("gpt-5", 1024, 1024, "high", 70 + 4 * 140),
    ("gpt-5-chat-latest", 1024, 1024, "low", 70),
    ("gpt-4.1-mini", 1024, 1024, "high", 1_659),
    ("gpt-5-mini", 1800, 2400, "high", 2_353),  # 1,452 patches
    ("gpt-4.1-nano", 1024, 1024, "high", 2_520),
    ("gpt-5-nano-2025-08-07", 1800, 2400, "high", 3_572),
    ("o4-mini", 1024, 1024, "high", 1_762),
    ("gpt-5.2", 1024, 1024, "high", 1_229),
    ("gpt-5.2", 1800, 2400, "high", 1_743),
    ("gpt-5.5", 1800, 2400, "high", 2_942),  # as many as 2,500 patches
    ("gpt-6-luna", 1024, 1024, "high", 1_229),
    ("gpt-6-luna", 10_000, 10_000, "low", 308),
    ("llava", 1024, 1024, "high", 1_229),
]


@pytest.mark.parametrize(("model", "width", "height", "detail", "tokens"), EXAMPLES)
def test_what_an_image_costs(
    model: str, width: int, height: int, detail: Detail, tokens: int
) -> None:
    assert image_tokens(model, width, height, detail) == tokens
    assert image_tokens(model, height, width, detail) == tokens


SIDES = st.integers(1, 300) | st.integers(1, 40_000)
MODELS = st.sampled_from(sorted({model for model, *_ in EXAMPLES}))


@given(model=MODELS, width=SIDES, height=SIDES)
def test_no_image_costs_more_than_its_most(model: str, width: int, height: int) -> None:
    low, high = (image_tokens(model, width, height, detail) for detail in ("low", "high"))
    assert 0 < high <= most_tokens(width, height) <= 50_000
    assert 0 < low <= most_tokens(width, height)


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("gpt-3.5-turbo", False),
        ("gpt-35-turbo", False),
        ("gpt-4", False),
        ("gpt-4-0613", False),
        ("gpt-4-32k", False),
        ("openai/gpt-4", False),
        ("o1-mini", False),
        ("o3-mini-2025-01-31", False),
        ("gpt-oss-20b", False),
        ("gpt-4-turbo", True),
        ("gpt-4-vision-preview", True),
        ("gpt-4o", True),
        ("o1", True),
        ("o3", True),
        ("gpt-6-luna", True),
        ("our-deployment", True),
    ],
)
def test_which_models_are_known_to_take_no_images(model: str, takes: bool) -> None:
    assert card_for(model).takes_images is takes
    assert takes_images("ft:gpt-3.5-turbo:us::x"[3:]) is False
