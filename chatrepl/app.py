"""The one place that builds and closes things: settings become a provider and a chat."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from chatrepl import attaching
from chatrepl.chat.attachments import Attachment
from chatrepl.chat.calibration import Scale
from chatrepl.chat.catalogue import ModelCard
from chatrepl.chat.conversation import Conversation, from_messages
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Provider
from chatrepl.chat.schema import Schema
from chatrepl.chat.sessions import Saved
from chatrepl.chat.trimming import check_images
from chatrepl.chat.turn import Chat
from chatrepl.config import Submit
from chatrepl.connecting import Connector, card_of, model_name
from chatrepl.crash import unforeseen
from chatrepl.errors import ChatreplError
from chatrepl.greeting import greeting
from chatrepl.keeping import Keeping, with_model_of
from chatrepl.offers import Offers, catalogue
from chatrepl.parameters import changed, listed, parameter_of
from chatrepl.paths import Paths
from chatrepl.personas import Shelf
from chatrepl.pricing import pricing_of
from chatrepl.providers.endpoint import host_of
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.reading import read_image
from chatrepl.settings import Settings, Sources
from chatrepl.store.calibrations import Calibrations
from chatrepl.store.database import Database
from chatrepl.store.keys import Keys
from chatrepl.store.transcript import load_messages
from chatrepl.terminal.screen import Screen
from chatrepl.texts import schema_of, system_text


@dataclass(slots=True)
class App:
    """A run of the program.

    `load` is the file of --load, `resume` the session of --resume, or "" for the last one;
    `conversation` is how the talk begins, `saved` the session that it goes on with, `keeping`
    what keeps it. `verbose` shows every request; `first` says that nobody has been here before.
    `files` are those of --file, and `attached` what was read of them. `close` ends whatever was
    started.
    """

    sources: Sources
    paths: Paths
    screen: Screen
    load: Path | None = None
    resume: str | None = None
    verbose: bool = False
    first: bool = False
    files: Sequence[str] = ()
    attached: tuple[Attachment, ...] = field(init=False)
    settings: Settings = field(init=False)
    conversation: Conversation = field(init=False)
    keeping: Keeping = field(init=False)
    saved: Saved | None = None
    _loaded: Conversation = field(init=False)
    _schema: Schema | None = field(init=False)
    _connector: Connector = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)
    _provider: Provider | None = None
    _chat: Chat | None = None
    _offers: Offers = field(default_factory=Offers)

    def __post_init__(self) -> None:
        """Resolve the settings and read the conversation; nothing is started yet."""
        keys = Keys(self.paths.kept_keys)
        self.sources = replace(self.sources, kept=tuple(keys.names))
        log = self.screen.show if self.verbose else None  # --quiet is for notices
        closing = self._stack.callback
        self._connector = Connector(self.sources, self.paths, self.screen, keys, closing, log)
        database = Database(self.paths.sessions, self.screen.notice)
        closing(database.close)
        self.keeping = Keeping(database, self.screen.notice, closing)
        loaded = load_messages(self.load, read_image) if self.load else ()
        self._loaded = from_messages(loaded)
        if self.resume is not None:
            self.saved = self.keeping.find(self.resume)
            self._loaded = self.saved.conversation
            self.sources = with_model_of(self.saved, self.sources)
        self.settings = self.sources.resolve()
        self.keeping.follow(self.settings, self.sources)
        where = partial(self.sources.place, "styles")
        self.screen.theme.choose(self.settings.theme, self.settings.styles, where)
        self.conversation = self._begin(self.settings)
        self._schema = schema_of(self.settings, self.sources)
        self.attached = self.attach(self.files) if self.files else ()
        if self.attached:  # before a model is fetched that can't see them
            said = Message("user", "", attachments=self.attached)
            check_images([said], card_of(self.settings))

    def close(self) -> None:
        """Keep what was learnt, close connections and the database, end child processes."""
        self._keep_scale()
        self._stack.close()

    def attach(self, names: Iterable[str]) -> tuple[Attachment, ...]:
        """Read what is to be attached, and say what is to be known of it. Raises SettingsError."""
        return attaching.attach(names, self.screen.notice)

    def mentioned(self, line: str, known: Collection[str]) -> tuple[str, list[str]]:
        """Find the files that a line names after an @. Raises SettingsError."""
        return attaching.mentioned(line, known)

    @property
    def model(self) -> str:
        """Name the model."""
        return model_name(self.settings)

    @property
    def is_unanswered(self) -> bool:
        """Whether the loaded file ends with a user message."""
        exchanges = self.conversation.exchanges if self.load else ()
        return bool(exchanges) and exchanges[-1].messages[-1].role == "user"

    @property
    def exposure(self) -> str:
        """Say that others may read a secret in the config file, or nothing."""
        return self._connector.exposure

    @property
    def needs_terminal(self) -> bool:
        """Whether `ready` may show a download, or ask the user for something."""
        return self._connector.needs_terminal(self.settings)

    def load_client(self) -> None:
        """Begin to import what a request needs, in a thread of its own."""
        threading.Thread(
            target=import_module, args=("chatrepl.providers.faults",), daemon=True
        ).start()

    def ready(self, *, interactive: bool = False) -> None:
        """Build the provider, and say or fetch what is missing before anything is typed.

        `interactive` says that somebody is there to decide what to do about a stalled reply.
        """
        self._connector.patient = interactive
        chosen = {"provider", "model"} & self.settings.origins.keys()
        chosen |= self.sources.file.providers.keys()
        is_chosen = self.settings.kind != "embedded" or bool(chosen)
        is_first = self.first and self.sources.file_path is None
        who = (self.model, self.settings.provider)
        for line in greeting(*who, self.paths, chosen=is_chosen, first=is_first):
            self.screen.notice(line)
        self._provider = self._connector.connect(self.settings)

    def open_chat(self) -> Chat:
        """Build the chat. Without `ready` before it (a dry run) there is nobody to answer."""
        self._chat = Chat(
            self._provider or ScriptedProvider(name=self.settings.provider),
            card_of(self.settings),
            reply_limit=self.settings.max_tokens,
            overflow=self.settings.overflow,
            scale=self._scale(),
            pricing=pricing_of(self.settings),
            purse=self.keeping.purse,
        )
        self._chat.ask_for(self.settings.parameters, self._schema)
        recorder = self.keeping.recorder(self.saved)
        if self.saved:
            self._chat.begin(self.conversation, recorder, self.saved.tree, self.saved.spending())
        else:
            self._chat.begin(self.conversation, recorder)
        self._chat.allowance.prepare(self._chat)
        return self._chat

    def use_model(self, chat: Chat, name: str) -> None:
        """Let another model answer; "provider/model" may change the provider too."""
        provider, name = self.sources.read_model(name)
        provider = provider or self.settings.provider
        changes: dict[str, Any] = {"provider": provider, "model": name}
        if provider != self.settings.provider:
            changes["base_url"] = None
        if name != self.settings.model:
            changes["context_window"] = None  # it was the other model's
        self._switch(chat, changes)

    def use_persona(self, chat: Chat, name: str) -> None:
        """Take a persona's system message, examples and settings; the exchanges stay."""
        self.sources.shelf.find(name, "/persona")  # which is no flag, as it is from here on
        changes = {"persona": name, "system": None}
        begin = self._begin(self.sources.resolve(**changes))
        self._switch(chat, changes)
        chat.conversation = replace(chat.conversation, system=begin.system, examples=begin.examples)

    def use_overflow(self, chat: Chat, how: str) -> None:
        """Do something else from now on when the window is full."""
        self._switch(chat, {"overflow": how})

    def models(self) -> Iterable[tuple[str, str]]:
        """List the models by name, each with a few words."""
        provider = self._chat.provider if self._chat else None
        return self._offers.names(self.settings, provider).items()

    def catalogue(self, text: str = "") -> list[ModelCard]:
        """List the models that the provider offers and whose names hold a text.

        Nothing is fetched or started for it. Raises ChatreplError.
        """
        provider = self._connector.connect(self.settings, fetch=False)
        return catalogue(self.settings, provider, text)

    @property
    def plain(self) -> bool:
        """Whether replies are shown as text: as JSON always is, which Markdown would reflow."""
        return self.settings.plain or self.settings.schema is not None

    @property
    def vi(self) -> bool:
        """Whether the keys of the prompt are those of vi at first."""
        return self.settings.editing_mode == "vi"

    @property
    def submit(self) -> Submit:
        """The key that sends a message."""
        return self.settings.submit

    def unforeseen(self, error: Exception) -> ChatreplError:
        """Keep the traceback of a fault of ours, without secrets, and say so."""
        return unforeseen(error, self.paths.cache, self._connector.hide)

    @property
    def shelf(self) -> Shelf:
        """The personas there are."""
        return self.sources.shelf

    @property
    def persona(self) -> str | None:
        """Name the persona that is taken."""
        return self.settings.persona

    def parameters(self) -> Iterable[tuple[str, str, str]]:
        """List the request's parameters: name, value or "", and where it was set."""
        return listed(self.settings)

    def parameter_of(self, typed: str) -> str:
        """Give the parameter that somebody means. Raises SettingsError for what is none."""
        return parameter_of(typed, in_chat=True, known=self.settings.extra_body)

    def set_parameter(self, chat: Chat, name: str, text: str) -> None:
        """Set a parameter from now on; "default" takes that back. Raises SettingsError."""
        typed = changed(self.sources.typed, name, text, self.settings.extra_body)
        self._switch(chat, {}, replace(self.sources, typed=typed))

    def _switch(
        self, chat: Chat, changes: Mapping[str, Any], sources: Sources | None = None
    ) -> None:
        """Change flags as if they had been given at the start, all or nothing."""
        sources = sources or self.sources
        settings = sources.resolve(**changes)
        card = card_of(settings)
        before, now = _schema_from(self.settings), _schema_from(settings)
        schema = chat.schema if before == now else schema_of(settings, sources)
        if _who(settings) != _who(self.settings):
            provider = self._connector.connect(settings)
            former = chat.provider
            self._keep_scale()
            self.settings = settings
            chat.use(provider, card, self._scale())
            former.close()
        flags = msgspec.structs.replace(sources.flags, **changes)
        self.sources = replace(sources, flags=flags)
        self.settings = settings
        chat.pricing = pricing_of(settings)
        self.keeping.follow(settings, self.sources)
        self.keeping.moved(chat)
        chat.ask_for(settings.parameters, schema)
        chat.reply_limit = settings.max_tokens
        chat.overflow = settings.overflow

    @property
    def _calibrations(self) -> Calibrations:
        return Calibrations(self.paths.data / "calibrations.json")

    def _scale(self) -> Scale:
        """Give what earlier runs have learnt of the model's tokenizer."""
        return self._calibrations.scale(self._scale_name)

    @property
    def _scale_name(self) -> str:
        """Name the model and who serves it: others may serve another under the same name."""
        return f"{host_of(self.settings.server.base_url) or self.settings.provider}/{self.model}"

    def _keep_scale(self) -> None:
        """Keep what this run has learnt of it."""
        if self._chat is not None and self._chat.calibration.taught:
            self._calibrations.keep(self._scale_name, self._chat.calibration.scale)

    def _begin(self, settings: Settings) -> Conversation:
        """Put together system message, examples and the loaded messages.

        Those of a loaded file or session stand, unless --system or a persona asks for others.
        """
        system = system_text(settings, self.sources)
        conversation, resumed = self._loaded, self.saved is not None
        origin, by_flag = settings.origins.get("system"), settings.origins.get("persona")
        if resumed:
            asked_for = origin == "--system" or (origin is not None and by_flag == "--persona")
        else:
            loaded = conversation.system is not None
            asked_for = not loaded or origin not in {None, str(self.sources.file_path)}
        if asked_for:
            conversation = conversation.with_system(system)
        if resumed and by_flag != "--persona":
            return conversation
        examples = tuple(
            message
            for example in settings.examples
            for message in (Message("user", example.user), Message("assistant", example.assistant))
        )
        return replace(conversation, examples=examples)


def _schema_from(settings: Settings) -> tuple[object, ...]:
    """Give what makes it necessary to read the schema again."""
    return settings.schema, settings.origins.get("schema"), settings.persona


def _who(settings: Settings) -> tuple[object, ...]:
    """Give what makes another provider or card necessary."""
    return settings.provider, settings.model, settings.context_window
