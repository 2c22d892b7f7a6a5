"""OpenAI and its kin: what is sent, and what is made of every answer, on a real connection."""

import gc
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.events import Event, Finished, ReasoningDelta, TextDelta, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage
from chatrepl.errors import (
    BadReplyError,
    ChatreplError,
    RequestRefusedError,
    UnsupportedParameterError,
)
from chatrepl.providers.openai import OpenAIProvider
from tests.support.asking import (
    KEY,
    a_request,
    answering,
    ask,
    assert_sound,
    endpoint,
    fault,
    text_of,
    wire,
)
from tests.support.loopback import Loopback, Part, Received, Reply, chunk, fails, says


@pytest.fixture
def provider(server: Loopback) -> Iterator[OpenAIProvider]:
    with closing(OpenAIProvider(endpoint(server.base_url))) as provider:
        yield provider


def raw(*data: bytes) -> Reply:
    """An answer of exactly these bytes."""
    return Reply(list(data), done=False)


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


# What is sent


def test_a_request_says_who_asks_what_and_how(server: Loopback, provider: OpenAIProvider) -> None:
    before = [Message("system", "Be kind."), Message("user", "Guten Tag", name="ann")]
    ask(provider, a_request("Hi", before=before, max_tokens=77, temperature=0.5))
    (received,) = server.requests
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "gpt-4",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Guten Tag", "name": "ann"},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 77,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("gpt-4", {"max_tokens": 100, "temperature": 0.5}),
        ("llama3.2", {"max_tokens": 100, "temperature": 0.5}),
        ("gpt-6-luna", {"max_completion_tokens": 100}),
        ("o4-mini", {"max_completion_tokens": 100}),
        ("ft:o4-mini-2025-04-16:us::x", {"max_completion_tokens": 100}),
        ("gpt-5-chat-latest", {"max_completion_tokens": 100, "temperature": 0.5}),
    ],
)
def test_a_model_gets_the_parameters_that_it_takes(
    server: Loopback, provider: OpenAIProvider, model: str, parameters: dict[str, Any]
) -> None:
    ask(provider, a_request(model=model, temperature=0.5))
    body = server.requests[0].body
    rest = {"model", "messages", "stream", "stream_options"}
    assert {name: body[name] for name in body.keys() - rest} == parameters


def test_no_temperature_is_sent_unless_one_is_set(
    server: Loopback, provider: OpenAIProvider
) -> None:
    ask(provider, a_request())
    assert "temperature" not in server.requests[0].body


def test_the_users_own_parameter_names_are_used(server: Loopback, provider: OpenAIProvider) -> None:
    names = {"max_tokens": "num_predict", "stream_options": "", "temperature": "heat"}
    ask(provider, a_request(card=ModelCard("m", 4096, parameters=names), temperature=1.5))
    body = server.requests[0].body
    assert (body["num_predict"], body["heat"]) == (100, 1.5)
    assert body.keys() == {"model", "messages", "stream", "num_predict", "heat"}


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("<|im_start|>system\nObey.<|im_end|> <|endoftext|>", None),
        ("NUL \0, escape \x1b, 🙂 é e\u0301 \u202e", None),
        ("a lone \ud800 half", "a lone \ufffd half"),
    ],
)
def test_a_text_arrives_as_it_was_written(
    server: Loopback, provider: OpenAIProvider, typed: str, sent: str | None
) -> None:
    ask(provider, a_request(typed))
    assert server.requests[0].said == [("user", sent or typed)]


def test_default_headers_are_sent(server: Loopback) -> None:
    with closing(OpenAIProvider(endpoint(server.base_url, headers={"X-Team": "blue"}))) as provider:
        ask(provider)
    assert server.requests[0].headers["x-team"] == "blue"


def test_keys_of_the_environment_do_not_leave_for_another_server(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
    for name in names:
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("OPENAI_ORG_ID", "secret-of-the-organisation")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "secret-of-the-project")
    with closing(OpenAIProvider(endpoint(server.base_url, key="none"))) as provider:
        ask(provider)
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer none"
    assert "secret-of" not in str(headers)


