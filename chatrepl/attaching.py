"""Attaching: the files that are named become texts and images to be sent.

What is named by itself must be there and of use, or nothing is attached. Of what a folder or a
pattern brings, what git ignores, what is hidden and what is no text is left out, and that is said.
"""

import glob
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from chatrepl.chat.attachments import AttachedImage, Attachment
from chatrepl.errors import SettingsError
from chatrepl.paths import expanded
from chatrepl.reading import printable, read_attachment

MOST_FILES = 1_000
MOST_BYTES = 50_000_000
"""What may be attached at once: OpenAI takes no more in a request either, as far as it says."""

_SHOWN = 3  # names, of what is left out


Say = Callable[[str], object]
"""Is told what is to be known of something that was read."""

Read = Callable[[Path, str], Attachment]
"""Reads a file that a name has meant."""


def attach(names: Iterable[str], say: Say) -> tuple[Attachment, ...]:
    """Read files, folders and patterns such as src/**/*.py; ~ is the home folder.

    Raises SettingsError: there is no such file, it is neither text nor image, or too large.
    """
    found: dict[str, Attachment] = {}  # of two with the same name, the later one
    known: dict[str, Attachment] = {}
    size = 0

    def read(path: Path, name: str) -> Attachment:
        # The same file under another name is the same attachment.
        key = os.path.realpath(path) if _exists(path) else str(path)
        if key not in known:
            known[key] = read_attachment(path, _shown(path, name), say)
        return known[key]

    for name in names:
        for each in _read(name, read, say):
            if before := found.pop(each.name, None):
                size -= _bytes(before)
            found[each.name] = each
            size += _bytes(each)
            _check_amount(len(found), size)
    return tuple(found.values())


def _read(name: str, read: Read, say: Say) -> Iterator[Attachment]:
    """Read what one name means, as it is asked for."""
    if not name.strip():
        raise SettingsError("A file without a name can't be attached.", "Check -f and /file.")
    path = expanded(name)
    if _is_folder(path):
        yield from _read_all(name, _walk(path), read, say)
    elif glob.has_magic(name) and not _exists(path):
        yield from _read_all(name, _matches(path), read, say)
    else:
        yield read(path, name)


def _read_all(name: str, paths: Iterator[Path], read: Read, say: Say) -> Iterator[Attachment]:
    """Read what a folder or a pattern brings; what can't be is left out, and that is said."""
    is_empty = True
    left_out: list[str] = []
    for path in paths:
        try:
            yield read(path, name)
            is_empty = False
        except SettingsError as error:
            left_out.append(error.text.rstrip("."))
    if is_empty:
        what = f" {left_out[0]}." if left_out else ""
        text = f"There is nothing to attach in {printable(name)}.{what}"
        if not left_out and not _is_folder(expanded(name)):
            text = f"No file matches {printable(name)}."
        hint = "What git ignores and what is hidden is attached when it is named by itself."
        raise SettingsError(text, hint)
    if left_out:
        others = f"; and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
        say(f"not attached: {'; '.join(left_out[:_SHOWN])}{others}")


def _bytes(attachment: Attachment) -> int:
    return len(attachment.data) if isinstance(attachment, AttachedImage) else attachment.size


def _check_amount(files: int, size: int) -> None:
    if files > MOST_FILES or size > MOST_BYTES:
        what = f"over {MOST_FILES:,} files" if files > MOST_FILES else f"{_megabytes(size)} MB"
        most = f"{MOST_FILES:,} files and {_megabytes(MOST_BYTES)} MB"
        raise SettingsError(f"That is too much to attach: {what}; {most} are the most.")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}".removesuffix(".0")


# Path's own methods raise for a name that is too long and below a folder that is somebody else's.


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def _shown(path: Path, name: str) -> str:
    """Give a path as it was named: with ~ where that was written."""
    shown = os.path.normpath(path)
    home = os.path.normpath(Path.home())
    return "~" + shown[len(home) :] if name.startswith("~") and shown.startswith(home) else shown


def _walk(folder: Path) -> Iterator[Path]:
    """Give the files of a folder and of those below it, in the order of their names."""
    is_ignored = _ignoring(folder)
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(n for n in folders if n[0] != "." and not is_ignored(here / n, True))
        for name in sorted(files):
            if name[0] != "." and not is_ignored(here / name, False) and _is_file(here / name):
                yield here / name


def _matches(pattern: Path) -> Iterator[Path]:
    """Give the files that a pattern means, in the order of their names; ** is any folders."""
    parts = itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts)
    is_ignored = _ignoring(Path(*parts))  # from where a folder would be walked
    found = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - Path's takes no absolute one
    for path in sorted(map(Path, found)):
        if _is_file(path) and not is_ignored(path, False):
            yield path


