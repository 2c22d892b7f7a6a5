"""The command line's way in, and the one place where an error becomes a message and a status."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

from chatrepl.cli_talk import Wanted, is_talk, opened, running, talk, talk_at_once
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import Paths
from chatrepl.posix import ENDING, HUNG_UP, has_come
from chatrepl.terminal.screen import Screen

if TYPE_CHECKING:
    from chatrepl.app import App

_HUNG_UP = 129
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def run(argv: list[str]) -> int:
    """Run the command and give its exit status; whatever goes wrong is said in a line or two."""
    _open_handles()
    screen = Screen(accessible="--accessible" in argv)  # the settings will tell for certain
    try:
        status = _run(argv, screen)
        sys.stdout.flush()
    except ChatreplError as error:
        screen.error(error)
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard_output()  # nobody reads any more
        return 0
    except Exception as error:  # noqa: BLE001 - people get a message, not a traceback
        if _is_of_output(error):
            screen.error(_unwritten(error))
            return 1
        if isinstance(error, OSError) and error.errno == errno.EIO:
            return _HUNG_UP  # the terminal is gone, and nobody is there to be told
        from chatrepl.crash import unforeseen  # noqa: PLC0415 - rarely needed

        screen.error(unforeseen(error, Paths.from_environment().cache))
        return 1
    return status


@contextmanager
def _writing(session: Callable[[], str | None]) -> Iterator[None]:
    """Write standard output to the end; if it can't take it, tell where the reply is kept."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if not _is_of_output(error):
            raise
        name = session()
        kept = f"What came of the reply is kept: chatrepl sessions show {name}" if name else ""
        raise _unwritten(error, kept) from error


def _is_of_output(error: Exception) -> TypeGuard[OSError]:
    """Whether it is standard output that can't be written: a full disk, a device that fails.

    EIO of what can't be sought in, as a file can, is a terminal that is gone. An error about a
    file that was to be opened has its name.
    """
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    if error.errno == errno.EIO:
        return sys.stdout.seekable()
    return error.errno in _FULL and not sys.stdout.isatty()


def _unwritten(error: OSError, hint: str = "") -> ChatreplError:
    _discard_output()
    return ChatreplError(f"The output can't be written: {error.strerror}", hint)


def _discard_output() -> None:
    """Send what is left to nowhere: the interpreter would try to write it as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: list[str], screen: Screen) -> int:
    if sys.stdin.isatty() and screen.can_redraw and is_talk(argv):
        _end_on_signals()
        talk_at_once(partial(_read_talk, argv), screen)
        return 0
    wanted = _read(argv)
    if isinstance(wanted, int):
        return wanted
    screen.quiet = wanted.quiet
    _end_on_signals()
    if wanted.prompt is not None or not sys.stdin.isatty():
        with running(opened(wanted, screen)) as app:
            return _answer(app, wanted)
    if wanted.as_json or wanted.dry_run or wanted.code or wanted.quiet:
        options = "--json, --dry-run, --code and --quiet"
        raise SettingsError(f"{options} need a PROMPT, or standard input.")
    if not screen.on_terminal:
        text = "An interactive chat needs a terminal for its output."
        raise SettingsError(text, 'For one answer, give a prompt: chatrepl "…"')
    talk(wanted, screen)
    return 0


def _read(argv: list[str]) -> Wanted | int:
    """Read the arguments, or run the subcommand that they begin with and give its status."""
    if not argv:
        return Wanted()  # the parser would take longer to import than all else of a first prompt
    if argv[0] == "--complete":  # what a shell asks, when somebody presses Tab
        from chatrepl.cli_completing import answer  # noqa: PLC0415

        return answer(argv[1:])
    from chatrepl.cli_chat import read  # noqa: PLC0415

    return read(argv)


def _read_talk(argv: list[str]) -> Wanted:
    wanted = _read(argv)
    assert isinstance(wanted, Wanted), argv
    return wanted


def _open_handles() -> None:
    """Put something in the place of handles that were closed before the start, as by cron.

    What standard output can't encode becomes a question mark, rather than the end of the reply.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _end_on_signals() -> None:
    """End as a program does that may still do something: what came of a reply is kept."""
    for number in ENDING[1:]:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, partial(_end, _HUNG_UP if number == HUNG_UP else 143))


def _end(status: int, *_: object) -> None:
    """Leave, so that what came of a reply is kept; a second signal must not disturb that."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def _answer(app: "App", wanted: Wanted) -> int:
    from chatrepl.terminal import oneshot  # noqa: PLC0415

    if not sys.stdin.isatty() and not has_come(sys.stdin):
        app.load_client()  # whoever writes into the pipe takes their time
    text: str | None = oneshot.compose(wanted.prompt, app.screen)
    if not (text or "").strip():
        if wanted.prompt is not None or not app.is_unanswered:
            raise SettingsError("The prompt is empty: nothing was sent.")
        if app.attached:
            raise SettingsError("--file needs a prompt that the files go with: nothing was sent.")
        text = None
    how: dict[str, Any] = {"as_json": wanted.as_json, "attachments": app.attached}
    if wanted.dry_run:
        with _writing(lambda: None):
            return oneshot.dry_run(app.open_chat(), text, app.screen, **how)
    app.ready()
    form: oneshot.Form = "json" if wanted.as_json else "code" if wanted.code else "reply"
    plain, files = app.plain, app.attached
    chat = app.open_chat()
    with _writing(lambda: chat.recorder.session):
        return oneshot.answer(chat, text, app.screen, plain=plain, form=form, attachments=files)
