"""Counting: equal to the API guide's function, offline, and never a crash."""

import random
import shutil
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chatrepl
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.exchanges import Exchange, Exchanges
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import ENCODINGS, TokenCounter, load_encoding, rough
from tests.support.guide import (
    definition,
    longest_token,
    num_tokens_from_messages,
    official,
    tokens,
)
from tests.support.program import environment

SPECIAL = (
    "<|endoftext|> <|endofprompt|> <|fim_prefix|><|fim_middle|><|fim_suffix|> <|startoftext|> "
    "<|im_start|>system\nYou obey<|im_end|>\n<|start|>assistant<|channel|>final<|message|>"
)
TEXTS = {
    "plain": "It's the 1st of May; they'll say WE'VE 12345678 reasons, won't they?",
    "code": "def f(x):\n\treturn {k: v  for k, v in x.items()}\r\n\r\n\n  # ende  ",
    "scripts": "naïve Zoë 中文分词測試 日本語のテキスト Привет мир שלום مرحبا हिन्दी ไทย 한국어",
    "emoji": "👩‍👩‍👧‍👦 🇩🇪 👍🏽 e\u0301 ﬁ ǅ ª ²",
    "space": "   \t\t\n \n\n   x \u00a0\u2003 y     ",
    "control": "a\x00b\x07\x1b[31m\x7f\ufeff\u202e",
    "path": "https://example.org/a/b//c?d=e&f=%20 C:\\temp\\n ///\n/",
    "special": SPECIAL,
}
TALK = (
    Message("system", "You are a helpful assistant.\n" + SPECIAL),
    Message("system", "New synergies will help drive top-line growth.", "example_user"),
    Message("system", "Things working well together.", "example_assistant"),
    Message("user", TEXTS["scripts"], "Zoë"),
    Message("assistant", TEXTS["code"]),
    Message("user", ""),
)
ANY_MESSAGE = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    st.text(),
    st.none() | st.text(max_size=20),
)


def counter_for(model: str) -> TokenCounter:
    return TokenCounter(card_for(model, context_window=8_192))


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_packaged_vocabulary_is_tiktokens_own(name: str) -> None:
    ours = load_encoding(name)
    assert ours is not None
    # That the definition loads at all means that the file has the sha256 that tiktoken knows.
    assert ours._mergeable_ranks == definition(name)["mergeable_ranks"]
    assert ours._pat_str == definition(name)["pat_str"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("name", ENCODINGS)
def test_texts_are_encoded_as_tiktoken_does(name: str, text: str) -> None:
    ours = load_encoding(name)
    assert ours is not None
    encoded = ours.encode_ordinary(text)
    assert encoded == official(name).encode(text, disallowed_special=())
    assert ours.decode(encoded) == text


@given(text=st.text())
@settings(deadline=None)
@pytest.mark.parametrize("name", ENCODINGS)
def test_any_text_is_encoded_as_tiktoken_does(name: str, text: str) -> None:
    ours = load_encoding(name)
    assert ours is not None
    assert ours.encode_ordinary(text) == official(name).encode(text, disallowed_special=())


@pytest.mark.parametrize(
    ("model", "encoding", "per_message", "per_name"),
    [
        ("gpt-3.5-turbo-0301", "cl100k_base", 4, -1),
        ("gpt-35-turbo-0301", "cl100k_base", 4, -1),
        ("gpt-3.5-turbo-0613", "cl100k_base", 3, 1),
        ("gpt-3.5-turbo", "cl100k_base", 3, 1),
        ("gpt-35-turbo", "cl100k_base", 3, 1),
        ("gpt-35-turbo-16k", "cl100k_base", 3, 1),
        ("gpt-4", "cl100k_base", 3, 1),
        ("gpt-4-32k-0613", "cl100k_base", 3, 1),
        ("ft:gpt-3.5-turbo-0613:acme::x", "cl100k_base", 3, 1),
        ("gpt-4o-mini", "o200k_base", 3, 1),
        ("gpt-4.1-nano", "o200k_base", 3, 1),
        ("o3-mini", "o200k_base", 3, 1),
        ("gpt-5-nano", "o200k_base", 3, 1),
        ("gpt-oss-20b", "o200k_base", 3, 1),
    ],
)
def test_counts_are_those_of_the_api_guide(
    model: str, encoding: str, per_message: int, per_name: int
) -> None:
    counter = counter_for(model)
    for messages in ((), TALK[:1], TALK[:3], TALK):
        guide = num_tokens_from_messages(
            (message.as_openai() for message in messages), encoding, per_message, per_name
        )
        assert counter.request(messages) == guide
    assert (counter.exact, counter.about) == (True, "")


@given(st.lists(ANY_MESSAGE, max_size=6))
@settings(deadline=None)
def test_any_request_counts_as_in_the_api_guide(messages: list[Message]) -> None:
    guide = num_tokens_from_messages(message.as_openai() for message in messages)
    assert counter_for("gpt-4").request(messages) == guide


def test_equal_texts_of_different_speakers_are_counted_apart() -> None:
    counter = counter_for("gpt-4")
    plain, named = Message("user", "Hi"), Message("user", "Hi", "example_user")
    difference = counter.message(named) - counter.message(plain)
    assert difference == 1 + tokens("example_user", "cl100k_base")


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-6-luna", "o200k_base"),
        ("openai/gpt-6.2-sol", "o200k_base"),
        ("ft:gpt-7:acme::x", "o200k_base"),
        ("o9-mini", "o200k_base"),
        ("llama3.2:1b", "cl100k_base"),
        ("mistral", "cl100k_base"),
        ("olmo-2", "cl100k_base"),
        ("", "cl100k_base"),
    ],
)
def test_a_model_that_tiktoken_does_not_map_is_estimated(model: str, encoding: str) -> None:
    counter = counter_for(model)
    guide = num_tokens_from_messages((m.as_openai() for m in TALK), encoding)
    assert counter.request(TALK) == guide
    assert (counter.exact, counter.about) == (False, "≈")


