"""A long talk in a small window, with the embedded model: how full it is, and what goes wrong.

`python -m benchmarks.long_talk` says 300 messages in English, code, Chinese, Arabic and emoji to
SmolLM2 in a window of 1,024 tokens. The server's own counts decide: a turn that leaves something
out is a full one, and prompt plus max_tokens is what it uses. About 15 minutes on two cores.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Row
from chatrepl.chat import Chat, Conversation, Message, card_for
from chatrepl.chat.events import Refitted, UsageReport
from chatrepl.errors import ChatreplError
from chatrepl.paths import Paths
from chatrepl.providers import smollm2
from chatrepl.providers.embedded import EmbeddedModel, EmbeddedProvider

MAX_TOKENS = 64
TEXTS = (
    "Please explain how a bicycle stays upright when it moves, and why it falls when it stops.",
    "def fib(n: int) -> int:\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\nIs it fast?",
    "const x = await fetch(`/api/users/${id}`).then((r) => r.json());\nif (!x.ok) throw x; // why?",
    "请解释一下自行车为什么在行驶时能保持直立，而停下来时会倒下。请用简短的语言回答。",
    "اشرح لي من فضلك كيف تبقى الدراجة منتصبة عندما تتحرك، ولماذا تسقط عندما تتوقف.",
    "👍🏽🎉 🚀🚀 let's go 😂😂😂 👩‍👩‍👧‍👦 🇫🇷🇩🇪 ❤️‍🔥 ✨✨ what do these mean?",
    "And the next one?",
)


@dataclass(slots=True)
class Outcome:
    """What a talk came to; `uses` are the shares of the window that full turns used."""

    turns: int = 0
    errors: list[str] = field(default_factory=list)
    refits: int = 0
    uses: list[float] = field(default_factory=list)


def messages(turns: int, seed: int = 1) -> Iterator[str]:
    """Give messages in every kind of text, some of them twice as long."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for number in range(turns):
        yield f"{number}. " + chance.choice(TEXTS) * chance.choice([1, 1, 1, 2])


def talk(chat: Chat, texts: Iterator[str]) -> Outcome:
    """Say everything, and note what each turn came to."""
    outcome = Outcome()
    for text in texts:
        outcome.turns += 1
        try:
            for event in chat.say(text):
                match event:
                    case Refitted():
                        outcome.refits += 1
                    case UsageReport(usage) if chat.sent and chat.sent.left_out.exchanges:
                        used = usage.prompt_tokens + chat.sent.max_tokens
                        outcome.uses.append(used / chat.sent.context_window)
        except ChatreplError as error:
            outcome.errors.append(f"turn {outcome.turns}: {error.text}")
    return outcome


def embedded_chat(provider: EmbeddedProvider, window: int, max_tokens: int) -> Chat:
    """Give a chat with the embedded model, with nothing learnt yet."""
    chat = Chat(
        provider,
        card_for(smollm2.NAME, context_window=window),
        Conversation(Message("system", smollm2.SYSTEM)),
        reply_limit=max_tokens,
    )
    chat.ask_for({"temperature": 0.2})
    return chat


def long_talk(_: object = None, turns: int = 300, window: int = 1_024) -> list[Row]:
    """Hold the talk, print what it came to, and give the rows of the whole table."""
    with tempfile.TemporaryDirectory() as folder:
        data, log = Paths.from_environment().data, Path(folder, "log")
        model = EmbeddedModel(None, data, log, window)
        with closing(EmbeddedProvider(model, timeout=120)) as provider:
            chat = embedded_chat(provider, window, MAX_TOKENS)
            outcome = talk(chat, messages(turns))
    scale = chat.calibration.scale
    refused = Row("long talk: requests refused", None, len(outcome.errors), "")
    for error in outcome.errors[:5]:
        print(error)
    if not outcome.uses:
        print(f"{outcome.turns} turns did not fill the window")
        return [refused]
    use = statistics.mean(outcome.uses)
    print("| turns | errors | sent again | full turns | mean use | largest use | scale |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    print(
        f"| {outcome.turns} | {len(outcome.errors)} | {outcome.refits} | {len(outcome.uses)} "
        f"| {use:.1%} | {max(outcome.uses):.1%} | {scale.mean:.2f} ± {scale.spread:.2f} |"
    )
    return [Row("long talk: full turns use of the window", None, 100 * use, "%"), refused]


def main() -> None:
    """Hold the talk and print what it came to, as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--window", type=int, default=1_024)
    options = parser.parse_args()
    long_talk(None, options.turns, options.window)


if __name__ == "__main__":
    main()
