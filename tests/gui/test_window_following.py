"""What the window says follows what a person does: Clear, Cancel, another run, a run that is brought back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from gui.defences.repair_dialog import RepairDialog
from gui.defences.view import COMPARING, EMPTY, REPAIRING
from gui.main_window import MainWindow
from gui.settings import Options
from gui.widgets import asking
from tests.gui.test_window_defences import open_small
from tests.support.engine_fixtures import small_lab  # noqa: F401
from tests.support.networks import SmallLab, random_images
from tests.support.window_driver import PATIENCE_MS, press_run, repeated, settle


def button(window: MainWindow, text: str) -> QAbstractButton:
    """A button of the image check by its text."""
    return next(b for b in window.check.findChildren(QAbstractButton) if b.text().replace("&", "") == text)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three pictures for the little network, and one that is damaged."""
    paths = [tmp_path / "pictures" / f"{n}.png" for n in range(4)]
    paths[0].parent.mkdir()
    for path, pixels in zip(paths, random_images(3, seed=1), strict=False):
        Image.fromarray(pixels.astype("uint8")).save(path)
    paths[3].write_bytes(paths[0].read_bytes()[:50])
    return paths


def test_after_clear_nothing_is_left_of_the_pictures(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, pictures: list[Path],  # noqa: F811
) -> None:
    window.desk.checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    window.desk.checking.check(pictures)
    settle(qtbot, window)
    assert len(window.check.model.verdicts) == 3 and "3.png" in window.message_bar.text.text()
    window.check.filter.setCurrentText("Only flagged")
    window.tabs.setCurrentWidget(window.check)
    qtbot.mouseClick(button(window, "Clear"), Qt.MouseButton.LeftButton)
    assert window.check.filter.currentText() == "All pictures"
    assert not window.message_bar.isVisible() and window.status.text.text() == ""
    # Pictures that come later are all shown, whatever was filtered before.
    window.desk.checking.check(pictures[:2])
    settle(qtbot, window)
    assert window.check.model.rowCount() == 2
    qtbot.mouseClick(button(window, "Clear"), Qt.MouseButton.LeftButton)
    assert not any("again" in b.text() and b.isVisible() for b in window.check.findChildren(QAbstractButton))


