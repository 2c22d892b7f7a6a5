"""The options of `chatrepl` and of `chatrepl models`, declared with typer."""

import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chatrepl import (
    __version__,
    cli_doctor,
    cli_init,
    cli_key,
    cli_personas,
    cli_sessions,
    cli_usage,
)
from chatrepl.cli_help import places
from chatrepl.cli_options import (
    HELP_NAMES,
    BaseUrl,
    Config,
    Json,
    ProviderName,
    narrowed,
    new_app,
    plainly,
)
from chatrepl.cli_talk import Wanted, opened, running
from chatrepl.errors import SettingsError
from chatrepl.terminal.screen import Screen, print_json

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
  9    the reply is not what was asked for: not by --schema, or no code for --code
  10   the request might pass a cap of the budget: it was not sent
  129  the terminal was closed (SIGHUP); what came of a reply is kept
  130  Ctrl-C
  143  asked to end (SIGTERM); what came of a reply is kept
A closed standard output ends the program quietly, with status 0.
"""

COMMANDS_HELP = """
Commands (as the first word):
  models [TEXT]    list the models that the provider offers
  sessions         list the saved conversations; search, show, rename, rm, export
  usage            show what was used and what it cost
  key set|rm|list  keep the key of a provider in the system keyring
  personas [NAME]  list the personas, or show one
  init             ask three questions and write a config file
  doctor           check key, server, network and files, and say what to mend
A prompt that begins with a command's name needs -- before it:
  chatrepl -- models of the atom
"""

EPILOG = "\b" + COMMANDS_HELP + "\n\b" + STATUSES + "\n\b" + places()

_app = new_app()
_models_app = new_app()
_COMMANDS = {
    "models": _models_app,
    "sessions": cli_sessions.app,
    "key": cli_key.app,
    "personas": cli_personas.app,
    "init": cli_init.app,
    "doctor": cli_doctor.app,
    "usage": cli_usage.app,
}


def commands() -> dict[str, Any]:
    """Give typer's command of `chatrepl` itself, under "", and that of each subcommand."""
    return {name: typer.main.get_command(app) for name, app in {"": _app, **_COMMANDS}.items()}


def read(argv: list[str]) -> Wanted | int:
    """Run a subcommand and give its exit status, or read what kind of chat is wanted.

    Raises SettingsError for options that can't be read, and whatever a subcommand raises.
    """
    app, name, rest = _app, "chatrepl", argv
    at = _first_word(argv)
    first = argv[at] if at < len(argv) else ""
    if first in _COMMANDS:
        app, name, rest = _COMMANDS[first], f"chatrepl {first}", argv[:at] + argv[at + 1 :]
    # Not `main`: it makes a closed standard output status 1.
    command = typer.main.get_command(app)
    columns = shutil.get_terminal_size().columns
    command.epilog = narrowed(command.epilog or "", columns - 2)
    try:
        # Unless told, the help is no narrower than 50 columns.
        width = columns if columns < 52 else None
        with command.make_context(name, list(rest), terminal_width=width) as context:
            result: Wanted | int = command.invoke(context)
            return result
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:  # an unknown option, a value of no use
        hint = "chatrepl --help lists the options."
        if first in _COMMANDS:
            hint = f"{name} --help lists the options; {as_prompt(argv, at)}"
        raise SettingsError(plainly(error.format_message()), hint) from error


def _first_word(argv: list[str]) -> int:
    """Give where the first word stands that is no option, nor an option's value."""
    parameters = typer.main.get_command(_app).params
    valued = {name for each in parameters if not getattr(each, "is_flag", 0) for name in each.opts}
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "--":
        at += 2 if argv[at] in valued else 1
    return at


def as_prompt(argv: list[str], at: int) -> str:
    """Say how to send a prompt whose first word, `at` its place, is a subcommand's name."""
    options, words = argv[:at], argv[at:]
    if words[:2] == ["key", "set"]:
        words = ["key", "set", "…"]  # somebody may have typed the key
    command = shlex.join(["chatrepl", *options, "--", *words])
    return f"to send it as a prompt, put -- before it: {command}"


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"chatrepl {__version__}")
        raise typer.Exit


def _tokens(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= 10**9:
        words = "a number of tokens from 1 to 1,000,000,000 is needed."
        raise typer.BadParameter(words)
    return number


_Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show every request on standard error, less the secrets.")
]


@_models_app.command(context_settings=HELP_NAMES)
def models(  # noqa: PLR0913, PLR0917 - the options of the command
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the names must hold.")] = "",
    provider: ProviderName = None,
    base_url: BaseUrl = None,
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
    with running(opened(Wanted(flags, config=config, verbose=verbose), screen)) as app:
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
        typer.Option(
            "-p", "--persona", metavar="NAME", help="A persona; chatrepl personas lists them."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="NAME", help="Model, or provider/model, or a GGUF file."
        ),
    ] = None,
    provider: ProviderName = None,
    base_url: BaseUrl = None,
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
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="X",
            min=0,
            max=1,
            help="Pick among the likeliest words up to this share.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="For mostly the same reply each time."),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="TEXT", help="Where a reply ends; may be given again."),
    ] = None,
    reasoning_effort: Annotated[
        str | None,
        typer.Option(
            "--reasoning-effort", metavar="HOW", help="none, minimal, low, medium, high, xhigh."
        ),
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any parameter; may be given again."),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="FILE", help="JSON by a schema, or by name:type,…"),
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
    files: Annotated[
        list[str] | None,
        typer.Option(
            "-f",
            "--file",
            metavar="PATH",
            help="Attach a file, a folder or a pattern to the message; may be repeated.",
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
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep no session of it.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the reply.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Print only the code blocks of the reply.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No notices; needs PROMPT or input.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Show replies as text, not as Markdown.")
    ] = False,
    accessible: Annotated[
        bool, typer.Option("--accessible", help="For a screen reader: words, nothing redrawn.")
    ] = False,
    config: Config = None,
    verbose: _Verbose = False,
    install_completion: Annotated[
        bool,
        typer.Option("--install-completion", help="Set up Tab in the shell: bash, zsh or fish."),
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", help="Print what sets up Tab in the shell.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> Wanted | int:
    """Chat with a language model.

    On a terminal and without PROMPT: an interactive chat. With PROMPT, or with standard input
    piped in: one answer, then exit.
    """
    words = " ".join(prompt) if prompt else None
    if install_completion or show_completion:
        from chatrepl.cli_shells import completion  # noqa: PLC0415 - rarely needed

        return completion(words, install=install_completion)
    flags: dict[str, Any] = {
        "system": system,
        "persona": persona,
        "model": model,
        "provider": provider,
        "base_url": base_url,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "stop": stop or None,
        "reasoning_effort": reasoning_effort,
        "schema": schema,
        "context_window": context_window,
        "overflow": overflow,
        "plain": plain or None,
        "accessible": accessible or None,
        "save": False if no_save else None,
    }
    if resume is not None and not resume.strip():
        raise SettingsError("--resume needs an id, or words.", "-c goes on with the last session.")
    if continue_ and resume is None:
        resume = ""
    if code and (as_json or dry_run):
        raise SettingsError("--code goes neither with --json nor with --dry-run.")
    if load is not None and resume is not None:
        raise SettingsError("--load begins a session, --continue and --resume go on with one.")
    return Wanted(
        flags,
        words,
        config=config,
        load=load,
        resume=resume,
        as_json=as_json,
        dry_run=dry_run,
        verbose=verbose,
        code=code,
        quiet=quiet,
        pairs=pairs or (),
        files=tuple(files or ()),
    )
