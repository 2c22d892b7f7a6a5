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
    "trimming: a turn after 20,000 messages": Target(1.2),
    **{
        f"100,000 exchanges{more}: {what}": Target(300, "figure")
        for more in ("", " in one session")
        for what in (
            *("sessions", "sessions search", "usage", "usage --by session"),
            *("--resume, to the prompt", "-c, to the request"),
        )
    },
    "long talk: requests refused": Target(0, "figure"),
}
"""Of issues 5, 6 and 7, by measure."""

LONG_TALK = ("long talk: full turns use of the window", "long talk: requests refused")
"""What only --full measures."""

MEASURES = (
    "one-shot: start to request",
    "REPL: start to prompt",
    "REPL: first key echoed",
    "REPL: worst key while loading",
    "REPL: Enter to request after 2 s",
    *(f"CPU, markdown {size}" for size in (500, 2000, 10000, 40000)),
    "CPU, paragraph 20000",
    "CPU, lines 10000",
    "bytes out, markdown 10000",
    "bytes out, markdown 500 at 100",
    *(f"growth, {shape}" for shape in ("markdown", "paragraph", "fence", "list", "table")),
    "memory, ten turns",
    "memory, markdown 40000",
    "send to screen, p50",
    "send to screen, p99",
    "trimming: 5,000 messages to 4,096 tokens",
    "trimming: a turn after 20,000 messages",
    *(measure for measure in TARGETS if measure.startswith("100,000")),
    *LONG_TALK,
)
"""All that can be measured, in the order of the table."""

README = (
    "one-shot: start to request",
    "REPL: start to prompt",
    "REPL: worst key while loading",
    "REPL: Enter to request after 2 s",
    "CPU, markdown 10000",
    "CPU, markdown 40000",
    "bytes out, markdown 10000",
    "memory, markdown 40000",
    "trimming: 5,000 messages to 4,096 tokens",
    "trimming: a turn after 20,000 messages",
    "100,000 exchanges: sessions search",
    "100,000 exchanges: --resume, to the prompt",
)
"""What README shows of that; docs/benchmarks.md has all."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measure: chatrepl's figure in some unit, and the floor's where there is one."""

    measure: str
    floor: float | None
    ours: float
    unit: str

    def __post_init__(self) -> None:
        """Refuse a measure that is none of MEASURES."""
        assert self.measure in MEASURES, self.measure

    @property
    def ratio(self) -> float | None:
        """How many times the floor it is."""
        return self.ours / self.floor if self.floor else None

    def cells(self) -> tuple[str, ...]:
        """Give it as the cells of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.{2 if self.ratio >= 0.01 else 5}f}"
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


BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
"""What README has around its figures."""

_NOTE = """\
The floors: a loop that prints what openai's client streams (one-shot, CPU, memory, send to
screen); a bare PromptSession (prompt, keys), with openai imported before it (Enter); rich.markdown
once over the whole reply (bytes out, for each byte of the reply); the loop of the API's guide
(trimming), and the turn after 100 messages. A reply is its shape and its number of pieces, of
about 4 characters, as fast as they can be sent unless at so many a second; `lines` is a code fence
that comes a line a piece. Growth is the exponent of CPU from 2,000 to 40,000 pieces, less that of
a reply of one word, and uncertain by 0.03. The ten turns keep tiktoken's vocabulary in memory,
which is 41 MB. What 100,000 exchanges take is beyond the program's own start (`--version`; a
start without a session; an answer with nothing stored): 2,000 sessions of 50, or one session. The
long talk is 300 turns of English, code, Chinese, Arabic and emoji with the embedded model, in a
window of 1,024 tokens.
"""


def document(about: str, rows: Sequence[Row]) -> str:
    """Give docs/benchmarks.md: all figures, and what they mean."""
    how = "Written by `python -m benchmarks --write`; with `--full` it has the long talk too."
    head = f"# Benchmarks\n\n{how}"
    return f"{head}\n\n{about}\n\n{figures(rows)}\n\n{_NOTE}"


def written_into(text: str, about: str, rows: Sequence[Row]) -> str:
    """Put README's rows into its text. Raises ValueError if it has no place for them."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README has no {BEGIN} … {END}")
    by_name = {row.measure: row for row in rows}
    chosen = [by_name[measure] for measure in README if measure in by_name]
    return f"{before}{BEGIN}\n{about}\n\n{figures(chosen)}\n{END}{after}"
