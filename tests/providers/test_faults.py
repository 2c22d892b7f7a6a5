"""What can go wrong between here and the server, and what a person is told about it."""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatrepl.chat.events import TextDelta
from chatrepl.errors import (
    AuthenticationError,
    BadReplyError,
    ChatreplError,
    ConnectionFailedError,
    ContentFilterError,
    ContextOverflowError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from chatrepl.providers.azure import AzureProvider
from chatrepl.providers.faults import _retry_after
from chatrepl.providers.openai import OpenAIProvider
from tests.support.asking import (
    KEY,
    a_request,
    answering,
    ask,
    dead_url,
    endpoint,
    fault,
    self_signed,
    text_of,
    wire,
)
from tests.support.loopback import Cut, Loopback, Received, Reply, chunk, fails, says

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def provider(server: Loopback) -> Iterator[OpenAIProvider]:
    with closing(OpenAIProvider(endpoint(server.base_url))) as provider:
        yield provider


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def fault_at(base_url: str, *, timeout: float = 20.0, **more: Any) -> ChatreplError:
    """The error that asking this server ends in."""
    with closing(OpenAIProvider(endpoint(base_url, timeout=timeout, **more))) as provider:
        return fault(provider)


# A status


STATUSES: list[tuple[int, dict[str, Any], type[ChatreplError], int, bool, str]] = [
    (401, {"code": "invalid_api_key"}, AuthenticationError, 3, False, "Check LOOP_KEY."),
    (403, {}, AuthenticationError, 3, False, "Check LOOP_KEY."),
    (429, {"code": "rate_limit_exceeded"}, RateLimitError, 4, True, "Wait"),
    (429, {"code": "insufficient_quota"}, QuotaError, 4, False, "billing"),
    (429, {"type": "insufficient_quota", "code": None}, QuotaError, 4, False, "billing"),
    (402, {"code": "invalid_request_error"}, QuotaError, 4, False, "billing"),
    (404, {"code": "model_not_found"}, RequestRefusedError, 8, False, "-m"),
    (400, {"type": "invalid_request_error"}, RequestRefusedError, 8, False, ""),
    (413, {}, RequestRefusedError, 8, False, ""),
    (422, {}, RequestRefusedError, 8, False, ""),
    (400, {"code": "content_filter"}, ContentFilterError, 6, False, "other words"),
    (
        400,
        {"code": "context_length_exceeded"},
        ContextOverflowError,
        5,
        False,
        "a new conversation",
    ),
    (
        400,
        {"type": "exceed_context_size_error"},
        ContextOverflowError,
        5,
        False,
        "a new conversation",
    ),
    (
        400,
        {"code": "unsupported_parameter", "param": "messages"},
        UnsupportedParameterError,
        8,
        False,
        "parameters",
    ),
    *(
        (status, {}, ServerError, 8, True, "again")
        for status in (408, 409, 500, 502, 503, 504, 529)
    ),
    *((status, {}, BadReplyError, 8, False, "base_url") for status in (304, 405, 410, 418)),
]


@pytest.mark.parametrize(("code", "body", "kind", "status", "retryable", "hint"), STATUSES)
def test_each_status_is_told_as_what_it_means(
    server: Loopback,
    provider: OpenAIProvider,
    code: int,
    body: dict[str, Any],
    kind: type[ChatreplError],
    status: int,
    retryable: bool,
    hint: str,
) -> None:
    server.then(fails(code, "Because\n  of it.", **body))
    error = fault(provider)
    assert (type(error), error.status, error.retryable) == (kind, status, retryable)
    assert hint in error.hint
    assert "/model" not in error.hint, "slash commands are for a chat alone"
    assert "127.0.0.1" in error.text
    if code != 304 and kind is not ContentFilterError:  # a 304 has no body
        assert "Because of it." in error.text
    assert len(server.requests) == 1


def test_a_model_that_the_server_does_not_know_is_named(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.then(fails(404, "No such model."))
    assert "'gpt-4'" in fault(provider).text


def models(*names: str) -> dict[str, Any]:
    return {"data": [{"id": name} for name in names]}


@pytest.mark.parametrize(
    ("asked", "offered", "hint"),
    [
        (
            "gpt-4oo",
            ["whisper", "gpt-4o", "gpt-4o-mini", "tts", "gpt-4"],
            "Did you mean 'gpt-4o'? Known: gpt-4o, gpt-4, gpt-4o-mini …",
        ),
        ("gpt4", ["gpt-4"], "Did you mean 'gpt-4'? Known: gpt-4"),
        ("LLAMA3", ["Llama-3"], "Did you mean 'Llama-3'? Known: Llama-3"),
        ("GPT-4", ["gpt-4"], "Did you mean 'gpt-4'? Known: gpt-4"),
        ("xyz", ["gpt-4"], "Set another model with -m. Known: gpt-4"),
        ("gpt-5", ["gpt-4\n\x1b[2J\u202e"], "Did you mean 'gpt-4[2J'? Known: gpt-4[2J"),
    ],
)
def test_a_model_that_is_not_there_brings_the_nearest_that_are(
    server: Loopback, provider: OpenAIProvider, asked: str, offered: list[str], hint: str
) -> None:
    server.tells["/v1/models"] = models(*offered)
    server.then(fails(404, "No such model."))
    error = fault(provider, a_request(model=asked))
    assert f"'{asked}'" in error.text
    assert error.hint == hint


@pytest.mark.parametrize(
    "told",
    [
        models(),
        models("gpt-4"),  # it is there, so that is not what is wrong
        fails(500, "No list."),
        Reply(body=b"<html>"),
        Reply(status=0),
        {"data": [{"id": KEY}]},
    ],
    ids=["none", "the same", "an error", "a page", "a reset", "the key"],
)
def test_a_list_that_is_of_no_help_hides_nothing(
    server: Loopback, provider: OpenAIProvider, told: Reply | dict[str, Any]
) -> None:
    server.tells["/v1/models"] = told
    server.then(fails(404, "No such model."))
    error = fault(provider)
    assert "No such model." in error.text
    assert "-m" in error.hint


def test_a_very_long_list_of_very_long_names_is_kept_short(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.tells["/v1/models"] = models(*(f"{n}{'x' * 1_000}" for n in range(3_000)))
    server.then(fails(404, "No such model."))
    assert len(fault(provider).hint) < 300


def test_azures_deployments_are_named_from_the_config_file(server: Loopback) -> None:
    server.then(*[fails(404, "No deployment.", code="DeploymentNotFound")] * 2)
    asked = endpoint(server.root)
    with closing(AzureProvider(asked, "v", {"gpt-4o": "ours", "gpt-4": "old"})) as provider:
        hint = fault(provider, a_request(model="gpt-4oo")).hint
        assert hint == "Did you mean 'gpt-4o'? Known: gpt-4o, gpt-4"
        # The name is right, the deployment it stands for is not.
        assert "deployment" in fault(provider, a_request(model="gpt-4o")).hint
    assert server.asked == []


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Out of cheese."}},
        {"error": "Out of cheese."},  # Ollama, LM Studio
        {"message": "Out of cheese.", "object": "error"},  # vLLM before 0.10
        {"detail": "Out of cheese."},  # FastAPI
        b"Out of cheese.",
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_servers_words_are_passed_on_wherever_it_put_them(
    server: Loopback, provider: OpenAIProvider, status: int, body: bytes | dict[str, Any]
) -> None:
    server.then(Reply(status=status, body=body))
    assert "Out of cheese." in fault(provider).text


def test_a_web_page_is_not_passed_on_at_length(server: Loopback, provider: OpenAIProvider) -> None:
    server.then(Reply(status=502, body=b"<html>" + b"<p>Bad gateway</p>\n" * 1000))
    assert len(fault(provider).text) < 500


@pytest.mark.parametrize(
    ("body", "prompt", "window"),
    [
        (
            {
                "code": "context_length_exceeded",
                "message": "This model's maximum context length is 4097 tokens. However, your "
                "messages resulted in 4,294 tokens. Please reduce the length of the messages.",
            },
            4294,
            4097,
        ),
        (
            {
                "message": "This model's maximum context length is 16384 tokens. However, you "
                "requested 22946 tokens (12946 in the messages, 10000 in the completion).",
            },
            12946,
            16384,
        ),
        (
            # OpenAI since gpt-5: cline/cline issue 5474.
            {
                "code": "context_length_exceeded",
                "message": "Input tokens exceed the configured limit of 272000 tokens. Your "
                "messages resulted in 289650 tokens. Please reduce the length of the messages.",
            },
            289650,
            272000,
        ),
        (
            {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "request (4026 tokens) exceeds the available context size (2048 tokens)",
                "n_prompt_tokens": 4026,
                "n_ctx": 2048,
            },
            4026,
            2048,
        ),
        (
            {
                "message": "request (4026 tokens) exceeds the available context size (2048 tokens)",
                "type": "exceed_context_size_error",
            },
            4026,
            2048,
        ),
        ({"code": "context_length_exceeded", "message": "Too long."}, None, None),
        ({"code": "context_length_exceeded", "message": None, "n_ctx": "many"}, None, None),
        ({"message": "maximum context length is ,, tokens"}, None, None),
    ],
)
@pytest.mark.parametrize("in_stream", [False, True])
def test_an_overflow_gives_the_servers_own_numbers(
    server: Loopback,
    provider: OpenAIProvider,
    in_stream: bool,
    body: dict[str, Any],
    prompt: int | None,
    window: int | None,
) -> None:
    reply = Reply([{"error": body}]) if in_stream else Reply(status=400, body={"error": body})
    server.then(reply)
    error = fault(provider)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_window) == (prompt, window)


# How servers say that a prompt is too long, in the words of several versions of each, and the
# numbers that are to be read in them: of the prompt, of the window. Where a server gives a lower
# bound ("at least"), or a rough guess ("about"), or characters, there is no number of the prompt.
OVERFLOWS: dict[str, tuple[str, int | None, int | None]] = {
    "OpenAI": (
        (
            "This model's maximum context length is 4097 tokens. However, your messages resulted "
            "in 4294 tokens. Please reduce the length of the messages."
        ),
        4294,
        4097,
    ),
    "OpenAI, with functions": (
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5360 "
            "tokens (2000 in the messages, 100 in the functions, and 3260 in the completion). "
            "Please reduce the length of the messages, functions, or completion."
        ),
        2000,
        4097,
    ),
    "OpenAI, new": (
        (
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
            "289650 tokens. Please reduce the length of the messages."
        ),
        289650,
        272000,
    ),
    "OpenAI, without numbers": (
        (
            "Your input exceeds the context window of this model. Please adjust your input and try "
            "again."
        ),
        None,
        None,
    ),
    "Azure, old": (
        (
            "This model's maximum context length is 4097 tokens, however you requested 4500 "
            "tokens (3500 in your prompt; 1000 for the completion). Please reduce your prompt; or "
            "completion length."
        ),
        3500,
        4097,
    ),
    "numbers with commas": (
        (
            "This model's maximum context length is 1,047,576 tokens. However, your messages "
            "resulted in 1,055,555 tokens."
        ),
        1055555,
        1047576,
    ),
    "llama.cpp": (
        "request (4026 tokens) exceeds the available context size (2048 tokens), try increasing it",
        4026,
        2048,
    ),
    "llama.cpp, older": (
        (
            "the request exceeds the available context size. try increasing the context size or "
            "enable context shift"
        ),
        None,
        None,
    ),
    "vLLM": (
        (
            "This model's maximum context length is 4096 tokens. However, you requested 4726 "
            "tokens (3726 in the messages, 1000 in the completion). Please reduce the length of "
            "the messages or completion."
        ),
        3726,
        4096,
    ),
    "vLLM, messages alone": (
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 "
            "tokens in the messages, Please reduce the length of the messages."
        ),
        5000,
        4096,
    ),
    "vLLM, images": (
        (
            "The prompt (total length 25938) is too long to fit into the model (context length "
            "4096). Make sure that `max_model_len` is no smaller than the number of text tokens "
            "plus multimodal tokens."
        ),
        25938,
        4096,
    ),
    "vLLM, decoder prompt": (
        (
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096. "
            "Make sure that `max_model_len` is no smaller than the number of text tokens."
        ),
        5000,
        4096,
    ),
    "vLLM, input tokens": (
        (
            "This model's maximum context length is 8192 tokens. However, your request has 8193 "
            "input tokens. Please reduce the length of the input messages."
        ),
        8193,
        8192,
    ),
    "vLLM, max_tokens": (
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum "
            "context length is 8192 tokens and your request has 4000 input tokens (5000 > 8192 - "
            "4000)."
        ),
        4000,
        8192,
    ),
    "vLLM, passed": (
        (
            "You passed 8193 input tokens and requested 0 output tokens. However, the model's "
            "context length is only 8192 tokens, resulting in a maximum input length of 8192 "
            "tokens. Please reduce the length of the input prompt. (parameter=input_tokens, "
            "value=8193)"
        ),
        8193,
        8192,
    ),
    "vLLM, characters": (
        (
            "You passed 90000 input characters and requested 100 output tokens. However, the "
            "model's context length is only 4096 tokens, resulting in a maximum input length of "
            "3996 tokens. Please reduce the length of the input prompt."
        ),
        None,
        4096,
    ),
    "vLLM, at least": (
        (
            "This model's maximum context length is 8192 tokens. However, you requested 3584 "
            "output tokens and your prompt contains at least 4609 input tokens, for a total of at "
            "least 8193 tokens. Please reduce the length of the input prompt or the number of "
            "requested output tokens. (parameter=input_tokens, value=4609)"
        ),
        None,
        8192,
    ),
    "Ollama": ("the input length exceeds the context length", None, None),
    "Ollama, in other words": ("input length exceeds maximum context length", None, None),
    "Ollama's cloud": ("prompt too long; exceeded max context length by 17 tokens", None, None),
    "OpenRouter": (
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested "
            "about 140000 tokens (139000 of text input, 1000 in the output). Please reduce the "
            "length of either one, or use the context-compression plugin to compress your prompt "
            "automatically."
        ),
        None,
        131072,
    ),
    "LiteLLM": (
        (
            "litellm.ContextWindowExceededError: litellm.BadRequestError: "
            "ContextWindowExceededError: OpenAIException - This model's maximum context length is "
            "4097 tokens. However, your messages resulted in 5000 tokens. Please reduce the "
            "length of the messages."
        ),
        5000,
        4097,
    ),
    "LiteLLM, another server behind it": (
        (
            "litellm.BadRequestError: litellm.ContextWindowExceededError: BedrockException: "
            "Context Window Error - Input is too long for requested model."
        ),
        None,
        None,
    ),
    "LM Studio": (
        (
            "Trying to keep the first 4298 tokens when context the overflows. However, the model "
            "is loaded with context length of only 4096 tokens, which is not enough. Try to load "
            "the model with a larger context length, or provide a shorter input"
        ),
        None,
        4096,
    ),
    "LM Studio, newer": (
        (
            "The number of tokens to keep from the initial prompt is greater than the context "
            "length. Try to load the model with a larger context length, or provide a shorter "
            "input"
        ),
        None,
        None,
    ),
    "TGI": (
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
            "4000 `inputs` tokens and 200 `max_new_tokens`"
        ),
        4000,
        4096,
    ),
    "TGI, the prompt alone": (
        "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
        5000,
        4096,
    ),
    "Anthropic": ("prompt is too long: 210000 tokens > 200000 maximum", 210000, 200000),
    "Anthropic, with the reply": (
        (
            "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease "
            "input length or `max_tokens` and try again"
        ),
        199759,
        200000,
    ),
}


