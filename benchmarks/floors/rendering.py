"""Render a whole file of Markdown once, with rich."""

import sys
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

if __name__ == "__main__":
    Console().print(Markdown(Path(sys.argv[1]).read_text(encoding="utf-8")))
