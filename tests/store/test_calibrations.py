"""What is known of each model's tokenizer, from one run to the next."""

import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatrepl.chat.calibration import Scale
from chatrepl.chat.catalogue import card_for
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import TokenCounter
from chatrepl.store.calibrations import Calibrations

WHOLE: dict[str, Any] = {"mean": 1.6, "spread": 0.02, "weight": 12.5}

# A writer of its own: it keeps many scales, one after the other.
WRITER = """
import sys
from pathlib import Path
from chatrepl.chat.calibration import Scale
from chatrepl.store.calibrations import Calibrations
kept = Calibrations(Path(sys.argv[1]))
for number in range(150):
    kept.keep(f"{sys.argv[2]}/{number % 5}", Scale(1.5, 0.01, number))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chatrepl" / "data" / "calibrations.json"


@pytest.fixture
def kept(file: Path) -> Calibrations:
    return Calibrations(file)


def write(file: Path, data: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


def test_what_was_never_kept_is_a_scale_that_knows_nothing(file: Path, kept: Calibrations) -> None:
    assert kept.scale("openai/what-1") == Scale()
    assert not file.exists(), "reading writes nothing"


@pytest.mark.parametrize("name", ["openai/what-1", "a/b/c:d", "模型", "", 'quo"te\n', "\x00"])
def test_what_is_kept_is_there_in_another_run(file: Path, kept: Calibrations, name: str) -> None:
    kept.keep(name, Scale(**WHOLE))
    assert Calibrations(file).scale(name) == Scale(**WHOLE)


def test_the_file_can_be_read_by_a_person(file: Path, kept: Calibrations) -> None:
    kept.keep("openai/what-1", Scale(**WHOLE))
    assert json.loads(file.read_text()) == {"openai/what-1": WHOLE}
    assert len(file.read_text().splitlines()) > 1


def test_each_model_has_its_own(file: Path, kept: Calibrations) -> None:
    other = Calibrations(file)  # opened before the first was written
    kept.keep("a/one", Scale(1.2))
    other.keep("b/two", Scale(1.3))
    kept.keep("a/one", Scale(1.4))
    assert (kept.scale("a/one").mean, kept.scale("b/two").mean) == (1.4, 1.3)
    assert kept.scale("a/two") == Scale()


def test_what_is_given_out_can_be_changed_without_changing_what_is_kept(
    kept: Calibrations,
) -> None:
    kept.keep("a/one", Scale(1.2))
    kept.scale("a/one").learn(400, 100)
    assert kept.scale("a/one") == Scale(1.2)


def test_the_folder_is_for_the_user_only(file: Path, kept: Calibrations) -> None:
    kept.keep("a/one", Scale(1.2))
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_file_is_replaced_and_never_written_over(file: Path, kept: Calibrations) -> None:
    kept.keep("a/one", Scale(1.2))
    before = file.read_bytes()
    with file.open("rb") as reading:
        kept.keep("a/one", Scale(1.9))
        assert reading.read() == before, "who reads meanwhile reads the old file, whole"
    assert kept.scale("a/one").mean == 1.9
    assert list(file.parent.iterdir()) == [file]


def test_two_runs_that_write_at_once_leave_a_whole_file_at_every_moment(file: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(file)]
    seen = 0
    with (
        subprocess.Popen([*command, "one"]) as one,
        subprocess.Popen([*command, "two"]) as two,
    ):
        while one.poll() is None or two.poll() is None:
            if file.exists():
                assert json.loads(file.read_bytes())
                seen += 1
    assert (one.returncode, two.returncode) == (0, 0)
    assert seen > 10
    assert list(file.parent.iterdir()) == [file]
    # Of what both wrote in the same moment one may be lost, but never what was there long ago.
    names = json.loads(file.read_bytes())
    assert {f"one/{number}" for number in range(5)} <= names.keys() or {
        f"two/{number}" for number in range(5)
    } <= names.keys()


DAMAGED: dict[str, str | bytes] = {
    "empty": "",
    "half a file": json.dumps({"a/one": WHOLE})[:-9],
    "no JSON": "a/one: 1.6",
    "another kind of JSON": "[1, 2]",
    "no numbers": '{"a/one": {"mean": "much"}}',
    "no object": '{"a/one": 1.6}',
    "null": "null",
    "no UTF-8": b'{"a/one\xff": {"mean": 1.6}}',
    "NUL bytes, as after a power cut": b"\0" * 200,
    "brackets without end": '{"a/one": {"more": ' + "[" * 100_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_counts_as_empty_and_is_mended(
    file: Path, kept: Calibrations, data: str | bytes
) -> None:
    write(file, data)
    assert kept.scale("a/one") == Scale()
    kept.keep("a/two", Scale(**WHOLE))
    assert json.loads(file.read_bytes()) == {"a/two": WHOLE}


NONSENSE: list[dict[str, Any]] = [
    {"mean": 0.0},
    {"mean": -1.6},
    {"mean": 0.2},
    {"mean": 5.0},
    {"mean": 1e308},
    {"mean": 1.6, "spread": 1e308},
    {"mean": 1.6, "spread": 50.0},
    {"mean": 1.6, "spread": -2.0},
]


@pytest.mark.parametrize("scale", NONSENSE, ids=json.dumps)
def test_a_scale_of_no_sense_is_not_believed(
    file: Path, kept: Calibrations, scale: dict[str, Any]
) -> None:
    # Believed, it would make a message cost nothing, or more than any window holds, for ever.
    write(file, json.dumps({"a/one": scale, "a/two": WHOLE}))
    assert kept.scale("a/one") == Scale()
    assert kept.scale("a/two") == Scale(**WHOLE), "the others are not to blame"


ANY = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=3))
ENTRIES = st.dictionaries(st.sampled_from(["mean", "spread", "weight", "more"]), ANY)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.one_of(
        st.binary(max_size=40),
        st.dictionaries(st.sampled_from(["a/one", "a/two"]), st.one_of(ANY, ENTRIES)).map(
            lambda plain: json.dumps(plain).encode()
        ),
    )
)
def test_whatever_the_file_holds_a_count_can_be_made_of_it(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("any") / "calibrations.json"
    file.write_bytes(data)
    scale = Calibrations(file).scale("a/one")
    count = TokenCounter(card_for("what-1")).message(Message("user", "Hello"))
    assert 0 < math.ceil(count * scale.safe) < 100 * count


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, where a folder should be")
    kept = Calibrations(tmp_path / "data" / "calibrations.json")
    kept.keep("a/one", Scale(**WHOLE))
    assert kept.scale("a/one") == Scale()
    assert (tmp_path / "data").read_text() == "a file, where a folder should be"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_keeps_what_it_has(file: Path, kept: Calibrations) -> None:
    kept.keep("a/one", Scale(**WHOLE))
    file.parent.chmod(0o500)
    try:
        kept.keep("a/one", Scale(1.1))
        assert kept.scale("a/one") == Scale(**WHOLE)
    finally:
        file.parent.chmod(0o700)


def test_a_write_that_fails_leaves_nothing_behind(file: Path, kept: Calibrations) -> None:
    file.mkdir(parents=True)  # a folder in the place of the file: it can't be replaced by one
    kept.keep("a/one", Scale(**WHOLE))
    assert kept.scale("a/one") == Scale()
    assert list(file.parent.iterdir()) == [file]
