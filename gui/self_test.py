"""The program's test of itself, for a packed copy: `--self-test` does a whole session on the sample in the real window.

It prints one line and ends with status 0 or 1. Nothing of the user's is read or written.
"""

from __future__ import annotations

import json
import pkgutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QWidget

import engine
import gui
from engine.goodnets.checking import Verdict
from engine.records.run_files import pair_name
from gui import log
from gui.main_window import MainWindow
from gui.messages import Message
from gui.session import sample
from gui.settings import Settings
from gui.window import help_pages

_SECONDS_PER_STEP = 120
_LOOK_EVERY_MS = 20
_FIGURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


class SelfTestFailed(Exception):
    """Something came out otherwise than it must."""


def main() -> int:
    """Run the self-test; its exit status."""
    application = QApplication([sys.argv[0]])
    with tempfile.TemporaryDirectory(prefix="goodnet-self-test-", ignore_cleanup_errors=True) as folder:
        test = SelfTest(Path(folder))
        # Whatever goes wrong, here or in a slot, ends in this one hook.
        log.hook_exceptions(test.fail)
        QTimer.singleShot(0, test.run)
        return application.exec()


class SelfTest:
    """One session in the window, step by step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._doing = "starting"
        self._over = False
        self._window: MainWindow | None = None
        self._engine_seconds = 0.0
        self._verdicts: list[Verdict] = []
        self._device: list[str] = []

    def run(self) -> None:
        """Do every step, print the line, end the program with status 0."""
        started = time.monotonic()
        steps: dict[str, Callable[[], None]] = {
            "importing modules": import_all, "drawing the window": self._draw, "opening the sample": self._open_sample,
            "loading the engine": self._load_engine, "cancelling a run": self._cancel, "running": self._run,
            "exporting the figure": self._export, "looking at a channel": self._look, "saving": self._save,
            "reopening": self._reopen, "checking pictures": self._check, "opening help": self._help}
        for self._doing, step in steps.items():
            step()
        self._end(f"self-test passed: {len(steps)} steps in {time.monotonic() - started:.1f} s, of which "
                  f"{self._engine_seconds:.1f} s to load the engine", 0)

    def fail(self, error: BaseException) -> None:
        """Print what failed and end the program with status 1."""
        self._end(f"self-test FAILED while {self._doing}: {type(error).__name__}: {error}", 1)

    def _end(self, line: str, status: int) -> None:
        if not self._over:
            self._over = True
            print(line, flush=True)
            if self._window:
                self._window.close()
            QApplication.exit(status)

    # Steps

    @property
    def window(self) -> MainWindow:
        """The window, once it is made."""
        if self._window is None:
            raise SelfTestFailed("there is no window")
        return self._window

    def _draw(self) -> None:
        self._window = MainWindow(Settings(self._folder / "settings.ini"))
        self._window.session.message.connect(self._note)
        self._window.session.engine_loaded.connect(self._device.append)
        self._window.desk.checking.verdicts_found.connect(lambda found, _: self._verdicts.extend(found))
        self._window.show()
        self._until(lambda: self.window.windowHandle().isExposed(), "the window isn't on screen")
        self._until(lambda: self.window.session.idle and self.window.curve.panel is not None, "plotting isn't loaded")
        expect_drawn(self.window)

    def _open_sample(self) -> None:
        session = self.window.session
        self.window.desk.choosing.open_sample()
        self._until(lambda: not any(item.reading for item in session.inputs.all), "the sample isn't read")
        expect(session.inputs.ready, "the sample can't be run")
        expect(not any(item.error for item in session.inputs.all), "a file of the sample is refused")

    def _load_engine(self) -> None:
        started = time.monotonic()
        self._until(lambda: bool(self._device), "the engine doesn't load")
        self._engine_seconds = time.monotonic() - started
        self.window.desk.pruning.start()

    def _cancel(self) -> None:
        session = self.window.session
        reports: list[object] = []
        session.progressed.connect(reports.append)
        self._until(lambda: bool(reports), "the run doesn't begin")
        session.cancel()
        self._until(lambda: session.idle, "the run doesn't end")
        expect(session.run is None, "a cancelled run left a result")

    def _run(self) -> None:
        session = self.window.session
        self.window.desk.pruning.start()
        self._until(lambda: session.idle, "the run doesn't end")
        expect(session.run is not None, "there is no result")
        rows = self.window.desk.pruning.rows
        expect([row.x for row in rows] == list(session.options.drops), "thresholds are missing")
        for tab in range(self.window.tabs.count()):
            self.window.tabs.setCurrentIndex(tab)
            expect_drawn(self.window)

    def _export(self) -> None:
        panel = self.window.curve.prepare()
        for suffix, beginning in _FIGURES.items():
            path = self._folder / f"curve{suffix}"
            panel.export.save_figure_to(path)
            expect(path.is_file() and path.read_bytes().startswith(beginning), f"no figure was written as {suffix}")

    def _look(self) -> None:
        found: list[object] = []
        session = self.window.session
        self.window.desk.pruning.maps_found.connect(found.append)
        assert session.run is not None
        self.window.desk.pruning.find_maps(int(session.run.ranking.order[-1]))
        self._until(lambda: bool(found), "no activation map is found")

    def _save(self) -> None:
        session = self.window.session
        target = self._folder / "run"
        self.window.desk.saving.save_run(target)
        self._until(lambda: session.idle, "saving doesn't end")
        saved = json.loads((target / "run.json").read_text(encoding="utf-8"))
        assert session.run is not None
        expect(saved["pruning_order"] == session.run.ranking.order.tolist(), "run.json holds another order")
        expect(len(saved["goodnets"]) == len(self.window.desk.pruning.rows), "run.json holds other GoodNets")
        expect("</html>" in (target / "report.html").read_text(encoding="utf-8"), "there is no whole report")

    def _reopen(self) -> None:
        best = max(self.window.desk.pruning.rows, key=lambda row: row.detection.value if row.detection else 0.0)
        opened: list[object] = []
        self.window.desk.checking.goodnet_changed.connect(opened.append)
        self.window.desk.checking.open_goodnet([self._folder / "run" / pair_name(best.x)])
        self._until(lambda: bool(opened), "the saved GoodNet doesn't open")

    def _check(self) -> None:
        session = self.window.session
        self._verdicts.clear()
        self.window.desk.checking.check([sample.PICTURES / "clean_greta.png", sample.PICTURES / "poisoned_greta.png"])
        self._until(lambda: session.idle, "checking doesn't end")
        flagged = {Path(verdict.file).name: verdict.flagged for verdict in self._verdicts}
        expect(flagged == {"clean_greta.png": False, "poisoned_greta.png": True}, f"the verdicts are {flagged}")

    def _help(self) -> None:
        for name in help_pages.PAGES:
            help_pages.show_page(name, self.window.theme, self.window)
            page = self.window.findChild(QDialog, name)
            assert page is not None
            expect_drawn(page)
            page.close()

    # Waiting

    def _note(self, message: Message) -> None:
        """The session tells of failed tasks in words; here none may fail."""
        if message.kind == "error":
            raise SelfTestFailed(message.text)

    def _until(self, come_true: Callable[[], bool], otherwise: str) -> None:
        """Let the window live until something is so."""
        loop = QEventLoop()
        end = time.monotonic() + _SECONDS_PER_STEP
        timer = QTimer(interval=_LOOK_EVERY_MS)
        timer.timeout.connect(lambda: loop.quit() if self._over or come_true() or time.monotonic() > end else None)
        timer.start()
        loop.exec()
        timer.stop()
        expect(come_true(), f"{otherwise} in {_SECONDS_PER_STEP} s")


def import_all() -> None:
    """Import every module of the program: a packed copy without one of them fails here, not at a customer's click."""
    for package in (engine, gui):
        names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
        expect(bool(names), f"no module of {package.__name__} is found")
        for name in names:
            import_module(name)


def expect(true: bool, otherwise: str) -> None:
    """Raise SelfTestFailed with the words `otherwise` unless something is so."""
    if not true:
        raise SelfTestFailed(otherwise)


def expect_drawn(widget: QWidget) -> None:
    """Raise SelfTestFailed where a widget's picture has hardly any colours: nothing, or no text, is drawn on it."""
    picture = widget.grab().toImage().scaled(160, 100)
    colours = {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}
    expect(len(colours) > 8, f"{type(widget).__name__} isn't drawn")
