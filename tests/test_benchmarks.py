"""What README says in figures is what `python -m benchmarks` prints."""

import re
from pathlib import Path

import pytest

from benchmarks.report import (
    BEGIN,
    END,
    LONG_TALK,
    MEASURES,
    README,
    TARGETS,
    Row,
    document,
    written_into,
)
from chatrepl.providers import smollm2

ROOT = Path(__file__).parents[1]
FIGURE = re.compile(r"\d ?(?:ms|µs|[kMG]B|%)(?!\w)|\d times (?:faster|slower|less|more)")
DOWNLOAD = f"{smollm2.WHEEL_BYTES / 1e6:.0f} MB"


def measures(text: str) -> list[str]:
    """The first cells of the tables of figures in a text, without their heads."""
    cells = re.findall(r"^\| ([^|]+?) \|(?: [^|]*\|){4}$", text, re.MULTILINE)
    return [cell for cell in cells if cell not in {"measure", "---"}]


def split(text: str) -> tuple[str, str]:
    """A text's figures, and all that is not between their marks."""
    before, _, rest = text.partition(BEGIN)
    inside, mark, after = rest.partition(END)
    assert mark
    return inside, before + after


def test_the_figures_of_readme_are_some_that_the_command_prints() -> None:
    inside, outside = split((ROOT / "README.md").read_text(encoding="utf-8"))
    assert measures(inside) == list(README)
    assert FIGURE.findall(outside.replace(f"({DOWNLOAD})", "")) == []


def test_the_figures_of_the_docs_are_some_that_the_command_prints() -> None:
    file = ROOT / "docs" / "benchmarks.md"
    found = measures(file.read_text(encoding="utf-8"))
    assert len(found) == len({*found})
    assert {*found} | {*LONG_TALK} == {*MEASURES}


def test_what_has_a_target_or_stands_in_readme_is_measured() -> None:
    assert set(TARGETS) <= set(MEASURES)
    assert set(README) <= set(MEASURES)
    assert len(README) <= 14


def test_the_command_puts_its_rows_between_the_marks_and_nowhere_else() -> None:
    rows = [Row(measure, 2.0, 1.0, "ms") for measure in MEASURES]
    text = f"# Speed\n\n{BEGIN}\nold\n{END}\n\nMore.\n"
    inside, outside = split(written_into(text, "A machine.", rows))
    assert measures(inside) == list(README)
    assert "A machine." in inside
    assert outside == split(text)[1]
    assert measures(document("A machine.", rows)) == list(MEASURES)
    with pytest.raises(ValueError, match="no"):
        written_into("# No marks\n", "", rows)


def test_a_figure_that_misses_its_target_says_so() -> None:
    name = "100,000 exchanges: sessions"
    assert Row(name, None, 300, "ms").cells() == (name, "", "300 ms", "", "300 ms or less")
    assert Row(name, None, 301, "ms").cells()[-1] == "300 ms or less (missed)"


def test_a_measure_has_one_name() -> None:
    with pytest.raises(AssertionError, match="a misnomer"):
        Row("a misnomer", None, 1, "ms")
