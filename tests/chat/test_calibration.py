"""Calibration: what a server's own counts teach, always on the safe side."""

import json
import math
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chatrepl.chat.calibration import Calibration, Scale
from chatrepl.chat.catalogue import Served, card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.events import Event, Finished, TextDelta, UsageReport
from chatrepl.chat.extras import extra_of
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Request
from chatrepl.chat.schema import read_fields
from chatrepl.chat.tokens import TokenCounter
from chatrepl.chat.turn import Chat
from chatrepl.chat.usage import Usage
from chatrepl.errors import ContextOverflowError, PromptTooLongError
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.support.guide import num_tokens_from_messages, tokens

SYSTEM = Message("system", "Be kind.")
LONG = Message("user", "Tell me more about that, please. " * 10)


def guide(messages: Sequence[Message]) -> int:
    return num_tokens_from_messages(message.as_openai() for message in messages)


def calibration_for(model: str, scale: Scale | None = None) -> Calibration:
    return Calibration(TokenCounter(card_for(model)), scale)


def taught(hunger: float, times: int = 10, model: str = "nobody-1") -> Calibration:
    """A calibration after so many requests of one message each to a hungry server."""
    calibration = calibration_for(model)
    for number in range(times):
        messages = [Message("user", f"{number}. {LONG.content}")]
        calibration.observe(messages, round(guide(messages) * hunger))
    return calibration


# What is known before a server has said anything.


@pytest.mark.parametrize("model", ["gpt-4", "gpt-3.5-turbo"])
def test_a_model_that_tiktoken_knows_costs_what_the_guide_says(model: str) -> None:
    calibration = calibration_for(model)
    assert calibration.request([SYSTEM, LONG]) == guide([SYSTEM, LONG])
    assert (calibration.exact, calibration.about, calibration.factor) == (True, "", 1.0)


def test_another_costs_about_a_tenth_more() -> None:
    calibration = calibration_for("nobody-1")
    assert (calibration.exact, calibration.about) == (False, "≈")
    assert 1.1 <= calibration.factor <= 1.15
    assert 1.1 <= calibration.request([SYSTEM, LONG]) / guide([SYSTEM, LONG]) <= 1.15


def test_what_is_known_from_before_is_used() -> None:
    scale = Scale(1.6, 0.01, 30)
    calibration = calibration_for("nobody-1", scale)
    assert 1.6 <= calibration.request([LONG]) / guide([LONG]) <= 1.7


# What a server's count teaches.


MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant"]),
        st.text(max_size=30) | st.just(LONG.content),
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(MESSAGES, st.floats(0.6, 3.9))
@settings(deadline=None, max_examples=200)
def test_what_was_sent_costs_from_then_on_what_the_server_counted(
    messages: list[Message], hunger: float
) -> None:
    calibration = calibration_for("nobody-1")
    theirs = round(guide(messages) * hunger)
    calibration.observe(messages, theirs)
    # Each message's share is rounded.
    assert abs(calibration.request(messages) - theirs) <= len(messages) / 2 + 1


@pytest.mark.parametrize("hunger", [0.7, 1.0, 1.3, 1.6, 2.5, 3.9])
def test_a_new_message_is_estimated_as_the_others_were_counted(hunger: float) -> None:
    calibration = taught(hunger)
    new = Message("user", "Something that nobody has counted yet, and that is not too short. " * 4)
    cost = calibration.cost(new)
    theirs = (guide([new]) - 3) * hunger
    assert theirs <= cost <= theirs * 1.06 + 1


def test_an_estimate_after_counts_that_vary_is_on_the_safe_side() -> None:
    calibration = calibration_for("nobody-1")
    chance = random.Random(3)
    below = 0
    for number in range(200):
        messages = [Message("user", f"{number}. {LONG.content}")]
        theirs = round(guide(messages) * chance.uniform(1.0, 2.0))
        below += calibration.request(messages) < theirs
        calibration.observe(messages, theirs)
    assert below < 200 * 0.12
    assert calibration.factor < 2.5