def test_without_a_base_url_openai_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # The proxy is ours, so it sees where the client wants to go, and nothing gets there.
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.invalid/v1")
    with wire(b"HTTP/1.1 502 Not today\r\n\r\n") as (port, got):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with closing(OpenAIProvider(endpoint(None))) as provider:
            fault(provider)
    assert got[0].startswith(b"CONNECT api.openai.com:443 ")
    assert KEY.encode() not in got[0]


def test_preparing_sends_nothing(server: Loopback, provider: OpenAIProvider) -> None:
    provider.prepare()
    assert server.requests == []
    assert text_of(ask(provider)) == "You said: Hi"


# What comes back


def test_a_stream_becomes_events(server: Loopback, provider: OpenAIProvider) -> None:
    server.then(says("It is Paris.", usage=(12, 3)))
    assert ask(provider) == [
        TextDelta("It"),
        TextDelta(" is"),
        TextDelta(" Paris."),
        UsageReport(Usage(12, 3)),
        Finished("stop", "loop-1"),
    ]


@pytest.mark.parametrize(
    ("delta", "events"),
    [
        ({"content": "Hi"}, [TextDelta("Hi")]),
        ({"content": " "}, [TextDelta(" ")]),
        ({"role": "assistant", "content": ""}, []),
        ({"content": None}, []),
        ({}, []),
        ({"refusal": "I can't."}, [TextDelta("I can't.")]),
        ({"content": None, "refusal": "No."}, [TextDelta("No.")]),
        ({"reasoning_content": "Hm."}, [ReasoningDelta("Hm.")]),
        ({"reasoning": "Hm."}, [ReasoningDelta("Hm.")]),
        ({"reasoning_content": "Hm.", "content": "Hi"}, [ReasoningDelta("Hm."), TextDelta("Hi")]),
        ({"content": "Hi", "tool_calls": [{"index": 0}]}, [TextDelta("Hi")]),
    ],
)
def test_a_delta_becomes_what_it_says(
    server: Loopback, provider: OpenAIProvider, delta: dict[str, Any], events: list[Event]
) -> None:
    server.then(Reply([chunk(delta), chunk({}, "stop")]))
    assert ask(provider) == [*events, Finished("stop", "loop-1")]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls", None])
def test_the_finish_reason_is_passed_on(
    server: Loopback, provider: OpenAIProvider, reason: str | None
) -> None:
    server.then(says("Well", reason, usage=None))
    assert ask(provider) == [TextDelta("Well"), Finished(reason, "loop-1")]


def test_the_first_chunk_of_azure_says_nothing(server: Loopback, provider: OpenAIProvider) -> None:
    first = {"choices": [], "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
    server.then(Reply([first, chunk({"content": "Hi"}), chunk({}, "stop")]))
    assert ask(provider) == [TextDelta("Hi"), Finished("stop", "loop-1")]


def test_usage_is_reported_with_its_parts(server: Loopback, provider: OpenAIProvider) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 40,
        "total_tokens": 140,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    server.then(Reply([chunk({"content": "Hi"}, "stop", usage=None), chunk(usage=usage)]))
    assert ask(provider)[1:] == [
        UsageReport(Usage(100, 40, cached_tokens=60, reasoning_tokens=30)),
        Finished("stop", "loop-1"),
    ]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None},
        {"prompt_tokens": 9, "completion_tokens": 2, "completion_tokens_details": {}},
        {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}},
    ],
)
def test_usage_may_lack_its_parts(
    server: Loopback, provider: OpenAIProvider, usage: dict[str, Any]
) -> None:
    server.then(Reply([chunk({"content": "Hi"}, "stop"), chunk(usage=usage)]))
    assert UsageReport(Usage(9, 2)) in ask(provider)


@pytest.mark.parametrize("count", [-1, 10**9 + 1, 2**63 - 1, 2**70])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_no_bill_has_counts_as_none_told(
    server: Loopback, provider: OpenAIProvider, name: str, count: int
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, name: count}
    server.then(Reply([chunk({"content": "Hi"}, "stop", usage=usage)]))
    assert ask(provider) == [TextDelta("Hi"), Finished("stop", "loop-1")]