def _ignoring(folder: Path) -> Callable[[Path, bool], bool]:
    """Give what tells whether git would ignore a file or a folder below this one.

    By the .gitignore files from the top of the repository down, of which the nearest counts first.
    """
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - not needed to start

    specs: dict[Path, GitIgnoreSpec | None] = {}
    top = _top(folder.absolute())

    def spec_of(place: Path) -> GitIgnoreSpec | None:
        if place not in specs:
            try:
                lines = (place / ".gitignore").read_text(errors="replace").splitlines()
            except OSError:
                lines = []
            specs[place] = GitIgnoreSpec.from_lines(lines) if lines else None
        return specs[place]

    def is_ignored(path: Path, is_folder: bool) -> bool:
        path = path.absolute()
        for place in path.parents:
            if spec := spec_of(place):
                inside = path.relative_to(place).as_posix() + "/" * is_folder
                verdict = spec.check_file(inside).include
                if verdict is not None:
                    return verdict
            if place == top:
                break
        return False

    return is_ignored


def _top(folder: Path) -> Path:
    """Find the top of the repository that a folder is in, or else the folder itself."""
    above = (place for place in (folder, *folder.parents) if _exists(place / ".git"))
    return next(above, folder)


# In quotes a backslash is one, as in Windows' paths; only before a quote it counts: as Windows'
# own command lines have it, \" is a quote, and \\" a backslash at the end.
_QUOTED = r"""(?:[^"\\\n]|\\+(?!["\\])|(?:\\\\)*\\"|(?:\\\\)+(?="))+"""
_MENTION = re.compile(
    r"""(?:(?<=[\s(\[{])|^)@(?P<doubled>@)?"""
    rf"""(?:"(?P<quoted>{_QUOTED})(?:"|(?<=/)$)|(?P<plain>[^\s"'()<>\[\]{{}};,]+))""",
    re.MULTILINE,
)
_BEFORE_QUOTE = re.compile(r"""(\\+)("|\Z)""")
_PLACED = re.compile(r"~|\.{0,2}[/\\]|[A-Za-z]:[/\\]|[^@]+/")
_MORE_SUFFIXES = {".md", ".toml", ".yaml", ".yml", ".rs", ".ts", ".java", ".sql", ".webp"}


def mentioned(
    line: str, known: Collection[str] = (), exists: Callable[[str], bool] | None = None
) -> tuple[str, list[str]]:
    r"""Find the files that a line names as @path or @"path with blanks"; \" is a quote in it.

    A folder's name that ends the line needs no quote at its end: Tab sets none.

    Gives the line as it is to be sent, and the names. A word that is no file's name and does not
    look like one is text; so is one with a second @, which is taken away. Raises SettingsError
    for what looks like a file and is none, unless it is `known`. `exists` tells what is there.

    >>> mentioned("compare @a.py, @b.py and @property", (), {"a.py", "b.py"}.__contains__)
    ('compare @a.py, @b.py and @property', ['a.py', 'b.py'])
    >>> mentioned("who made @@types/node?")
    ('who made @types/node?', [])
    """
    names: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        if found["quoted"]:
            name = _BEFORE_QUOTE.sub(_unescaped, found["quoted"])
        else:
            name = _name_in(found["plain"], exists or _can_be_attached)
        is_file = (exists or _can_be_attached)(name)
        if not is_file and (not _looks_like_a_path(name) or os.path.normpath(name) in known):
            return found[0]
        if found["doubled"]:
            return found[0][1:]
        if not is_file:
            hint = f"To send that as text, double the @: @{printable(found[0])}"
            raise SettingsError(f"There is no file {printable(name)}: nothing was sent.", hint)
        names.append(name)
        return found[0]

    return _MENTION.sub(replaced, line), list(dict.fromkeys(names))


def _unescaped(found: re.Match[str]) -> str:
    return found[1][: len(found[1]) // 2] + found[2]


def _name_in(word: str, exists: Callable[[str], bool]) -> str:
    """Take the punctuation off a name that a sentence has put behind it."""
    bare = word.rstrip(".:!?")
    return word if word != bare and exists(word) else bare


def _looks_like_a_path(name: str) -> bool:
    """Tell whether a name has a place in it, or ends as the names of files do."""
    _, dot, suffix = name.rpartition(".")
    return bool(_PLACED.match(name)) or dot + suffix.lower() in _suffixes()


@cache
def _suffixes() -> set[str]:
    """Give the endings that Python itself knows a type for; of @app.get it knows none."""
    from mimetypes import MimeTypes  # noqa: PLC0415 - not needed to start

    return _MORE_SUFFIXES.union(MimeTypes().types_map[True])


def _can_be_attached(name: str) -> bool:
    """Tell whether a name is a file's or a pattern's, or a folder's written with a slash."""
    path = expanded(name)
    if glob.has_magic(name) and not _exists(path):
        try:
            return any(glob.iglob(str(path), recursive=True))  # noqa: PTH207 - see `_matches`
        except (OSError, ValueError):  # a NUL
            return False
    return _is_file(path) or (_is_folder(path) and "/" in name[1:])  # "/" alone is a word
