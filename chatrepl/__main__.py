"""`python -m chatrepl`, and the entry point of the `chatrepl` command."""

import gc
import signal
import sys

_ROOMY = 50_000
"""New objects between two looks for garbage: a tenth of the start went into looks in vain."""


def main() -> None:
    """Run the command and leave with its exit status."""
    gc.set_threshold(_ROOMY)
    try:
        from chatrepl.cli import run  # noqa: PLC0415 - importing this module stays inert
    except KeyboardInterrupt:
        sys.exit(130)
    status = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the ending
    sys.exit(status)


if __name__ == "__main__":
    main()