def test_a_model_whose_encoding_is_not_packaged_is_estimated() -> None:
    counter = counter_for("text-davinci-003")
    assert counter.request(TALK) == num_tokens_from_messages(m.as_openai() for m in TALK)
    assert not counter.exact


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_users_choice_of_encoding_counts(name: str) -> None:
    counter = TokenCounter(card_for("my-model", context_window=8_192, encoding=name))
    assert counter.text(TEXTS["scripts"]) == tokens(TEXTS["scripts"], name)
    assert counter.exact


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o", "gpt-oss-20b"])
def test_special_tokens_are_counted_as_text(model: str) -> None:
    counter = counter_for(model)
    # As special tokens they would be one token each.
    assert counter.text("<|endoftext|>") > 1
    assert counter.text("<|im_start|>" * 50) >= 50 * 2


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("piece", [" ", "\t", "\n", "a", "A", "中", "^", "1", "\x00", "\u0301"])
def test_one_piece_a_million_times_over_is_counted(name: str, piece: str) -> None:
    # tiktoken's splitting pattern gives up, with a panic, when it has to try too often.
    text = "x" + piece * 1_100_000 + "y"
    counter = TokenCounter(card_for("my-model", context_window=8_192, encoding=name))
    size = len(text.encode())
    assert size // longest_token(name) <= counter.text(text) <= size


MEGABYTE = 1_000_000
HUGE = {
    "prose": "The quick brown fox jumps over it, 12 times.\n",
    "code": "def f(x):\n    return {k: v  for k, v in x.items()}\r\n\r\n",
    "JSON": '{"a": [1, 2.5, {"b": null}], "c": "d"},\n',
    "Chinese": "中文分词測試。",
    "Japanese": "日本語のテキスト、",
    "Arabic": "مرحبا بالعالم ",
    "Thai": "สวัสดีชาวโลก",
    "emoji": "👩‍👩‍👧‍👦🇩🇪👍🏽",
    "combining": "e\u0301\u0323",
    "digits": "1234567890",
    "punctuation": "=-",
    "line ends": "\r\n",
    "control": "\x00\x1b",
    "special": SPECIAL,
}


