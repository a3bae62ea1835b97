"""What the network gets wrong of its clean images is seen in the image check."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from engine.data.datasets import open_dataset
from engine.data.stored_values import UNIT
from engine.goodnets.saved import save_pair
from engine.guards.suspects import Suspects
from engine.models.networks import open_network
from gui.jobs import checking
from gui.main_window import MainWindow
from tests.support.comparisons import guard, guarded
from tests.support.linear_networks import overflowing
from tests.support.networks import SmallLab, save_lab_file
from tests.support.window_driver import press_run, settle

WRONG = [3, 11, 12]


def labelled(small_lab: SmallLab, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels of which WRONG aren't what the network answers, and what it answers."""
    network = open_network(small_lab.badnet)
    images = open_dataset(small_lab.clean, network.input_shape, network.labels).take(range(count))
    answers = np.concatenate([network.predict_labels(image[np.newaxis]) for image in images])
    labels = answers.copy()
    labels[WRONG] = (labels[WRONG] + 1) % network.labels
    return images, labels, answers


def run_on(window: MainWindow, qtbot: QtBot, small_lab: SmallLab, clean: Path) -> None:
    window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", clean)], "The lab.")
    settle(qtbot, window)
    press_run(qtbot, window)
    assert window.session.run is not None


def ask(window: MainWindow, qtbot: QtBot) -> None:
    window.desk.menus.find("Check what B gets wrong").trigger()
    settle(qtbot, window)


@pytest.mark.parametrize("divided", [False, True])
def test_they_are_seen_with_their_numbers_and_labels(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, divided: bool,
) -> None:
    images, labels, answers = labelled(small_lab, 60)
    with h5py.File(tmp_path / "faces.h5", "w") as file:
        file["data"], file["label"] = images / np.float32(255) if divided else images, labels
    run_on(window, qtbot, small_lab, tmp_path / "faces.h5")
    run = window.session.run
    assert run and (run.model.stored == UNIT) is divided
    ask(window, qtbot)
    assert window.tabs.currentWidget() is window.check
    verdicts = window.check.model.verdicts
    assert [verdict.file for verdict in verdicts] == \
        [f"label {labels[number]}, image {number} of faces.h5" for number in WRONG]
    for number, verdict in zip(WRONG, verdicts, strict=True):
        np.testing.assert_array_equal(verdict.seen_again(), images[number])
        assert verdict.b_label == answers[number]


def test_of_a_folder_they_are_its_files(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    images, labels, _ = labelled(small_lab, 60)
    files = [tmp_path / "faces" / str(label) / f"{number:02}.png" for number, label in enumerate(labels)]
    for file, image in zip(files, images, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(file)
    run_on(window, qtbot, small_lab, tmp_path / "faces")
    ask(window, qtbot)
    assert {verdict.file for verdict in window.check.model.verdicts} == {str(files[number]) for number in WRONG}


def test_images_that_strike_the_runs_guard_are_seen_too(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    clean = tmp_path / "faces.h5"
    images, labels, _ = labelled(small_lab, 60)
    save_lab_file(clean, images, labels)
    run_on(window, qtbot, small_lab, clean)
    run = window.session.run
    assert run is not None
    striking = dataclasses.replace(guard(), striking=Suspects(2, (5, 40)))
    window.session.run = dataclasses.replace(run, guarded=dataclasses.replace(guarded(), guard=striking))
    said: list[str] = []
    window.session.message.connect(lambda message: said.append(message.text))
    ask(window, qtbot)
    shown = [f"label {labels[number]}, image {number} of faces.h5" for number in (*WRONG, 5, 40)]
    assert [verdict.file for verdict in window.check.model.verdicts] == \
        [*shown[:3], *(name + ", left out by the guard" for name in shown[3:])]
    np.testing.assert_array_equal(window.check.model.verdicts[3].seen_again(), images[5])
    assert said[-1].endswith("Of faces the run's guard left out 2 of label 2.")
    save_lab_file(clean, images[:30], labels[:30])
    ask(window, qtbot)
    assert said[-1].endswith("was changed since the run, so run again to see what the guard leaves out.")


def test_only_some_of_very_many_are_shown_and_that_is_said(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "_MOST_WRONG", 2)
    images, labels, _ = labelled(small_lab, 60)
    run_on(window, qtbot, small_lab, save_lab_file(tmp_path / "faces.h5", images, labels))
    said: list[str] = []
    window.session.message.connect(lambda message: said.append(message.text))
    ask(window, qtbot)
    assert len(window.check.model.verdicts) == 2
    assert said[-1].startswith("B gets 3 of the 60 images in faces wrong (5 %)")
    assert said[-1].endswith("The first 2 of a set are in the table.")


@pytest.mark.parametrize("files", [("goodnet.keras",), ("b.keras", "b_prime.keras")])
def test_the_runs_own_pair_is_asked_whatever_its_files_say(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, files: tuple[str, ...],
) -> None:
    images, labels, _ = labelled(small_lab, 60)
    run_on(window, qtbot, small_lab, save_lab_file(tmp_path / "faces.h5", images, labels))
    run = window.session.run
    assert run is not None
    save_pair(window.session.bench.built(run, window.desk.pruning.rows[0]), tmp_path / "pair")
    window.desk.checking.open_goodnet([Path(shutil.copy(tmp_path / "pair" / file, tmp_path)) for file in files])
    settle(qtbot, window)
    ask(window, qtbot)
    assert len(window.check.model.verdicts) == len(WRONG)


def test_another_networks_pair_isnt_asked(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    images, labels, _ = labelled(small_lab, 60)
    run_on(window, qtbot, small_lab, save_lab_file(tmp_path / "faces.h5", images, labels))
    network, other = open_network(small_lab.badnet).copy(), tmp_path / "other.keras"
    network.model.set_weights([2 * weights for weights in network.model.get_weights()])
    network.model.save(other)
    window.desk.checking.open_goodnet([other, other])
    settle(qtbot, window)
    ask(window, qtbot)
    assert window.check.model.verdicts == []
    assert f"a GoodNet of another network than {small_lab.badnet.name}" in window.message_bar.text.text()
    window.desk.checking.use_row(window.desk.pruning.rows[0])
    ask(window, qtbot)
    assert len(window.check.model.verdicts) == len(WRONG)


def test_without_a_run_there_is_nothing_to_ask(window: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> None:
    settle(qtbot, window)
    assert not window.desk.menus.find("Check what B gets wrong").isEnabled()
    run_on(window, qtbot, small_lab, small_lab.clean)
    assert window.desk.menus.find("Check what B gets wrong").isEnabled()


def test_images_that_have_no_answer_are_told(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 255, (30, 6, 6, 3), endpoint=True).astype(np.uint8)
    np.savez(tmp_path / "clean.npz", data=images, label=np.arange(30) % 3)
    network = overflowing(tmp_path)
    window.session.set_options(dataclasses.replace(window.session.options, scale="none", guard="none"))
    window.desk.choosing.open_all([("model", network), ("validation", tmp_path / "clean.npz")], "A set.")
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.checking.open_goodnet([network, network])
    settle(qtbot, window)
    told: list[str] = []
    window.session.message.connect(lambda message: told.append(message.text))
    ask(window, qtbot)
    assert window.check.model.verdicts == []
    said = told[-1]
    assert said.startswith("B gets 30 of the 30 images in clean wrong") and "aren't numbers" in said
    assert said.endswith("(and 29 more couldn't be checked)")
