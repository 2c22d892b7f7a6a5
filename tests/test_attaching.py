"""Which files are attached, what is read of them, and which words of a line name one."""

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatrepl import attaching, reading
from chatrepl.attaching import attach, mentioned
from chatrepl.chat.attachments import AttachedImage, AttachedText
from chatrepl.errors import SettingsError
from chatrepl.terminal.attachments import split
from chatrepl.terminal.commands import read_command
from chatrepl.terminal.completion import offers, quoted
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
        # In few words the rare code pages would fit as well.
        ("Привет, мир".encode("koi8_r"), "Привет, мир", True),
        ("Привет, мир".encode("cp1251"), "Привет, мир", True),
        (RUSSIAN.encode("koi8_r"), RUSSIAN, True),
        ("こんにちは世界".encode("euc_jp"), "こんにちは世界", True),
        ("今日は天気がいい。".encode("euc_jp"), "今日は天気がいい。", True),
        ("你好，世界".encode("gb18030"), "你好，世界", True),
        ("统一是一".encode("gb18030"), "统一是一", True),  # more of it is UTF-8 than is not
        ("감사합니다".encode("cp949"), "감사합니다", True),
        ("안녕하세요 세계".encode("cp949"), "안녕하세요 세계", True),
        (b"f\xfcr", "für", True),
    ],
)
def test_a_text_is_read_in_its_encoding(here: Path, data: bytes, text: str, guessed: bool) -> None:
    (here / "a.txt").write_bytes(data)
    said: list[str] = []
    assert attach(["a.txt"], said.append) == (AttachedText("a.txt", text),)
    assert [line.startswith("a.txt is not UTF-8: it was read as ") for line in said] == (
        [True] * guessed
    )
    assert all(line.endswith("; if that is wrong, convert it to UTF-8 first") for line in said)


@pytest.mark.parametrize(
    ("data", "text", "count"),
    [
        (GERMAN.encode() * 70 + b"\xff", GERMAN * 70 + "\ufffd", "1 byte of a.txt is"),
        (b"\xff\xfa" + GERMAN.encode() * 70, "\ufffd\ufffd" + GERMAN * 70, "2 bytes of a.txt are"),
        (b"\xff" + b"x " * 500 + "é".encode(), "\ufffd" + "x " * 500 + "é", "1 byte of a.txt is"),
        (JAPANESE.encode()[:-2], JAPANESE[:-1] + "\ufffd", "1 byte of a.txt is"),
        ("naïve é".encode()[:-1], "naïve \ufffd", "1 byte of a.txt is"),
        (codecs.BOM_UTF8 + b"x" * 99 + b"\xe4", "x" * 99 + "\ufffd", "1 byte of a.txt is"),
        (
            f"{JAPANESE}|{JAPANESE}".encode().replace(b"|", b"\xff"),
            f"{JAPANESE}\ufffd{JAPANESE}",
            "1 byte of a.txt is",
        ),
    ],
    ids=["end", "head", "mostly-ascii", "cut", "cut-short", "marked", "middle"],
)
def test_a_few_spoilt_bytes_leave_a_text_utf8(
    here: Path, data: bytes, text: str, count: str
) -> None:
    (here / "a.txt").write_bytes(data)
    said: list[str] = []
    assert attach(["a.txt"], said.append) == (AttachedText("a.txt", text),)
    assert said == [f"{count} not UTF-8: replaced by \ufffd"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        ("x " * 3_000 + "Le «CAFÉ”, déjà", "cp1252"),  # É” is a character of UTF-8 too
        (RUSSIAN * 40, "koi8_r"),
        (JAPANESE * 40, "euc_jp"),
    ],
)
def test_characters_that_come_about_by_chance_make_no_utf8(
    here: Path, text: str, encoding: str
) -> None:
    (here / "a.txt").write_bytes(text.encode(encoding))
    assert attach(["a.txt"], str) == (AttachedText("a.txt", text),)


