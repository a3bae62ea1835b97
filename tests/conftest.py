"""Where the tests find real data, a window to drive, and a watch on threads that outlive their test."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_fixtures import lab as lab
from tests.support.engine_fixtures import small_lab as small_lab
from tests.support.places import LAB3

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from gui.main_window import MainWindow


@pytest.fixture(scope="session")
def lab3() -> Path:
    """The folder of the lab's real BadNet and faces; skips where it is absent."""
    if not (LAB3 / "bd_weights.h5").is_file():
        pytest.skip("the lab's real files aren't at ../shared/lab3")
    return LAB3


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    """The real window with settings of its own, shown; it is closed after the test."""
    from gui.main_window import MainWindow
    from gui.settings import Settings

    window = MainWindow(Settings(tmp_path / "settings.ini"))
    qtbot.addWidget(window)
    window.resize(1280, 800)
    with qtbot.waitExposed(window):
        window.show()
    yield window


@pytest.fixture(scope="session", autouse=True)
def measured_worker() -> Iterator[None]:
    """`make coverage` traces Python's own threads; have it trace the worker's, which Qt starts, as well."""
    trace = threading.gettrace()
    if trace is None:
        yield
        return
    from gui.session.worker import _PythonThread

    untraced = _PythonThread.run

    def traced(self: _PythonThread) -> None:
        sys.settrace(trace)
        untraced(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_PythonThread, "run", traced)
        yield


@pytest.fixture(autouse=True)
def no_leaked_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test of the window that leaves a thread running."""
    if "qtbot" not in request.fixturenames:
        yield
        return
    before = set(threading.enumerate())
    yield
    # A thread that Qt started stays in Python's list as a dummy until its number is used again; Qt's is asked instead.
    left = [t for t in threading.enumerate() if t not in before and not isinstance(t, threading._DummyThread)]
    assert left == [], "Python threads outlived the test"
    assert running_qthreads() == [], "Qt threads outlived the test"


@pytest.fixture(autouse=True)
def emptied_clipboard(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test of the window left on the clipboard is gone: Qt would free it after Python, and crash at the end."""
    yield
    if "qtbot" in request.fixturenames:
        from PySide6.QtGui import QGuiApplication

        QGuiApplication.clipboard().clear()


def running_qthreads() -> list[str]:
    """Names of all threads that were made with QThread and still run."""
    import shiboken6
    from PySide6.QtCore import QThread

    threads = [thing for thing in gc.get_objects() if issubclass(type(thing), QThread)]
    return [t.objectName() for t in threads if shiboken6.isValid(t) and t.isRunning()
            and t is not QThread.currentThread()]
