"""OpenAI, and every server that speaks its Chat Completions API."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatrepl.chat.catalogue import Served
from chatrepl.chat.events import Answering, Event
from chatrepl.chat.ports import Request
from chatrepl.errors import (
    BadReplyError,
    ChatreplError,
    ConnectionFailedError,
    RequestRefusedError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from chatrepl.providers.chunks import chunk_stream, read_chunks
from chatrepl.providers.endpoint import CHECK_URL, OPENAI_URL, Endpoint, is_loopback, is_nearby
from chatrepl.providers.formats import RESPONSE_FORMAT, fit_format, refused_format
from chatrepl.providers.line import current
from chatrepl.providers.listing import find, read_listing, read_ollama

if TYPE_CHECKING:
    import httpx2
    import openai

    from chatrepl.providers.wires import Wires

_SMALL_WAIT = 5.0  # seconds

_IDLE = 60.0
"""Seconds that a connection is kept for the next request: the time in which a person types."""

# What to send instead of a parameter that a server refuses by name; "" is nothing.
_SUBSTITUTES = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "",
    "stream_options": "",
}


_NAMED = frozenset({"temperature", "top_p", "seed", "stop", "reasoning_effort"})
"""Parameters that are settings of their own; what else the user sends is in extra_body."""


class OpenAIProvider:
    """Asks an OpenAI-compatible server.

    It `opens_early`, before there is a request, unless the server is on this machine: there that
    gains nothing, and small servers do not all know what HEAD is.
    """

    goes_on = False  # OpenAI's models answer their own last message; of others it is not known

    def __init__(self, endpoint: Endpoint, *, opens_early: bool | None = None) -> None:
        self.endpoint = endpoint
        is_far = not is_loopback(endpoint.base_url)
        self._opens_early = is_far if opens_early is None else opens_early
        self._client: openai.OpenAI | None = None
        self._http: httpx2.Client | None = None
        self._wires: Wires | None = None
        self._connecting = threading.Lock()  # a background thread prepares it
        self._closed = False
        self._listing: tuple[Served, ...] | None = None
        self._refused: set[str] = set()  # parameters that the server refused by name in this run
        self._refused_forms: set[str] = set()  # of response_format

    @property
    def name(self) -> str:
        """Give the provider's name in the settings."""
        return self.endpoint.name

    def prepare(self) -> None:
        """Import the client, build it and open a connection: the first request does not wait.

        The server is asked for nothing, and without the key.
        """
        self._connected()
        assert self._http is not None
        if not self._opens_early:
            return
        with suppress(Exception):  # whatever it is, a real request will tell
            self._http.head(
                self.endpoint.base_url or OPENAI_URL, timeout=_SMALL_WAIT, follow_redirects=False
            )

    def served(self) -> Sequence[Served]:
        """List the models that the server offers; it is asked once."""
        if self._listing is None:
            self._listing = tuple(read_listing(self._get("/models")))
        return self._listing

    def look_up(self, model: str) -> Served | None:
        """Find what the server knows of a model, in its list or in Ollama's own way."""
        found = find(model, self.served())
        if (found is None or found.context_window) or not is_nearby(self.endpoint.base_url):
            return found
        root = (self.endpoint.base_url or "").rstrip("/").removesuffix("/v1")
        shown: object = None
        running: object = {}
        with suppress(ChatreplError):  # most servers are no Ollama
            shown = self._get(f"{root}/api/show", {"model": model})
            running = self._get(f"{root}/api/ps")
        return read_ollama(model, shown, running) or found

    def stream(self, request: Request) -> Iterator[Event]:
        """Ask the model; a parameter that the server refuses by name is renamed or left out."""
        again = False
        while True:
            try:
                yield from self._stream(request)
            except UnsupportedParameterError as refused:
                if not self._spares(refused.parameter, request):
                    refused.hint = _way_out(refused.parameter, request) or refused.hint
                    raise
            except RequestRefusedError as error:
                error.hint = self._nearest(request.card.name, error) or error.hint
                raise
            except (ConnectionFailedError, StreamInterruptedError) as error:
                if again or not self._was_closed(error):
                    raise
                again = True
            else:
                return

    def _spares(self, name: str, request: Request) -> bool:
        """Whether it asks without a parameter that was refused, or with another in its place."""
        if name == RESPONSE_FORMAT:
            form = refused_format(request.parameters, self._refused_forms)
            self._refused_forms |= {form} - {""}
            return bool(form)
        if name not in _SUBSTITUTES or self._refused & {name, _SUBSTITUTES[name]}:
            return False
        self._refused.add(name)
        return True

    def _nearest(self, model: str, error: ChatreplError) -> str:
        """Name models that there are, if the error is that this one is not there."""
        from chatrepl.providers.faults import is_unknown_model, nearest_models  # noqa: PLC0415

        if not is_unknown_model(error):
            return ""
        with suppress(ChatreplError):  # the first error is the one to tell
            return self.endpoint.hide(nearest_models(model, self.served()))
        return ""

    def close(self) -> None:
        """Close the connections; none is made any more."""
        with self._connecting:
            self._closed = True
            if self._client is not None:
                self._client.close()

    def _was_closed(self, error: ChatreplError) -> bool:
        """Whether a connection kept from before was closed, without a word of an answer.

        Most likely the server closed it just then, and has not seen the request: it goes out
        again on a new one.
        """
        from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second

        line = current.get()
        if self._wires is None or (line is not None and line.is_cut):
            return False
        is_late = isinstance(error.__cause__, openai.APITimeoutError)
        return self._wires.found_closed and not is_late

    def _body(self, request: Request) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "model": self._model(request),
            "messages": [message.as_openai() for message in request.messages],
            "max_tokens": request.max_tokens,
            **request.parameters,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body: dict[str, Any] = {}
        for name, value in request.card.as_sent(parameters).items():
            sent = _SUBSTITUTES[name] if name in self._refused else name
            if sent:
                body[sent] = value
        fit_format(body, self._refused_forms)
        return body

    def _model(self, request: Request) -> str:
        return request.card.name

    def _stream(self, request: Request) -> Iterator[Event]:
        from chatrepl.providers.faults import told  # noqa: PLC0415 - imports the client

        client = self._connected()
        model = self._model(request)
        with self.endpoint.hiding(), told(self.endpoint, model):
            stream = client.post(
                "/chat/completions",
                body=self._body(request),
                options={"follow_redirects": False},
                cast_to=object,  # plain dicts: the typed stream costs six times as much a chunk
                stream=True,
                stream_cls=chunk_stream(),
            )
        with self.endpoint.hiding(), told(self.endpoint, model, reading=True), stream:
            yield Answering()
            yield from read_chunks(stream, self.endpoint.server)
            with suppress(Exception):  # the reply is whole; the rest is for the connection
                deque(stream, maxlen=0)

    def _get(self, path: str, body: dict[str, Any] | None = None) -> object:
        """Ask something small, which is not worth a long wait: GET, or POST with a body."""
        from chatrepl.providers.faults import told  # noqa: PLC0415 - imports the client

        client = self._connected()
        wait = min(_SMALL_WAIT, self.endpoint.timeout)
        options: Any = {"timeout": wait, "follow_redirects": False}
        with self.endpoint.hiding(), told(replace(self.endpoint, timeout=wait)):
            try:
                if body is None:
                    return client.get(path, cast_to=object, options=options)
                return client.post(path, body=body, cast_to=object, options=options)
            except (ValueError, RecursionError) as error:
                raise BadReplyError(f"{self.endpoint.server} sent no JSON.", CHECK_URL) from error

    def _connected(self) -> "openai.OpenAI":
        with self._connecting:
            if self._client is None:
                if self._closed:
                    text = f"The connection to {self.endpoint.server} has been closed."
                    raise ConnectionFailedError(text)
                from chatrepl.providers.faults import building  # noqa: PLC0415
                from chatrepl.providers.wires import Wires  # noqa: PLC0415

                self.endpoint.check()
                with self.endpoint.hiding(), building(self.endpoint):
                    self._http = _http_client(self.endpoint)
                    self._wires = Wires()
                    self._wires.watch(self._http)
                    self._client = self._connect(http_client=self._http, **_options(self.endpoint))
                if self.name != "openai":
                    # They come from OPENAI_ORG_ID and OPENAI_PROJECT_ID, whoever is asked.
                    self._client.organization = self._client.project = None
            return self._client

    def _connect(self, **options: Any) -> "openai.OpenAI":
        from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second

        return openai.OpenAI(
            api_key=self.endpoint.api_key,
            base_url=self.endpoint.base_url or OPENAI_URL,
            **options,
        )


