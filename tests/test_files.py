"""Files with a message of the command line: what is sent, what is said, what is refused."""

import json
import re
from pathlib import Path

import pytest

from tests.support.images import png
from tests.support.loopback import Loopback, says
from tests.support.program import run
from tests.test_cli import NOBODY, assert_refused, planned


@pytest.fixture
def notes(home: Path) -> str:
    file = home / "notes.txt"
    file.write_text("one\ntwo\n")
    return str(file)


@pytest.fixture
def shot(home: Path) -> str:
    file = home / "shot.png"
    file.write_bytes(png(800, 600))
    return str(file)


def test_files_are_sent_behind_the_prompt_and_shown_before(
    home: Path, server: Loopback, notes: str, shot: str
) -> None:
    server.then(says("I see."))
    flags = ("--base-url", server.base_url, "-m", "gpt-4o", "-f", notes, "--file", shot)
    done = run(*flags, "Review", "@this.", home=home, stdin="a diff\n")
    assert (done.returncode, done.stdout) == (0, "I see.\n")
    first, second = done.stderr.splitlines()
    assert re.fullmatch(rf"attached {re.escape(notes)}, \d\d tokens", first)
    assert re.fullmatch(rf"attached {re.escape(shot)}, 800 × 600, 7\d\d tokens", second)
    text, image = server.requests[0].body["messages"][0]["content"]
    assert text["text"].startswith("Review @this.\n\na diff\n\nAttached as data;")
    assert "one\ntwo\n</file-" in text["text"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_dry_run_shows_it_all(home: Path, notes: str, shot: str) -> None:
    env = {"CHATREPL_MODEL": "gpt-4o"}
    plan = planned("-f", notes, "-f", shot, "Review.", home=home, env=env)
    assert [each["name"] for each in plan["attachments"]] == [notes, shot]
    assert plan["attachments"][1]["tokens"] > 765  # the image and its name
    more = sum(each["tokens"] for each in plan["attachments"])
    assert more < plan["prompt_tokens"] < more + 30
    assert plan["counted"] == "exact"
    done = run("--base-url", NOBODY, "--dry-run", "-f", notes, "-f", shot, "Hi", home=home, env=env)
    assert done.stdout.startswith("user: Hi\n\nAttached as data;")
    assert "\none\ntwo\n</file-" in done.stdout
    assert "shot.png, 800 × 600]" in done.stdout
    assert "base64" not in done.stdout


@pytest.mark.parametrize(
    ("model", "data", "status", "words"),
    [
        ("gpt-4", bytes(99), 2, "is binary (99 bytes)"),
        ("gpt-4", png(9, 9), 2, "gpt-4 takes no images: "),
        ("smollm2", png(9, 9), 2, "SmolLM2-135M-Instruct takes no images: "),
        ("gpt-4", b"word " * 7_000, 5, "in a window of 8,192 of which 2,048 are kept"),
        ("gpt-4", None, 2, "There is no file "),
    ],
    ids=["binary", "image", "embedded", "large", "missing"],
)
def test_what_can_not_be_sent_is_refused_and_nothing_is_sent(
    home: Path, server: Loopback, model: str, data: bytes | None, status: int, words: str
) -> None:
    file = home / "a file"
    if data is not None:
        file.write_bytes(data)
    where = () if model == "smollm2" else ("--base-url", server.base_url)
    for more in ((), ("--dry-run",)) if model == "gpt-4" and data else ((),):
        done = run(*where, "-m", model, "-f", str(file), *more, "Look.", home=home)
        assert_refused(done, status, words, "a file")
        assert done.stdout == ""
    assert server.requests == []


def test_files_need_a_prompt_to_go_with(home: Path, notes: str) -> None:
    done = run("--base-url", NOBODY, "-f", notes, home=home)
    assert_refused(done, 2, "The prompt is empty")
    talk = home / "talk.json"
    talk.write_text(json.dumps([{"role": "user", "content": "Hello"}]))
    done = run("--base-url", NOBODY, "--load", str(talk), "-f", notes, home=home)
    assert_refused(done, 2, "--file needs a prompt")
