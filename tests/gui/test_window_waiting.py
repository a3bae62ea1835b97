"""Where there is nothing yet, nobody is told to press something while something runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from engine.pruning.sweep import PruningCurve
from gui.main_window import MainWindow
from gui.messages import Action, Message
from gui.session.session import State
from tests.gui.test_window_defences import open_small
from tests.support.examinations import hurry
from tests.support.networks import SmallLab
from tests.support.window_driver import PATIENCE_MS, press_run, repeated, settle

ADVICE = ("press", "run the pruning", "choose a model")


def told(window: MainWindow, view: int) -> str:
    """What a view says while it is empty."""
    window.desk.pages.setCurrentWidget(window.tabs)
    window.tabs.setCurrentIndex(view)
    shown = window.tabs.widget(view)
    assert shown is not None
    texts = [label.text() for label in shown.findChildren(QLabel) if label.isVisible()]
    return "\n".join(text for text in texts if "\n\n" in text)


@pytest.mark.parametrize("view", range(6))
def test_no_view_says_press_beside_a_running_bar(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, view: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    hurry(monkeypatch)
    window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", small_lab.clean)], "The lab.")
    settle(qtbot, window)
    assert view == 5 or any(word in told(window, view).lower() for word in ADVICE)
    seen: dict[State, str] = {}
    window.session.state_changed.connect(lambda state: seen.setdefault(state, told(window, view)))
    window.examine.button.click()
    assert window.run_bar.bar.isVisibleTo(window)
    first = told(window, view).lower().partition("wait for what is running")[0]
    assert not any(word in first for word in ADVICE), first
    settle(qtbot, window)
    assert any(state.busy for state in seen)


def test_what_was_asked_for_says_that_it_goes_on(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", small_lab.clean)], "The lab.")
    settle(qtbot, window)
    window.examine.button.click()
    assert window.examine.going_on.isVisibleTo(window.examine)
    assert window.examine.going_on.text().startswith("The examination goes on")
    assert "Then press Compare" in window.defences.empty.text()
    window.session.cancel()
    settle(qtbot, window)
    assert window.examine.empty.isVisibleTo(window.examine)
    assert "Press Examine" in window.examine.empty.text()


def test_thresholds_that_are_edited_during_a_run_leave_its_curve_on_show(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    first = window.session.run
    assert first and window.curve.panel
    window.desk.choosing.open_as("validation", repeated(small_lab.clean, 400, tmp_path / "many.h5"))
    settle(qtbot, window)
    with qtbot.waitSignal(window.desk.pruning.curve_changed, timeout=PATIENCE_MS):
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    counted = window.curve.panel._curve
    assert counted is not first.curve
    window.goodnets.drops_edited.emit((5.0,), "points", "first-past")
    assert window.curve.panel._curve is counted
    assert {row.x for row in window.curve.panel._rows} <= {5.0}
    assert [row.x for row in window.desk.pruning.rows] == [5.0], "the table is still the run's before"
    window.session.cancel()
    settle(qtbot, window)
    assert window.curve.panel._curve is first.curve
    window.goodnets.drops_edited.emit((4.0,), "points", "first-past")
    assert window.curve.panel._curve is first.curve


def test_the_whole_curve_is_shown_while_the_guard_is_calibrated(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However soon it follows the one before it: nothing comes after it that would replace it."""
    monkeypatch.setattr("gui.jobs.pruning.SECONDS_BETWEEN_REPORTS", 3600.0)
    open_small(qtbot, window, small_lab)
    shown: list[PruningCurve] = []
    window.desk.pruning.curve_changed.connect(lambda curve, rows, plausible: shown.append(curve))
    press_run(qtbot, window)
    run = window.session.run
    assert run and run.guarded and len(shown) > 2
    *_, last, whole = shown
    assert last.complete and last is not whole
    for now, end in zip(last.sets, whole.sets, strict=True):
        np.testing.assert_array_equal(now.correct, end.correct)


@pytest.mark.parametrize("lasting", [True, False])
def test_only_a_lasting_message_outlives_that_something_else_is_asked_for(
    lasting: bool, window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", small_lab.clean)], "The lab.")
    settle(qtbot, window)
    pressed: list[bool] = []
    offered = Message("A run is kept.", lasting=lasting, action=Action("Bring back", lambda: pressed.append(True)))
    window.session.message.emit(offered)
    shown = window.message_bar if lasting else window.status
    assert shown.text.text() == offered.text and shown.action.isVisible()
    window.desk.menus.find("Examine").trigger()
    qtbot.waitUntil(lambda: window.session.state.busy)
    assert shown.action.isVisible() == lasting and window.message_bar.isVisible() == lasting
    assert not window.status.text.text()
    if lasting:
        qtbot.mouseClick(shown.action, Qt.MouseButton.LeftButton)
        assert pressed
    window.session.cancel()
    settle(qtbot, window)
    assert "Cancelled" in window.status.text.text() and not window.message_bar.isVisible(), "another one came"


def test_what_is_lasting_gives_way_to_no_plain_message(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    warning = Message("2 of its files lie outside its folder.", lasting=True)
    window.session.message.emit(warning)
    window.session.message.emit(Message("Opened faces.h5."))
    assert window.message_bar.isVisible() and window.message_bar.text.text() == warning.text
    assert window.status.text.isVisible() and window.status.text.text() == "Opened faces.h5."
    window.session.message.emit(Message("faces.h5: isn't a data set.", "error"))
    assert window.message_bar.text.text().startswith("faces.h5: ") and not window.status.text.isVisible()
    window.session.message.emit(Message("Opened faces.h5."))
    assert not window.message_bar.isVisible(), "errors last no longer than before"


@pytest.mark.parametrize("then", ["another change", "undone by its key", "its button"])
def test_a_lasting_message_undoes_what_it_tells_of_and_nothing_else(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, then: str,
) -> None:
    choosing, session, bar = window.desk.choosing, window.session, window.message_bar
    choosing.open_as("validation", small_lab.clean)
    session.message.emit(Message("2 of its files lie outside.", lasting=True,
                                 action=Action("Undo", session.history.undo)))
    assert bar.action.isVisible()
    if then == "another change":
        choosing.open_as("test", small_lab.test)
        assert bar.isVisible() and not bar.action.isVisible() and window.status.action.isVisible()
    elif then == "undone by its key":
        window.desk.menus.find("Undo").trigger()
        assert not bar.isVisible() and "Undone" in window.status.text.text()
    else:
        qtbot.mouseClick(bar.action, Qt.MouseButton.LeftButton)
        assert not bar.isVisible() and session.inputs.validation is None
    settle(qtbot, window)


def test_an_error_is_gone_once_something_else_is_asked_for(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", small_lab.clean)], "The lab.")
    window.desk.keeping.reopen(small_lab.clean.parent / "no-run")
    settle(qtbot, window)
    assert "no such folder" in window.message_bar.text.text() and window.message_bar.isVisible()
    window.desk.menus.find("Examine").trigger()
    qtbot.waitUntil(lambda: window.session.state.busy)
    assert not window.message_bar.isVisible() and not window.status.text.text()
    window.session.cancel()
    settle(qtbot, window)
    assert "Cancelled" in window.status.text.text()
