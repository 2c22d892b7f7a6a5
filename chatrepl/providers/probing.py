"""Asking a server as little as will tell whether it can be talked to, and what is wrong if not."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from chatrepl.chat.catalogue import ModelCard, Served
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import (
    AuthenticationError,
    BadReplyError,
    ChatreplError,
    ConnectionFailedError,
    ContentFilterError,
    ContextOverflowError,
    RequestRefusedError,
    SettingsError,
)
from chatrepl.providers.azure import AzureProvider
from chatrepl.providers.endpoint import is_loopback
from chatrepl.providers.faults import is_unknown_model
from chatrepl.providers.lean import openai
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.waiting import WaitingProvider

Part = Literal["proxy", "tls", "endpoint", "key", "api-version", "model"]
"""What may be at fault on the way to a reply."""

_KNOCK = 5.0  # seconds for a proxy to take the connection
_PATIENCE = 30.0  # seconds of silence before a reply of one token

# Azure names its api-versions in a 400: "API version not supported", "Model o1 is enabled only for
# api versions 2024-12-01-preview and later". A 404 "Resource not found" is a version, too, that
# does not have the operation (openai-python #362), or an address that is none.
_API_VERSION = re.compile(r"api[- ]?version", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"deployment.{0,40}(does not exist|not found)", re.IGNORECASE)
_TOO_SHORT = re.compile(r"max_tokens|max_completion_tokens|output limit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Probed:
    """What has come of asking a server.

    `asked` says what it was asked. `error` is what went wrong with which `part`, unless nothing
    did; `answered` whether the server has answered at all, `lists` whether it was to list its
    models and did. `ahead` is how many seconds its clock is ahead of this machine's, None if it
    did not tell the time.
    """

    asked: str
    error: ChatreplError | None = None
    part: Part | None = None
    answered: bool = False
    ahead: float | None = None
    lists: bool = False


def probe(provider: OpenAIProvider, card: ModelCard) -> Probed:
    """Ask for the list of models; where that does not tell, for a reply of one token."""
    ahead: list[float | None] = []
    endpoint = provider.endpoint
    provider.endpoint = replace(
        endpoint,
        timeout=min(_PATIENCE, endpoint.timeout),
        heard=lambda headers: ahead.append(_seconds_ahead(headers)),
    )
    patient = WaitingProvider(provider, _PATIENCE, server=endpoint.server)
    asked, served = "", None
    error: ChatreplError | None = None
    part: Part | None = None
    try:
        if not isinstance(provider, AzureProvider):  # a resource does not list its deployments
            asked = "GET /models"
            served = _served(patient)
        if not {card.name, f"{card.name}:latest"} & {one.name for one in served or ()}:
            asked = "a reply of one token"
            ask_for_little(patient, card)
    except ChatreplError as failure:
        error, part = failure, _part_of(failure, provider, lists=served is not None)
    told = next((seconds for seconds in ahead if seconds is not None), None)
    return Probed(asked, error, part, bool(ahead), told, lists=bool(served))


def ask_for_little(provider: Provider, card: ModelCard) -> None:
    """Ask for a reply of one token. Raises ChatreplError, but not for the reply's shortness."""
    try:
        for _ in provider.stream(Request(card, (Message("user", "Hi"),), 1)):
            pass
    except (ContentFilterError, ContextOverflowError):
        return  # it is there, and has looked at the message
    except RequestRefusedError as error:
        if is_unknown_model(error) or not _TOO_SHORT.search(error.text):
            raise


def proxy_of(url: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Give the proxy that is on the way to a URL, and the variable that names it.

    Without a variable it is the system's. None: the server is spoken to directly.
    """
    parts, proxies = urlsplit(url), getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if is_loopback(url) or not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    kinds = (f"{parts.scheme}_proxy", "all_proxy")
    names = [name for kind in kinds for name in (kind, kind.upper())]
    origin = next((name for name in names if environment.get(name) == found), "the system")
    return (found if "://" in found else f"http://{found}"), origin


def knock(proxy: str) -> None:
    """Connect to a proxy and leave. Raises ConnectionFailedError."""
    try:
        parts = urlsplit(proxy)
        usual = {"https": 443, "http": 80}.get(parts.scheme, 1080)
        socket.create_connection((parts.hostname or "", parts.port or usual), _KNOCK).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConnectionFailedError(f"No connection to the proxy {proxy}: {why}.") from error


def _served(provider: Provider) -> list[Served] | None:
    """List the models; None if the server does not do that."""
    try:
        return list(provider.served())
    except (BadReplyError, RequestRefusedError):
        return None


def _part_of(error: ChatreplError, provider: OpenAIProvider, *, lists: bool) -> Part:
    """Say what an error is about; `lists` says that the server has listed its models."""
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return "tls"
    if any(isinstance(cause, httpx2.ProxyError) for cause in _causes(error)):
        return "proxy"
    if isinstance(error, SettingsError):  # no client could be built
        if isinstance(error.__cause__, OSError):
            return "tls"
        if error.__cause__ is not None:
            return "proxy" if "PROXY" in error.hint else "endpoint"
        return "key" if error.text.startswith("The key") else "endpoint"
    if isinstance(error, AuthenticationError):
        return "key"
    if isinstance(error, RequestRefusedError):
        return _refused_part(error, provider, lists=lists)
    return "endpoint"


def _refused_part(error: ChatreplError, provider: OpenAIProvider, *, lists: bool) -> Part:
    is_missing, code = is_unknown_model(error), _code_of(error)
    if not isinstance(provider, AzureProvider):
        known = lists or not is_missing or code == "model_not_found" or "model `" in error.text
        return "model" if known else "endpoint"
    if code == "DeploymentNotFound" or (is_missing and _DEPLOYMENT.search(error.text)):
        return "model"
    if _API_VERSION.search(error.text):
        return "api-version"
    if not is_missing:
        return "model"
    has_path = urlsplit(provider.endpoint.base_url or "").path.strip("/")
    return "endpoint" if has_path else "api-version"


def _code_of(error: ChatreplError) -> object:
    cause = error.__cause__
    return cause.code if isinstance(cause, openai.APIStatusError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _seconds_ahead(headers: Mapping[str, str]) -> float | None:
    """Compare the header Date, which is in whole seconds, to this machine's clock."""
    try:
        then = parsedate_to_datetime(headers.get("date", ""))
        then = then if then.tzinfo else then.replace(tzinfo=UTC)  # it is to be GMT
        return (then - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
