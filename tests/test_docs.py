"""What the documentation says, held against the program: links, commands, settings, names.

A block of TOML is of chatrepl's config file; under `<!-- persona -->` it is a persona's file, and
under `<!-- other -->` it is no concern of chatrepl's.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator

import pytest
import typer

from chatrepl import cli_chat
from chatrepl.config import Table, parse_config, parse_persona
from chatrepl.errors import SettingsError
from chatrepl.terminal.commands import BY_NAME, read_command
from tests.support.pages import ROOT, Found, Page, pages, runs_of_chatrepl, shell_lines

PAGES = pages()
SOURCES = sorted((ROOT / "chatrepl").rglob("*.py"))
CODE = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
PATHS_OF_THE_API = {"models"}
TESTS = {"docs/faults.md"}  # pages that are made of what tests see, whose words are the servers'


def tables(shape: type[Table] = Table) -> Iterator[type[Table]]:
    """Give every table that the config file may have."""
    for each in shape.__subclasses__():
        yield each
        yield from tables(each)


KEYS = {key for table in tables() for key in table.__struct_fields__}


# Each gives what is wrong on a page, as lines that name the place.
def bad_links(page: Page) -> Iterator[str]:
    for target, line in page.links:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.path.parent / path).resolve() if path else page.path
        if path and not there.exists():
            yield f"{page.at(line)}: there is no {target}"
        elif anchor and (not path or there.suffix == ".md"):
            known = (Page(there) if path else page).anchors
            if anchor not in known:
                yield f"{page.at(line)}: {path or page} has no heading for #{anchor}"


def bad_commands(page: Page) -> Iterator[str]:
    for block in page.blocks:
        for line, number in shell_lines(block):
            for arguments in runs_of_chatrepl(line):
                if words := fault_of(arguments):
                    yield f"{page.at(number)}: chatrepl {' '.join(arguments)}: {words}"


def fault_of(arguments: list[str]) -> str:
    """Parse the arguments of the program, and run nothing; give what is wrong with them, or ""."""
    # The parser's own parts: to ask `cli_chat.read` is to run what a subcommand does.
    app, rest = cli_chat._app, list(arguments)
    at = cli_chat._first_word(arguments)
    first = arguments[at] if at < len(arguments) else ""
    if first in cli_chat._COMMANDS:
        app = cli_chat._COMMANDS[first]
        del rest[at]
    command = typer.main.get_command(app)
    try:
        context = command.make_context("chatrepl", rest)
        while isinstance(command, typer.core.TyperGroup) and context._protected_args:
            name, inner, rest = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            assert inner is not None
            command, context = inner, inner.make_context(name, rest, parent=context)
    except typer.Exit:  # --help, --version
        return ""
    except (typer.TyperException, SettingsError) as error:
        return str(getattr(error, "message", error)) or type(error).__name__
    return ""


def bad_settings(page: Page) -> Iterator[str]:
    for block in page.blocks:
        if block.info != "toml" or block.mark == "other":
            continue
        parse = parse_persona if block.mark == "persona" else parse_config
        try:
            parse(block.text, page.at(block.line))
        except SettingsError as error:
            yield error.text
    for span, line in page.code:
        key = re.match(r"([a-z_]+) = ", span)
        if not is_toml(span):
            continue
        if key and key[1] not in KEYS:
            yield f"{page.at(line)}: the config file knows no {key[1]}"
        elif re.fullmatch(r"\[[a-z]+\..+\]", span):  # with no dot it may be anything
            try:
                parse_config(span, page.at(line))
            except SettingsError as error:
                yield error.text


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def bad_slash_commands(page: Page) -> Iterator[str]:
    typed = [
        Found(line.removeprefix("> "), number)
        for block in page.blocks
        if block.info == "chat"
        for number, line in enumerate(block.text.splitlines(), block.line)
        if line.startswith("> ")
    ]
    for span, line in [*page.code, *typed]:
        read = read_command(span)
        is_one = read and read[0] in {*BY_NAME, *PATHS_OF_THE_API}
        if read and not is_one and re.match(r"/[a-z]+(?=\s|$)", span):
            yield f"{page.at(line)}: there is no command /{read[0]}"


def bad_variables(page: Page) -> Iterator[str]:
    texts = [*page.code, *(Found(block.text, block.line) for block in page.blocks)]
    for text, line in texts:
        for name in re.findall(r"\b(?:CHATREPL|OPENAI|AZURE)_[A-Z_]+\b", text):
            if not re.search(rf"\b{name}\b", CODE):
                yield f"{page.at(line)}: nobody reads the variable {name}"


def bad_places(page: Page) -> Iterator[str]:
    """What is named as `chat/turn.py` or as `chat/turn.py: Chat.say` is there."""
    for span, line in page.code:
        found = re.fullmatch(r"([\w/]+\.py)(?:: ([A-Za-z]\w*)(?:\.(\w+))?)?", span)
        if found is None:
            continue
        files = [base / found[1] for base in (ROOT, ROOT / "chatrepl", page.path.parent)]
        file = next((each for each in files if each.is_file()), None)
        if file is None:
            if "/" in found[1] or found[2]:  # else it may be anybody's file
                yield f"{page.at(line)}: there is no {found[1]}"
            continue
        code = file.read_text(encoding="utf-8")
        for name in filter(None, found.groups()[1:]):
            if not re.search(rf"^\s*(?:class |def |)(?:self\.)?{name}\b", code, re.MULTILINE):
                yield f"{page.at(line)}: {found[1]} has no {name}"


def texts_of_the_code() -> set[str]:
    """Give every text in the code; of an f-string, the parts between its fields."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {" ".join(node.value.split()) for node in nodes if isinstance(node.value, str)}


