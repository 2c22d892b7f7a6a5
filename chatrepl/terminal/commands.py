"""The slash commands, in one registry: each with its usage, its help and its completions."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chatrepl.errors import SettingsError
from chatrepl.terminal import keys
from chatrepl.terminal.completion import Completable
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.chat.calibration import Calibration
    from chatrepl.terminal.repl import Repl

_COMMAND = re.compile(r"/([A-Za-z][\w-]*|\?)?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command.

    `argument` names what it takes, in the manner of a usage line, or is empty. `values` gives
    what may be completed, or is None where there is nothing to complete.
    """

    name: str
    argument: str
    help: str
    run: Callable[["Repl", str], None]
    values: Callable[["Repl"], Iterable[tuple[str, str]]] | None = None

    @property
    def usage(self) -> str:
        """Give the command as it is typed."""
        return f"/{self.name} {self.argument}".rstrip()


def read_command(line: str) -> tuple[str, str] | None:
    """Split a line into a command's name and its argument; None if it is a message.

    A path such as /etc/hosts is no command.

    >>> read_command("/model gpt-4"), read_command("/etc/hosts is what?")
    (('model', 'gpt-4'), None)
    """
    found = _COMMAND.match(line)
    if found is None:
        return None
    return (found[1] or "").lower(), line[found.end() :].strip()


def find_command(name: str) -> Command:
    """Look a command up. Raises SettingsError with the nearest name."""
    if name in BY_NAME:
        return BY_NAME[name]
    if name == "?":
        return BY_NAME["help"]
    begun = [known for known in BY_NAME if known.startswith(name)]
    near = begun or difflib.get_close_matches(name, list(BY_NAME), 1)
    hint = f"Did you mean /{near[0]}? " if near else ""
    text = f"There is no command /{name}."
    raise SettingsError(text, f"{hint}/help lists them; // sends a message that begins with /.")


def completables(repl: "Repl") -> list[Completable]:
    """Give the registry as completion sees it."""
    return [
        Completable(
            command.name,
            command.help,
            None if command.values is None else partial(command.values, repl),
        )
        for command in COMMANDS
    ]


def _help(repl: "Repl", argument: str) -> None:
    from chatrepl.terminal.tables import pairs  # noqa: PLC0415 - imports rich

    if argument:
        command = find_command(argument.lstrip("/").lower())
        repl.screen.out.print(pairs([(command.usage, command.help)]))
        return
    rows = [(command.usage, command.help) for command in COMMANDS]
    rows.append(("//…", "send a message that begins with /"))
    repl.screen.out.print(pairs([*rows, ("", ""), *keys.HELP]))


def _system(repl: "Repl", argument: str) -> None:
    chat = repl.chat
    if argument:
        text = "" if argument == '""' else argument
        chat.conversation = chat.conversation.with_system(text)
    system = chat.conversation.system
    repl.screen.notice(f"system: {system.content}" if system else "no system message")


def _persona(repl: "Repl", argument: str) -> None:
    if argument:
        repl.host.use_persona(repl.chat, argument)
        repl.screen.notice(f"persona: {argument}")
        return
    known = dict(repl.host.personas())
    if not known:
        repl.screen.notice("no personas; [personas.NAME] in the config file makes one")
        return
    from chatrepl.terminal.tables import pairs  # noqa: PLC0415 - imports rich

    repl.screen.out.print(pairs(known.items()))


def _model(repl: "Repl", argument: str) -> None:
    chat = repl.chat
    if argument:
        repl.host.use_model(chat, argument)
        repl.warm_up()
    chat.ask_limits()
    card = chat.card
    assumed = "" if card.window_known else " (assumed: its real size is not known)"
    repl.screen.notice(
        f"{chat.provider.name}/{card.name}: a window of {card.context_window:,} tokens{assumed}, "
        f"replies of up to {chat.max_tokens:,}"
    )


def _clear(repl: "Repl", _: str) -> None:
    chat = repl.chat
    chat.conversation = chat.conversation.cleared()
    repl.screen.notice("a new conversation")


