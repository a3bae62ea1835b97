"""What a person's hands do to the window: open, drop, wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from PySide6.QtCore import QCoreApplication, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.session.queue import Job, nothing
from gui.session.session import State
from gui.widgets.turns import _Turns

PATIENCE_MS = 300_000


def settle(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until nothing runs and nothing waits, and all is shown."""
    def settled() -> bool:
        turns = QCoreApplication.instance().findChild(_Turns)
        return window.session.idle and not (turns and turns.left)

    qtbot.waitUntil(settled, timeout=PATIENCE_MS)


def open_lab(qtbot: QtBot, window: MainWindow, lab3: Path, poisoned: bool = True) -> None:
    """Open the lab's BadNet and faces."""
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    window.desk.choosing.open_as("validation", lab3 / "clean_faces.h5")
    if poisoned:
        window.desk.choosing.open_as("poisoned", lab3 / "poisoned_faces.h5")
    settle(qtbot, window)
    assert window.session.state is State.READY


@contextmanager
def work_under_way(window: MainWindow) -> Iterator[None]:
    """Work that lasts as long as the block, such as a run, behind which others wait."""
    go_on = threading.Event()
    window.session.add(Job(lambda _: go_on.wait(60), nothing))
    try:
        yield
    finally:
        go_on.set()


def press_run(qtbot: QtBot, window: MainWindow) -> None:
    """Press Run and wait for the end of everything that follows."""
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    settle(qtbot, window)


def mime_of(paths: Sequence[Path]) -> QMimeData:
    """Files as a file manager gives them."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def drop(target: QWidget, paths: Sequence[Path]) -> bool:
    """Drag files over a widget and drop them there, as Qt does it; whether they were taken.

    An event that a widget doesn't take goes on to its parent, as it does when the desktop sends it.
    """
    mime = mime_of(paths)
    widget: QWidget | None = target
    while widget is not None:
        enter = QDragEnterEvent(widget.rect().center(), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
                                Qt.KeyboardModifier.NoModifier)
        if widget.acceptDrops():
            QApplication.sendEvent(widget, enter)
            if enter.isAccepted():
                QApplication.sendEvent(widget, QDropEvent(
                    QPointF(widget.rect().center()), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
                    Qt.KeyboardModifier.NoModifier))
                return True
        widget = widget.parentWidget()
    return False


def repeated(source: Path, times: int, target: Path) -> Path:
    """A data set of the lab's layout with the images of another one several times over."""
    with h5py.File(source) as before, h5py.File(target, "w") as after:
        after["data"] = np.concatenate([before["data"][()]] * times)
        after["label"] = np.concatenate([before["label"][()]] * times)
    return target