def test_a_short_text_teaches_less_than_a_long_one() -> None:
    short, long = Scale(), Scale()
    short.learn(16, 8)
    long.learn(160, 80)
    for scale in (short, long):
        scale.learn(100, 100)
    assert short.weight < long.weight
    assert short.mean < long.mean


@pytest.mark.parametrize("overhead", [10, 25, 40])
def test_words_that_a_template_adds_to_a_short_talk_are_not_taken_for_hunger(overhead: int) -> None:
    calibration = calibration_for("nobody-1")
    talk = [Message("user", "Hi")]
    calibration.observe(talk, guide(talk) + overhead)
    assert calibration.factor <= 1.2
    assert calibration.request(talk) == guide(talk) + overhead
    grown = [*talk, LONG]
    assert guide(grown) + overhead <= calibration.request(grown) <= guide(grown) * 1.2 + overhead


def test_a_prompt_that_the_server_has_cut_silently_teaches_nothing() -> None:
    calibration = taught(1.6)
    before = calibration.factor
    messages = [Message("user", "word " * 3_000)]
    calibration.observe(messages, 1_024)
    assert calibration.factor == before
    assert calibration.request(messages) > 1.5 * guide(messages)


def test_a_count_that_belies_the_earlier_ones_is_believed() -> None:
    calibration = calibration_for("nobody-1")
    first = [Message("user", f"{LONG.content} {number}") for number in range(4)]
    calibration.observe(first, round(guide(first) * 0.8))
    # As by a server that has another model now, under the same name.
    whole = [*first, Message("user", "And?")]
    calibration.observe(whole, round(guide(whole) * 2))
    assert calibration.request(whole) == pytest.approx(guide(whole) * 2, abs=4)


def test_the_latest_request_is_kept_as_it_was_estimated_and_as_it_was_counted() -> None:
    calibration = taught(1.5)
    new = [Message("user", "One more of these. " * 10)]
    estimate = calibration.request(new)
    calibration.observe(new, 123)
    assert calibration.last == (estimate, 123)


def test_nothing_is_loaded_to_take_a_count_in() -> None:
    counter = TokenCounter(card_for("nobody-1"))
    calibration = Calibration(counter)
    calibration.observe([LONG], round(guide([LONG]) * 2))
    assert not counter.loaded
    assert calibration.request([LONG]) == pytest.approx(guide([LONG]) * 2, abs=1)


# A reply.


def test_a_reply_costs_what_the_server_counted_and_its_frame() -> None:
    calibration = taught(1.6)
    reply = Message("assistant", "Because it does. " * 10)
    theirs = round(tokens(reply.content, "cl100k_base") * 2.2)
    calibration.observe_reply(reply, theirs)
    assert theirs + 4 <= calibration.request([reply]) - calibration.overhead <= theirs + 8


@pytest.mark.parametrize("counted", [0, 2_000])
def test_a_count_that_can_not_be_the_replys_is_not_believed(counted: int) -> None:
    calibration = taught(1.6)
    reply = Message("assistant", "Because it does. " * 30)
    before = calibration.cost(reply)
    calibration.observe_reply(reply, counted)  # it says nothing, or has thought as well
    assert calibration.request([reply]) - calibration.overhead == before


# A model that tiktoken knows.


@pytest.mark.parametrize("difference", [-20, 0, 10])
def test_a_server_that_counts_alike_leaves_counts_exact(difference: int) -> None:
    calibration = calibration_for("gpt-4")
    calibration.observe([SYSTEM, LONG], guide([SYSTEM, LONG]) + difference)
    assert calibration.exact
    assert calibration.request([SYSTEM, LONG]) == guide([SYSTEM, LONG])


