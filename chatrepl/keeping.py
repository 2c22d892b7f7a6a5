"""Which session a chat goes on with, and who writes down what is said in it."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chatrepl.amounts import read_amount
from chatrepl.chat.budgets import Cap, Period
from chatrepl.chat.ports import NoPurse, NoRecorder, Purse, Recorder
from chatrepl.chat.sessions import Saved
from chatrepl.chat.turn import Chat
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import expanded
from chatrepl.providers import smollm2
from chatrepl.settings import Settings, Sources
from chatrepl.store.budgets import Budgets
from chatrepl.store.counts import CountsRecorder
from chatrepl.store.database import Database
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.sessions import Sessions
from chatrepl.terminal.sanitize import clean


class Keeping:
    """Keeps chats in sessions.

    `notice` says a line to the user; `closing` is told what is to be closed at the end. Nothing
    is recorded before `follow` has told whether it is to be.
    """

    def __init__(
        self,
        database: Database,
        notice: Callable[[str], None],
        closing: Callable[[Callable[[], None]], Any],
    ) -> None:
        self.sessions = Sessions(database)
        self._database = database
        self._notice = notice
        self._closing = closing
        self._saves = False
        self._base_url = self._persona = ""
        self._budgets: Budgets | None = None

    def follow(self, settings: Settings, sources: Sources) -> None:
        """Keep by these settings from now on: whether at all, and where the model is."""
        self._saves = settings.save
        self._base_url = _base_url(settings, sources)
        self._persona = settings.persona or ""
        if self._budgets is None and (caps := _caps(settings, sources)):
            self._budgets = Budgets(self._database, caps)

    @property
    def purse(self) -> Purse:
        """What is to be asked before something is spent."""
        return self._budgets or NoPurse()

    def find(self, name: str) -> Saved:
        """Read the session that a person means; "" is the last one. Raises ChatreplError."""
        if not name:
            found = self.sessions.all(limit=1)
            if not found:
                raise SettingsError("There is no session to go on with yet.")
        else:
            found = self.sessions.find(name)
        if len(found) > 1:
            others = ", ".join(f"{other.id} ({other.title})" for other in found[1:4])
            more = "1 more matches" if len(found) == 2 else f"{len(found) - 1:,} more match"
            self._notice(f"{more} '{name}': {others}")
        return self.sessions.load(found[0].id)

    def recorder(self, saved: Saved | None = None, title: str | None = None) -> Recorder:
        """Give who keeps a session from now on: a saved one, or one that is still to begin."""
        if not self._saves:
            return self._counting()
        recorder = SessionRecorder(self._database, self._notice, title, clean, self._budgets)
        recorder.base_url, recorder.persona = self._base_url, self._persona
        if saved is not None:
            recorder.go_on(saved)
        self._closing(recorder.close)
        return recorder

    def _counting(self) -> Recorder:
        """Give who keeps no word: with a budget, what is used is counted all the same."""
        if self._budgets is None:
            return NoRecorder()
        counting = CountsRecorder(self._database, self._notice, self._budgets, self._persona)
        self._closing(counting.close)
        return counting

    def moved(self, chat: Chat) -> None:
        """Let a chat's session know where the model is by now, and which persona is taken."""
        if isinstance(chat.recorder, SessionRecorder):
            chat.recorder.base_url, chat.recorder.persona = self._base_url, self._persona
        elif isinstance(chat.recorder, CountsRecorder):
            chat.recorder.persona = self._persona

    def open(self, chat: Chat, name: str) -> Saved:
        """Go on with a saved session instead; the model stays. Raises ChatreplError."""
        saved = self.find(name)
        chat.begin(saved.conversation, self.recorder(saved), saved.tree, saved.spending())
        return saved

    def begin(self, chat: Chat) -> None:
        """Begin a new session, with the same system message and examples."""
        chat.begin(chat.conversation.cleared(), self.recorder())

    def forget(self, chat: Chat) -> None:
        """Remove the session of a chat that has come to nothing. Raises ChatreplError."""
        if chat.recorder.session is not None:
            self.sessions.remove(chat.recorder.session)

    def fork(self, chat: Chat) -> None:
        """Go on in a session of its own, which begins with what was said in this one."""
        old = self.title(chat, "")
        chat.begin(chat.conversation, self.recorder(title=f"{old} (fork)" if old else None))
        if isinstance(chat.recorder, SessionRecorder) and chat.conversation.exchanges:
            chat.recorder.save(chat.conversation)
            chat.keep()

    def title(self, chat: Chat, text: str) -> str | None:
        """Give the session's title, and change it first if there is a text; None if unsaved."""
        recorder = chat.recorder
        if not isinstance(recorder, SessionRecorder):
            return None
        if text:
            recorder.rename(text)
        return recorder.title or ""

    def export(self, chat: Chat, file: Path) -> None:
        """Write the conversation into a file, in the form of its suffix. Raises SettingsError."""
        from chatrepl.store import export  # noqa: PLC0415 - imports a parser and Pygments

        export.write(
            chat.conversation,
            expanded(file),
            title=self.title(chat, "") or "Conversation",
            created=self._begun(chat),
            model=chat.card.name,
        )

    def _begun(self, chat: Chat) -> datetime:
        """Tell when the session began; of one that is not saved, what time it is."""
        if chat.recorder.session is not None:
            with suppress(ChatreplError):
                return self.sessions.load(chat.recorder.session).session.created
        return datetime.now(UTC)


def with_model_of(saved: Saved, sources: Sources) -> Sources:
    """Let the model answer that did before, if it can be had and no flag wants another."""
    provider, model, flags = saved.session.provider, saved.session.model, sources.flags
    if flags.model or not model or provider not in sources.providers:
        return sources
    if flags.persona and sources.resolve().origins.get("model", "").startswith("persona"):
        return sources
    kind = sources.providers[provider].kind
    if kind == "embedded" and not smollm2.is_name(model):
        return sources  # a file, of which only the name is known
    if not (flags.provider or flags.base_url):
        url = None if provider in sources.file.providers else saved.session.base_url
        flags = msgspec.structs.replace(flags, provider=provider, base_url=url or None)
    elif sources.resolve().provider != provider:
        return sources
    return replace(sources, flags=msgspec.structs.replace(flags, model=model))


def _base_url(settings: Settings, sources: Sources) -> str:
    """Give where the model is, if it is not the config file that says so; no password."""
    if settings.provider in sources.file.providers:
        return ""
    return re.sub(r"//[^/?#]*@", "//", settings.server.base_url or "")


def _caps(settings: Settings, sources: Sources) -> list[Cap]:
    """Give the caps of the budget."""
    caps = []
    periods: tuple[Period, ...] = ("session", "day", "month")
    for period in periods:
        written = getattr(settings.budget, period, None)
        if written is not None:
            amount = read_amount(written)
            where = f"budget.{period} in {sources.file_path}"
            caps.append(Cap(period, amount.value, amount.in_tokens, where))
    return caps