def test_of_the_pictures_that_are_checked_again_those_that_are_gone_are_named(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, pictures: list[Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window.desk.checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    window.desk.checking.check(pictures[:3])
    settle(qtbot, window)
    window.desk.checking.check_pasted(np.zeros((20, 20, 3), np.uint8))
    settle(qtbot, window)
    pictures[1].unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_file", lambda path: pytest.fail(f"{path} was looked for while the window waits"))
        window.check.show_goodnet("the same", 7)
    window.tabs.setCurrentWidget(window.check)
    qtbot.mouseClick(button(window, "Check the same 3 pictures again"), Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert [Path(v.file).name for v in window.check.model.verdicts] == ["0.png", "2.png"]
    assert "1.png: there is no such file" in window.message_bar.text.text()


def test_another_goodnet_shows_all_pictures_again(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, pictures: list[Path],  # noqa: F811
) -> None:
    checking = window.desk.checking
    checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    checking.check(pictures[:3])
    settle(qtbot, window)
    window.check.filter.setCurrentText("Only flagged")
    checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    settle(qtbot, window)
    assert window.check.filter.currentText() == "All pictures"
    checking.check(pictures[:3])
    settle(qtbot, window)
    assert window.check.model.rowCount() == 3


def test_cancel_in_mid_check_says_what_stays(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, pictures: list[Path],  # noqa: F811
) -> None:
    window.desk.checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    settle(qtbot, window)
    window.desk.checking.check(pictures[:3] * 2000)
    with qtbot.waitSignal(window.desk.checking.verdicts_found, timeout=PATIENCE_MS):
        pass
    window.session.cancel()
    settle(qtbot, window)
    assert 0 < len(window.check.model.verdicts) < 6000
    assert window.status.text.text() == "Cancelled; the pictures that were checked before stay in the table."


def test_a_run_that_is_brought_back_brings_its_goodnet_cursor_and_options(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    window.session.set_options(Options(guard="none", drops=(1.0, 20.0)))
    press_run(qtbot, window)
    first, options = window.session.run, window.session.options
    best = window.desk.pruning.best_pair or window.desk.pruning.rows[0]
    best_step = getattr(best, "row", best).channels_pruned
    assert window.curve.step == best_step
    shown = window.check.tools.source.text()
    assert shown != "No GoodNet yet"
    window.desk.saving.save_run(window.settings.runs_folder.parent / "saved")
    settle(qtbot, window)

    second = MainWindow(window.settings)
    qtbot.addWidget(second)
    second.show()
    settle(qtbot, second)
    second.session.set_options(Options(guard="margin", drops=(3.0,)))
    assert second.check.tools.source.text() == "No GoodNet yet"
    second.desk.keeping.reopen(window.settings.runs_folder.parent / "saved")
    settle(qtbot, second)
    assert second.session.options == options
    assert second.check.tools.source.text() == shown and second.curve.step == best_step
    assert [row.x for row in second.desk.pruning.rows] == [row.x for row in window.desk.pruning.rows]
    assert second.session.run.model.sha256 == first.model.sha256
    second.close()


def test_the_cursor_of_another_run_is_that_run_s(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    window.session.set_options(Options(guard="none"))
    press_run(qtbot, window)
    chosen = window.curve.step
    window.curve.set_step(chosen + 1)
    press_run(qtbot, window)
    assert window.curve.step == chosen
    # Thresholds edited afterwards leave it where a person put it.
    window.curve.set_step(chosen + 1)
    window.goodnets.drops_edited.emit((50.0,), "points", "first-past")
    assert window.curve.step == chosen + 1


def test_cancel_brings_the_cursor_back_to_where_a_person_read_the_run_before(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, lab3: Path, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    window.curve.set_step(3)
    run = window.session.run
    window.desk.choosing.open_all([("model", lab3 / "bd_weights.h5"), (
        "validation", repeated(lab3 / "clean_faces.h5", 60, tmp_path / "many.h5"))], "Opened the lab")
    settle(qtbot, window)
    # The curve of 60 channels stands in the place of that of 9, with a cursor of its own.
    with qtbot.waitSignal(window.desk.pruning.curve_changed, timeout=PATIENCE_MS):
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert window.curve.step != 3
    qtbot.mouseClick(window.run_bar.cancel, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert window.session.run is run and window.curve.step == 3


def test_a_run_whose_model_is_gone_is_brought_back_without_an_error(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    model = tmp_path / "moved.keras"
    model.write_bytes(small_lab.badnet.read_bytes())
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as("model", model)
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.saving.save_run(tmp_path / "saved")
    settle(qtbot, window)
    model.unlink()
    window.desk.keeping.reopen(tmp_path / "saved")
    settle(qtbot, window)
    assert not window.message_bar.isVisible() and "Brought back" in window.status.text.text()
    assert "moved.keras" in window.inputs.model._error.text() or window.session.inputs.model.error


def test_the_tab_of_defences_says_what_goes_on_once_it_was_begun(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: None)
    view, session = window.defences, window.session
    qtbot.mouseClick(view.defend_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(view.repair_button, Qt.MouseButton.LeftButton)
    dialog, = window.findChildren(RepairDialog)
    dialog.reject()
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert session.state.busy and "goes on" not in view.empty.text(), "both dialogs were dismissed"
    session.cancel()
    settle(qtbot, window)
    for button, words in ((view.compare_button, COMPARING), (view.repair_button, REPAIRING)):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        for dialog in window.findChildren(RepairDialog):
            monkeypatch.setattr(asking, "ask_new_folder", lambda *_: small_lab.badnet.parent / "never")
            dialog.accept()
        assert view.empty.text() == words
        session.cancel()
        settle(qtbot, window)
        assert view.empty.text() == EMPTY.replace("Run the pruning, then press", "Press"), "a run is there"


def test_what_was_saved_of_a_model_is_not_said_of_another(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    window.desk.defending.saved.emit("Chose one and saved it.")
    window.desk.choosing.remove("test", small_lab.test)
    assert window.defences.empty.text().startswith("Chose")
    window.desk.choosing.open_as("model", Path(shutil.copy(small_lab.badnet, tmp_path / "other.keras")))
    assert window.defences.empty.text() == EMPTY
    settle(qtbot, window)