@pytest.mark.parametrize(("words", "prompt", "window"), OVERFLOWS.values(), ids=OVERFLOWS.keys())
@pytest.mark.parametrize("form", ["object", "flat", "string", "stream"])
def test_an_overflow_is_understood_in_every_servers_words(
    server: Loopback,
    provider: OpenAIProvider,
    form: str,
    words: str,
    prompt: int | None,
    window: int | None,
) -> None:
    replies = {
        "object": fails(400, words, type="BadRequestError", param=None, code=400),
        "flat": Reply(status=400, body={"object": "error", "message": words, "code": 400}),
        "string": Reply(status=400, body={"error": words}),
        "stream": Reply([{"error": {"message": words}}]),
    }
    server.then(replies[form])
    error = fault(provider)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_window) == (prompt, window)
    assert error.status == 5
    assert words[:40] in error.text


@pytest.mark.parametrize("as_text", [True, False])
def test_an_overflow_that_a_gateway_passes_on_is_one(
    server: Loopback, provider: OpenAIProvider, as_text: bool
) -> None:
    # OpenRouter, when it did not foresee it: cline/cline issue 13194.
    words, prompt, window = OVERFLOWS["OpenAI"]
    inner = {"error": {"message": words, "type": "Bad Request", "code": 400}}
    metadata = {"raw": json.dumps(inner) if as_text else inner, "provider_name": "Nvidia"}
    server.then(fails(400, "Provider returned error", code=400, metadata=metadata))
    error = fault(provider)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_window) == (prompt, window)


