"""ModelCard: windows, parameter names and the default model."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot

from chatrepl.chat.catalogue import ASSUMED_WINDOW, DEFAULT_MODEL, card_for, openai_name

BOTH = {"max_tokens": "max_completion_tokens", "temperature": ""}
RENAMED = {"max_tokens": "max_completion_tokens"}


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("gpt-35-turbo", 4_096),
        ("gpt-35-turbo-0301", 4_096),
        ("gpt-35-turbo-0613", 4_096),
        ("gpt-3.5-turbo-0301", 4_096),
        ("gpt-3.5-turbo-0613", 4_096),
        ("ft:gpt-3.5-turbo-0613:acme::abc123", 4_096),
        ("openai/gpt-3.5-turbo-0613", 4_096),
        ("gpt-3.5-turbo", 16_385),
        ("gpt-3.5-turbo-1106", 16_385),
        ("gpt-35-turbo-1106", 16_385),
        ("gpt-4", 8_192),
        ("gpt-4-0613", 8_192),
        ("openai/gpt-4", 8_192),
        ("gpt-4-32k", 32_768),
        ("gpt-4-32k-0613", 32_768),
        ("openai/gpt-4-32k", 32_768),
        ("gpt-4-turbo", 128_000),
        ("gpt-4o-mini", 128_000),
        ("ft:gpt-4o-mini:acme::abc123", 128_000),
    ],
)
def test_the_window_of_a_known_model(model: str, window: int) -> None:
    card = card_for(model)
    assert (card.name, card.context_window, card.window_known) == (model, window, True)


@pytest.mark.parametrize("model", ["nobody-1", "", "llama3.2:1b", "a/b/c", "ft:", "gpt-4-mine"])
def test_an_unknown_model_has_the_smallest_window_and_says_so(model: str) -> None:
    card = card_for(model)
    assert (card.context_window, card.window_known) == (4_096, False)
    assert ASSUMED_WINDOW == 4_096


def test_a_local_server_need_not_have_a_models_published_window() -> None:
    assert card_for("deepseek-chat").window_known
    assert card_for("deepseek-chat", local=True).context_window == 4_096
    assert not card_for("deepseek-chat", local=True).window_known
    assert card_for("gpt-4o", local=True).context_window == 128_000


def test_what_the_user_says_goes_before_what_is_known() -> None:
    card = card_for(
        "gpt-4",
        context_window=2_000,
        max_output=100,
        encoding="o200k_base",
        parameters={"max_tokens": "n_predict"},
        prices={"input": "1"},
    )
    assert (card.context_window, card.window_known) == (2_000, True)
    assert (card.max_output, card.encoding) == (100, "o200k_base")
    assert (card.parameters, card.prices) == ({"max_tokens": "n_predict"}, {"input": "1"})


def test_the_users_parameter_names_go_before_those_of_reasoning_models() -> None:
    names = card_for("o3-mini", parameters={"temperature": "temperature"}).parameters
    assert names == {"max_tokens": "max_completion_tokens", "temperature": "temperature"}


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("o1", BOTH),
        ("o1-preview-2024-09-12", BOTH),
        ("o3-mini", BOTH),
        ("o4-mini-2025-04-16", BOTH),
        ("ft:o4-mini-2025-04-16:acme::abc123", BOTH),
        ("gpt-5", BOTH),
        ("gpt-5-nano-2025-08-07", BOTH),
        ("gpt-5.4-mini", BOTH),
        ("gpt-6-luna", BOTH),
        ("gpt-6.2-astra", BOTH),
        ("gpt-5-chat-latest", RENAMED),
        ("gpt-5.3-chat-latest", RENAMED),
        ("gpt-3.5-turbo", {}),
        ("gpt-4", {}),
        ("gpt-4o", {}),
        ("gpt-4.1-mini", {}),
        ("gpt-4-32k", {}),
        ("gpt-oss-20b", {}),
        ("olmo-2", {}),
        ("llama3.2:1b", {}),
        ("nobody-1", {}),
    ],
)
def test_reasoning_models_have_other_parameter_names(model: str, names: dict[str, str]) -> None:
    assert card_for(model, context_window=8_192).parameters == names


@pytest.mark.parametrize("model", ["gpt-35-turbo", "gpt-35-turbo-16k", "gpt-35-turbo-0613"])
def test_azures_spelling_of_an_old_model_is_no_gpt_35(model: str) -> None:
    assert card_for(model).parameters == {}


@pytest.mark.parametrize(
    ("window", "max_output", "reply"),
    [
        (4_096, None, 1_024),
        (8_192, None, 2_048),
        (1_000_000, None, 4_096),
        (8_192, 500, 500),
        (3, None, 1),
    ],
)
def test_the_default_reply_leaves_the_prompt_most_of_the_window(
    window: int, max_output: int | None, reply: int
) -> None:
    card = card_for("nobody-1", context_window=window, max_output=max_output)
    assert card.default_max_tokens == reply


def test_azures_spelling_is_openais_model() -> None:
    assert openai_name("gpt-35-turbo-16k") == "gpt-3.5-turbo-16k"
    assert openai_name("gpt-4o") == "gpt-4o"


def openais_chat_models() -> tuple[set[str], set[str]]:
    """What the installed openai package lists, and what it says is deprecated.

    The list is a Literal, the deprecations are the docstring below it.
    """
    spec = importlib.util.find_spec("openai")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "types" / "shared" / "chat_model.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    said = tree.body[-1]
    if not isinstance(said, ast.Expr):
        pytest.skip("this release of openai tells no deprecations")
    deprecations = ast.literal_eval(said.value)
    literal = next(node for node in tree.body if isinstance(node, ast.AnnAssign)).value
    assert literal is not None
    names = {node.value for node in ast.walk(literal) if isinstance(node, ast.Constant)}
    return {str(name) for name in names}, set(re.findall(r'"([^"]+)"', deprecations))


def test_the_default_model_is_openais_and_is_not_announced_to_end() -> None:
    models, ending = openais_chat_models()
    assert {"gpt-3.5-turbo", "gpt-4"} <= models & ending  # the list was read aright
    assert DEFAULT_MODEL in models - ending


def test_the_default_models_window_is_the_one_of_genai_prices() -> None:
    _, info = get_snapshot().find_provider_model(DEFAULT_MODEL, None, "openai", None)
    card = card_for(DEFAULT_MODEL)
    assert (card.context_window, card.window_known) == (info.context_window, True)


def test_the_default_model_is_named_in_one_place() -> None:
    package = Path(importlib.util.find_spec("chatrepl").origin or "").parent  # type: ignore[union-attr]  # it is installed
    naming = [file for file in package.rglob("*.py") if f'"{DEFAULT_MODEL}"' in file.read_text()]
    assert naming == [package / "chat" / "catalogue.py"]
