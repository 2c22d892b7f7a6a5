"""`chatrepl models`: what the provider offers, and what is known of each."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from tests.support.loopback import Loopback, fails
from tests.support.program import Terminal, run
from tests.support.talk import talk

LISTING = {
    "object": "list",
    "data": [
        {"id": "what-1", "object": "model", "max_model_len": 16_384},
        {"id": "gpt-4o", "object": "model"},
        {"id": "what-2", "object": "model"},
        {
            "id": "priced-1",
            "context_length": 131_072,
            "top_provider": {"max_completion_tokens": 8_192},
            "pricing": {"prompt": "0.00000025", "completion": "0.000001"},
        },
    ],
}


@pytest.fixture
def offering(server: Loopback) -> Loopback:
    server.tells["/v1/models"] = LISTING
    return server


def listed(home: Path, *arguments: str, **more: Any) -> list[dict[str, Any]]:
    done = run("models", *arguments, "--json", home=home, **more)
    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_models_are_listed_by_name_with_what_is_known(home: Path, offering: Loopback) -> None:
    found = {model["id"]: model for model in listed(home, "--base-url", offering.base_url)}
    assert list(found) == ["gpt-4o", "priced-1", "what-1", "what-2"]
    assert found["what-1"] == {
        "id": "what-1",
        "context_window": 16_384,
        "max_output": None,
        "prices": None,
        "encoding": "cl100k_base",
        "counted": "estimate",
    }
    assert found["what-2"]["context_window"] is None
    assert found["priced-1"]["max_output"] == 8_192
    assert found["priced-1"]["prices"] == {"prompt": "0.25", "completion": "1"}
    known = get_snapshot().find_provider_model("gpt-4o", None, "openai", None)[1]
    model = found["gpt-4o"]
    assert (model["encoding"], model["counted"]) == ("o200k_base", "exact")
    assert (model["context_window"], model["max_output"]) == (known.context_window, 16_384)
    assert Decimal(model["prices"]["prompt"]) > 0
    assert not offering.requests, "a list costs no completion"


def test_a_text_chooses_by_name(home: Path, offering: Loopback) -> None:
    found = listed(home, "WHAT", "--base-url", offering.base_url)
    assert [model["id"] for model in found] == ["what-1", "what-2"]


def test_nothing_found_is_said(home: Path, offering: Loopback) -> None:
    done = run("models", "nobody", "--base-url", offering.base_url, home=home)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "The provider 'openai' offers no model with 'nobody' in its name.\n"


def test_into_a_pipe_a_model_is_a_line_with_tabs(home: Path, offering: Loopback) -> None:
    done = run("models", "1", "--base-url", offering.base_url, home=home)
    assert done.stdout.splitlines() == [
        "priced-1\t131072\t8192\t0.25\t1\tcl100k_base",
        "what-1\t16384\t\t\t\tcl100k_base",
    ]


@pytest.mark.parametrize("columns", [80, 40])
def test_on_a_terminal_it_is_a_table(home: Path, offering: Loopback, columns: int) -> None:
    arguments = ("models", "--base-url", offering.base_url)
    with Terminal(*arguments, home=home, columns=columns) as terminal:
        assert terminal.wait_for_end() == 0
        shown = terminal.scrollback
    for words in ("what-1", "16,384", "4,096?", "window is not known"):
        assert words in " ".join(shown.split())


def test_the_config_file_goes_before_the_server(home: Path, offering: Loopback) -> None:
    config = home / "c.toml"
    config.write_text(
        f'[providers.mine]\nbase_url = "{offering.base_url}"\n'
        '[models."what-1"]\ncontext_window = 9_000\nencoding = "o200k_base"\n'
        "prices = { prompt = 1.5 }\n"
    )
    (model,) = listed(home, "what-1", "--config", str(config))
    assert (model["context_window"], model["encoding"]) == (9_000, "o200k_base")
    assert (model["prices"], model["counted"]) == ({"prompt": "1.5"}, "exact")


def test_the_embedded_model_is_listed_and_not_fetched(home: Path) -> None:
    (model,) = listed(home, "--provider", "embedded")
    assert (model["id"], model["context_window"]) == ("SmolLM2-135M-Instruct", 8_192)
    assert not list((home / "chatrepl").rglob("*.gguf"))


def test_azure_lists_the_deployments_of_the_config_file(home: Path) -> None:
    config = home / "c.toml"
    config.write_text(
        '[providers.azure]\nbase_url = "http://127.0.0.1:9"\n'
        'deployments = { "gpt-4o" = "ours", "gpt-35-turbo" = "chat" }\n'
    )
    env = {"AZURE_OPENAI_API_KEY": "k"}
    found = listed(home, "--config", str(config), env=env)
    assert [model["id"] for model in found] == ["gpt-35-turbo", "gpt-4o"]


@pytest.mark.parametrize(("status", "code"), [(401, 3), (403, 3), (404, 8), (500, 8)], ids=str)
def test_a_server_that_refuses_is_said(
    home: Path, server: Loopback, status: int, code: int
) -> None:
    server.tells["/v1/models"] = fails(status, "not for you")
    done = run("models", "--base-url", server.base_url, home=home)
    assert (done.returncode, done.stdout) == (code, "")
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_is_missing_is_said(home: Path) -> None:
    done = run("models", "--provider", "openai", home=home)
    assert done.returncode == 2
    assert "OPENAI_API_KEY" in done.stderr


def test_more_words_are_a_prompt_that_needs_two_dashes(home: Path) -> None:
    done = run("models", "of", "the", "atom", home=home)
    assert done.returncode == 2
    assert "chatrepl -- models of the atom" in done.stderr


def test_names_from_a_server_are_shown_harmless(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = {"data": [{"id": "evil\x1b]0;title\x07\x9b31m"}]}
    for flags in ((), ("--json",)):
        with Terminal("models", "--base-url", server.base_url, *flags, home=home) as terminal:
            assert terminal.wait_for_end() == 0
            assert b"\x1b]0;" not in terminal.raw
            assert b"\xc2\x9b" not in terminal.raw
            assert "evil" in terminal.screen


def test_the_chat_completes_models_that_the_server_offers(home: Path, offering: Loopback) -> None:
    with talk(home, offering) as terminal:
        terminal.type("/model p")
        terminal.wait_until(lambda: any("/v1/models" in a.path for a in offering.asked), "a look")
        terminal.type("r")

        def is_offered() -> bool:
            """Type on: what is offered is what the server has told by then."""
            terminal.type("i")
            terminal.read(0.3)
            found = "131,072 tokens" in terminal.screen
            terminal.type("" if found else "\x7f")
            return found

        terminal.wait_until(is_offered, "the server's model")
        terminal.key("tab")
        terminal.wait_for("/model priced-1")
