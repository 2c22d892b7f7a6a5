"""What docs/ says of the program: names, words, files and headers, held to the code.

Links and commands in the pages are the affair of test_docs.py.
"""

import ast
import re
from pathlib import Path

import pytest

import chatrepl
from chatrepl.checks import troubleshooting
from tests.support.loopback import Loopback, says
from tests.support.program import run

PACKAGE = Path(chatrepl.__file__).parent
DOCS = PACKAGE.parent / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


GUIDE = sorted(file.name for file in (DOCS / "guide").glob("*.md") if file.name != "README.md")
OURS = [
    *("architecture.md", "privacy.md", "troubleshooting.md", "decisions/README.md"),
    *("guide/README.md", *(f"guide/{name}" for name in GUIDE)),
]


@pytest.mark.parametrize("name", OURS)
def test_a_page_begins_with_what_it_is_about(name: str) -> None:
    title, blank, first, *_ = page(name).split("\n")
    assert re.fullmatch(r"# \w.*", title)
    assert not blank
    assert re.fullmatch(r"[A-Z`][^|]*\..*", first), first


def test_the_guide_and_readme_lead_to_every_page_of_it() -> None:
    linked = re.findall(r"\]\((\w+\.md)\)", page("guide/README.md"))
    assert [name for name in GUIDE if name not in linked] == []


# Architecture.


def names_in(file: Path) -> set[str]:
    """Give what a module defines: functions, classes, their methods, and what is assigned."""
    names = set()
    for node in parsed(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            names |= {f"{node.name}.{each.name}" for each in inner}
        targets = node.targets if isinstance(node, ast.Assign) else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_what_architecture_names_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)(?:: ([\w.]+))?`", page("architecture.md"))
    assert len(named) > 50
    wrong = []
    for path, name in named:
        file = PACKAGE.parent / path if path.startswith("tests/") else PACKAGE / path
        if not file.is_file() or (name and name not in names_in(file)):
            wrong.append(f"{path}: {name}")
    assert wrong == []


def test_architecture_names_every_room_and_whoever_begins_a_thread() -> None:
    text = page("architecture.md")
    rooms = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"| `{room}/` |" not in text] == []
    files = [file for file in PACKAGE.rglob("*.py") if "threading.Thread(" in file.read_text()]
    known = {str(file.relative_to(PACKAGE)) for file in files}
    assert {path for path in known if f"`{path}" not in text} <= {"app.py"}


# Troubleshooting.


def literals() -> list[str]:
    """Give every piece of text that stands in the code as it is said."""
    nodes = (node for file in PACKAGE.rglob("*.py") for node in ast.walk(parsed(file)))
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_what_troubleshooting_quotes_is_what_the_program_says() -> None:
    quoted = re.findall(r"“(.+?)”", page("troubleshooting.md"))
    assert len(quoted) > 60
    said = literals()
    # What a library or a server says, or is put together of two pieces.
    others = {"quotes", "certificate verify failed", "WRONG_VERSION_NUMBER", "Connection refused"}
    others |= {"Name or service not known", "407"}
    missing = [
        words
        for words in quoted
        if words not in others and not any(words in piece for piece in said)
    ]
    assert missing == []


def names_of_checks() -> set[str]:
    """Give the names of everything that the doctor may find."""
    names: set[str] = set()
    for name in ("checks.py", "server_checks.py"):
        for node in ast.walk(parsed(PACKAGE / name)):
            match node:
                case ast.Call(
                    func=ast.Name(id="ok" | "skipped" | "wrong"),
                    args=[ast.Constant(value=str(first)), *_],
                ):
                    names.add(first)
    return {*names, "deployment"} - {"help"}


def test_each_check_of_the_doctor_has_its_section() -> None:
    sections = re.findall(r"^### (\S+)$", page("troubleshooting.md"), re.MULTILINE)
    assert {"proxy", "tls", "api-version", "embedded"} <= names_of_checks()
    assert set(sections) == names_of_checks()
    assert troubleshooting() == DOCS / "troubleshooting.md"


def test_what_points_into_troubleshooting_finds_a_heading() -> None:
    titles = re.findall(r"^#+ (.+)$", page("troubleshooting.md"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    files = [*DOCS.rglob("*.md"), *PACKAGE.rglob("*.py"), PACKAGE.parent / "README.md"]
    texts = [file.read_text(encoding="utf-8") for file in files]
    used = {found for text in texts for found in re.findall(r"troubleshooting\.md#([\w-]+)", text)}
    assert used
    assert used <= anchors


# Privacy: what is there after a run, and what a server has got.


def test_privacy_names_every_file_and_every_header(home: Path, server: Loopback) -> None:
    # A long text for a model that nobody knows: the server is asked, and its counts are learnt.
    address = ("--base-url", server.base_url, "-m", "llama3.2")
    env = {"OPENAI_API_KEY": "sk-1", "OPENAI_ORG_ID": "o", "OPENAI_PROJECT_ID": "p"}
    server.then(says("Hi", usage=(750, 5)))
    assert run("hello there " * 300, *address, home=home, env=env).returncode == 0
    text = page("privacy.md")
    files = [file for file in home.rglob("*") if file.is_file()]
    rows = set(re.findall(r"^\| (config|data|cache): `([\w./-]+)`", text, re.MULTILINE))
    assert {file.name for file in files} == {"sessions.db", "calibrations.json"}
    assert {(file.parent.name, file.name) for file in files} <= rows
    assert all(file.parent.stat().st_mode & 0o077 == 0 for file in files)
    got = [*server.requests, *server.asked]
    assert {(each.method, each.path) for each in got} >= {("POST", "/v1/chat/completions")}
    headers = {name for each in got for name in each.headers}
    assert {"authorization", "openai-organization", "openai-project"} <= headers
    known = set(re.findall(r"`([\w-]+)`", text))
    unnamed = {name for name in headers if not name.startswith("x-stainless-")} - known
    assert unnamed == set()
