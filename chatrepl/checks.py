"""`chatrepl doctor`: whether all that a chat needs is there, and where each value comes from.

What a check finds is a value: that something is wrong is one of them, and no exception.
"""

import importlib.util
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from chatrepl.chat.tokens import ENCODINGS, is_sound
from chatrepl.connecting import Connector, card_of, model_name
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.findings import Finding, ok, skipped, wrong
from chatrepl.installing import install
from chatrepl.paths import Paths
from chatrepl.providers import smollm2
from chatrepl.providers.embedded import check_installed
from chatrepl.providers.endpoint import without_userinfo
from chatrepl.settings import Flags, Settings, Sources, read_sources
from chatrepl.store.health import examine
from chatrepl.store.keys import Keys
from chatrepl.terminal.screen import Screen

_OF_A_SERVER = ("key", "proxy", "tls", "endpoint", "model", "clock")
_ON_THIS_MACHINE = "is not needed: the model runs on this machine"
_FIXES = {
    "config": "Mend that file or remove it, or name another with --config.",
    "provider": "Change that setting.",
}
_REINSTALL = "Install chatrepl anew, from where it came."


class Doctor:
    """Checks everything, one after the other. `close` ends what was started for it.

    The config file is `config`, or the usual one; `out` is where replies would go to. Nothing is
    changed or downloaded.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that is outside of the program
        self,
        flags: Flags,
        config: Path | None,
        environment: Mapping[str, str],
        paths: Paths,
        screen: Screen,
        out: TextIO,
    ) -> None:
        self._flags = flags
        self._file = config
        self._environment = environment
        self._paths = paths
        self._screen = screen
        self._out = out
        self._stack = ExitStack()
        self._sources: Sources | None = None
        self._connector: Connector | None = None
        self._settings: Settings | None = None

    def close(self) -> None:
        """Close connections, end child processes."""
        self._stack.close()

    def findings(self) -> Iterator[Finding]:
        """Check everything, and give what is found as it is found, without secrets.

        The last one is where more is said of what was wrong.
        """
        checks: dict[str, Callable[[], Iterator[Finding]]] = {
            "config": self._check_config,
            "provider": self._check_provider,
            "endpoint": self._check_server,
            "vocabulary": _check_vocabulary,
            "database": self._check_database,
            "embedded": self._check_embedded,
            "terminal": self._check_terminal,
        }
        sections: list[str] = []
        for name, check in checks.items():
            for one in _guarded(name, check):
                sections += [one.name] if one.state == "wrong" else []
                yield replace(
                    one,
                    text=self._hide(one.text),
                    fix=self._hide(one.fix),
                    origin=self._hide(one.origin),
                )
        under = f", under {' and '.join(sections)}" if sections else ""
        yield ok("help", f"{troubleshooting()} says more{under}")

    def _hide(self, text: str) -> str:
        return without_userinfo(self._connector.hide(text) if self._connector else text)

    def _check_config(self) -> Iterator[Finding]:
        keys = Keys(self._paths.kept_keys)
        sources = read_sources(self._flags, self._file, self._environment, self._paths)
        self._sources = replace(sources, kept=tuple(keys.names))
        closing = self._stack.callback
        self._connector = Connector(
            self._sources, self._paths, self._screen, keys, closing, log=None
        )
        usual = self._paths.config / "config.toml"
        if sources.file_path is None:
            yield ok("config", f"there is none, and none is needed; chatrepl init writes {usual}")
        elif exposure := self._connector.exposure:
            text, _, fix = exposure.partition(": ")
            yield wrong("config", SettingsError(f"{text}.", f"Run: {fix}"))
        else:
            by_name = "--config" if self._file else "CHATREPL_CONFIG"
            origin = "" if sources.file_path == usual else by_name
            yield ok("config", str(sources.file_path), origin)

    def _check_provider(self) -> Iterator[Finding]:
        if self._sources is None:
            yield skipped("provider", "it is not known without the config file")
            return
        settings = self._sources.resolve()
        card_of(settings)
        self._settings = settings
        origin = settings.origins.get("provider", "")
        if not origin and self._sources.file.providers:
            origin = f"the first in {self._sources.file_path}"
        elif not origin and settings.origins.get("base_url") == "--base-url":
            origin = "--base-url"
        elif not origin and settings.kind == "embedded":
            origin = settings.origins.get("model", "nothing else is set up")
        yield ok("provider", settings.provider, origin or "by the variables that are set")

    def _check_server(self) -> Iterator[Finding]:
        settings, connector = self._settings, self._connector
        if settings is None or connector is None:
            for name in _OF_A_SERVER:
                yield skipped(name, "it is not known who answers")
        elif settings.kind == "embedded":
            origins = settings.origins
            texts = dict.fromkeys(_OF_A_SERVER, _ON_THIS_MACHINE)
            if not {"provider", "model"} & origins.keys():
                texts["key"] = "is not needed; for OpenAI set OPENAI_API_KEY, or run chatrepl init"
            for name, text in texts.items():
                if name == "model":
                    yield ok("model", model_name(settings), origins.get("model", "default"))
                else:
                    yield skipped(name, text)
        else:
            from chatrepl.server_checks import check_server  # noqa: PLC0415 - imports the client

            yield from check_server(settings, connector, self._environment)

    def _check_database(self) -> Iterator[Finding]:
        file, settings = self._paths.sessions, self._settings
        sessions = examine(file)
        if settings is not None and not settings.save:
            origin = settings.origins.get("save", "default")
            yield skipped("database", "nothing is kept", origin)
        elif sessions is None:
            yield ok("database", f"nothing is kept yet; it will be in {file}")
        else:
            counted = "1 session" if sessions == 1 else f"{sessions:,} sessions"
            yield ok("database", f"{file}: sound, {counted}")

    def _check_embedded(self) -> Iterator[Finding]:
        settings, folder = self._settings, self._paths.data
        chosen = settings is not None and settings.kind == "embedded"
        if importlib.util.find_spec("xllamacpp") is None and not chosen:
            brings = f"{install('chatrepl-terminal[local]')} brings it"
            yield skipped("embedded", f"not installed, and not asked for; {brings}")
            return
        check_installed()
        file, size = smollm2.model_file(folder), smollm2.WHEEL_BYTES / 1e6
        if smollm2.is_fetched(folder) and not smollm2.is_sound(folder):
            text = f"The embedded model's file is damaged: {file}."
            raise ChatreplError(text, "Remove it: it is fetched again when it is needed.")
        is_ours = settings is None or not settings.model or smollm2.is_name(settings.model)
        if not smollm2.is_fetched(folder) and (is_ours or not chosen):
            yield skipped("embedded", f"{smollm2.NAME} is fetched at its first use ({size:.0f} MB)")
        elif chosen:
            yield from self._run_embedded()
        else:
            yield ok("embedded", str(file))

    def _run_embedded(self) -> Iterator[Finding]:
        from chatrepl.providers.probing import ask_for_little  # noqa: PLC0415 - imports the client

        assert self._settings is not None
        assert self._connector is not None
        provider = self._connector.connect(self._settings, fetch=False)
        ask_for_little(provider, card_of(self._settings))
        yield ok("embedded", f"{model_name(self._settings)} runs: asked for a reply of one token")

    def _check_terminal(self) -> Iterator[Finding]:
        encoding = (getattr(self._out, "encoding", "") or "").lower().replace("-", "")
        if not self._out.isatty():
            yield skipped("terminal", "standard output is no terminal")
        elif encoding != "utf8":
            text = f"The terminal's encoding is {self._out.encoding}: not all letters can be shown."
            raise SettingsError(text, "Set LANG to a UTF-8 locale, such as C.UTF-8.")
        else:
            kind = self._environment.get("TERM", "")
            what = f"{kind or 'of no name'}, {shutil.get_terminal_size().columns} columns"
            colours = "no colours (NO_COLOR)" if self._environment.get("NO_COLOR") else "colours"
            if self._screen.can_redraw:
                yield ok("terminal", f"{what}, {colours}", "TERM" if kind else "")
            else:
                yield ok("terminal", f"{what}: replies are shown as plain text", "TERM")


def troubleshooting() -> Path:
    """Give the page that has a section for each check: in the package, or beside it in a clone."""
    package = Path(__file__).parent
    packaged = package / "docs" / "troubleshooting.md"
    return packaged if packaged.exists() else package.parent / "docs" / "troubleshooting.md"


def _guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Make a finding of whatever a check raises: the others are still made."""
    try:
        yield from check()
    except ChatreplError as error:
        yield wrong(name, error, error.hint or _FIXES.get(name, ""))
    except Exception as error:  # noqa: BLE001 - whatever is broken, the doctor has to say it
        text = f"This could not be checked: {type(error).__name__}: {error}"
        yield wrong(name, ChatreplError(text, "Please report this."))


def _check_vocabulary() -> Iterator[Finding]:
    damaged = [name for name in ENCODINGS if not is_sound(name)]
    if damaged:
        text = f"The vocabulary {' and '.join(damaged)} is damaged: tokens are only estimated."
        raise ChatreplError(text, _REINSTALL)
    yield ok("vocabulary", " and ".join(ENCODINGS))