def _tokens(repl: "Repl", _: str) -> None:
    from chatrepl.terminal.tables import pairs  # noqa: PLC0415 - imports rich

    chat = repl.chat
    calibration = chat.calibration
    about = calibration.about
    everything = calibration.request(chat.conversation.messages)
    messages = len(chat.conversation.messages)
    rows = [
        ("conversation", f"{about}{everything:,} tokens in {messages:,} messages"),
        ("window", f"{chat.card.context_window:,}, of which {chat.max_tokens:,} for the reply"),
    ]
    window = chat.fitted()
    if window is not None and window.dropped:
        tokens = sum(dropped.tokens for dropped in window.dropped)
        rows.append(("not sent", f"{len(window.dropped):,} messages, {about}{tokens:,} tokens"))
    if not calibration.exact:
        rows.append(("estimate", f"≈ {_how_estimated(calibration)}"))
    if calibration.last is not None:
        expected, counted = calibration.last
        error = 100 * (expected - counted) / counted
        words = f"≈{expected:,} expected, {counted:,} by the server's count ({error:+.1f} %)"
        rows.append(("last prompt", words))
    usage = chat.usage
    if usage.total_tokens:
        used = f"{usage.prompt_tokens:,} prompt + {usage.completion_tokens:,} completion tokens"
        rows.append(("used so far", f"{used}, by the server's count"))
    repl.screen.out.print(pairs(rows))


def _how_estimated(calibration: "Calibration") -> str:
    if calibration.scale.weight:
        scale = f"{calibration.scale.mean:.2f} ± {calibration.scale.spread:.2f}"
        return f"the server makes {scale} tokens of one of tiktoken's"
    return "this model's tokenizer is not known here"


def _context(repl: "Repl", argument: str) -> None:
    from rich.text import Text  # noqa: PLC0415

    from chatrepl.terminal import context  # noqa: PLC0415 - imports rich

    chat = repl.chat
    if not argument:
        if chat.conversation.exchanges and chat.fitted() is None:
            repl.screen.notice("What is always sent leaves no room in this window.")
        repl.screen.out.print(context.table(chat, repl.screen.out.width))
        return
    for row in context.rows(chat):
        if row.number == argument.lstrip("0").lower():
            about = chat.calibration.about
            size = f"{about}{row.tokens:,} tokens"
            parts = [f"{row.number} {row.message.role}", size, row.standing]
            repl.screen.notice(", ".join(["note", size] if row.number == "note" else parts))
            repl.screen.out.print(Text(clean(row.message.content)))
            return
    if argument.lower() == "note":
        raise SettingsError("There is no note yet.", "With /overflow summarize there may be one.")
    raise _no_message(repl, argument)


def _exchange_at(repl: "Repl", argument: str) -> int:
    """Read a message's number and give its exchange. Raises SettingsError."""
    if not argument:
        raise SettingsError("Which message?", "/context shows their numbers.")
    try:
        number = int(argument)
        exchange = repl.chat.conversation.exchange_of(number - 1) if number > 0 else -1
    except (ValueError, IndexError):
        exchange = -1
    if exchange is None:
        text = f"Message {argument} is the system message or an example, which are always sent."
        raise SettingsError(text, "/system and /persona change them.")
    if exchange < 0:
        raise _no_message(repl, argument)
    return exchange


def _no_message(repl: "Repl", argument: str) -> SettingsError:
    count = len(repl.chat.conversation.messages)
    known = f"there are 1 to {count:,}" if count else "the conversation is empty"
    return SettingsError(f"There is no message {argument}: {known}.", "/context shows them.")


def _members(repl: "Repl", exchange: int) -> str:
    """Name the messages of an exchange by their numbers."""
    talk = repl.chat.conversation
    first = len(talk.preamble) + sum(len(e.messages) for e in talk.exchanges[:exchange]) + 1
    last = first + len(talk.exchanges[exchange].messages) - 1
    if first == last:
        return f"message {first}"
    return f"messages {first} {'and' if last == first + 1 else 'to'} {last}"


def _pin(repl: "Repl", argument: str) -> None:
    exchange = _exchange_at(repl, argument)
    repl.chat.pin(exchange)
    repl.screen.notice(f"pinned: {_members(repl, exchange)} will always be sent")


