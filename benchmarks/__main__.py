"""Measure everything that README.md says, each figure beside a floor of the same run.

`python -m benchmarks` takes about a quarter of an hour and prints Markdown tables. `--full` holds
the long talk with the embedded model too, which takes as long again. The floors are the programs in
benchmarks/floors/; floor and chatrepl take turns, and the figures are medians. `--write` puts the
table into docs/benchmarks.md, and README's rows of it into README.md, with the number of runs.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import long_talk, scale, start, stream, trimming
from benchmarks.lab import Lab
from benchmarks.report import Row, document, figures, machine, written_into

_PARTS: dict[str, Callable[[Lab], list[Row]]] = {
    "start": start.start,
    "keys": start.keys,
    "enter": start.enter,
    "stream": stream.stream,
    "memory": stream.memory,
    "latency": stream.latency,
    "trimming": trimming.trimming,
    "scale": scale.scale,
    "long-talk": long_talk.long_talk,
}
_RUNS = 7
_LONG = "long-talk"
_STORE = "store"  # a program of its own, with a table of its own
_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("--runs", type=int, default=_RUNS, help=f"how often, {_RUNS} by default")
    names = [*_PARTS, _STORE]
    parser.add_argument("--only", metavar="NAME,…", help=f"some of: {', '.join(names)}")
    parser.add_argument("--full", action="store_true", help=f"{_LONG} too")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md and README")
    options = parser.parse_args()
    usual = names if options.full else [name for name in names if name != _LONG]
    wanted = options.only.split(",") if options.only else usual
    if unknown := {*wanted} - {*names}:
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {', '.join(names)}")
    if options.write and options.only:
        parser.error("--write needs all figures, and no --only")
    about = f"{machine()}; medians of {options.runs}."
    if not options.only and options.runs == _RUNS:
        print(f"This takes about {30 if options.full else 15} minutes.", file=sys.stderr)
    print(f"{about}\n", flush=True)
    if _STORE in wanted:
        print(f"## {_STORE.capitalize()}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{_STORE}"]
        subprocess.run(command, check=True)  # noqa: S603 - this very interpreter
        print(flush=True)
    rows = _measured(options.runs, [name for name in _PARTS if name in wanted])
    if options.write:
        (_ROOT / "docs" / "benchmarks.md").write_text(document(about, rows), encoding="utf-8")
        readme = _ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        readme.write_text(written_into(text, about, rows), encoding="utf-8")


def _measured(runs: int, names: list[str]) -> list[Row]:
    """Measure parts and print what came of them."""
    rows: list[Row] = []
    if not names:
        return rows
    try:
        with Lab(runs) as lab:
            for name in names:
                print(f"\n## {name.capitalize()}\n", flush=True)
                rows += _PARTS[name](lab)
    finally:  # what was measured before something failed took its time, too
        if rows:
            print(f"\n{figures(rows)}", flush=True)
    return rows


if __name__ == "__main__":
    main()
