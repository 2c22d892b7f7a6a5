"""Figures beside their floors, as a Markdown table."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be at most: the ratio to the floor, or itself."""

    most: float
    of: str = "ratio"


TARGETS = {
    "one-shot: start to request": Target(0.75),
    "REPL: start to prompt": Target(1.15),
    "REPL: worst key while loading": Target(30, "figure"),
    "REPL: Enter to request after 2 s": Target(1.0),
    "CPU, markdown 10000": Target(0.75),
    "CPU, markdown 40000": Target(0.70),
    "CPU, paragraph 20000": Target(0.40),
    "bytes out, markdown 10000": Target(8, "figure"),
    "bytes out, markdown 500 at 100": Target(8, "figure"),
    **{
        f"growth, {shape}": Target(1.05, "figure")
        for shape in ("markdown", "paragraph", "fence", "list", "table")
    },
    "send to screen, p99": Target(60, "figure"),
    "memory, ten turns": Target(75, "figure"),
    "memory, markdown 40000": Target(80, "figure"),
}
"""Of issue 5, by measure."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measure: chatrepl's figure in some unit, and the floor's where there is one."""

    measure: str
    floor: float | None
    ours: float
    unit: str

    @property
    def ratio(self) -> float | None:
        """How many times the floor it is."""
        return self.ours / self.floor if self.floor else None

    def cells(self) -> tuple[str, ...]:
        """Give it as the cells of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.measure, _shown(self.floor, self.unit), self._ours, ratio, self._to_reach

    @property
    def _ours(self) -> str:
        return _shown(self.ours, self.unit)

    @property
    def _to_reach(self) -> str:
        target = TARGETS.get(self.measure)
        if target is None:
            return ""
        figure = self.ratio if target.of == "ratio" else self.ours
        unit = f" {self.unit}".rstrip() if target.of == "figure" else ""
        missed = "" if figure is not None and figure <= target.most else " (missed)"
        return f"{target.most:g}{unit} or less{missed}"


def _shown(figure: float | None, unit: str) -> str:
    if figure is None:
        return ""
    digits = 0 if figure >= 100 else 1 if unit else 2
    return f"{figure:,.{digits}f} {unit}".rstrip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a Markdown table; all but the first column are numbers."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def figures(rows: Sequence[Row]) -> str:
    """Give the table of all that was measured."""
    head = ("measure", "floor", "chatrepl", "ratio", "to reach")
    return table(head, [row.cells() for row in rows])


def machine() -> str:
    """Say on what and with what it was measured."""
    packages = ("openai", "rich", "prompt_toolkit", "tiktoken")
    with_them = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {with_them}"
    )