def test_a_server_that_counts_much_more_makes_them_estimates() -> None:
    calibration = taught(1.6, model="gpt-4")
    assert (calibration.exact, calibration.about) == (False, "≈")
    assert 1.6 <= calibration.factor <= 1.7


def test_a_refusal_makes_them_estimates() -> None:
    calibration = calibration_for("gpt-4")
    calibration.observe([SYSTEM, LONG], guide([SYSTEM, LONG]) + 5, refused=True)
    assert not calibration.exact
    assert calibration.request([SYSTEM, LONG]) == pytest.approx(guide([SYSTEM, LONG]) + 5, abs=1)


def test_what_surely_fits_is_less_once_a_server_counts_more() -> None:
    message = Message("user", "x" * 100)
    before, after = calibration_for("gpt-4"), taught(1.6)
    after.request([message])  # what was observed is taken in when something has to be counted
    assert before.surely_within([message], 150)
    assert not after.surely_within([message], 150)


# Whole talks with servers of other tokenizers.


@cache
def cl100k(text: str) -> int:
    return tokens(text, "cl100k_base")


class Server:
    """A server with a window and a tokenizer of its own.

    `factors` say how many tokens it makes of one of cl100k_base's, for ASCII, CJK and all else;
    `overhead` is what its template adds to every request. `seen` holds, for each request that it
    answered, its own count and what the chat had estimated.
    """

    goes_on = False

    name = "server"
    scripts = re.compile(r"([\x00-\x7f]+)|([\u3000-\u30ff\u4e00-\u9fff]+)|(.)", re.DOTALL)

    def __init__(
        self, factors: tuple[float, float, float], overhead: int, replies: Sequence[str]
    ) -> None:
        self.factors = factors
        self.overhead = overhead
        self.replies = list(replies)
        self.window = 1_024
        self.chat: Chat | None = None
        self.seen: list[tuple[int, int]] = []
        self.refused = 0

    def prepare(self) -> None: ...

    def close(self) -> None: ...

    def served(self) -> Sequence[Served]:
        return ()

    def look_up(self, model: str) -> Served | None:
        return None

    def count(self, text: str) -> float:
        if len(set(self.factors)) == 1:
            return cl100k(text) * self.factors[0]
        found = self.scripts.finditer(text)
        return sum(cl100k(m[0]) * self.factors[(m.lastindex or 1) - 1] for m in found)

    def stream(self, request: Request) -> Iterator[Event]:
        assert self.chat is not None
        frame = 4 * self.factors[0]
        counts = [self.count(message.content) + frame for message in request.messages]
        prompt = round(self.overhead + sum(counts))
        estimate = self.chat.calibration.request(request.messages)
        if prompt + request.max_tokens > self.window:
            self.refused += 1
            raise ContextOverflowError(
                "Too long.", "", prompt_tokens=prompt, context_window=self.window
            )
        self.seen.append((prompt, estimate))
        reply = self.replies.pop(0)
        while self.count(reply) > request.max_tokens:
            reply = reply[: len(reply) // 2]
        yield TextDelta(reply)
        yield UsageReport(Usage(prompt, round(self.count(reply))))
        yield Finished("stop")


KINDS = (
    "It says a little more than that. ",
    "def f(x):\n    return {k: v for k, v in x.items()}\n",
    "日本語の文章を書きます。",
    "你好，世界！",
    "👩‍👩‍👧‍👦👍🏽🎉",
    "naïve مرحبا بالعالم ",
)


def mixed(chance: random.Random, most: int, least: int = 1) -> str:
    """A text of all kinds, of about so many bytes."""
    text, size = "", chance.randint(least, most)
    while len(text.encode()) < size:
        text += chance.choice(KINDS) * chance.randint(1, 3)
    return text


def talk_to(server: Server, texts: Sequence[str], model: str = "nobody-1") -> Chat:
    card = card_for(model, context_window=server.window)
    server.chat = chat = Chat(server, card, Conversation(SYSTEM), reply_limit=100)
    for text in texts:
        assert list(chat.say(text))[-1] == Finished("stop")
    return chat


FACTOR = st.floats(0.7, 4)
SEED = st.integers(0, 10**9)
# A talk is too large a thing to be made smaller in search of the least that fails.
TALKS = settings(deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])


