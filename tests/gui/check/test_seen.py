"""Thousands of checked pictures don't fill the memory, and each is seen as if it was kept."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QPixmap
from pytestqt.qtbot import QtBot

from engine.errors import DatasetError
from engine.goodnets.checking import PictureMark, Verdict
from engine.progress import NEVER_CANCELLED, ignore_progress
from gui.check import seen
from gui.check.detail import _LOST
from gui.jobs.checking import check_pixels
from gui.main_window import MainWindow
from gui.session.workbench import Workbench
from gui.widgets.picture_view import thumbnail, to_image
from tests.support.linear_networks import overflowing
from tests.support.networks import SmallLab
from tests.support.window_driver import PATIENCE_MS, press_run, settle

COUNT, KEPT = 40, 20  # more than are seen at once


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Pictures of 30 x 20 noisy pixels."""
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    files = [folder / f"{number:02}.png" for number in range(COUNT)]
    for file in files:
        Image.fromarray(random.integers(0, 255, (20, 30, 3), np.uint8)).save(file)
    return files


@pytest.fixture
def checked(window: MainWindow, qtbot: QtBot, small_lab: SmallLab, pictures: list[Path],
            monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """The window with all of them checked, where there is room for a few."""
    window.desk.choosing.open_all(
        [("model", small_lab.badnet), ("validation", small_lab.clean), ("poisoned", small_lab.poisoned)], "The lab.")
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.checking.use_row(window.desk.pruning.rows[0])
    settle(qtbot, window)
    height, width, channels = window.desk.session.bench.goodnet.b.input_shape
    assert height and width
    monkeypatch.setattr(seen, "MOST_BYTES", KEPT * height * width * channels)
    window.desk.bring_up(window.check)
    window.desk.checking.check(pictures)
    settle(qtbot, window)
    return window


def cell(window: MainWindow, row: int) -> QPixmap:
    found: QPixmap = window.check.model.index(row, 0, QModelIndex()).data(Qt.ItemDataRole.DecorationRole)
    return found


def test_memory_holds_a_few_and_every_one_is_seen(checked: MainWindow, qtbot: QtBot) -> None:
    view = checked.check
    verdicts = view.model.verdicts
    assert len(verdicts) == COUNT
    for row in (*range(COUNT), *range(COUNT)):  # up and down again
        view.table.selectRow(row)
        view.table.scrollTo(view.model.index(row, 0))
        settle(qtbot, checked)
        picture = verdicts[row].seen_again()
        assert view.detail.picture._picture == to_image(picture)
        assert cell(checked, row).toImage() == thumbnail(picture, 40).toImage()
        inside = sum(v.seen.nbytes for v in verdicts if isinstance(v.seen, np.ndarray))
        assert inside + view.pictures.kept_bytes <= seen.MOST_BYTES
        assert view.pictures.kept_bytes == sum(p.nbytes for p in view.pictures._kept.values())
    view._clear()
    assert view.pictures.kept_bytes == 0 and not view.pictures._kept


def test_those_on_show_are_there_at_once(checked: MainWindow) -> None:
    assert set(checked.check.pictures._kept) == set(checked.check.model.verdicts[:KEPT])


def test_a_thumbnail_that_is_read_has_its_place(checked: MainWindow, qtbot: QtBot) -> None:
    place = cell(checked, COUNT - 1)
    settle(qtbot, checked)
    assert cell(checked, COUNT - 1).size() == place.size()
    assert cell(checked, COUNT - 1).toImage() != place.toImage()


def test_a_picture_is_seen_while_a_task_runs(checked: MainWindow, qtbot: QtBot) -> None:
    goes_on, view = threading.Event(), checked.check
    checked.session.submit(lambda _: goes_on.wait(), lambda _: None, needs_engine=False)
    try:
        view.table.selectRow(COUNT - 1)
        assert view.detail.picture._picture is None, "it is read first"
        qtbot.waitUntil(lambda: view.detail.picture._picture is not None, timeout=PATIENCE_MS)
        assert checked.session.state.busy
    finally:
        goes_on.set()
    settle(qtbot, checked)


def test_what_was_checked_is_shown_or_nothing(checked: MainWindow, qtbot: QtBot, pictures: list[Path]) -> None:
    view, (*_, before, last) = checked.check, pictures
    Image.new("RGB", (30, 20)).save(last)
    before.unlink()
    for row in (COUNT - 1, COUNT - 2):
        view.table.selectRow(row)
        settle(qtbot, checked)
        assert view.detail.picture._picture is None
        assert view.detail.caption.text() == _LOST
        assert not view.detail.export.isVisibleTo(view)
    view.table.selectRow(COUNT - 3)
    settle(qtbot, checked)
    assert view.detail.picture._picture is not None and view.detail.caption.text() == ""


def test_looking_closer_and_where_b_looks_read_it_again(checked: MainWindow, qtbot: QtBot) -> None:
    view = checked.check
    view.table.selectRow(COUNT - 1)
    qtbot.mouseClick(view.detail.look_closer, Qt.MouseButton.LeftButton)
    settle(qtbot, checked)
    closer, verdict = view.detail.closer, view.model.verdicts[-1]
    assert closer is not None
    assert closer.seen._picture == to_image(verdict.seen_again())
    assert closer.captions[1].text() == "The original: 30 × 20 pixels"
    with qtbot.waitSignal(checked.desk.checking.occlusion_found, timeout=PATIENCE_MS):
        qtbot.mouseClick(view.detail._look, Qt.MouseButton.LeftButton)
    assert view.detail.picture.has_heat
    closer.close()


def test_a_verdict_knows_its_picture_again(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(path)
    whole = Verdict(str(path), pixels, 3, False, "agree", 3, 0.9, 3, 0.8)
    light = whole.without_picture()
    assert isinstance(light.seen, PictureMark) and light.seen.shape == (4, 5, 3)
    assert dataclasses.replace(light, seen=pixels).__dict__ == whole.__dict__
    assert light.without_picture() is light
    np.testing.assert_array_equal(light.seen_again(), pixels)
    np.testing.assert_array_equal(whole.seen_again(), pixels)
    Image.fromarray(pixels[::-1]).save(path)
    with pytest.raises(DatasetError, match="changed since"):
        light.seen_again()


def test_pixels_that_a_network_overflows_on_are_told(tmp_path: Path) -> None:
    network, bench, told = overflowing(tmp_path), Workbench(), list[tuple[list[Verdict], object]]()
    bench.take_saved([network, network])
    context = SimpleNamespace(cancel=NEVER_CANCELLED, progress=ignore_progress, partial=told.append)
    pixels = [(name, np.full((6, 6, 3), value, np.uint8)) for name, value in (("black", 0), ("white", 255))]
    checked = check_pixels(bench, pixels, context)  # type: ignore[arg-type]
    assert [verdict.file for verdict in told[0][0]] == ["black"] and checked.pictures == 1
    assert len(checked.skipped) == 1 and checked.skipped[0].startswith("white: B answers it with values")