@pytest.mark.parametrize(
    ("status", "words", "more", "kind"),
    [
        (400, "max_tokens must be at least 1, got 0.", {}, RequestRefusedError),
        (
            400,
            (
                "max_tokens is too large: 50000. This model supports at most 16384 completion "
                "tokens, whereas you provided 50000."
            ),
            {"param": "max_tokens", "code": "invalid_value"},
            RequestRefusedError,
        ),
        (
            400,
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            {"type": "invalid_request_error"},
            RequestRefusedError,
        ),
        (422, "`max_tokens` must be <= 4096", {}, RequestRefusedError),
        (
            400,
            (
                "`max_completion_tokens` must be less than or equal to `8192`, the maximum value "
                "for `max_completion_tokens` is less than the `context_window` for this model"
            ),
            {"param": "max_completion_tokens"},
            RequestRefusedError,
        ),
        (400, "Invalid context parameter: 'context_length' is not known.", {}, RequestRefusedError),
        (400, "Unknown request URL for tokens: /v1/context", {}, RequestRefusedError),
        (
            400,
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead."
            ),
            {"param": "logprobs", "code": "unsupported_parameter"},
            UnsupportedParameterError,
        ),
        (
            400,
            (
                "The response was filtered due to the prompt triggering the content management "
                "policy in this context."
            ),
            {"code": "content_filter"},
            ContentFilterError,
        ),
        (
            413,
            (
                "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested "
                "7000, please reduce your message size and try again."
            ),
            {"type": "tokens", "code": "rate_limit_exceeded"},
            RequestRefusedError,
        ),
        (
            429,
            (
                "Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested "
                "12000. The input or output tokens must be reduced in order to run successfully."
            ),
            {"type": "tokens", "code": "rate_limit_exceeded"},
            RateLimitError,
        ),
        (500, "The context of this request was lost.", {}, ServerError),
    ],
)
def test_what_only_mentions_tokens_or_a_context_is_no_overflow(
    server: Loopback,
    provider: OpenAIProvider,
    status: int,
    words: str,
    more: dict[str, Any],
    kind: type[ChatreplError],
) -> None:
    server.then(fails(status, words, **more))
    assert type(fault(provider)) is kind


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
        ({"retry-after": "in a while"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_server_asks_for_is_read(
    server: Loopback,
    provider: OpenAIProvider,
    status: int,
    headers: dict[str, str],
    wait: float | None,
) -> None:
    server.then(fails(status, "Later.", headers=headers))
    assert fault(provider).retry_after == wait


@pytest.mark.parametrize(("ahead", "least", "most"), [(30, 20, 30), (-30, 0, 0), (0, 0, 0)])
@pytest.mark.parametrize("ms", [{}, {"retry-after-ms": "x"}])
def test_the_wait_may_end_at_a_date(
    server: Loopback,
    provider: OpenAIProvider,
    ahead: int,
    least: float,
    most: float,
    ms: dict[str, str],
) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    server.then(fails(429, "Later.", headers={"retry-after": date, **ms}))
    wait = fault(provider).retry_after
    assert wait is not None
    assert least <= wait <= most


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_each_way_to_write_a_date_that_is_past_is_no_wait(
    server: Loopback, provider: OpenAIProvider, date: str
) -> None:
    server.then(fails(503, "Later.", headers={"retry-after": date}))
    assert fault(provider).retry_after == 0


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    | st.from_regex(r"(Mon, )?\d{1,3} (Jan|Foo) \d{1,6} \d{1,3}:\d\d(:\d\d)? [-+]?\w{1,9}")
)
def test_a_date_that_is_none_does_no_harm(header: str) -> None:
    wait = _retry_after(httpx2.Headers({b"retry-after": header.encode()}))
    assert wait is None or wait >= 0


CODES = ["unsupported_value", "context_length_exceeded", "content_filter"]
ODD: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.just(["x"]),
    st.just({"x": 1}),
    st.sampled_from(CODES),
)
ERRORS = st.dictionaries(
    st.sampled_from(["message", "code", "type", "param", "innererror", "n_ctx", "detail"]), ODD
)
BODIES: st.SearchStrategy[object] = st.one_of(
    st.binary(max_size=30), ODD, ERRORS, st.one_of(ERRORS, ODD).map(lambda error: {"error": error})
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(status=st.sampled_from([200, 400, 401, 404, 422, 429, 500]), body=BODIES)
def test_whatever_an_error_looks_like_it_becomes_one_of_ours(
    server: Loopback, provider: OpenAIProvider, status: int, body: object
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = b"data: " + data + b"\n\n"
    server.then(Reply([said], done=False) if status == 200 else Reply(status=status, body=data))
    try:
        ask(provider)
    except ChatreplError as error:
        assert error.text
    server.replies.clear()


# An error inside the stream


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (
            {"message": "The engine is overloaded.", "type": "server_error"},
            StreamInterruptedError,
            8,
        ),
        ({"message": "The engine is overloaded.", "code": 500}, StreamInterruptedError, 8),
        ("The engine is overloaded.", StreamInterruptedError, 8),
        ({"message": "The engine is overloaded.", "code": "content_filter"}, ContentFilterError, 6),
        ({"message": "The engine is overloaded.", "code": "insufficient_quota"}, QuotaError, 4),
    ],
    ids=str,
)
def test_an_error_in_the_stream_comes_after_what_was_said(
    server: Loopback,
    provider: OpenAIProvider,
    error: object,
    kind: type[ChatreplError],
    status: int,
) -> None:
    server.then(Reply([chunk({"content": "Well"}), {"error": error}]))
    events = answering(provider)
    assert next(events) == TextDelta("Well")
    with pytest.raises(ChatreplError) as caught:
        next(events)
    assert (type(caught.value), caught.value.status) == (kind, status)
    if kind is StreamInterruptedError:
        assert "overloaded" in caught.value.text


