"""What ends late speaks only for what is on show by then, and what was done is not called undone."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from engine.records.autosave import kept_runs
from engine.records.project import make_project, save_project
from engine.records.reopening import reopen_run
from engine.runs.prune import PruningRequest
from gui.defences.repair_dialog import RepairDialog
from gui.jobs.inputs import opening
from gui.main_window import MainWindow
from gui.session import sample
from gui.session.recognition import Found, look_at
from gui.widgets import asking
from tests.engine.runs.opening.test_labelling import ANIMALS
from tests.gui.test_window_defences import SmallLab, open_small
from tests.gui.test_window_labels import opened
from tests.support.comparisons import comparison
from tests.support.networks import LABELS
from tests.support.runs import made_up_run
from tests.support.window_driver import press_run, settle, work_under_way

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_what_was_put_in_use_although_cancel_was_pressed_is_said_to_be(window: MainWindow, qtbot: QtBot) -> None:
    """Else a pair's verdicts stood under the name of the pair before."""
    under_way, go_on, ended = threading.Event(), threading.Event(), list[str]()
    in_use = ["before"]

    def put_in_use(_: object) -> str:
        under_way.set()
        go_on.wait(60)
        in_use[0] = "after"
        return in_use[0]

    window.session.submit(put_in_use, ended.append, needs_engine=False)
    qtbot.waitUntil(under_way.is_set)
    window.session.cancel()
    go_on.set()
    settle(qtbot, window)
    assert ended == in_use == ["after"] and "Cancelled" not in window.message_bar.text.text()


