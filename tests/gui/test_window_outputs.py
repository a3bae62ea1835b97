"""A model with several outputs in the real window: a question, a choice to change, and a run that remembers it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from engine.__main__ import AT_FAULT, DONE, main
from engine.records.reopening import reopen_run
from engine.runs.prune import PruningRequest, run_pruning
from gui.main_window import MainWindow
from gui.session.session import State
from tests.support.examinations import hurry
from tests.support.networks import LABELS, SmallLab, build
from tests.support.window_driver import drop, press_run, settle


@pytest.fixture
def heads(small_lab: SmallLab, tmp_path: Path) -> Path:
    """The little network with a second output in front of the one that tells the labels."""
    from keras import Model, layers
    model, _ = build("plain")
    other = layers.Dense(4, name="age")(layers.GlobalAveragePooling2D()(model.get_layer("pruned").output))
    Model(model.input, [other, model.output]).save(tmp_path / "heads.keras")
    return tmp_path / "heads.keras"


def asked(window: MainWindow) -> QInputDialog:
    dialog, = (d for d in window.findChildren(QInputDialog) if d.isVisible())
    return dialog


def test_the_window_asks_and_the_answer_is_kept(
    heads: Path, small_lab: SmallLab, window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    choosing, session = window.desk.choosing, window.session
    choosing.open_as("model", heads)
    settle(qtbot, window)
    dialog = asked(window)
    assert dialog.comboBoxItems() == ["1. age: 4 values", f"2. output: {LABELS} values"]
    dialog.setTextValue(dialog.comboBoxItems()[1])
    dialog.accept()
    settle(qtbot, window)
    card = window.inputs.model
    assert session.inputs.model and session.inputs.model.usable and session.inputs.labels == LABELS
    assert card._outputs.isVisibleTo(window) and card._output.currentText() == "output"
    for role, path in (("validation", small_lab.clean), ("poisoned", small_lab.poisoned)):
        choosing.open_as(role, path)  # type: ignore[arg-type]
    settle(qtbot, window)
    press_run(qtbot, window)
    run = session.run
    assert run and run.request.output == "output" and session.state is State.DONE
    alone = run_pruning(PruningRequest(small_lab.badnet, small_lab.clean, poisoned=(small_lab.poisoned,),
                                       scale=run.model.scale))
    np.testing.assert_array_equal(run.curve.validation.correct, alone.curve.validation.correct)
    np.testing.assert_array_equal(run.ranking.order, alone.ranking.order)
    # Another output is another run; undone, it is the old one again.
    card.output_chosen.emit("age")
    settle(qtbot, window)
    assert session.inputs.labels == 4 and session.state is not State.DONE
    session.history.undo()
    settle(qtbot, window)
    assert session.inputs.labels == LABELS and session.state is State.DONE
    window.desk.projects.save(tmp_path / "mine.goodnet")
    window.desk.saving.save_run(tmp_path / "run")
    settle(qtbot, window)
    document = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert document["model"]["output"] == "output" and reopen_run(tmp_path / "run").request.output == "output"
    choosing.remove("model", heads)
    window.desk.projects.open(tmp_path / "mine.goodnet")
    settle(qtbot, window)
    assert session.inputs.model and session.inputs.model.output == "output" and session.inputs.labels == LABELS


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_a_question_that_is_dismissed_leaves_the_sentence(heads: Path, window: MainWindow, qtbot: QtBot) -> None:
    assert drop(window, [heads])
    settle(qtbot, window)
    asked(window).reject()
    settle(qtbot, window)
    assert window.session.inputs.model and "has 2 outputs, age (4), output" in window.session.inputs.model.error
    assert window.session.state is State.EMPTY


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_models_that_wait_behind_one_with_several_outputs_still_wait_after_the_answer(
    heads: Path, small_lab: SmallLab, window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    single, alike = tmp_path / "single.keras", tmp_path / "alike.keras"
    shutil.copy(small_lab.badnet, single)
    shutil.copy(heads, alike)
    assert drop(window, [heads, single, alike])
    settle(qtbot, window)
    dialog = asked(window)
    dialog.setTextValue(dialog.comboBoxItems()[1])
    dialog.accept()
    window.desk.choosing.open_as("validation", small_lab.clean)
    settle(qtbot, window)
    assert window.session.inputs.further == (single, alike)
    press_run(qtbot, window)
    runs = [entry.run for entry in window.runs.model.rows]
    assert [(run.model.path, run.request.output) for run in runs] == [
        (alike, "output"), (single, None), (heads, "output")], window.runs.failures.text()
    # Another model with several outputs, whose question is answered, has none behind it.
    window.desk.choosing.open_output(tmp_path / "alike.keras", "output")
    settle(qtbot, window)
    assert window.session.inputs.further == ()


def test_an_examination_by_another_output_is_marked(
    small_lab: SmallLab, window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    from keras import Model, layers
    hurry(monkeypatch)
    model, _ = build("plain")
    other = layers.Dense(LABELS, name="age")(layers.GlobalAveragePooling2D()(model.get_layer("pruned").output))
    Model(model.input, [other, model.output]).save(tmp_path / "twins.keras")
    window.desk.choosing.open_output(tmp_path / "twins.keras", "output")
    window.desk.choosing.open_as("validation", small_lab.clean)
    settle(qtbot, window)
    window.desk.examining.examine()
    settle(qtbot, window)
    assert window.desk.examining.examined and not window.examine.mark.text()
    window.inputs.model.output_chosen.emit("age")
    settle(qtbot, window)
    assert "What is different: output." in window.examine.mark.text()
    window.session.history.undo()
    settle(qtbot, window)
    assert not window.examine.mark.text()


def test_the_command_line_takes_an_output(
    heads: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["prune", str(heads), "--clean", str(small_lab.clean), "--out", str(tmp_path / "out")]
    assert main(arguments) == AT_FAULT
    assert "has 2 outputs, age (4), output" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main([*arguments, "--output", "output"]) == DONE
    assert reopen_run(tmp_path / "out").request.output == "output"
    capsys.readouterr()
    assert main(["inspect", str(heads), "--output", "age", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["labels"], found["outputs"], found["output"]) == (4, ["age", "output"], "age")
