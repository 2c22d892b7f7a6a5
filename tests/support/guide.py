"""Token counts as OpenAI defines them, with none of chatrepl's code, for the tests to compare."""

import base64
import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # a plugin

URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


@cache
def definition(name: str) -> Mapping[str, Any]:
    """tiktoken's own definition of an encoding, read from the packaged file.

    tiktoken finds the file in its cache, under the sha1 of the address it would download it from,
    and takes it only if it has the sha256 that tiktoken knows; else it would try to download, to
    a proxy where nobody listens.
    """
    data = (resources.files("chatrepl.data") / f"{name}.tiktoken").read_bytes()
    key = hashlib.sha1(URL.format(name).encode()).hexdigest()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        (Path(folder) / key).write_bytes(data)
        environment.setenv("TIKTOKEN_CACHE_DIR", folder)
        environment.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        environment.setenv("https_proxy", "http://127.0.0.1:9")
        found: Mapping[str, Any] = openai_public.ENCODING_CONSTRUCTORS[name]()
    return found


@cache
def official(name: str) -> tiktoken.Encoding:
    """tiktoken's own encoding, special tokens included."""
    return tiktoken.Encoding(**definition(name))


def tokens(text: str, encoding: str) -> int:
    """Count a text in which special tokens are text."""
    return len(official(encoding).encode(text, disallowed_special=()))


def num_tokens_from_messages(
    messages: Iterable[Mapping[str, str]],
    encoding: str = "cl100k_base",
    tokens_per_message: int = 3,
    tokens_per_name: int = 1,
) -> int:
    """The function of the API guide ("How to count tokens with tiktoken")."""
    num_tokens = 0
    for message in messages:
        num_tokens += tokens_per_message
        for key, value in message.items():
            num_tokens += tokens(value, encoding)
            if key == "name":
                num_tokens += tokens_per_name
    return num_tokens + 3  # every reply is primed with <|start|>assistant<|message|>


@cache
def longest_token(encoding: str) -> int:
    """How many bytes the longest token of a packaged vocabulary has."""
    lines = (resources.files("chatrepl.data") / f"{encoding}.tiktoken").read_bytes().splitlines()
    return max(len(base64.b64decode(line.split()[0])) for line in lines)
