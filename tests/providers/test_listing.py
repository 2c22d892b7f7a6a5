"""What servers say of their models, and what is made of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatrepl.chat.catalogue import Served
from chatrepl.errors import (
    AuthenticationError,
    ChatreplError,
    ConnectionFailedError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    StreamInterruptedError,
)
from chatrepl.providers.azure import AzureProvider
from chatrepl.providers.embedded import EmbeddedModel, EmbeddedProvider
from chatrepl.providers.listing import find, read_listing
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider
from chatrepl.providers.scripted import ScriptedProvider
from tests.support.asking import KEY, ask, dead_url, endpoint
from tests.support.loopback import Loopback, Reply, fails, says
from tests.support.program import environment

LIST = "/v1/models"
SHOW = "/api/show"
RUNNING = "/api/ps"


@pytest.fixture
def provider(server: Loopback) -> Iterator[OpenAIProvider]:
    with closing(OpenAIProvider(endpoint(server.base_url))) as provider:
        yield provider


def listing(*entries: object) -> dict[str, Any]:
    return {"object": "list", "data": list(entries)}


def entry(name: str, **more: Any) -> dict[str, Any]:
    """A model as OpenAI lists it, and what others add to that."""
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "us", **more}


# What the servers write, cut down to a model or two and with most of what is passed over.

OPENAI = listing(entry("gpt-4"), entry("whisper-1"))
LLAMA_CPP = {
    "models": [{"name": "qwen.gguf", "model": "qwen.gguf", "details": {"family": ""}}],
    **listing(
        entry(
            "qwen.gguf",
            aliases=["qwen.gguf", "qwen"],
            tags=[],
            meta={"vocab_type": 2, "n_vocab": 151_936, "n_ctx": 8_192, "n_ctx_train": 32_768},
        )
    ),
}
VLLM = listing(
    entry("Qwen/Qwen3-8B", root="Qwen/Qwen3-8B", parent=None, max_model_len=40_960, permission=[]),
    entry("my-adapter", root="/adapters/mine", parent="Qwen/Qwen3-8B", max_model_len=None),
)
GROQ = listing(
    entry(
        "llama-3.3-70b-versatile",
        active=True,
        context_window=131_072,
        max_completion_tokens=32_768,
        public_apps=None,
    )
)
OPENROUTER = {
    "data": [
        {
            "id": "qwen/qwen3-coder:free",
            "name": "Qwen3 Coder",
            "context_length": 1_048_576,
            "architecture": {"modality": "text->text", "instruct_type": None},
            "pricing": {"prompt": "0", "completion": "0", "request": "0"},
            "top_provider": {
                "context_length": 262_000,
                "max_completion_tokens": 65_536,
                "is_moderated": False,
            },
            "per_request_limits": None,
        },
        {
            "id": "openai/gpt-4o",
            "context_length": 128_000,
            "pricing": {
                "prompt": "0.0000025",
                "completion": "0.00001",
                "input_cache_read": "0.00000125",
            },
            "top_provider": {"context_length": None, "max_completion_tokens": None},
        },
        {
            "id": "openrouter/auto",
            "context_length": 2_000_000,
            "pricing": {"prompt": "-1", "completion": "-1"},  # it depends
            "top_provider": {"context_length": None},
        },
    ]
}
TOGETHER = [
    {
        "id": "deepseek-ai/DeepSeek-V3.1",
        "object": "model",
        "type": "chat",
        "context_length": 131_072,
        "config": {"chat_template": "…", "stop": []},
        "pricing": {"hourly": 0, "input": 0.6, "output": 1.7, "base": 0, "finetune": 0},
    },
    {"id": "black-forest-labs/FLUX.1", "type": "image", "context_length": 0, "pricing": {}},
]
OLLAMA = listing(
    entry("llama3.2:latest", owned_by="library"), entry("qwen3:8b", owned_by="library")
)

LISTINGS: dict[str, tuple[object, list[Served]]] = {
    "OpenAI": (OPENAI, [Served("gpt-4"), Served("whisper-1")]),
    "llama.cpp": (LLAMA_CPP, [Served("qwen.gguf", 8_192), Served("qwen", 8_192)]),
    "vLLM": (VLLM, [Served("Qwen/Qwen3-8B", 40_960), Served("my-adapter")]),
    "Groq": (GROQ, [Served("llama-3.3-70b-versatile", 131_072, 32_768)]),
    "OpenRouter": (
        OPENROUTER,
        [
            # The provider that is asked first has the smaller window of the two.
            Served("qwen/qwen3-coder:free", 262_000, 65_536, {"prompt": "0", "completion": "0"}),
            Served(
                "openai/gpt-4o",
                128_000,
                prices={"prompt": "2.5", "cached": "1.25", "completion": "10"},
            ),
            Served("openrouter/auto", 2_000_000),
        ],
    ),
    "Ollama": (OLLAMA, [Served("llama3.2:latest"), Served("qwen3:8b")]),
}


@pytest.mark.parametrize(("answer", "models"), LISTINGS.values(), ids=LISTINGS.keys())
def test_each_servers_listing_is_read(
    server: Loopback, provider: OpenAIProvider, answer: dict[str, Any], models: list[Served]
) -> None:
    server.tells[LIST] = answer
    assert list(provider.served()) == models
    assert [(got.method, got.path) for got in server.asked] == [("GET", LIST)]
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_togethers_listing_is_a_bare_array(server: Loopback, provider: OpenAIProvider) -> None:
    server.tells[LIST] = as_json(TOGETHER)
    assert [(one.name, one.context_window) for one in provider.served()] == [
        ("deepseek-ai/DeepSeek-V3.1", 131_072),
        ("black-forest-labs/FLUX.1", None),
    ]


def test_a_model_without_a_window_is_still_on_offer(
    server: Loopback, provider: OpenAIProvider
) -> None:
    # Servers write 0 for what has none, as images and speech.
    server.tells[LIST] = listing(entry("a", context_length=0), entry("b", max_model_len=-1))
    assert list(provider.served()) == [Served("a"), Served("b")]


@pytest.mark.parametrize(
    ("price", "million"),
    [
        ("0.0000025", "2.5"),
        (0.00000015, "0.15"),
        ("1e-7", "0.1"),
        (0, "0"),
        ("0.00", "0"),
        ("0.001", "1000"),
        ("-1", None),
        ("free", None),
        ("", None),
        (None, None),
        ("NaN", None),
        ("sNaN", None),
        ("Infinity", None),
        ("1e999999", None),
        ("9" * 400, None),
    ],
)
def test_prices_are_made_per_million_tokens(price: object, million: str | None) -> None:
    (one,) = read_listing(listing(entry("a", pricing={"prompt": price})))
    assert one.prices.get("prompt") == million
    assert million is None or Decimal(million) == Decimal(str(price)) * 10**6


def test_the_server_is_asked_for_its_list_once(server: Loopback, provider: OpenAIProvider) -> None:
    server.tells[LIST] = VLLM
    for _ in range(3):
        provider.served()
        provider.look_up("Qwen/Qwen3-8B")
    assert len(server.asked) == 1


def test_a_list_that_failed_is_asked_for_again(server: Loopback, provider: OpenAIProvider) -> None:
    server.tells[LIST] = fails(503, "loading")
    with pytest.raises(ServerError):
        provider.served()
    server.tells[LIST] = VLLM
    assert provider.look_up("Qwen/Qwen3-8B") == Served("Qwen/Qwen3-8B", 40_960)


# Finding a model


@pytest.mark.parametrize(
    ("answer", "model", "window"),
    [
        pytest.param(VLLM, "Qwen/Qwen3-8B", 40_960, id="by its name"),
        pytest.param(LLAMA_CPP, "qwen", 8_192, id="by an alias"),
        pytest.param(LLAMA_CPP, "gpt-3.5-turbo", 8_192, id="llama.cpp takes any name"),
        pytest.param(OPENROUTER, "openai/gpt-4o", 128_000, id="one of several"),
        pytest.param(OPENROUTER, "gpt-4o", None, id="another name is another model"),
        pytest.param(OPENROUTER, "OPENAI/GPT-4O", None, id="upper case is another name"),
        pytest.param(listing(), "qwen", None, id="of none"),
        pytest.param(listing(entry("a"), entry("b", max_model_len=9)), "a", None, id="unsaid"),
    ],
)
def test_a_model_is_found_as_its_server_would_find_it(
    answer: object, model: str, window: int | None
) -> None:
    found = find(model, tuple(read_listing(answer)))
    assert (found.context_window if found else None) == window


def test_a_lone_model_that_tells_no_window_says_nothing_of_others() -> None:
    assert find("b", (Served("a"),)) is None


# Ollama


def shown(length: object = 131_072, parameters: object = None) -> dict[str, Any]:
    """What /api/show says of a llama with this window, and these lines of its Modelfile."""
    info = {"general.architecture": "llama", "llama.context_length": length, "llama.vocab": 128_256}
    more = {} if parameters is None else {"parameters": parameters}
    return {"license": "…", "details": {"family": "llama"}, "model_info": info, **more}


def running(*models: tuple[str, object]) -> dict[str, Any]:
    """What /api/ps says: models with the window that they run with."""
    return {
        "models": [
            {"name": name, "model": name, "size": 3_000, "context_length": length}
            for name, length in models
        ]
    }


def an_ollama(server: Loopback, about: Reply | dict[str, Any], now: Reply | dict[str, Any]) -> None:
    server.tells |= {LIST: OLLAMA, SHOW: about, RUNNING: now}


def as_json(said: object) -> Reply:
    return Reply(body=json.dumps(said).encode(), headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("about", "now", "window", "assumed"),
    [
        pytest.param(
            shown(), running(("llama3.2:latest", 16_384)), 16_384, False, id="it runs now"
        ),
        pytest.param(
            shown(parameters="num_ctx 16384"),
            running(("llama3.2:latest", 4_096)),
            4_096,
            False,
            id="what it runs with goes first",
        ),
        pytest.param(
            shown(parameters='stop "<|end|>"\nnum_ctx                        16384\ntemperature 1'),
            running(),
            16_384,
            False,
            id="its parameters",
        ),
        pytest.param(shown(parameters="num_ctx 999999"), running(), 131_072, False, id="too much"),
        pytest.param(shown(2_048), running(), 2_048, False, id="a small model"),
        pytest.param(shown(4_096), running(), 4_096, False, id="exactly the least"),
        pytest.param(shown(), running(), 4_096, True, id="Ollama's own choice"),
        pytest.param(
            shown(), running(("qwen3:8b", 32_768)), 4_096, True, id="another model runs now"
        ),
        pytest.param(
            shown(), running(("llama3.2:latest", None)), 4_096, True, id="an older Ollama"
        ),
        pytest.param(
            shown(parameters="my_num_ctx 9\nnum_ctx 0"), running(), 4_096, True, id="no num_ctx"
        ),
    ],
)
@pytest.mark.parametrize("model", ["llama3.2:latest", "llama3.2"])
def test_ollama_is_asked_at_its_own_addresses(
    server: Loopback,
    provider: OpenAIProvider,
    model: str,
    about: dict[str, Any],
    now: dict[str, Any],
    window: int,
    assumed: bool,
) -> None:
    an_ollama(server, about, now)
    assert provider.look_up(model) == Served(model, window, assumed=assumed)
    (show,) = [got for got in server.asked if got.path == SHOW]
    assert (show.method, show.body["model"]) == ("POST", model)


def test_ollama_is_asked_again_once_the_model_runs(
    server: Loopback, provider: OpenAIProvider
) -> None:
    an_ollama(server, shown(), running())
    assert provider.look_up("qwen3:8b") == Served("qwen3:8b", 4_096, assumed=True)
    an_ollama(server, shown(), running(("qwen3:8b", 32_768)))
    assert provider.look_up("qwen3:8b") == Served("qwen3:8b", 32_768)


def test_a_model_that_ollama_does_not_have_is_not_asked_for(
    server: Loopback, provider: OpenAIProvider
) -> None:
    an_ollama(server, shown(), running())
    assert provider.look_up("mistral") is None
    assert [got.path for got in server.asked] == [LIST]


def test_an_ollama_without_a_list_of_what_runs_is_believed_about_the_rest(
    server: Loopback, provider: OpenAIProvider
) -> None:
    an_ollama(server, shown(parameters="num_ctx 16384"), fails(404, "404 page not found"))
    assert provider.look_up("llama3.2") == Served("llama3.2", 16_384)


def test_a_server_that_is_no_ollama_is_known_by_its_list(
    server: Loopback, provider: OpenAIProvider
) -> None:
    # LM Studio and others tell no windows either, and know nothing of /api/show.
    server.tells[LIST] = listing(entry("a", max_completion_tokens=500), entry("b"))
    assert provider.look_up("a") == Served("a", None, 500)


@pytest.mark.parametrize(
    ("about", "now"),
    [
        (shown("many"), running()),
        (shown(0), running()),
        (shown(-5), running()),
        (shown(True), running()),
        (shown(None), running()),
        (shown(1e5), running()),
        ({"model_info": None}, running()),
        ({"model_info": []}, running()),
        ({}, {}),
        ({"error": "no such model"}, {"error": "what?"}),
        (Reply(body=b"<html>It works</html>"), running()),
        (Reply(body=b"{", headers={"content-type": "application/json"}), running()),
        (shown(parameters=["num_ctx 16384"]), running()),
        (shown(), {"models": None}),
        (shown(), {"models": [{"name": 5}]}),
    ],
    ids=str,
)
def test_what_ollama_can_not_have_meant_is_no_window(
    server: Loopback,
    provider: OpenAIProvider,
    about: Reply | dict[str, Any],
    now: dict[str, Any],
) -> None:
    an_ollama(server, about, now)
    try:
        found = provider.look_up("llama3.2")
    except ChatreplError:
        return
    assert found is None or found.context_window is None or found.assumed


def test_a_number_too_long_to_be_one_is_none(server: Loopback, provider: OpenAIProvider) -> None:
    an_ollama(server, shown(parameters="num_ctx " + "9" * 5_000), running())
    found = provider.look_up("llama3.2")
    assert found is not None
    assert found.context_window in {4_096, 131_072}


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/v1", "http://localhost:{}/v1/"])
def test_a_server_nearby_may_be_an_ollama(server: Loopback, url: str) -> None:
    an_ollama(server, shown(), running())
    port = server.root.rpartition(":")[2]
    with closing(OpenAIProvider(endpoint(url.format(port)))) as provider:
        provider.look_up("llama3.2")
    assert [got.path for got in server.asked] == [LIST, SHOW, RUNNING]


def test_a_server_far_away_is_asked_for_its_list_only(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("http_proxy", server.root)  # which plays a server that is elsewhere
    server.usual = lambda _: Reply(body=OLLAMA)
    with closing(OpenAIProvider(endpoint("http://example.invalid/v1"))) as provider:
        assert provider.look_up("llama3.2") == Served("llama3.2:latest")
    assert [got.path for got in server.requests] == ["http://example.invalid/v1/models"]


# A server that answers with something else


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": "gpt-4"},
        {"data": [None, 5, "gpt-4", [], {}, {"id": None}, {"id": 5}, {"name": "gpt-4"}]},
        {"object": "list", "models": []},
        b"<!doctype html><title>It works</title>",
        b"",
        b"\xff\xfe\x00",
    ],
    ids=str,
)
def test_what_is_no_listing_lists_nothing(
    server: Loopback, provider: OpenAIProvider, body: bytes | dict[str, Any]
) -> None:
    server.tells[LIST] = Reply(body=body)
    assert list(provider.served()) == []
    assert provider.look_up("gpt-4") is None


@pytest.mark.parametrize("body", [b"", b'{"data": [', b"[" * 100_000])
def test_broken_json_is_an_error_of_the_servers(
    server: Loopback, provider: OpenAIProvider, body: bytes
) -> None:
    server.tells[LIST] = Reply(body=body, headers={"content-type": "application/json"})
    with pytest.raises(ServerError) as caught:
        provider.served()
    assert not isinstance(caught.value, ConnectionFailedError), "there was a connection"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, RequestRefusedError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (307, ServerError),
    ],
)
def test_a_status_is_told_as_what_it_means(
    server: Loopback, provider: OpenAIProvider, status: int, kind: type[ChatreplError]
) -> None:
    server.tells[LIST] = fails(status, f"No, {KEY}.", headers={"location": server.root + "/x"})
    for act in (provider.served, lambda: provider.look_up("gpt-4")):
        with pytest.raises(kind) as caught:
            act()
        assert "\n" not in caught.value.text
        assert KEY not in caught.value.text + caught.value.hint
    assert {got.path for got in server.asked} == {LIST}, "a redirect is not followed"


def test_a_list_that_is_not_there_is_no_matter_of_the_model(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.tells[LIST] = fails(404, "Not Found")
    with pytest.raises(RequestRefusedError) as caught:
        provider.served()
    assert "model '/models'" not in caught.value.text


def test_nobody_there_is_a_failed_connection() -> None:
    with (
        closing(OpenAIProvider(endpoint(dead_url() + "/v1"))) as provider,
        pytest.raises(ConnectionFailedError),
    ):
        provider.look_up("gpt-4")


def test_a_silent_server_is_not_waited_for_as_for_a_reply(server: Loopback) -> None:
    leave = threading.Event()
    server.tells[LIST] = Reply([leave])
    try:
        with (
            closing(OpenAIProvider(endpoint(server.base_url, timeout=120))) as provider,
            pytest.raises(StreamInterruptedError) as caught,
        ):
            provider.look_up("gpt-4")
    finally:
        leave.set()
    assert " 5 seconds" in caught.value.text, "as long as it was really waited for"


ODD = ["1e999999", "-0", "0.001", "9" * 30, 0, -5, 10**12, True, 4_096]
ANY: st.SearchStrategy[object] = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(ODD),
    ),
    lambda deeper: st.one_of(
        st.lists(deeper, max_size=3),
        st.dictionaries(
            st.sampled_from(["n_ctx", "context_length", "prompt", "completion", "x"]), deeper
        ),
    ),
    max_leaves=5,
)
SIZES = ["max_model_len", "context_window", "context_length", "max_completion_tokens"]
NUMBER = st.one_of(st.sampled_from(ODD), ANY)
ENTRIES = st.fixed_dictionaries(
    {"id": st.one_of(st.just("a"), ANY)},
    optional={
        "pricing": st.dictionaries(st.sampled_from(["prompt", "completion"]), NUMBER),
        **dict.fromkeys(SIZES, NUMBER),
        **dict.fromkeys(["aliases", "meta", "top_provider"], ANY),
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    answer=st.one_of(
        ANY, st.lists(st.one_of(ENTRIES, ANY), max_size=3).map(lambda data: {"data": data})
    )
)
def test_whatever_is_listed_sizes_are_sizes_and_prices_are_prices(answer: object) -> None:
    for one in read_listing(answer):
        assert isinstance(one.name, str)
        for size in (one.context_window, one.max_output):
            assert size is None or (type(size) is int and 0 < size <= 10**9)
        for price in one.prices.values():
            assert Decimal(price) >= 0
            assert len(price) < 100


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(about=st.one_of(NUMBER.map(shown), ANY), now=st.one_of(st.just(running()), ANY))
def test_whatever_an_ollama_says_the_window_is_one(
    server: Loopback, provider: OpenAIProvider, about: object, now: object
) -> None:
    an_ollama(server, as_json(about), as_json(now))
    found = provider.look_up("llama3.2")
    if found is not None and found.context_window is not None:
        assert type(found.context_window) is int
        assert 0 < found.context_window <= 10**9


# The other providers


def test_azure_lists_its_deployments_and_asks_nobody(server: Loopback) -> None:
    deployments = {"gpt-4": "my-four", "gpt-35-turbo": "cheap"}
    with closing(AzureProvider(endpoint(server.root), "v", deployments)) as provider:
        assert list(provider.served()) == [Served("gpt-4"), Served("gpt-35-turbo")]
        assert provider.look_up("gpt-4") is None
    assert server.asked == server.requests == []


def test_retries_are_for_replies_only(server: Loopback) -> None:
    waits: list[float] = []
    inner = OpenAIProvider(endpoint(server.base_url))
    server.tells[LIST] = fails(503, "busy")
    with closing(RetryingProvider(inner, 3, sleep=waits.append)) as provider:
        for act in (provider.served, lambda: provider.look_up("gpt-4")):
            with pytest.raises(ServerError):
                act()
        assert (len(server.asked), waits) == (2, [])
        server.tells[LIST] = VLLM
        assert provider.look_up("Qwen/Qwen3-8B") == Served("Qwen/Qwen3-8B", 40_960)
        server.then(fails(503, "busy"), says("there"))
        ask(provider)
    assert len(waits) == 1


def test_the_embedded_model_tells_its_window_before_it_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    model = EmbeddedModel(file, tmp_path, tmp_path / "log", context_window=2_048)
    with closing(EmbeddedProvider(model, 5.0)) as provider:
        assert list(provider.served()) == [Served("mine.gguf", 2_048)]
        assert provider.look_up("mine.gguf") == Served("mine.gguf", 2_048)
        assert provider.look_up("another.gguf") is None
    assert not (tmp_path / "log").exists(), "nothing was started for that"


def test_the_embedded_server_tells_the_window_as_llama_cpp_does(
    home_with_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(home_with_model).items():
        monkeypatch.setenv(name, value)
    data = home_with_model / "chatrepl" / "data"
    model = EmbeddedModel(None, data, home_with_model / "log", context_window=1_024)
    with closing(EmbeddedProvider(model, 60.0)) as provider:
        inner = provider._running()
        (said,) = inner.served()
        assert (said.name, said.context_window) == (model.name, 1_024)
        assert inner.look_up("any name") == said


def test_a_script_offers_what_it_was_told_to() -> None:
    provider = ScriptedProvider()
    assert (list(provider.served()), provider.look_up("a")) == ([], None)
    provider.offers = (Served("a", 100), Served("b"))
    assert list(provider.served()) == [Served("a", 100), Served("b")]
    assert provider.look_up("b") == Served("b")
    assert provider.look_up("c") is None
