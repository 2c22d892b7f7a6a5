"""docs/reference/config.md from config.example.toml, whose comments are the source.

The rules of that file are those that tests/test_config_example.py holds: prose begins with "# ",
a setting with "#" alone, "# example" marks what is not a default, and a section begins with
"# ---- its title ----".
"""

import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from chatrepl.config import ConfigFile, Example, ModelTable, Persona, ProviderTable, example_file

_SHAPES: dict[str, type[msgspec.Struct]] = {
    "": ConfigFile,
    "providers": ProviderTable,
    "personas": Persona,
    "examples": Example,
    "models": ModelTable,
}
_COUNTED = 10**9  # beyond that a bound is one of the machine, not of the meaning
_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "table"}


@dataclass
class Key:
    """A key as the file shows it, under the comment that stands above it."""

    name: str
    value: str
    is_example: bool
    comment: str
    kind: str


@dataclass
class Table:
    """A table of the file, or what stands before the first one of a section: its name is ""."""

    name: str
    comment: str
    keys: list[Key] = field(default_factory=list)

    @property
    def has_more(self) -> bool:
        """Whether it shows how keys are used that are told of elsewhere."""
        return any(key.is_example and not key.comment for key in self.keys)

    @property
    def text(self) -> str:
        """Give the table as it stands in a file."""
        return "\n".join([self.name, *(f"{key.name} = {key.value}" for key in self.keys)])


@dataclass
class Section:
    """What stands under one title."""

    title: str
    tables: list[Table]


def sections(text: str) -> list[Section]:
    """Read the file's text."""
    found: list[Section] = []
    comment: list[str] = []
    all_examples = False
    for line in text.splitlines():
        if title := re.match(r"# -+ (.+?) -+$", line):
            found.append(Section(title[1], [Table("", "")]))
            comment, all_examples = [], False
        elif not found:
            continue  # the head of the file, which the page says in its own words
        elif header := re.match(r"#(\[+.+?\]+)(.*)", line):
            all_examples = "# example" in header[2]
            found[-1].tables.append(Table(header[1], " ".join(comment)))
            comment = []
        elif re.match(r'#[\w"]', line):
            table = found[-1].tables[-1]
            name, _, rest = line[1:].partition(" = ")
            value = rest.removesuffix("  # example")
            said = " ".join(comment)
            key = Key(name, value, all_examples or value != rest, said, _kind(table.name, name))
            table.keys.append(key)
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif comment:  # a blank line: what stands above was about the section
            found[-1].tables[-1].comment += " ".join(["", *comment])
            comment = []
    return found


def _kind(table: str, key: str) -> str:
    """Say in words what a key takes, by the type that checks it."""
    path = re.findall(r'"[^"]+"|[^.]+', table.strip("[]")) or [""]
    shape = _SHAPES.get(path[-1] if len(path) > 2 else path[0])
    if shape is None or key.startswith('"'):
        return "text"
    return " or ".join(_kinds(typing.get_type_hints(shape, include_extras=True)[key]))


def _kinds(hint: Any) -> Iterator[str]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        for one in inner:
            if one is not type(None):
                yield from _kinds(one)
    elif origin is typing.Annotated:
        meta = inner[1]
        bounds = "" if meta.gt is None else f", more than {meta.gt}"
        if meta.ge is not None and meta.le is not None and meta.le <= _COUNTED:
            bounds = f", {meta.ge:,} to {meta.le:,}"
        yield f"{next(_kinds(inner[0]))}{bounds}"
    elif origin is Literal:
        *most, last = (f"`{word}`" for word in inner)
        yield f"{', '.join(most)} or {last}"
    elif origin is list:
        yield f"list of {next(_kinds(inner[0]))}s"
    else:
        yield _KINDS.get(origin or hint, "table")


def _rows(table: Table) -> Iterator[tuple[str, str, str, str]]:
    """Give the keys of a table; an example without a comment has been told of above."""
    for key in table.keys:
        if key.is_example and not key.comment:
            continue
        said = f"{key.comment} Example: `{key.value}`" if key.is_example else key.comment
        default = "" if key.is_example else f"`{key.value}`"
        yield f"`{key.name}`", key.kind, default, said.strip() or "as above"


HEAD = """\
The file is `config.toml` in the configuration folder: `~/.config/chatrepl` on Linux, \
`~/Library/Application Support/chatrepl` on macOS, `%LOCALAPPDATA%\\chatrepl` on Windows, \
`config` below `CHATREPL_HOME` where that is set; or the file that `--config` or \
`CHATREPL_CONFIG` names. [config.example.toml](../../config.example.toml) has all of it, to copy.

A setting is taken from the last of these that has it: the default, this file, the persona, the \
environment, the command line, `/set` in the chat. An unknown key is an error, which names the \
nearest known one.
"""


def config_page(
    made: str,
    cell: Callable[[str], str],
    as_table: Callable[[Iterable[str], Iterable[Iterable[str]]], str],
) -> str:
    """Give the page of the config file."""
    parts = ["# The config file\n", made.format("config.example.toml"), HEAD]
    for section in sections(example_file().read_text(encoding="utf-8")):
        parts.append(f"## {section.title}\n")
        for table in section.tables:
            rows, comment = list(_rows(table)), table.comment.strip()
            if table.name:
                parts.append(f"### `{table.name}`\n")
            if comment:
                parts.append(f"{cell(comment)}\n")
            if rows:
                parts.append(as_table(("key", "takes", "default", "meaning"), rows))
            if table.has_more:
                parts.append(f"```toml\n{table.text}\n```\n")
    return "\n".join(parts)
