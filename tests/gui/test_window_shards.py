"""Several files that are one set, in the real window: dropped or picked together, or their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.session.session import State
from gui.widgets import asking
from tests.engine.data.test_shards import IMAGES, NUMBERS, written
from tests.support.foreign_sets import write_parquet
from tests.support.networks import SmallLab
from tests.support.window_driver import drop, press_run, settle

pytestmark = [pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")]


def in_pieces(lab: SmallLab, folder: Path) -> list[Path]:
    """The little lab's clean images in three files."""
    import h5py
    folder.mkdir()
    with h5py.File(lab.clean) as whole:
        data, label = whole["data"][()], whole["label"][()]
    files = [folder / f"clean-{number:05}-of-00003.h5" for number in range(3)]
    for path, rows in zip(files, np.array_split(np.arange(len(data)), 3), strict=True):
        with h5py.File(path, "w") as part:
            part["data"], part["label"] = data[rows], label[rows]
    return files


@pytest.mark.parametrize("way", ["card", "window", "dialog", "folder"])
def test_pieces_become_one_set(
    way: str, small_lab: SmallLab, qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = in_pieces(small_lab, tmp_path / "pieces")
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    if way == "dialog":
        monkeypatch.setattr(asking, "ask_files", lambda *_: files)
        qtbot.mouseClick(window.inputs.validation._pick, Qt.MouseButton.LeftButton)
    else:
        assert drop(window.inputs.validation if way == "card" else window,
                    [tmp_path / "pieces"] if way == "folder" else files)
    settle(qtbot, window)
    chosen = window.session.inputs.validation
    assert chosen and chosen.usable and window.session.inputs.test is None
    assert chosen.data and "in 3 files" in chosen.data.description.format
    if way == "window":
        window.desk.choosing.open_as("poisoned", small_lab.poisoned)
        settle(qtbot, window)
        press_run(qtbot, window)
        pieces = window.session.run
        window.desk.projects.save(tmp_path / "mine.goodnet")
        window.desk.choosing.open_as("validation", small_lab.clean)
        settle(qtbot, window)
        press_run(qtbot, window)
        whole = window.session.run
        assert pieces and whole and window.session.state is State.DONE
        np.testing.assert_array_equal(pieces.curve.validation.correct, whole.curve.validation.correct)
        window.desk.projects.open(tmp_path / "mine.goodnet")
        settle(qtbot, window)
        assert window.session.inputs.validation and window.session.inputs.validation.path == chosen.path
        assert window.session.state is State.DONE or window.session.state is State.READY


def test_files_that_are_no_pieces_of_one_set_are_told(
    small_lab: SmallLab, qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "ask_files", lambda *_: [small_lab.clean, small_lab.test])
    qtbot.mouseClick(window.inputs.validation._pick, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert "aren't pieces of one set" in window.message_bar.text.text() and window.session.inputs.all == ()


def test_cifar_s_five_files_are_dropped(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert drop(window, written("CIFAR", tmp_path, 1))
    settle(qtbot, window)
    chosen = window.session.inputs.validation
    assert chosen and chosen.data and chosen.data.description.images == len(NUMBERS) == len(IMAGES)


def test_names_of_classes_in_parquet_name_labels(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "set.parquet", IMAGES[:6], [0, 1, 2, 0, 1, 2], classes=["fox", "cat", "<b>dog"])
    window.desk.choosing.open_as("validation", path)
    settle(qtbot, window)
    assert tuple(window.check._names) == ("fox", "cat", "<b>dog") and window.session.names == (), "nobody said them"
    window.session.history.undo()
    settle(qtbot, window)
    assert tuple(window.check._names) == ()
