"""What the openai client raises, told in our own tree of errors."""

import difflib
import math
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from chatrepl.chat.catalogue import Served
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
    SettingsError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from chatrepl.installing import install
from chatrepl.providers.endpoint import CHECK_URL, OPENAI_URL, Endpoint
from chatrepl.providers.lean import openai

_MANY = 2_000  # model names to look through

_UNSUPPORTED = {"unsupported_parameter", "unsupported_value", "unknown_parameter"}

# How servers say that they don't do response_format, or not of this type: OpenAI, DeepSeek, Groq,
# LM Studio, Azure. That a schema is at fault is something else.
_NO_FORMAT = re.compile(
    r"(?<!schema for )response[_ ]format\W.{0,80}?"
    r"(not supported|unsupported|not support|unavailable|must be '?json)"
    r"|not support.{0,40}response[_ ]format|unsupported.{0,20}response[_ ]format",
    re.IGNORECASE,
)

# How servers say that a prompt is too long: OpenAI, Azure OpenAI and vLLM in the words of several
# generations, llama.cpp, Ollama (which tells no numbers), LM Studio, TGI and Anthropic.
_OVERFLOW = re.compile(
    r"maximum context length|context length (is|of) only|available context size"
    r"|input (length )?exceeds the context|maximum model length|configured limit of \d"
    r"|prompt is too long|max_new_tokens. must be <=|must have less than \d+ tokens"
    r"|too long to fit into the model|exceeded max context length|exceed context limit"
    r"|greater than the context length|ContextWindowExceeded"
)
_WINDOW = re.compile(
    r"(?:maximum context length (?:is|of) |maximum context length \(|context length (?:is|of) only "
    r"|maximum model length of |configured limit of |context size \(|must be <= |> "
    r"|\(context length |must have less than )(\d+)"
)
_PROMPT = re.compile(
    r"(\d+) (?:tokens )?in (?:the messages|your prompt)|resulted in (\d+)|request \((\d+) tokens"
    r"|(?:has|passed) (\d+) input tokens|length \(?(\d+)\)? (?:is longer|is too long|exceeds)"
    r"|context limit: (\d+)"
    r"|too long: (\d+)|Given: (\d+)"
)


@contextmanager
def building(endpoint: Endpoint) -> Iterator[None]:
    """Tell what is wrong with the settings when a client can't be built of them."""
    try:
        httpx2.URL(endpoint.base_url or OPENAI_URL)
    except (httpx2.InvalidURL, ValueError) as error:
        text = f"base_url of {endpoint.name} is no URL: {_one_line(error)}"
        raise SettingsError(text, "Example: http://localhost:8080/v1") from error
    try:
        yield
    except OSError as error:
        text = f"The certificates for TLS can't be loaded: {_one_line(error)}"
        raise SettingsError(text, "Check SSL_CERT_FILE and SSL_CERT_DIR.") from error
    except ImportError as error:  # its words name another package
        hint = f"Run: {install('socksio')} (or set HTTPS_PROXY and ALL_PROXY to an http proxy)."
        raise SettingsError("A SOCKS proxy needs the package socksio.", hint) from error
    except (ValueError, httpx2.InvalidURL) as error:
        text = f"The proxy can't be used: {_one_line(error)}"
        raise SettingsError(text, "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.") from error


@contextmanager
def told(endpoint: Endpoint, model: str | None = None, *, reading: bool = False) -> Iterator[None]:
    """Turn every exception of the client into one of ours, with the key taken out.

    `model` is the one that is asked, if one is; `reading` says that the answer has begun.
    """
    server = endpoint.server
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, endpoint, model) from error
    except openai.APITimeoutError as error:
        # The client says the same of a connection that was never made.
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            raise _unconnected(server, "no answer in time") from error
        text = f"{server} sent nothing for {endpoint.timeout:g} seconds."
        raise StreamInterruptedError(text, "Try again, or raise the provider's timeout.") from error
    except openai.APIConnectionError as error:
        raise _of_connection(error, server) from error
    except openai.APIError as error:  # an error object inside the stream
        raise _of_stream(error, endpoint) from error
    except (httpx2.InvalidURL, ValueError, RecursionError, httpx2.StreamError) as error:
        if not reading:
            raise _unconnected(server, _one_line(error)) from error
        text = f"{server} sent an event that is no chat completion: {_one_line(error)}"
        raise BadReplyError(text, f"Try again. {CHECK_URL}") from error
    except RuntimeError as error:  # all that the client says once it is closed, by another thread
        raise ConnectionFailedError(f"The connection to {server} has been closed.") from error


