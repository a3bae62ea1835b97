"""The log file: where it is, what goes there, and what happens to an exception that nobody caught."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

import platformdirs
from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from engine.files.regular import NotRegular

_MOST_BYTES = 1 << 20
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO, QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR, QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def log_path() -> Path:
    """The log file, in the desktop's place for logs."""
    return Path(platformdirs.user_log_dir("GoodNet", appauthor=False)) / "goodnet.log"


class _Log(RotatingFileHandler):
    """On Windows a file that another window has open can't be renamed: it grows on then, where lines were lost."""

    def rotate(self, source: str, dest: str) -> None:
        """Rename the full file, where that can be done."""
        with suppress(OSError):
            super().rotate(source, dest)


def start_logging() -> None:
    """Write Python's and Qt's messages to the log file, kept below 2 MB.

    Where the file can't be written the program runs without one.
    """
    path = log_path()
    try:
        if path.exists() and not path.is_file():  # writing to a pipe would wait for whoever reads it
            raise NotRegular(f"{path} isn't a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = _Log(path, maxBytes=_MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    qInstallMessageHandler(_log_qt)


def hook_exceptions(show: Callable[[BaseException], None]) -> None:
    """Log exceptions that nobody caught and have them shown, instead of losing them on a console nobody sees.

    Args:
        show: called on the GUI thread, for exceptions of the GUI thread only.
    """
    def on_gui_thread(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, where)
            return
        logging.getLogger("gui").critical("uncaught exception", exc_info=(kind, error, where))
        show(error)

    def on_other_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            logging.getLogger("gui").critical(
                "uncaught exception in a thread", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = on_gui_thread
    threading.excepthook = on_other_thread


def _log_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    logging.getLogger("qt").log(_LEVELS.get(kind, logging.WARNING), "%s (%s)", text, context.category or "default")
