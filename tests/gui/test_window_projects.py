"""Projects in the window: saved, opened, dropped, left; files that moved or changed; the start page."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import h5py
import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QFileDialog, QLabel, QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from engine.records.autosave import SAVED_ENDING
from engine.records.project import make_project, read_project, save_project
from engine.runs.prune import PruningRequest
from gui.main_window import MainWindow
from gui.projects.lost_files import LostFiles
from gui.session.belonging import identity
from gui.session.session import State
from gui.settings import Settings
from tests.support.networks import LABELS, SmallLab
from tests.support.window_driver import drop, press_run, settle, work_under_way


@pytest.fixture
def project(lab: SmallLab, tmp_path: Path) -> Path:
    """A project that somebody saved, with settings of its own."""
    request = PruningRequest(lab.badnet, lab.clean, lab.test, (lab.poisoned,), layer="pruned", scale="none",
                             drops=(3.0, 20.0), stop="last-within", guard="none", false_alarms=0.1)
    save_project(make_project(request), tmp_path / "faces.goodnet")
    return tmp_path / "faces.goodnet"


def press(window: MainWindow, keys: str) -> None:
    """Choose the action of a shortcut."""
    (action,) = (a for menu in window.menuBar().actions() for a in menu.menu().actions()
                 if a.shortcut() == QKeySequence(keys))
    action.trigger()


def name_as(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def point_at(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: QMessageBox.StandardButton) -> list[str]:
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *a: asked.append(a[2]) or answer)
    return asked


def chosen(window: MainWindow) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for item in window.session.inputs.all:
        paths.setdefault(item.role, []).append(item.path)
    return paths


def open_lab_files(window: MainWindow, lab: SmallLab, qtbot: QtBot) -> None:
    window.desk.choosing.open_all([("model", lab.badnet), ("validation", lab.clean), ("test", lab.test),
                                   ("poisoned", lab.poisoned)], "Opened the lab")
    settle(qtbot, window)


def open_over_another(window: MainWindow, project: Path, lab: SmallLab, first: Path, qtbot: QtBot,
                      monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the lab's files as one project, and open another in its place."""
    open_lab_files(window, lab, qtbot)
    name_as(monkeypatch, first)
    press(window, "Ctrl+S")
    settle(qtbot, window)
    window.desk.opening.open_paths([project])
    settle(qtbot, window)


