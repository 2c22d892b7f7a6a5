"""What would be sent, and what that would cost, before anything is said."""

from dataclasses import dataclass

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.messages import Message
from chatrepl.chat.trimming import LeftOut, Window, fixed_cost
from chatrepl.chat.turn import Chat
from chatrepl.errors import PromptTooLongError


@dataclass(frozen=True, slots=True)
class Preview:
    """What sending something would cost: its prompt in tokens, and what is left out for it.

    `outgrown` says that `left_out` has no room, `fits` that it can be sent at all.
    """

    prompt_tokens: int
    left_out: LeftOut
    outgrown: bool = False
    fits: bool = True


def fitted(chat: Chat) -> Window | None:
    """Give what would be sent with the next message, an empty one; None if nothing was said.

    Also None if what must be sent can't fit.
    """
    try:
        if not chat.conversation.exchanges:
            return None
        return chat.window(chat.conversation.asking(Message("user", "")))
    except PromptTooLongError:
        return None


def nothing_fits(chat: Chat) -> Window:
    """Give a window in which there is no room but for what is always sent."""
    talk, card = chat.conversation, chat.card
    nothing, cost = LeftOut(), chat.calibration.cost
    return Window(
        talk, len(talk.exchanges), nothing, None, chat.max_tokens, card.context_window, cost
    )


def preview(chat: Chat, text: str, attachments: tuple[Attachment, ...] = ()) -> Preview:
    """Give what sending a text would cost; nothing but blanks is no message.

    Meant for the line that is being typed: only the last one's count is remembered.
    """
    talk = chat.conversation
    with chat.measuring:
        prompt = Message("user", text if text.strip() else "", attachments=attachments)
        if chat.draft is not None and chat.draft != prompt:
            chat.counter.forget(chat.draft)
        chat.draft = prompt
        talk = talk.asking(prompt)
        nothing = 0 if prompt.size else chat.calibration.cost(prompt)
        try:
            window = chat.window(talk)
        except PromptTooLongError:
            return Preview(fixed_cost(talk, chat.calibration) - nothing, LeftOut(), fits=False)
        tokens = window.prompt_tokens or chat.calibration.request(window.messages)
        return Preview(tokens - nothing, window.left_out, window.outgrown)


def pin(chat: Chat, exchange: int) -> None:
    """Always send an exchange from now on.

    Raises PromptTooLongError if that would leave less than a tenth of the room for the rest.
    """
    talk = chat.conversation.pinned(exchange)
    with chat.measuring:
        fixed = fixed_cost(talk.asking(Message("user", "")), chat.calibration)
        about = chat.calibration.about
    if fixed > 0.9 * (chat.card.context_window - chat.max_tokens):
        raise PromptTooLongError(
            f"Pinning it leaves no room: {about}{fixed:,} tokens would always be sent, and "
            f"{chat.max_tokens:,} are kept for the reply, in a window of "
            f"{chat.card.context_window:,}.",
            "Unpin another (/unpin N) if there is one, or lower max_tokens.",
        )
    chat.conversation = talk