def test_where_two_encodings_fit_the_usual_one_is_believed(here: Path) -> None:
    (here / "a.txt").write_bytes("Привет, мир".encode("iso8859_5"))
    read = [reading.read_attachment(here / "a.txt", "", str, usual) for usual in ("", "ISO-8859-5")]
    assert read == [AttachedText("", "їаШТХв, ЬШа"), AttachedText("", "Привет, мир")]
    for odd in ("UTF-8", "iso8859_13", "ANSI_X3.4-1968", "nothing of the kind"):
        assert reading.read_attachment(here / "a.txt", "", str, odd)


def test_what_is_named_like_an_image_and_is_none_is_told(here: Path) -> None:
    write(here, "fake.PNG", "a.txt")
    (here / "real.png").write_bytes(png(9, 9))
    said: list[str] = []
    attach(["fake.PNG", "a.txt", "real.png"], said.append)
    assert said == ["fake.PNG is no image: it is sent as text"]


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
        (b"\0", "a is binary (1 byte)."),
        (b"\x7fELF" + bytes(60), "a is binary (64 bytes)."),
        (b"\xff\xfe\x00\xd8", "a is binary (4 bytes)."),  # half a pair in UTF-16
        (png(9, 9)[:20], "a begins as a png image does, but is not a whole one."),
        (b"x" * (reading.TEXT_LIMIT + 1), "a is too large to attach: 10.0 MB, and 10 MB are"),
        (
            png(9, 9) + bytes(reading.IMAGE_LIMIT),
            "a is too large to attach: 20.0 MB, and 20 MB are the most.",
        ),
    ],
    ids=["bytes", "byte", "program", "utf-16", "cut", "text", "image"],
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Shut a folder, for the superuser too."""
    folder.chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_what_can_not_even_be_looked_for_is_refused(here: Path) -> None:
    long = "x" * 300
    assert refusal(long) == f"{long} can't be read: File name too long."
    assert refusal(f"~/{long}/a.txt").endswith("/a.txt can't be read: File name too long.")
    assert refusal(f"{long}*") == f"No file matches {long}*."
    assert mentioned(f"@{long} @{long}[1] @{long}*")[1] == []
    if hasattr(os, "geteuid"):
        write(here, "p/a.txt")
        with locked(here / "p"):
            assert refusal("p/a.txt") == "p/a.txt can't be read: Permission denied."
            assert refusal("p/*.txt") == "No file matches p/*.txt."
            assert refusal("p/q/") == "p/q can't be read: Permission denied."
            with pytest.raises(SettingsError, match=r"There is no file p/a\.txt"):
                mentioned("@p/a.txt")


def test_names_with_blanks_quotes_and_newlines_are_names(here: Path) -> None:
    odd = ["a b.txt", 'it\'s "x".txt', "two\nlines.txt", "a[1].txt", "-f.txt", "漢字.txt"]
    write(here, *odd)
    assert names(*odd) == odd
    assert names("./a b.txt", "a b.txt") == ["a b.txt"]
    assert names("~/a b.txt") == ["~/a b.txt"]
    assert names(str(here / "a b.txt")) == [str(here / "a b.txt")]


def test_a_file_that_is_named_in_two_ways_is_attached_once(here: Path) -> None:
    write(here, "a.txt", "p/b.txt", "p/c.txt")
    (here / "p/link.txt").symlink_to(here / "a.txt")
    assert names("a.txt", str(here / "a.txt"), "~/a.txt", "p/link.txt") == ["a.txt"]
    assert names("p/b.txt", f"{here}/p") == ["p/b.txt", f"{here}/p/c.txt", f"{here}/p/link.txt"]
    (here / "same").write_text("a.txt")  # another file, though it says the same
    assert names("a.txt", "same") == ["a.txt", "same"]


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


def test_a_pattern_leaves_out_what_its_folder_does_without_a_repository(here: Path) -> None:
    write(here, "p/a.py", "p/secret.py", "p/src/b.py", "p/src/secret.py", "p/src/deep/c.py")
    (here / "p/.gitignore").write_text("secret.py\ndeep/\n")
    (here / ".gitignore").write_text("a.py\n")  # above what is named
    assert names("p") == names("p/**/*.py")
    assert names("p/**/*.py") == names("p/*.py", "p/*/*.py") == ["p/a.py", "p/src/b.py"]
    # What is ignored for another folder is not asked for.
    assert names("p/src/*.py") == ["p/src/b.py", "p/src/secret.py"]


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
    assert names(*["large0", "./large0"] * 3) == ["large0"]  # which is one


# In a line.

FILES = {"a.py", "b", "my notes.txt", "src/x.py", "~/y.md", "*.py", "c.d/", "é.txt", "what?"}
FILES |= {'5".py', "c\\", 'd\\" e', r"x\y", r"\\x\\y"}


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
        (r'@"5\".py" @"c\\" @"d\\\" e"', ['5".py', "c\\", 'd\\" e']),
        (r'@"x\y" @"\\x\\y"', [r"x\y", r"\\x\\y"]),
        (r'@"no\" end', []),
        ('@"c.d/\n@"c.d/', ["c.d/"]),
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


def test_a_name_in_quotes_stays_in_them_where_it_is_told_how_to_send_it() -> None:
    with pytest.raises(SettingsError) as caught:
        mentioned('see @"no such.txt"', (), FILES.__contains__)
    assert caught.value.hint.endswith(': @@"no such.txt"')
    assert mentioned('see @@"no such.txt"')[0] == 'see @"no such.txt"'


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
    assert all(f"@{name}" in line or f'@"{quoted(name)[1:]}' in line for name in found)


# As they are completed.

ODD = st.text(st.sampled_from("ab.,;:!?@~#*'\"()[]{}<>\\ \t\x85é漢%$&=+-_"), min_size=1, max_size=8)


def completed(typed: str, path: str) -> str:
    """What Tab makes of what is typed of the only path there is."""
    [offer] = offers(typed, [], lambda _: [(path, "")])
    return typed[: len(typed) - offer.length] + offer.text


@given(ODD, st.booleans())
@example("a b\\", False)
@example("end.", False)
def test_what_is_completed_is_named_whole(name: str, is_folder: bool) -> None:
    path = name + "/" * is_folder
    line = completed("see @", path)
    assert mentioned(line, (), {path}.__contains__) == (line, [path])
    assert completed('see @"', path) == line
    if not is_folder:
        assert mentioned(f"{line}?!", (), {path}.__contains__)[1] == [path]


@given(ODD)
def test_a_completed_folder_is_gone_on_with(name: str) -> None:
    typed: list[str] = []

    def files(path: str) -> list[tuple[str, str]]:
        typed.append(path)
        return []

    assert list(offers(completed("@", f"{name}/") + "x", [], files)) == []
    assert typed == [f"{name}/x"]


@pytest.mark.parametrize(
    "name", ["report(1).txt", "it's.md", "a,b.csv", "x[1].py", 'dq"x.txt', "a b", "end.", '"q"']
)
def test_odd_names_are_completed_and_attached(here: Path, name: str) -> None:
    write(here, name, f"d {name}/{name}")
    for path in (name, f"d {name}/{name}"):
        typed = quoted(path).removesuffix('"')
        [offer] = offers(f"@{typed}", [])
        assert names(*mentioned(f"see @{offer.text}")[1]) == [path]
        command = read_command(f"/file {path}")
        assert command is not None
        assert names(*split(command[1])) == [path]


def test_no_name_is_completed_that_can_not_stand_in_a_line(here: Path) -> None:
    write(here, "two\nlines.txt", "two.txt")
    assert [offer.text for offer in offers("@tw", [])] == ["two.txt"]
    assert list(offers("@tw\n", [])) == []
