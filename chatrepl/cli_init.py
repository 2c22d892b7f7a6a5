"""`chatrepl init`: three questions, a config file, and a first word from the model."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatrepl.cli_options import HELP_NAMES, new_app
from chatrepl.errors import AuthenticationError, ChatreplError, SettingsError
from chatrepl.paths import Paths, expanded
from chatrepl.terminal.sanitize import clean
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from chatrepl.connecting import Connector
    from chatrepl.first_config import Answers
    from chatrepl.settings import Settings
    from chatrepl.store.keys import Keys
    from chatrepl.terminal.questions import Questions

_LITTLE = 24  # tokens for the first word

app = new_app()


@app.command(context_settings=HELP_NAMES)
def init(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Write FILE instead of the usual one."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Do not ask whether a file may be replaced.")
    ] = False,
) -> int:
    """Ask who answers, with which key and which model, and write a config file.

    The answers are tried with one small request before anything is written. A file that is there
    already is kept under another name.

    In a pipe there is one answer a line, and an empty line is the default: the provider; its
    address, for azure and for servers other than OpenAI; the key, but for embedded; the model.
    For azure that is the deployment, and one more line names the model that it is of.
    """
    from chatrepl.store.keys import Keys  # noqa: PLC0415 - --help needs none of it
    from chatrepl.terminal.questions import Questions  # noqa: PLC0415

    paths, questions = Paths.from_environment(), Questions()
    named = config or os.environ.get("CHATREPL_CONFIG")
    file = expanded(named) if named else paths.config / "config.toml"
    if file.exists() and not force and not _may_replace(file, questions):
        questions.say("Nothing was written.")
        return 0
    questions.say(f"This writes {file}", "Enter takes what stands in [ ]; Ctrl-C writes nothing.")
    return _Init(questions, file, paths, os.environ, Keys(paths.kept_keys)).run()


def _may_replace(file: Path, questions: "Questions") -> bool:
    if not questions.at_terminal:
        text = f"There is a config file already: {file}"
        raise SettingsError(text, "--force replaces it, and keeps it under another name.")
    questions.say(f"There is a config file already: {file}")
    answer = questions.ask("Replace it, and keep it under another name (yes or no)", "no")
    return answer.lower() in {"y", "yes"}


@dataclass(frozen=True, slots=True)
class _Init:
    """Asks, tries and writes."""

    questions: "Questions"
    file: Path
    paths: Paths
    environment: Mapping[str, str]
    keys: "Keys"

    def run(self) -> int:
        """Ask until what was answered works, or is to be kept all the same; give the status."""
        from chatrepl.first_answers import Asking  # noqa: PLC0415

        asking = Asking(self.questions, self.environment, self.keys, self._models)
        answers, status = asking.ask(), 0
        while True:
            try:
                self._try(answers)
                break
            except ChatreplError as error:
                if answers.key and isinstance(error, AuthenticationError):
                    error.hint = "Was the key typed whole, and is it for this server?"
                Screen().error(error)
                status = error.status
            if not self._goes_back():
                break
            answers, status = asking.ask(answers), 0
        self._write(answers)
        return status

    def _goes_back(self) -> bool:
        """Ask whether the questions are to be asked again; in a pipe they are not."""
        if not self.questions.at_terminal:
            return False
        choices = {"back": "to the questions", "keep": "what was answered, and write it"}
        return self.questions.choose("Number or name", choices, "back") == "back"

    @contextmanager
    def _connected(self, answers: "Answers") -> Iterator[tuple["Connector", "Settings"]]:
        """Read the answers as the next run will read the file, but for the key: it is not kept."""
        from chatrepl.connecting import Connector  # noqa: PLC0415 - see `init`
        from chatrepl.first_config import config_text, settings_of  # noqa: PLC0415

        if answers.key:
            answers = replace(answers, key_in="file")
        sources, settings = settings_of(config_text(answers), self.file, self.environment)
        with ExitStack() as stack:
            closing = stack.callback
            yield (
                Connector(sources, self.paths, Screen(), self.keys, closing, log=None),
                settings,
            )

    def _models(self, answers: "Answers") -> list[str]:
        """Give the names that the server lists; none if it does not."""
        with suppress(ChatreplError), self._connected(answers) as (connector, settings):
            offered = connector.connect(settings, fetch=False).served()
            return sorted(one.name for one in offered if one.name.isprintable())
        return []

    def _try(self, answers: "Answers") -> None:
        """Ask the model for a word, and say what comes. Raises ChatreplError."""
        from chatrepl.chat.events import TextDelta  # noqa: PLC0415 - see `init`
        from chatrepl.chat.messages import Message  # noqa: PLC0415
        from chatrepl.chat.ports import Request  # noqa: PLC0415
        from chatrepl.connecting import card_of  # noqa: PLC0415
        from chatrepl.providers.endpoint import OPENAI_URL, host_of  # noqa: PLC0415
        from chatrepl.providers.smollm2 import SYSTEM  # noqa: PLC0415

        with self._connected(answers) as (connector, settings):
            host = host_of(settings.server.base_url or OPENAI_URL)
            where = "" if settings.kind == "embedded" else f" at {host}"
            self.questions.say("", f"Asking {answers.model}{where} for a word …")
            provider = connector.connect(settings)
            system = [Message("system", SYSTEM)] if settings.kind == "embedded" else []
            hello = (*system, Message("user", "Hello"))
            events = provider.stream(Request(card_of(settings), hello, _LITTLE))
            said = "".join(event.text for event in events if isinstance(event, TextDelta))
        words = " ".join(clean(said).split())
        self.questions.say(f"It answers: {words}" if words else "It answers.")

    def _write(self, answers: "Answers") -> None:
        from chatrepl.first_config import config_text, write_config  # noqa: PLC0415 - see `init`

        say = self.questions.say
        if answers.key and answers.key_in == "keyring":
            self.keys.keep(answers.name, answers.key)
            say("The key is kept in the system keyring.")
        copy = write_config(config_text(answers), self.file)
        if copy is not None:
            say(f"The file that was there is {copy} now.")
        say(f"{self.file} is written.")
        self._warn(answers)
        say("To begin: chatrepl")

    def _warn(self, answers: "Answers") -> None:
        """Name the variables that go before what was answered."""
        from chatrepl.first_config import config_text, overruled, settings_of  # noqa: PLC0415

        _, settings = settings_of(config_text(answers), self.file, self.environment)
        for variable in overruled(answers, settings):
            self.questions.say(f"The variable {variable} is set, and goes before this file.")
