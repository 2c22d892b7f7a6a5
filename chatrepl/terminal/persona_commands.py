"""/persona: list, switch, show, make and edit."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl


class Shelf(Protocol):
    """The personas there are. Its methods raise ChatreplError."""

    @property
    def names(self) -> list[str]:
        """Name them."""

    def described(self, *, whole: bool = False) -> Iterable[tuple[str, str, str]]:
        """List them: the name, the first words (or all, or what is wrong), where it is from."""

    def check(self, name: str) -> object:
        """Raise what is wrong with a persona."""

    def text(self, name: str) -> str:
        """Give a persona whole, as TOML."""

    def edited(self, name: str, edit: Callable[[str], str], *, new: bool) -> tuple[Path, bool]:
        """Have somebody edit one; give the file it is kept in, and whether it was changed."""


def persona(repl: "Repl", argument: str) -> None:
    """List the personas, switch to one, or show, make or edit one."""
    verb, _, name = argument.partition(" ")
    name = name.strip()
    if verb not in {"show", "new", "edit"}:
        if argument:
            _switch(repl, argument)
        else:
            _list(repl)
    elif not name:
        raise SettingsError("Which persona?", f"/persona {verb} NAME; /persona lists them.")
    elif verb == "show":
        print(clean(repl.host.shelf.text(name).rstrip("\n")))
        repl.host.shelf.check(name)
    else:
        _edit(repl, name, new=verb == "new")


def _switch(repl: "Repl", name: str) -> None:
    with repl.prompt.keyboard.released():  # a key may have to be asked for
        repl.host.use_persona(repl.chat, name)
    repl.screen.notice(f"persona: {name}")


def _list(repl: "Repl") -> None:
    from chatrepl.terminal.tables import show_pairs  # noqa: PLC0415 - imports rich

    in_words = repl.screen.accessible
    now, here = repl.host.persona, "{}, the current one" if in_words else "* {}"
    other = "{}" if in_words else "  {}"
    known = repl.host.shelf.described(whole=in_words)
    rows = [((here if name == now else other).format(name), words) for name, words, _ in known]
    show_pairs(rows, repl.screen)
    repl.screen.notice("/persona NAME switches; also: show NAME, new NAME, edit NAME")


def _edit(repl: "Repl", name: str, *, new: bool) -> None:
    from chatrepl.terminal.editor import edit  # noqa: PLC0415 - rarely needed

    shelf = repl.host.shelf
    try:
        with repl.prompt.keyboard.released():
            file, is_changed = shelf.edited(name, lambda text: edit(text, ".toml"), new=new)
    except ChatreplError:
        if name in shelf.names:
            repl.prefill = f"/persona edit {name}"  # where it is mended
        raise
    if not is_changed:
        repl.screen.notice("nothing was changed")
    elif name == repl.host.persona:
        repl.host.use_persona(repl.chat, name)
        repl.screen.notice(f"persona: {name}, as it is now in {file}")
    else:
        repl.screen.notice(f"kept in {file}; /persona {name} switches to it")


def names(repl: "Repl", typed: str) -> Iterable[tuple[str, str]]:
    """List what /persona can be followed by, for completion."""
    verb, space, _ = typed.lower().partition(" ")
    known = [(name, words) for name, words, _ in repl.host.shelf.described()]
    if space and verb in {"show", "edit"}:
        yield from ((f"{verb} {name}", words) for name, words in known)
        return
    yield from known
    yield from (
        *(("show", "show one whole"), ("edit", "change one in your editor")),
        ("new", "make one in your editor"),
    )
