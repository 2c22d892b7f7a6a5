"""What is said above the first prompt: who answers, where the settings are, where help is."""

from pathlib import Path

from chatrepl.paths import Paths

_SMALL = (
    "No key is set: {model} answers, on this machine. It is a very small model; OPENAI_API_KEY or "
    "a config file brings a better one."
)


def greeting(model: str, provider: str, paths: Paths, *, chosen: bool, first: bool) -> list[str]:
    """Give the lines, none as a rule.

    `chosen` says that somebody has set up who answers; if not, it is the embedded model, for want
    of a key. `first` says that nobody has been here before: three lines at most.
    """
    if not first:
        return [] if chosen else [_SMALL.format(model=model)]
    place = _short(paths.config / "config.toml")
    if chosen:
        who = f"{model} answers ({provider})."
        return [who, f"Settings: {place}; chatrepl init writes it.", "Help: /help"]
    return [
        f"No key is set: {model} answers, a very small model.",
        "OPENAI_API_KEY, or chatrepl init, brings a better one.",
        f"Settings: {place}  Help: /help",
    ]


def is_first_run(paths: Paths) -> bool:
    """Whether no prompt has been shown and nothing been set up yet: asked before either is.

    The prompt makes the history's file, even if nothing is typed.
    """
    try:
        there = (paths.history, paths.sessions, paths.config / "config.toml")
        return not any(path.exists() for path in there)
    except OSError:
        return False


def _short(path: Path) -> str:
    """Put ~ for the home directory."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