def test_what_waits_behind_a_run_is_said_to_wait(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    settle(qtbot, window)
    (tmp_path / "names.txt").write_text("\n".join(f"kind {n}" for n in range(LABELS)), encoding="utf-8")
    (tmp_path / "order.json").write_text("[0, 1]", encoding="utf-8")
    go_on = threading.Event()
    window.session.submit(lambda _: go_on.wait(60), lambda _: None, needs_engine=False)
    for do, said in (
        (lambda: window.desk.opening.open_paths([small_lab.badnet]), f"Opening {small_lab.badnet.name}"),
        (lambda: window.desk.opening.open_paths([small_lab.clean, small_lab.test]),
         f"Opening {small_lab.clean.name} and 1 more"),
        (lambda: window.desk.choosing.open_names(tmp_path / "names.txt"), "Reading the label names names.txt"),
        (lambda: window.desk.choosing.choose_order(tmp_path / "order.json"), "Reading the pruning order order.json"),
        (lambda: window.desk.projects.open(tmp_path / "gone.goodnet"), "Opening the project gone.goodnet"),
    ):
        do()
        assert window.status.text.text() == f"{said} once the work under way has ended…"
    go_on.set()
    settle(qtbot, window)
    assert window.session.inputs.at("model", small_lab.badnet) and len(window.session.names) == LABELS
    window.desk.opening.open_paths([small_lab.poisoned])
    assert "once the work" not in window.status.text.text(), "nothing keeps it waiting"
    settle(qtbot, window)


def test_a_file_that_takes_long_to_look_at_is_said_to_be_looked_at(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until it is known what it is, and no longer."""
    settle(qtbot, window)
    shown, go_on = window.status.text, threading.Event()

    def looks_long(path: Path) -> Found:
        go_on.wait(60)
        return look_at(path)

    monkeypatch.setattr(opening, "look_at", looks_long)
    picture = tmp_path / "face.png"
    Image.new("RGB", (47, 55)).save(picture)
    window.desk.opening.open_paths([picture, picture])
    qtbot.waitUntil(lambda: shown.text() == "Looking at face.png and 1 more…" and shown.isVisible())
    go_on.set()
    settle(qtbot, window)
    assert not shown.isVisible()
    monkeypatch.setattr(opening, "look_at", look_at)
    window.desk.opening.open_paths([picture])
    settle(qtbot, window)
    qtbot.wait(opening._PATIENCE_MS + 100)
    assert not shown.isVisible(), "what was quick needs no word, least of all afterwards"


def test_the_sample_s_names_come_to_no_other_network(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_sample()
    window.session.history.undo()  # before its names were read
    settle(qtbot, window)
    assert not window.session.inputs.at("model", sample.INPUTS[0][1])
    assert tuple(window.session.names) == ()


def test_maps_of_a_run_that_is_no_longer_on_show_aren_t_shown(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    shown: list[object] = []
    window.desk.pruning.maps_found.connect(shown.append)
    window.desk.pruning.find_maps(3)
    settle(qtbot, window)
    assert len(shown) == 1
    window.desk.pruning.find_maps(3)
    assert window.session.run is not None
    window.session.finish(made_up_run())
    settle(qtbot, window)
    assert len(shown) == 1


def test_labels_of_files_that_were_removed_meanwhile_don_t_come_back(
    window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    opened(qtbot, window, tmp_path, ANIMALS, 4, poisoned=ANIMALS[1])
    assert window.inputs.labels.isVisibleTo(window)
    inputs = window.session.inputs
    assert inputs.validation is not None
    with work_under_way(window):
        window.desk.choosing.remove("poisoned", inputs.poisoned[0].path)
        window.desk.choosing.remove("validation", inputs.validation.path)
    settle(qtbot, window)
    assert window.desk.naming.matching is None and not window.inputs.labels.isVisibleTo(window)


def test_a_comparison_is_kept_with_its_run(window: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    (before,) = kept_runs(window.desk.keeping.folder)
    assert window.session.run is not None and reopen_run(before.folder).comparison is None
    window.session.run = dataclasses.replace(window.session.run, comparison=comparison())
    window.desk.defending.compared.emit(window.session.run)
    settle(qtbot, window)
    (after,) = kept_runs(window.desk.keeping.folder)
    assert reopen_run(after.folder).comparison == comparison() and not before.folder.exists()
    window.desk.keeping.reopen(after.folder)
    settle(qtbot, window)
    assert window.session.run.comparison == comparison()


def test_a_run_from_a_folder_of_one_s_own_is_kept_and_its_folder_stays(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    (kept,) = kept_runs(window.desk.keeping.folder)
    own = shutil.copytree(kept.folder, tmp_path / "own")
    window.desk.keeping.reopen(own)
    settle(qtbot, window)
    assert window.session.run is not None
    window.desk.defending.compared.emit(dataclasses.replace(window.session.run, comparison=comparison()))
    settle(qtbot, window)
    assert (own / "run.json").is_file() and reopen_run(own).comparison is None
    (again,) = kept_runs(window.desk.keeping.folder)
    assert reopen_run(again.folder).comparison == comparison()


def test_options_that_come_while_somebody_types_are_taken_as_they_are(window: MainWindow, qtbot: QtBot) -> None:
    """A hidden field loses the focus, and that was taken for an edit: a run brought back got other values."""
    bar, session = window.run_bar, window.session
    bar._toggle.setChecked(True)
    bar._preprocessing.setCurrentIndex(bar._preprocessing.findText("own mean and deviation…"))
    bar._preprocessing.activated.emit(bar._preprocessing.currentIndex())
    qtbot.waitUntil(bar._own.hasFocus)
    wanted = dataclasses.replace(session.options, scale="255", guard="margin")
    session.set_options(wanted)
    assert session.options == wanted and not bar._own.isVisible()


def test_numbers_of_one_s_own_stay_where_they_are_chosen_again(window: MainWindow, qtbot: QtBot) -> None:
    bar, own = window.run_bar, "mean=0.4,0.4,0.4 std=0.2,0.2,0.2"
    bar._toggle.setChecked(True)

    def choose(text: str) -> str:
        bar._preprocessing.setCurrentIndex(bar._preprocessing.findText(text))
        bar._preprocessing.activated.emit(bar._preprocessing.currentIndex())
        return window.session.options.scale

    assert choose("own mean and deviation…") == "mean=0.5,0.5,0.5 std=0.5,0.5,0.5"
    bar._own.setText(own)
    qtbot.keyClick(bar._own, Qt.Key.Key_Return)
    assert choose("own mean and deviation…") == own
    assert choose("divided by 255") == "255" and choose("own mean and deviation…") == own
    for typed in ("255", "none"):  # which is the name of one in the list
        bar._own.setText(typed)
        qtbot.keyClick(bar._own, Qt.Key.Key_Return)
        assert window.session.options.scale == typed and not bar._own.isVisible()
        assert choose("own mean and deviation…") == "mean=0.5,0.5,0.5 std=0.5,0.5,0.5"


def type_values(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, typed: str, before: str = "mean=0.5 std=0.5",
) -> None:
    """Type a preprocessing over another one, and stay in the field."""
    open_small(qtbot, window, small_lab)
    bar, session = window.run_bar, window.session
    bar._toggle.click()
    session.set_options(dataclasses.replace(session.options, scale=before))
    bar._own.setFocus()
    bar._own.selectAll()
    qtbot.keyClicks(bar._own, typed)


def ask_by(window: MainWindow, qtbot: QtBot, what: str | QWidget) -> None:
    """Press a button, or the key of a menu's entry."""
    if isinstance(what, str):
        window.desk.menus.find(what).trigger()
    else:
        what.setFocus()  # as a press does
        qtbot.mouseClick(what, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("way", ["F5", "the button"])
def test_numbers_that_cant_be_used_are_not_run_in_another_s_place(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, way: str,
) -> None:
    wanted = "mean=127.5,127.5,127.5 std=127.5,127.5,127.5"
    type_values(window, qtbot, small_lab, "mean=127.5 std=x", before=wanted)
    bar, session = window.run_bar, window.session

    ask = partial(ask_by, window, qtbot, "Run" if way == "F5" else bar.run)
    ask()
    assert not session.state.busy and bar._own.text() == wanted
    assert bar.status.text().startswith("'mean=127.5 std=x' isn't a preprocessing")
    assert bar.status.text().endswith(f"{wanted} is back in its place; press Run again to run with that.")
    ask()
    settle(qtbot, window)
    assert session.run is not None and session.run.request.scale == wanted


@pytest.mark.parametrize("name", ["Examine", "Defend"])
@pytest.mark.parametrize("by_key", [True, False])
def test_numbers_that_cant_be_used_are_neither_examined_nor_defended_with_in_another_s_place(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch, name: str, by_key: bool,
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(window.session, "submit", lambda *_, **__: begun.append("Examine"))
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: begun.append("Defend"))
    view, button = (window.examine, window.examine.button) if name == "Examine" else \
        (window.defences, window.defences.defend_button)
    window.desk.bring_up(view)
    type_values(window, qtbot, small_lab, "mean=0.5 std=x")

    ask = partial(ask_by, window, qtbot, name if by_key else button)
    ask()
    assert begun == [] and window.run_bar.status.text().startswith("'mean=0.5 std=x' isn't a preprocessing")
    assert window.run_bar.status.text().endswith(
        f"mean=0.5 std=0.5 is back in its place; press {name} again to run with that.")
    ask()
    assert begun == [name]


@pytest.mark.parametrize(("action", "name"), [("Compare all defences", "Compare"), ("Repair", "Repair")])
@pytest.mark.parametrize("by_key", [True, False])
def test_nor_is_a_run_compared_or_repaired_before_a_person_knows(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch, action: str, name: str,
    by_key: bool,
) -> None:
    begun: list[str] = []
    window.desk.bring_up(window.defences)
    type_values(window, qtbot, small_lab, "mean=0.5 std=x")
    window.session.finish(made_up_run())
    window.desk.menus.refresh()
    monkeypatch.setattr(window.session, "submit", lambda *_, **__: begun.append("Compare"))
    monkeypatch.setattr(RepairDialog, "open", lambda _: begun.append("Repair"))
    button = window.defences.compare_button if name == "Compare" else window.defences.repair_button

    ask = partial(ask_by, window, qtbot, action if by_key else button)
    ask()
    assert begun == [] and window.run_bar.status.text().startswith("'mean=0.5 std=x' isn't a preprocessing")
    assert window.run_bar.status.text().endswith(f"press {name} again to go on with the run on show.")
    ask()
    assert begun == [name]
    settle(qtbot, window)


def test_numbers_that_cant_be_used_are_forgotten_with_the_options_of_a_project(
    monkeypatch: pytest.MonkeyPatch, window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Discard)  # as the window closes
    type_values(window, qtbot, small_lab, "mean=0.5 std=x")
    request = PruningRequest(small_lab.badnet, small_lab.clean, scale="none")
    save_project(make_project(request), tmp_path / "faces.goodnet")
    window.run_bar.run.setFocus()
    window.desk.projects.open(tmp_path / "faces.goodnet")
    settle(qtbot, window)
    window.desk.menus.find("Run").trigger()
    assert window.session.state.busy and window.session.options.scale == "none"
    window.session.cancel()
    settle(qtbot, window)


def test_what_is_typed_counts_for_an_examination_by_its_key(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    type_values(window, qtbot, small_lab, "mean=0.25 std=0.5")
    session = window.session
    window.desk.menus.find("Examine").trigger()
    assert session.options.scale == "mean=0.25 std=0.5"
    session.cancel()
    settle(qtbot, window)