# No connection


def test_a_refused_connection_is_a_failed_one() -> None:
    url = dead_url()
    error = fault_at(url + "/v1")
    assert type(error) is ConnectionFailedError
    assert error.status == 8
    assert error.retryable
    assert url.removeprefix("http://") in error.text
    assert "base_url" in error.hint


def test_a_host_that_does_not_exist_is_named() -> None:
    error = fault_at("http://no-such-host.invalid/v1")
    assert type(error) is ConnectionFailedError
    assert "no-such-host.invalid" in error.text


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_dead_proxy_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, dead_url())
    error = fault_at("http://example.invalid/v1")
    assert type(error) is ConnectionFailedError
    assert "HTTPS_PROXY" in error.hint


def test_a_proxy_that_refuses_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, got):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = fault_at("https://example.invalid/v1")
    assert type(error) is ConnectionFailedError
    assert "407" in error.text
    assert KEY.encode() not in b"".join(got)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_can_not_be_used_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = fault_at("http://example.invalid/v1")
    assert "proxy" in (error.text + error.hint).lower()


def test_a_server_on_this_machine_is_asked_without_the_proxy(
    server: Loopback, provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", dead_url())
    monkeypatch.setenv("HTTP_PROXY", dead_url())
    assert text_of(ask(provider)) == "You said: Hi"


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path: Path) -> None:
    with wire(b"", tls=self_signed(tmp_path)) as (port, got):
        error = fault_at(f"https://127.0.0.1:{port}/v1")
    assert type(error) is ConnectionFailedError
    assert "certificate" in error.text
    assert "SSL_CERT_FILE" in error.hint
    assert got == []  # no request has left


