"""The questions of `chatrepl init`: who answers, with which key, and which model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from chatrepl.chat.catalogue import DEFAULT_MODEL
from chatrepl.config import ConfigFile
from chatrepl.errors import SettingsError
from chatrepl.first_config import OFFERS, Answers
from chatrepl.paths import expanded
from chatrepl.providers import smollm2
from chatrepl.providers.endpoint import without_userinfo
from chatrepl.settings import Flags, Settings, Sources, check_url
from chatrepl.store.keys import Keys, checked_key
from chatrepl.terminal.questions import Questions

_FEW = 12  # models that are named in a line


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks them; `models` gives the names that a server lists, none if it does not."""

    questions: Questions
    environment: Mapping[str, str]
    keys: Keys
    models: Callable[[Answers], list[str]]

    def ask(self, before: Answers | None = None) -> Answers:
        """Ask everything; what was answered before is the default. Raises SettingsError."""
        self.questions.say("", "Who answers?")
        offered = {name: f"{each.words} {each.base_url}".strip() for name, each in OFFERS.items()}
        usual = before.provider if before else self._usual_provider()
        provider = self.questions.choose("Number or name", offered, usual)
        if before is None or before.provider != provider:
            before = Answers(provider)
        if provider == "embedded":
            return self._embedded(before)
        if provider == "azure":
            return self._deployment(self._key(self._endpoint(before)))
        if provider == "openai":
            before = self._with_address(before)
        else:
            usual = before.base_url or OFFERS[provider].base_url
            question = "Address, which usually ends in /v1"
            before = replace(before, base_url=self.questions.ask(question, usual, checked_url))
        return self._model(self._key(before))

    def _usual_provider(self) -> str:
        """Give who would answer without a config file."""
        kept = tuple(self.keys.names)
        return Sources(ConfigFile(), None, self.environment, Flags(), kept).resolve().provider

    def _of_environment(self, provider: str) -> Settings:
        """Give what holds for a provider without a config file."""
        return Sources(ConfigFile(), None, self.environment, Flags()).resolve(provider=provider)

    def _with_address(self, before: Answers) -> Answers:
        """Take the address that the environment has for OpenAI: the key is for that server.

        It goes into the file, or a shell without the variable would send the key elsewhere.
        """
        found = self._of_environment("openai")
        if not found.server.base_url:
            return before
        url = without_userinfo(found.server.base_url)
        self.questions.say(f"Its address is that in {found.origins['base_url']}: {url}")
        return replace(before, base_url=found.server.base_url.rstrip("/"))

    def _endpoint(self, before: Answers) -> Answers:
        server = self._of_environment("azure").server
        usual = before.base_url or server.base_url or ""
        version = before.api_version or server.api_version or ""
        question = "Endpoint, as https://NAME.openai.azure.com"
        typed = self.questions.ask(question, usual, checked_endpoint)
        return with_endpoint(replace(before, api_version=version), typed)

    def _key(self, answers: Answers) -> Answers:
        variable = OFFERS[answers.provider].key_env
        if variable and self.environment.get(variable, "").strip():

            def only(typed: str) -> str:
                if typed != variable:
                    text = f"The variable {variable} is set, and goes before a key of the file."
                    raise SettingsError(text, "Enter takes it; for another key, unset it first.")
                return typed

            self.questions.ask("Key: the one in the variable", variable, only, secret=True)
            return replace(answers, key="", key_in="variable")
        is_kept = answers.name in self.keys.names
        usual = "the one typed before" if answers.key else "the kept one" if is_kept else "none"
        question = f"Key, which is not shown (Enter: {usual})"
        typed = self.questions.ask(question, "", checked_key, secret=True, needed=False)
        if not typed and is_kept and not answers.key:
            return replace(answers, key_in="keyring")
        key = typed or answers.key
        return replace(answers, key=key, key_in=self._place(answers.name) if key else "nowhere")

    def _place(self, name: str) -> Literal["keyring", "file"]:
        """Say where a key will be kept: in the system keyring, where there is one."""
        try:
            self.keys.check(name)
        except SettingsError:
            return "file"
        return "keyring"

    def _model(self, answers: Answers) -> Answers:
        names = self.models(answers)
        if 0 < len(names) <= _FEW:
            self.questions.say(f"It has: {', '.join(names)}")
        has_default = answers.provider == "openai" and (not names or DEFAULT_MODEL in names)
        first = next((name for name in names if "embed" not in name), "")
        usual = answers.model or (DEFAULT_MODEL if has_default else first)
        model = self.questions.ask("Model", usual, checked_name, words=names)
        return replace(answers, model=model)

    def _deployment(self, answers: Answers) -> Answers:
        usual = answers.deployment or answers.model
        deployment = self.questions.ask("Deployment", usual, checked_name)
        same = answers.model if deployment == usual and answers.model else deployment
        model = self.questions.ask("The model that it is of, as gpt-4o", same, checked_name)
        return replace(answers, model=model, deployment=deployment if model != deployment else "")

    def _embedded(self, answers: Answers) -> Answers:
        question = "Model, or the path of a GGUF file"
        model = self.questions.ask(question, answers.model or smollm2.NAME, checked_file)
        return replace(answers, model=model)


def with_endpoint(answers: Answers, typed: str) -> Answers:
    """Take an Azure endpoint as its portal shows it: at times as the address of a deployment.

    >>> url = "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=v"
    >>> one = with_endpoint(Answers("azure"), url)
    >>> one.base_url, one.deployment, one.api_version
    ('https://r.openai.azure.com', 'd', 'v')
    """
    parts = urlsplit(typed)
    words = [word for word in parts.path.split("/") if word]
    if words[:1] != ["openai"]:
        return replace(answers, base_url=typed)
    root = f"{parts.scheme}://{parts.netloc}"
    deployment = words[2] if words[1:2] == ["deployments"] and len(words) > 2 else ""
    version = parse_qs(parts.query).get("api-version", [""])[0]
    return replace(
        answers,
        base_url=root,
        deployment=deployment or answers.deployment,
        api_version=version or answers.api_version,
    )


def checked_url(typed: str) -> str:
    """Give an address as it is to be kept. Raises SettingsError if it is none."""
    check_url(typed, "this provider")
    return typed.rstrip("/")


def checked_endpoint(typed: str) -> str:
    """Check an Azure endpoint, which may be copied with a query. Raises SettingsError."""
    check_url(typed.partition("?")[0], "this provider")
    check_url(with_endpoint(Answers("azure"), typed).base_url, "this provider")
    return typed.rstrip("/")


def checked_name(typed: str) -> str:
    """Give a name as it is to be kept. Raises SettingsError if it can be none."""
    if not typed.isprintable():
        raise SettingsError("That can't be a name: it has odd characters.")
    return typed


def checked_file(typed: str) -> str:
    """Give the embedded model's name, or a file's path from the root. Raises SettingsError."""
    if smollm2.is_name(typed):
        return smollm2.NAME
    file: Path = expanded(checked_name(typed))
    if not file.is_file():
        raise SettingsError(f"There is no file {typed}.", f"Known: {smollm2.NAME}, or a file.")
    return str(file.resolve())
