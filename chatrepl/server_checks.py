"""Checking who answers over the network: the key, the way to the server, and what it says."""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from chatrepl.connecting import Connector, FoundKey, card_of, misses_key
from chatrepl.errors import (
    AuthenticationError,
    ChatreplError,
    ConnectionFailedError,
    RequestRefusedError,
    SettingsError,
)
from chatrepl.findings import Finding, ok, skipped, wrong
from chatrepl.providers.azure import DEFAULT_API_VERSION
from chatrepl.providers.endpoint import OPENAI_URL
from chatrepl.providers.faults import is_unknown_model
from chatrepl.providers.probing import Probed, knock, probe, proxy_of
from chatrepl.settings import Settings

_CLOCK = 300.0
"""Seconds that two clocks may differ by: what logins commonly allow for."""

_VERSION_LAST = re.compile(r"/v\d+\w*/?$")

_OUT_OF_DATE = {9, 10}
"""OpenSSL's numbers for a certificate that is not valid yet, and for one that has expired."""


def check_server(
    settings: Settings, connector: Connector, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Check the key, the endpoint, the way to it, the model there and the clock."""
    found = FoundKey("", "")
    key: Finding | None = None
    try:
        found = connector.find_key(settings)
        if not found.key and misses_key(settings):
            text = f"There is no key for the provider '{settings.provider}'."
            raise SettingsError(text, found.hint)
    except ChatreplError as error:
        key = wrong("key", error)
    url = settings.server.base_url or (OPENAI_URL if settings.kind == "openai" else "")
    proxy = proxy_of(url, environment)
    if proxy is not None:
        try:
            knock(proxy[0])
        except ChatreplError as error:
            probed = Probed("", error, "proxy")
            yield from _Server(settings, environment, url, found, key, proxy, probed).findings()
            return
    try:
        probed = probe(connector.speaker(settings, found), card_of(settings))
    except ChatreplError as error:  # the settings are not enough to ask at all
        probed = Probed("", error, "endpoint")
    yield from _Server(settings, environment, url, found, key, proxy, probed).findings()


@dataclass(frozen=True, slots=True)
class _Server:
    """What is known of a server: how it was to be asked, and what came of that.

    `key` is what was wrong with the key before anything was asked, `proxy` the one on the way to
    `url` and where it is named.
    """

    settings: Settings
    environment: Mapping[str, str]
    url: str
    found: FoundKey
    key: Finding | None
    proxy: tuple[str, str] | None
    probed: Probed

    def findings(self) -> Iterator[Finding]:
        """Tell them, each on its own."""
        yield self._key()
        yield self._proxy()
        yield self._tls()
        yield self._endpoint()
        if self.settings.kind == "azure":
            yield self._api_version()
        yield self._model()
        yield self._clock()

    @property
    def _error(self) -> ChatreplError:
        assert self.probed.error is not None
        return self.probed.error

    def _key(self) -> Finding:
        if self.key is not None:
            return self.key
        found, error = self.found, self.probed.error
        if self.probed.part == "key":
            if not found.key and isinstance(error, AuthenticationError):
                text = "The server wants a key, and there is none."
                return wrong("key", AuthenticationError(text, found.hint))
            return wrong("key", self._error, origin=found.origin)
        if not found.key:
            asked = ", and none is asked for" if self.probed.answered else ""
            return ok("key", f"none is set{asked}")
        if not self.probed.answered:
            return skipped("key", "was not tried", found.origin)
        return ok("key", "is accepted", found.origin)

    def _endpoint(self) -> Finding:
        origin = self.settings.origins.get("base_url", "default")
        if self.probed.part == "endpoint":
            return wrong("endpoint", self._error, self._endpoint_fix(origin), origin)
        if self.probed.part in {"proxy", "tls"} or not self.probed.answered:
            return skipped("endpoint", f"{self.url}: was not reached", origin)
        return ok("endpoint", f"{self.url}{self._doubt()}", origin)

    def _doubt(self) -> str:
        """Wonder about a server that answers, but perhaps to any address at all."""
        is_usual = _VERSION_LAST.search(urlsplit(self.url).path)
        if self.settings.kind == "azure" or self.probed.error or self.probed.lists or is_usual:
            return ""
        return ": it lists no models; does the address end in /v1?"

    def _endpoint_fix(self, origin: str) -> str:
        parts = urlsplit(self.url)
        if self.settings.kind == "azure" and parts.path.strip("/") and self.probed.answered:
            host = parts.netloc.rpartition("@")[2]
            return f"It is to be the resource's address alone: {parts.scheme}://{host}"
        if not isinstance(self.probed.error, ConnectionFailedError):
            return ""
        if origin == "default":
            return "Check the network of this machine."
        return f"Does a server run there? Check the address in {origin}."

    def _api_version(self) -> Finding:
        version = self.settings.server.api_version or DEFAULT_API_VERSION
        origin = self.settings.origins.get("api_version", "default")
        if self.probed.part == "api-version":
            error = self._error
            text = f"The resource does not answer to the api-version {version}: {_words(error)}"
            fix = f"Set OPENAI_API_VERSION to one that it knows, such as {DEFAULT_API_VERSION}."
            if version == DEFAULT_API_VERSION:
                fix = "Set OPENAI_API_VERSION to one that it knows; the Azure portal shows one."
            if is_unknown_model(error):  # a 404 that does not tell
                fix += f" Or is there no deployment '{self._deployment}'? -m NAME is another."
            return wrong("api-version", RequestRefusedError(text, fix), origin=origin)
        if self.probed.part in {None, "model"}:
            return ok("api-version", version, origin)
        return skipped("api-version", f"{version}: was not tried", origin)

    def _model(self) -> Finding:
        card = card_of(self.settings)
        name, origin = card.name, self.settings.origins.get("model", "default")
        what = "model"
        if self.settings.kind == "azure":
            what = "deployment"
            name = self._deployment
        if self.probed.part == "model":
            return wrong(what, self._error, self._model_fix(what, name), origin)
        if self.probed.error is not None:
            return skipped(what, f"{name}: was not asked", origin)
        asked = self.probed.asked
        how = "the server lists it" if asked.startswith("GET") else f"it was asked for {asked}"
        return ok(what, f"{name}: {how}", origin)

    @property
    def _deployment(self) -> str:
        name = card_of(self.settings).name
        return self.settings.server.deployments.get(name, name)

    def _model_fix(self, what: str, name: str) -> str:
        if what == "model":
            return ""
        return (
            f"'{name}' is to be the name of a deployment, not of a model: -m NAME, or deployments "
            "under [providers.azure]; the Azure portal lists them."
        )

    def _proxy(self) -> Finding:
        if self.proxy is None:
            return ok("proxy", "there is none on the way")
        url, origin = self.proxy
        if self.probed.part == "proxy":
            host = urlsplit(self.url).hostname
            fix = f"Set {origin} to a proxy that works, or unset it; NO_PROXY={host} goes round it."
            if "407" in self._error.text:
                fix = f"Put NAME:PASSWORD@ before the proxy's host in {origin}."
            return wrong("proxy", self._error, fix, origin)
        return ok("proxy", f"{url} takes connections", origin)

    def _tls(self) -> Finding:
        origin = next(
            (name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if self.environment.get(name)), ""
        )
        if self.probed.part == "tls":
            return wrong("tls", self._error, _tls_fix(self._error), origin)
        if urlsplit(self.url).scheme != "https":
            return skipped("tls", "is not used: the address begins with http:")
        if not self.probed.answered:
            return skipped("tls", "was not tried", origin)
        return ok("tls", "the server's certificate is trusted", origin)

    def _clock(self) -> Finding:
        ahead = self.probed.ahead
        if ahead is None:
            return skipped("clock", "no server has told the time")
        if abs(ahead) <= _CLOCK:
            return ok("clock", "agrees with the server's", "the Date of its answer")
        way = "behind" if ahead > 0 else "ahead of"
        text = f"This machine's clock is {_time(abs(ahead))} {way} the server's."
        fix = "Set date and time; certificates and logins fail with a wrong one."
        return wrong("clock", ChatreplError(text, fix), origin="the Date of its answer")


def _tls_fix(error: ChatreplError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in _OUT_OF_DATE:
            now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
            return f"Is the date of this machine right ({now})? If so, the server's owner must act."
        if isinstance(cause, ssl.SSLError) and cause.reason in {
            "WRONG_VERSION_NUMBER",
            "RECORD_LAYER_FAILURE",
        }:
            return "Does the server speak https at all? Else its address begins with http:"
        cause = cause.__cause__ or cause.__context__
    return ""


def _words(error: ChatreplError) -> str:
    """Give what the server itself has said, behind our own words."""
    return error.text.partition(": ")[2] or error.text


def _time(seconds: float) -> str:
    """Say a time.

    >>> _time(400), _time(7_260), _time(200_000)
    ('7 minutes', '2 hours', '2 days')
    """
    for size, unit in ((86_400, "days"), (3_600, "hours")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds / 60:,.0f} minutes"