def _unpin(repl: "Repl", argument: str) -> None:
    exchange = _exchange_at(repl, argument)
    chat = repl.chat
    if exchange not in chat.conversation.pins:
        raise SettingsError(f"Message {argument} is not pinned.", "/context shows what is.")
    chat.conversation = chat.conversation.unpinned(exchange)
    repl.screen.notice(f"unpinned: {_members(repl, exchange)}")


def _drop(repl: "Repl", argument: str) -> None:
    chat = repl.chat
    if argument:
        exchange = _exchange_at(repl, argument)
        before = chat.conversation
        chat.conversation = before.dropped(exchange)
        words = f"dropped: {_members(repl, exchange)} will not be sent; /drop takes that back"
        if before.note and not chat.conversation.note:
            words += ". The note, which told of it, is gone"
    elif chat.conversation.drops:
        exchange = chat.conversation.drops[-1]
        chat.conversation = chat.conversation.undropped()
        words = f"back again: {_members(repl, exchange)}"
    else:
        words = "nothing was dropped"
    repl.screen.notice(words)


_OVERFLOW = {
    "trim": "the oldest exchanges are left out when the window is full",
    "ask": "you are asked when the window is full",
    "summarize": "the model condenses the oldest exchanges when the window is full",
}


def _overflow(repl: "Repl", argument: str) -> None:
    how = argument.lower()
    if how and how not in _OVERFLOW:
        raise SettingsError(f"There is no overflow '{argument}'.", f"Known: {', '.join(_OVERFLOW)}")
    if how:
        repl.host.use_overflow(repl.chat, how)
    now = repl.chat.overflow
    repl.screen.notice(f"overflow: {now}; {_OVERFLOW[now]}")


def _retry(repl: "Repl", _: str) -> None:
    exchanges = repl.chat.conversation.exchanges
    if not exchanges or exchanges[-1].prompt is None:
        repl.screen.notice("nothing to ask again")
        return
    repl.retry()


def _undo(repl: "Repl", _: str) -> None:
    chat = repl.chat
    if not chat.conversation.exchanges:
        repl.screen.notice("nothing to undo")
        return
    prompt = chat.conversation.exchanges[-1].prompt
    chat.conversation = chat.conversation.without_last()
    repl.prefill = prompt.content if prompt else ""
    repl.screen.notice("the last exchange is gone; its message is back at the prompt")


def _quit(repl: "Repl", _: str) -> None:
    repl.leaving = True


def _persona_names(repl: "Repl") -> Iterable[tuple[str, str]]:
    return repl.host.personas()


def _model_names(repl: "Repl") -> Iterable[tuple[str, str]]:
    return repl.host.models()


def _overflow_names(_: "Repl") -> Iterable[tuple[str, str]]:
    return _OVERFLOW.items()


def _command_names(_: "Repl") -> list[tuple[str, str]]:
    return [(command.name, command.help) for command in COMMANDS]


COMMANDS = (
    Command("help", "[COMMAND]", "list the commands and keys", _help, _command_names),
    Command("system", "[TEXT]", 'show or set the system message; "" removes it', _system),
    Command(
        "persona",
        "[NAME]",
        "list the personas or switch to one",
        _persona,
        _persona_names,
    ),
    Command(
        "model",
        "[NAME]",
        "show the model or switch; provider/model too",
        _model,
        _model_names,
    ),
    Command("clear", "", "begin a new conversation", _clear),
    Command("tokens", "", "show what the conversation costs", _tokens),
    Command(
        "context",
        "[N]",
        "show what is sent and what is not, or message N whole",
        _context,
    ),
    Command("pin", "N", "always send message N and what belongs to it", _pin),
    Command("unpin", "N", "let message N be left out again", _unpin),
    Command("drop", "[N]", "never send message N again; alone, take that back", _drop),
    Command(
        "overflow",
        "[HOW]",
        "what to do when the window is full: trim, ask or summarize",
        _overflow,
        _overflow_names,
    ),
    Command("retry", "", "ask the last message again", _retry),
    Command("undo", "", "take back the last exchange", _undo),
    Command("quit", "", "leave", _quit),
)
BY_NAME = {command.name: command for command in COMMANDS}
