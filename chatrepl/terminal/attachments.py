"""What goes with a message: `/file`, `@path` in a line, and what is said of it before it leaves."""

import os
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chatrepl.chat.attachments import AttachedImage, Attachment, merged
from chatrepl.chat.messages import Message
from chatrepl.chat.trimming import check_images
from chatrepl.errors import PromptTooLongError
from chatrepl.terminal.sanitize import clean

if TYPE_CHECKING:
    from chatrepl.chat.turn import Chat
    from chatrepl.terminal.repl import Repl

_FEW, _MOST = 3, 20
"""So many attachments are named in a line, and so many are said one by one."""


def file(repl: "Repl", argument: str) -> None:
    """Attach files to the next message, list what is attached, or take it back."""
    if argument == '""':
        repl.attached = repl.came_back = ()
        repl.screen.notice(waiting(()))
        return
    if argument:
        attachments = merged(repl.attached, repl.host.attach(split(argument)))
        check_room(repl.chat, attachments)
        repl.attached = attachments
    if not repl.attached:
        repl.screen.notice("nothing is attached; /file PATH does it, or @PATH in a message")
        return
    for line in listed(repl.chat, repl.attached):
        repl.screen.notice(f"for the next message: {line}")


def compose(repl: "Repl", text: str) -> Message:
    """Make a message of what was typed, and say what is attached to it. Raises ChatreplError.

    A long text that was pasted names no files: who wrote it need not be who sends it.
    """
    known, folds = [each.name for each in repl.attached], repl.prompt.folds
    text, names = repl.host.mentioned(folds.folded(text), known)
    text = folds.whole(text)
    attachments = merged(repl.attached, repl.host.attach(names)) if names else repl.attached
    announce(repl.chat, attachments, repl.screen.notice)
    return Message("user", text, attachments=attachments)


def announce(
    chat: "Chat", attachments: tuple[Attachment, ...], say: Callable[[str], object]
) -> None:
    """Say what is attached with its tokens, before it leaves. Raises what `check_room` does."""
    if attachments:  # else nothing needs to be counted, and no vocabulary loaded for that
        check_room(chat, attachments)
        for line in listed(chat, attachments):
            say(f"attached {line}")


def check_room(chat: "Chat", attachments: tuple[Attachment, ...]) -> None:
    """Raise PromptTooLongError for what can't fit, SettingsError for what the model can't see."""
    chat.ask_limits()
    check_images([Message("user", "", attachments=attachments)], chat.card)
    tokens = tokens_of(chat, attachments)
    window, kept = chat.card.context_window, chat.max_tokens
    if sum(tokens) <= window - kept:
        return
    about = chat.calibration.about
    size, largest = max(zip(tokens, attachments, strict=True), key=lambda pair: pair[0])
    what = f"{named(largest)} does not fit: {about}{size:,} tokens"
    if len(attachments) > 1:
        what = f"The {len(attachments):,} files do not fit: {about}{sum(tokens):,} tokens"
        what += f", of which {named(largest)} has {size:,}"
    raise PromptTooLongError(
        f"{what}, in a window of {window:,} of which {kept:,} are kept for the reply.",
        "Attach less, lower max_tokens, or choose a model with a larger window.",
    )


def waiting(attachments: Sequence[Attachment]) -> str:
    """Name what goes with the next message, in a line.

    >>> waiting([])
    'nothing is attached to the next message'
    """
    if not attachments:
        return "nothing is attached to the next message"
    names = [named(each) for each in attachments[:_FEW]]
    more = [f"{len(attachments) - _FEW:,} more"] if len(attachments) > _FEW else []
    return f"for the next message: {', '.join(names + more)}; /file lists it"


def tokens_of(chat: "Chat", attachments: Sequence[Attachment]) -> list[int]:
    """Count attachments, each for itself."""
    with chat.measuring:
        return [chat.calibration.attachment(each) for each in attachments]


def listed(chat: "Chat", attachments: Sequence[Attachment]) -> list[str]:
    """Describe attachments with their tokens, a line each; of very many, the rest in one."""
    tokens, about = tokens_of(chat, attachments), chat.calibration.about
    pairs = zip(attachments[:_MOST], tokens, strict=False)
    lines = [f"{described(each)}, {about}{count:,} tokens" for each, count in pairs]
    if rest := tokens[_MOST:]:
        lines.append(f"{len(rest):,} more, {about}{sum(rest):,} tokens")
    return lines


def described(attachment: Attachment) -> str:
    """Name an attachment, and an image's size in pixels."""
    if isinstance(attachment, AttachedImage):
        return f"{named(attachment)}, {attachment.width:,} × {attachment.height:,}"
    return named(attachment)


def named(attachment: Attachment) -> str:
    """Give an attachment's name as it may be shown, on one line."""
    return " ".join(clean(attachment.name).split()) or "an image"


def outlined(message: Message) -> str:
    """Give what was said in a message, and a line for each attachment."""
    lines = [f"[attached {described(each)}]" for each in message.attachments]
    return "\n".join([message.content, *lines])


def split(argument: str) -> list[str]:
    """Read the paths of a command: one as it is, or several as in a shell.

    >>> split('notes.txt "my notes.txt"')
    ['notes.txt', 'my notes.txt']
    """
    if os.path.exists(os.path.expanduser(argument)):  # noqa: PTH110, PTH111 - whatever it is
        return [argument]
    try:
        return [word.strip('"') for word in shlex.split(argument, posix=os.sep == "/")]
    except ValueError:  # an apostrophe
        return [argument]