def is_unknown_model(error: ChatreplError) -> bool:
    """Whether the server knows no such model, or there is no such page: a 404."""
    return isinstance(error.__cause__, openai.NotFoundError)


def nearest_models(model: str, served: Sequence[Served]) -> str:
    """Name the models that the server does have, the nearest first; "" if that is of no help."""
    shown = (_printable(one.name) for one in served[:_MANY])
    names = {name.lower(): name for name in shown}
    wanted = model.lower()
    if not names or names.get(wanted) == model:
        return ""
    near = difflib.get_close_matches(wanted, names, 1)
    known = [names[name] for name in difflib.get_close_matches(wanted, names, 3, cutoff=0)]
    question = f"Did you mean '{names[near[0]]}'? " if near else "Set another model with -m. "
    return f"{question}Known: {', '.join(known)}{' …' if len(names) > len(known) else ''}"


def _printable(name: str) -> str:
    return _one_line("".join(sign for sign in name if sign.isprintable()), 60)


def _one_line(said: object, limit: int = 300) -> str:
    """Give what somebody said as one line of bounded length."""
    line = " ".join(str(said).split())
    line = re.sub(r"^\[Errno -?\d+\] ", "", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _words(body: object, endpoint: Endpoint) -> str:
    """Find the server's own words in an error body, wherever it put them, without secrets."""
    if isinstance(body, Mapping):
        metadata = body.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, Mapping) else None  # OpenRouter's
        body = body.get("message") or body.get("detail") or body.get("error")
        body = f"{body}: {raw}" if raw else body
    # First hidden, then cut: half a key is still much of it.
    return _one_line(endpoint.hide(str(body or "it gave no reason")))


def _unconnected(server: str, why: str) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"No connection to {server}: {why}.",
        "Check network, base_url and proxy (HTTPS_PROXY, NO_PROXY).",
    )


def _of_connection(error: openai.APIConnectionError, server: str) -> ChatreplError:
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
        if isinstance(cause, ssl.SSLError):
            insecure = ConnectionFailedError(
                f"No secure connection to {server}: {_one_line(cause)}",
                "For a company's own certificate authority, set SSL_CERT_FILE.",
            )
            insecure.retryable = not isinstance(cause, ssl.SSLCertVerificationError)
            return insecure
    broken = (
        httpx2.ReadError | httpx2.WriteError | httpx2.RemoteProtocolError | httpx2.DecodingError
    )
    if isinstance(error.__cause__, broken):
        text = f"{server} closed the connection: {_one_line(cause)}"
        return StreamInterruptedError(text, "Try again.")
    return _unconnected(server, _one_line(cause) or type(cause).__name__)


def _of_stream(error: openai.APIError, endpoint: Endpoint) -> ChatreplError:
    known = _of_code(error.body, endpoint)
    if known is not None:
        return known
    text = f"{endpoint.server} broke off with an error: {_words(error.body, endpoint)}"
    return StreamInterruptedError(text, "Try again.")


def _of_code(body: object, endpoint: Endpoint) -> ChatreplError | None:
    """Recognise an error by what it says of itself, whatever its status."""
    said = body if isinstance(body, Mapping) else {}
    names = [said.get("code"), said.get("type")]
    server, words = endpoint.server, _words(body, endpoint)
    if (
        "context_length_exceeded" in names
        or "exceed_context_size_error" in names
        or _OVERFLOW.search(_plain_numbers(words))
    ):
        return _overflow(said, server, words)
    if "insufficient_quota" in names:
        return QuotaError(f"The quota at {server} is used up: {words}", "Check plan and billing.")
    if "content_filter" in names:
        categories = ", ".join(_filtered(said.get("innererror")))
        acted = f" ({categories})" if categories else ""
        text = f"The content filter of {server} refused the prompt{acted}."
        return ContentFilterError(text, "Say it in other words.")
    return None


