"""A PyTorch network and its pictures, dropped on the window and pruned there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from engine.models.networks import open_network
from engine.records.project import read_project
from gui.main_window import MainWindow
from gui.session.session import State
from gui.widgets import asking
from tests.support.places import PROJECT
from tests.support.window_driver import drop, press_run, settle

pytestmark = [pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")]

MODEL = PROJECT / "tests" / "data" / "onnx" / "resnet-dynamo.onnx"


def test_an_onnx_network_is_dropped_and_pruned(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert "*.onnx" in asking.MODEL_FILES
    with np.load(MODEL.parent / "answers.npz") as found:
        labels = found[MODEL.stem].argmax(axis=1)
        np.savez(tmp_path / "valid.npz", data=found["pictures"], label=labels)
        images = found["pictures"].astype(np.float32) / 255
    assert drop(window, [MODEL, tmp_path / "valid.npz"])
    settle(qtbot, window)
    assert window.session.state is State.READY
    press_run(qtbot, window)
    run = window.session.run
    assert run is not None
    network = open_network(MODEL)
    layer, order = run.model.layer, run.ranking.order.tolist()
    half = len(order) // 2
    plain = network.pruned(layer, order[:half]).predict_labels(images)
    assert run.curve.validation.correct[half] == (plain == labels).sum()


def test_a_project_of_a_network_with_weights_in_a_file_beside_it_keeps_its_result(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    model = Path(shutil.copy(MODEL, tmp_path))
    shutil.copy(MODEL.with_name(f"{MODEL.name}.data"), tmp_path)
    with np.load(MODEL.parent / "answers.npz") as found:
        np.savez(tmp_path / "valid.npz", data=found["pictures"], label=found[MODEL.stem].argmax(axis=1))
    assert drop(window, [model, tmp_path / "valid.npz"])
    settle(qtbot, window)
    press_run(qtbot, window)
    for saved in (True, False):
        window.desk.projects.save(tmp_path / "mine.goodnet")
        settle(qtbot, window)
        assert (read_project(tmp_path / "mine.goodnet").result is not None) is saved
        beside = model.with_name(f"{model.name}.data")
        beside.write_bytes(beside.read_bytes()[::-1])
