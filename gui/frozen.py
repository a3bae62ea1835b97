"""Start of the packed program: the window, or the command line where the first argument is one of its commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

COMMANDS = ("inspect", "prune", "evaluate", "check", "scan", "repair")


def main() -> int:
    """Run the window, a command or the self-test.

    Returns:
        The exit status.
    """
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first in COMMANDS:
        from engine import __main__ as command_line
        return command_line.main()
    if first == "--self-test":
        from gui import self_test
        return self_test.main()
    from gui import __main__ as window
    return window.main()


def keep_font_list() -> None:
    """Have matplotlib keep its list of fonts: PyInstaller gives it a folder that is new, and empty, at every start."""
    os.environ["MPLCONFIGDIR"] = str(Path(platformdirs.user_cache_dir("GoodNet", appauthor=False)) / "matplotlib")


if __name__ == "__main__":
    keep_font_list()
    sys.exit(main())
