"""Everything can be reached and told apart without a mouse and without seeing it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QColor
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenu, QScrollArea, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.messages import Message
from gui.session.session import State
from gui.widgets.buttons import PrimaryButton
from gui.window.shortcuts import ShortcutList
from tests.gui.test_window_defences import open_small
from tests.support.comparisons import comparison
from tests.support.curves import curve, rows
from tests.support.examinations import examination
from tests.support.networks import SmallLab
from tests.support.window_driver import settle

TABS = range(7)


@pytest.fixture
def filled(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    """The window with something in every view, the options open and a message that has buttons."""
    settle(qtbot, window)  # what draws curves is imported on another thread
    window.curve.show_curve(curve(), rows(curve(), 2, 10))
    window.goodnets.show_rows(rows(curve(), 2, 10), [99.0])
    window.defences.show_comparison(comparison())
    window.examine.show_examination(examination())
    window.check.show_goodnet("a pair", 10)
    window.check.offer("Chec&k the same picture again", [tmp_path])
    window.check.show_samples(16)
    window.run_bar._toggle.setChecked(True)
    window.show_message(Message("Saved.", folder=tmp_path))
    return window


def letter_of(text: str) -> str:
    """The letter that works with Alt; empty for none."""
    found = re.search("&(.)", text.replace("&&", ""))
    return found[1].lower() if found else ""


def visible(window: MainWindow) -> Iterator[QWidget]:
    return (widget for widget in window.findChildren(QWidget) if widget.isVisible())


def alt_texts(window: MainWindow) -> Iterator[str]:
    """All texts on screen whose underlined letter works with Alt."""
    yield from (action.text() for action in window.menuBar().actions())
    for widget in visible(window):
        if isinstance(widget, QAbstractButton) or (isinstance(widget, QLabel) and widget.buddy()):
            yield widget.text()
        elif isinstance(widget, QTabBar):
            yield from (widget.tabText(i) for i in range(widget.count()))


def page(window: MainWindow, tab: int) -> None:
    assert window.tabs.count() == len(TABS), "a view that isn't looked at"
    window.desk.pages.setCurrentWidget(window.tabs)
    window.tabs.setCurrentIndex(tab)


@pytest.mark.parametrize("tab", TABS)
def test_alt_and_a_letter_mean_one_thing(filled: MainWindow, tab: int) -> None:
    page(filled, tab)
    found = [(letter, text) for text in alt_texts(filled) if (letter := letter_of(text))]
    many = {letter for letter, count in Counter(letter for letter, _ in found).items() if count > 1}
    assert [text for letter, text in found if letter in many] == []
    assert len(found) > 8


def test_alt_and_a_letter_mean_one_thing_at_the_start(window: MainWindow) -> None:
    letters = Counter(letter for text in alt_texts(window) if (letter := letter_of(text)))
    assert [letter for letter, count in letters.items() if count > 1] == []


def test_letters_in_menus_mean_one_thing(filled: MainWindow) -> None:
    menus = filled.menuBar().findChildren(QMenu)
    assert len(menus) > 5
    for menu in menus:
        letters = Counter(letter for action in menu.actions() if (letter := letter_of(action.text())))
        assert [letter for letter, count in letters.items() if count > 1] == [], menu.title()


@pytest.mark.parametrize("tab", TABS)
def test_no_underline_is_seen_as_a_character(filled: MainWindow, tab: int) -> None:
    page(filled, tab)
    labels = [widget for widget in visible(filled) if isinstance(widget, QLabel) and not widget.buddy()]
    assert [label.text() for label in labels if letter_of(label.text())] == []


@pytest.mark.parametrize("tab", TABS)
def test_every_stop_of_the_tab_key_has_a_name(filled: MainWindow, tab: int) -> None:
    page(filled, tab)
    stops = [widget for widget in visible(filled) if widget.isEnabled() and widget.focusProxy() is None
             and widget.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert len(stops) > 10
    nameless = [widget for widget in stops if not name_of(widget).strip()]
    assert [(type(widget).__name__, widget.toolTip()) for widget in nameless] == []
    assert [name for widget in stops if "&" in (name := name_of(widget))] == []


@pytest.mark.parametrize("tab", TABS)
def test_a_page_has_one_button_in_the_colour_of_the_next_step(filled: MainWindow, tab: int) -> None:
    page(filled, tab)
    found = [button.text() for button in filled.tabs.findChildren(PrimaryButton) if button.isVisible()]
    assert len(found) <= 1, found


def test_what_scrolls_is_a_stop_of_the_tab_key_and_is_ringed(
    filled: MainWindow, qtbot: QtBot,
) -> None:
    """And what has room for all of it is none."""
    filled.activateWindow()
    filled.desk.bring_up(filled.examine)
    area = next(area for area in filled.examine.findChildren(QScrollArea) if area.accessibleName() == "Evidence")
    for height, scrolls in ((1600, False), (560, True)):
        filled.resize(1280, height)
        qtbot.waitUntil(lambda scrolls=scrolls: (area.verticalScrollBar().maximum() > 0) is scrolls)
        assert bool(area.focusPolicy() & Qt.FocusPolicy.TabFocus) is scrolls
    before = area.grab().toImage()
    area.setFocus()
    qtbot.waitUntil(area.hasFocus)
    accent, ringed = QColor(filled.theme.accent), area.grab().toImage()
    assert before.pixelColor(0, 0) != accent
    assert {ringed.pixelColor(x, y).name() for x in (0, 9) for y in (0, 1)} == {accent.name()}
    others = [widget for widget in visible(filled) if isinstance(widget, QScrollArea)]
    assert len(others) > 1
    for other in others:
        scrolls = other.verticalScrollBar().maximum() > 0 or other.horizontalScrollBar().maximum() > 0
        assert bool(other.focusPolicy() & Qt.FocusPolicy.TabFocus) is scrolls, other.accessibleName()


def name_of(widget: QWidget) -> str:
    """What a screen reader says."""
    found = QAccessible.queryAccessibleInterface(widget)
    assert found is not None
    return found.text(QAccessible.Text.Name)


@pytest.mark.parametrize("kind", ["May lose", "Count on", "False alarms"])
def test_escape_in_a_field_takes_back_what_was_typed_before_it_cancels_anything(
    kind: str, window: MainWindow, qtbot: QtBot,
) -> None:
    bar = window.run_bar
    field = {"May lose": window.goodnets.editor.field, "Count on": bar._cluster,
             "False alarms": bar._false_alarms}[kind]
    bar._toggle.click()
    window.desk.choosing.open_sample()
    settle(qtbot, window)
    window.desk.bring_up(window.goodnets)
    before, options = field.text(), window.session.options
    window.session.submit(lambda context: context.cancel._event.wait(60), lambda _: None, needs_engine=False)
    field.setFocus()
    assert field.isVisible()
    qtbot.keyClicks(field, "1")
    assert field.text() != before
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert window.session.state is State.RUNNING and field.text() == before
    window.run_bar.cancel.setFocus()
    assert window.session.options == options
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_Escape)  # nothing is typed there: it is the key it is elsewhere
    assert window.session.state is State.CANCELLING
    settle(qtbot, window)


def test_escape_in_a_field_that_came_later_takes_back_what_was_typed(window: MainWindow, qtbot: QtBot) -> None:
    """As the curve's step box, which is made with the first curve."""
    settle(qtbot, window)
    window.desk.bring_up(window.curve)
    window.curve.show_curve(curve(), rows(curve(), 2))
    assert window.curve.panel is not None
    box = window.curve.panel.readout.step_box
    window.session.submit(lambda context: context.cancel._event.wait(60), lambda _: None, needs_engine=False)
    box.setFocus()
    box.selectAll()
    before = box.text()
    qtbot.keyClicks(box, "7")
    assert box.text() != before
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert window.session.state is State.RUNNING and box.text() == before
    window.session.cancel()
    settle(qtbot, window)


