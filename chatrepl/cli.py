"""The command line, and the one place where an error becomes a message and an exit status."""

import errno
import io
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from chatrepl import __version__, cli_key, cli_sessions
from chatrepl.cli_options import HELP_NAMES, Config, Json, new_app
from chatrepl.crash import unforeseen
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import Paths
from chatrepl.terminal.screen import Screen, print_json

if TYPE_CHECKING:
    from chatrepl.app import App

RESERVED = ("personas", "usage", "init", "doctor")
"""First words that will be subcommands: a prompt that begins with one needs `--` before it."""

STATUSES = """
Exit status:
  0    a whole answer
  1    something unforeseen
  2    bad usage or configuration
  3    the key was not accepted (401, 403)
  4    rate limit or quota, after retries
  5    the prompt does not fit the context window
  6    a content filter stopped the prompt or the reply
  7    the reply was cut off by max_tokens
  8    network or server: refused, 5xx, a cut or stalled stream, no chat completion
  129  the terminal was closed (SIGHUP); what came of a reply is kept
  130  Ctrl-C
  143  asked to end (SIGTERM); what came of a reply is kept
A closed standard output ends the program quietly, with status 0.
"""

PLACES = """
Settings: config.toml in the platform's config directory, or --config, or CHATREPL_CONFIG.
Variables: OPENAI_API_KEY, OPENAI_BASE_URL, AZURE_OPENAI_API_KEY,
  AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION, CHATREPL_MODEL, CHATREPL_HOME,
  NO_COLOR; the older OPENAI_API_BASE and OPENAI_API_TYPE=azure work too.
"""

COMMANDS_HELP = """
Commands (as the first word):
  models [TEXT]    list the models that the provider offers
  sessions         list the saved conversations; search, show, rename, rm, export
  key set|rm|list  keep the key of a provider in the system keyring
A prompt that begins with a command's name needs -- before it:
  chatrepl -- models of the atom
"""

EPILOG = "\b" + COMMANDS_HELP + "\n\b" + STATUSES + "\n\b" + PLACES


_HUNG_UP = 129

_app = new_app()
_models_app = new_app()
_COMMANDS = {"models": _models_app, "sessions": cli_sessions.app, "key": cli_key.app}


def run(argv: list[str]) -> int:
    """Run the command and give its exit status; whatever goes wrong is said in a line or two."""
    _open_handles()
    screen = Screen()
    try:
        if argv and argv[0] in RESERVED:
            raise _reserved(argv)
        status = _run(argv)
        sys.stdout.flush()
    except typer.TyperException as error:  # the parser's: an unknown option, a value of no use
        hint = "chatrepl --help lists the options."
        if argv[0] in _COMMANDS:
            hint = f"chatrepl {argv[0]} --help lists the options; {_as_prompt(argv)}"
        words = error.format_message().replace("Value error, ", "")  # the validator's own
        screen.error(SettingsError(words, hint))
        return SettingsError.status
    except ChatreplError as error:
        screen.error(error)
        return error.status
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Nobody reads any more; the interpreter must not try to flush what is left either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - people get a message, not a traceback
        if isinstance(error, OSError) and error.errno == errno.EIO:
            return _HUNG_UP  # the terminal is gone, and nobody is there to be told
        screen.error(unforeseen(error, Paths.from_environment().cache))
        return 1
    return status


def _run(argv: list[str]) -> int:
    app, name, rest = _app, "chatrepl", argv
    if argv and argv[0] in _COMMANDS:
        app, name, rest = _COMMANDS[argv[0]], f"chatrepl {argv[0]}", argv[1:]
    # Not `main`: it makes a closed standard output status 1.
    command = typer.main.get_command(app)
    try:
        with command.make_context(name, list(rest)) as context:
            status: int = command.invoke(context)
            return status
    except typer.Exit as leaving:
        return leaving.exit_code


