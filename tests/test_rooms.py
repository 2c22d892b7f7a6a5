"""The import rule: which room may import which, and where each package has its home."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

import chatrepl
from tests.support.program import environment

PACKAGE = Path(chatrepl.__file__).parent
ROOMS = ("chat", "providers", "terminal", "store")

# What each part may import of the others; a room may import itself.
MAY_IMPORT = {
    "chat": {"errors"},
    "providers": {"chat", "errors", "installing", "posix"},
    "terminal": {"chat", "errors", "posix", "undisturbed"},
    "store": {"chat", "errors", "installing", "posix", "undisturbed"},
    "errors": set(),
    "posix": set(),
    "installing": set(),
    "undisturbed": {"posix"},
    "paths": set(),
    "amounts": set(),
    "config": {"amounts", "errors"},
    "settings": {"config", "errors", "paths", "personas"},
    "personas": {"chat", "config", "errors", "paths"},
    "parameters": {"config", "errors", "settings"},
    "texts": {"chat", "errors", "paths", "providers", "settings"},
    "crash": {"errors"},
    "fetch": {"errors", "paths", "posix", "providers", "terminal"},
    "app": {
        *ROOMS,
        *("attaching", "config", "connecting", "crash", "errors", "greeting", "keeping", "offers"),
        *("parameters", "paths", "personas", "pricing", "reading", "settings", "texts"),
    },
    "pricing": {"chat", "providers", "settings"},
    "keeping": {*ROOMS, "amounts", "errors", "paths", "settings"},
    "greeting": {"paths"},
    "attaching": {"chat", "errors", "paths", "reading"},
    "reading": {"chat", "errors", "pdf"},
    "pdf": {"errors", "installing", "posix"},
    "offers": {"chat", "connecting", "errors", "pricing", "providers", "settings"},
    "connecting": {*ROOMS, "config", "errors", "paths", "posix", "settings"},
    "cli": {
        *("app", "cli_chat", "cli_completing", "cli_talk", "crash", "errors", "paths", "posix"),
        "terminal",
    },
    "cli_chat": {
        "__init__",
        "cli_doctor",
        "cli_help",
        "cli_init",
        "cli_key",
        "cli_options",
        "cli_personas",
        "cli_sessions",
        "cli_shells",
        "cli_talk",
        "cli_usage",
        "errors",
        "terminal",
    },
    "cli_completing": {
        *("chat", "cli_chat", "cli_shells", "config", "paths", "providers", "settings", "store"),
        "terminal",
    },
    "cli_help": set(),
    "cli_shells": {"errors", "paths", "posix"},
    "cli_doctor": {"checks", "cli_options", "paths", "settings", "terminal"},
    "cli_init": {
        *("chat", "cli_options", "connecting", "errors", "first_answers", "first_config"),
        *("paths", "providers", "settings", "store", "terminal"),
    },
    "findings": {"errors"},
    "checks": {
        *ROOMS,
        "connecting",
        "errors",
        "findings",
        "installing",
        "paths",
        "server_checks",
        "settings",
    },
    "server_checks": {"connecting", "errors", "findings", "providers", "settings"},
    "first_config": {"config", "errors", "providers", "settings"},
    "first_answers": {
        *("chat", "config", "errors", "first_config", "paths", "providers", "settings", "store"),
        "terminal",
    },
    "cli_talk": {"app", "errors", "greeting", "parameters", "paths", "settings", "terminal"},
    "cli_personas": {"cli_options", "errors", "paths", "personas", "settings", "terminal"},
    "cli_key": {"cli_options", "errors", "paths", "settings", "store", "terminal"},
    "cli_options": set(),
    "cli_sessions": {"chat", "cli_options", "errors", "paths", "store", "terminal"},
    "cli_usage": {"chat", "cli_options", "errors", "paths", "store", "terminal"},
    "__main__": {"cli"},
    "__init__": set(),
}

# Where a package may be imported, and whether only when it is needed: inside a function.
HOMES = {
    "openai": (("providers",), False),
    "httpx2": (("providers",), False),
    "prompt_toolkit": (("terminal",), False),
    "rich": (("terminal",), False),
    "markdown_it": (("terminal", "store.export", "store.page"), False),
    "pygments": (("store.page", "terminal.highlighting"), False),
    "typer": (
        (
            *("cli_chat", "cli_completing", "cli_doctor", "cli_init", "cli_key", "cli_options"),
            *("cli_personas", "cli_sessions", "cli_usage"),
        ),
        False,
    ),
    "platformdirs": (("paths",), False),
    "msgspec": (
        (
            *(
                "app",
                "cli_usage",
                "config",
                "connecting",
                "keeping",
                "parameters",
                "personas",
                "providers",
            ),
            *("settings", "store"),
        ),
        False,
    ),
    "jsonschema": (("chat.schema",), True),
    "tomli_w": (("personas",), True),
    "tiktoken": (("chat.tokens",), True),
    "genai_prices": (("chat.catalogue", "chat.prices"), True),
    "shellingham": (("cli_shells",), True),
    "xllamacpp": (("providers",), True),
    "keyring": (("store",), True),
    "charset_normalizer": (("reading",), True),
    "imagesize": (("reading",), True),
    "pathspec": (("attaching",), True),
    "pypdfium2": (("pdf",), True),
    "pyperclip": (("terminal.clipboard",), True),
}

# The rules of a chat touch no files, network, terminal, process or clock.
NOT_IN_CHAT = {
    *("asyncio", "datetime", "http", "io", "logging", "os", "pathlib", "shutil", "signal"),
    *("socket", "sqlite3", "subprocess", "sys", "tempfile", "time", "urllib"),
}


@dataclass(frozen=True)
class Import:
    """One import: who imports what, as dotted names below chatrepl, or as a package's name."""

    by: str
    what: str
    ours: bool
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING`, so never at run time
    line: int

    def __str__(self) -> str:
        return f"{self.by}, line {self.line}, imports {self.what}"

    @property
    def part(self) -> str:
        """The room or top-level module that imports."""
        return self.by.partition(".")[0]

    @property
    def target(self) -> str:
        """The room, top-level module or package that is imported."""
        return self.what.partition(".")[0]


def imports_of(file: Path) -> Iterator[Import]:
    by = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)

    def visit(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in names_in(node):
                top, _, rest = name.partition(".")
                what = (rest or "__init__") if top == "chatrepl" else name
                yield Import(by, what, top == "chatrepl", lazy, typing, node.lineno)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy, typing)

    return visit(ast.parse(file.read_text(encoding="utf-8")), False, False)


def names_in(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Give what an import statement names; `from chatrepl import app` names chatrepl.app."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert not node.level, "a relative import hides which room is meant"
    if node.module != "chatrepl":
        return [node.module or ""]
    modules = {path.stem for path in PACKAGE.iterdir()}
    return [f"chatrepl.{a.name}" if a.name in modules else "chatrepl" for a in node.names]


IMPORTS = [found for file in sorted(PACKAGE.rglob("*.py")) for found in imports_of(file)]
OURS = [found for found in IMPORTS if found.ours]
THIRD_PARTY = [
    found
    for found in IMPORTS
    if not found.ours and found.target not in {*sys.stdlib_module_names, "__future__"}
]


def listed(wrong: list[Import]) -> str:
    return "\n" + "\n".join(map(str, wrong))


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_it_may(part: str) -> None:
    allowed = {*MAY_IMPORT[part], *({part} if part in ROOMS else ())}
    wrong = [found for found in OURS if found.part == part and found.target not in allowed]
    assert not wrong, listed(wrong)


def test_every_part_has_its_rule() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.stem in ROOMS}
    assert parts == set(MAY_IMPORT)
    assert {found.part for found in OURS} >= {*ROOMS, "app", "cli", "settings"}


@pytest.mark.parametrize("package", HOMES)
def test_a_package_is_imported_only_at_home(package: str) -> None:
    homes, lazily = HOMES[package]
    found = [each for each in THIRD_PARTY if each.target == package]
    assert found, f"{package} is imported nowhere: its rule can go"
    strays = [
        each for each in found if not any(f"{each.by}.".startswith(f"{home}.") for home in homes)
    ]
    assert not strays, listed(strays)
    eager = [each for each in found if lazily and not (each.lazy or each.typing)]
    assert not eager, listed(eager)


def test_every_package_has_a_home() -> None:
    assert {found.target for found in THIRD_PARTY} == set(HOMES)


def test_sqlite_is_the_stores() -> None:
    strays = [each for each in IMPORTS if each.target == "sqlite3" and each.part != "store"]
    assert not strays, listed(strays)


def test_the_rules_of_a_chat_touch_nothing_outside() -> None:
    wrong = [
        each
        for each in IMPORTS
        if each.part == "chat" and each.target in NOT_IN_CHAT and not each.typing
    ]
    assert not wrong, listed(wrong)


# Windows: what only some systems have is in one place, with what stands in for it there.

MODULES_OF_SOME = {
    *("fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "select", "syslog", "termios", "tty"),
    *("_winapi", "ctypes", "winreg"),
}
NAMES_OF_SOME = re.compile(
    r"os\.(name|fork\w*|kill\w*|get(e?[ug]id|pg\w+|sid)|set\w*id|tc\w+|mkfifo|f?chown|fchmod|O_NON\w+)"
    r"|sys\.(platform|getwindowsversion)|platform\.\w+"
    r"|signal\.(SIG(?!INT$|TERM$|_)\w+|alarm|setitimer|pause|pthread_\w+)|\w+\.(l?chmod|st_mode)"
)
ARGUMENTS_OF_SOME = {"start_new_session", "preexec_fn", "process_group", "creationflags"}


def of_some_systems(node: ast.AST) -> str:
    """Give the name of something that only some systems have, or that tells them apart."""
    match node:
        case ast.Import() | ast.ImportFrom():
            named = {name.partition(".")[0] for name in names_in(node)}
            return " ".join(named & MODULES_OF_SOME)
        case ast.Attribute():
            owner = getattr(node.value, "id", getattr(node.value, "attr", "it"))
            name = f"{owner}.{node.attr}"
            return name if NAMES_OF_SOME.fullmatch(name) else ""
        case ast.keyword(arg=str(name)):
            return name if name in ARGUMENTS_OF_SOME else ""
        case ast.Constant(value=str(text)):
            return text if re.fullmatch(r"SIG(?!INT|TERM)[A-Z]+|start_new_session", text) else ""
    return ""


def test_what_only_some_systems_have_is_in_one_module() -> None:
    found = {
        (file.relative_to(PACKAGE).as_posix(), name)
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (name := of_some_systems(node))
    }
    assert {name for file, name in found if file == "posix.py"} >= {"termios", "os.name", "SIGHUP"}
    assert [each for each in sorted(found) if each[0] != "posix.py"] == []


@pytest.mark.parametrize(
    "code",
    [
        *("import termios", "from fcntl import flock", "os.fork()", "if os.name == 'nt': pass"),
        *("sys.platform", "signal.SIGHUP", "getattr(signal, 'SIGTSTP')", "os.kill(1, 2)"),
        *("Popen(start_new_session=True)", "file.stat().st_mode", "path.chmod(1)"),
    ],
)
def test_what_only_some_systems_have_is_found(code: str) -> None:
    assert any(map(of_some_systems, ast.walk(ast.parse(code))))


@pytest.mark.parametrize(
    "code", ["os.environ", "signal.SIGINT", "signal.SIG_IGN", "shutil.which('x')", "signal.signal"]
)
def test_what_every_system_has_is_let_be(code: str) -> None:
    assert not any(map(of_some_systems, ast.walk(ast.parse(code))))


def declared(extra: str | None = None) -> set[str]:
    """The distributions that pyproject.toml names, in their normal spelling."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {normal(line.partition(">")[0].partition("[")[0]) for line in lines}


def normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def distributions(found: Import) -> set[str]:
    """Give the distributions that an import may come from."""
    return {normal(name) for name in DISTRIBUTIONS.get(found.target, [found.target])}


DISTRIBUTIONS = metadata.packages_distributions()
EXTRAS = declared("local") | declared("keyring") | declared("pdf")


def test_every_package_that_is_imported_is_declared() -> None:
    known = declared() | EXTRAS
    wrong = [found for found in THIRD_PARTY if not distributions(found) & known]
    assert not wrong, listed(wrong)


def test_what_only_an_extra_brings_is_imported_when_it_is_needed() -> None:
    wrong = [
        found
        for found in THIRD_PARTY
        if not distributions(found) & declared() and distributions(found) & EXTRAS
        if not (found.lazy or found.typing)
    ]
    assert not wrong, listed(wrong)


def test_no_dependency_is_declared_in_vain() -> None:
    used = set().union(*map(distributions, THIRD_PARTY))
    assert not declared() - used


# What is loaded at run time.

HEAVY = (
    *("openai", "httpx2", "tiktoken", "prompt_toolkit", "rich", "genai_prices", "xllamacpp"),
    "keyring",
)


def modules_after(code: str, home: Path, *arguments: str) -> set[str]:
    """Run code in a new process and give the modules it has loaded."""
    script = f"""
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print(*(set(sys.modules) - before), file=sys.stderr))
{code}
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        env=environment(home),
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


def test_importing_the_package_does_nothing(home: Path) -> None:
    assert modules_after("import chatrepl", home) == {"chatrepl"}


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_version_and_help_load_nothing_heavy(home: Path, flag: str) -> None:
    loaded = modules_after("from chatrepl.__main__ import main; main()", home, flag)
    assert "chatrepl.cli" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in HEAVY]


def test_importing_any_module_starts_nothing(home: Path) -> None:
    modules = [
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for file in PACKAGE.rglob("*.py")
        if file.stem != "__init__"
    ]
    lines = "\n".join(f"import {module}" for module in modules)
    loaded = modules_after(f"{lines}\nimport threading\nassert threading.active_count() == 1", home)
    assert set(modules) <= loaded
    assert not [name for name in loaded if name in {"tiktoken", "genai_prices", "xllamacpp"}]
