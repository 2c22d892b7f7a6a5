"""Where chatrepl's files are: the platform's folders, or all below CHATREPL_HOME."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Paths(NamedTuple):
    """The folders for configuration, data and cache. They may not exist yet."""

    config: Path
    data: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """Read CHATREPL_HOME, else ask the platform."""
        if home := environment.get("CHATREPL_HOME"):
            root = expanded(home)
            return cls(root / "config", root / "data", root / "cache")
        from platformdirs import PlatformDirs  # noqa: PLC0415 - often not needed

        dirs = PlatformDirs("chatrepl", appauthor=False)
        return cls(dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path)

    @property
    def history(self) -> Path:
        """What was typed at the prompt."""
        return self.data / "history"

    @property
    def sessions(self) -> Path:
        """The database of sessions."""
        return self.data / "sessions.db"

    @property
    def kept_keys(self) -> Path:
        """The names of the providers whose keys are in the system keyring."""
        return self.data / "keyring.json"


def expanded(path: str | Path) -> Path:
    """Expand a leading ~, where there is such a user."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # the latter: a NUL, half a surrogate pair
        return Path(path)


def is_there(file: Path) -> bool:
    """Tell whether a file is there; none is under what can be no name, as it is too long."""
    try:
        return file.exists()
    except (OSError, ValueError):
        return False
