"""Start of the packed program: the window, or the command line where the first argument is one of its commands."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from engine.quarantine.client import FLAG


def main() -> int:
    """Run the window, a command, the self-test, or what opens strangers' files for one of these.

    Returns:
        The exit status.
    """
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first == FLAG:
        from engine import reader
        return reader.main()
    if first == "--version" or is_command(first):
        from engine import __main__ as command_line
        return command_line.main()
    if first == "--self-test":
        from gui import self_test
        return self_test.main()
    from gui import __main__ as window
    return window.main()


def is_command(word: str) -> bool:
    """Whether the command line has a command of that name: a file in engine/cli/commands/, which isn't loaded."""
    return word.isidentifier() and find_spec(f"engine.cli.commands.{word}") is not None


def keep_font_list() -> None:
    """Have matplotlib keep its list of fonts: PyInstaller gives it a folder that is new, and empty, at every start."""
    os.environ["MPLCONFIGDIR"] = str(Path(platformdirs.user_cache_dir("GoodNet", appauthor=False)) / "matplotlib")


if __name__ == "__main__":
    keep_font_list()
    sys.exit(main())
