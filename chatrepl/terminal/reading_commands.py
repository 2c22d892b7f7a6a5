"""The slash commands that do something with the last reply, and with how things look."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast, get_args

from chatrepl.errors import SettingsError
from chatrepl.terminal import clipboard
from chatrepl.terminal.code import CodeBlock, code_blocks
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.theme import Choice

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl

THEMES = {
    "auto": "as the terminal's background is",
    "dark": "for a dark background",
    "light": "for a light background",
    "plain": "no colours",
}


def copy(repl: "Repl", argument: str) -> None:
    """Copy the last reply, or one of its code blocks."""
    reply = _last_reply(repl)
    if reply is None:
        return
    what, text = "the last reply", reply
    if argument:
        block = _block(reply, argument)
        what = f"code block {argument}" + (f" ({clean(block.language)})" if block.language else "")
        text = block.code
    text = clean(text)  # what is pasted may be pasted into a terminal
    ways = []
    if not clipboard.is_remote(os.environ) and clipboard.copy_to_system(text):
        ways.append("system clipboard")
    in_tmux = "TMUX" in os.environ
    if in_tmux and clipboard.copy_to_tmux(text):
        ways.append("tmux and its terminal")
    elif repl.screen.can_redraw and clipboard.fits_osc52(text):
        ways.append("terminal (OSC 52)")
        sys.stdout.write(clipboard.osc52(text, in_tmux=in_tmux))
        sys.stdout.flush()
    if not ways:
        raise SettingsError(
            f"There is no clipboard for {what}: none of the system's, and the terminal takes "
            f"up to {clipboard.LONGEST:,} bytes (OSC 52).",
            "/open shows it, /export FILE writes the conversation.",
        )
    repl.screen.notice(f"copied {what}, {_counted(text)}: {', '.join(ways)}")


def _counted(text: str) -> str:
    return "1 character" if len(text) == 1 else f"{len(text):,} characters"


def _block(reply: str, argument: str) -> CodeBlock:
    blocks = code_blocks(reply)
    if not (argument.isdecimal() and 1 <= int(argument) <= len(blocks)):
        has = {0: "has none", 1: "has one"}.get(len(blocks), f"has {len(blocks):,}")
        text = f"There is no code block {argument}: the last reply {has}."
        raise SettingsError(text, "/copy alone copies the whole reply.")
    return blocks[int(argument) - 1]


def block_numbers(repl: "Repl", _: str) -> Iterable[tuple[str, str]]:
    """List the code blocks of the last reply for completion: language and first line."""
    for number, block in enumerate(code_blocks(_reply_of(repl) or ""), 1):
        first = clean(block.code.lstrip().partition("\n")[0])[:50]
        yield str(number), f"{clean(block.language)}: {first}" if block.language else first


def raw(repl: "Repl", _: str) -> None:
    """Show the last reply as the text that came."""
    reply = _last_reply(repl)
    if reply is not None:
        print(clean(reply).rstrip("\n"))


def open_reply(repl: "Repl", _: str) -> None:
    """Show the last reply in the pager, rendered as it is in the chat."""
    from chatrepl.terminal.pager import page  # noqa: PLC0415 - rarely needed

    reply = _last_reply(repl)
    if reply is None:
        return
    text = clean(reply).rstrip("\n") + "\n"
    if not repl.host.plain:
        from chatrepl.terminal.rendering import render_whole  # noqa: PLC0415 - imports rich

        text = render_whole(text, repl.screen)
    with repl.prompt.keyboard.released():
        page(text, repl.screen)


def thoughts(repl: "Repl", _: str) -> None:
    """Show what the model thought before its last reply."""
    from rich.text import Text  # noqa: PLC0415

    shown = clean(repl.chat.thoughts)
    if not shown:
        repl.screen.notice("no thoughts came with the last reply")
        return
    repl.screen.out.print(Text(shown, style="thought"))


def theme(repl: "Repl", argument: str) -> None:
    """Show the theme, or take another one for this run."""
    theme = repl.screen.theme
    if argument:
        if argument not in get_args(Choice):
            text = f"There is no theme '{argument}'."
            raise SettingsError(text, f"Known: {', '.join(get_args(Choice))}.")
        theme.choose(cast("Choice", argument))
    repl.screen.notice(f"theme: {theme.description}")


def theme_names(_: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    """List the themes for completion."""
    return THEMES.items()


def _last_reply(repl: "Repl") -> str | None:
    reply = _reply_of(repl)
    if reply is None:
        repl.screen.notice("no reply yet")
    return reply


def _reply_of(repl: "Repl") -> str | None:
    exchanges = repl.chat.conversation.exchanges
    reply = exchanges[-1].reply if exchanges else None
    return reply.content if reply else None