def test_a_server_without_tls_is_no_secure_connection(server: Loopback) -> None:
    error = fault_at(server.base_url.replace("http:", "https:"))
    assert type(error) is ConnectionFailedError
    assert "secure connection" in error.text


def test_a_certificate_file_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    error = fault_at("https://example.invalid/v1")
    assert "SSL_CERT_FILE" in error.text + error.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://localhost:port/v1",
        "http://a:b:c/v1",
        "http://ex\x7fample/v1",
        "http://.invalid/v1",
        f"http://{'a' * 300}.invalid/v1",
    ],
)
def test_a_base_url_that_is_none_is_an_error_about_base_url(url: str) -> None:
    error = fault_at(url)
    assert "base_url" in error.text + error.hint
    assert "chat completion" not in error.text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse where Linux lets wait")
def test_a_connection_that_is_never_made_is_a_failed_one() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # now the queue is full
            error = fault_at(f"http://127.0.0.1:{port}/v1", timeout=0.3)
    assert type(error) is ConnectionFailedError


# A connection that breaks or falls silent


def test_a_server_that_never_answers_is_not_waited_for(server: Loopback) -> None:
    leave = threading.Event()

    def silent(received: Received) -> Reply:
        leave.wait(30)
        return says("too late")

    server.usual = silent
    try:
        error = fault_at(server.base_url, timeout=0.3)
    finally:
        leave.set()
    assert isinstance(error, StreamInterruptedError | ConnectionFailedError)
    assert error.retryable
    assert "timeout" in error.hint


