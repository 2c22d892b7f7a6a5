"""chatrepl.chat as a library: its names, and the examples of docs/library.md, which are run."""

import ast
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chatrepl
from chatrepl import chat as library
from chatrepl.chat import events
from tests.support.loopback import Loopback, fails, says
from tests.support.pages import ROOT, Page
from tests.support.program import environment
from tests.test_rooms import modules_after

PAGE = Page(ROOT / "docs" / "library.md")
EXAMPLES = ROOT / "docs" / "examples"


def source(name: str) -> str:
    """What an example does, less its docstring."""
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").partition('"""\n\n')[2]


def of_doctest(text: str) -> str:
    return "".join(example.source for example in doctest.DocTestParser().get_examples(text))


def run(name: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=ROOT,
        env=environment(home, {"PYTHONPATH": str(ROOT), **variables}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The names.
@pytest.mark.parametrize("name", library.__all__)
def test_a_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(library, name)
    assert name == getattr(found, "__name__", name)
    assert f"`{name}`" in PAGE.text


def test_all_events_are_there_and_no_name_too_many() -> None:
    told = {each for each in vars(events) if inspect.isclass(getattr(events, each))}
    assert told - {"Usage"} <= set(library.__all__)
    tree = ast.parse(inspect.getsource(library))
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in typed if (node.module or "").startswith("chatrepl")]
    assert {alias.name for node in ours for alias in node.names} == set(library.__all__)
    assert sorted(library.__all__) == library.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = library.Nonsense  # type: ignore[attr-defined]


def test_a_name_is_loaded_when_it_is_asked_for(home: Path) -> None:
    loaded = modules_after("from chatrepl.chat import Exchange", home)
    assert "chatrepl.chat.exchanges" in loaded
    assert not loaded & {"chatrepl.chat.turn", "chatrepl.chat.catalogue", "chatrepl.chat.tokens"}


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(chatrepl.__file__).parent / "py.typed").read_text() == ""


# The examples.
def test_the_page_shows_the_examples_as_they_are() -> None:
    [talk] = [block.text for block in PAGE.blocks if block.info == "pycon"]
    shown = [block.text for block in PAGE.blocks if block.info == "python"]
    assert of_doctest(talk).startswith(source("talk").replace("\n\n", "\n"))
    assert shown == [source("echo"), source("openai_server")]
    assert talk in inspect.cleandoc(library.__doc__ or "") + "\n"
    assert {path.stem for path in EXAMPLES.iterdir()} >= {"talk", "echo", "openai_server"}


def test_a_talk_takes_twelve_lines() -> None:
    assert len(source("talk").splitlines()) <= 12


def test_the_talk_of_the_page_goes_as_it_says() -> None:
    [block] = [block for block in PAGE.blocks if block.info == "pycon"]
    talk = doctest.DocTestParser().get_doctest(block.text, {}, str(PAGE), None, block.line)
    said: list[str] = []
    result = doctest.DocTestRunner().run(talk, out=said.append)
    assert (result.failed, result.attempted > 5) == (0, True), "".join(said)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("talk", "you: The capital of Peru?\nLima.\nyou: How many people live there?\nAbout ten"),
        ("echo", "HELLO THERE \n"),
    ],
)
def test_an_example_says_what_the_page_says(home: Path, name: str, words: str) -> None:
    done = run(name, home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(words)


def test_the_example_with_openais_api_asks_a_server(home: Path, server: Loopback) -> None:
    server.then(fails(500, "busy"), says("Lima.", usage=(12, 3)))
    done = run("openai_server", home, OPENAI_API_KEY="k", OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\[.* busy Again in \d s\.\]\nLima\.\n15 tokens\n", done.stdout)
    assert server.requests[-1].said == [("user", "The capital of Peru?")]
    assert server.requests[-1].body["max_tokens"] == 200
