"""What a path may be gone on with."""

from pathlib import Path

import pytest

from chatrepl.terminal.completion import Completable, Offer, offers, quoted
from chatrepl.terminal.paths import paths


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("notes.txt", "Notes two.md", ".hidden", "src/deep.py", "a dir/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("12345")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def found(typed: str) -> list[str]:
    return [path for path, _ in paths(typed)]


def test_folders_come_first_and_what_is_hidden_when_it_is_asked_for(folder: Path) -> None:
    assert found("") == ["a dir/", "src/", "Notes two.md", "notes.txt", "nowhere"]
    assert found("no") == ["notes.txt", "nowhere"]
    assert found(".") == [".hidden"]
    assert found("src/") == ["src/deep.py"]
    assert found("./s") == ["./src/"]
    assert found(f"{folder}/sr") == [f"{folder}/src/"]
    assert found("~") == ["~/"]
    assert found("~/not") == ["~/notes.txt"]


@pytest.mark.parametrize("typed", ["gone/", "notes.txt/", "~nobody-of-that-name/", "\0/", "src\0/"])
def test_where_nothing_can_be_read_nothing_is_offered(folder: Path, typed: str) -> None:
    assert found(typed) == []


def test_each_has_a_few_words(folder: Path) -> None:
    assert dict(paths("")) == {
        "a dir/": "folder",
        "src/": "folder",
        "Notes two.md": "5 bytes",
        "notes.txt": "5 bytes",
        "nowhere": "",
    }


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("read @no", ["read @notes.txt", "read @nowhere"]),
        ("@sr", ["@src/"]),
        ("@src/", ["@src/deep.py"]),
        ("two\nlines @~/no", ["two\nlines @~/notes.txt", "two\nlines @~/nowhere"]),
        ("@a", ['@"a dir/']),
        ('@"a d', ['@"a dir/']),
        ('@"a dir/', ['@"a dir/x"']),
        ("@No", ['@"Notes two.md"']),
        ("me@no", []),
        ("@notes.txt and", []),
        ("/export no", ["/export notes.txt", "/export nowhere"]),
    ],
)
def test_a_path_behind_an_at_sign_is_completed(folder: Path, line: str, made: list[str]) -> None:
    export = Completable("export", "", paths)
    said = [line[: len(line) - o.length] + o.text for o in offers(line, [export])]
    assert said == made


def test_an_offer_has_the_size_beside_it(folder: Path) -> None:
    assert list(offers("@notes", [])) == [Offer("notes.txt", 5, "5 bytes")]


def test_a_path_is_quoted_where_it_must_be() -> None:
    assert [quoted(path) for path in ("a.py", "a b.py", "a b/")] == ["a.py", '"a b.py"', '"a b/']


def test_a_huge_folder_is_not_read_whole(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}").touch()
    assert len(found(f"{tmp_path}/")) == 500
