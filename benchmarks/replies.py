"""The replies that the benchmarks' server gives: the same in every run, in pieces like tokens.

A reply is asked for by its name, as a prompt: `markdown 500` is 500 pieces, `words 300 at 100`
comes at 100 pieces a second. Whatever else is asked is answered with one word.
"""

import random
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice

NAME = re.compile(r"(?P<shape>[a-z]+) (?P<count>\d+)(?: at (?P<rate>\d+))?")

_WORDS = """
a about above after air all also and any are as at back be because been before between
book both build but by call can change check close code cold come copy could data day deep
did different do down each early earth end every example far few file find first follow
for form found from garden get give go good great green group had hand hard has have head
help here high him his home hot house how idea if in into is it just keep kind know land
large last learn left less letter life light like line list little long look made make man
many may me mean might more most mountain move much must name near never new next night no
north not now number of off old on once one only open or other our out over own page part
people place plant point press river road same say school sea second see sentence set
should show side small so some something sound southern start state still stop story study
such system take tell test than that the their them then there these they thing think this
those thought three through time to together too travel tree try turn two under until up
use very walk want was watch water way we well went were what when where which while white
who why will wind with without wood word work world would write year you young your
""".split()  # noqa: SIM905 - a list of them would fill a page

_CODE = (
    "def {0}_{1}(items: list[int], limit: int = {n}) -> int:",
    '    """Give the {0} of the {1}, at most {n}."""',
    "    total = sum(item * {n} for item in items if item > limit)",
    "    # the {0} may be {1} when the {2} is empty",
    '    print(f"{0}: {{total}}", "{1} {2}")',
    "    if total > {n} and not items:",
    '        raise ValueError("no {0} for the {1}")',
    "    return total // {n}",
    "",
)


def pieces(shape: str, count: int) -> list[str]:
    """Give the first so many pieces of a reply, of four characters on average."""
    made = _SHAPES[shape](random.Random(1))  # noqa: S311 - no secret
    return list(islice(made, count))


def text(name: str) -> str:
    """Give the whole of the reply of this name."""
    return "".join(asked(name)[0])


@lru_cache
def asked(prompt: str) -> tuple[tuple[str, ...], float]:
    """Give the pieces of the reply to a prompt, and how many a second; 0 is all at once."""
    wanted = NAME.fullmatch(prompt)
    if wanted is None or wanted["shape"] not in _SHAPES:
        return ("Hello.",), 0.0
    return tuple(pieces(wanted["shape"], int(wanted["count"]))), float(wanted["rate"] or 0)


def _cut(texts: Iterator[str]) -> Iterator[str]:
    """Cut as a tokenizer does: a word with the blank before it, longer ones in two."""
    for part in texts:
        yield from re.findall(r" ?[A-Za-z_]{1,8}| ?\d{1,4}| ?[^\w\s]+\s?|\s+", part)


def _sentence(chance: random.Random, least: int = 6, most: int = 16) -> str:
    words = chance.choices(_WORDS, k=chance.randint(least, most))
    if chance.random() < 0.4:
        place = chance.randrange(len(words))
        marks = chance.choice(("**{}**", "*{}*", "`{}`", "[{}](https://example.com/page)"))
        words[place] = marks.format(words[place])
    return " ".join(words).capitalize() + "."


def _paragraph(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.randint(2, 6))) + "\n\n"


def _code_lines(chance: random.Random) -> Iterator[str]:
    while True:
        names = chance.choices(_WORDS, k=3)
        for line in _CODE:
            yield line.format(*names, n=chance.randint(1, 999)) + "\n"


def _rows(chance: random.Random) -> Iterator[str]:
    yield "| name | what it is | size |\n|------|------------|-----:|\n"
    while True:
        what = " ".join(chance.choices(_WORDS, k=chance.randint(2, 6)))
        yield f"| `{chance.choice(_WORDS)}` | {what} | {chance.randint(1, 9999)} |\n"


def _items(chance: random.Random) -> Iterator[str]:
    while True:
        yield f"- {_sentence(chance)}\n"


def _section(chance: random.Random) -> Iterator[str]:
    yield f"## {' '.join(chance.choices(_WORDS, k=4)).capitalize()}\n\n"
    yield _paragraph(chance)
    yield _paragraph(chance)
    yield from islice(_items(chance), chance.randint(3, 6))
    yield "\n" + _paragraph(chance)
    yield "```python\n"
    yield from islice(_code_lines(chance), len(_CODE) * chance.randint(1, 3) - 1)
    yield "```\n\n" + _paragraph(chance)
    for number in range(1, chance.randint(3, 6)):
        yield f"{number}. {_sentence(chance)}\n"
        if chance.random() < 0.3:
            yield f"   - {_sentence(chance)}\n"
    yield "\n"
    if chance.random() < 0.5:
        yield from islice(_rows(chance), chance.randint(4, 9))
        yield "\n"
    else:
        yield f"> {_sentence(chance)}\n\n"


def _markdown(chance: random.Random) -> Iterator[str]:
    while True:
        yield from _cut(_section(chance))


def _one_paragraph(chance: random.Random) -> Iterator[str]:
    while True:
        yield from _cut(iter([_sentence(chance) + " "]))


def _fence(chance: random.Random) -> Iterator[str]:
    yield "```python\n"
    yield from _cut(_code_lines(chance))


def _lines(chance: random.Random) -> Iterator[str]:
    yield "```python\n"
    yield from _code_lines(chance)


def _list(chance: random.Random) -> Iterator[str]:
    yield from _cut(_items(chance))


def _table(chance: random.Random) -> Iterator[str]:
    yield from _cut(_rows(chance))


def _marked_words(_: random.Random) -> Iterator[str]:
    number = 0
    while True:
        yield f"w{number:04}" + (" " if number % 40 < 39 else "\n\n")
        number += 1


_SHAPES: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "markdown": _markdown,
    "paragraph": _one_paragraph,
    "fence": _fence,
    "lines": _lines,  # of a fence, a line a piece
    "list": _list,
    "table": _table,
    "words": _marked_words,  # each of them another
}
