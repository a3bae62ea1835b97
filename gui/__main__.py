"""Start: arguments, logging, exception hook, window."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtWidgets import QApplication

from gui import log
from gui.main_window import MainWindow
from gui.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the window until it is closed.

    Returns:
        The exit status of the event loop.
    """
    options = build_parser().parse_args(arguments)
    application = QApplication([sys.argv[0]])
    application.setApplicationName("GoodNet")
    application.setApplicationDisplayName("GoodNet")
    application.setDesktopFileName("goodnet")  # by which Wayland finds the icon
    log.start_logging()
    window = MainWindow(Settings())
    log.hook_exceptions(window.show_error)
    window.show()
    if options.sample:
        window.desk.choosing.open_sample()
    window.desk.opening.open_paths([Path(name).absolute() for name in options.files])
    return application.exec()


def build_parser() -> argparse.ArgumentParser:
    """The window's command line."""
    parser = argparse.ArgumentParser(
        prog="GoodNet" if getattr(sys, "frozen", False) else "python -m gui",
        description="Take the backdoor out of an image classifier by pointing and clicking.")
    parser.add_argument("files", nargs="*", metavar="FILE", help="a model, data sets, a GoodNet or pictures to open")
    parser.add_argument("--sample", action="store_true", help="open the sample that comes with the program")
    return parser


if __name__ == "__main__":
    sys.exit(main())
