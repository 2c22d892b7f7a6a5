"""The README's screenshots: the real program on the embedded model, as its terminal shows it.

`python -m tools.screenshots [FOLDER]` runs three talks in a pseudo-terminal and writes
chat.svg, context.svg and markdown.svg; into docs/screenshots unless told. The model must have
been fetched (`python -m chatrepl.fetch`). It answers with temperature 0; its words may still be
others on another processor.
"""

import io
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from chatrepl.paths import Paths
from chatrepl.providers import smollm2
from tests.support.program import Terminal

FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
COLUMNS = 80
THEME = TerminalTheme(
    (24, 26, 31),
    (215, 218, 224),
    [
        *((24, 26, 31), (224, 108, 117), (152, 195, 121), (229, 192, 123)),
        *((97, 175, 239), (198, 120, 221), (86, 182, 194), (215, 218, 224)),
    ],
    [
        *((140, 146, 158), (224, 108, 117), (152, 195, 121), (229, 192, 123)),
        *((97, 175, 239), (198, 120, 221), (86, 182, 194), (255, 255, 255)),
    ],
)

CONFIG = '''
model = "smollm2"
temperature = 0.0

[personas.atlas]
system = "You describe countries in Markdown."

[[personas.atlas.examples]]
user = "France"
assistant = """
## France

**France** is a country in *Western Europe*. Its capital is Paris.

| fact | value |
|---|---|
| capital | Paris |
| language | French |
| currency | euro |
| continent | Europe |

Three large cities:

- Paris
- Marseille
- Lyon

```python
capitals["France"] = "Paris"
```
"""

[[personas.atlas.examples]]
user = "Egypt"
assistant = """
## Egypt

**Egypt** is a country in *North Africa*. Its capital is Cairo.

| fact | value |
|---|---|
| capital | Cairo |
| language | Arabic |
| currency | Egyptian pound |
| continent | Africa |

Three large cities:

- Cairo
- Alexandria
- Giza

```python
capitals["Egypt"] = "Cairo"
```
"""
'''


class Shot(NamedTuple):
    """One screenshot: how the program is started, what is typed, and what is waited for last."""

    title: str
    flags: tuple[str, ...]
    lines: int
    said: tuple[str, ...]
    typed: str = ""
    seen: str = ""


SHOTS: Mapping[str, Shot] = {
    "chat": Shot(
        title="chatrepl",
        flags=(),
        lines=20,
        said=(
            "What is the capital of France?",
            "And of Peru?",
            "Write one sentence about the sea.",
        ),
        typed="/co",
        seen="/context",
    ),
    "context": Shot(
        title="chatrepl --context-window 180 --max-tokens 60",
        flags=("--context-window", "180", "--max-tokens", "60"),
        lines=26,
        said=(
            "What is the capital of France?",
            "/pin 2",
            "What is the capital of Peru?",
            "Write one sentence about the sea.",
            "What is the opposite of hot?",
            "/context",
        ),
    ),
    "markdown": Shot(title="chatrepl -p atlas", flags=("-p", "atlas"), lines=26, said=("Italy",)),
}


def main(folder: Path) -> None:
    """Write the screenshots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shot in SHOTS.items():
        (folder / f"{name}.svg").write_text(svg(taken(shot), shot.title, name), encoding="utf-8")
        print(f"{folder / name}.svg")


def taken(shot: Shot) -> list[Text]:
    """Run the program, and give the lines of the screen in the end."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "config.toml").write_text(CONFIG, encoding="utf-8")
        model = smollm2.model_file(home / "chatrepl" / "data")
        model.parent.mkdir(parents=True)
        model.symlink_to(smollm2.model_file(Paths.from_environment().data))
        flags = ("--config", str(home / "config.toml"), *shot.flags)
        with Screen(*flags, home=home, lines=shot.lines) as screen:
            screen.wait_for_prompt()
            for line in shot.said:
                screen.say(line)
                screen.wait_for(f"> {line}")
                screen.wait_for_prompt(timeout=120)
            screen.type(shot.typed)
            screen.wait_for(shot.seen)
            screen.wait_until(lambda: " of " in screen.screen.split("\n")[-1], "the toolbar")
            screen.read(1)  # what is counted beside the prompt
            return screen.lines


class Greying(pyte.ByteStream):
    """pyte knows no dim text: that becomes grey."""

    def feed(self, data: bytes) -> None:  # type: ignore[override]
        """Take in what the program writes."""
        super().feed(re.sub(rb"\x1b\[(?:0;)?2m", b"\x1b[90m", data))


class Screen(Terminal):
    """The program's terminal, with its colours."""

    def __init__(self, *arguments: str, home: Path, lines: int) -> None:
        super().__init__(*arguments, home=home, columns=COLUMNS, lines=lines)
        self._stream = Greying(self._screen)

    @property
    def lines(self) -> list[Text]:
        """The lines of the screen, less the blank ones above the toolbar."""
        rows = [self._screen.buffer[y] for y in range(self._screen.lines)]
        lines = [line_of([row[x] for x in range(COLUMNS)]) for row in rows]
        last = max(n for n, line in enumerate(lines[:-1]) if line.plain.strip())
        return [*lines[: last + 2], lines[-1]] if last + 2 < len(lines) else lines


def line_of(row: Iterable[pyte.screens.Char]) -> Text:
    """Put characters together that look alike."""
    parts = groupby(row, key=style_of)
    return Text.assemble(*(("".join(char.data for char in part), look) for look, part in parts))


def style_of(char: pyte.screens.Char) -> Style:
    """Give how a character looks in rich's terms."""
    return Style(
        color=colour(char.fg),
        bgcolor=colour(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def colour(name: str) -> str:
    """Translate pyte's name of a colour: of the palette, or six hexadecimal digits."""
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    plain = name.removeprefix("bright").replace("brown", "yellow")
    return f"bright_{plain}" if name.startswith("bright") else plain


def svg(lines: list[Text], title: str, name: str) -> str:
    """Draw the lines; the picture refers to nothing outside of it."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
    form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    return console.export_svg(title=title, theme=THEME, code_format=form, unique_id=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
