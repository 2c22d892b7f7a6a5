"""The history of the prompt: what is written of it, and when."""

from pathlib import Path

from chatrepl.terminal.folds import Folds
from chatrepl.terminal.history import History


def history(home: Path) -> History:
    return History(home / "data" / "history", Folds())


def kept(home: Path) -> list[str]:
    return list(history(home).load_history_strings())


def test_a_line_that_was_typed_before_the_settings_were_read_is_kept_then(home: Path) -> None:
    lines = history(home)
    lines.append_string("first")
    assert kept(home) == [], "nobody has said yet whether it may be"
    lines.save(True)
    lines.append_string("second")
    assert kept(home) == ["second", "first"]


def test_of_a_chat_that_is_not_saved_no_line_is_written(home: Path) -> None:
    lines = history(home)
    lines.append_string("secret")
    lines.save(False)
    lines.append_string("secret too")
    assert (home / "data" / "history").read_bytes() == b""
    assert lines.get_strings() == ["secret", "secret too"], "this run still has them"
