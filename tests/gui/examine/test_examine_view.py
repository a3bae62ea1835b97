"""The view of an examination says the verdict first, shows what it rests on and promises nothing more."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from engine.defences.evidence.filters import ColourFilter
from engine.defences.evidence.suspicion import Verdict
from engine.runs.examine import BLIND, MEASURED
from gui.examine.model import TriedModel
from gui.examine.panel import EvidencePanel
from gui.examine.pictures import Gallery
from gui.examine.view import ExamineView
from gui.tables.model import BLOCKS_ROLE
from gui.widgets.theme import DARK, LIGHT
from tests.support.examinations import LIMITS, SCANNED, examination, scanned, tried

NAMES = ["nil", "one", "two", "three, the third", *map(str, range(4, 19))]


@pytest.fixture
def view(qtbot: QtBot) -> ExamineView:
    made = ExamineView(LIGHT)
    qtbot.addWidget(made)
    made.resize(900, 640)
    made.set_ready(True)
    made.show()
    return made


def panel_of(view: ExamineView) -> EvidencePanel:
    assert view.panel is not None
    return view.panel


def column(view: ExamineView, heading: str) -> list[str]:
    model = panel_of(view).model
    place = next(i for i, c in enumerate(model.columns) if c.heading.startswith(heading))
    return [model.index(row, place).data() for row in range(model.rowCount())]


def shades(gallery: Gallery) -> list[int]:
    """The grey of each picture, in its middle."""
    icons = [gallery.item(i).icon().pixmap(84, 84).toImage() for i in range(gallery.count())]
    return [image.pixelColor(image.width() // 2, image.height() // 2).red() for image in icons]


def test_before_anything_is_examined_it_says_what_to_do_and_what_it_cannot_see(view: ExamineView) -> None:
    assert view.stack.currentWidget() is view.empty
    assert not view.verdict.isVisibleTo(view) and view.panel is None
    assert "Press Examine" in view.empty.text(), "files are there"
    view.set_ready(False)
    assert "clean validation images, then press Examine" in view.empty.text()
    assert BLIND[0] in view.empty.text()


@pytest.mark.parametrize(("verdict", "guilty", "words", "icon"), [
    ("backdoor likely", (3,), "Backdoor likely: label 3 (three, the third)", "failed"),
    ("backdoor likely", (3, 7), "Backdoor likely: labels 3 (three, the third), 7", "failed"),
    ("suspicious", (), "Suspicious", "costly"), ("nothing found", (), "Nothing found", "unknown")])
def test_the_verdict_comes_first_with_reasons_and_limits(
    view: ExamineView, qtbot: QtBot, verdict: Verdict, guilty: tuple[int, ...], words: str, icon: str,
) -> None:
    view.show_names(["nil", "one", "two", "three, the third", "4", "5", "6", "7"])
    found = examination(verdict, guilty)
    view.show_examination(found)
    shown = view.verdict
    assert shown.isVisibleTo(view) and not view.question.isVisibleTo(view)
    assert shown.verdict.text() == words
    assert shown.icon._level == icon and shown.icon.accessibleName() == verdict.capitalize()
    assert shown.sentence.text().replace("\u00a0", " ") == found.judgement.sentence
    assert shown.limits.isVisibleTo(view)
    for sentence in LIMITS:
        assert (sentence in shown.limits.text().replace("\u00a0", " ")) == (sentence != MEASURED)
    assert not shown.measured.isVisibleTo(view)
    view.resize(1000, 700)
    view.show()
    qtbot.waitUntil(lambda: shown.limits.width() > 700)  # the button beneath doesn't hold it back
    qtbot.mouseClick(shown.toggle, Qt.MouseButton.LeftButton)
    assert shown.measured.isVisibleTo(view) and shown.measured.text() == MEASURED
    view.show_examination(dataclasses.replace(found, limits=("Of 9 networks none was accused.",)))
    assert not shown.toggle.isVisibleTo(view) and not shown.measured.isVisibleTo(view)
    assert shown.limits.text() == "Of 9 networks none was accused.", "as an earlier version had it"


def test_without_a_verdict_it_says_so_and_neither_warns_nor_clears(view: ExamineView) -> None:
    view.show_examination(examination("suspicious", (), decided=False))
    assert (view.verdict.verdict.text(), view.verdict.icon.accessibleName()) == ("No verdict", "No verdict")
    assert view.verdict.icon._level == "unknown"
    assert panel_of(view).model.index(0, 0).data(BLOCKS_ROLE)[0].level is None


def test_nothing_contradicts_the_verdict(view: ExamineView) -> None:
    """The scan alone says that label 7 is first and no label stands out; the verdict names label 3."""
    view.show_examination(examination())
    assert panel_of(view).findChildren(Gallery)
    assert examination().scan.sentence not in panel_of(view).stamps_caption.text()
    assert "label 7" in panel_of(view).stamps_caption.text()


def test_labels_stand_in_the_order_of_suspicion(view: ExamineView) -> None:
    view.show_names(NAMES)
    view.show_examination(examination())
    assert column(view, "Label") == ["3 three, the third", "7", "12", "15", "18"]
    assert column(view, "Tried as") == ["Suspect"] * 3 + ["Reference"] * 2
    assert column(view, "Suspicion") == ["3.25", "-0.50", "-0.75", "-1.00", "-2.00"]
    assert column(view, "Smallest stamp") == ["5.0", "40.0", "44.0", "50.0", "61.0"]
    assert column(view, "Random stamps") == ["300", "1,200", "5", "0", "0"]
    assert column(view, "Stamps that") == ["9", "21", "36", "45", "54"]
    assert column(view, "Widest") == ["19.5", "16.0", "15.6", "15.0", "13.9"]
    assert column(view, "Draws") == ["97.50 % (87.1–99.6)"] * 5
    marks = [panel_of(view).model.index(row, 0).data(BLOCKS_ROLE)[0].level for row in range(5)]
    assert marks == ["failed", None, None, None, None]
    view.show_examination(examination("suspicious", ()))
    assert panel_of(view).model.index(0, 0).data(BLOCKS_ROLE)[0].level == "costly"


def test_a_row_shows_its_labels_pictures(view: ExamineView, qtbot: QtBot) -> None:
    view.show_examination(examination())
    panel = panel_of(view)
    assert shades(panel.pictures) == [30, 31, 32, 33], "the most suspicious label's, before anything is selected"
    assert panel.caption.text().endswith("label 3")
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_Down)
    assert shades(panel.pictures) == [70, 71, 72, 73] and panel.caption.text().endswith("label 7")
    assert shades(panel.stamps) == [10, 200]
    assert [panel.stamps.item(i).text() for i in range(2)] == ["40 of 40", "31 of 40"]


def test_a_scan_without_suspects_shows_no_stamps(view: ExamineView) -> None:
    view.button.click()
    view.set_busy(True)
    view.show_scan(scanned())
    assert "None of 20,000 random stamps" in view.going_on.text() and view.stamps.count() == 0


def test_first_evidence_is_there_while_the_rest_goes_on(view: ExamineView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.examine_requested):
        qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    view.set_busy(True)
    assert view.stack.currentWidget() is view._under_way and not view.button.isEnabled()
    assert "lower left" in view.going_on.text() and view.stamps.count() == 0
    view.show_scan(scanned(*SCANNED))
    assert shades(view.stamps) == [10, 200]
    assert "1,200 changed to label 7" in view.going_on.text() and "no verdict" in view.going_on.text()
    view.show_examination(examination())
    view.set_busy(False)
    assert view.stack.currentWidget() is view.panel and view.button.isEnabled()


def test_what_ends_badly_leaves_the_one_before(view: ExamineView) -> None:
    view.button.click()
    view.set_busy(True)
    view.set_busy(False)
    assert view.stack.currentWidget() is view.empty
    view.show_examination(examination())
    view.button.click()
    view.set_busy(True)
    assert not view.verdict.isVisibleTo(view)
    view.set_busy(False)
    assert view.stack.currentWidget() is view.panel and view.verdict.isVisibleTo(view)


def test_a_result_of_something_else_is_marked_and_makes_no_images(view: ExamineView) -> None:
    view.show_examination(examination())
    panel = panel_of(view)
    assert panel.use.isEnabled() and not view.mark.isVisibleTo(view)
    view.show_mark("", "It isn't of what is chosen now.")
    assert view.mark.isVisibleTo(view) and not panel.use.isEnabled() and panel.save.isEnabled()
    assert "isn't of the files" in panel.use.toolTip()
    view.show_mark("", "")
    view.set_busy(True)
    assert not panel.use.isEnabled() and not panel.save.isEnabled()


def test_the_button_asks_when_there_is_something_to_examine(view: ExamineView) -> None:
    view.set_ready(False)
    assert not view.button.isEnabled() and "Choose a model" in view.button.toolTip()


def test_pictures_and_numbers_are_taken_along(view: ExamineView, tmp_path: Path, qtbot: QtBot) -> None:
    view.show_names(NAMES)
    view.show_examination(examination())
    panel = panel_of(view)
    panel.table.selectRow(1)
    assert panel.pictures_export.stem == "stamp_7"
    with qtbot.waitSignal(view.message):
        panel.pictures_export.save_figure_to(tmp_path / "stamp.png")
    with Image.open(tmp_path / "stamp.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    areas = [int((pixels == shade).all(axis=2).sum()) for shade in (70, 71, 72, 73)]
    assert min(areas) > 30_000 and max(areas) < 1.1 * min(areas)
    panel.chart_export.save_figure_to(tmp_path / "labels.svg")
    assert "<svg" in (tmp_path / "labels.svg").read_text(encoding="utf-8")
    panel.chart_export.save_numbers_to(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == ["3", "7", "12", "15", "18"]
    first = rows[0]
    assert (first["name"], first["guilty"], first["suspect"]) == ("three, the third", "True", "True")
    assert [float(first[name]) for name in ("suspicion", "scan_count", "mask_pixels", "success_rate", "margin")] == [
        3.25, 300, 5, 0.975, 19.5]
    assert rows[3]["suspect"] == "False" and rows[1]["guilty"] == "False"
    texts = [action.text() for action in panel.pictures_export.button.menu().actions()]
    assert texts == ["&Copy figure", "Save &figure (PNG)…"]


def test_the_model_keeps_qts_rules(qtbot: QtBot) -> None:
    model = TriedModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for found in (examination(), examination("nothing found", ())):
        model.show_examination(found)
        model.set_names(NAMES)
    assert tester.model() is model


def test_theme_reaches_every_part(view: ExamineView, qtbot: QtBot) -> None:
    view.show_examination(examination())
    before = panel_of(view).table.viewport().grab().toImage()
    view.set_theme(DARK)
    assert panel_of(view).table.viewport().grab().toImage() != before
    assert QColor(DARK.danger).name() in view.verdict.verdict.styleSheet()
    assert panel_of(view).canvas.colours.ground == DARK.surface


def test_on_a_small_screen_pictures_keep_their_captions_and_the_page_scrolls(
    view: ExamineView, qtbot: QtBot,
) -> None:
    view.resize(644, 560)
    found = examination()
    view.show_examination(dataclasses.replace(found, scan=dataclasses.replace(
        found.scan, examples=found.scan.examples * 4)))
    view.grab()
    stamps, panel = panel_of(view).stamps, panel_of(view)
    assert stamps.horizontalScrollBar().isVisible()
    for row in range(stamps.count()):
        assert stamps.visualItemRect(stamps.item(row)).bottom() < stamps.viewport().height()
    area = panel.findChildren(QScrollArea)[0]
    assert area.verticalScrollBar().maximum() > 0
    assert panel.table.height() >= 100


def test_the_chart_begins_at_one_pixel_and_calls_labels_as_the_table_does(view: ExamineView, qtbot: QtBot) -> None:
    view.resize(700, 640)
    found = examination()
    view.show_examination(dataclasses.replace(found, tried=tuple(
        tried(label, 60 + label, label < 3, 3.0 - label) for label in range(22))))
    view.grab()
    figure = panel_of(view).canvas.figure
    qtbot.waitUntil(lambda: bool(figure.axes))
    axes, renderer = figure.axes[0], panel_of(view).canvas.get_renderer()
    assert axes.get_ylim()[0] == 1, "60 pixels look like 80"
    legend = figure.legends[0]
    assert {text.get_text().capitalize() for text in legend.get_texts()} >= set(column(view, "Tried as"))
    assert all(text.get_window_extent(renderer).x1 <= figure.bbox.x1 for text in legend.get_texts())
    names = [text.get_window_extent(renderer) for text in axes.get_xticklabels() if text.get_text()]
    assert len(names) >= 11 and not any(one.overlaps(other) for one, other in itertools.pairwise(names))


def test_a_labels_filter_is_shown_in_turns_with_its_stamp_and_counted(view: ExamineView) -> None:
    colours = ColourFilter(np.eye(3), np.zeros(3), (0.0, 1.0))
    found = examination()
    first = found.tried[0]
    first = dataclasses.replace(first, filter=colours, evidence=dataclasses.replace(first.evidence, filters=1048))
    view.show_examination(dataclasses.replace(found, tried=(first, *found.tried[1:])))
    gallery = panel_of(view).pictures
    captions = [gallery.item(i).text() for i in range(gallery.count())]
    assert captions == ["Stamp alone", "Worn", "Filtered", "Worn"]
    assert "colours of a filter" in gallery.item(2).toolTip() and "stamp" in gallery.item(3).toolTip()
    assert column(view, "Filters that")[:2] == ["1,048", "0"]
