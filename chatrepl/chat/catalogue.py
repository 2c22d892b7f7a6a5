"""ModelCard: what is known of a model, and from where.

Context windows come from the package genai-prices, under the corrections below, under the
server's own word (`Served`), under the user's own `[models."NAME"]`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chatrepl.chat.images import takes_images

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

DEFAULT_MODEL = "gpt-6-luna"
"""A current small model that the openai package 3.54 does not announce for shutdown."""

ASSUMED_WINDOW = 4_096
"""What an unknown model is taken to have, in tokens: the smallest window any chat model had."""

LARGEST_DEFAULT_REPLY = 4_096

# genai-prices 0.2.3 has no window for gpt-3.5-turbo-0301, gives the 16k window of later versions
# for -0613, and 32,000 for gpt-4-32k. The numbers are those of the API's model list. Azure's plain
# "gpt-35-turbo" may be either of the 4k versions, so the smaller window is the safe one. The
# default model is here so that its first request need not wait 0.2 s for the package.
_CORRECTED_WINDOWS = {
    DEFAULT_MODEL: 1_050_000,
    "gpt-3.5-turbo-0301": 4_096,
    "gpt-3.5-turbo-0613": 4_096,
    "gpt-35-turbo": 4_096,
    "gpt-35-turbo-0301": 4_096,
    "gpt-35-turbo-0613": 4_096,
    "gpt-35-turbo-16k": 16_384,
    "gpt-4": 8_192,
    "gpt-4-0314": 8_192,
    "gpt-4-0613": 8_192,
    "gpt-4-32k": 32_768,
    "gpt-4-32k-0314": 32_768,
    "gpt-4-32k-0613": 32_768,
}

# The largest replies, which genai-prices does not have, from the API's model pages.
_LARGEST_REPLIES = {
    **dict.fromkeys(("gpt-3.5-turbo", "gpt-3.5-turbo-1106", "gpt-3.5-turbo-0125"), 4_096),
    **dict.fromkeys(("gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4o-2024-05-13"), 4_096),
    **dict.fromkeys(("gpt-4o", "gpt-4o-mini"), 16_384),
    **dict.fromkeys(("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"), 32_768),
    **dict.fromkeys(("o1", "o3", "o3-mini", "o4-mini"), 100_000),
    **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano"), 128_000),
}

# They answer 400 to max_tokens and to any temperature but 1; the -chat ones don't reason.
_REASONING = re.compile(r"^(ft:)?(o[1-9]\d*|gpt-([5-9]|[12]\d)(\.\d+)?)(?!.*-chat)(-|:|$)")
_NEW_NAMES = {"max_tokens": "max_completion_tokens"}
_REASONING_NAMES = {**_NEW_NAMES, "temperature": ""}


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of a model that it offers; None where it does not say.

    Sizes are in tokens, prices per million tokens in US dollars. `assumed` says that the window
    is the one that such a server gives when nobody tells it otherwise.
    """

    name: str
    context_window: int | None = None
    max_output: int | None = None
    prices: Mapping[str, str] = field(default_factory=dict)
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model.

    `context_window` and `max_output` are in tokens. `window_known` is False where the window is
    assumed; `ask_server` says that the server may know better. `encoding` is the user's choice of
    tiktoken encoding, or None for what tiktoken says of the model. `parameters` maps our parameter
    names to the server's; an empty name means that the parameter is not sent. Prices are per
    million tokens in US dollars, as the user set them or the server told, which `priced_by` says:
    "config" or "server". `takes_images` is False only where it is known that the model sees none.
    """

    name: str
    context_window: int
    window_known: bool = True
    ask_server: bool = False
    max_output: int | None = None
    encoding: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, str] = field(default_factory=dict)
    priced_by: str = ""
    takes_images: bool = True

    @property
    def thinks(self) -> bool:
        """Whether it is a reasoning model, whose max_tokens its thoughts use up too."""
        return self.parameters.get("temperature") == ""

    @property
    def default_max_tokens(self) -> int:
        """How many tokens a reply may have when nobody says: the rest is the prompt's."""
        largest = self.max_output or LARGEST_DEFAULT_REPLY
        return max(1, min(LARGEST_DEFAULT_REPLY, self.context_window // 4, largest))

    def as_sent(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Give parameters as the server has them: by its names, less what it gets none of."""
        given = {name: value for name, value in parameters.items() if value is not None}
        named = {self.parameters.get(name, name): value for name, value in given.items()}
        return {name: value for name, value in named.items() if name}

    def told(self, served: Served) -> "ModelCard":
        """Believe what the server says, but for what the user has set."""
        window = served.context_window if self.ask_server else None
        if window is not None and served.assumed:
            window = min(window, self.context_window)  # a refusal may have taught better
        return replace(
            self,
            context_window=window or self.context_window,
            window_known=(window is not None and not served.assumed) or self.window_known,
            max_output=self.max_output or served.max_output,
            prices=self.prices or served.prices,
            priced_by=self.priced_by or ("server" if served.prices else ""),
        )


def openai_name(model: str) -> str:
    """Give the name that OpenAI uses.

    Azure spells gpt-3.5-turbo as gpt-35-turbo, OpenRouter's names are "maker/model".

    >>> openai_name("gpt-35-turbo-16k"), openai_name("openai/gpt-4")
    ('gpt-3.5-turbo-16k', 'gpt-4')
    """
    return model.rpartition("/")[2].replace("gpt-35-turbo", "gpt-3.5-turbo", 1)


def card_for(  # noqa: PLR0913 - one keyword for each thing that a user can say of a model
    model: str,
    *,
    local: bool = False,
    context_window: int | None = None,
    max_output: int | None = None,
    encoding: str | None = None,
    parameters: Mapping[str, str] | None = None,
    prices: Mapping[str, str] | None = None,
) -> ModelCard:
    """Look a model up; what the keywords say goes before what is known.

    `local` says that a server on this machine runs it: only OpenAI's own models are then taken
    to have their published window, since local servers often give other models much less; and
    the server is asked.
    """
    known = context_window or known_window(model, maker="openai" if local else None)
    names: dict[str, str] = {}
    own_name = openai_name(model)
    if _REASONING.match(own_name):
        names = _REASONING_NAMES
    elif re.match(r"(ft:)?gpt-([5-9]|[12]\d)", own_name):  # the -chat ones
        names = _NEW_NAMES
    return ModelCard(
        name=model,
        context_window=known or ASSUMED_WINDOW,
        window_known=known is not None,
        ask_server=context_window is None and (known is None or local),
        max_output=max_output or _LARGEST_REPLIES.get(_base(own_name)),
        encoding=encoding,
        parameters={**names, **(parameters or {})},
        prices=prices or {},
        priced_by="config" if prices else "",
        takes_images=takes_images(_base(own_name)),
    )


def _base(model: str) -> str:
    """Give the model that a name means, without its maker and of a fine-tuned one its base."""
    return re.sub(r"^ft:([^:]+).*", r"\1", model.rpartition("/")[2])


def known_window(model: str, maker: str | None = None) -> int | None:
    """Give a model's context window in tokens, or None when nobody knows it.

    `maker` is genai-prices' name of the provider whose models are meant, or None for any.
    """
    base = _base(model)
    if base in _CORRECTED_WINDOWS:
        return _CORRECTED_WINDOWS[base]
    info = _info(base, maker)
    return info.context_window if info else None


def _info(model: str, maker: str | None = None) -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 0.2 s

    try:
        return get_snapshot().find_provider_model(openai_name(model), None, maker, None)[1]
    except LookupError:
        return None
