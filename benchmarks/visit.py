"""A person's whole visit to the window, in the phases that `make bench-gui` measures."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from benchmarks import lab_size
from benchmarks.beats import Beats
from benchmarks.driving import look, until
from engine.data.datasets import open_dataset
from engine.places import program_folder
from gui.check.model import B_CONFIDENCE, PICTURE, VERDICT
from gui.main_window import MainWindow
from gui.settings import Settings

PICTURES = 3000


def heartbeat(folder: Path) -> dict[str, Any]:
    """Gaps between beats in each phase: {"phases": {name: {...}}, "images": n, "run_seconds": s, "load": text}."""
    data = lab_size.make(folder, program_folder())
    pictures = _pictures(folder / "pictures", data.validation)
    application = QApplication([sys.argv[0]])
    window = MainWindow(Settings(folder / "settings.ini"))
    visit = Visit(window, data, pictures)
    window.show()
    visit.all()
    found = {"phases": visit.beats.phases, "images": visit.images, "run_seconds": visit.run_seconds, "load": _load()}
    window.close()
    application.quit()
    return found


class Visit:
    """What a person does, one thing after the other; the beats belong to the phase that is on.

    Attributes:
        images, run_seconds: of the run of the lab's size.
    """

    images, run_seconds = 0, 0.0

    def __init__(self, window: MainWindow, data: lab_size.LabSize, pictures: Path) -> None:
        self._window, self._session, self._data, self._pictures = window, window.session, data, pictures
        self._now = ""
        self.beats = Beats(self._phase)

    def all(self) -> None:
        """Everything once."""
        phases: dict[str, Callable[[], None]] = {
            "drawing the window, loading matplotlib": self._settle, "nothing to do, for 3 s": lambda: look(3),
            "opening the files": self._open, "the run and all it ends in": self._run,
            "the first examination": self._examine,
            "a check of 3,000 pictures": self._check, "sorting them, six times": self._sort,
            "each view in turn": self._views, "the other theme, six times": self._themes, "repair": self._repair,
            "the comparison of all defences": self._compare, "bringing back a run": self._reopen}
        for self._now, do in phases.items():
            do()
        self.beats.stop()

    def _phase(self) -> str:
        return "loading TensorFlow" if self._session.loading_engine else self._now

    def _settle(self) -> None:
        until(lambda: self._session.idle and self._window.curve.panel is not None)

    def _open(self) -> None:
        data, choosing = self._data, self._window.desk.choosing
        choosing.open_as("model", data.model)
        choosing.open_as("validation", data.validation)
        choosing.open_as("poisoned", data.poisoned_validation)
        self._settle()

    def _run(self) -> None:
        self._window.run_bar.run.click()
        self._settle()
        run = self._session.run
        assert run is not None
        self.images, self.run_seconds = sum(dataset.images for dataset in run.datasets), run.seconds

    def _examine(self) -> None:
        self._window.tabs.setCurrentWidget(self._window.examine)
        self._window.examine.button.click()
        self._settle()
        assert self._window.desk.examining.examined is not None

    def _check(self) -> None:
        self._window.tabs.setCurrentWidget(self._window.check)
        self._window.desk.checking.check([self._pictures])
        self._settle()
        assert len(self._window.check.model.verdicts) == PICTURES

    def _sort(self) -> None:
        for column in (PICTURE, VERDICT, B_CONFIDENCE):
            for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
                self._window.check.table.horizontalHeader().setSortIndicator(column, order)
                look(0.3)

    def _views(self) -> None:
        for tab in range(self._window.tabs.count()):
            self._window.tabs.setCurrentIndex(tab)
            look(0.3)
            self._settle()

    def _themes(self) -> None:
        for choice in ("light", "dark") * 3:
            self._window.set_theme(choice)
            look(0.5)

    def _repair(self) -> None:
        self._small()
        self._window.tabs.setCurrentWidget(self._window.defences)
        folder = Path(tempfile.mkdtemp(dir=self._pictures.parent)) / "repaired"
        self._window.desk.defending.repair(False, folder)
        self._settle()
        assert folder.is_dir()

    def _compare(self) -> None:
        self._window.defences.compare_button.click()
        self._settle()
        assert self._window.defences.panel is not None
        look(1)

    def _reopen(self) -> None:
        kept: list[Any] = []
        self._window.desk.keeping.kept_changed.connect(kept.append)
        self._window.desk.keeping.start()
        until(lambda: bool(kept))
        before = self._session.run
        self._window.desk.keeping.reopen(kept[-1][-1].folder)
        self._settle()
        assert self._session.run is not before
        look(1)

    def _small(self) -> None:
        """The sample instead: training on all images of the lab takes an hour."""
        self._window.desk.choosing.open_sample()
        self._settle()
        self._window.run_bar.run.click()
        self._settle()


def _pictures(folder: Path, source: Path) -> Path:
    """3,000 PNG files of a data set's images."""
    if folder.is_dir():
        return folder
    from PIL import Image

    folder.mkdir()
    dataset = open_dataset(source)
    for chunk in dataset.chunks(500, list(range(PICTURES))):
        for number, image in enumerate(chunk.images.astype("uint8"), start=chunk.start):
            Image.fromarray(image).save(folder / f"{number:04}.png")
    return folder


def _load() -> str:
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
