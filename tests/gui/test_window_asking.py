"""The window's file dialogs: they start where a person last was, take new names, and replace nothing unasked."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from gui.defences.repair_dialog import RepairDialog
from gui.jobs.examining import Examined
from gui.main_window import MainWindow
from gui.session.chosen import ROLE_NAMES
from gui.settings import Settings
from gui.widgets import asking
from tests.gui.test_window_defences import open_small
from tests.support.engine_fixtures import small_lab  # noqa: F401
from tests.support.networks import SmallLab
from tests.support.window_driver import drop, press_run, settle

pytestmark = [
    # Newer versions of PySide take a QPointF here and older ones don't; QPoint is understood by all.
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]


class Dialogs:
    """Answers every file dialog, and keeps where each began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = ""
        self.began: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        for name in ("getOpenFileName", "getSaveFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda _parent, _title, start, *_: self._answered(start, ""))
        monkeypatch.setattr(QFileDialog, "getOpenFileNames",
                            lambda _parent, _title, start, *_: ([self._answered(start)], ""))
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda _parent, _title, start: self._answered(start))

    def _answered(self, start: str, *kind: str) -> str | tuple[str, ...]:
        self.began.append(start)
        self.meanwhile()
        return (self.answer, *kind) if kind else self.answer


@pytest.fixture
def dialogs(monkeypatch: pytest.MonkeyPatch) -> Dialogs:
    """All file dialogs, answered."""
    return Dialogs(monkeypatch)


def test_every_dialog_starts_where_a_person_last_was(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, dialogs: Dialogs,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    places = [tmp_path / name for name in ("one", "two", "three", "four", "five")]
    for place in places:
        place.mkdir()
    find = window.desk.menus.find
    names = places[0] / "names.txt"
    names.write_text("cat\n", encoding="utf-8")
    curve = {a.text(): a for a in window.curve.panel.export.button.menu().actions()}
    check = {b.text().replace("&", ""): b for b in window.check.findChildren(QAbstractButton)}
    for press, answer, last in (
        (check["Label names…"].click, str(names), places[0]),
        (check["Folder…"].click, str(places[1]), places[1]),
        (curve["Save &figure (PNG, SVG, PDF)…"].trigger, str(places[2] / "figure"), places[2]),
        (find("Save selected GoodNets").trigger, str(places[3]), places[3]),
        (find("Open run").trigger, "", places[3]),
    ):
        before = asking.last_folder(window)
        dialogs.answer = answer
        press()
        settle(qtbot, window)
        assert dialogs.began[-1] in (str(before), str(before / "curve.png"))
        assert asking.last_folder(window) == last
    assert drop(window, [names])
    settle(qtbot, window)
    assert asking.last_folder(window) == places[0]
    # Reading data again, which another model brings about, is nothing that a person did there.
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    assert asking.last_folder(window) == places[0]
    window.close()
    again = MainWindow(Settings(tmp_path / "settings.ini"))
    qtbot.addWidget(again)
    assert asking.last_folder(again) == places[0]
    again.close()


def test_a_run_a_pair_and_a_repaired_copy_are_saved_under_new_names(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, dialogs: Dialogs,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    asking.remember_folder(window, tmp_path)
    for button, suggested, name, file in (
        (window.run_bar.save, "badnet-goodnets", "my run", "run.json"),
        (window.result.save, "badnet-", "my pair", "goodnet.json"),
    ):
        dialogs.answer = str(tmp_path / name)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        settle(qtbot, window)
        assert Path(dialogs.began[-1]).name.startswith(suggested)
        assert (tmp_path / name / file).is_file()
        assert name in window.message_bar.text.text()
    # The next suggestion is a name that is free.
    (tmp_path / "badnet-goodnets").mkdir()
    dialogs.answer = ""
    qtbot.mouseClick(window.run_bar.save, Qt.MouseButton.LeftButton)
    assert Path(dialogs.began[-1]) == tmp_path / "badnet-goodnets-2"


def test_what_a_dialog_named_is_saved_whatever_came_on_show_meanwhile(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, dialogs: Dialogs,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    session, tasks, run, inputs = window.session, [], window.session.run, window.session.inputs
    examining = window.desk.examining
    examined = Examined(inputs.request(session.options), run.model.sha256, None, datetime.datetime(2026, 1, 1))
    other = dataclasses.replace(run, model=dataclasses.replace(run.model, path=tmp_path / "other.keras"),
                                request=dataclasses.replace(run.request, model=tmp_path / "other.keras"))

    def come_on_show() -> None:
        session.finish(other)
        session.learn(dataclasses.replace(inputs, model=dataclasses.replace(inputs.model, path=tmp_path / "other")))
        examining.examined = None

    def repair() -> None:
        window.defences.repair_button.click()
        window.findChild(RepairDialog).accept()

    settle(qtbot, window)
    monkeypatch.setattr(session, "submit", lambda task, *_, **__: tasks.append(task.args))
    dialogs.answer = str(tmp_path / "new")
    dialogs.meanwhile = come_on_show
    for press, task in ((window.run_bar.save.click, "save"), (repair, "repair"),
                        (window.defences.defend_button.click, "defend"),
                        (window.examine.save_requested.emit, "examined")):
        session.finish(run)
        session.learn(inputs)
        examining.examined = examined
        press()
        assert session.run is other and len(tasks) == 1
        found, *more = tasks.pop()
        if task == "save":
            assert found.model is run.model and more[:2] == [examined, tmp_path / "new"]
        elif task == "examined":
            assert found is examined
        else:
            assert found.model == small_lab.badnet


def test_a_folder_that_is_there_is_replaced_only_after_a_yes(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, dialogs: Dialogs,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    dialogs.answer = str(tmp_path / "mine")
    window.desk.saving.save_run(tmp_path / "mine")
    settle(qtbot, window)
    before = (tmp_path / "mine" / "run.json").stat().st_mtime_ns
    asked: list[str] = []
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *words: asked.append(words[2]) or answers[len(asked) - 1])
    for replaced in (False, True):
        qtbot.mouseClick(window.run_bar.save, Qt.MouseButton.LeftButton)
        settle(qtbot, window)
        assert ((tmp_path / "mine" / "run.json").stat().st_mtime_ns != before) is replaced
    assert len(asked) == 2 and all("already holds mine." in text for text in asked)


def test_what_many_sets_are_for_is_asked_one_at_a_time_and_the_rest_can_be_left_out(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    sets = [tmp_path / f"faces {letter}.h5" for letter in "abcdefg"]
    for path in sets:
        path.write_bytes(small_lab.clean.read_bytes())

    def press(text: str) -> str:
        """Answer the one question there is; what it asked."""
        box, = (box for box in window.findChildren(QMessageBox) if box.isVisible())
        question = box.text()
        next(button for button in box.buttons() if button.text() == text).click()
        settle(qtbot, window)
        return question

    assert drop(window, sets)
    settle(qtbot, window)
    assert {window.session.inputs.validation.path, window.session.inputs.test.path} == set(sets[:2])
    asked = press(ROLE_NAMES["poisoned"])
    assert "faces c.h5" in asked and "4 more wait" in asked
    assert [item.path for item in window.session.inputs.poisoned] == [sets[2]]
    assert "faces d.h5" in press("Leave this one out")
    assert "faces e.h5" in press(ROLE_NAMES["test"])
    assert window.session.inputs.test.path == sets[4]
    assert "1 more waits" in press("Leave out all the rest")
    assert not any(box.isVisible() for box in window.findChildren(QMessageBox))
    assert [item.path for item in window.session.inputs.poisoned] == [sets[2]]
