"""docs/reference and the manual page: what the code gives, whole, and the same everywhere."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from chatrepl import cli_chat, config
from chatrepl.cli_help import FULLER, TAKES, VARIABLES
from chatrepl.terminal.commands import BY_NAME
from chatrepl.terminal.further import FURTHER
from tools import manpage, reference, reference_config

ROOT = Path(__file__).parent.parent
PAGES = reference.pages()
MANUAL = ROOT / "docs" / "man" / "chatrepl.1"


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES, ids=str)
def test_a_page_is_what_the_code_gives(name: Path) -> None:
    told = "python -m tools.reference writes it anew"
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name], told


def test_the_pages_are_the_same_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference.pages() == PAGES


def test_there_is_no_page_that_nobody_makes_and_the_index_names_each() -> None:
    there = {path.relative_to(ROOT) for path in (ROOT / "docs" / "reference").iterdir()}
    assert {name for name in PAGES if name.parent.name == "reference"} == there
    assert set(reference.PAGES) == {path.name for path in there} - {"README.md"}
    assert re.findall(r"^- \[.+?\]\((.+?)\)", page("README.md"), re.MULTILINE) == [
        *reference.PAGES,
        "../man/chatrepl.1",
    ]


def test_every_subcommand_has_its_section() -> None:
    sections = re.findall(r"^## (.+)$", page("cli.md"), re.MULTILINE)
    assert sections[0] == "chatrepl"
    assert {"chatrepl sessions", "chatrepl sessions export", "chatrepl key set"} < set(sections)
    first = {name.split()[1] for name in sections[1:]}
    assert first == {name for name in cli_chat.commands() if name}


def test_what_is_said_more_fully_is_said_of_something_that_there_is() -> None:
    options = {name for each in cli_chat.commands()[""].params for name in each.opts}
    assert set(FULLER) <= options
    assert set(TAKES) <= options
    assert set(FURTHER) <= set(BY_NAME)


@pytest.mark.parametrize(
    "shape",
    [config.ConfigFile, config.ProviderTable, config.Example, config.ModelTable],
)
def test_every_key_of_the_config_file_has_a_row(shape: type[msgspec.Struct]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("config.md"), re.MULTILINE)
    tables = {"personas", "providers", "models", "styles"}
    assert set(shape.__struct_fields__) - tables <= set(rows)
    assert all(f"[{name}" in page("config.md") for name in tables)


def test_a_setting_has_its_type_its_default_and_its_meaning() -> None:
    [row] = re.findall(r"^\| `retries` .+", page("config.md"), re.MULTILINE)
    meaning = "How often a request that failed is sent again, from 0 to 10."
    assert row == f"| `retries` | whole number, 0 to 10 | `2` | {meaning} |"


def test_a_line_of_the_example_is_read_with_its_comment_and_its_mark() -> None:
    text = (
        "# ---- One ----\n# About it.\n\n# What\n# it is.\n#seed = 4  # example\n#[a.b]\n#x = 1\n"
    )
    [section] = reference_config.sections(text)
    assert section.title == "One"
    first, second = section.tables
    assert first.comment.strip() == "About it."
    [key] = first.keys
    assert (key.name, key.value, key.is_example) == ("seed", "4", True)
    assert (key.comment, key.kind) == ("What it is.", "whole number")
    assert second.text == "[a.b]\nx = 1"


def test_every_variable_that_is_looked_at_is_listed() -> None:
    asked = re.compile(r"""(?:environ(?:ment)?(?:\.get)?|has)[\[(]\s*"([A-Z][A-Z_]+)\"""")
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "chatrepl").rglob("*.py")]
    found = {name for text in files for name in asked.findall(text)}
    listed = {name.partition("=")[0] for variable in VARIABLES for name in variable.names}
    assert {"CHATREPL_HOME", "OPENAI_API_KEY", "COLORFGBG"} <= found
    assert found - listed == set()


# The manual page.
@pytest.mark.parametrize(
    ("text", "roff"),
    [
        (".SH is no macro here", r"\&.SH is no macro here"),
        (r"C:\new", r"C:\enew"),
        ("--json isn't `x`", r"\-\-json isn\(aqt \(gax\(ga"),
        ("~/a^b …", r"\(ti/a\(hab \[u2026]"),
        (f"{'x' * 70} .md", f"{'x' * 70}\n" + r"\&.md"),
    ],
)
def test_a_text_reaches_the_manual_page_as_it_is(text: str, roff: str) -> None:
    assert manpage.escaped(text) == roff


def test_the_manual_page_has_its_sections_in_order() -> None:
    sections = re.findall(r"^\.SH (.+)$", MANUAL.read_text(encoding="ascii"), re.MULTILINE)
    assert sections == [
        *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "IN THE CHAT", "FILES"),
        *("ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"),
    ]


def test_the_manual_page_is_good_roff() -> None:
    command = shutil.which("mandoc")
    if command is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(
        [command, "-T", "lint", "-W", "warning", str(MANUAL)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if "missing date" not in line] == []  # of what is unreleased


def test_the_manual_page_is_shown_as_it_is_meant() -> None:
    command = shutil.which("man")
    if command is None or shutil.which("groff") is None:
        pytest.skip("man-db is not installed")
    done = subprocess.run(
        [command, "--warnings", "-l", str(MANUAL)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "200", "LANG": "C.UTF-8", "HOME": "/"},
        timeout=20,
        check=True,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08|\x1b\[[\d;]*m", "", done.stdout)
    words = " ".join(shown.split())
    assert "-s, --system TEXT the system message, which sets a persona; @FILE reads it" in words
    assert "chatrepl -f a.py -f 'tests/*.py' \"Review this.\"" in words
    assert "143 asked to end (SIGTERM)" in words
