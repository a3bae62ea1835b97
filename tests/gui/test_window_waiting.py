"""Where there is nothing yet, nobody is told to press something while something runs."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.session.session import State
from tests.support.examinations import hurry
from tests.support.networks import SmallLab
from tests.support.window_driver import settle

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
    assert "then press Examine" in window.examine.empty.text()