def _open_handles() -> None:
    """Put something in the place of handles that were closed before the start, as by cron.

    What standard output can't encode becomes a question mark, rather than the end of the reply.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _reserved(argv: list[str]) -> SettingsError:
    text = f"'{argv[0]}' is the name of a subcommand, which this version does not have yet."
    return SettingsError(text, f"T{_as_prompt(argv)[1:]}")


def _as_prompt(argv: list[str]) -> str:
    if argv[:2] == ["key", "set"]:
        argv = ["key", "set", "…"]  # somebody may have typed the key
    return f"to send it as a prompt, put -- before it: chatrepl -- {shlex.join(argv)}"


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"chatrepl {__version__}")
        raise typer.Exit


def _tokens(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= 10**9:
        words = "a number of tokens from 1 to 1,000,000,000 is needed."
        raise typer.BadParameter(words)
    return number


_Provider = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="NAME", help="openai, azure, embedded, or one of the config file."
    ),
]
_BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Where an OpenAI-compatible API is."),
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show every request on standard error, less the secrets.")
]


@_models_app.command(context_settings=HELP_NAMES)
def models(  # noqa: PLR0913, PLR0917 - the options of the command
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the names must hold.")] = "",
    provider: _Provider = None,
    base_url: _BaseUrl = None,
    config: Config = None,
    as_json: Json = False,
    verbose: _Verbose = False,
) -> int:
    """List the models that the provider offers.

    With what is known of each: the context window and the largest reply in tokens, the price of
    a million tokens of prompt and of reply in US dollars, and the encoding that counts them.
    """
    from chatrepl.terminal import catalogue  # noqa: PLC0415

    screen = Screen()
    flags = {"provider": provider, "base_url": base_url}
    with _running(_build(flags, config, screen, verbose=verbose)) as app:
        found = app.catalogue(text)
        if as_json:
            print_json(catalogue.as_dicts(found))
        elif found:
            catalogue.show(found, screen)
        else:
            holding = f" with '{text}' in its name" if text else ""
            screen.notice(f"The provider '{app.settings.provider}' offers no model{holding}.")
    return 0


@_app.command(epilog=EPILOG, context_settings=HELP_NAMES, no_args_is_help=False)
def chat(  # noqa: PLR0913, PLR0917 - the options of the command
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", hidden=True),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("-s", "--system", metavar="TEXT", help="System message: TEXT, or @FILE."),
    ] = None,
    persona: Annotated[
        str | None,
        typer.Option("-p", "--persona", metavar="NAME", help="A persona of the config file."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="NAME", help="Model, or provider/model, or a GGUF file."
        ),
    ] = None,
    provider: _Provider = None,
    base_url: _BaseUrl = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", callback=_tokens, help="Longest reply, in tokens."
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", metavar="X", min=0, max=2, help="How freely words are picked."
        ),
    ] = None,
    context_window: Annotated[
        int | None,
        typer.Option(
            "--context-window",
            metavar="N",
            callback=_tokens,
            help="The model's window, in tokens.",
        ),
    ] = None,
    overflow: Annotated[
        Literal["trim", "ask", "summarize"] | None,
        typer.Option(
            "--overflow",
            metavar="HOW",
            help="When the window is full: trim, ask or summarize.",
        ),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option("--load", metavar="FILE", help="Begin with the messages of a JSON file."),
    ] = None,
    continue_: Annotated[
        bool, typer.Option("-c", "--continue", help="Go on with the last session.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="ID|TEXT", help="Go on with a session: its id, or words."),
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep nothing of this chat.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the reply.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Show replies as text, not as Markdown.")
    ] = False,
    config: Config = None,
    verbose: _Verbose = False,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> int:
    """Chat with a language model.

    On a terminal and without PROMPT: an interactive chat. With PROMPT, or with standard input
    piped in: one answer, then exit.
    """
    flags: dict[str, Any] = {
        "system": system,
        "persona": persona,
        "model": model,
        "provider": provider,
        "base_url": base_url,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "context_window": context_window,
        "overflow": overflow,
        "plain": plain or None,
        "save": False if no_save else None,
    }
    if resume is not None and not resume.strip():
        raise SettingsError("--resume needs an id, or words.", "-c goes on with the last session.")
    if continue_ and resume is None:
        resume = ""
    if load is not None and resume is not None:
        raise SettingsError("--load begins a session, --continue and --resume go on with one.")
    one_shot = bool(prompt) or not sys.stdin.isatty()
    _end_on_signals()
    screen = Screen()
    more = {"load": load, "resume": resume, "verbose": verbose}
    with _running(_build(flags, config, screen, **more)) as app:
        if one_shot:
            words = " ".join(prompt) if prompt else None
            return _answer(app, words, as_json=as_json, dry_run=dry_run)
        if as_json or dry_run:
            raise SettingsError("--json and --dry-run need a PROMPT, or standard input.")
        if not screen.on_terminal:
            text = "An interactive chat needs a terminal for its output."
            raise SettingsError(text, 'For one answer, give a prompt: chatrepl "…"')
        from chatrepl.terminal.repl import Repl  # noqa: PLC0415 - imports prompt_toolkit

        app.ready(interactive=True)
        history = app.paths.data / "history"
        repl = Repl(app, screen, history, answer_first=app.is_unanswered)
        if app.saved is not None:
            repl.show_where(app.saved)
        repl.run()
        return 0


def _end_on_signals() -> None:
    """End as a program does that may still do something: what came of a reply is kept."""
    for name, status in (("SIGTERM", 143), ("SIGHUP", _HUNG_UP)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, partial(_end, status))


def _end(status: int, *_: object) -> None:
    """Leave, so that what came of a reply is kept; a second signal must not disturb that."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.exit(status)


@contextmanager
def _running(app: "App") -> Iterator["App"]:
    """Close it at the end; it tells a fault of ours, for it knows what secrets to leave out."""
    with closing(app):
        try:
            yield app
        except (ChatreplError, BrokenPipeError):
            raise
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal is gone
                raise
            raise app.unforeseen(error) from error
        except Exception as error:
            raise app.unforeseen(error) from error


def _build(flags: dict[str, Any], config: Path | None, screen: Screen, **more: Any) -> "App":
    from chatrepl.app import App  # noqa: PLC0415 - --help needs none of it
    from chatrepl.settings import Flags, read_sources  # noqa: PLC0415

    paths = Paths.from_environment()
    given = {name: value for name, value in flags.items() if value is not None}
    app = App(read_sources(Flags(**given), config, os.environ, paths), paths, screen, **more)
    if app.exposure:
        screen.notice(app.exposure)
    return app


def _answer(app: "App", prompt: str | None, *, as_json: bool, dry_run: bool) -> int:
    from chatrepl.terminal import oneshot  # noqa: PLC0415

    text: str | None = oneshot.compose(prompt, app.screen)
    if not (text or "").strip():
        if prompt is not None or not app.is_unanswered:
            raise SettingsError("The prompt is empty: nothing was sent.")
        text = None
    if dry_run:
        return oneshot.dry_run(app.open_chat(), text, app.screen, as_json=as_json)
    app.ready()
    plain = app.settings.plain
    return oneshot.answer(app.open_chat(), text, app.screen, plain=plain, as_json=as_json)