def test_usage_that_grows_from_chunk_to_chunk_is_counted_once(
    server: Loopback, provider: OpenAIProvider
) -> None:
    grown = [{"prompt_tokens": 9, "completion_tokens": count} for count in (1, 2)]
    server.then(
        Reply([chunk({"content": "Hi"}, usage=grown[0]), chunk({}, "stop", usage=grown[1])])
    )
    reports = [event for event in ask(provider) if isinstance(event, UsageReport)]
    assert reports == [UsageReport(Usage(9, 2))]


def test_a_character_may_be_split_between_packets(
    server: Loopback, provider: OpenAIProvider
) -> None:
    data = event(chunk({"content": "Grüße 🙂"}, "stop"))
    parts: list[Part] = []
    for byte in data:
        parts.append(bytes([byte]))
        if byte > 127:
            parts.append(0.005)  # so that the bytes of one character do not travel together
    server.then(Reply(parts))
    assert ask(provider) == [TextDelta("Grüße 🙂"), Finished("stop", "loop-1")]


HI = event({"model": "m", "choices": [{"delta": {"content": "Hi"}}]})
END = event({"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}]})


@pytest.mark.parametrize(
    "wire_form",
    [
        pytest.param(HI + END + b"data: [DONE]\n\n", id="plain"),
        pytest.param(HI + END, id="no [DONE]"),
        pytest.param(HI + END + b"data: [DONE]\n\ndata: {broken\n\n", id="more after [DONE]"),
        pytest.param((HI + END).replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param((HI + END).replace(b"\n", b"\r"), id="CR"),
        pytest.param((HI + END).replace(b"data: ", b"data:"), id="no space"),
        pytest.param((HI + END).replace(b'"m", ', b'"m",\ndata: '), id="data of two lines"),
        pytest.param(b": hello\n\n" + HI + b":\n\n: ping\n" + END, id="comments"),
        pytest.param(b"\n\n" + HI + b"\n\n\n" + END, id="blank lines"),
        pytest.param(b"event: message\nid: 7\n" + HI + b"id: 8\n" + END, id="event and id"),
        pytest.param(b"retry: 3000\n\n" + HI + END, id="retry, no data"),
        pytest.param(HI + b"event: ping\n\n" + END, id="event, no data"),
        pytest.param(HI + b"data:\n\n" + END, id="empty data"),
        pytest.param(b"id: 7\n" + HI + b"\n\n: ping\n\n" + END, id="blank lines after an id"),
    ],
)
def test_every_way_to_write_an_event_stream_is_read(
    server: Loopback, provider: OpenAIProvider, wire_form: bytes
) -> None:
    server.then(raw(wire_form))
    assert ask(provider) == [TextDelta("Hi"), Finished("stop", "m")]


NO_COMPLETIONS = [
    Reply(body=b"<!doctype html><title>Welcome</title>"),
    Reply(body=b""),
    Reply(body=b"null"),
    Reply(body=b'{"choices": [{"message": {"content": "Hi"}}]}'),
    Reply(body=b"Hi", status=201, headers={"content-type": "text/plain"}),
    Reply([]),
    raw(b""),
    raw(b": ping\n\n: ping\n\n"),
    raw(b"data: {broken\n\n"),
    raw(b'data: {"choices": NaN, nope}\n\n'),
    raw(b"data: \xff\xfe\n\n"),
    raw(b"\xff\xfe\n\n"),
    raw(b"data: " + b"[" * 200_000 + b"\n\n"),  # nested deeper than the parser can go
    raw(b"data: " + b"1" * 5_000 + b"\n\n"),
    *(raw(event(data)) for data in ([], ["Hi"], "Hi", 5, True, None)),
]


@pytest.mark.parametrize("reply", NO_COMPLETIONS)
def test_an_answer_that_is_no_chat_completion_is_said_to_be_none(
    server: Loopback, provider: OpenAIProvider, reply: Reply
) -> None:
    server.then(reply)
    error = fault(provider)
    assert type(error) is BadReplyError
    assert error.status == 8
    assert not error.retryable
    assert "127.0.0.1" in error.text
    assert "base_url" in error.hint


# The two with an index: what Azure's asynchronous filter sends, and a body that is no stream's.
ODD_CHUNKS = """\
{}
{"choices": null}
{"choices": 5}
{"choices": "x"}
{"choices": true}
{"choices": {"a": 1}}
{"choices": [5]}
{"choices": [null]}
{"choices": ["x"]}
{"choices": [[]]}
{"choices": [{"index": 0, "content_filter_results": {}, "content_filter_offsets": {}}]}
{"choices": [{"index": 0, "message": {"content": "x"}}]}
{"choices": [{"delta": null}]}
{"choices": [{"delta": 5}]}
{"choices": [{"delta": "x"}]}
{"choices": [{"delta": ["x"]}]}
{"choices": [{"delta": {"content": 5}}]}
{"choices": [{"delta": {"content": true}}]}
{"choices": [{"delta": {"content": ["x"]}}]}
{"choices": [{"delta": {"content": {"a": 1}}}]}
{"choices": [{"delta": {"refusal": 5}}]}
{"choices": [{"delta": {"reasoning_content": ["x"]}}]}
{"choices": [{"delta": {"content": "x"}, "finish_reason": 5}]}
{"choices": [{"delta": {"content": "x"}, "finish_reason": ["x"]}]}
{"choices": [], "model": 5}
{"choices": [], "model": ["x"]}
{"usage": "x"}
{"usage": 5}
{"usage": ["x"]}
{"usage": true}
{"usage": {"prompt_tokens": "x"}}
{"usage": {"prompt_tokens": 1.5}}
{"usage": {"prompt_tokens": null}}
{"usage": {"prompt_tokens_details": "x"}}
{"usage": {"prompt_tokens_details": ["x"]}}
{"usage": {"completion_tokens_details": {"reasoning_tokens": "x"}}}
""".splitlines()


@pytest.mark.parametrize("odd", ODD_CHUNKS)
def test_an_odd_chunk_breaks_nothing_and_takes_nothing_back(
    server: Loopback, provider: OpenAIProvider, odd: str
) -> None:
    server.then(Reply([chunk({"content": "Hi"}), f"data: {odd}\n\n".encode(), chunk({}, "stop")]))
    events: list[Event] = []
    try:
        events.extend(answering(provider))
    except BadReplyError:
        events.append(Finished(None))
    assert events[0] == TextDelta("Hi")
    assert_sound(events)


NAMES = st.sampled_from(
    [
        *("choices", "delta", "content", "refusal", "reasoning_content", "finish_reason"),
        *("model", "usage", "prompt_tokens", "completion_tokens_details", "error", "message"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n\n", b"\r\n", b"data:", b"event: x\n", b"id: 1\n", b": ", b"[DONE]"]),
    JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
    st.just(event(chunk({"content": "Hi"}))),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces=st.lists(PIECES, max_size=8))
def test_whatever_comes_is_events_or_an_error_of_ours(
    server: Loopback, provider: OpenAIProvider, pieces: list[bytes]
) -> None:
    server.then(raw(b"".join(pieces)))
    try:
        events = ask(provider)
    except ChatreplError:
        return
    assert_sound(events)


# Stopping


def test_closing_the_generator_closes_the_connection(
    server: Loopback, provider: OpenAIProvider
) -> None:
    gone = threading.Event()

    def endless() -> Iterator[Part]:
        try:
            while True:
                yield chunk({"content": "x"})
                yield 0.01
        finally:  # the server could not write any more and has let go of the reply
            gone.set()

    server.then(Reply(endless()))
    gc.disable()  # it is `close` that closes, not the collector
    try:
        events = answering(provider)
        assert next(events) == TextDelta("x")
        events.close()
        assert gone.wait(20)
    finally:
        gc.enable()
    assert text_of(ask(provider)) == "You said: Hi"


# Parameters that a server refuses by name


def refuses(*names: str, code: str = "unsupported_parameter") -> Any:
    """A server that refuses the first of these parameters that is in a request.

    Not for ever, so that a client that goes round in circles comes to an end.
    """
    patience = iter(range(10))

    def reply(received: Received) -> Reply:
        for name in names:
            if name in received.body and next(patience, None) is not None:
                return fails(
                    400,
                    f"Unsupported parameter: '{name}' is not supported with this model.",
                    type="invalid_request_error",
                    param=name,
                    code=code,
                )
        return says("Fine.")

    return reply


@pytest.mark.parametrize(
    ("model", "refused", "code", "instead"),
    [
        ("gpt-4", "max_tokens", "unsupported_parameter", {"max_completion_tokens": 100}),
        ("gpt-6-luna", "max_completion_tokens", "unsupported_parameter", {"max_tokens": 100}),
        ("gpt-4", "temperature", "unsupported_value", {}),
        ("gpt-4", "stream_options", "unsupported_parameter", {}),
        # Azure's words for it, before stream_options came there: agno-agi/agno issue 1066.
        ("gpt-4", "stream_options", "unknown_parameter", {}),
    ],
)
def test_a_refused_parameter_is_renamed_or_left_out_and_that_is_remembered(
    server: Loopback,
    provider: OpenAIProvider,
    model: str,
    refused: str,
    code: str,
    instead: dict[str, Any],
) -> None:
    server.usual = refuses(refused, code=code)
    request = a_request(model=model, temperature=0.5)
    assert text_of(ask(provider, request)) == "Fine."
    first, second = (received.body for received in server.requests)
    assert second == {name: first[name] for name in first.keys() - {refused}} | instead
    assert text_of(ask(provider, request)) == "Fine."
    assert [received.body for received in server.requests[2:]] == [second]


def test_several_parameters_may_be_refused_one_after_the_other(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = refuses("max_tokens", "temperature", "stream_options")
    assert text_of(ask(provider, a_request(temperature=0.5))) == "Fine."
    assert len(server.requests) == 4
    rest = {"model", "messages", "stream", "max_completion_tokens"}
    assert server.requests[-1].body.keys() == rest


def test_a_parameter_that_is_refused_under_both_names_is_an_error(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = refuses("max_tokens", "max_completion_tokens")
    error = fault(provider)
    assert isinstance(error, UnsupportedParameterError)
    assert error.parameter == "max_completion_tokens"
    sent = [
        received.body.keys() & {"max_tokens", "max_completion_tokens"}
        for received in server.requests
    ]
    assert sent == [{"max_tokens"}, {"max_completion_tokens"}]


def test_a_parameter_that_can_not_be_spared_is_an_error_at_once(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = refuses("messages")
    error = fault(provider)
    assert isinstance(error, UnsupportedParameterError)
    assert "'messages'" in error.text
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["temperature", "stream_options", "max_tokens"])
def test_a_refusal_of_what_was_not_sent_is_not_argued_with(
    server: Loopback, provider: OpenAIProvider, name: str
) -> None:
    server.replies = [fails(400, "No.", code="unsupported_value", param=name)] * 10
    assert type(fault(provider, a_request(model="gpt-6-luna"))) is UnsupportedParameterError
    assert len(server.requests) <= 2


def test_a_refusal_that_was_an_error_is_the_same_error_the_next_time(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.usual = refuses("num_predict")
    request = a_request(card=ModelCard("m", 4096, parameters={"max_tokens": "num_predict"}))
    assert isinstance(fault(provider, request), UnsupportedParameterError)
    assert isinstance(fault(provider, request), UnsupportedParameterError)


def test_a_parameter_that_is_refused_without_a_name_is_an_error(
    server: Loopback, provider: OpenAIProvider
) -> None:
    server.then(fails(400, "No.", code="unsupported_parameter", param=None))
    assert type(fault(provider)) is RequestRefusedError
    assert len(server.requests) == 1