def test_a_stream_that_falls_silent_is_not_waited_for(server: Loopback) -> None:
    leave = threading.Event()
    server.then(Reply([chunk({"content": "Well"}), leave]))
    try:
        with closing(OpenAIProvider(endpoint(server.base_url, timeout=1.0))) as provider:
            events = answering(provider)
            assert next(events) == TextDelta("Well")
            with pytest.raises(StreamInterruptedError) as caught:
                next(events)
    finally:
        leave.set()
    assert caught.value.status == 8
    assert "timeout" in caught.value.hint


def test_a_slow_stream_is_no_silent_one(server: Loopback) -> None:
    server.then(says("one two three four five six", pause=0.3))
    with closing(OpenAIProvider(endpoint(server.base_url, timeout=1.5))) as provider:
        assert text_of(ask(provider)) == "one two three four five six"


@pytest.mark.parametrize(
    ("answer", "reset"),
    [
        pytest.param(b"", False, id="hung up before a byte"),
        pytest.param(b"", True, id="reset before a byte"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-ty", False, id="hung up in a header"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", False, id="no HTTP"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\ndata: {}\n\n", False, id="too short"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: {}",
            False,
            id="hung up in a chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", False, id="bad chunk"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nno gzip", False, id="bad gzip"
        ),
    ],
)
def test_a_connection_that_breaks_off_is_an_interrupted_one(answer: bytes, reset: bool) -> None:
    with wire(answer, reset=reset) as (port, got):
        error = fault_at(f"http://127.0.0.1:{port}/v1")
    assert isinstance(error, StreamInterruptedError | BadReplyError)
    assert error.status == 8
    assert len(got) == 1


