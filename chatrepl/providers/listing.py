"""What servers say of their models, each in its own way.

OpenAI lists names only. llama.cpp adds `meta.n_ctx`, vLLM `max_model_len`, Groq `context_window`,
OpenRouter and Together `context_length`; Ollama tells when it is asked at its own addresses.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from chatrepl.chat.catalogue import ASSUMED_WINDOW, Served


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Top(msgspec.Struct):
    context_length: int | None = None
    max_completion_tokens: int | None = None


class _Pricing(msgspec.Struct):
    prompt: str | float | None = None
    input_cache_read: str | float | None = None
    completion: str | float | None = None


class _Entry(msgspec.Struct):
    """A model in a listing; the rest of what servers write there is passed over."""

    id: str
    aliases: list[str] | None = None
    meta: _Meta | None = None
    max_model_len: int | None = None
    context_window: int | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    top_provider: _Top | None = None
    pricing: _Pricing | None = None


class _Shown(msgspec.Struct):
    parameters: str | None = None
    model_info: dict[str, Any] = {}


class _Running(msgspec.Struct):
    name: str
    context_length: int | None = None


class _AllRunning(msgspec.Struct):
    models: list[_Running] = []


def read_listing(answer: object) -> Iterator[Served]:
    """Read the answer to GET /models; an entry that can't be read is passed over."""
    data = answer.get("data") if isinstance(answer, dict) else answer  # Together: an array
    for entry in data if isinstance(data, list) else []:
        try:
            model = msgspec.convert(entry, _Entry)
        except msgspec.ValidationError:
            continue
        top = model.top_provider or _Top()
        meta = model.meta or _Meta()
        said = (top.context_length, model.max_model_len, model.context_window)
        window = _first_size(*said, model.context_length, meta.n_ctx)
        largest = _first_size(top.max_completion_tokens, model.max_completion_tokens)
        prices = _prices(model.pricing) if model.pricing else {}
        for name in dict.fromkeys([model.id, *(model.aliases or [])]):
            yield Served(name, window, largest, prices)


def find(model: str, served: Sequence[Served]) -> Served | None:
    """Find a model in a listing, as the server would.

    Ollama takes a name without its tag; llama.cpp serves one model and takes any name for it.
    """
    by_name = {one.name: one for one in served}
    if found := by_name.get(model) or by_name.get(f"{model}:latest"):
        return found
    windows = {one.context_window for one in served}  # one, if it is one model and its aliases
    window = windows.pop() if len(windows) == 1 else None
    return Served(served[0].name, window) if window else None


def read_ollama(model: str, shown: object, running: object) -> Served | None:
    """Read Ollama's answers to POST /api/show and GET /api/ps; None if they are none of Ollama's.

    The window is the one that the model runs with just now, or `num_ctx` of its parameters. Else
    it is Ollama's own choice, 4,096 at least: what is longer it cuts without a word.
    """
    try:
        about = msgspec.convert(shown, _Shown)
        now = msgspec.convert(running, _AllRunning).models
    except msgspec.ValidationError:
        return None
    for one in now:
        window = _first_size(one.context_length)
        if one.name in {model, f"{model}:latest"} and window:
            return Served(model, window)
    lengths = (about.model_info[key] for key in about.model_info if key.endswith(".context_length"))
    largest = _first_size(*lengths)
    set_to = re.search(r"^num_ctx\s+([1-9]\d{0,8})\b", about.parameters or "", re.MULTILINE)
    if set_to is not None:
        return Served(model, min(int(set_to[1]), largest or int(set_to[1])))
    if largest is None:
        return None
    return Served(model, min(largest, ASSUMED_WINDOW), assumed=largest > ASSUMED_WINDOW)


def _first_size(*said: object) -> int | None:
    """Give the first that is a size; servers write 0 for what has none."""
    return next((n for n in said if type(n) is int and 1 <= n <= 10**9), None)


def _prices(pricing: _Pricing) -> dict[str, str]:
    """Read OpenRouter's prices, which are for a single token."""
    said = {
        "prompt": pricing.prompt,
        "cached": pricing.input_cache_read,
        "completion": pricing.completion,
    }
    prices = {}
    for name, price in said.items():
        try:
            million = Decimal(str(price)) * 1_000_000
        except ArithmeticError:
            continue
        if million.is_finite() and 0 <= million < 10**9:
            prices[name] = f"{million.normalize():f}"
    return prices
