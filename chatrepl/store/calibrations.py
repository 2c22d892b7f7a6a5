"""What is known of each model's tokenizer, kept from one run to the next."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from chatrepl.chat.calibration import Scale


class Calibrations:
    """A JSON file of scales by "provider/model". A file that can't be read counts as empty.

    It spares a few estimates, and no more: where it can't be written, nothing is said.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def scale(self, name: str) -> Scale:
        """Give what is known of a model: nothing, unless it was kept."""
        return self._read().get(name) or Scale()

    def keep(self, name: str, scale: Scale) -> None:
        """Keep what is known of a model, beside what other runs have kept since."""
        with suppress(OSError):
            data = msgspec.json.format(msgspec.json.encode({**self._read(), name: scale}))
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self._file.with_suffix(f".{os.getpid()}")
            try:
                new.write_bytes(data)
                new.replace(self._file)
            finally:
                new.unlink(missing_ok=True)

    def _read(self) -> dict[str, Scale]:
        try:
            scales = msgspec.json.decode(self._file.read_bytes(), type=dict[str, Scale])
        except (OSError, ValueError, RecursionError):
            return {}
        return {name: scale for name, scale in scales.items() if _is_sound(scale)}


def _is_sound(scale: Scale) -> bool:
    return 0.25 <= scale.mean <= 4 and 0 <= scale.spread <= 4 and scale.weight >= 0
