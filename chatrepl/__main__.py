"""`python -m chatrepl`, and the entry point of the `chatrepl` command."""

import sys


def main() -> None:
    """Run the command and leave with its exit status."""
    try:
        from chatrepl.cli import run  # noqa: PLC0415 - importing this module stays inert
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
