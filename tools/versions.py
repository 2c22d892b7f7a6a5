"""`python -m tools.versions oldest`: the tests with the oldest versions that pyproject.toml allows.

Of each package that the program and its extras name, the oldest that the bounds allow, or with
`newest` the newest; of what those need, and of the tools of the tests, the newest. uv finds and
installs them into an environment of its own, which is gone afterwards. What follows `--` goes to
pytest; without that, all tests but those that vary what others hold.

    python -m tools.versions oldest -- tests/chat tests/store
    python -m tools.versions newest --python 3.13
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [extra for extra in PROJECT["optional-dependencies"] if extra != "dev"]
RESOLUTION = {"oldest": "lowest-direct", "newest": "highest"}


def main() -> int:
    """Install and test; give the status of pytest."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    arguments, tests = _parser().parse_args(words[:end]), words[end + 1 :]
    with tempfile.TemporaryDirectory(prefix="chatrepl-versions-") as folder:
        environment = Path(folder) / "venv"
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        _uv("venv", "--no-project", "--python", arguments.python, str(environment))
        pins = Path(folder) / "pins.txt"
        _uv(
            *("pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *(word for extra in EXTRAS for word in ("--extra", extra)),
            *("--resolution", RESOLUTION[arguments.which], "--python", str(python)),
            *("--output-file", str(pins), "pyproject.toml"),
        )
        sys.stdout.write(f"{arguments.which}: {', '.join(named(pins.read_text()))}\n")
        sys.stdout.flush()
        into = ("pip", "install", "--quiet", "--python", str(python))
        _uv(*into, "--requirement", str(pins), *PROJECT["optional-dependencies"]["dev"])
        _uv(*into, "--no-deps", "--editable", ".")
        command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *tests]
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603


def named(pins: str) -> list[str]:
    """Give the pins of what pyproject.toml names itself."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    names = {re.split(r"[^\w-]", line)[0] for line in lines}
    return [pin for pin in pins.split() if pin.partition("==")[0] in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.versions", description=__doc__)
    parser.add_argument("which", choices=list(RESOLUTION))
    parser.add_argument("--python", default=sys.executable, help="3.13, or the path of a Python")
    return parser


def _uv(*arguments: str) -> None:
    """Run uv, which says itself what is wrong. Raises SystemExit if it fails or is not there."""
    if importlib.util.find_spec("uv") is None:
        sys.exit("uv is not installed. The extra dev brings it, as README's second command does.")
    # As pip does, uv is to trust whom the system trusts: a company's proxy has its own certificate.
    uv = [sys.executable, "-m", "uv", "--system-certs"]
    done = subprocess.run([*uv, *arguments], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"uv {' '.join(arguments[:2])} failed, as told above; no test was run.")


if __name__ == "__main__":
    sys.exit(main())
