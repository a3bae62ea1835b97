"""Makes .venv and installs the pinned packages into it; every other make target begins here.

Kept to what Python 3.6 understands, because its first job is to say that a Python is too old or too new.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
# What TensorFlow, PySide6 and this project's pyproject.toml have in common.
OLDEST, NEWEST = (3, 10), (3, 13)
MAKES_VENV = "venv, ensurepip"
# Of pip what installs, which imports nearly all of it: a .venv that was stopped while it was made has pip in part.
INSTALLS = "pip._internal.commands.install"


def is_suitable(python: str, modules: str = MAKES_VENV) -> bool:
    """Whether a Python is of the right version and has modules; unless named, those that make virtual environments."""
    ask = f"import sys, {modules}; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return OLDEST <= tuple(int(part) for part in answer.stdout.split()) <= NEWEST


def find_python() -> str:
    """The Python that runs this, or else a suitable one that is installed beside it.

    Raises:
        SystemExit: there is none, with a sentence on what to install.
    """
    beside = [shutil.which(f"python3.{minor}") for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    for python in [sys.executable, *beside]:
        if python and is_suitable(python):
            return python
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(f"make: {sys.executable} can't make virtual environments (it lacks venv or ensurepip). "
                 "On Debian and Ubuntu install them with 'apt-get install python3-venv', then run make again.")
    sys.exit(f"make: Python 3.10 to 3.13 is needed, and {sys.executable} is Python {sys.version.split()[0]}. Install "
             "one of them and run make again, naming it if make doesn't find it: make PYTHON=python3.13")


def make() -> None:
    """Make .venv anew."""
    python = find_python()
    print(f"Making .venv with {python}", flush=True)
    # Kept back, because Ctrl+C reaches that Python too, which answers with a traceback.
    done = subprocess.run([python, "-m", "venv", "--clear", str(VENV)], stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"make: .venv couldn't be made: {done.stderr.decode(errors='replace').strip()}")


def main() -> None:
    """Make or mend .venv, install the packages, and leave the stamp that tells make so."""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        sys.exit("make: TensorFlow 2.21 isn't made for Macs with an Intel processor (2.16.2 was the last); a Mac needs "
                 "Apple silicon, and a Python made for it.")
    if not is_suitable(str(VENV_PYTHON), INSTALLS):
        make()
    print(f"Installing the packages of {' and '.join(REQUIREMENTS)}, which takes some minutes", flush=True)
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for name in REQUIREMENTS:
        command += ["-r", str(PROJECT / name)]
    if subprocess.run(command).returncode:
        sys.exit("make: the packages couldn't be installed; the lines above say why. Is there a network?")
    (VENV / ".installed").touch()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("make: stopped; run make again to go on.")
