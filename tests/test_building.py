"""The wheel and the sdist: the same bytes wherever and whenever they are built, and all in them."""

import email
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import chatrepl
from tests.support.program import environment

ROOT = Path(__file__).parent.parent
NAME = f"chatrepl_terminal-{chatrepl.__version__}"
WHEEL, SDIST = f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"


def build(source: Path, target: Path, umask: int, **more: str) -> str:
    """Build both, and give what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(target)],
        cwd=source,
        env={**os.environ, **more},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built")
    said = build(ROOT, target, 0o022)
    assert "warn" not in said.lower(), said
    return target


def test_what_is_built_again_from_the_sdist_is_the_same_to_the_byte(
    built: Path, tmp_path: Path
) -> None:
    with tarfile.open(built / SDIST) as archive:
        archive.extractall(tmp_path / "else where", filter="data")
    source = tmp_path / "else where" / NAME
    for path in source.rglob("*"):
        os.utime(path)
        path.chmod(0o700 if os.access(path, os.X_OK) else 0o600)
    build(source, tmp_path / "again", 0o077, TZ="Asia/Tokyo", LC_ALL="C")
    for name in (WHEEL, SDIST):
        assert digest(tmp_path / "again" / name) == digest(built / name), name


def files(folder: str) -> set[str]:
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if path.suffix != ".pyc"}


def test_all_is_in_them_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        example = wheel.read("chatrepl/config.example.toml")
    code, docs = files("chatrepl"), files("docs")
    manual = f"{NAME}.data/data/share/man/man1/chatrepl.1"
    besides = {"chatrepl/config.example.toml", manual, *(f"chatrepl/{name}" for name in docs)}
    assert names == code | besides
    assert {"chatrepl/py.typed", "chatrepl/data/o200k_base.tiktoken"} <= names
    assert example == (ROOT / "config.example.toml").read_bytes()
    with tarfile.open(built / SDIST) as archive:
        inside = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert inside >= code | docs
    tops = {name.partition("/")[0] for name in inside}
    assert tops - {"PKG-INFO", ".gitignore"} == {
        *("chatrepl", "tests", "benchmarks", "tools", "docs", "README.md", "LICENSE", "NOTICE"),
        *("CHANGELOG.md", "config.example.toml", "pyproject.toml", ".ci"),
    }
    assert not [name for name in inside if name.endswith(".pyc")]


def metadata(built: Path) -> Message:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        return email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))


def test_the_licence_is_told_as_an_expression_with_its_files(built: Path) -> None:
    told = metadata(built)
    assert told["License-Expression"] == "MIT"
    assert told.get_all("License-File") == ["LICENSE", "NOTICE"]
    # The package index refuses the two together.
    assert not [each for each in told.get_all("Classifier", []) if each.startswith("License ::")]
    assert {*told.get_all("Provides-Extra", [])} >= {"local", "pdf", "dev"}
    with zipfile.ZipFile(built / WHEEL) as wheel:
        for name in ("LICENSE", "NOTICE"):
            held = wheel.read(f"{NAME}.dist-info/licenses/{name}")
            assert held == (ROOT / name).read_bytes()


def test_the_wheel_alone_counts_without_a_network(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        wheel.extractall(tmp_path / "site")
    command = [sys.executable, "-P", "-m", "chatrepl", "--dry-run", "--json", "-m", "gpt-4o"]
    more = {"PYTHONPATH": str(tmp_path / "site"), "OPENAI_API_KEY": "sk-x"}
    done = subprocess.run(
        [*command, "Why is the sky blue?"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(tmp_path, more),
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout)
    assert (told["prompt_tokens"], told["counted"]) == (13, "exact")  # as OpenAI counts it