def bad_quotations(page: Page) -> Iterator[str]:
    """What a how-to says that the program says, in the code spans at the head of a list's points.

    "…" stands for what is not always the same: in the code, for a field of an f-string.
    """
    told = page.text.partition("## What may go wrong\n")[2]
    first = page.text.count("\n", 0, len(page.text) - len(told)) + 1
    for number, line in enumerate(told.splitlines(), first):
        for span in re.findall(r"^- `([^`]+)`", line):
            for part in filter(None, (each.strip(" .:,'()") for each in span.split("…"))):
                if not any(part in text for text in TEXTS):
                    yield f"{page.at(number)}: the program never says: {part}"


CHECKS: tuple[Callable[[Page], Iterator[str]], ...] = (
    *(bad_links, bad_commands, bad_settings, bad_slash_commands, bad_variables, bad_places),
    bad_quotations,
)


TEXTS = texts_of_the_code()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_says_is_so(page: Page) -> None:
    checks = [check for check in CHECKS if str(page) not in TESTS or check is bad_links]
    wrong = [fault for check in checks for fault in check(page)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_there_is_something_to_check() -> None:
    """Else a change of the parser could leave nothing of the pages, and all would be well."""
    assert len(PAGES) > 20
    blocks = [block for page in PAGES for block in page.blocks]
    lines = [line for block in blocks for line, _ in shell_lines(block)]
    assert sum(len(list(runs_of_chatrepl(line))) for line in lines) > 40
    assert len([block for block in blocks if block.info == "toml"]) > 8
    assert sum(len(page.links) for page in PAGES) > 30
    assert {name for page in PAGES for span, _ in page.code if (name := of_registry(span))}


def of_registry(span: str) -> str:
    """Give the slash command that a code span names."""
    read = read_command(span)
    return read[0] if read and read[0] in BY_NAME else ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "docs/x.md:1: there is no nowhere.md"),
        ("two\n[a](faults.md#no)", "docs/x.md:2: faults.md has no heading for #no"),
        ("# A\n\n[a](#b)", "docs/x.md:3: docs/x.md has no heading for #b"),
        ("![p](screenshots/no.svg)", "docs/x.md:1: there is no screenshots/no.svg"),
        ("```sh\nls\nchatrepl --nope x\n```", "docs/x.md:3: chatrepl --nope x: No such option"),
        ("```console\nchatrepl --no\n$ chatrepl sessions frobnicate\n```", "docs/x.md:3: "),
        ("```sh\ngit diff | chatrepl -q |\nchatrepl doctor --mend\n```", "docs/x.md:3: "),
        ("```sh\nA=b chatrepl \\\n  --overflow never x\n```", "docs/x.md:3: "),
        ("```toml\nmodel = 'a'\nmodle = 'a'\n```", "docs/x.md:2, line 2: unknown key 'modle'"),
        ("<!-- persona -->\n```toml\npersona = 'a'\n```", "docs/x.md:3, line 1: unknown key"),
        ("a `modle = 1` b", "docs/x.md:1: the config file knows no modle"),
        ("a\nb `[provider.x]`", "docs/x.md:2, line 1: provider: "),
        ("`chat/turns.py`", "docs/x.md:1: there is no chat/turns.py"),
        ("a\n`chat/turn.py: Chat.sya`", "docs/x.md:2: chat/turn.py has no sya"),
        ("`/hlep me`", "docs/x.md:1: there is no command /hlep"),
        ("```chat\n> hello\n> /ubndo\n```", "docs/x.md:3: there is no command /ubndo"),
        ("| a |\n|---|\n| `/nope` |", "docs/x.md:3: there is no command /nope"),
        ("`CHATREPL_NOPE`", "docs/x.md:1: nobody reads the variable CHATREPL_NOPE"),
        (
            "## What may go wrong\n\n- `The disk is full: …` a",
            "docs/x.md:3: the program never says: The disk is full",
        ),
        ("```sh\nexport OPENAI_KEY=1\n```", "nobody reads the variable OPENAI_KEY"),
    ],
)
def test_what_is_not_so_is_found_with_its_place(text: str, fault: str) -> None:
    page = Page(ROOT / "docs" / "x.md", text)
    wrong = [each for check in CHECKS for each in check(page)]
    assert len(wrong) == 1, wrong
    assert fault in wrong[0]


