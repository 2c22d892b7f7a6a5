"""The slash commands about sessions and their branches."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chatrepl.chat.messages import Message
from chatrepl.errors import SettingsError
from chatrepl.posix import IS_POSIX
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.titles import title_from
from chatrepl.terminal.window_commands import exchange_at, members

if TYPE_CHECKING:
    from chatrepl.terminal.repl import Repl


_BEGINNING = 30  # characters
_ROOMY = 40  # columns, on which what is cut off a line is not all of it


def sessions(repl: "Repl", argument: str) -> None:
    """List the newest sessions, or those with a text in their title."""
    from chatrepl.terminal.sessions import SOME, show_list  # noqa: PLC0415 - imports rich

    found = [s for s in repl.host.keeping.sessions.all() if argument.lower() in s.title.lower()]
    if not found:
        repl.screen.notice(f"no session has '{argument}' in its title" if argument else "none yet")
        return
    show_list(found[:SOME], repl.screen)
    if len(found) > SOME:
        repl.screen.notice(f"and {len(found) - SOME:,} more; chatrepl sessions -n 0 lists them all")


def search(repl: "Repl", argument: str) -> None:
    """Find messages in all sessions."""
    from chatrepl.terminal.sessions import SOME, show_hits  # noqa: PLC0415 - imports rich

    if not argument:
        raise SettingsError("Search for what?", "/search TEXT finds the messages that hold it.")
    hits = repl.host.keeping.sessions.search(argument, SOME)
    if hits:
        show_hits(hits, argument, repl.screen)
    else:
        repl.screen.notice(f"no message holds '{argument}'")


def resume(repl: "Repl", argument: str) -> None:
    """Go on with a saved session."""
    if not argument:
        raise SettingsError("Which session?", "/sessions lists them: /resume ID, or words of it.")
    repl.show_where(repl.host.keeping.open(repl.chat, argument))


def new(repl: "Repl", _: str) -> None:
    """Begin a new session."""
    repl.host.keeping.begin(repl.chat)
    repl.screen.notice("a new conversation")


def fork(repl: "Repl", _: str) -> None:
    """Go on in a session of its own."""
    if repl.host.keeping.title(repl.chat, "") is None:
        repl.screen.notice("this chat is not saved (--no-save), so there is no session to fork")
        return
    repl.host.keeping.fork(repl.chat)
    name = repl.chat.recorder.session
    repl.screen.notice(f"a session of its own from here on{f': {name}' if name else ''}")


def title(repl: "Repl", argument: str) -> None:
    """Show or set the session's title."""
    words = title_from(argument)
    if argument and not words:
        raise SettingsError("Nothing of that title can be seen.")
    now = repl.host.keeping.title(repl.chat, words)
    if now is None:
        repl.screen.notice("this chat is not saved (--no-save)")
    else:
        repl.screen.notice(f"title: {now}" if now else "no title yet: the first message gives it")


def export(repl: "Repl", argument: str) -> None:
    """Write the conversation into a file."""
    if not argument:
        raise SettingsError("Into which file?", "/export talk.html, talk.md or talk.json")
    file = unquoted(argument)
    repl.host.keeping.export(repl.chat, Path(file))
    repl.screen.notice(f"written to {file}")


def unquoted(name: str) -> str:
    """Take the quotes off a file's name that was typed or dropped as for a shell.

    >>> unquoted('"my talk.md"'), unquoted("my talk.md"), unquoted("it's.md")
    ('my talk.md', 'my talk.md', "it's.md")
    """
    if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
        return name[1:-1]
    return name.replace("\\ ", " ") if IS_POSIX else name


def retry(repl: "Repl", _: str) -> None:
    """Ask for another reply."""
    exchanges = repl.chat.conversation.exchanges
    if not exchanges or exchanges[-1].prompt is None:
        repl.screen.notice("nothing to ask again")
        return
    repl.retry()


def go_on(repl: "Repl", _: str) -> None:
    """Go on with a reply that was cut off."""
    exchanges = repl.chat.conversation.exchanges
    if not exchanges or exchanges[-1].reply is None or exchanges[-1].is_whole:
        repl.screen.notice("the last reply was not cut off: nothing to go on with")
        return
    repl.go_on()


