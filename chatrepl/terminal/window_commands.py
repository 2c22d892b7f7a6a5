"""The slash commands about the window: what is sent and what is not, and what it costs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatrepl.chat import previewing
from chatrepl.chat.previewing import fitted
from chatrepl.errors import SettingsError
from chatrepl.terminal.attachments import described
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.chat.calibration import Calibration
    from chatrepl.terminal.repl import Repl


def tokens(repl: "Repl", _: str) -> None:
    """Show how many tokens the conversation has."""
    from chatrepl.terminal.tables import show_pairs  # noqa: PLC0415 - imports rich

    chat = repl.chat
    calibration = chat.calibration
    about = calibration.about
    everything = calibration.request(chat.conversation.messages)
    messages = len(chat.conversation.messages)
    rows = [
        ("conversation", f"{about}{everything:,} tokens in {messages:,} messages"),
        ("window", f"{chat.card.context_window:,}, of which {chat.max_tokens:,} for the reply"),
    ]
    window = fitted(chat)
    if window is not None and (gone := window.dropped):
        tokens = sum(dropped.tokens for dropped in gone)
        rows.append(("not sent", f"{len(gone):,} messages, {about}{tokens:,} tokens"))
    if not calibration.exact:
        rows.append(("estimate", f"≈ {_how_estimated(calibration)}"))
    if calibration.extra.text:
        rows.append((calibration.extra.name, f"{about}{calibration.extra_tokens:,} tokens"))
    if calibration.last is not None:
        expected, counted = calibration.last
        error = 100 * (expected - counted) / counted
        words = f"≈{expected:,} expected, {counted:,} by the server's count ({error:+.1f} %)"
        rows.append(("last prompt", words))
    show_pairs(rows, repl.screen)


def usage(repl: "Repl", _: str) -> None:
    """Show what the session has used and cost."""
    from chatrepl.terminal import spending  # noqa: PLC0415
    from chatrepl.terminal.tables import show_lines  # noqa: PLC0415 - both import rich

    screen, spent = repl.screen, repl.chat.spending
    if not spent.completions:
        screen.notice("nothing has been used yet")
    elif screen.accessible:
        show_lines(spending.in_sentences(spent), screen)
    else:
        screen.out.print(spending.table(spent, screen.out.width))
    for line in spending.remarks(spent):
        screen.notice(line)
    for standing in repl.chat.allowance.standings(repl.chat):
        screen.notice(str(standing))


def _how_estimated(calibration: "Calibration") -> str:
    if calibration.scale.weight:
        scale = f"{calibration.scale.mean:.2f} ± {calibration.scale.spread:.2f}"
        return f"the server makes {scale} tokens of one of tiktoken's"
    return "this model's tokenizer is not known here"


def context(repl: "Repl", argument: str) -> None:
    """Show what is sent and what is not, or one message whole."""
    from rich.text import Text  # noqa: PLC0415

    from chatrepl.terminal.context import rows  # noqa: PLC0415 - imports rich

    chat = repl.chat
    if argument.lower() in {"", "all"}:
        _overview(repl, whole=bool(argument))
        return
    for row in rows(chat):
        if row.number == argument.lstrip("0").lower():
            about = chat.calibration.about
            size = f"{about}{row.tokens:,} tokens"
            parts = [f"{row.number} {row.message.role}", size, row.standing]
            repl.screen.notice(", ".join(["note", size] if row.number == "note" else parts))
            images = "".join(f"\n[{described(image)}]" for image in row.message.images)
            repl.screen.out.print(Text(clean(row.message.text + images)))
            return
    if argument.lower() == "note":
        raise SettingsError("There is no note yet.", "With /overflow summarize there may be one.")
    raise _no_message(repl, argument)


def _overview(repl: "Repl", *, whole: bool) -> None:
    from chatrepl.terminal.context import folded, in_lines, rows, table  # noqa: PLC0415
    from chatrepl.terminal.tables import show_lines  # noqa: PLC0415 - both import rich

    chat, screen = repl.chat, repl.screen
    if chat.conversation.exchanges and fitted(chat) is None:
        screen.notice("What is always sent leaves no room in this window.")
    everything = rows(chat)
    lines = everything if whole else folded(everything)
    if screen.accessible:
        show_lines(in_lines(chat, lines), screen)
    else:
        screen.out.print(table(chat, screen.out.width, lines))
    if len(lines) < len(everything):
        screen.notice("/context all shows every message")


def exchange_at(repl: "Repl", argument: str) -> int:
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


def members(repl: "Repl", exchange: int) -> str:
    """Name the messages of an exchange by their numbers."""
    talk = repl.chat.conversation
    first = len(talk.preamble) + sum(len(e.messages) for e in talk.exchanges[:exchange]) + 1
    last = first + len(talk.exchanges[exchange].messages) - 1
    if first == last:
        return f"message {first}"
    return f"messages {first} {'and' if last == first + 1 else 'to'} {last}"


def message_numbers(repl: "Repl", _typed: str) -> Iterable[tuple[str, str]]:
    """List the user's messages for completion, the newest first."""
    talk = repl.chat.conversation
    number = len(talk.preamble)
    found: list[tuple[str, str]] = []
    for exchange in talk.exchanges:
        if exchange.prompt is not None:
            words = " ".join(clean(exchange.prompt.content[:200]).split())
            found.append((str(number + 1), words[:50]))
        number += len(exchange.messages)
    return reversed(found)


def pin(repl: "Repl", argument: str) -> None:
    """Always send a message and what belongs to it."""
    exchange = exchange_at(repl, argument)
    previewing.pin(repl.chat, exchange)
    repl.screen.notice(f"pinned: {members(repl, exchange)} will always be sent")


def unpin(repl: "Repl", argument: str) -> None:
    """Let a message be left out again."""
    exchange = exchange_at(repl, argument)
    chat = repl.chat
    if exchange not in chat.conversation.pins:
        raise SettingsError(f"Message {argument} is not pinned.", "/context shows what is.")
    chat.conversation = chat.conversation.unpinned(exchange)
    repl.screen.notice(f"unpinned: {members(repl, exchange)}")


def drop(repl: "Repl", argument: str) -> None:
    """Never send a message again, or take the last such drop back."""
    chat = repl.chat
    if argument:
        exchange = exchange_at(repl, argument)
        before = chat.conversation
        chat.conversation = before.dropped(exchange)
        words = f"dropped: {members(repl, exchange)} will not be sent; /drop takes that back"
        if before.note and not chat.conversation.note:
            words += ". The note, which told of it, is gone"
    elif chat.conversation.drops:
        exchange = chat.conversation.drops[-1]
        chat.conversation = chat.conversation.undropped()
        words = f"back again: {members(repl, exchange)}"
    else:
        words = "nothing was dropped"
    repl.screen.notice(words)


OVERFLOW = {
    "trim": "the oldest exchanges are left out when the window is full",
    "ask": "you are asked when the window is full",
    "summarize": "the model condenses the oldest exchanges when the window is full",
}
"""What to do about a full window, in words."""


def overflow(repl: "Repl", argument: str) -> None:
    """Show or choose what to do when the window is full."""
    how = argument.lower()
    if how and how not in OVERFLOW:
        raise SettingsError(f"There is no overflow '{argument}'.", f"Known: {', '.join(OVERFLOW)}")
    if how:
        repl.host.use_overflow(repl.chat, how)
    now = repl.chat.overflow
    repl.screen.notice(f"overflow: {now}; {OVERFLOW[now]}")
