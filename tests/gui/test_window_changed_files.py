"""Files that are written anew behind the window: nothing of the old ones is said of the new ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from engine.records.project import read_project
from gui.main_window import MainWindow
from gui.settings import Options
from tests.gui.test_window_defences import open_small
from tests.support.networks import SmallLab, build
from tests.support.window_driver import press_run, settle


@pytest.fixture
def ran(qtbot: QtBot, window: MainWindow, lab: SmallLab) -> MainWindow:
    """The window after a run on them."""
    window.session.set_options(Options(guard="none"))
    open_small(qtbot, window, lab)
    press_run(qtbot, window)
    assert window.session.run is not None
    return window


def another_network(path: Path, kind: str = "plain") -> None:
    """Write a network of the same inputs and labels, with other weights."""
    model, _ = build(kind)
    model.set_weights([weights[..., ::-1] for weights in model.get_weights()])
    path.unlink()
    model.save(path)


@pytest.mark.parametrize("which", ["badnet", "clean", "poisoned"])
def test_a_project_holds_no_result_of_what_was_written_anew(
    which: str, qtbot: QtBot, ran: MainWindow, lab: SmallLab, tmp_path: Path,
) -> None:
    projects, file, path = ran.desk.projects, getattr(lab, which), tmp_path / "mine.goodnet"
    before = file.read_bytes()
    projects.save(path)
    settle(qtbot, ran)
    assert read_project(path).result is not None
    another_network(file) if which == "badnet" else shutil.copy(lab.test, file)
    projects.save(path)
    settle(qtbot, ran)
    assert read_project(path).result is None and "without its last result" in ran.status.text.text()
    file.write_bytes(before)
    projects.save(path)
    settle(qtbot, ran)
    assert read_project(path).result is not None and ran.status.text.text() == "Saved the project mine.goodnet."


def test_a_changed_file_that_is_used_as_it_is_takes_the_result_from_its_project(
    qtbot: QtBot, ran: MainWindow, lab: SmallLab, tmp_path: Path,
) -> None:
    projects, path = ran.desk.projects, tmp_path / "mine.goodnet"
    projects.save(path)
    settle(qtbot, ran)
    content = json.loads(path.read_text(encoding="utf-8"))
    ran.session.run = None  # as in a window that is opened later
    projects.open(path)
    settle(qtbot, ran)
    projects.save(path)
    settle(qtbot, ran)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    shutil.copy(lab.test, lab.clean)
    projects.open(path)
    settle(qtbot, ran)
    projects.accept(projects._lost[0].file)
    projects.save(path)
    settle(qtbot, ran)
    assert read_project(path).result is None


@pytest.mark.parametrize("which", ["badnet", "clean", "poisoned"])
def test_channel_maps_are_of_the_network_and_the_images_of_the_run(
    which: str, qtbot: QtBot, ran: MainWindow, lab: SmallLab,
) -> None:
    pruning, file, found = ran.desk.pruning, getattr(lab, which), []
    pruning.maps_found.connect(found.append)
    pruning.find_maps(0)
    settle(qtbot, ran)
    kept = next(ran.settings.runs_folder.glob("2*"))
    before = file.read_bytes()
    another_network(file) if which == "badnet" else shutil.copy(lab.test, file)
    ran.session.bench.__init__()  # as of a window that is opened later
    for _ in range(2):
        ran.desk.keeping.reopen(kept)
        settle(qtbot, ran)
        pruning.find_maps(0)
        settle(qtbot, ran)
        assert len(found) == 1 and f"{file.name}: was changed since the run" in ran.message_bar.text.text()
    file.write_bytes(before)
    for _ in range(2):
        pruning.find_maps(0)
        settle(qtbot, ran)
    assert len(found) == 3
    np.testing.assert_array_equal(found[2].clean_map, found[0].clean_map)


@pytest.mark.parametrize("how", ["dropped again", "found elsewhere"])
def test_a_layer_that_is_gone_is_chosen_no_longer(
    how: str, qtbot: QtBot, window: MainWindow, lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, lab)
    window.desk.choosing.choose_layer("conv_1")
    settle(qtbot, window)
    if how == "dropped again":
        another_network(lab.badnet, "grouped convolution")
        window.desk.opening.open_paths([lab.badnet])
    else:
        another_network(Path(shutil.copy(lab.badnet, tmp_path / "moved.keras")), "grouped convolution")
        window.desk.choosing.move("model", lab.badnet, tmp_path / "moved.keras")
    settle(qtbot, window)
    inputs, box = window.session.inputs, window.inputs.model._layer
    assert inputs.chosen_layer == box.currentData() != "conv_1" and inputs.chosen_channels
    assert "has no layer conv_1 to prune" in window.status.text.text()
    window.session.set_options(Options(guard="none"))
    press_run(qtbot, window)
    assert window.session.run.model.layer == inputs.chosen_layer