def test_a_reset_in_the_middle_comes_after_what_was_said(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.then(Reply([chunk({"content": "Well"}), 0.2, Cut()]))
    events = answering(provider)
    assert next(events) == TextDelta("Well")
    with pytest.raises(StreamInterruptedError) as caught:
        next(events)
    assert caught.value.status == 8
    assert caught.value.retryable
    assert "closed the connection" in caught.value.text


# The key


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_server_that_repeats_the_key_does_not_get_it_shown(
    server: Loopback, provider: OpenAIProvider, status: int
) -> None:
    server.then(fails(status, f"Incorrect API key provided: {KEY}. Find yours elsewhere."))
    assert "Incorrect API key provided" in fault(provider).text


def test_no_part_of_the_key_is_left_where_a_long_text_is_cut(
    server: Loopback, provider: OpenAIProvider
) -> None:
    for size in range(250, 310, 5):
        server.then(fails(401, "x" * size + f" {KEY} is not a key."))
        assert KEY[:8] not in fault(provider).text


def test_the_word_that_stands_for_no_key_is_a_word(server: Loopback) -> None:
    server.then(fails(404, "Of these models I have none."))
    assert "I have none." in fault_at(server.base_url, key="none").text


def test_a_stream_that_repeats_the_key_does_not_get_it_shown(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.then(Reply([{"error": {"message": f"No {KEY} here."}}]))
    fault(provider)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("sk-first\nsk-second", id="two lines"),
        pytest.param("sk-first ", id="a space at its end"),
        pytest.param("sk-ключ", id="not ASCII"),
        pytest.param("sk-\udc80", id="no UTF-8"),
    ],
)
def test_a_key_that_can_not_be_sent_is_the_keys_fault(server: Loopback, key: str) -> None:
    error = fault_at(server.base_url, key=key)
    assert "key" in error.text.lower()
    assert "LOOP_KEY" in error.hint
    assert "sk-" not in error.text + error.hint
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Team", "blä-secret"),
        ("X-Team", "blue-secret\nred"),
        ("X-Team", " blue-secret"),
        ("X-Team", "blue-secret "),
        ("X Team", "blue-secret"),
        ("", "blue-secret"),
    ],
)
def test_a_header_that_can_not_be_sent_is_the_headers_fault(
    server: Loopback, name: str, value: str
) -> None:
    error = fault_at(server.base_url, headers={name: value})
    assert "header" in (error.text + error.hint).lower()
    assert "secret" not in error.text + error.hint  # it may be a gateway's key
    assert server.requests == []


