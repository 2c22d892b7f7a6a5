"""Reading the text of a PDF file: the extra `pdf`.

This file is also a program of its own: a PDF is made by anybody, and its reader is a large one in
C++. So it runs in a process with bounds of time and memory, and takes nothing with it when it ends.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from chatrepl.errors import SettingsError
from chatrepl.installing import install
from chatrepl.posix import APART, limit

if TYPE_CHECKING:
    import pypdfium2

MOST_PAGES = 2_000
MOST_TEXT = 10_000_000
"""Bytes of text, as for a text file."""

_PATIENCE = 20.0
"""Seconds for one file: 2,000 pages of text take about one."""

_MEMORY = 2_000_000_000
"""Bytes of address space, for a file of 20 MB at most."""

_HEAD = b"%PDF-"
_TEXT_FIRST = "Turn it into text first, for instance with pdftotext, and attach that."
# What the process ends with, and what that means.
_OTHER, _LOCKED, _DAMAGED, _MANY, _LONG = 10, 11, 12, 13, 14
_WRONG_PASSWORD, _NO_PDF = 4, 3  # PDFium's FPDF_ERR_PASSWORD and FPDF_ERR_FORMAT
_WHY = {
    _LOCKED: ("is locked with a password", "Save a copy without one, and attach that."),
    _DAMAGED: ("is no whole PDF: it is damaged or was cut off", "Try to open and save it again."),
    _MANY: (f"has over {MOST_PAGES:,} pages", "Attach a part of it."),
    _LONG: (f"has over {MOST_TEXT / 1e6:,.0f} MB of text", "Attach a part of it."),
}
_FAILED = ("can't be read: the reader of PDFs failed at it", _TEXT_FIRST)

# PDFium writes a hyphen at a line's end, where it puts the word together again, as U+0002.
_DROPPED = dict.fromkeys(each for each in range(32) if each != ord("\n"))


def is_pdf(data: bytes, suffix: str) -> bool:
    """Whether a file is a PDF: by its head, which readers look for in the first 1,024 bytes.

    A text that only speaks of PDFs does not have it at its very beginning, nor the suffix `.pdf`.
    """
    return data.startswith(_HEAD) or (suffix.lower() == ".pdf" and _HEAD in data[:1024])


def read_pdf(
    data: bytes, name: str, say: Callable[[str], object], *, patience: float = _PATIENCE
) -> str:
    """Give the text of a PDF, each page under a line with its number.

    `name` is for what is said: `say` is told of pages without text, which are mostly pictures.
    `patience` is in seconds. Raises SettingsError: the extra is not installed, the file is damaged
    or locked, has no text at all, or passes a bound.
    """
    if importlib.util.find_spec("pypdfium2") is None:
        text = f"{name} is a PDF, and the extra that reads those is not installed."
        raise SettingsError(text, f"Run: {install('chatrepl-terminal[pdf]')}")
    pages = _read_apart(data, name, patience).split("\f")
    empty = sum(not page for page in pages)
    if empty == len(pages):
        raise SettingsError(
            f"{name} has no text: {_pages(empty)} with nothing but pictures.",
            "Attach the pages as images, or have the text in them recognized first (OCR).",
        )
    if empty:
        verb = "has" if empty == 1 else "have"
        say(f"{empty:,} of {_pages(len(pages))} of {name} {verb} no text: pictures are not read")
    return "\n\n".join(
        f"[page {number} of {len(pages)}]\n{page or '(no text)'}"
        for number, page in enumerate(pages, 1)
    )


def _read_apart(data: bytes, name: str, patience: float) -> str:
    """Give the pages, with a form feed between them, from a process of its own."""
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [sys.executable, "-P", "-m", "chatrepl.pdf"],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
            **APART,  # Ctrl-C is for this process, which ends that one
        )
    except subprocess.TimeoutExpired:
        text = f"{name} can't be read: its text was not there after {patience:g} seconds."
        raise SettingsError(text, _TEXT_FIRST) from None
    if done.returncode:
        what, hint = _WHY.get(done.returncode, _FAILED)
        raise SettingsError(f"{name} {what}.", hint)
    return done.stdout.decode()


def _pages(count: int) -> str:
    return f"{count:,} page{'s' * (count != 1)}"


def _main() -> int:
    """Read a PDF from standard input and write its pages, with a form feed between them."""
    limit(_MEMORY, int(_PATIENCE))
    import pypdfium2  # noqa: PLC0415 - in this process only

    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    except pypdfium2.PdfiumError as error:
        return {_WRONG_PASSWORD: _LOCKED, _NO_PDF: _DAMAGED}.get(error.err_code, _OTHER)
    if len(document) > MOST_PAGES:
        return _MANY
    pages, size = [], 0
    for page in _texts(document):
        pages.append(page)
        size += len(page.encode())
        if size > MOST_TEXT:
            return _LONG
    sys.stdout.buffer.write("\f".join(pages).encode())
    sys.stdout.flush()
    return 0


def _texts(document: "pypdfium2.PdfDocument") -> Iterator[str]:
    """Give the text of each page; of one that is damaged, none."""
    import pypdfium2  # noqa: PLC0415 - in this process only

    for number in range(len(document)):
        try:
            page = document[number]
            text = page.get_textpage().get_text_bounded()
            page.close()
        except pypdfium2.PdfiumError:
            text = ""
        yield text.translate(_DROPPED).encode(errors="replace").decode().strip()


if __name__ == "__main__":
    sys.exit(_main())
