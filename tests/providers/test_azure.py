"""Azure OpenAI: deployments in the path, a key in a header of its own, a filter on both sides."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chatrepl.chat.events import Finished, TextDelta
from chatrepl.errors import ContentFilterError, RequestRefusedError
from chatrepl.providers.azure import AzureProvider
from tests.support.asking import KEY, a_request, ask, endpoint, fault, text_of
from tests.support.loopback import Loopback, Reply, chunk, fails, says

Connect = Callable[..., AzureProvider]

SAFE = {"filtered": False, "severity": "safe"}


@pytest.fixture
def connect(server: Loopback) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(version: str = "2024-10-21", url: str = "", **deployments: str) -> Any:
            names = {name.replace("_", "-"): value for name, value in deployments.items()}
            provider = AzureProvider(endpoint(url or server.root), version, names)
            stack.callback(provider.close)
            return provider

        yield connect


def test_a_request_goes_to_the_deployment_with_version_and_key(
    server: Loopback, connect: Connect
) -> None:
    provider = connect("2024-02-01", gpt_4="my-four")
    assert text_of(ask(provider, a_request("Hi", model="gpt-4"))) == "You said: Hi"
    (received,) = server.requests
    assert received.path == ("/openai/deployments/my-four/chat/completions?api-version=2024-02-01")
    assert received.headers["api-key"] == KEY
    assert "authorization" not in received.headers
    assert received.said == [("user", "Hi")]
    assert received.body["stream"] is True
    assert received.body["max_tokens"] == 100


def test_a_model_without_a_mapping_is_a_deployment_of_that_name(
    server: Loopback, connect: Connect
) -> None:
    ask(connect(gpt_4="my-four"), a_request(model="gpt-35-turbo"))
    assert server.requests[0].path.startswith("/openai/deployments/gpt-35-turbo/chat/completions?")


def test_a_deployment_gets_the_parameters_of_its_model(server: Loopback, connect: Connect) -> None:
    ask(connect(o4_mini="thinker"), a_request(model="o4-mini", temperature=0.5))
    body = server.requests[0].body
    assert server.requests[0].path.startswith("/openai/deployments/thinker/")
    assert body["max_completion_tokens"] == 100
    assert not body.keys() & {"max_tokens", "temperature"}


@pytest.mark.parametrize("ending", ["/", "//"])
def test_an_endpoint_may_end_in_a_slash(server: Loopback, connect: Connect, ending: str) -> None:
    ask(connect(url=server.root + ending), a_request(model="gpt-4"))
    assert server.requests[0].path.startswith("/openai/deployments/gpt-4/chat/completions?")


def test_a_deployments_name_stays_one_part_of_the_path(server: Loopback, connect: Connect) -> None:
    ask(connect(gpt_4="../a b?c"), a_request(model="gpt-4"))
    path = server.requests[0].path.lower()
    assert path.startswith("/openai/deployments/..%2fa%20b%3fc/chat/completions?api-version=")


def test_other_variables_of_the_client_do_not_change_where_and_as_whom_it_asks(
    server: Loopback, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.invalid/v1")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://elsewhere.invalid")
    monkeypatch.setenv("OPENAI_API_VERSION", "1999-01-01")
    names = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
    for name in (*names, "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"secret-of-{name}")
    ask(connect(), a_request(model="gpt-4"))
    (received,) = server.requests
    assert received.path.endswith("?api-version=2024-10-21")
    assert received.headers["api-key"] == KEY
    assert "secret-of" not in str(received.headers)


def test_the_filters_verdicts_in_a_stream_say_nothing(server: Loopback, connect: Connect) -> None:
    verdicts = {"hate": SAFE, "violence": SAFE}
    prompt = [{"prompt_index": 0, "content_filter_results": verdicts}]
    late = {"index": 0, "finish_reason": None, "content_filter_results": verdicts}
    server.then(
        Reply(
            [
                {"choices": [], "model": "", "usage": None, "prompt_filter_results": prompt},
                chunk({"role": "assistant"}),
                chunk({"content": "Hi"}),
                {"id": "", "model": "", "choices": [{**late, "content_filter_offsets": {}}]},
                chunk({}, "stop"),
            ]
        )
    )
    assert ask(connect()) == [TextDelta("Hi"), Finished("stop", "loop-1")]


def test_a_filtered_reply_keeps_what_came_and_says_so(server: Loopback, connect: Connect) -> None:
    server.then(says("How to", "content_filter", usage=None))
    events = ask(connect())
    assert text_of(events) == "How to"
    assert events[-1] == Finished("content_filter", "loop-1")


REFUSED = "The response was filtered due to the prompt triggering Azure OpenAI's policy."


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        (
            {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    "hate": {"filtered": True, "severity": "high"},
                    "jailbreak": {"detected": True, "filtered": True},
                    "violence": SAFE,
                },
            },
            " (hate, jailbreak)",
        ),
        ({"content_filter_results": {"self_harm": {"filtered": True}}}, " (self_harm)"),
        ({"code": "ResponsibleAIPolicyViolation"}, ""),
        ({"content_filter_result": None}, ""),
        ({"content_filter_result": ["hate"]}, ""),
        ({"content_filter_result": {"hate": True, "violence": SAFE}}, ""),
        ("ResponsibleAIPolicyViolation", ""),
        (None, ""),
    ],
)
def test_a_filtered_prompt_names_what_the_filter_found(
    server: Loopback, connect: Connect, inner: object, named: str
) -> None:
    refusal = fails(400, REFUSED, code="content_filter", param="prompt", innererror=inner)
    server.then(refusal)
    error = fault(connect())
    assert isinstance(error, ContentFilterError)
    assert error.status == 6
    assert not error.retryable
    assert error.text.endswith(f"refused the prompt{named}.")
    assert error.hint
    assert len(server.requests) == 1


def test_a_missing_deployment_is_named(server: Loopback, connect: Connect) -> None:
    words = "The API deployment for this resource does not exist."
    server.then(fails(404, words, code="DeploymentNotFound"))
    error = fault(connect(gpt_4="my-four"), a_request(model="gpt-4"))
    assert isinstance(error, RequestRefusedError)
    assert "'my-four'" in error.text
    assert words in error.text
