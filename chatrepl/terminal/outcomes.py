"""Showing a turn: its events as they come, and how it ended, in words and as an exit status."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from chatrepl.chat.events import (
    Answering,
    Assumed,
    BudgetNear,
    Condensed,
    Condensing,
    Event,
    Finished,
    LegacyMarkup,
    NotCondensed,
    PriceUnknown,
    ReasoningDelta,
    Refitted,
    Retrying,
    Stalled,
    TextDelta,
    Trimmed,
    UsageReport,
)
from chatrepl.chat.exchanges import counted
from chatrepl.chat.usage import Usage
from chatrepl.terminal.replies import Reply
from chatrepl.terminal.thinking import Thinking

Typed = Callable[[], str]
"""Takes what has been typed since the last time, without waiting for more."""

_BY_HAND = 2
"""Keys that come at one moment; more were pasted, or are one key that sends several."""


@dataclass(slots=True)
class Outcome:
    """What a turn has brought so far.

    `typed` is what was typed meanwhile and is not in the terminal any more, `ask_again` that the
    user wants the reply anew. `thoughts` are no part of the reply's `text`.
    """

    text: str = ""
    finish_reason: str | None = None
    model: str | None = None
    usage: Usage | None = None
    typed: str = ""
    ask_again: bool = False
    thoughts: str = ""


def show_turn(  # noqa: PLR0913 - what happens, where it is shown, and in which words
    events: Iterator[Event],
    reply: Reply,
    outcome: Outcome,
    typed: Typed | None = None,
    say_thoughts: Callable[[Thinking], str] | None = None,
    *,
    say: "Callable[[Notable], str] | None" = None,
) -> None:
    """Show a turn to its end and note what it brought; an error or Ctrl-C passes through.

    However it ends, the turn's generator is closed before this returns, and with it the request.
    `typed` is the keyboard, where there is one: while nothing comes, a key ends the turn as
    Ctrl-C does. `say_thoughts` words the line that stays of thoughts, once they are over.
    `say` puts an event into words, or into none if it is not to be said.
    """
    showing = _Showing(reply, outcome, typed, say_thoughts, say or in_words)
    with reply, closing(cast("Generator[Event]", events)):
        try:
            for event in events:
                showing.show(event)
        finally:
            showing.end()
    for line in showing.afterwards:
        reply.notice(line)


@dataclass(slots=True)
class _Showing:
    """A turn that is being shown; see `show_turn`."""

    reply: Reply
    outcome: Outcome
    typed: Typed | None
    say_thoughts: Callable[[Thinking], str] | None
    say: "Callable[[Notable], str]"
    pieces: list[str] = field(default_factory=list)
    thinking: Thinking = field(default_factory=Thinking)
    stalled: bool = False  # whether the last event said so
    finished: bool = False
    afterwards: list[str] = field(default_factory=list)  # what is to be said below the reply

    def show(self, event: Event) -> None:
        """Show an event, or note what it brings."""
        before, self.stalled = self.stalled, isinstance(event, Stalled)
        match event:
            case TextDelta(text):
                self.end_thoughts("\n")  # a blank line, then the reply
                self.pieces.append(text)
                self.reply.text(text)
            case UsageReport(usage):
                self.outcome.usage = usage
            case Finished(reason, model):
                self.outcome.finish_reason, self.outcome.model = reason, model
                self.finished = True
            case ReasoningDelta(text):
                if not self.thinking.has_begun:
                    self.reply.think(self.thinking.line)
                self.thinking.take(text)
            case Answering():
                pass  # nothing of it is to be seen
            case Stalled(seconds):
                if self.typed is not None:
                    _choose(self.typed(), self.outcome, asked=before)
                if not before:
                    self.reply.notice(_stalled(seconds, asks=self.typed is not None))
            case _:
                if words := self.say(event):
                    (self.afterwards.append if self.finished else self.reply.notice)(words)

    def end_thoughts(self, below: str = "") -> None:
        """Have the line stay that tells of thoughts, if there were any until now."""
        if self.thinking.end() and self.say_thoughts is not None:
            self.reply.notice(self.say_thoughts(self.thinking) + below)

    def end(self) -> None:
        """Note what came, however it ended."""
        self.outcome.text, self.outcome.thoughts = "".join(self.pieces), self.thinking.text
        self.end_thoughts()


def _stalled(seconds: float, *, asks: bool) -> str:
    choice = "r asks again, k keeps what came." if asks else "Ctrl-C keeps what came."
    return f"Nothing has come for {seconds:.0f} s. Still waiting: {choice}"


def _choose(keys: str, outcome: Outcome, *, asked: bool) -> None:
    """Note what was typed; raise KeyboardInterrupt for a key that ends the wait.

    What was typed before the user was `asked` is no answer, nor is what was pasted.
    """
    for index, key in enumerate(keys):
        if asked and key in "rRkK" and len(keys) <= _BY_HAND:
            outcome.ask_again = key in "rR"
            outcome.typed += keys[:index] + keys[index + 1 :]
            raise KeyboardInterrupt
    outcome.typed += keys


Notable = (
    Assumed
    | Trimmed
    | Condensing
    | Condensed
    | NotCondensed
    | LegacyMarkup
    | Refitted
    | Retrying
    | BudgetNear
    | PriceUnknown
)
"""Events that are said in a line."""


def in_words(event: Notable, *, in_chat: bool = True) -> str:
    """Say an event in a line; `in_chat`, with the slash command that shows more."""
    match event:
        case Assumed(model, window):
            return (
                f"The context window of {model} is not known: {window:,} tokens are assumed. "
                "context_window sets it (--context-window)."
            )
        case Trimmed(exchanges, tokens, exact):
            shows = "; /context shows them" if in_chat else ""
            return f"left out {_sized(exchanges, tokens, exact)}{shows}"
        case Condensing(exchanges):
            return f"condensing the oldest {counted(exchanges)} …"
        case Condensed(exchanges, tokens, note_tokens, exact):
            about = "" if exact else "≈"
            what = _sized(exchanges, tokens, exact)
            shows = "; /context shows it" if in_chat else ""
            return f"condensed {what}, into a note of {about}{note_tokens:,}{shows}"
        case NotCondensed(reason):
            return f"No summary, so the oldest exchanges are left out: {reason}"
        case LegacyMarkup(marker):
            return f"{marker} is legacy markup (ChatML), without effect here: it is sent as text."
        case Refitted(None):
            return "the server found the prompt too long: trimmed further, sent again"
        case Refitted(window):
            return (
                f"the server counts more tokens: trimmed for its window of {window:,}, sent again"
            )
        case BudgetNear(standing):
            return str(standing)
        case PriceUnknown(model):
            return (
                f"The price of {model} is not known: the budget does not count it. "
                f'[models."{model}"] prices in the config file sets it.'
            )
        case Retrying(reason, wait, attempt, attempts):
            return f"{reason.rstrip('.')}. Trying again in {wait:.1f} s ({attempt} of {attempts})."


def _sized(exchanges: int, tokens: int, exact: bool) -> str:
    return f"{counted(exchanges)}, {'' if exact else '≈'}{tokens:,} tokens"


def whole_in_words(outcome: Outcome, window: int) -> str:
    """Say that a whole reply has ended, and how full the window is, in tokens, if that is known."""
    used = f", {outcome.usage.total_tokens:,} of {window:,} tokens" if outcome.usage else ""
    return f"end of reply{used}"


def ending(outcome: Outcome, max_tokens: int, *, in_chat: bool = False) -> tuple[int, str]:
    """Give the exit status of a turn that ended without an error, and the words for it.

    They name the next step, `in_chat` a slash command. No words are needed for a whole answer.
    """
    go_on = "/continue goes on with it." if in_chat else ""
    match outcome.finish_reason:
        case "length" if not outcome.text:
            return 7, f"max_tokens ({max_tokens:,}) was used up before any text came: raise it."
        case "length":
            what = f"The reply was cut off: it reached max_tokens ({max_tokens:,})."
            return 7, f"{what} {go_on or 'Raise --max-tokens.'}"
        case "content_filter":
            what = "The reply was cut off by the server's content filter."
            return 6, f"{what} Say it in other words."
        case "tool_calls" | "function_call":
            what = "The model asked for a tool call, which chatrepl does not do."
            return 8, f"{what} Ask again in other words."
        case _ if not outcome.text.strip():
            return 8, "The reply was empty. Ask again."
        case None:
            what = "The reply may be incomplete: the stream ended without a finish_reason."
            return 8, f"{what} {go_on or 'Ask again if it is.'}"
        case _:
            return 0, ""
