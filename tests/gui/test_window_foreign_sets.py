"""Data sets of other programs in the window: which of several in a folder is taken, and that it is said."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from engine.data.sources.kinds import parts_of
from gui.main_window import MainWindow
from gui.session import recognition
from gui.widgets import asking
from tests.support.foreign_sets import write_tar
from tests.support.window_driver import drop, settle

pytestmark = [pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")]

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 24, 20, 3)).astype(np.uint8)


def parted(root: Path, *names: str) -> Path:
    for name in names:
        for number, label in enumerate(("cat", "dog")):
            (root / name / label).mkdir(parents=True)
            Image.fromarray(IMAGES[number]).save(root / name / label / "a.png")
    return root


def said(window: MainWindow) -> list[str]:
    messages: list[str] = []
    window.session.message.connect(lambda message: messages.append(message.text))
    return messages


def test_a_folder_with_parts_is_dropped_and_val_and_test_take_their_places(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    root, messages = parted(tmp_path / "animals", "train", "val", "test"), said(window)
    assert drop(window, [root])
    settle(qtbot, window)
    inputs = window.session.inputs
    assert inputs.validation and inputs.validation.path == root / "val" and inputs.validation.usable
    assert inputs.test and inputs.test.path == root / "test" and inputs.test.usable
    assert any("animals holds several data sets: took val as clean validation images and test as clean test images."
               in message for message in messages)


@pytest.mark.parametrize(("role", "part"), [("validation", "val"), ("test", "test")])
def test_a_card_takes_the_part_that_is_its_own(
    role: str, part: str, qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    root, messages = parted(tmp_path / "animals", "train", "val", "test"), said(window)
    window.desk.choosing.open_as(role, root)  # type: ignore[arg-type]
    settle(qtbot, window)
    chosen = getattr(window.session.inputs, role)
    assert chosen.path == root / part and chosen.usable
    assert any(f"took {part} as" in message for message in messages)


def test_what_a_folder_holds_is_asked_beside_the_window_and_beside_a_run(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, asked = parted(tmp_path / "animals", "train", "val"), list[threading.Thread]()
    goes_on = threading.Event()

    def noted(folder: Path) -> dict[str, Path]:
        asked.append(threading.current_thread())
        return parts_of(folder)

    monkeypatch.setattr(recognition, "parts_of", noted)
    window.session.submit(lambda _: goes_on.wait(), lambda _: None, needs_engine=False)
    try:
        assert drop(window.inputs.validation, [root])
        qtbot.waitUntil(lambda: window.session.inputs.validation is not None)
        assert window.session.state.busy
    finally:
        goes_on.set()
    settle(qtbot, window)
    assert window.session.inputs.validation and window.session.inputs.validation.path == root / "val"
    assert asked and threading.main_thread() not in asked


def test_poisoned_images_of_such_a_folder_are_asked_for(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    root = parted(tmp_path / "animals", "train", "val", "test")
    window.desk.choosing.open_as("poisoned", root)
    settle(qtbot, window)
    (chosen,) = window.session.inputs.poisoned
    assert "Choose one of them" in chosen.error


def test_a_data_set_of_another_program_is_dropped(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert drop(window, [write_tar(tmp_path / "shard.tar", IMAGES, [0, 1, 1, 0])])
    settle(qtbot, window)
    chosen = window.session.inputs.validation
    assert chosen and chosen.data and chosen.data.description.format == "WebDataset"
    np.testing.assert_array_equal(chosen.data.thumbnails, IMAGES)


def test_pictures_to_look_at_are_those_that_were_stored_around_0(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    pictures = np.arange(3 * 256).reshape(4, 8, 8, 3) % 256
    np.savez(tmp_path / "around.npz", x=(pictures / 127.5 - 1).astype(np.float32), y=[0, 1, 1, 0])
    window.desk.choosing.open_as("validation", tmp_path / "around.npz")
    settle(qtbot, window)
    chosen = window.session.inputs.validation
    assert chosen and chosen.data
    np.testing.assert_array_equal(chosen.data.thumbnails, pictures)


def test_file_dialogs_offer_them() -> None:
    for suffix in (".h5", ".npz", ".npy", ".mat", ".tar", ".tfrecord", ".parquet", ".csv", ".bin", ".gz"):
        assert f"*{suffix}" in asking.DATA_FILES
