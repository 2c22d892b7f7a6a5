"""The decision records: each has a number of its own, and none is missing."""

import re
from pathlib import Path

DECISIONS = Path(__file__).parent.parent / "docs" / "decisions"


def test_each_decision_has_a_number_of_its_own() -> None:
    files = sorted(DECISIONS.iterdir())
    titles = [file.read_text(encoding="utf-8").partition("\n")[0] for file in files]
    numbers = [int(number) for title in titles for number in re.findall(r"^# (\d+)\. ", title)]
    assert numbers == [*range(1, len(files) + 1)]
    assert [int(file.name.partition("-")[0]) for file in files] == numbers


def test_what_is_said_of_a_decision_is_said_of_one_that_is_there() -> None:
    root = DECISIONS.parent.parent
    texts = [root / "README.md", *(root / "chatrepl").rglob("*.py")]
    told = {
        number
        for file in texts
        for number in re.findall(r"docs/decisions/(\d{4})", file.read_text(encoding="utf-8"))
    }
    assert told
    assert told <= {file.name.partition("-")[0] for file in DECISIONS.iterdir()}