@given(st.tuples(FACTOR, FACTOR, FACTOR), st.integers(0, 40), SEED)
@TALKS
@pytest.mark.parametrize("model", ["nobody-1", "gpt-4"])
def test_no_tokenizer_ever_makes_a_talk_end_in_an_error(
    model: str, factors: tuple[float, float, float], overhead: int, seed: int
) -> None:
    chance = random.Random(seed)
    server = Server(factors, overhead, [mixed(chance, 300) for _ in range(40)])
    texts = [mixed(chance, 150) for _ in range(40)]
    # A message that takes a fifth of the window by itself is another story.
    texts = [text if server.count(text) < 200 else "Go on." for text in texts]
    chat = talk_to(server, texts, model)
    assert len(chat.conversation.exchanges) == len(server.seen) == 40


@given(SEED, st.sampled_from([10, 60, 200, 500]))
@TALKS
@pytest.mark.parametrize("model", ["nobody-1", "gpt-4"])
def test_from_the_third_turn_the_estimate_is_within_3_percent_of_a_hungry_servers_count(
    model: str, seed: int, size: int
) -> None:
    chance = random.Random(seed)
    server = Server((1.6, 1.6, 1.6), 0, [mixed(chance, 300, least=100) for _ in range(40)])
    talk_to(server, [mixed(chance, size) for _ in range(40)], model)
    for turn, (prompt, estimate) in enumerate(server.seen[2:], 3):
        assert abs(estimate - prompt) <= 0.03 * prompt, turn


def test_words_that_a_gateway_adds_to_every_prompt_are_no_scale() -> None:
    calibration = calibration_for("gpt-4")
    talk = [SYSTEM, Message("user", "Please tell me in a few words what a gateway is. " * 3)]
    calibration.observe(talk, guide(talk) + 2_500)
    new = Message("user", "And what is it for? " * 30)
    assert calibration.request(talk) == guide(talk) + 2_500
    assert calibration.cost(new) <= 1.2 * (guide([new]) - 3)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.51])
def test_counts_without_what_was_cached_make_no_prompt_look_small(share: float) -> None:
    calibration = taught(1.3)
    messages = [Message("user", f"0. {LONG.content}")]
    for number in range(20):  # each time much of what was sent before is left out
        messages.append(Message("user", f"{number} and so on"))
        calibration.observe(messages, round(guide(messages) * share))
    assert calibration.scale.mean >= 0.5
    assert calibration.request(messages) >= 0.5 * guide(messages)


def test_one_short_message_does_not_take_the_room_for_error_away() -> None:
    calibration = calibration_for("nobody-1")
    calibration.observe([Message("user", "Hello there, you.")], 12)
    assert calibration.factor >= 1.1


# What a request has beside its messages.

SCHEMA = read_fields(",".join(f"field_{n}:list[str]" for n in range(20)))
FORM = {"response_format": SCHEMA.response_format}


def with_extra(model: str = "gpt-4") -> Calibration:
    return Calibration(TokenCounter(card_for(model)), extra=extra_of(FORM))


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"seed": 1, "stop": ["a"], "logit_bias": {"1": 2}, "user": "x"}, ""),
        (FORM, "the schema"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({**FORM, "top_p": 1.0, "documents": ["a"]}, "the schema and documents"),
    ],
)
def test_what_goes_into_the_prompt_beside_the_messages(
    parameters: dict[str, object], name: str
) -> None:
    extra = extra_of(parameters)
    assert extra.name == name
    assert bool(extra.text) == bool(name)


