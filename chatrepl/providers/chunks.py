"""Reading a streamed chat completion: server-sent events, chunks, our events."""

import codecs
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec

from chatrepl.chat.events import Event, Finished, ReasoningDelta, TextDelta, UsageReport
from chatrepl.chat.usage import Usage
from chatrepl.errors import BadReplyError
from chatrepl.providers.endpoint import CHECK_URL

if TYPE_CHECKING:
    import openai


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


# No bill has more. Of what is no count, none counts: the tokens are then our own estimate.
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class _Details(msgspec.Struct):
    cached_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    """What we read of a chunk; everything may be missing, and the rest is passed over.

    An odd model or usage is passed over too: neither is worth a reply.
    """

    choices: list[_Choice] | None = None
    model: object = None
    usage: object = None


def _read_usage(plain: object) -> Usage | None:
    if plain is None:
        return None
    try:
        usage = msgspec.convert(plain, _Usage)
    except msgspec.ValidationError:
        return None
    prompt = usage.prompt_tokens_details or _Details()
    completion = usage.completion_tokens_details or _Details()
    return Usage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        prompt.cached_tokens or 0,
        completion.reasoning_tokens or 0,
    )


def chunk_stream() -> type["openai.Stream[object]"]:
    """Give the client's stream, less the events without data that keep a connection alive.

    The client reads each event as JSON, and an empty one is none. It also hangs up at [DONE], and
    the connection would be lost; here that is null, and what may follow can be read to its end.
    """
    from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second

    class Chunks(openai.Stream[object]):
        def _iter_events(self):  # type: ignore[no-untyped-def]  # its type is private
            events = super()._iter_events()
            for event in events:
                if event.data.startswith("[DONE]"):
                    yield type(event)(data="null")
                    deque(events, maxlen=0)
                elif event.data:
                    yield event

    return Chunks


def read_chunks(chunks: Iterator[object], server: str) -> Iterator[Event]:
    """Turn the chunks of a streamed chat completion, to a null, into events to `Finished`.

    Azure's first chunk has empty `choices` and `prompt_filter_results`; the last one of every
    server has empty `choices` and `usage`. Raises BadReplyError if there is no chunk at all, and
    ValueError for one that has another shape.
    """
    chunk: _Chunk | None = None
    # A character beyond the BMP may come as two halves in two chunks; lone halves become U+FFFD.
    halves = codecs.getincrementaldecoder("utf-16-le")("replace")
    model: str | None = None
    reason: str | None = None
    usage: Usage | None = None
    for plain in chunks:
        if plain is None:
            break
        chunk = msgspec.convert(plain, _Chunk)
        model = chunk.model if isinstance(chunk.model, str) else model
        for choice in chunk.choices or ():
            delta = choice.delta or _Delta()
            if thought := delta.reasoning_content or delta.reasoning:
                yield ReasoningDelta(thought)
            piece = delta.content or delta.refusal or ""
            if text := halves.decode(piece.encode("utf-16-le", "surrogatepass")):
                yield TextDelta(text)
            reason = choice.finish_reason or reason
        usage = _read_usage(chunk.usage) or usage  # some servers repeat it, growing
    if chunk is None:
        raise BadReplyError(
            f"{server} answered with something that is no chat completion.",
            CHECK_URL,
        )
    if rest := halves.decode(b"", final=True):
        yield TextDelta(rest)
    if usage is not None:
        yield UsageReport(usage)
    yield Finished(reason, model)
