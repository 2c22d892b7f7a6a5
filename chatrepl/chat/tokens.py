"""Counting tokens: tiktoken for the models that it knows, an estimate for the others.

A message costs its text, its role and its name in tokens, plus a few for its frame; a request
costs its messages plus 3 that prime the reply. The figures are those of the API guide ("How to
count tokens with tiktoken").
"""

import base64
import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from chatrepl.chat.attachments import AttachedImage, Attachment
from chatrepl.chat.catalogue import ModelCard, openai_name
from chatrepl.chat.exchanges import Exchange, Exchanges
from chatrepl.chat.images import image_tokens
from chatrepl.chat.messages import Message

if TYPE_CHECKING:
    import tiktoken

PRIMING = 3
"""Every reply is primed with <|start|>assistant<|message|>."""

# tiktoken's own definitions (tiktoken_ext.openai_public), which can't be had from it without the
# download: the file's sha256 and the pattern that splits a text. Special tokens are left out:
# what users type is text, and is counted as text.
_VOCABULARIES = {
    "cl100k_base": (
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",  # noqa: E501
    ),
    "o200k_base": (
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "|".join(
            [
                r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                r"""\p{N}{1,3}""",
                r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
                r"""\s*[\r\n]+""",
                r"""\s+(?!\S)""",
                r"""\s+""",
            ]
        ),
    ),
}
ENCODINGS = tuple(_VOCABULARIES)

_OPENAI = re.compile(r"(ft:)?(gpt-|o\d|chatgpt)")

_PART = 25_000  # characters
_SEAM = re.compile(r"[A-Za-z](?=\s)")
_SEAM_REACH = 2_000

_COUNTED = 2_000_000
"""Bytes that are counted to say how much is left out: about 0.2 s, and nobody waits longer."""

_loaded: dict[str, "tiktoken.Encoding | None"] = {}
_loading = threading.Lock()


def load_encoding(name: str) -> "tiktoken.Encoding | None":
    """Load a packaged vocabulary, once and without a network; None if its file is damaged."""
    with _loading:
        if name not in _loaded:
            _loaded[name] = _build_encoding(name)
        return _loaded[name]


def is_sound(name: str) -> bool:
    """Whether a packaged vocabulary is there and whole; it is not loaded for that."""
    return _file_of(name) is not None


def _file_of(name: str) -> bytes | None:
    """Read a packaged vocabulary; None if its file is damaged."""
    from importlib import resources  # noqa: PLC0415 - not needed to start

    try:
        data = (resources.files("chatrepl.data") / f"{name}.tiktoken").read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == _VOCABULARIES[name][0] else None