@pytest.mark.qt_log_ignore("This plugin does not support raise", extend=True)
def test_the_list_of_shortcuts_holds_every_one(window: MainWindow, qtbot: QtBot) -> None:
    window.desk.menus.find("Keyboard shortcuts").trigger()
    shown = window.findChild(ShortcutList)
    assert shown is not None and shown.isVisible()
    text = shown.browser.toPlainText()
    shortcuts = [action for menu in window.menuBar().findChildren(QMenu) for action in menu.actions()
                 if not action.shortcut().isEmpty()]
    assert len(shortcuts) > 20
    for action in shortcuts:
        assert action.text().replace("&", "").rstrip("…") in text
        assert action.shortcut().toString() in text
    for key in ("Page Up", "Home"):
        assert key in text, "keys of the curve"
    window.desk.menus.find("Keyboard shortcuts").trigger()
    assert len(window.findChildren(ShortcutList)) == 1


def test_the_key_of_run_takes_what_was_just_typed(window: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> None:
    open_small(qtbot, window, small_lab)
    window.activateWindow()
    bar, run = window.run_bar, window.desk.menus.find("Run")
    bar._toggle.click()
    for field, text, asked in ((bar._false_alarms, "7", lambda: window.desk.pruning.running.false_alarms == 0.07),
                               (bar._cluster, "odd", lambda: window.desk.pruning.running.cluster == "odd")):
        field.setFocus()
        qtbot.waitUntil(field.hasFocus)
        field.selectAll()
        qtbot.keyClicks(field, text)
        run.trigger()
        assert asked() and field.hasFocus(), "and the field can be typed in again"
        window.session.cancel()
        settle(qtbot, window)
