"""The scan's view names suspects as the engine counted them, and accuses nobody."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from engine.defences.scan import Scan, StampExample, Suspect, in_words
from engine.defences.stamps import Stamp
from engine.rates import Rate
from gui.defences.scan_model import COUNT, LABEL, RANK, Ranked, ScanModel
from gui.defences.scan_view import ScanView
from gui.tables.model import BLOCKS_ROLE, Bar, Block, Column
from gui.widgets.theme import DARK, LIGHT

SUSPECTS = (Suspect(7, 1200), Suspect(0, 300), Suspect(12, 5))


def example(drawn: int, value: int) -> StampExample:
    picture = np.full((11, 9, 3), value, np.uint8)
    return StampExample(Stamp("rectangle", 0, 0, 2, 2, (1.0, 0.0, 0.0)), Rate(drawn, 40), picture)


def scan(*suspects: Suspect) -> Scan:
    changed = sum(s.count for s in suspects)
    examples = (example(40, 10), example(31, 200)) if suspects else ()
    return Scan(20_000, changed, suspects, examples, in_words(20_000, changed, suspects))


@pytest.fixture
def view(qtbot: QtBot) -> ScanView:
    made = ScanView(LIGHT)
    qtbot.addWidget(made)
    made.resize(640, 560)
    made.set_ready(True)
    made.show_scan(scan(*SUSPECTS))
    made.show()
    return made


def bar_of(view: ScanView, row: int, column: int) -> Bar | None:
    block, = view.model.index(row, column).data(BLOCKS_ROLE)
    assert isinstance(block, Block)
    return block.bar


def cells(view: ScanView, column: int) -> list[str]:
    return [view.model.index(row, column).data() for row in range(view.model.rowCount())]


def test_suspects_by_rank(view: ScanView) -> None:
    assert (cells(view, RANK), cells(view, LABEL), cells(view, COUNT)) == (
        ["1", "2", "3"], ["7", "0", "12"], ["1,200", "300", "5"])
    assert [bar_of(view, row, COUNT) for row in range(3)] == [
        Bar(0, 1, "attack"), Bar(0, 0.25, "attack"), Bar(0, 5 / 1200, "attack")]
    assert bar_of(view, 0, LABEL) is None


def test_the_words_are_the_scans_and_no_verdict(view: ScanView) -> None:
    assert view.sentence.text() == scan(*SUSPECTS).sentence
    assert "not a verdict" in view.sentence.text()
    view.show_scan(None)
    assert view.stack.currentIndex() == 0
    assert view.sentence.text() == ""
    assert "suspects, not verdicts" in view.empty.text()


def test_names_reach_table_and_caption(view: ScanView) -> None:
    assert "label 7 best" in view.caption.text()
    view.show_names(["zero", *map(str, range(1, 7)), "seven"])
    assert cells(view, LABEL) == ["7 seven", "0 zero", "12"]
    assert "label 7 seven best" in view.caption.text()


def test_the_best_stamps_are_shown_with_what_they_draw(view: ScanView) -> None:
    assert [view.stamps.item(i).text().replace("\u00a0", " ") for i in range(view.stamps.count())] == [
        "40 of 40\n100 %", "31 of 40\n78 %"]
    image = view.stamps.item(1).icon().pixmap(100, 100).toImage()
    assert image.pixelColor(image.width() // 2, image.height() // 2) == QColor(200, 200, 200)
    view.show_scan(scan(*SUSPECTS))
    assert view.stamps.count() == 2


def test_a_scan_without_suspects_shows_no_stamps(view: ScanView) -> None:
    view.show_scan(scan())
    assert "found no suspect" in view.sentence.text()
    assert not view.stamps.isVisibleTo(view)
    assert not view.caption.isVisibleTo(view)
    view.show_scan(scan(*SUSPECTS))
    assert view.stamps.isVisibleTo(view)


def test_the_button_asks_when_a_scan_is_possible(view: ScanView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.scan_requested):
        qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    view.set_busy(True)
    assert not view.button.isEnabled()
    view.set_busy(False)
    assert view.button.isEnabled()
    view.set_ready(False)
    assert not view.button.isEnabled()
    assert "Choose a model" in view.button.toolTip()


def test_the_model_keeps_qts_rules(qtbot: QtBot) -> None:
    model = ScanModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for found in (scan(*SUSPECTS), None, scan(), scan(*SUSPECTS[:1])):
        model.show_scan(found)
        model.set_names(["zero"])
    assert tester.model() is model


def bars(view: ScanView) -> list[int]:
    """Widths of the bars in pixels, counted in each row's picture."""
    colour, image = QColor(LIGHT.attack[0]), view.table.viewport().grab().toImage()
    ratio = image.devicePixelRatio()
    widths = []
    for row in range(3):
        y = int((view.table.visualRect(view.model.index(row, COUNT)).bottom() - 3) * ratio)
        widths.append(sum(image.pixelColor(x, y) == colour for x in range(image.width())))
    return widths


def test_bars_compare_counts(view: ScanView) -> None:
    first, second, third = bars(view)
    assert first > 60
    assert second == pytest.approx(first / 4, abs=2)
    assert third <= 2


def test_theme_reaches_every_part(view: ScanView) -> None:
    before = view.table.viewport().grab().toImage()
    view.set_theme(DARK)
    assert view.table.viewport().grab().toImage() != before


def test_a_thousand_suspects_are_shown_without_looking_at_all_of_them(view: ScanView) -> None:
    asked: list[Ranked] = []

    def watched(column: Column[Ranked]) -> Column[Ranked]:
        return dataclasses.replace(column, blocks=lambda suspect: asked.append(suspect) or column.blocks(suspect))

    view.model.columns = tuple(map(watched, view.model.columns))
    view.show_scan(None)
    view.show_scan(scan(*(Suspect(label, 3000 - label) for label in range(1283))))
    view.grab()
    assert view.model.rowCount() == 1283
    # A part of the rows is measured, and what is on show is painted.
    assert 0 < len({suspect.rank for suspect in asked}) < 130 and len(asked) < 1283
