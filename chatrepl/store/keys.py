"""API keys in the system keyring, by the provider's name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chatrepl.errors import SettingsError
from chatrepl.installing import install

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "chatrepl"
"""What the keyring files the keys under; the user name there is the provider's name."""


def checked_key(typed: str) -> str:
    """Give a key as it is to be kept. Raises SettingsError if it can be none."""
    if not typed.isascii() or not typed.isprintable() or " " in typed:
        raise SettingsError("That can't be a key, it has odd characters: nothing was kept.")
    return typed


class Keys:
    """The keys that the package keyring keeps.

    Their names, never a key, stand in a JSON file too, so that the keyring is imported and asked
    only where a key is kept. A file that can't be read counts as empty. Methods that speak to
    the keyring raise SettingsError where there is none, or where it fails.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def names(self) -> list[str]:
        """The providers that have a key, in the order of the alphabet."""
        try:
            return sorted(set(msgspec.json.decode(self._file.read_bytes(), type=list[str])))
        except (OSError, ValueError, RecursionError):
            return []

    def check(self, name: str) -> str:
        """Name the keyring that would keep the key of a provider."""
        with _told(name, "kept in"):
            return _keyring(name, "kept in").name

    def find(self, name: str) -> str:
        """Give the key of a provider, or "" if none is kept."""
        if name not in self.names:
            return ""
        with _told(name, "read from"):
            return _keyring(name, "read from").get_password(SERVICE, name) or ""

    def keep(self, name: str, key: str) -> None:
        """Keep the key of a provider, in the place of one that was kept before."""
        with _told(name, "kept in", key):
            keyring = _keyring(name, "kept in")
            keyring.set_password(SERVICE, name, key)
            kept = keyring.get_password(SERVICE, name)
        if kept != key:
            raise _error(name, "kept in", "it gives back another one, or none")
        self._write({*self.names, name})

    def forget(self, name: str) -> None:
        """Remove the key of a provider. Raises SettingsError if none is kept."""
        names = set(self.names)
        if name not in names:
            known = f"Kept: {', '.join(sorted(names))}." if names else "None is kept at all."
            raise SettingsError(f"No key is kept for '{name}'.", known)
        with _told(name, "removed from"):
            keyring = _keyring(name, "removed from")
            if keyring.get_password(SERVICE, name) is not None:  # somebody may have removed it
                keyring.delete_password(SERVICE, name)
        self._write(names - {name})

    def _write(self, names: set[str]) -> None:
        new = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                new.touch(mode=0o600)
                new.write_bytes(msgspec.json.encode(sorted(names)))
                new.replace(self._file)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            text = f"The list of kept keys can't be written: {self._file}: {error.strerror}"
            raise SettingsError(text, "Mend that and do it again, or set CHATREPL_HOME.") from error


def _keyring(name: str, doing: str) -> "KeyringBackend":
    """Give the keyring of this system. Raises SettingsError, or whatever a backend raises."""
    try:
        import keyring  # noqa: PLC0415 - an extra, and needed only where a key is kept
        from keyring.backends import fail, null  # noqa: PLC0415
    except ImportError as error:
        raise _error(
            name,
            doing,
            "the package keyring is not installed",
            f"{install('chatrepl-terminal[keyring]')} brings it; else",
        ) from error
    found = keyring.get_keyring()
    if isinstance(found, fail.Keyring | null.Keyring):
        raise _error(name, doing, "there is none that can be used here", "Without one,")
    return found


@contextmanager
def _told(name: str, doing: str, key: str = "") -> Iterator[None]:
    """Turn whatever a keyring raises into an error that names it, the provider and the cause."""
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - a backend may raise anything
        why = " ".join(str(error).split()) or type(error).__name__
        why = why.replace(key, "[hidden]") if key else why
        # Not `from error`: it may tell the key.
        raise _error(name, doing, why, "Is it locked? Without it,") from None


def _error(name: str, doing: str, why: str, before: str = "Without it,") -> SettingsError:
    return SettingsError(
        f"The key of '{name}' can't be {doing} the system keyring: {why}.",
        f"{before} set api_key_env or api_key_cmd under [providers.{name}] in the config file.",
    )