@pytest.mark.parametrize("model", ["gpt-4", "nobody-1"])
def test_a_schema_is_counted_as_its_json_until_the_server_has_counted_it(model: str) -> None:
    calibration, without = with_extra(model), calibration_for(model)
    ours = cl100k(json.dumps(SCHEMA.response_format["json_schema"]["schema"]))
    assert calibration.extra_tokens == math.ceil(ours * without.factor)
    assert calibration.request([LONG]) == without.request([LONG]) + calibration.extra_tokens
    assert calibration.about == "≈"
    calibration.observe_extra([LONG], without.request([LONG]) + 33, extra_of(FORM))
    assert calibration.request([LONG]) == without.request([LONG]) + 33
    assert calibration.about == without.about
    calibration.extra = extra_of({})
    assert calibration.request([LONG]) == without.request([LONG])


def test_a_schema_leaves_less_that_surely_fits() -> None:
    size = len(extra_of(FORM).text)
    assert with_extra().surely_within([LONG], LONG.size + 16 + 3 + size)
    assert not with_extra().surely_within([LONG], LONG.size + 16 + 3 + size - 1)


@pytest.mark.parametrize("form", [FORM, {"tools": [{"type": "function"}]}])
def test_what_is_beside_the_messages_teaches_nothing_of_the_tokenizer(
    form: dict[str, object],
) -> None:
    reply = "And so on, in many words. " * 9
    usage = UsageReport(Usage(3 * guide([LONG]), 4 * cl100k(reply)))
    script: list[Line] = [TextDelta(reply), usage, Finished("stop")]
    chat = Chat(ScriptedProvider(script, script), card_for("nobody-1"))
    chat.ask_for(form)
    list(chat.say(LONG.content))
    asked = chat.sent.messages if chat.sent else ()
    assert chat.calibration.request(asked) == 3 * guide([LONG])
    assert (chat.calibration.taught, chat.calibration.scale) == (False, Scale())
    chat.ask_for({"min_p": 0.1})
    list(chat.say(LONG.content))
    assert chat.calibration.request(chat.conversation.messages)
    assert chat.calibration.taught


@pytest.mark.parametrize("model", ["gpt-4", "nobody-1"])
@pytest.mark.parametrize("schema", [None, read_fields("city:str")])
def test_a_count_that_the_window_cant_hold_teaches_nothing(model: str, schema: object) -> None:
    script: list[Line] = [
        TextDelta("Hi."),
        UsageReport(Usage(10**9, 2)),
        Finished("stop", "m"),
    ]
    chat = Chat(ScriptedProvider(script, script), card_for(model))
    chat.ask_for({}, schema)  # type: ignore[arg-type]
    for _ in range(2):
        assert TextDelta("Hi.") in list(chat.say("Hello."))
    assert chat.calibration.request([LONG]) < 200


def test_a_server_that_refuses_for_a_schema_is_asked_again_with_less() -> None:
    server = Server((1.0, 1.0, 1.0), 600, ["{}"])  # of which most are the schema
    card = card_for("gpt-4", context_window=server.window)
    said = Conversation(SYSTEM)
    for number in range(8):
        said = said.asking(Message("user", f"{number}. {LONG.content}"))
        said = said.answered(Message("assistant", "{}"), "stop", None)
    server.chat = chat = Chat(server, card, said, reply_limit=100)
    chat.ask_for(FORM)
    assert list(chat.say("And now?"))[-1] == Finished("stop")
    assert (server.refused, chat.calibration.taught) == (1, False)
    assert chat.calibration.exact


def test_where_a_schema_leaves_no_room_the_hint_names_it() -> None:
    chat = Chat(ScriptedProvider("{}"), card_for("gpt-4", context_window=200), reply_limit=20)
    chat.ask_for(FORM)
    with pytest.raises(PromptTooLongError) as caught:
        list(chat.say(LONG.content))
    assert "the system message and the schema" in caught.value.text
    assert "make the schema smaller (≈" in caught.value.hint
