"""One answer, then exit: for pipes and scripts."""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.costs import in_full, total
from chatrepl.chat.events import Assumed, Event
from chatrepl.chat.messages import Message
from chatrepl.chat.schema import Schema, fault_of_last
from chatrepl.chat.trimming import Window, check_images, too_full
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError, UnfitReplyError
from chatrepl.terminal.attachments import announce, described, tokens_of
from chatrepl.terminal.code import code_blocks
from chatrepl.terminal.outcomes import Notable, Outcome, ending, in_words, show_turn
from chatrepl.terminal.replies import PlainReply, reply_on
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen, print_json
from chatrepl.terminal.thinking import Thinking


class NoReply(PlainReply):
    """Shows notices only: the reply is printed at the end, in another form."""

    def text(self, piece: str) -> None:
        """Show nothing."""

    def think(self, line: Callable[[int], str]) -> None:
        """Show nothing."""


def compose(prompt: str | None, screen: Screen) -> str:
    """Give the message: the prompt, a blank line, then standard input if it is piped in.

    Bytes that are no UTF-8 become U+FFFD, and that is said.
    """
    parts = (
        [] if prompt is None else [prompt.encode(errors="surrogateescape").decode(errors="replace")]
    )
    if not sys.stdin.isatty():
        data = sys.stdin.buffer.read()
        piped = data.decode(errors="replace").rstrip("\n")
        if "\ufffd" in piped and not _is_utf8(data):
            screen.notice("Standard input is not all UTF-8: what is not was replaced by \ufffd.")
        if piped:
            parts.append(piped)
    return "\n\n".join(parts)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


Form = Literal["reply", "json", "code"]
"""What is printed: the reply as it comes, an object at the end, or the reply's code."""


def answer(  # noqa: PLR0913 - what is said, and how it is shown
    chat: Chat,
    prompt: str | None,
    screen: Screen,
    *,
    plain: bool,
    form: Form,
    attachments: tuple[Attachment, ...] = (),
) -> int:
    """Say `prompt` (None: answer the conversation's last message) and give the exit status.

    What is attached is said before it leaves. What came of a reply is shown even if it was cut
    off; but of code, which may be run at once, only the whole is printed. Raises ChatreplError.
    """
    outcome, before = Outcome(), len(chat.spending.completions)
    announce(chat, attachments, screen.notice)
    say_thoughts = Thinking.summary if screen.on_terminal and form == "reply" else None
    reply = reply_on(screen, plain=plain) if form == "reply" else NoReply(screen)
    try:
        events = _turn(chat, prompt, attachments)
        say = partial(_say, chat, prompt, attachments)
        show_turn(events, reply, outcome, say=say, say_thoughts=say_thoughts)
    except (ChatreplError, KeyboardInterrupt):
        if form == "json" and outcome.text:
            print_json(_result(chat, outcome, before))
        raise
    if form == "json":
        print_json(_result(chat, outcome, before))
    status, words = ending(outcome, chat.max_tokens)
    if words:
        screen.notice(words)
    why = "" if status or form == "code" else fault_of_last(chat.schema, chat.conversation)
    if not status and form == "code":
        printed = _print_code(outcome.text, chat.schema, screen)
        why = chat.schema.fault(printed) if chat.schema else ""
    if why:
        text = f"The reply does not hold to the schema: {why}"
        raise UnfitReplyError(text, "Ask again, or in other words, or another model.")
    return status


def _print_code(reply: str, schema: Schema | None, screen: Screen) -> str:
    """Print the code blocks, with a blank line between, and give that.

    JSON that was asked for is code without a block, too. Raises UnfitReplyError.
    """
    blocks = [f"{block.code}\n" for block in code_blocks(reply)]
    if not blocks and schema is not None and not schema.fault(reply):
        blocks = [f"{reply.strip()}\n"]
    if not blocks:
        raise UnfitReplyError(
            "The reply has no code block: nothing was printed.",
            "Without --code, the reply is shown; chatrepl -c goes on with the conversation.",
        )
    text = "\n".join(blocks)
    print(clean(text) if screen.on_terminal else text, end="")
    return text


def _turn(chat: Chat, prompt: str | None, attachments: tuple[Attachment, ...]) -> Iterator[Event]:
    return chat.retry() if prompt is None else chat.say(prompt, attachments)