def _of_status(
    error: openai.APIStatusError, endpoint: Endpoint, model: str | None
) -> ChatreplError:
    known = _of_code(error.body, endpoint)
    if known is not None:
        return known
    server, words = endpoint.server, _words(error.body, endpoint)
    after = _retry_after(error.response.headers)
    match error.status_code:
        case 401:
            text = f"{server} did not accept the key: {words}"
            return AuthenticationError(text, endpoint.key_hint)
        case 403:
            return AuthenticationError(f"{server} refused access: {words}", endpoint.key_hint)
        case 402:
            return QuotaError(f"{server} wants to be paid: {words}", "Check plan and billing.")
        case 429:
            text = f"{server} limits the rate: {words}"
            wait = f"{after:,.0f} s" if after else "a little"
            return RateLimitError(text, f"Wait {wait}, then try again.", retry_after=after)
        case 404 if model is None:
            text = f"{server} does not list its models, or base_url is wrong: {words}"
            return RequestRefusedError(text, CHECK_URL)
        case 404:
            text = f"{server} does not know the model '{model}', or base_url is wrong: {words}"
            unknown = RequestRefusedError(text, endpoint.model_hint)
            unknown.commands = "/model NAME sets one here."
            return unknown
        case 400 | 413 | 422:
            return _refused(error.body, server, words)
        case 301 | 302 | 303 | 307 | 308:
            to = _one_line(endpoint.hide(error.response.headers.get("location", "elsewhere")))
            # Not followed: the key and the headers are for this server only.
            return BadReplyError(f"{server} redirects to {to}", "Set base_url to the new address.")
        case status if status >= 500 or status in {408, 409}:
            text = f"{server} failed with status {status}: {words}"
            return ServerError(text, "Try again in a moment.", retry_after=after)
        case status:
            return BadReplyError(f"{server} answered with status {status}: {words}", CHECK_URL)


def _refused(body: object, server: str, words: str) -> ChatreplError:
    said = body if isinstance(body, Mapping) else {}
    code, parameter = said.get("code"), said.get("param")
    ours = isinstance(parameter, str) and not parameter.startswith("messages[")
    if _NO_FORMAT.search(words):
        code, parameter, ours = "unsupported_value", "response_format", True
    if isinstance(code, str) and code in _UNSUPPORTED and isinstance(parameter, str) and ours:
        return UnsupportedParameterError(
            f"{server} does not take the parameter '{_one_line(parameter)}': {words}",
            'Leave it out, or rename it under [models."NAME"] parameters.',
            parameter=parameter,
        )
    hint = "Change what it names: a setting of the model, the system message, the last message."
    return RequestRefusedError(f"{server} refused the request: {words}", hint)


def _overflow(said: Mapping[str, Any], server: str, words: str) -> ContextOverflowError:
    prompt, window = said.get("n_prompt_tokens"), said.get("n_ctx")
    error = ContextOverflowError(
        f"The prompt exceeds the context window of {server}: {words}",
        "Shorten the message, or start a new conversation.",
        prompt_tokens=prompt if isinstance(prompt, int) else _number(_PROMPT, words),
        context_window=window if isinstance(window, int) else _number(_WINDOW, words),
    )
    error.commands = "/new starts one."
    return error


def _number(pattern: re.Pattern[str], words: str) -> int | None:
    found = pattern.search(_plain_numbers(words))
    number = next(filter(None, found.groups()), None) if found else None
    return int(number) if number else None


def _plain_numbers(words: str) -> str:
    """Take the commas out of numbers."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", words)


def _filtered(results: object) -> list[str]:
    """Name the categories that Azure's content filter acted on."""
    if not isinstance(results, Mapping):
        return []
    inner = results.get("content_filter_result") or results.get("content_filter_results") or results
    if not isinstance(inner, Mapping):
        return []
    return [
        _one_line(category)
        for category, verdict in inner.items()
        if isinstance(verdict, Mapping) and (verdict.get("filtered") or verdict.get("detected"))
    ]


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Read the wait that a server asks for, in seconds: `retry-after-ms`, then `Retry-After`.

    The latter may be a date too.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        then = parsedate_to_datetime(headers.get("retry-after", ""))
        then = then if then.tzinfo else then.replace(tzinfo=UTC)  # it is to be GMT
        return max(0.0, (then - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