@pytest.mark.parametrize("azure", [False, True])
def test_a_redirect_to_another_server_does_not_carry_the_key(server: Loopback, azure: bool) -> None:
    with wire(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n") as (port, got):
        elsewhere = f"http://127.0.0.1:{port}/elsewhere"
        server.then(Reply(status=307, body={}, headers={"location": elsewhere}))
        asked = endpoint(server.base_url)
        with closing(AzureProvider(asked, "v", {}) if azure else OpenAIProvider(asked)) as provider:
            fault(provider)
    assert len(server.requests) == 1
    assert KEY.encode() not in b"".join(got)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("asks", ["a reply", "the models"])
def test_no_redirect_to_another_server_is_followed(
    server: Loopback, provider: OpenAIProvider, status: int, asks: str
) -> None:
    with wire(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, got):
        # Another name of the same machine is another host to every client.
        elsewhere = f"http://localhost:{port}/v1/chat/completions"
        answer = Reply(status=status, body={}, headers={"location": elsewhere})
        server.then(answer)
        server.tells["/v1/models"] = answer
        with pytest.raises(BadReplyError) as caught:
            ask(provider) if asks == "a reply" else provider.served()
    assert got == []
    assert f"redirects to {elsewhere}" in caught.value.text
    assert "base_url" in caught.value.hint


def test_a_redirect_to_another_server_does_not_carry_the_users_headers(server: Loopback) -> None:
    # A gateway's key is one of the default headers, and the client knows nothing of it.
    with wire(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n") as (port, got):
        elsewhere = f"http://127.0.0.1:{port}/elsewhere"
        server.then(Reply(status=307, body={}, headers={"location": elsewhere}))
        fault_at(server.base_url, headers={"X-Gateway-Key": KEY})
    assert KEY.encode() not in b"".join(got)
