"""Asking a provider one thing, what every answer must be like, and a server of raw bytes."""

import re
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from chatrepl.chat.catalogue import ModelCard, card_for
from chatrepl.chat.events import Answering, Event, Finished, ReasoningDelta, TextDelta, UsageReport
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider, Request
from chatrepl.errors import ChatreplError
from chatrepl.providers.endpoint import Endpoint

KEY = "sk-only-the-server-may-see-this"


def endpoint(
    base_url: str | None,
    *,
    key: str = KEY,
    headers: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Endpoint:
    return Endpoint("loop", key, "Check LOOP_KEY.", base_url, headers or {}, timeout)


def a_request(
    text: str = "Hi",
    *,
    model: str = "gpt-4",
    card: ModelCard | None = None,
    before: Sequence[Message] = (),
    max_tokens: int = 100,
    temperature: float | None = None,
    **parameters: Any,
) -> Request:
    messages = (*before, Message("user", text))
    given = {"temperature": temperature, **parameters}
    return Request(card or card_for(model), messages, max_tokens, given)


def ask(provider: Provider, request: Request | None = None) -> list[Event]:
    """Give what is said of an answer, but for that it begins."""
    events = provider.stream(request or a_request())
    return [event for event in events if event != Answering()]


def answering(provider: Provider, request: Request | None = None) -> Generator[Event]:
    """Ask, and wait until the server has begun to answer: the next event is what it says."""
    events = provider.stream(request or a_request())
    assert next(events) == Answering()
    return cast("Generator[Event]", events)


def fault(provider: Provider, request: Request | None = None) -> ChatreplError:
    """The error that a question ends in. None may show the key, or take more than a line."""
    with pytest.raises(ChatreplError) as caught:
        ask(provider, request)
    error = caught.value
    assert KEY not in error.text + error.hint
    assert "\n" not in error.text + error.hint
    assert error.text
    return error


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def assert_sound(events: Sequence[Event]) -> None:
    """Assert what every caller of a provider builds on: the types, and `Finished` at the end."""
    assert [isinstance(event, Finished) for event in events] == [*[False] * (len(events) - 1), True]
    for event in events:
        match event:
            case TextDelta(text) | ReasoningDelta(text):
                assert type(text) is str
                assert text
            case UsageReport(usage):
                prompt = (usage.prompt_tokens, usage.cached_tokens)
                completion = (usage.completion_tokens, usage.reasoning_tokens)
                assert {type(count) for count in prompt + completion} == {int}
            case Finished(reason, model):
                assert reason is None or type(reason) is str
                assert model is None or type(model) is str
            case _:
                pytest.fail(f"a provider has no business saying {event}")


def dead_url() -> str:
    """A URL on loopback at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody vouches for."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"openssl could not make a certificate: {error}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def wire(
    answer: bytes, *, reset: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A TCP server that reads a request, answers with these bytes and hangs up.

    Gives its port and the requests as they came; `reset` hangs up rudely.
    """
    got: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                plain.settimeout(20)
                with plain, suppress(OSError):
                    connection = tls.wrap_socket(plain, server_side=True) if tls else plain
                    with connection:
                        got.append(_whole_request(connection))
                        connection.sendall(answer)
                        if reset:
                            linger = struct.pack("ii", 1, 0)
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], got
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
            thread.join(20)


def _whole_request(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
        head, blank, body = data.partition(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if blank and len(body) >= (int(size[1]) if size else 0):
            break
    return data