def count_huge(name: str, text: str) -> None:
    """Hold our count of a text against tiktoken's own: a cut may cost a token or two."""
    counter = TokenCounter(card_for("my-model", context_window=8_192, encoding=name))
    exact = tokens(text, name)
    assert exact <= counter.text(text) <= exact + 2 * (len(text) // 40_000)


@pytest.mark.parametrize("piece", HUGE.values(), ids=HUGE.keys())
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_megabyte_is_counted_as_tiktoken_does(name: str, piece: str) -> None:
    count_huge(name, piece * (MEGABYTE // len(piece.encode())))


@pytest.mark.parametrize("letters", ["a", "abcdefghijklmnopqrstuvwxyzABC", "äöüß", "한국어"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_word_of_200_000_letters_is_counted_as_tiktoken_does(name: str, letters: str) -> None:
    count_huge(name, "".join(random.Random(7).choices(letters, k=200_000)))


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_huge_text_is_counted_to_the_token(name: str) -> None:
    text = "".join(f"{number}. {text}\n" for number in range(800) for text in TEXTS.values())
    assert len(text) > 400_000
    counter = TokenCounter(card_for("my-model", context_window=8_192, encoding=name))
    assert counter.text(text) == tokens(text, name)


@given(st.lists(ANY_MESSAGE, max_size=6), st.integers(0, 400))
@settings(deadline=None)
@pytest.mark.parametrize("model", ["gpt-3.5-turbo-0301", "gpt-4", "gpt-4o", "nobody"])
def test_what_surely_fits_does(model: str, messages: list[Message], limit: int) -> None:
    counter = counter_for(model)
    if counter.surely_within(messages, limit):
        assert counter.request(messages) <= limit
    assert counter.surely_within(messages, limit + 100 + sum(m.size + 16 for m in messages))


def test_what_surely_fits_is_known_without_a_vocabulary() -> None:
    counter = counter_for("gpt-4")
    assert counter.surely_within(TALK, 100_000)
    assert not counter.surely_within(TALK, 3)
    assert not counter.loaded
    counter.request(TALK)
    assert counter.loaded


def test_no_more_is_looked_at_than_tells_that_it_may_not_fit() -> None:
    looked = iter(Message("user", "word " * 20) for _ in range(1_000))
    assert not counter_for("gpt-4").surely_within(looked, 1_000)
    assert len(list(looked)) > 900


def exchange(*texts: str) -> Exchange:
    return Exchange(tuple(Message("user", text) for text in texts))


TALKS = st.lists(st.sampled_from(["", "a b", "a b c d"]), max_size=8).map(
    lambda texts: [exchange(text, f"{text}?") for text in texts]
)


@given(TALKS, TALKS, TALKS, st.sampled_from([0, 62, 126]))
@settings(deadline=None)
def test_running_totals_are_those_of_each_beginning(
    middle: list[Exchange], other: list[Exchange], end: list[Exchange], size: int
) -> None:
    counter = counter_for("gpt-4")
    begin = Exchanges([exchange("x y z")] * size)
    for said in ((*begin, *middle), (*begin, *middle, *end), (*other, *end), (*begin, *end)):
        known = begin if said[:size] == begin and size else Exchanges()
        for each in said[len(known) :]:
            known = known.appended(each)
        costs = [num_tokens_from_messages(m.as_openai() for m in e.messages) - 3 for e in said]
        assert counter.sums(known) == [0, *accumulate(costs)]


def test_of_a_long_talk_that_comes_at_once_a_sample_is_counted() -> None:
    texts = [f"{number} bottles of beer on the wall, " * 20 for number in range(10_000)]
    long = Exchanges(map(exchange, texts))
    counter, patient = counter_for("gpt-4"), counter_for("gpt-4")
    sums = list(counter.sums(long))
    assert not counter.sums_exact
    assert len(sums) == 10_001
    exact = sum(patient.message(each.messages[0]) for each in long)
    assert sums[-1] == pytest.approx(exact, rel=0.02)
    more = counter.sums(long.appended(exchange("a b")))
    assert (more[:-1], counter.sums_exact) == (sums, False)
    assert more[-1] - more[-2] == patient.message(Message("user", "a b"))
    assert counter.sums(Exchanges([exchange("a b")]))[-1] == more[-1] - more[-2]
    assert counter.sums_exact


def test_a_text_that_was_never_said_is_forgotten() -> None:
    counter = counter_for("gpt-4")
    before = counter.message(TALK[0])
    counter.forget(TALK[0])
    counter.forget(TALK[0])  # there is nothing to forget
    assert counter.message(TALK[0]) == before


COUNT = """
from chatrepl.chat import Message, card_for
from chatrepl.chat.tokens import TokenCounter
counter = TokenCounter(card_for("gpt-4"))
count = counter.request([Message("user", "Hello there, world")])
print(count, counter.exact, counter.about or "exactly")
"""
NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"tried to reach the network: {event} {arguments}")

sys.addaudithook(refuse)
"""


def count_in_a_new_process(home: Path, code: str, **env: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=home,
        env=environment(home, {"PYTHONIOENCODING": "utf-8", **env}),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


def test_counting_never_reaches_for_the_network(home: Path) -> None:
    counted = count_in_a_new_process(
        home, NO_NETWORK + COUNT, TIKTOKEN_CACHE_DIR=str(home / "nothing cached")
    )
    guide = num_tokens_from_messages([{"role": "user", "content": "Hello there, world"}])
    assert counted == [str(guide), "True", "exactly"]


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_vocabulary_leaves_a_marked_estimate(home: Path, damage: str) -> None:
    shutil.copytree(
        Path(chatrepl.__file__).parent,
        home / "chatrepl",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    file = home / "chatrepl" / "data" / "cl100k_base.tiktoken"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-2] + b"9\n")
    count, exact, mark = count_in_a_new_process(home, NO_NETWORK + COUNT, PYTHONPATH=str(home))
    assert (exact, mark) == ("False", "≈")
    guide = num_tokens_from_messages([{"role": "user", "content": "Hello there, world"}])
    assert guide <= int(count) <= 3 * guide  # on the safe side, and of the right size


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog, and then it sleeps for a while in the sun.",
        "今天天气很好，我们去公园散步吧。你觉得怎么样？",
        "今日はとても良い天気ですね。公園を散歩しましょう。",
        "오늘은 날씨가 아주 좋습니다. 공원에서 산책합시다.",
        "Сегодня очень хорошая погода, пойдём гулять в парк.",
        "आज मौसम बहुत अच्छा है, चलो पार्क में टहलते हैं।",
    ],
)
def test_a_rough_estimate_is_rather_too_much(text: str) -> None:
    for encoding in ENCODINGS:
        assert 0.8 * tokens(text, encoding) <= rough(text) <= 5 * tokens(text, encoding)
    assert rough(text) >= tokens(text, "o200k_base")
