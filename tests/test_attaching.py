"""Which files are attached, what is read of them, and which words of a line name one."""

import codecs
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl import attaching, reading
from chatrepl.attaching import attach, mentioned
from chatrepl.chat.attachments import AttachedImage, AttachedText
from chatrepl.errors import SettingsError
from tests.support.images import gif, jpeg, png, webp


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and the home folder too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def write(here: Path, *names: str) -> None:
    """Make files whose text is their name."""
    for name in names:
        file = here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)


def names(*given: str) -> list[str]:
    return [each.name for each in attach(given, str)]


def refusal(*given: str) -> str:
    with pytest.raises(SettingsError) as caught:
        attach(given, str)
    assert caught.value.status == 2
    assert "\n" not in caught.value.text + caught.value.hint
    return caught.value.text


# One file.

GERMAN = "Die Grüße aus München kamen spät. Äpfel, Öl und süße Übungen: schöner wäre es größer."
RUSSIAN = "Привет, мир. Это русский текст, который был записан в старой кодировке."
JAPANESE = "これは日本語のテキストです。東京は日本の首都で、人口が多いです。"


@pytest.mark.parametrize(
    ("data", "text", "guessed"),
    [
        (b"plain\r\nlines\n", "plain\r\nlines\n", False),
        (b"", "", False),
        (GERMAN.encode(), GERMAN, False),
        (codecs.BOM_UTF8 + GERMAN.encode(), GERMAN, False),
        (GERMAN.encode("utf-16"), GERMAN, False),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), GERMAN, False),
        (GERMAN.encode("utf-16-le"), GERMAN, False),
        (GERMAN.encode("utf-32"), GERMAN, False),
        (GERMAN.encode("cp1252"), GERMAN, True),
        ("café".encode("latin-1"), "café", True),
        (RUSSIAN.encode("cp1251"), RUSSIAN, True),
        (JAPANESE.encode("shift_jis"), JAPANESE, True),
        (JAPANESE.encode("euc_jp"), JAPANESE, True),
    ],
)
def test_a_text_is_read_in_its_encoding(here: Path, data: bytes, text: str, guessed: bool) -> None:
    (here / "a.txt").write_bytes(data)
    said: list[str] = []
    assert attach(["a.txt"], said.append) == (AttachedText("a.txt", text),)
    assert [line.startswith("a.txt is not UTF-8: it was read as ") for line in said] == (
        [True] * guessed
    )


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (png(300, 20), "image/png"),
        (jpeg(300, 20), "image/jpeg"),
        (gif(300, 20), "image/gif"),
        (webp(300, 20), "image/webp"),
    ],
)
def test_an_image_is_known_by_what_is_in_it(here: Path, data: bytes, media_type: str) -> None:
    (here / "named.txt").write_bytes(data)
    assert attach(["named.txt"], str) == (AttachedImage("named.txt", media_type, data, 300, 20),)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(range(256)) * 4, "a is binary (1,024 bytes)."),
        (b"\x7fELF" + bytes(60), "a is binary (64 bytes)."),
        (b"\xff\xfe\x00\xd8", "a is binary (4 bytes)."),  # half a pair in UTF-16
        (png(9, 9)[:20], "a begins as a png image does, but is not a whole one."),
        (b"x" * (reading.TEXT_LIMIT + 1), "a is too large to attach: 10.0 MB, and 10 MB are"),
        (
            png(9, 9) + bytes(reading.IMAGE_LIMIT),
            "a is too large to attach: 20.0 MB, and 20 MB are the most.",
        ),
    ],
    ids=["bytes", "program", "utf-16", "cut", "text", "image"],
)
def test_what_can_not_be_sent_is_refused_with_the_reason(
    here: Path, data: bytes, words: str
) -> None:
    (here / "a").write_bytes(data)
    write(here, "b")
    assert refusal("b", "a").startswith(words)


def test_what_is_not_there_or_not_to_be_read_is_refused(here: Path) -> None:
    assert refusal("nothing.txt") == "There is no file nothing.txt."
    assert refusal("nul\0.txt") == "nul\ufffd.txt can't be read: embedded null byte."
    assert refusal(" ").startswith("A file without a name")
    assert refusal("*.txt") == "No file matches *.txt."
    if Path("/dev/zero").exists():  # it has no end
        assert (
            refusal("/dev/zero") == "/dev/zero is too large to attach: over 10 MB, and 10 MB "
            "are the most."
        )
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        write(here, "mine")
        (here / "mine").chmod(0)
        assert refusal("mine") == "mine can't be read: Permission denied."


def test_names_with_blanks_quotes_and_newlines_are_names(here: Path) -> None:
    odd = ["a b.txt", 'it\'s "x".txt', "two\nlines.txt", "a[1].txt", "-f.txt", "漢字.txt"]
    write(here, *odd)
    assert names(*odd) == odd
    assert names("./a b.txt", "a b.txt") == ["a b.txt"]
    assert names("~/a b.txt", str(here / "a b.txt")) == ["~/a b.txt", str(here / "a b.txt")]


# Folders and patterns.