def _say(
    chat: Chat, prompt: str | None, attachments: tuple[Attachment, ...], event: Notable
) -> str:
    """Say an event, but an assumed window only where the prompt fills more than half of it."""
    if isinstance(event, Assumed):
        talk = chat.conversation
        if prompt is not None:
            talk = talk.asking(Message("user", prompt, attachments=attachments))
        half = event.context_window // 2
        with chat.measuring:
            known = chat.calibration.surely_within(talk.messages, half)
            if known or chat.calibration.request(talk.messages) <= half:
                return ""
    return in_words(event, in_chat=False)


def dry_run(
    chat: Chat,
    prompt: str | None,
    screen: Screen,
    *,
    as_json: bool,
    attachments: tuple[Attachment, ...] = (),
) -> int:
    """Show what would be sent, and send nothing. Raises ChatreplError for what can't be."""
    conversation = chat.conversation
    announce(chat, attachments, screen.notice)
    if prompt is not None:
        message = Message("user", prompt, attachments=attachments)
        conversation = conversation.asking(message)
    window = chat.window(conversation)
    check_images(window.messages, chat.card)
    if window.outgrown and chat.overflow == "ask":
        raise too_full(window, chat.calibration.about)
    if window.outgrown and chat.overflow == "summarize":
        screen.notice("The oldest exchanges would be condensed first; here they are left out.")
    counts = _window(chat, window)
    parameters = chat.card.as_sent(chat.parameters)
    if as_json:
        messages = [message.as_openai() for message in window.messages]
        head: dict[str, Any] = {"model": chat.card.name, "provider": chat.provider.name}
        head |= {"messages": messages, "parameters": parameters}
        print_json(head | counts)
        return 0
    about = chat.calibration.about
    lines = []
    for message in window.messages:
        lines.append(f"{message.role}: {message.text.rstrip()}")
        lines += [f"[{described(image)}]" for image in message.images]
    if parameters:
        said = (f"{name}={json.dumps(p, ensure_ascii=False)}" for name, p in parameters.items())
        lines.append(f"parameters: {' '.join(said)}")
    lines.append(
        f"{about}{counts['prompt_tokens']:,} tokens and up to {window.max_tokens:,} of reply, "
        f"in a window of {window.context_window:,}; nothing was sent to {chat.card.name}"
    )
    if gone := counts["dropped"]:
        lines.append(f"left out: {len(gone):,} messages")
    text = "\n".join(lines)
    print(clean(text) if screen.on_terminal else text)
    return 0


def _window(chat: Chat, window: Window) -> dict[str, Any]:
    count = window.prompt_tokens
    note = window.conversation.note
    files = [each for message in window.messages for each in message.attachments]
    counts = zip(files, tokens_of(chat, files), strict=True)
    attached = [{"name": each.name, "tokens": tokens} for each, tokens in counts]
    return {
        "prompt_tokens": chat.calibration.request(window.messages) if count is None else count,
        "counted": "estimate" if chat.calibration.about else "exact",
        "max_tokens": window.max_tokens,
        "context_window": window.context_window,
        "dropped": [
            {"index": dropped.index, "role": dropped.role, "tokens": dropped.tokens}
            for dropped in window.dropped
        ],
        **({"attachments": attached} if attached else {}),
        **({"note": note.text} if note else {}),
    }


def _result(chat: Chat, outcome: Outcome, before: int) -> dict[str, Any]:
    """Give what is printed; `before` is how many completions the session had before this turn."""
    usage, spent = outcome.usage, chat.spending.completions[before:]
    together = total(spent)
    assert chat.sent is not None
    return {
        "reply": outcome.text,
        "reasoning": outcome.thoughts or None,
        "finish_reason": outcome.finish_reason,
        "model": outcome.model or chat.card.name,
        "provider": chat.provider.name,
        "usage": usage and usage.as_openai(),
        "cost": in_full(together.known_cost),
        "cost_estimated": together.estimated > 0,
        "priced_by": ", ".join(dict.fromkeys(each.priced_by for each in spent)) or None,
        "window": _window(chat, chat.sent),
        "session": chat.recorder.session,
        **({"schema_fault": chat.schema.fault(outcome.text) or None} if chat.schema else {}),
    }