def _way_out(name: str, request: Request) -> str:
    """Say how to be rid of a refused parameter, if it is one that the user has set."""
    names = {request.card.parameters.get(each, each): each for each in request.parameters}
    setting = names.get(name) or names.get(name.partition(".")[0])
    if setting is None:
        return ""
    rename = ', or rename it under [models."NAME"] parameters' if setting in _NAMED else ""
    where = setting if setting in _NAMED else f"extra_body.{setting}"
    return f"{where} is set by a flag, /set, the persona or the config file: leave it out{rename}."


def _options(endpoint: Endpoint) -> dict[str, Any]:
    """Give the arguments that every kind of client takes.

    The client does not retry by itself: `RetryingProvider` does, and shows it.
    """
    return {
        "max_retries": 0,
        "timeout": _timeout(endpoint),
        "default_headers": dict(endpoint.headers),
    }


def _http_client(endpoint: Endpoint) -> "httpx2.Client":
    """Build what carries the requests; its connections stay open for a while."""
    import httpx2  # noqa: PLC0415 - a part of the client

    from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second
    from chatrepl.providers.showing import hooks_for  # noqa: PLC0415 - imports the client

    # No proxy has a place on the way to this machine.
    return openai.DefaultHttpxClient(
        trust_env=not is_loopback(endpoint.base_url),
        verify=httpx2.create_ssl_context(),  # SSL_CERT_FILE holds there too
        limits=httpx2.Limits(keepalive_expiry=_IDLE),
        event_hooks=hooks_for(endpoint),
    )


def _timeout(endpoint: Endpoint) -> "openai.Timeout":
    from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second

    return openai.Timeout(endpoint.timeout, connect=min(10.0, endpoint.timeout))
