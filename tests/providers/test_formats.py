"""What is sent besides messages, and what of it a server does not take."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.messages import Message
from chatrepl.chat.schema import read_fields
from chatrepl.errors import RequestRefusedError, UnsupportedParameterError
from chatrepl.providers.openai import OpenAIProvider
from tests.support.asking import a_request, ask, endpoint, fault, text_of
from tests.support.loopback import Loopback, Received, Reply, fails, says

FORM = read_fields("name:str").response_format
SYSTEM = Message("system", "Be kind.")


@pytest.fixture
def provider(server: Loopback) -> Iterator[OpenAIProvider]:
    provider = OpenAIProvider(endpoint(server.base_url))
    yield provider
    provider.close()


def test_the_parameters_are_sent_as_they_are_and_none_is_not(
    server: Loopback, provider: OpenAIProvider
) -> None:
    given: dict[str, Any] = {
        "top_p": 0.5,
        "seed": 0,
        "stop": ["a"],
        "reasoning_effort": "low",
        "min_p": 0.1,
    }
    ask(provider, a_request(**given, user=None))
    sent = server.requests[0].body
    usual = {"model", "messages", "max_tokens", "stream", "stream_options"}
    assert {name: value for name, value in sent.items() if name not in usual} == given


def test_a_parameter_is_renamed_or_left_out_as_the_models_table_says(
    server: Loopback, provider: OpenAIProvider
) -> None:
    card = ModelCard("m", 4096, parameters={"seed": "random_seed", "top_p": ""})
    ask(provider, a_request(card=card, seed=1, top_p=0.5))
    sent = server.requests[0].body
    assert sent["random_seed"] == 1
    assert not sent.keys() & {"seed", "top_p"}


@pytest.mark.parametrize(
    ("name", "given", "hint"),
    [
        ("top_p", {"top_p": 0.5}, "top_p is set by a flag, /set, the persona or the config file"),
        ("random_seed", {"seed": 5}, "seed is set by"),
        ("min_p", {"min_p": 0.1}, "extra_body.min_p is set by"),
        ("reasoning.effort", {"reasoning": {"effort": 1}}, "extra_body.reasoning is set by"),
        ("stream", {"top_p": 0.5}, "Leave it out, or rename it"),
    ],
)
def test_a_parameter_that_is_refused_by_name_is_an_error_that_says_what_set_it(
    server: Loopback, provider: OpenAIProvider, name: str, given: dict[str, Any], hint: str
) -> None:
    server.then(fails(400, f"Unknown: {name}", code="unsupported_parameter", param=name))
    card = ModelCard("m", 4096, parameters={"seed": "random_seed"})
    error = fault(provider, a_request(card=card, **given))
    assert isinstance(error, UnsupportedParameterError)
    assert f"'{name}'" in error.text
    assert error.hint.startswith(hint)
    assert ("rename it" in error.hint) == (not hint.startswith("extra_body"))


# As OpenAI, Azure, DeepSeek, Groq and LM Studio say it.
REFUSALS: list[dict[str, Any]] = [
    {"message": "Unsupported: response_format", "param": "response_format", "code": "CODE"},
    {
        "message": "Invalid parameter: 'response_format' of type 'TYPE' is not supported with "
        "this model. Learn more about supported models at the Structured Outputs guide.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    },
    {"message": "This response_format type is unavailable now", "type": "invalid_request_error"},
    {"message": "This model does not support response format `TYPE`. See the list."},
    {"message": "'response_format.type' must be 'json_schema' or 'text'"},
]


def takes(*types: str | None, refusal: dict[str, Any]) -> Callable[[Received], Reply]:
    """A server that takes these types of response_format; None is without any."""

    def reply(received: Received) -> Reply:
        kind = received.body.get("response_format", {}).get("type")
        if kind in types:
            return says('{"name": "Ada"}')
        code = "unsupported_value" if refusal.get("code") else None
        said = refusal["message"].replace("TYPE", str(kind))
        return fails(400, said, param=refusal.get("param"), code=code)

    return reply


@pytest.mark.parametrize("refusal", REFUSALS)
def test_where_a_schema_is_refused_the_model_is_told_it_in_words_and_that_is_remembered(
    server: Loopback, provider: OpenAIProvider, refusal: dict[str, Any]
) -> None:
    server.usual = takes(None, refusal=refusal)
    request = a_request(before=[SYSTEM], response_format=FORM)
    for _ in range(2):
        assert text_of(ask(provider, request)) == '{"name": "Ada"}'
    kinds = [received.body.get("response_format", {}).get("type") for received in server.requests]
    assert kinds == ["json_schema", "json_object", None, None]
    assert server.requests[0].body["response_format"] == FORM
    plain, *told = [received.said for received in server.requests]
    assert plain == [("system", "Be kind."), ("user", "Hi")]
    for (role, system), *rest in told:
        assert (role, rest) == ("system", [("user", "Hi")])
        assert system.startswith("Be kind.\n\n")
        assert "JSON" in system
        assert '"required": ["name"]' in system


def test_json_object_is_enough_if_it_is_taken_and_a_system_message_is_made_for_it(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = takes("json_object", refusal=REFUSALS[1])
    assert text_of(ask(provider, a_request(response_format=FORM))) == '{"name": "Ada"}'
    assert [role for role, _ in server.requests[-1].said] == ["system", "user"]
    assert len(server.requests) == 2


def test_a_server_that_refuses_without_end_is_an_error(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = takes("nothing", refusal=REFUSALS[0])
    assert isinstance(fault(provider, a_request(response_format=FORM)), UnsupportedParameterError)
    assert len(server.requests) == 3
    refusal = fails(400, "No.", code="unsupported_value", param="temperature")
    server.replies = [refusal, says("Fine.")]
    assert text_of(ask(provider, a_request(temperature=0.5))) == "Fine.", "that is left out as ever"


def test_a_form_of_the_users_own_that_is_refused_is_an_error(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = takes(None, refusal=REFUSALS[1])
    request = a_request(response_format={"type": "json_object"})
    for _ in range(2):
        error = fault(provider, request)
        assert isinstance(error, UnsupportedParameterError)
        assert error.hint.startswith("extra_body.response_format is set by")
    assert len(server.requests) == 2


def test_a_schema_at_fault_is_told_and_not_left_out(
    server: Loopback, provider: OpenAIProvider
) -> None:
    words = "Invalid schema for response_format 'reply': In context=(), 'oneOf' is not supported."
    server.then(fails(400, words, param="response_format", code=None))
    error = fault(provider, a_request(response_format=FORM))
    assert type(error) is RequestRefusedError
    assert "'oneOf'" in error.text
    assert len(server.requests) == 1


def test_a_parameter_may_be_called_as_a_refused_form_is(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = takes("json_object", refusal=REFUSALS[0])
    ask(provider, a_request(response_format=FORM, json_schema=1))
    assert server.requests[-1].body["json_schema"] == 1
