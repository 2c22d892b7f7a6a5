"""Keyrings for the real program to find, as the package keyring does: by PYTHON_KEYRING_BACKEND."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError

ROOT = Path(__file__).parent.parent.parent


def in_keyring(home: Path, backend: str = "FileKeyring") -> dict[str, str]:
    """The variables that make the program use one of these, or another one by its whole name."""
    name = backend if "." in backend else f"{__name__}.{backend}"
    return {
        "PYTHON_KEYRING_BACKEND": name,
        "PYTHONPATH": str(ROOT),
        "KEYRING_OF_THE_TEST": str(keyring_file(home)),
    }


def keyring_file(home: Path) -> Path:
    """Where `FileKeyring` keeps its keys: beside the program's home, not in it."""
    return home / "keyring-of-the-test.json"


class FileKeyring(KeyringBackend):
    """Keeps passwords in a file."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._read()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not found")
        self._write(kept)

    @property
    def _file(self) -> Path:
        return Path(os.environ["KEYRING_OF_THE_TEST"])

    def _read(self) -> dict[str, str]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def _write(self, kept: dict[str, str]) -> None:
        self._file.write_text(json.dumps(kept))


class LockedKeyring(FileKeyring):
    """Can't be unlocked."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock\nthe collection!")


class TalkativeKeyring(FileKeyring):
    """Fails to keep a password, and tells which."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(f"can't keep {password}")
