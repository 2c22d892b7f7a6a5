"""Measure everything that README.md says, each figure beside a floor of the same run.

`python -m benchmarks` takes about a quarter of an hour and prints Markdown tables. The floors are
the programs in benchmarks/floors/; floor and chatrepl take turns, and the figures are medians.
"""

import argparse
import subprocess
import sys

from benchmarks import start, stream
from benchmarks.lab import Lab
from benchmarks.report import Row, figures, machine

_PARTS = {
    "start": start.start,
    "keys": start.keys,
    "enter": start.enter,
    "stream": stream.stream,
    "memory": stream.memory,
    "latency": stream.latency,
}
_OTHERS = ("trimming", "store")  # programs of their own, with tables of their own
_NOTE = """
Floors: a loop that prints what openai's client streams (one-shot, CPU, memory, send to screen); a
bare PromptSession (prompt, keys), with openai imported before it (Enter); rich.markdown once over
the whole reply (bytes out, for each byte of the reply). Growth is the exponent of CPU, less that
of a reply of one word, from 2,000 to 40,000 pieces. A reply is its shape and its number of
pieces, of about 4 characters, as fast as they can be sent unless at so many a second; `lines` is
a code fence that comes a line a piece.
"""


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("--runs", type=int, default=7, help="how often, 7 by default")
    names = ", ".join([*_PARTS, *_OTHERS])
    parser.add_argument("--only", metavar="NAME,…", help=f"some of: {names}")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [*_PARTS, *_OTHERS]
    if unknown := {*wanted} - {*_PARTS, *_OTHERS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {names}")
    print(f"{machine()}; medians of {options.runs}\n", flush=True)
    for name in _OTHERS:
        if name in wanted:
            print(name, file=sys.stderr)
            print(f"## {name.capitalize()}\n", flush=True)
            command = [sys.executable, "-m", f"benchmarks.{name}"]
            subprocess.run(command, check=True)  # noqa: S603 - this very interpreter
            print(flush=True)
    if chosen := [part for name, part in _PARTS.items() if name in wanted]:
        rows: list[Row] = []
        try:
            with Lab(options.runs) as lab:
                for part in chosen:
                    rows += part(lab)
        finally:  # what was measured before something failed took its time, too
            if rows:
                print(f"{figures(rows)}\n{_NOTE}", end="")


if __name__ == "__main__":
    main()
