"""The table of styles: every style of the program is in it, in words that rich understands."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.styles import Style as PromptStyle
from pygments.token import Keyword, String
from rich.default_styles import DEFAULT_STYLES
from rich.style import Style

import chatrepl
from chatrepl.errors import SettingsError
from chatrepl.terminal.highlighting import colours_of
from chatrepl.terminal.screen import Screen
from chatrepl.terminal.theme import STYLES, Choice, Shade, Theme, for_prompt, from_environment

SOURCES = sorted((Path(chatrepl.__file__).parent / "terminal").glob("*.py"))
STRUCTURE = {"", "none", "not dim"}  # no look of their own


def texts_in(node: ast.AST) -> Iterator[str]:
    """Give the texts that an expression may be; of a pair the second: Text.assemble(("> ", …))."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts_in(node.body), *texts_in(node.orelse))
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        yield from texts_in(node.elts[1])


def places_of_styles(node: ast.AST) -> list[ast.expr]:
    """Give the expressions in a node that are styles."""
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "style":
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    given = [each.value for each in node.keywords if each.arg in {"style", "header_style"}]
    match ast.unparse(node.func).rpartition(".")[2]:
        case "assemble":
            given += [each for each in node.args if isinstance(each, ast.Tuple)]
        case "stylize":
            given += node.args[:1]
        case "highlight_words" | "_say":
            given += node.args[1:2]
    return given


def styles_used() -> set[tuple[str, str]]:
    """Give every style that is named in the terminal's room, and the file that names it."""
    return {
        (file.name, style)
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for place in places_of_styles(node)
        for style in texts_in(place)
    }


def test_every_style_that_is_used_is_in_the_table() -> None:
    used = styles_used()
    assert {name for name, _ in used} >= {"sessions.py", "screen.py", "tables.py", "repl.py"}
    assert [each for each in used if each[1] not in {*STYLES, *STRUCTURE}] == []


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_one_for_rich_and_for_the_prompt(name: str) -> None:
    for style in STYLES[name]:
        Style.parse(style)
    for column in ("dark", "light", "plain"):
        theme = Theme()
        theme.choose(column)
        PromptStyle.from_dict(for_prompt(theme.styles))
        assert (Style.parse(theme.styles[name]).color is None) >= (column == "plain")


def test_the_parts_of_a_reply_and_of_code_have_the_names_that_the_libraries_know() -> None:
    assert {name for name in STYLES if name.startswith("markdown.")} <= set(DEFAULT_STYLES)
    colours = colours_of(Theme().styles)
    assert colours.get_style_for_token(String.Double) == Style.parse("yellow")
    assert colours.get_style_for_token(Keyword.Type) == Style.parse("bright_cyan")


@pytest.mark.parametrize(
    ("choice", "background", "column"),
    [
        ("auto", None, "dark"),
        ("auto", "dark", "dark"),
        ("auto", "light", "light"),
        ("dark", "light", "dark"),
        ("light", "dark", "light"),
        ("plain", "light", "plain"),
    ],
)
def test_the_user_goes_before_the_terminal(
    choice: Choice, background: Shade | None, column: str
) -> None:
    theme = Theme()
    theme.choose("auto", {"prompt": "italic"})
    theme.choose(choice)
    if background is not None:
        theme.seen(background)
    assert theme.column == column
    assert (
        theme.styles["role"] == {"dark": "bold cyan", "light": "bold blue", "plain": "bold"}[column]
    )
    assert theme.styles["prompt"] == "italic", "and a style of their own before all"


@pytest.mark.parametrize(
    ("value", "background"),
    [
        *(("15;0", "dark"), ("15;8", "dark"), ("0;15", "light"), ("0;7", "light")),
        *(("", None), ("15;default", None), ("0;300", None), ("x", None)),
    ],
)
def test_what_the_environment_says_of_the_background(value: str, background: str | None) -> None:
    assert from_environment({"COLORFGBG": value}) == background


@pytest.mark.parametrize(
    ("own", "words", "hint"),
    [
        ({"promt": "red"}, "c.toml: unknown style 'promt' in [styles]. Did you mean 'prompt'?", ""),
        ({"markdown.h9": "red"}, "Did you mean 'markdown.h", ""),
        ({"xyzzy": "red"}, "unknown style 'xyzzy' in [styles].", "Known: "),
        ({"prompt": "bold purpel"}, "[styles] prompt = 'bold purpel' is no style:", "bright_red"),
        ({"prompt": "on"}, "is no style:", "bold, dim italic"),
    ],
)
def test_a_wrong_style_is_told_and_changes_nothing(
    own: dict[str, str], words: str, hint: str
) -> None:
    theme = Theme()
    before = theme.styles
    with pytest.raises(SettingsError) as raised:
        theme.choose("light", own, lambda name: "c.toml")
    assert words in raised.value.text
    assert hint in raised.value.hint
    assert ("Known:" in raised.value.hint) == ("Did you" not in words and "is no" not in words)
    assert theme.styles is before


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("bold cyan", "bold ansicyan"),
        ("white on bright_white", "ansigray bg:ansiwhite"),
        ("i u #ff8700 on default", "italic underline #ff8700 bg:default"),
        ("not bold", "nobold"),
        ("none", ""),
        ("dark_orange", "#ff8700"),
        ("color(208)", "#ff8700"),
        ("overline link http://x red", "ansired"),
    ],
)
def test_a_style_in_the_words_of_the_prompt(style: str, words: str) -> None:
    Style.parse(style)
    made = for_prompt({**Theme().styles, "prompt": style})
    assert made["prompt"] == words
    PromptStyle.from_dict(made)


def test_a_console_takes_up_another_theme() -> None:
    screen = Screen()
    assert screen.out.get_style("role") == Style.parse("bold cyan")
    screen.theme.seen("light")
    assert screen.out.get_style("role") == Style.parse("bold blue")
    assert screen.err.get_style("role") == Style.parse("bold blue")
    assert screen.out is screen.out