def test_a_folder_comes_without_what_git_ignores_and_what_is_hidden(here: Path) -> None:
    write(here, "p/b.py", "p/a.py", "p/.env", "p/.git/config", "p/src/z.py", "p/src/keep.log")
    write(here, "p/x.log", "p/src/y.log", "p/build/out.txt", "p/src/build/out.txt", "p/top.txt")
    write(here, "p/src/top.txt", "p/src/local.py", "p/.hidden/c.py")
    (here / "p/.gitignore").write_text("*.log\nbuild/\n/top.txt\n# a comment\n")
    (here / "p/src/.gitignore").write_text("!keep.log\nlocal.py\n")
    expected = ["p/a.py", "p/b.py", "p/src/keep.log", "p/src/top.txt", "p/src/z.py"]
    assert names("p") == names("p/") == expected
    # The rules from above hold for a folder below, and for what a pattern brings.
    assert names("p/src") == [name for name in expected if "src" in name]
    assert names("p/**/*") == expected
    assert names("p/src/*.log", "p/*.py") == ["p/src/keep.log", "p/a.py", "p/b.py"]
    # What is named by itself is meant.
    assert names("p/x.log", "p/.env") == ["p/x.log", "p/.env"]
    assert refusal("p/*.log") == "No file matches p/*.log."
    assert refusal("p/build") == "There is nothing to attach in p/build."


def test_what_in_a_folder_can_not_be_sent_is_left_out_and_named(here: Path) -> None:
    write(here, "p/a.txt")
    (here / "p/b.bin").write_bytes(bytes(50))
    (here / "p/c.png").write_bytes(png(9, 9))
    said: list[str] = []
    assert [each.name for each in attach(["p"], said.append)] == ["p/a.txt", "p/c.png"]
    assert said == ["not attached: p/b.bin is binary (50 bytes)"]
    for number in range(5):
        (here / f"p/d{number}.bin").write_bytes(bytes(9))
    attach(["p"], said.append)
    assert said[1].endswith("; and 3 more")
    (here / "q").mkdir()
    (here / "q/only.bin").write_bytes(bytes(50))
    assert refusal("q") == "There is nothing to attach in q. q/only.bin is binary (50 bytes)."


def test_links_do_not_go_round_and_lead_nowhere(here: Path) -> None:
    write(here, "p/a.txt")
    (here / "p/round").symlink_to(here / "p", target_is_directory=True)
    (here / "p/nowhere").symlink_to(here / "gone")
    assert names("p") == ["p/a.txt"]


def test_too_much_at_once_is_refused(here: Path) -> None:
    write(here, *(f"p/{number}" for number in range(attaching.MOST_FILES + 1)))
    assert (
        refusal("p") == "That is too much to attach: over 1,000 files; 1,000 files and 50 MB "
        "are the most."
    )
    for number in range(6):
        (here / f"large{number}").write_bytes(b"x" * 9_000_000)
    assert refusal("large*").startswith("That is too much to attach: 54 MB;")


# In a line.

FILES = {"a.py", "b", "my notes.txt", "src/x.py", "~/y.md", "*.py", "c.d/", "é.txt", "what?"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("@a.py", ["a.py"]),
        ("see @a.py, @b; and @src/x.py.", ["a.py", "b", "src/x.py"]),
        ("(@a.py) [@b] {@~/y.md}", ["a.py", "b", "~/y.md"]),
        ("is it @a.py? or @b! or @src/x.py:", ["a.py", "b", "src/x.py"]),
        ("@what? indeed", ["what?"]),
        ('@"my notes.txt" and @"a.py"', ["my notes.txt", "a.py"]),
        ("all of @*.py", ["*.py"]),
        ("@c.d/", ["c.d/"]),
        ("first\n@a.py\n\t@b", ["a.py", "b"]),
        ("@a.py @a.py", ["a.py"]),
        ("@é.txt's end", ["é.txt"]),
        ("ann@a.py", []),
        ("mail ann@example.com, or @ann", []),
        ("@property\n@app.get('/x')\n@pytest.mark.skip(reason='b')", []),
        ("import x from '@/components/x'", []),
        ("@@ -1,3 +1,4 @@ def f():", []),
        ("@@class_variable", []),
        ('NSLog(@"a format");  s = @"hello";', []),
        ("@ a.py", []),
        ("@", []),
        ("*@b*", []),
        ("@someone: @media (max-width: 3em)", []),
    ],
)
def test_which_words_name_a_file(line: str, named: list[str]) -> None:
    assert mentioned(line, (), FILES.__contains__) == (line, named)


@pytest.mark.parametrize(
    "name", ["no.txt", "src/mian.py", "~/no", "./no", "/no/such", "types/node", "C:\\no", "no/"]
)
def test_what_looks_like_a_path_and_is_none_is_told(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        mentioned(f"see @{name}!", (), FILES.__contains__)
    assert caught.value.text == f"There is no file {name}: nothing was sent."
    assert f"@@{name}" in caught.value.hint
    assert mentioned(f"see @@{name}!", (), FILES.__contains__) == (f"see @{name}!", [])
    assert mentioned(f"see @{name}", [os.path.normpath(name)], FILES.__contains__)[1] == []


def test_two_at_signs_keep_a_files_name_text() -> None:
    assert mentioned("who is @@b?", (), FILES.__contains__) == ("who is @b?", [])


def test_what_is_there_is_asked_of_the_disk(here: Path) -> None:
    write(here, "LICENSE", "src/a.py", "src/b.py")
    line = "@LICENSE @src/ @src @src/*.py @nothing @~/LICENSE @/ @~"
    with pytest.raises(SettingsError, match="There is no file /:"):
        mentioned(line)
    line = "@LICENSE @src/ @src @src/*.py @nothing @~/LICENSE"
    assert mentioned(line)[1] == ["LICENSE", "src/", "src/*.py", "~/LICENSE"]


@given(st.text(st.sampled_from('@"/.~*?[\0\ud800 \nab:\\'), max_size=30))
def test_any_line_is_read(line: str) -> None:
    try:
        text, found = mentioned(line)
    except SettingsError:
        return
    assert len(text) <= len(line)
    assert all(f"@{name}" in line or f'@"{name}' in line for name in found)
