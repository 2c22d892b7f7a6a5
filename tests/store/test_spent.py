"""What a session has used, read back: to the last digit what the chat and the ledger have."""

from collections.abc import Generator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.catalogue import ModelCard, card_for
from chatrepl.chat.costs import COST_UNITS, Completion, Price
from chatrepl.chat.events import Event, Finished, TextDelta, UsageReport
from chatrepl.chat.usage import Usage
from chatrepl.errors import ServerError
from chatrepl.providers.scripted import Line, ScriptedProvider
from tests.support.store import desk, load, rows


class Costs:
    """Tells the costs that it was given, one after the other."""

    def __init__(self, costs: list[Decimal | None]) -> None:
        self.costs = costs

    def prepare(self) -> None:
        pass

    def price(self, card: ModelCard, usage: Usage) -> Price:
        cost = self.costs.pop(0)
        return Price() if cost is None else Price(cost, "a list")


counts = st.integers(0, 2**40) | st.integers(-5, 2**70)
turns = st.tuples(
    st.none() | st.builds(Usage, counts, counts, counts, counts),
    st.none() | st.decimals(0, 99_999, places=12),
    st.sampled_from(["say", "retry", "undo"]),
)


@settings(max_examples=10, deadline=None)
@given(st.lists(turns, min_size=1, max_size=8))
def test_chat_and_ledger_agree_to_the_last_digit(
    said: list[tuple[Usage | None, Decimal | None, str]],
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.db"
        with desk(file) as run:
            run.chat.pricing = Costs([cost for _, cost, _ in said])
            for usage, _, how in said:
                report = [UsageReport(usage)] if usage else []
                script = [TextDelta("Yes."), *report, Finished("stop")]
                if how == "retry" and run.chat.conversation.exchanges:
                    run.retry(script)
                else:
                    run.say("Go on.", script)
                if how == "undo":
                    run.chat.go_to(0)
            spending, name = run.chat.spending, run.session
        units, unpriced = rows(file, "SELECT sum(cost), sum(cost IS NULL) FROM completion")[0]
        assert spending.total.cost == Decimal(units or 0) / COST_UNITS
        assert spending.total.cost == sum((cost for _, cost, _ in said if cost), Decimal(0))
        assert spending.total.unpriced == unpriced == [cost for _, cost, _ in said].count(None)
        again = load(file, name).spending()
        assert again.total == spending.total
        assert again.completions == spending.completions


def test_a_completion_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    with desk(file) as run:
        run.recorder.persona = "teacher"
        run.chat.pricing = Costs([Decimal("0.25")])
        run.chat.use(ScriptedProvider(name="here"), card_for("gpt-4o", context_window=8_192))
        run.chat.provider = ScriptedProvider(
            [TextDelta("Yes."), UsageReport(Usage(9, 5, 4, 3)), Finished("stop")], name="here"
        )
        list(run.chat.say("Hi"))
        name = run.session
    assert load(file, name).spent == (
        Completion("reply", Usage(9, 5, 4, 3), Decimal("0.25"), "a list", False, "gpt-4o", "here"),
    )
    assert rows(file, "SELECT persona FROM completion") == [("teacher",)]


def test_a_count_that_can_be_none_is_kept_as_one_that_can(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    with desk(file) as run:
        run.say("Hi", [TextDelta("a"), UsageReport(Usage(2**70, -(2**70))), Finished("stop")])
        assert run.notices == []
    assert rows(file, "SELECT prompt_tokens, completion_tokens FROM completion") == [(10**12, 0)]


def test_a_reply_that_is_stopped_is_in_the_ledger_too(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    with desk(file) as run:
        run.chat.pricing = Costs([Decimal("0.5")])
        run.chat.provider = ScriptedProvider("Yes and no.")
        events = run.chat.say("Hi")
        next(events)
        cast("Generator[Event]", events).close()
    assert rows(file, "SELECT cost, estimated FROM completion") == [(COST_UNITS // 2, 1)]


def test_a_call_is_the_model_s_that_was_asked(tmp_path: Path) -> None:
    """Going on with another model's reply in vain leaves that reply the other one's."""
    file = tmp_path / "sessions.db"
    with desk(file) as run:
        run.say("Hi", [TextDelta("Half"), Finished("length")])
        script: list[Line] = [UsageReport(Usage(5, 0)), ServerError("Cut.")]
        run.chat.use(ScriptedProvider(script), card_for("gpt-4o", context_window=8_192))
        with suppress(ServerError):
            list(run.chat.go_on())
    assert rows(file, "SELECT model FROM exchange") == [("gpt-4",)]
    assert rows(file, "SELECT model FROM completion") == [("gpt-4",), ("gpt-4o",)]
