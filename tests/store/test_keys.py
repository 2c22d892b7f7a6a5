"""Which keys are kept: the list of names beside the keyring."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("keyring", reason="keyring is not installed (the extra 'keyring')")

import keyring
from keyring.backend import KeyringBackend

from chatrepl.errors import SettingsError
from chatrepl.store.keys import SERVICE, Keys
from tests.support.keyrings import FileKeyring, keyring_file


@pytest.fixture
def ring(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringBackend]:
    """A keyring that this process uses."""
    monkeypatch.setenv("KEYRING_OF_THE_TEST", str(keyring_file(home)))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield keyring.get_keyring()
    keyring.set_keyring(before)


def test_names_come_and_go_with_the_keys(home: Path, ring: KeyringBackend) -> None:
    keys = Keys(home / "new" / "keyring.json")
    assert keys.names == []
    assert keys.find("b") == ""
    for name in ("b", "a", "b"):
        keys.keep(name, f"key of {name}")
    assert (keys.names, keys.find("b")) == (["a", "b"], "key of b")
    keys.forget("a")
    assert (keys.names, keys.find("a")) == (["b"], "")
    assert ring.get_password(SERVICE, "a") is None


def test_a_key_is_found_only_if_its_name_is_on_the_list(home: Path, ring: KeyringBackend) -> None:
    """Or every start would have to ask the keyring."""
    ring.set_password(SERVICE, "openai", "somebody else's")
    assert Keys(home / "keyring.json").find("openai") == ""


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1}', b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_list_counts_as_empty(home: Path, ring: KeyringBackend, data: bytes) -> None:
    file = home / "keyring.json"
    file.write_bytes(data)
    keys = Keys(file)
    assert keys.names == []
    keys.keep("openai", "k")
    assert keys.names == ["openai"]


def test_nothing_is_left_beside_the_list(home: Path, ring: KeyringBackend) -> None:
    Keys(home / "data" / "keyring.json").keep("openai", "k")
    assert [path.name for path in (home / "data").iterdir()] == ["keyring.json"]


def test_to_forget_what_is_not_kept_names_what_is(home: Path, ring: KeyringBackend) -> None:
    keys = Keys(home / "keyring.json")
    keys.keep("azure", "k")
    with pytest.raises(SettingsError) as caught:
        keys.forget("openai")
    assert "openai" in caught.value.text
    assert "azure" in caught.value.hint


class Forgetful(FileKeyring):
    """Says nothing and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


def test_a_key_that_was_not_really_kept_is_told(home: Path, ring: KeyringBackend) -> None:
    keyring.set_keyring(Forgetful())
    keys = Keys(home / "keyring.json")
    with pytest.raises(SettingsError, match="gives back"):
        keys.keep("openai", "k")
    assert keys.names == []