def edit(repl: "Repl", argument: str) -> None:
    """Step back to before a message, which comes to the prompt to be changed."""
    chat = repl.chat
    exchange = exchange_at(repl, argument)
    said = chat.conversation.exchanges
    prompt = said[exchange].prompt
    if prompt is None:
        raise SettingsError(f"Message {argument} answers no message of yours.")
    chat.go_to(said[exchange - 1].id if exchange else 0)
    repl.bring_back(prompt)
    repl.screen.notice(
        f"back to before message {argument}; what followed stays as a branch, /redo goes forward"
    )


def undo(repl: "Repl", _: str) -> None:
    """Step back by one exchange."""
    chat = repl.chat
    said = chat.conversation.exchanges
    if not said:
        repl.screen.notice("nothing to undo")
        return
    chat.go_to(said[-2].id if len(said) > 1 else 0)
    prompt = said[-1].prompt
    repl.bring_back(prompt or Message("user", ""))
    repl.screen.notice("one exchange back; its message is at the prompt, /redo goes forward again")


def redo(repl: "Repl", _: str) -> None:
    """Step forward by one exchange."""
    chat = repl.chat
    onward = chat.tree.onward(chat.conversation.head)
    if onward is None:
        repl.screen.notice("nothing to redo")
        return
    chat.go_to(onward)
    repl.put_away()
    last = len(chat.conversation.exchanges) - 1
    repl.screen.notice(f"forward again: {members(repl, last)}")


def branch(repl: "Repl", argument: str) -> None:
    """List the branches, or switch to one."""
    from rich.text import Text  # noqa: PLC0415

    chat = repl.chat
    leaves = chat.tree.leaves()
    if argument:
        if not (argument.isdecimal() and 1 <= int(argument) <= len(leaves)):
            known = f"there are 1 to {len(leaves):,}" if leaves else "nothing has been said yet"
            raise SettingsError(f"There is no branch {argument}: {known}.", "/branch lists them.")
        chat.go_to(leaves[int(argument) - 1])
        repl.show_last()
        return
    if not leaves:
        repl.screen.notice("nothing has been said yet")
    for number, name, words in _branches(repl, None if repl.screen.accessible else _BEGINNING):
        if repl.screen.accessible:
            about = ", the current one" if name else ""
            said = re.sub("‹(.+?)/(.+?)›", r"reply \1 of \2", words, count=1).replace("  ", ", ")
            repl.screen.out.print(Text(clean(f"branch {number}{about}: {said}")))
            continue
        here = "*" if name else " "
        line = Text.assemble((f"{here} {number:>2}", "name"), "  ", clean(words))
        if repl.screen.out.width >= _ROOMY:
            line.truncate(repl.screen.out.width, overflow="ellipsis")
        repl.screen.out.print(line)


def _branches(repl: "Repl", longest: int | None = _BEGINNING) -> Iterable[tuple[str, bool, str]]:
    """Give each branch: its number, whether it is the current one, and where it parts.

    Of each message there are no more characters than `longest`; None is for all.
    """
    from chatrepl.terminal.sessions import placed  # noqa: PLC0415 - imports rich

    chat = repl.chat
    tree = chat.tree
    current = tree.tip(chat.conversation.head)
    for number, leaf in enumerate(tree.leaves(), 1):
        path = tree.path(leaf)
        forked = [e for e in path if len(tree.siblings(e.id)) > 1]
        parts = (forked or path)[-1]
        count = sum(len(each.messages) for each in path)
        messages = "1 message" if count == 1 else f"{count:,} messages"
        said = " → ".join(_beginning(message.content, longest) for message in parts.messages)
        place = placed(*tree.place(parts.id))
        words = "  ".join(part for part in (place, messages, said) if part)
        yield str(number), leaf == current, words


def _beginning(text: str, longest: int | None) -> str:
    line = " ".join(text.split())
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def session_names(repl: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    """List the newest sessions for completion."""
    now = datetime.now(UTC)
    from chatrepl.terminal.sessions import ago  # noqa: PLC0415 - imports rich

    for each in repl.host.keeping.sessions.all(limit=50):
        yield each.id, f"{clean(each.title)[:50]}, {ago(each.updated, now)}"


def branch_numbers(repl: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    """List the branches for completion."""
    return [(number, clean(words)) for number, _, words in _branches(repl)]
