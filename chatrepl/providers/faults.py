"""What the openai client raises, told in our own tree of errors."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

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

_WINDOW = re.compile(r"(?:maximum context length is|context size \()\s*([\d,]+)")
_PROMPT = re.compile(r"([\d,]+) in the messages|resulted in ([\d,]+) tokens|request \(([\d,]+) ")


@contextmanager
def told(server: str, model: str, key_hint: str) -> Iterator[None]:
    """Turn every exception of the client into one of ours.

    `server` names the server in messages, `key_hint` says where its key is set.
    """
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, server, model, key_hint) from error
    except openai.APITimeoutError as error:
        text = f"{server} sent nothing for too long."
        raise StreamInterruptedError(text, "Try again, or raise the provider's timeout.") from error
    except openai.APIConnectionError as error:
        raise _of_connection(error, server) from error
    except openai.APIError as error:  # an error object inside the stream
        raise _of_stream(error, server) from error
    except (ValueError, RecursionError, httpx2.StreamError) as error:  # no JSON, no UTF-8, …
        text = f"{server} sent an event that is no chat completion: {one_line(error)}"
        raise BadReplyError(text, "Check base_url: it must be an OpenAI-compatible API.") from error


def one_line(said: object, limit: int = 300) -> str:
    """Give what a server said as one line of bounded length."""
    line = " ".join(str(said).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _of_connection(error: openai.APIConnectionError, server: str) -> ChatreplError:
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        following = cause.__cause__ or cause.__context__
        assert following is not None
        cause = following
        if isinstance(cause, ssl.SSLError):
            return ConnectionFailedError(
                f"No secure connection to {server}: {one_line(cause)}",
                "For a company's own certificate authority, set SSL_CERT_FILE.",
            )
    if isinstance(error.__cause__, httpx2.ReadError | httpx2.RemoteProtocolError):
        return StreamInterruptedError(
            f"{server} closed the connection: {one_line(cause)}", "Try again."
        )
    return ConnectionFailedError(
        f"No connection to {server}: {one_line(cause) or type(cause).__name__}",
        "Check the network, base_url and the proxy variables (HTTPS_PROXY, NO_PROXY).",
    )


def _of_stream(error: openai.APIError, server: str) -> ChatreplError:
    said = error.body if isinstance(error.body, Mapping) else {}
    if is_overflow(said):
        return _overflow(said, server)
    return StreamInterruptedError(
        f"{server} broke off with an error: {one_line(error.message)}", "Try again."
    )


def _of_status(
    error: openai.APIStatusError, server: str, model: str, key_hint: str
) -> ChatreplError:
    said: Mapping[str, Any] = error.body if isinstance(error.body, Mapping) else {}
    words = one_line(said.get("message") or "no reason given")
    match error.status_code:
        case 401:
            return AuthenticationError(f"{server} did not accept the key: {words}", key_hint)
        case 403:
            return AuthenticationError(f"{server} refused access: {words}", key_hint)
        case 429:
            return _of_429(error, said, server, words)
        case 404:
            return RequestRefusedError(
                f"{server} does not know the model '{model}', or base_url is wrong: {words}",
                "Set another model with -m, or check base_url (it usually ends in /v1).",
            )
        case 400 | 413 | 422:
            return _of_400(said, server, words)
        case status if status >= 500 or status in {408, 409}:
            text = f"{server} failed with status {status}: {words}"
            after = _retry_after(error.response.headers)
            return ServerError(text, "Try again in a moment.", retry_after=after)
        case status:
            text = f"{server} answered with status {status}: {words}"
            return BadReplyError(text, "Check base_url: it must be an OpenAI-compatible API.")


def _of_429(
    error: openai.APIStatusError, said: Mapping[str, Any], server: str, words: str
) -> ChatreplError:
    if "insufficient_quota" in {said.get("code"), said.get("type")}:
        return QuotaError(f"The quota at {server} is used up: {words}", "Check plan and billing.")
    after = _retry_after(error.response.headers)
    return RateLimitError(
        f"{server} limits the rate: {words}", "Wait a little, then try again.", retry_after=after
    )


def _of_400(said: Mapping[str, Any], server: str, words: str) -> ChatreplError:
    code, parameter = said.get("code"), said.get("param")
    if is_overflow(said):
        return _overflow(said, server)
    if code == "content_filter":
        categories = ", ".join(filtered_categories(said.get("innererror")))
        return ContentFilterError(
            f"The content filter of {server} refused the prompt"
            f"{f' ({categories})' if categories else ''}.",
            "Say it in other words.",
        )
    if code in {"unsupported_parameter", "unsupported_value"} and isinstance(parameter, str):
        return UnsupportedParameterError(
            f"{server} does not take the parameter '{parameter}': {words}",
            'Leave it out, or rename it under [models."NAME"] parameters.',
            parameter=parameter,
        )
    return RequestRefusedError(f"{server} refused the request: {words}")


def is_overflow(said: Mapping[str, Any]) -> bool:
    """Tell whether an error object says that the prompt exceeds the context window."""
    return (
        said.get("code") == "context_length_exceeded"
        or said.get("type") == "exceed_context_size_error"
        or "maximum context length" in str(said.get("message"))
    )


def _overflow(said: Mapping[str, Any], server: str) -> ContextOverflowError:
    words = str(said.get("message"))
    prompt, window = said.get("n_prompt_tokens"), said.get("n_ctx")
    return ContextOverflowError(
        f"The prompt exceeds the context window of {server}: {one_line(words)}",
        "Shorten the message, or start a new conversation with /clear.",
        prompt_tokens=prompt if isinstance(prompt, int) else _number(_PROMPT, words),
        context_window=window if isinstance(window, int) else _number(_WINDOW, words),
    )


def _number(pattern: re.Pattern[str], words: str) -> int | None:
    found = pattern.search(words)
    if found is None:
        return None
    digits = next(group for group in found.groups() if group)
    return int(digits.replace(",", ""))


def filtered_categories(results: object) -> list[str]:
    """Name the categories that Azure's content filter acted on."""
    if not isinstance(results, Mapping):
        return []
    inner = results.get("content_filter_result") or results.get("content_filter_results") or results
    if not isinstance(inner, Mapping):
        return []
    return [
        str(category)
        for category, verdict in inner.items()
        if isinstance(verdict, Mapping) and (verdict.get("filtered") or verdict.get("detected"))
    ]


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Read the wait that a server asks for, in seconds: `retry-after-ms`, then `Retry-After`."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
    return None
