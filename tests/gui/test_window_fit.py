"""The window fits small screens and long names, and nothing moves under the pointer."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QRadioButton, QScrollArea, QToolButton
from pytestqt.qtbot import QtBot

from engine.rates import Rate
from engine.reports.headline import Headline
from gui.defences.repair_dialog import RepairDialog
from gui.examine.model import LABEL
from gui.inputs.model_card import shape_text
from gui.main_window import MainWindow, first_size
from gui.messages import Message
from gui.widgets.elided_label import ElidedLabel
from tests.support.comparisons import comparison
from tests.support.curves import curve, rows
from tests.support.examinations import examination
from tests.support.networks import SmallLab
from tests.support.window_driver import settle

# A title bar of a large theme, and what it leaves of the smallest screen that is supported.
TITLE_BAR = 38
SCREEN = QSize(1280, 800)


def test_the_first_start_fits_a_small_screen_with_its_title_bar() -> None:
    found = first_size(SCREEN)
    assert found.width() <= 1280 and found.height() + TITLE_BAR <= 800
    assert found.width() > 1200 and found.height() > 720
    assert first_size(QSize(3840, 2160)) == QSize(1280, 800)


@pytest.fixture
def large_letters(qapp: QApplication) -> Iterator[None]:
    """Letters half as large again as usual, before the window is made."""
    before = qapp.font()
    large = qapp.font()
    large.setPointSizeF(1.5 * before.pointSizeF())
    qapp.setFont(large)
    yield
    qapp.setFont(before)


def test_large_letters_cut_no_button_of_the_cards(
    large_letters: None, window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.desk.choosing.open_as("model", small_lab.badnet)
    window.desk.choosing.open_as("validation", small_lab.clean)
    settle(qtbot, window)
    window.splitter.setSizes([1, 1279])
    window.grab()
    for card in window.inputs.cards[:2]:
        shown = [button for button in card.findChildren(QToolButton) if button.isVisible()]
        assert len(shown) >= 2
        for button in shown:
            assert button.visibleRegion().boundingRect() == button.rect(), button.accessibleName()


def test_every_view_fits_a_small_screen_with_large_letters(
    large_letters: None, window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    window.curve.show_curve(curve(), rows(curve(), 2, 10))
    window.goodnets.show_rows(rows(curve(), 2, 10), [99.0])
    window.defences.show_comparison(comparison())
    window.examine.show_examination(examination())
    window.check.show_samples(16)
    window.run_bar._toggle.setChecked(True)
    window.show_message(Message("Saved. " * 50, folder=tmp_path))
    room = first_size(SCREEN)
    for tab in range(window.tabs.count()):
        window.desk.bring_up(window.tabs.widget(tab))
        window.grab()
        least = window.minimumSizeHint()
        assert least.width() <= room.width() and least.height() <= room.height(), window.tabs.tabText(tab)


def test_with_large_letters_the_question_of_a_repair_scrolls_and_its_buttons_are_seen(
    large_letters: None, window: MainWindow, qtbot: QtBot,
) -> None:
    of_run = "The transplant guard, set to flag at most 2 % of clean pictures."
    dialog = RepairDialog(window, window.theme, "b.keras", of_run)
    with qtbot.waitExposed(dialog):
        dialog.show()
    dialog.grab()
    assert dialog.height() < window.screen().availableSize().height()
    for button in dialog.findChildren(QPushButton):
        assert button.visibleRegion().boundingRect() == button.rect()
    area = dialog.findChild(QScrollArea)
    first, *_, last = (button for button in dialog.findChildren(QRadioButton) if button.isChecked())
    assert area.horizontalScrollBar().maximum() == 0 < area.verticalScrollBar().maximum()
    first.setFocus()
    for _ in range(2):
        qtbot.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
    assert last.hasFocus()
    assert last.visibleRegion().boundingRect() == last.rect(), "it comes into sight with the keyboard"
    for letter, button in ((Qt.Key.Key_D, first), (Qt.Key.Key_R, last)):
        qtbot.keyClick(dialog, letter, Qt.KeyboardModifier.AltModifier)
        assert button.hasFocus() and button.visibleRegion().boundingRect() == button.rect(), "with its letter, too"
    dialog.reject()


def test_layers_are_a_table_that_is_no_higher_for_a_deep_network(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    card, item = window.inputs.model, window.session.inputs.model
    assert item is not None and item.model is not None
    qtbot.mouseClick(card._toggle, Qt.MouseButton.LeftButton)
    assert card._table.isVisible()
    model, layers = card._table.model(), item.model.layers
    assert [model.index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(model.rowCount())] == \
        [f"{layer.name} {layer.kind}" for layer in layers]
    assert model.index(0, 1).data() == shape_text(layers[0].shape)
    height = card._table.height()
    deep = dataclasses.replace(item.model, layers=layers * 100)
    card.show_model(dataclasses.replace(item, model=deep), None)
    assert model.rowCount() == 100 * len(layers) and card._table.height() <= 2 * height
    qtbot.mouseClick(card._toggle, Qt.MouseButton.LeftButton)
    assert not card._table.isVisible()


@pytest.mark.parametrize("tab", range(7))
def test_every_view_fits_with_the_options_open(
    window: MainWindow, qtbot: QtBot, tab: int, tmp_path: Path,
) -> None:
    settle(qtbot, window)
    window.curve.show_curve(curve(), rows(curve(), 2, 10))
    window.goodnets.show_rows(rows(curve(), 2, 10), [99.0])
    window.defences.show_comparison(comparison())
    window.run_bar._toggle.setChecked(True)
    window.show_message(Message("Saved. " * 50, folder=tmp_path))
    window.desk.pages.setCurrentWidget(window.tabs)
    window.tabs.setCurrentIndex(tab)
    least = window.minimumSizeHint()
    room = first_size(SCREEN)
    assert least.width() <= room.width() and least.height() <= room.height()


def test_many_warnings_leave_the_views_their_room(window: MainWindow, qtbot: QtBot) -> None:
    """Two stand above the tabs; the rest is a press away."""
    settle(qtbot, window)
    window.desk.pages.setCurrentWidget(window.tabs)
    window.resize(first_size(SCREEN))
    doubts = tuple(f"Set {number} is doubtful: {'its labels may be another network’s, ' * 9}." for number in range(5))
    best = Headline(None, "unknown", "The input is implausible", "", "B", Rate(1, 2), Rate(1, 2), None, warnings=doubts)
    bar = window.result
    bar.show_result("b.keras", dataclasses.replace(best, warnings=doubts[:2]), usable=False)
    window.grab()
    height = bar.height()
    assert not bar.more.isVisible()
    bar.show_result("b.keras", best, usable=False)
    window.grab()
    assert bar.height() <= height + 2 * bar.warnings.fontMetrics().lineSpacing() and window.tabs.height() >= 400
    assert "Set 1" in bar.warnings.text() and "Set 2" not in bar.warnings.text()
    assert bar.more.text() == "3 more…" and all(doubt in bar.more.toolTip() for doubt in doubts[2:])
    qtbot.mouseClick(bar.more, Qt.MouseButton.LeftButton)
    box, = (found for found in window.findChildren(QMessageBox) if found.isVisible())
    assert all(doubt in box.text() for doubt in doubts)
    box.reject()


@pytest.mark.parametrize("message", [
    Message("It was saved."), Message("That didn't work. " * 30, "error"), Message("Saved.", folder=Path()),
])
def test_a_message_pushes_nothing(window: MainWindow, message: Message) -> None:
    window.desk.pages.setCurrentWidget(window.tabs)
    window.goodnets.show_rows(rows(curve(), 2, 10), [])
    window.tabs.setCurrentWidget(window.goodnets)
    window.grab()

    def places() -> dict[QPushButton, object]:
        return {button: button.mapTo(window, button.rect().topLeft()) for button in window.findChildren(QPushButton)
                if button.isVisible() and not window.status.isAncestorOf(button)}

    before = places()
    assert window.goodnets.save_all_button in before
    window.show_message(message)
    window.grab()
    assert places() == before
    window.message_bar.hide()
    window.grab()
    assert places() == before


def test_a_long_message_ends_in_an_ellipsis_and_is_whole_in_the_tooltip(window: MainWindow) -> None:
    text = "A file can't be used, and this is a long story about why. " * 20
    window.show_message(Message(text, "error"))
    label = window.message_bar.text
    window.grab()
    shown = list(label.shown_lines())
    assert len(shown) == 2 and shown[1].endswith("…") and text.startswith(shown[0])
    assert label.toolTip() == label.text() == text
    label.show_text("Short.")
    assert list(label.shown_lines()) == ["Short."]
    label.actions()[0].trigger()
    assert QGuiApplication.clipboard().text() == "Short."


def test_long_names_have_an_ellipsis(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.desk.pages.setCurrentWidget(window.tabs)
    before = window.minimumSizeHint().width()
    long = "a_name_without_an_end_" * 9
    path = tmp_path / f"{long}.h5"
    path.write_bytes(b"no data")
    window.desk.choosing.open_as("validation", path)
    settle(qtbot, window)
    file = window.inputs.validation._file
    shown = next(file.shown_lines())
    assert "…" in shown and shown.startswith("a_name") and shown.endswith(".h5"), "what tells it from others is seen"
    assert str(path) in file.toolTip()
    window.examine.show_examination(examination())
    window.examine.show_names([*"012", long * 4, "short"])
    window.tabs.setCurrentWidget(window.examine)
    window.check.show_goodnet(long, 10)
    assert "…" in window.check.tools.source.text() and window.check.tools.source.text().endswith("; N = 10")
    window.result.show_result(f"{long}.h5", None, False)
    assert "a_name" in window.result.answer.text() and "…" in window.result.answer.text().split(".h5")[0]
    window.run_bar.show_options(window.session.options.__class__(order=tmp_path / f"{long}.json"))
    window.run_bar._toggle.setChecked(True)
    window.grab()
    assert window.minimumSizeHint().width() <= before + 20
    panel = window.examine.panel
    assert panel is not None
    assert panel.table.columnWidth(LABEL) < 500
    assert long * 4 in panel.model.index(0, LABEL).data(3)  # Qt.ItemDataRole.ToolTipRole
    for label in (window.check.tools.source, window.run_bar._order):
        text = "".join(label.shown_lines()) if isinstance(label, ElidedLabel) else label.text()
        assert "…" in text
        assert long in label.toolTip()


def test_empty_views_speak_in_lines_that_are_read_easily(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    window.resize(1920, 1000)
    for view in (window.curve, window.channels, window.goodnets, window.defences, window.examine):
        window.desk.bring_up(view)
        image = view.empty.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width())
        rows, columns = np.nonzero(pixels != pixels[0, 0])
        assert 0 < np.ptp(columns) < 950 < view.empty.width(), "no line is longer"
        assert abs(columns.min() + columns.max() - image.width()) < 60, "they stand in the middle"
        assert rows.min() > 0 and rows.max() < image.height() - 1, "and none is cut"


def test_tab_reaches_cards_from_top_to_bottom(window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
                                                     tmp_path: Path) -> None:
    other = shutil.copy(small_lab.poisoned, tmp_path / "other.h5")
    for role, path in (("model", small_lab.badnet), ("validation", small_lab.clean), ("poisoned", small_lab.poisoned),
                       ("poisoned", other)):
        window.desk.choosing.open_as(role, path)
        settle(qtbot, window)
    window.activateWindow()
    first, met = window.inputs.model._pick, []
    first.setFocus()
    while True:
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
        if not window.inputs.isAncestorOf(window.focusWidget()):
            break
        met.append(window.focusWidget())
    tops = [widget.mapTo(window.inputs, widget.rect().topLeft()).y() for widget in met]
    assert met[-1] is window.inputs._add and tops == sorted(tops)


def test_empty_views_ask_for_nothing_that_is_done(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    for ready in (False, True):
        window.examine.set_ready(ready)
        window.defences.set_ready(ready, ready)
        assert ("Choose a model" in window.examine.empty.text()) is not ready
        assert ("Run the pruning" in window.defences.empty.text()) is not ready
    assert "Press Examine." in window.examine.empty.text()
    assert "Press Compare." in window.defences.empty.text()


def test_of_a_file_that_is_cut_off_that_is_said(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    whole = small_lab.clean.read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[:len(whole) // 2])
    window.desk.choosing.open_as("validation", tmp_path / "half.h5")
    settle(qtbot, window)
    said = window.inputs.validation._error.text()
    assert said.startswith("Is cut off") and "sblock" not in said