@pytest.fixture(autouse=True)
def discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that a test leaves open are closed after it, and then ask about changes."""
    answer_with(monkeypatch, QMessageBox.StandardButton.Discard)


def test_save_and_open_bring_everything_back(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    press(window, "Ctrl+S")  # nothing is chosen: nothing is asked
    open_lab_files(window, lab, qtbot)
    assert window.windowTitle() == f"{lab.badnet.name} – GoodNet"
    press_run(qtbot, window)
    window.session.name_labels([f"person {n}" for n in range(LABELS)])
    options = window.session.options
    name_as(monkeypatch, tmp_path / "mine")
    press(window, "Ctrl+S")
    settle(qtbot, window)
    saved = tmp_path / "mine.goodnet"
    project = read_project(saved)
    assert project.request.model == lab.badnet and project.request.poisoned == (lab.poisoned,)
    assert project.request.guard == options.guard and project.request.drops == options.drops
    best = window.goodnets.headline.figures.text()
    assert project.result and f"{100 * project.result.clean_accuracy:.2f}"[:4] in best.replace("\u00a0", " ")
    assert window.windowTitle() == f"mine[*] – {lab.badnet.name} – GoodNet" and not window.isWindowModified()

    other = MainWindow(Settings(tmp_path / "other.ini"))
    qtbot.addWidget(other)
    assert drop(other, [saved])
    settle(qtbot, other)
    assert chosen(other) == chosen(window) and other.session.options == options
    assert other.session.names == tuple(f"person {n}" for n in range(LABELS))
    assert other.session.inputs.chosen_layer == "pruned" and other.session.state is State.DONE
    assert other.windowTitle() == f"mine[*] – {lab.badnet.name} – GoodNet" and not other.isWindowModified()
    other.close()


@pytest.mark.parametrize("left", ["kept", "saved beside it", "nothing", "what somebody edited", "other images"])
def test_a_project_s_last_run_is_on_show_again_as_far_as_it_is_there(
        left: str, window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot,
        monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    window.session.set_options(dataclasses.replace(window.session.options, guard="none"))
    press_run(qtbot, window)
    run, kept = window.session.run, window.desk.keeping.folder
    window.session.set_options(dataclasses.replace(window.session.options, drops=(3.0, 20.0)))
    name_as(monkeypatch, tmp_path / "mine")
    press(window, "Ctrl+S")
    if left == "saved beside it":
        window.desk.saving.save_run(tmp_path / f"badnet{SAVED_ENDING}")
    settle(qtbot, window)
    shown = window.goodnets.headline.figures.text(), [row.data(0) for row in cells(window)]
    (file,) = kept.glob("*/run.json")
    if left in ("saved beside it", "nothing"):
        file.unlink()
    elif left == "what somebody edited":
        file.write_text(file.read_text().replace('"device"', ' "device"'))
    elif left == "other images":
        with h5py.File(lab.poisoned, "a") as images:
            images["data"][...] = images["data"][()][::-1]
    monkeypatch.setattr("gui.jobs.pruning.run_pruning", lambda *_, **__: pytest.fail("computed again"))
    other = MainWindow(Settings(tmp_path / "settings.ini"))
    qtbot.addWidget(other)
    other.desk.projects.open(tmp_path / "mine.goodnet")
    settle(qtbot, other)
    said, back = other.status.text.toolTip() + other.message_bar.text.text(), other.session.run
    if left == "kept":
        assert identity(back) == identity(run) and other.session.state is State.DONE and not other.isWindowModified()
        assert (other.goodnets.headline.figures.text(), [row.data(0) for row in cells(other)]) == shown
        assert "Its last run is on show; nothing was computed again." in said
    elif left == "saved beside it":
        assert back is None and other.session.state is State.READY, "anybody may have written its figures"
        assert f"A run with its last result lies in {tmp_path / f'badnet{SAVED_ENDING}'}; drop that folder" in said
        assert drop(other, [tmp_path / f"badnet{SAVED_ENDING}"])
        settle(qtbot, other)
        assert identity(other.session.run) == identity(run)
    else:
        assert back is None and other.session.state is State.READY
        assert ("wasn't found as it was" in said) == (left != "other images")
    other.close()


def test_a_project_s_last_run_takes_no_other_run_s_place(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    window.session.set_options(dataclasses.replace(window.session.options, guard="none"))
    press_run(qtbot, window)
    name_as(monkeypatch, tmp_path / "mine")
    press(window, "Ctrl+S")
    settle(qtbot, window)
    window.session.set_options(dataclasses.replace(window.session.options, rank_at="conv"
                                                   if window.session.options.rank_at == "pool" else "pool"))
    press_run(qtbot, window)
    other, said = window.session.run, list[str]()
    window.session.message.connect(lambda message: said.append(message.text))
    window.desk.projects.open(tmp_path / "mine.goodnet")
    settle(qtbot, window)
    assert window.session.run is other
    assert any("Its last run is kept; the tab Runs brings it back." in sentence for sentence in said)


def cells(window: MainWindow) -> list[QModelIndex]:
    """Of the table of GoodNets."""
    table = window.goodnets.model
    return [table.index(row, column) for row in range(table.rowCount()) for column in range(table.columnCount())]


def test_too_few_names_of_a_project_are_dropped_with_a_sentence(
        window: MainWindow, project: Path, qtbot: QtBot) -> None:
    request = dataclasses.replace(read_project(project).request, classes=("Nils", "Amara"))
    save_project(make_project(request), project)
    said: list[str] = []
    window.session.message.connect(lambda message: said.append(message.text))
    window.desk.projects.open(project)
    settle(qtbot, window)
    assert tuple(window.session.names) == ()
    assert f"badnet.keras has {LABELS} labels, so the list of 2 label names isn't used any more." in said


def test_names_that_came_with_the_model_stay_the_model_s(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    names = tuple(f"kind {n}" for n in range(LABELS))
    window.session.name_labels(names, lab.badnet)  # as the sample's come
    name_as(monkeypatch, tmp_path / "mine")
    press(window, "Ctrl+S")
    settle(qtbot, window)
    window.desk.choosing.open_all([], "Nothing")
    window.session.name_labels(())
    window.desk.projects.open(tmp_path / "mine.goodnet")
    settle(qtbot, window)
    assert window.session.names == names and not window.isWindowModified()
    other = Path(shutil.copy(lab.badnet, tmp_path / "other.keras"))
    window.desk.choosing.open_as("model", other)
    settle(qtbot, window)
    assert tuple(window.session.names) == ()
    lab.badnet.unlink()
    window.desk.projects.open(tmp_path / "mine.goodnet")
    settle(qtbot, window)
    window.desk.projects.point_to(window.desk.projects._lost[0].file, other)
    settle(qtbot, window)
    assert window.session.inputs.model.path == other and window.session.names == names, "it is the same one, moved"


def test_the_title_marks_changes_and_ctrl_s_saves_them(window: MainWindow, project: Path, qtbot: QtBot) -> None:
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    assert not window.isWindowModified()
    assert window.session.options.drops == (3.0, 20.0) and window.session.options.guard == "none"
    window.session.set_options(Settings().options)
    assert window.isWindowModified()
    press(window, "Ctrl+S")
    settle(qtbot, window)
    assert not window.isWindowModified()
    assert read_project(project).request.drops == window.session.options.drops
    press_run(qtbot, window)
    assert window.isWindowModified()  # by the run's result
    press(window, "Ctrl+S")
    settle(qtbot, window)
    window.desk.choosing.remove("test", window.session.inputs.test.path)
    assert window.isWindowModified()
    press(window, "Ctrl+S")
    settle(qtbot, window)
    assert read_project(project).result is None  # the run was of other inputs


def test_save_as_adds_the_ending_and_asks_before_it_replaces(
        window: MainWindow, project: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    before, other = project.read_bytes(), project.with_name("other.goodnet")
    name_as(monkeypatch, project.with_suffix(""))
    asked = answer_with(monkeypatch, QMessageBox.StandardButton.Cancel)
    window.session.set_options(Settings().options)
    press(window, "Ctrl+Shift+S")
    settle(qtbot, window)
    assert len(asked) == 1 and "faces.goodnet" in asked[0] and project.read_bytes() == before
    other.write_text("my diary")
    name_as(monkeypatch, other)
    answer_with(monkeypatch, QMessageBox.StandardButton.Yes)
    press(window, "Ctrl+Shift+S")
    settle(qtbot, window)
    assert other.read_text() == "my diary" and "isn't a project of this program" in window.message_bar.text.text()
    assert window.isWindowModified() and window.windowTitle().startswith("faces")
    answer_with(monkeypatch, QMessageBox.StandardButton.Discard)


@pytest.mark.parametrize("answer", ["Save", "Discard", "Cancel"])
def test_leaving_asks_for_changes(
        answer: str, window: MainWindow, project: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    asked = answer_with(monkeypatch, QMessageBox.StandardButton[answer])
    window.session.set_options(Settings().options)
    press(window, "Ctrl+Q")
    if answer == "Save":
        qtbot.waitUntil(lambda: not window.isVisible())
    assert window.isVisible() == (answer == "Cancel")
    assert (read_project(project).request.drops == (3.0, 20.0)) == (answer != "Save")
    assert len(asked) == 1 and "faces.goodnet" in asked[0]
    answer_with(monkeypatch, QMessageBox.StandardButton.Discard)


def test_leaving_offers_no_save_where_a_project_lacks_what_it_must_hold(
        window: MainWindow, project: Path, lab: SmallLab, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    window.desk.choosing.remove("validation", lab.clean)
    settle(qtbot, window)
    offered: list[QMessageBox.StandardButton] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *a: offered.append(a[3]) or QMessageBox.StandardButton.Cancel)
    press(window, "Ctrl+Q")
    assert window.isVisible() and offered == [QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel]
    asked = answer_with(monkeypatch, QMessageBox.StandardButton.Discard)
    press(window, "Ctrl+Q")
    assert not window.isVisible() and "clean validation images" in asked[0]


def test_a_project_that_was_opened_and_undone_is_left_as_it_is(
        window: MainWindow, project: Path, lab: SmallLab, tmp_path: Path, qtbot: QtBot,
        monkeypatch: pytest.MonkeyPatch) -> None:
    untouched = project.read_bytes()
    open_over_another(window, project, lab, tmp_path / "first", qtbot, monkeypatch)
    assert window.desk.projects.path == project
    window.session.history.undo()
    settle(qtbot, window)
    assert window.desk.projects.path == tmp_path / "first.goodnet" and not window.isWindowModified()
    window.session.set_options(dataclasses.replace(window.session.options, drops=(7.0,)))
    press(window, "Ctrl+S")
    settle(qtbot, window)
    assert project.read_bytes() == untouched
    assert read_project(tmp_path / "first.goodnet").request.drops == (7.0,)


def test_a_project_that_is_undone_while_it_is_saved_stays_undone(
        window: MainWindow, project: Path, lab: SmallLab, tmp_path: Path, qtbot: QtBot,
        monkeypatch: pytest.MonkeyPatch) -> None:
    open_over_another(window, project, lab, tmp_path / "first", qtbot, monkeypatch)
    with work_under_way(window):
        press(window, "Ctrl+S")
        window.session.history.undo()
    settle(qtbot, window)
    assert window.desk.projects.path == tmp_path / "first.goodnet" and not window.isWindowModified()


def test_the_last_of_saves_that_wait_is_the_project_that_is_open(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    with work_under_way(window):
        for name in ("first", "second"):
            name_as(monkeypatch, tmp_path / name)
            press(window, "Ctrl+Shift+S")
            window.session.set_options(dataclasses.replace(window.session.options, drops=(7.0,)))
    settle(qtbot, window)
    assert window.desk.projects.path == tmp_path / "second.goodnet" and not window.isWindowModified()


def test_stop_and_close_stops_before_it_saves(
        window: MainWindow, project: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    asked = answer_with(monkeypatch, QMessageBox.StandardButton.Save)
    window.session.set_options(Settings().options)
    window.session.submit(lambda context: context.cancel._event.wait(60), print, needs_engine=False)
    press(window, "Ctrl+Q")
    (box,) = (b for b in window.findChildren(QMessageBox) if b.isVisible())
    qtbot.mouseClick(next(b for b in box.buttons() if b.text() == "Stop and close"), Qt.MouseButton.LeftButton)
    assert window.session.state is State.CANCELLING
    qtbot.waitUntil(lambda: not window.isVisible())
    assert len(asked) == 1 and read_project(project).request.drops == Settings().options.drops


def test_a_save_that_waits_is_told_of_and_not_lost_by_leaving(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    window.session.submit(lambda context: context.cancel._event.wait(60), print, needs_engine=False)
    name_as(monkeypatch, tmp_path / "mine.goodnet")
    press(window, "Ctrl+Shift+S")
    assert window.status.text.text() == "Saving the project mine.goodnet once the work under way has ended…"
    window._leave()
    assert window.isVisible() and not (tmp_path / "mine.goodnet").exists()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert read_project(tmp_path / "mine.goodnet").request.model == lab.badnet


def test_the_window_stays_where_the_save_before_fails(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    (tmp_path / "mine.goodnet").write_text("my diary")
    name_as(monkeypatch, tmp_path / "mine.goodnet")
    answer_with(monkeypatch, QMessageBox.StandardButton.Yes)
    press(window, "Ctrl+Shift+S")
    assert window.status.text.text() == "Saving the project mine.goodnet…"
    window.close()
    settle(qtbot, window)
    assert window.isVisible() and "isn't a project of this program" in window.message_bar.text.text()
    window.close()
    assert not window.isVisible()


def test_opening_another_project_asks_for_changes(
        window: MainWindow, project: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path(shutil.copy(project, project.with_name("other.goodnet")))
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    window.session.set_options(Settings().options)
    point_at(monkeypatch, other)
    asked = answer_with(monkeypatch, QMessageBox.StandardButton.Cancel)
    press(window, "Ctrl+Shift+P")
    assert drop(window, [other])
    settle(qtbot, window)
    assert window.windowTitle().startswith("faces") and len(asked) == 2
    answer_with(monkeypatch, QMessageBox.StandardButton.Save)
    press(window, "Ctrl+Shift+P")
    settle(qtbot, window)
    assert window.windowTitle().startswith("other")
    assert read_project(project).request.drops == Settings().options.drops


def test_what_moved_is_named_and_found_with_one_answer(
        window: MainWindow, lab: SmallLab, project: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    there = lab.badnet.parent.with_name("there")
    there.mkdir()
    for path in (lab.badnet, lab.poisoned, lab.test):
        path.rename(there / path.name)
    (there / lab.test.name).write_bytes(b"another test set")
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    lost = window.findChild(LostFiles)
    assert lost.isVisible() and [card.looked.file.path for card in lost.cards] == [lab.badnet, lab.test, lab.poisoned]
    for card in lost.cards:
        shown = " ".join(label.toolTip() + label.text() for label in card.findChildren(QLabel))
        assert str(card.looked.file.path) in shown and "isn't there any more" in shown.lower()
        assert all(label.textFormat() == Qt.TextFormat.PlainText for label in card.findChildren(QLabel) if label.text())
    assert window.session.inputs.model.error and window.session.state is State.EMPTY
    point_at(monkeypatch, there / lab.badnet.name)
    qtbot.mouseClick(lost.cards[0].find_button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    # The poisoned set lay beside the model and is what it was; the test set there is another one.
    assert [card.looked.file.path for card in lost.cards] == [lab.test]
    assert chosen(window)["poisoned"] == [there / lab.poisoned.name] and window.session.inputs.chosen_layer == "pruned"
    point_at(monkeypatch, lab.clean)
    qtbot.mouseClick(lost.cards[0].find_button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert not lost.isVisible() and window.session.state is State.READY and window.isWindowModified()
    press(window, "Ctrl+S")
    settle(qtbot, window)
    assert read_project(project).request.model == there / lab.badnet.name and not window.isWindowModified()


@pytest.mark.parametrize("was", ["train-images-idx3-ubyte", "faces-1.0"])
def test_what_moved_is_looked_for_as_a_file_or_a_folder_whatever_it_is_called(
        was: str, window: MainWindow, lab: SmallLab, project: Path, tmp_path: Path, qtbot: QtBot,
        monkeypatch: pytest.MonkeyPatch) -> None:
    clean = Path(shutil.copy(lab.clean, tmp_path / was))
    save_project(make_project(dataclasses.replace(read_project(project).request, validation=clean)), project)
    clean.unlink()
    lab.badnet.unlink()
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    lost = window.findChild(LostFiles)
    model, images = lost.cards
    assert not model.folder_button.isVisible() and images.folder_button.isVisible()
    (tmp_path / "pictures").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "pictures"))
    point_at(monkeypatch, lab.test)
    button, place = (images.folder_button, tmp_path / "pictures") if "." in was else (images.find_button, lab.test)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert chosen(window)["validation"] == [place]


def test_what_changed_is_named_and_can_be_used_as_it_is(
        window: MainWindow, lab: SmallLab, project: Path, qtbot: QtBot) -> None:
    shutil.copy(lab.test, lab.clean)
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    lost = window.findChild(LostFiles)
    (card,) = lost.cards
    assert card.looked.file.path == lab.clean and "isn't what it was" in " ".join(
        label.text() for label in card.findChildren(QLabel)).lower()
    qtbot.mouseClick(card.use_button, Qt.MouseButton.LeftButton)
    assert not lost.isVisible() and window.session.state is State.READY


def test_a_project_that_is_none_leaves_everything_as_it_is(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot) -> None:
    open_lab_files(window, lab, qtbot)
    before = chosen(window)
    (tmp_path / "bad.goodnet").write_text("{}")
    assert drop(window, [tmp_path / "bad.goodnet"])
    settle(qtbot, window)
    assert "bad.goodnet: isn't a GoodNet project" in window.message_bar.text.text()
    assert chosen(window) == before and window.windowTitle() == f"{lab.badnet.name} – GoodNet"


def test_the_cluster_of_this_window_stays_and_none_comes_with_a_project(
        window: MainWindow, project: Path, qtbot: QtBot) -> None:
    window.session.set_options(dataclasses.replace(window.session.options, cluster="tcp://mine:8786"))
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    assert window.session.options.cluster == "tcp://mine:8786"


# The start page


def test_the_start_page_leaves_verdicts_of_a_saved_pair_on_show(
    window: MainWindow, lab: SmallLab, qtbot: QtBot,
) -> None:
    window.desk.checking.open_goodnet([lab.badnet, lab.badnet])
    window.desk.bring_up(window.check)
    window.desk.choosing.name_labels([f"kind {n}" for n in range(LABELS)], "Label names")
    window.session.history.undo()
    settle(qtbot, window)
    assert window.check.isVisible() and not window.start.isVisible()


def test_the_start_page_shows_until_something_is_open(window: MainWindow, lab: SmallLab, qtbot: QtBot) -> None:
    assert window.start.isVisible() and not window.tabs.isVisible()
    window.desk.choosing.open_as("model", lab.badnet)
    assert window.tabs.isVisible() and not window.start.isVisible()
    window.desk.choosing.remove("model", lab.badnet)
    assert window.start.isVisible()
    press(window, "Ctrl+1")
    assert window.examine.isVisible()
    settle(qtbot, window)


def test_recent_projects_show_their_result_and_open(
        window: MainWindow, lab: SmallLab, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    open_lab_files(window, lab, qtbot)
    press_run(qtbot, window)
    name_as(monkeypatch, tmp_path / "a <b>bold & odd name.goodnet")
    press(window, "Ctrl+S")
    settle(qtbot, window)
    window.close()
    gone = tmp_path / "gone.goodnet"
    settings = Settings(tmp_path / "settings.ini")
    settings.add_project(gone)
    settings.save()
    again = MainWindow(Settings(tmp_path / "settings.ini"))
    qtbot.addWidget(again)
    again.show()
    settle(qtbot, again)
    qtbot.waitUntil(lambda: bool(again.start.recent))
    (entry,) = again.start.recent
    result = json.loads((tmp_path / "a <b>bold & odd name.goodnet").read_text())["result"]
    assert entry.text() == "a <b>bold && odd name"
    assert result["best"] in entry.description() and "badnet.keras" in entry.description()
    assert f"{100 * result['clean_accuracy']:.2f}".rstrip("0").rstrip(".") in entry.description()
    qtbot.mouseClick(entry, Qt.MouseButton.LeftButton)
    settle(qtbot, again)
    assert again.session.state is State.DONE and not again.isWindowModified()
    again.close()


def test_files_outside_a_project_s_folder_are_told_apart_from_its_opening(
        window: MainWindow, lab: SmallLab, project: Path, tmp_path: Path, qtbot: QtBot) -> None:
    elsewhere = tmp_path / "inside" / "faces.goodnet"
    elsewhere.parent.mkdir()
    save_project(read_project(project), elsewhere)
    window.desk.opening.open_paths([elsewhere])
    settle(qtbot, window)
    bar = window.message_bar
    assert bar.isVisible() and bar.text.text() == (
        "Opened the project faces.goodnet. 4 of its files lie outside its folder: badnet.keras, clean.h5, test.h5, "
        "poisoned.h5. Their cards tell where.")
    qtbot.mouseClick(bar.action, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert window.status.text.text() == "Undone: Opened the project faces.goodnet." and not window.session.inputs.all
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    assert window.status.text.text() == "Opened the project faces.goodnet." and not bar.isVisible()


def test_projects_stand_among_the_recent_files(
        window: MainWindow, lab: SmallLab, project: Path, qtbot: QtBot) -> None:
    def recent() -> QMenu:
        return next(menu for menu in window.menuBar().findChildren(QMenu) if menu.title() == "Open &recent")

    assert not recent().isEnabled()
    window.desk.opening.open_paths([project])
    settle(qtbot, window)
    entries = {action.text().partition(" ")[2]: action for action in recent().actions()}
    assert recent().isEnabled() and {str(project), str(lab.badnet), str(lab.clean)} <= set(entries)
    assert next(iter(entries)) == str(project)
    window.desk.choosing.remove("test", lab.test)
    entries[str(project)].trigger()
    settle(qtbot, window)
    assert chosen(window)["test"] == [lab.test] and not window.isWindowModified()
    recent().actions()[-1].trigger()
    settle(qtbot, window)
    assert not recent().isEnabled() and window.settings.projects == [] and window.start.recent == []


def test_the_start_page_fits_with_ten_projects_and_a_title_bar(
        window: MainWindow, project: Path, qtbot: QtBot) -> None:
    for number in range(12):
        window.settings.add_project(Path(shutil.copy(project, project.with_name(f"{number}{'n' * 120}.goodnet"))))
    window.desk.projects.list_recent()
    settle(qtbot, window)
    assert len(window.start.recent) == 10
    smallest = window.minimumSizeHint()
    assert smallest.width() <= 1024 and smallest.height() <= 700
    for button in (window.start.sample, window.start.model, window.start.project, window.start.goodnet):
        assert window.start.rect().contains(button.mapTo(window.start, button.rect().bottomRight()))
