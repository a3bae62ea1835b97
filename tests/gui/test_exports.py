"""Figures leave the window: by copy, as files, and dragged to another program."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QImage
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from gui.curve.view import CurveView
from gui.widgets.theme import LIGHT
from tests.support.curves import curve, rows


def test_the_curve_is_saved_that_was_on_show_when_it_was_asked_for(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    """A run goes on while a person is asked for a name, and another curve comes."""
    view = CurveView(LIGHT)
    qtbot.addWidget(view)
    view.show_curve(curve(), rows(curve(), 2))
    assert view.panel is not None
    export = view.panel.export
    export.save_numbers_to(tmp_path / "wanted.csv")
    export.save_figure_to(tmp_path / "wanted.png")
    other = curve(sets=3, total=400)

    def ask(_: object, title: str, start: str, *__: object) -> tuple[str, str]:
        view.show_curve(other, rows(other, 2))
        return str(tmp_path / Path(start).name), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    for place, kind in ((2, "csv"), (1, "png")):
        view.show_curve(curve(), rows(curve(), 2))
        export.button.menu().actions()[place].trigger()
        assert (tmp_path / f"curve.{kind}").read_bytes() == (tmp_path / f"wanted.{kind}").read_bytes()


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
