"""Trimming: this program against the loop of the API's guide, in one run.

`python -m benchmarks.trimming` takes 5,000 messages of 200 words, trims them to 4,096 tokens and
lets the talk grow by 200 turns. The guide's loop recounts everything after each message that it
deletes; doing all of that would take over an hour, so that its recounts are timed at some of the
lengths that it goes through, and summed up between them. About a minute.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.report import Row
from chatrepl.chat import Conversation, Message, card_for
from chatrepl.chat.calibration import Calibration
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Role
from chatrepl.chat.tokens import TokenCounter, load_encoding
from chatrepl.chat.trimming import fit

MODEL = "gpt-3.5-turbo-0613"
WINDOW, MAX_TOKENS, WORDS, TURNS = 4_096, 1_024, 200, 200


def text(chance: random.Random, words: int = WORDS) -> str:
    """Give so many words that read like English to a tokenizer."""
    vowels, others = "aeiou", "bcdfglmnprst"
    return " ".join(
        "".join(chance.choice(others) + chance.choice(vowels) for _ in range(chance.randint(1, 3)))
        for _ in range(words)
    )


def guide_count(messages: Sequence[Message]) -> int:
    """Count as the guide's num_tokens_from_messages does: everything, each time."""
    encoding = load_encoding("cl100k_base")
    assert encoding is not None
    total = 3
    for message in messages:
        total += 3
        for value in message.as_openai().values():
            total += len(encoding.encode_ordinary(value))
    return total


def seconds(act: Callable[[], object]) -> float:
    """Time something once."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def guide_seconds(messages: Sequence[Message], samples: int) -> tuple[float, int]:
    """Give how long the guide's loop takes to trim, and how often it recounts.

    It deletes one message at a time, recounting what is left. The recounts are timed at evenly
    spaced lengths; between two of them the cost is taken to be on a straight line.
    """
    low, high = 0, len(messages)
    while low < high:  # how many messages can stay, which the loop finds by deleting
        middle = (low + high + 1) // 2
        fits = guide_count(messages[-middle:]) + MAX_TOKENS <= WINDOW
        low, high = (middle, high) if fits else (low, middle - 1)
    recounts = len(messages) - low + 1
    lengths = [low + (len(messages) - low) * step // (samples - 1) for step in range(samples)]
    costs = [seconds(partial(guide_count, messages[-length:])) for length in lengths]
    gaps = zip(lengths, lengths[1:], costs, costs[1:], strict=False)
    return sum((b - a) * (x + y) / 2 for a, b, x, y in gaps), recounts


def conversation(messages: Sequence[Message]) -> Conversation:
    """Make exchanges of messages that are a user's and a reply by turns."""
    pairs = zip(messages[::2], messages[1::2], strict=True)
    return Conversation(exchanges=tuple(Exchange(pair, "stop") for pair in pairs))


def grow(talk: Conversation, calibration: Calibration, texts: Sequence[str]) -> list[float]:
    """Let a talk grow, and give the seconds that each turn's trimming took."""
    costs = []
    for number in range(0, len(texts), 2):
        begin = time.perf_counter()
        talk = talk.asking(Message("user", texts[number]))
        fit(talk, calibration, context_window=WINDOW, max_tokens=MAX_TOKENS)
        talk = talk.answered(Message("assistant", texts[number + 1]), "stop", None)
        costs.append(time.perf_counter() - begin)
    return costs


def awkward(chance: random.Random, size: int = 1_000_000) -> dict[str, str]:
    """Give texts that are hard on a tokenizer."""
    line = "2026-11-22T10:00:00 INFO 0x7f3a [worker-12] request id={} took 12 ms\n"
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return {
        "1 MB of English": text(chance, size // 4)[:size],
        "1 MB of a log": "".join(line.format(n) for n in range(size // 60))[:size],
        "1 MB of base64": "".join(chance.choices(letters + "0123456789+/", k=size)),
        "1 MB of blanks": " " * size,
        "a word of 200,000 characters": "".join(chance.choices(letters, k=size // 5)),
        "200,000 times the same letter": "a" * (size // 5),
        "200,000 Chinese characters": "".join(
            chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(size // 5)
        ),
    }


def trimming(_: object = None, count: int = 5_000, samples: int = 11) -> list[Row]:
    """Measure, print Markdown tables, and give the rows of the whole table."""
    chance = random.Random(1)  # noqa: S311 - no secret
    roles: tuple[Role, Role] = ("user", "assistant")
    said = [Message(roles[number % 2], text(chance)) for number in range(4 * count)]
    texts = [text(chance) for _ in range(2 * TURNS)]
    load_encoding("cl100k_base")
    rows = [_once(said[:count], texts[0], samples), _turns(said, count, texts)]
    print("\nCounting a message\n")
    print("| | tokens | seconds, best of 5 |")
    print("|---|--:|--:|")
    counter = TokenCounter(card_for(MODEL))
    for name, long_text in awkward(chance).items():
        best = min(seconds(partial(counter.text, long_text)) for _ in range(5))
        print(f"| {name} | {counter.text(long_text):,} | {best:.2f} |")
    return rows


def _once(messages: Sequence[Message], prompt: str, samples: int) -> Row:
    """Measure trimming once, by the guide's loop and by this program."""
    theirs, recounts = guide_seconds(messages, samples)
    calibration = Calibration(TokenCounter(card_for(MODEL)))
    talk = conversation(messages).asking(Message("user", prompt))
    ours = seconds(lambda: fit(talk, calibration, context_window=WINDOW, max_tokens=MAX_TOKENS))
    once = seconds(lambda: guide_count(messages))
    print(f"{len(messages):,} messages of {WORDS} words, trimmed to {WINDOW:,} tokens\n")
    print("| | seconds | counting everything once = 1 |")
    print("|---|--:|--:|")
    print(f"| the guide's loop, {recounts:,} recounts | {theirs:,.0f} | {theirs / once:,.0f} |")
    print(f"| chatrepl | {ours:.2f} | {ours / once:.2f} |")
    print(f"| the guide's loop / chatrepl | | {theirs / ours:,.0f} |\n")
    return Row("trimming: 5,000 messages to 4,096 tokens", 1_000 * theirs, 1_000 * ours, "ms")


def _turns(said: Sequence[Message], count: int, texts: Sequence[str]) -> Row:
    """Measure turns after a short talk, a long one and a longer one."""
    print(f"A turn of 2 messages of {WORDS} words, {TURNS} turns, median\n")
    print("| history, messages | ms | of the shortest history's = 1 |")
    print("|--:|--:|--:|")
    costs = list[float]()
    for size in (count // 50, count, len(said)):
        calibration = Calibration(TokenCounter(card_for(MODEL)))
        talk = conversation(said[:size])
        grow(talk, calibration, texts[:2])  # counts what there is
        costs.append(1_000 * statistics.median(grow(talk, calibration, texts[2:])))
        print(f"| {size:,} | {costs[-1]:.2f} | {costs[-1] / costs[0]:.2f} |")
    return Row("trimming: a turn after 20,000 messages", costs[0], costs[-1], "ms")


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--samples", type=int, default=11)
    options = parser.parse_args()
    trimming(None, options.messages, options.samples)


if __name__ == "__main__":
    main()
