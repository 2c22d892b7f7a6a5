"""The decision records: each has a number of its own, and none is missing."""

import re
from pathlib import Path

DECISIONS = Path(__file__).parent.parent / "docs" / "decisions"


def test_each_decision_has_a_number_of_its_own() -> None:
    files = sorted(DECISIONS.glob("[0-9]*.md"))
    titles = [file.read_text(encoding="utf-8").partition("\n")[0] for file in files]
    numbers = [int(number) for title in titles for number in re.findall(r"^# (\d+)\. ", title)]
    assert numbers == [*range(1, len(files) + 1)]
    assert [int(file.name.partition("-")[0]) for file in files] == numbers


def test_the_index_names_each_of_them_by_its_title() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^(\d+\. )\[(.+)\]\((.+)\)$", index, re.MULTILINE)
    files = sorted(DECISIONS.glob("[0-9]*.md"))
    titles = [file.read_text(encoding="utf-8").partition("\n")[0] for file in files]
    assert [f"# {number}{title}" for number, title, _ in rows] == titles
    assert [name for _, _, name in rows] == [file.name for file in files]


def test_what_is_said_of_a_decision_is_said_of_one_that_is_there() -> None:
    root = DECISIONS.parent.parent
    texts = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "chatrepl").rglob("*.py")]
    told = {
        number
        for file in texts
        for number in re.findall(r"\bdecisions/(\d{4})", file.read_text(encoding="utf-8"))
    }
    assert told
    assert told <= {file.name.partition("-")[0] for file in DECISIONS.glob("[0-9]*.md")}