def _build_encoding(name: str) -> "tiktoken.Encoding | None":
    import tiktoken  # noqa: PLC0415 - not needed to start

    data, pattern = _file_of(name), _VOCABULARIES[name][1]
    if data is None:
        return None
    pairs = (line.split() for line in data.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def encoding_for(model: str) -> tuple[str, bool]:
    """Give the encoding to count a model with, and whether it is the model's own.

    A model that tiktoken does not map gets an estimate: OpenAI's newest encoding if it has the
    name of a model of theirs, else cl100k_base, which the vocabularies of open models are nearer
    to (measured on SmolLM2: 1.0 to 1.6 tokens for one of cl100k_base's, 1.0 to 3.5 for one of
    o200k_base's). gpt-oss's harmony encoding has o200k_base's vocabulary.
    """
    from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 - not needed to start

    own_name = openai_name(model)
    try:
        name = encoding_name_for_model(own_name)
    except KeyError:
        return ("o200k_base" if _OPENAI.match(own_name) else "cl100k_base"), False
    if name == "o200k_harmony":
        return "o200k_base", True
    return (name, True) if name in ENCODINGS else ("cl100k_base", False)


def _parts(text: str) -> Iterator[str]:
    """Cut a huge text where no token can span: tiktoken panics on a run of a million blanks.

    No vocabulary has a token in which white space follows a letter. Where there is no such
    place, the cut costs a token or two.
    """
    start = 0
    while len(text) - start > _PART:
        end = start + _PART
        places = [found.end() for found in _SEAM.finditer(text, end - _SEAM_REACH, end)]
        end = places[-1] if places else end
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def _size(exchange: Exchange) -> int:
    return sum(message.size for message in exchange.messages)


def rough(text: str) -> int:
    """Estimate a text's tokens without a vocabulary: of prose, rather too many than too few.

    Four ASCII characters are taken for a token, and two UTF-8 bytes of any other. Against both
    vocabularies, sentences in 9 of 12 scripts got no fewer than these make of them; code got two
    thirds, numbers half.
    """
    ascii_only = len(text.encode("ascii", "ignore"))
    others = len(text.encode(errors="replace")) - ascii_only
    return -(-(ascii_only + 2 * others) // 4)


def rough_request(messages: Iterable[Message]) -> int:
    """Estimate a whole request in the same way, with its frames; an image has its most tokens."""
    return PRIMING + sum(
        4 + rough(message.text) + sum(image.size for image in message.images)
        for message in messages
    )


class TokenCounter:
    """Counts messages for one model; each message is encoded once in its life.

    `exact` says whether the counts are the model's own; `about` is the mark that goes before a
    number that is not.
    """

    def __init__(self, card: ModelCard) -> None:
        """Take the model's card; nothing is loaded until something is counted."""
        self._card = card
        self._encoding_name: str | None = None
        self._exact = False
        # gpt-3.5-turbo-0301 framed a message with 4 tokens and left out the role before a name.
        first = openai_name(card.name) == "gpt-3.5-turbo-0301"
        self._per_message, self._per_name = (4, -1) if first else (3, 1)
        self._counts: dict[Message, int] = {}
        self._attached: dict[Attachment, int] = {}
        self._summed = Exchanges()
        self._sums = [0]
        self.sums_exact = True

    def load(self) -> None:
        """Load the vocabulary now, so that counting does not wait for it."""
        if self._encoding_name is not None:
            return
        own = self._card.encoding
        name, exact = (own, True) if own is not None else encoding_for(self._card.name)
        self._exact = exact and load_encoding(name) is not None
        self._encoding_name = name

    @property
    def loaded(self) -> bool:
        """Whether a count would be answered without loading anything."""
        return self._encoding_name is not None

    @property
    def exact(self) -> bool:
        """Whether the counts are the model's own."""
        self.load()
        return self._exact

    @property
    def about(self) -> str:
        """Give "≈" where counts are estimates, else nothing."""
        return "" if self.exact else "≈"

    def text(self, text: str) -> int:
        """Count the tokens of a text; special tokens in it are text."""
        self.load()
        assert self._encoding_name is not None
        encoding = load_encoding(self._encoding_name)
        if encoding is None:
            return -(-len(text.encode(errors="replace")) // 3)
        return sum(len(encoding.encode_ordinary(part)) for part in _parts(text))

    def message(self, message: Message) -> int:
        """Count a message with its frame, as a part of a request."""
        count = self._counts.get(message)
        if count is None:
            count = self._per_message + self.text(message.role) + self.text(message.head)
            count += sum(map(self.attachment, message.attachments))
            if message.name is not None:
                count += self._per_name + self.text(message.name)
            self._counts[message] = count
        return count

    def attachment(self, attachment: Attachment) -> int:
        """Count what is attached, once in its life: what is sent of it, and what an image costs."""
        count = self._attached.get(attachment)
        if count is None:
            count = self.text(attachment.block)
            if isinstance(attachment, AttachedImage):
                model = openai_name(self._card.name).removeprefix("ft:")
                size = attachment.width, attachment.height
                count += image_tokens(model, *size, attachment.detail)
            self._attached[attachment] = count
        return count

    def forget(self, message: Message) -> None:
        """Let go of the count of a message that was never said."""
        self._counts.pop(message, None)

    def sums(self, exchanges: Exchanges) -> list[int]:
        """Give running totals: item `n` is what the first `n` exchanges cost.

        What is the same as in the last call is not summed again, so that a talk which grows by an
        exchange costs one addition, however long it is. Of a long talk that comes all at once, as
        when it is resumed, a sample is counted, and `sums_exact` is False.
        """
        known = exchanges.common(self._summed)
        self._summed = Exchanges()  # should this be interrupted
        del self._sums[known + 1 :]
        new = exchanges[known:]
        rate = self._sampled(new)
        self.sums_exact = rate is None and (self.sums_exact or not known)
        for each in new:
            counts = map(self.message, each.messages)
            tokens = sum(counts) if rate is None else round(rate * _size(each))
            self._sums.append(self._sums[-1] + tokens)
        self._summed = exchanges
        return self._sums

    def _sampled(self, exchanges: Sequence[Exchange]) -> float | None:
        """Give how many tokens a byte makes, by a sample; None if all of them can be counted."""
        step = -(-sum(map(_size, exchanges)) // _COUNTED)
        if step < 2:
            return None
        sample = exchanges[::step]
        tokens = sum(self.message(message) for each in sample for message in each.messages)
        return tokens / max(1, sum(map(_size, sample)))

    def request(self, messages: Iterable[Message]) -> int:
        """Count a whole request: its messages and what primes the reply."""
        return PRIMING + sum(map(self.message, messages))

    @staticmethod
    def surely_within(messages: Iterable[Message], limit: int) -> bool:
        """Whether `request` can't exceed a limit, where that is known without counting.

        A byte-level tokenizer never makes more tokens than there are UTF-8 bytes. Each message
        is granted 16 more for its role and its frame. Looks at no more messages than it must.
        """
        ceiling = PRIMING
        for message in messages:
            if ceiling > limit:
                break
            ceiling += message.size + 16
        return ceiling <= limit