@pytest.mark.parametrize(
    "text",
    [
        "[a](faults.md#faults), [b](https://example.org/no#thing), [c](mailto:a@example.org)",
        "# A `b` c: d\n\n[x](#a-b-c-d)",
        "# A\n\n# A\n\n[x](#a-1)",
        "```sh\nchatrepl -- models of the atom  # chatrepl --nope\n```",
        "```sh\nOPENAI_API_KEY=sk-… .venv/bin/chatrepl -m $M 2>log >out 'a; chatrepl --no'\n```",
        "```sh\npython -m chatrepl --version && chatrepl sessions rm ID --help\n```",
        "```\nchatrepl --nope\n```",
        "<!-- other -->\n```toml\nwhat = 'ever'\n```",
        "<!-- persona -->\n```toml\nsystem = 'a'\n```",
        "`/etc/hosts` `//hlep` `/chat/completions` `/help me` `/`",
        '`[models."a".prices]` `[[personas.x.examples]]` `api_key_cmd = "x"`',
        "`/v1` `a + b` `[TEXT]` `GET /models` `/models`",
        "`chat/turn.py: Chat.say` `tests/test_docs.py` `a.py` `cli.py: run` `chat/ports.py`",
        "## What may go wrong\n\n- `The output can't be written: …` a `not said`\n- a `nor this`",
        "`OPENAI_API_KEY` `AZURE_OPENAI_ENDPOINT` `CHATREPL_HOME`",
    ],
)
def test_what_is_so_is_let_be(text: str) -> None:
    page = Page(ROOT / "docs" / "x.md", text)
    assert [each for check in CHECKS for each in check(page)] == []
