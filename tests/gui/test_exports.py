"""Figures leave the window: by copy, as files, and dragged to another program."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QImage
from pytestqt.qtbot import QtBot

from engine.defences.scan import Scan, StampExample, Suspect
from engine.defences.stamps import Stamp
from engine.rates import Rate
from gui.curve.view import CurveView
from gui.defences.scan_view import ScanView
from gui.widgets.theme import LIGHT
from tests.support.curves import curve, rows


@pytest.fixture
def scan_view(qtbot: QtBot) -> ScanView:
    stamp = Stamp("rectangle", 0, 0, 2, 2, (1.0, 0.0, 0.0))
    examples = tuple(StampExample(stamp, Rate(count, 40), np.full((11, 9, 3), 20 * count, np.uint8))
                     for count in (9, 6, 3, 2, 1))
    view = ScanView(LIGHT)
    qtbot.addWidget(view)
    view.show_scan(Scan(100, 50, (Suspect(1, 30), Suspect(0, 20)), examples, "Two suspects."))
    view.show_names(["nil", "one, the first"])
    return view


def pixels_of(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_curve_is_dragged_out_as_a_picture_and_a_file(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    view = CurveView(LIGHT)
    qtbot.addWidget(view)
    view.show_curve(curve(), rows(curve(), 2))
    assert view.panel is not None
    carried = []
    monkeypatch.setattr(QDrag, "exec", lambda self, *_: carried.append(
        (QImage(self.mimeData().imageData()), [Path(url.toLocalFile()) for url in self.mimeData().urls()])))
    handle = view.panel.export.handle
    handle.show()
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    qtbot.mouseMove(handle, QPoint(5, 4))
    assert carried == [], "a hand that shakes drags nothing"
    qtbot.mouseMove(handle, QPoint(60, 40))
    (image, (file,)), = carried
    assert (image.width(), image.height()) == (1200, 720)
    assert file.name == "curve.png"
    with Image.open(file) as dropped:
        assert dropped.size == (1200, 720)


def test_a_scan_is_taken_along(scan_view: ScanView, tmp_path: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(scan_view.message):
        scan_view.export.save_figure_to(tmp_path / "scan.png")
    picture = pixels_of(tmp_path / "scan.png")
    # Every stamped image is there, in its own grey, with the same area.
    areas = [int((picture == 20 * count).all(axis=2).sum()) for count in (9, 6, 3, 2, 1)]
    assert min(areas) > 30_000 and max(areas) < 1.1 * min(areas)
    scan_view.export.save_numbers_to(tmp_path / "scan.csv")
    with (tmp_path / "scan.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["rank", "label", "name", "count"], ["1", "1", "one, the first", "30"],
                                            ["2", "0", "nil", "20"]]


def test_pixels_are_offered_as_png_only(scan_view: ScanView) -> None:
    texts = [action.text() for action in scan_view.export.button.menu().actions()]
    assert texts == ["&Copy figure", "Save &figure (PNG)…", "Save &numbers (CSV)…"]
