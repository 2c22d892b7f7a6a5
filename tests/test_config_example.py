"""config.example.toml against the code: every key, no other, and the defaults that it shows.

The file's own rules, which these tests rely on: prose begins with "# ", a setting that is
commented out with "#" alone, and "# example" marks what is not a default; behind a table's
header it is for the whole table.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from chatrepl.chat.catalogue import ASSUMED_WINDOW, DEFAULT_MODEL, LARGEST_DEFAULT_REPLY
from chatrepl.config import (
    Budget,
    ConfigFile,
    Example,
    ModelTable,
    Parameters,
    Persona,
    Prices,
    ProviderTable,
    parse_config,
)
from chatrepl.providers.azure import DEFAULT_API_VERSION
from chatrepl.providers.embedded import DEFAULT_WINDOW
from chatrepl.settings import BUILT_IN, Flags, Settings, Sources

TEXT = (Path(__file__).parent.parent / "config.example.toml").read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"^#(?=[\w\[\"])", "", TEXT, flags=re.MULTILINE)
NO_DEFAULT: tuple[object, ...] = (None, {})


@dataclass(frozen=True)
class Line:
    """One setting as the file shows it. `section` is "", "providers", "personas"…"""

    section: str
    table: str
    key: str
    value: Any
    is_example: bool
    above: str

    def __str__(self) -> str:
        return ".".join(filter(None, [self.section, self.table, self.key]))


def read_lines() -> Iterator[Line]:
    path, all_examples = [""], False
    above = ""
    for line in UNCOMMENTED.splitlines():
        if header := re.match(r"\[+(.+?)\]+(.*)", line):
            path = [name.strip('"') for name in re.findall(r'"[^"]+"|[^.]+', header[1])]
            all_examples = "# example" in header[2]
        elif re.match(r"[\w\"]", line):
            [(key, value)] = tomllib.loads(line).items()
            section = path[-1] if len(path) > 2 else path[0]
            table = path[1] if len(path) > 1 else ""
            marked = all_examples or line.endswith("  # example")
            yield Line(section, table, key, value, marked, above)
        above = line


LINES = list(read_lines())


def default_of(line: Line) -> Any:
    """What holds where the file doesn't say; the code's own values, none repeated here."""
    if line.section == "":
        if line.key == "model":
            return DEFAULT_MODEL
        [default] = [field.default for field in fields(Settings) if field.name == line.key]
        return None if default is MISSING else default
    if line.section == "providers" and line.table in BUILT_IN:
        azure = {"api_version": DEFAULT_API_VERSION} if line.table == "azure" else {}
        return azure.get(line.key, getattr(BUILT_IN[line.table], line.key))
    raise AssertionError(f"a table without defaults must be marked as an example: {line}")


def keys_of(section: str) -> set[str]:
    return {line.key for line in LINES if line.section == section}


def test_as_it_stands_it_changes_nothing() -> None:
    assert parse_config(TEXT, "config.example.toml") == ConfigFile()


def test_with_every_setting_uncommented_it_is_valid() -> None:
    config = parse_config(UNCOMMENTED, "config.example.toml")
    assert set(BUILT_IN) <= set(config.providers)
    sources = Sources(config, None, {}, Flags())
    for name in sources.providers:
        assert sources.resolve(provider=name).provider == name
    for name in config.personas:
        assert sources.resolve(persona=name).system == config.personas[name].system


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", set(ConfigFile.__struct_fields__) - {"providers", "personas", "models", "styles"}),
        ("providers", set(ProviderTable.__struct_fields__)),
        ("personas", set(Persona.__struct_fields__) - {"examples"}),
        ("examples", set(Example.__struct_fields__)),
        ("models", set(ModelTable.__struct_fields__)),
    ],
)
def test_it_shows_every_key_of_a_table_and_no_other(section: str, expected: set[str]) -> None:
    assert keys_of(section) == expected


@pytest.mark.parametrize(
    ("key", "shape"), [("prices", Prices), ("parameters", Parameters), ("budget", Budget)]
)
def test_it_shows_every_key_of_an_inline_table(
    key: str, shape: type[Prices | Parameters | Budget]
) -> None:
    [line] = [line for line in LINES if line.key == key]
    assert set(line.value) == set(shape.__struct_fields__)


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_value_is_the_default_or_marked_as_an_example(line: Line) -> None:
    if not line.is_example:
        assert line.value == default_of(line)
        assert type(line.value) is type(default_of(line))
    elif line.section == "" or line.table in BUILT_IN:
        assert default_of(line) in NO_DEFAULT, "it has a default: show that"


def test_every_key_is_explained_where_it_first_appears() -> None:
    first: dict[tuple[str, str], Line] = {}
    for line in LINES:
        # A persona's settings are the chat's, which are explained there.
        first.setdefault(("" if line.section == "personas" else line.section, line.key), line)
    assert [str(line) for line in first.values() if not line.above.startswith("# ")] == []


def comment_above(key: str) -> str:
    lines = TEXT.splitlines()
    end = next(n for n, line in enumerate(lines) if line.startswith(f"#{key} ="))
    start = max(n for n in range(end) if not lines[n].startswith("# ")) + 1
    return " ".join(lines[start:end])


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        ("max_tokens", [LARGEST_DEFAULT_REPLY]),
        ("context_window", [ASSUMED_WINDOW, DEFAULT_WINDOW]),
        ("kind", sorted(BUILT_IN)),
    ],
)
def test_what_the_comments_say_in_figures_is_so(key: str, facts: list[object]) -> None:
    for fact in facts:
        assert str(fact) in comment_above(key)


def test_no_key_of_the_file_is_hidden_from_these_tests() -> None:
    """Each line that is no prose has been read above, so a stray one can't slip through."""
    settings = [line for line in TEXT.splitlines() if line and not re.match(r"#( |$)", line)]
    headers = [line for line in settings if line.startswith("#[")]
    assert len(settings) == len(LINES) + len(headers)
