"""What `chatrepl doctor` shows: a line for each finding."""

from typing import Protocol

from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

_MARKS = {"ok": "ok", "wrong": "wrong", "skipped": "-"}
_NAME = 11  # columns: api-version
_ROOMY = 60  # columns


class Finding(Protocol):
    """What is shown of a finding."""

    @property
    def name(self) -> str:
        """What has been checked."""

    @property
    def state(self) -> str:
        """Tell how it is: ok, wrong or skipped."""

    @property
    def line(self) -> str:
        """All that there is to say, in one line."""


def show(finding: Finding, screen: Screen) -> None:
    """Print a finding as soon as it is there; into a pipe, as one line."""
    mark, name, line = _MARKS[finding.state], finding.name, clean(finding.line)
    if not screen.on_terminal:
        print(f"{mark:5}  {name:{_NAME}}  {line}", flush=True)
        return
    from rich.padding import Padding  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    style = f"check.{finding.state}"
    words = Text(line, style="check.skipped" if finding.state == "skipped" else "")
    if screen.accessible:
        state = "skipped" if finding.state == "skipped" else mark
        screen.out.print(Text(f"{name}, {state}: {line}"))
        return
    head = Text(f"{mark:5}  ", style=style)
    if screen.out.width < _ROOMY:
        screen.out.print(head + Text(name, style="name"))
        screen.out.print(Padding(words, (0, 0, 0, 2)))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=5)
    table.add_column(width=_NAME)
    table.add_column(overflow="fold")
    table.add_row(Text(mark, style=style), Text(name), words)
    screen.out.print(table)
