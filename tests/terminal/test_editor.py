"""The user's editor on a real terminal: Ctrl-C in it is for it alone."""

import sys
from pathlib import Path

import pexpect
import pytest

from chatrepl.errors import SettingsError
from chatrepl.terminal.editor import edit

PROGRAM = """
import sys
from chatrepl.terminal.editor import edit
try:
    print("GOT", edit("before"))
except KeyboardInterrupt:
    print("INTERRUPTED")
try:
    input("READY AGAIN")
except KeyboardInterrupt:
    print("HEARD")
"""
EDITOR = """
trap 'printf after > "$1"; exit 0' INT
echo READY; while :; do sleep 0.05; done
"""


def test_ctrl_c_in_the_editor_does_not_end_it(tmp_path: Path) -> None:
    editor = tmp_path / "my editor.sh"
    editor.write_text(EDITOR)
    environment = {"VISUAL": f"sh '{editor}'", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    with pexpect.spawn(sys.executable, ["-c", PROGRAM], timeout=20, env=environment) as terminal:
        terminal.expect("READY")
        terminal.send("\x03")
        terminal.expect(["GOT after", "INTERRUPTED"])
        assert terminal.after == b"GOT after"
        terminal.expect("READY AGAIN")
        terminal.send("\x03")
        terminal.expect("HEARD")


@pytest.mark.parametrize(
    ("does", "status", "hint"),
    [
        ("exit 1", 1, ""),  # as :cq does: the user would not
        ("kill -9 $$", -9, "Set the variable VISUAL or EDITOR to the one you use."),
    ],
)
def test_an_editor_that_fails_is_to_be_chosen_anew_and_one_that_is_left_is_not(
    monkeypatch: pytest.MonkeyPatch, does: str, status: int, hint: str
) -> None:
    monkeypatch.setenv("VISUAL", f"sh -c '{does}'")
    with pytest.raises(SettingsError) as raised:
        edit("before")
    said = f"The editor 'sh' ended with status {status}: nothing was changed."
    assert (raised.value.text, raised.value.hint) == (said, hint)
