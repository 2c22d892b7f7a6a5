"""What an image costs in tokens, by the rules that OpenAI publishes.

They stand in the guide "Images and vision" (developers.openai.com/api/docs/guides/images-vision,
"Model sizing behavior" and "Calculating costs"), here as of September 2026. Older models cost a
base and so much for each tile of 512 pixels, newer ones so much for each patch of 32 pixels. The
factor 1.2 of the newest stands in no table of the guide: users have found it in their bills.
"""

import math
import re
from typing import Literal, NamedTuple

Detail = Literal["low", "high"]
"""How well the model looks. "high" has a bounded cost with every model, "original" has not."""

_SQUARE, _SHORT_SIDE, _TILE, _PATCH = 2048, 768, 512, 32  # pixels


class _Tiles(NamedTuple):
    """Tokens of the base, which is all that "low" costs, and of each tile."""

    base: int
    tile: int


class _Patches(NamedTuple):
    """How many patches an image may have, and the tokens of each."""

    most: int
    factor: float


# The first that begins a name. The last is for OpenAI's newest and, for want of better, for
# everybody else's: most of them take less.
_RULES = (
    (r"gpt-4o-mini", _Tiles(2_833, 5_667)),
    (r"gpt-(4\.1|5|5\.4)-mini", _Patches(1_536, 1.62)),
    (r"gpt-(4\.1|5|5\.4)-nano", _Patches(1_536, 2.46)),
    (r"o4-mini|codex-mini", _Patches(1_536, 1.72)),
    (r"gpt-5(\.\d)?-codex|gpt-5\.[23]", _Patches(1_536, 1.2)),
    (r"gpt-5(\.1)?(-|$)", _Tiles(70, 140)),
    (r"(chat)?gpt-4(o|\.1|\.5|-turbo|-vision)", _Tiles(85, 170)),
    (r"o[13]", _Tiles(75, 150)),
    (r"", _Patches(2_500, 1.2)),
)
_DEAREST = _Tiles(2_833, 5_667)

_BLIND = re.compile(r"gpt-3|gpt-4(-32k)?(-0314|-0613)?$|o1-(mini|preview)|o3-mini|gpt-oss")


def takes_images(model: str) -> bool:
    """Tell whether a model may take images: False only where it is known that it does not.

    >>> takes_images("gpt-4"), takes_images("gpt-4o"), takes_images("whoever")
    (False, True, True)
    """
    return _BLIND.match(model) is None


def image_tokens(model: str, width: int, height: int, detail: Detail = "high") -> int:
    """Give the tokens of an image of so many pixels; of a model that is none of OpenAI's a guess.

    >>> image_tokens("gpt-4o", 1024, 1024), image_tokens("gpt-4o", 2048, 4096)
    (765, 1105)
    >>> image_tokens("gpt-5-mini", 1024, 1024), image_tokens("gpt-5-mini", 1800, 2400)
    (1659, 2353)
    """
    rule = next(rule for name, rule in _RULES if re.match(name, model))
    if isinstance(rule, _Tiles):
        return rule.base + (rule.tile * _tiles(width, height) if detail == "high" else 0)
    patches = _patches(width, height, rule.most) if detail == "high" else (512 // _PATCH) ** 2
    return math.ceil(patches * rule.factor)


def most_tokens(width: int, height: int) -> int:
    """Give what an image costs at most, whichever of the rules holds."""
    return _DEAREST.base + _DEAREST.tile * _tiles(width, height)


def _tiles(width: int, height: int) -> int:
    """Count the tiles of an image that is made to fit a square, and then its short side."""
    shrunk = min(1.0, _SQUARE / max(width, height))
    shrunk *= min(1.0, _SHORT_SIDE / (min(width, height) * shrunk))
    return _count(width * shrunk, _TILE) * _count(height * shrunk, _TILE)


def _patches(width: int, height: int, most: int) -> int:
    """Count the patches of an image that is made to fit a square, and then so many patches."""
    shrunk = min(1.0, _SQUARE / max(width, height))
    across, down = width * shrunk, height * shrunk
    if _count(across, _PATCH) * _count(down, _PATCH) > most:
        shrunk = math.sqrt(most * _PATCH**2 / (across * down))
        across, down = across * shrunk / _PATCH, down * shrunk / _PATCH
        whole = [math.floor(side) / side for side in (across, down) if side >= 1]
        shrunk = min(whole, default=1.0)  # so that one side is of whole patches
        across, down = across * shrunk * _PATCH, down * shrunk * _PATCH
    return min(most, _count(across, _PATCH) * _count(down, _PATCH))


def _count(side: float, unit: int) -> int:
    return max(1, math.ceil(side / unit - 1e-9))
