"""Several models dropped at once and run one after the other in the real window."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine.progress import CancelToken, Progress, ProgressCallback
from engine.records.autosave import kept_runs
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from gui.jobs import several
from gui.main_window import MainWindow
from gui.session.session import State
from tests.gui.test_window_belonging import backwards_folder
from tests.gui.test_window_defences import SmallLab, open_small
from tests.support.engine_fixtures import small_lab  # noqa: F401
from tests.support.window_driver import PATIENCE_MS, drop, press_run, settle

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


@pytest.fixture
def models(small_lab: SmallLab, tmp_path: Path) -> list[Path]:  # noqa: F811
    """Three copies of the BadNet."""
    paths = [tmp_path / name for name in ("one.keras", "two.keras", "three.keras")]
    for path in paths:
        shutil.copy(small_lab.badnet, path)
    return paths


def drop_models(qtbot: QtBot, window: MainWindow, lab: SmallLab, models: list[Path]) -> None:
    open_small(qtbot, window, lab)
    assert drop(window, models)
    settle(qtbot, window)
    assert window.session.state is State.READY


def cancel_once(reached: threading.Event, go_on: threading.Event, qtbot: QtBot, window: MainWindow) -> None:
    """Run, and cancel where the work says that it was reached and waits to go on."""
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(reached.is_set, timeout=PATIENCE_MS)
    window.session.cancel()
    go_on.set()
    settle(qtbot, window)


def spoil(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])


def test_models_that_are_dropped_together_run_one_after_the_other(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path],  # noqa: F811
) -> None:
    drop_models(qtbot, window, small_lab, models)
    assert window.run_bar.run.text() == "Ru&n 3 models"
    assert window.inputs.model._further.isVisible()
    assert window.inputs.model._further.text() == "Then 2 more: two.keras, three.keras"
    spoil(models[1])
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert window.tabs.currentWidget() is window.runs
    settle(qtbot, window)
    assert window.tabs.currentWidget() is window.runs
    listed = window.runs.model.rows
    assert [entry.run.model.path for entry in listed] == [models[2], models[0]]
    assert window.runs.selected() == list(listed)
    assert window.runs.panel is not None and window.runs.stack.currentWidget() is window.runs.panel
    assert window.runs.failures.isVisible() and window.runs.failures.text().startswith("two.keras failed. ")
    assert "2 of 3 models are done, 1 failed." in window.status.text.text()
    assert window.session.run is None  # nothing that was on show is replaced
    # Each run is the one that the model gets alone, and it is kept.
    alone = run_pruning(window.session.inputs.request(window.session.options))
    for entry in listed:
        for counts, expected in zip(entry.run.curve.sets, alone.curve.sets, strict=True):
            np.testing.assert_array_equal(counts.goodnet_correct, expected.goodnet_correct)
    folder = window.settings.runs_folder
    assert folder is not None
    assert {kept.folder for kept in kept_runs(folder)} == {entry.folder for entry in listed}


def test_label_names_that_a_person_gave_hold_for_every_model(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path], tmp_path: Path,  # noqa: F811
) -> None:
    drop_models(qtbot, window, small_lab, models[:2])
    names = tuple(f"kind {letter}" for letter in "gfedcba")
    (tmp_path / "mine.txt").write_text("\n".join(names), encoding="utf-8")
    window.desk.choosing.open_as("validation", backwards_folder(small_lab, tmp_path))
    window.desk.choosing.open_names(tmp_path / "mine.txt")
    settle(qtbot, window)
    press_run(qtbot, window)
    runs = [entry.run for entry in window.runs.model.rows]
    assert [run.request.classes for run in runs] == [names, names]
    assert [run.curve.validation.b_prime_rate(0).value for run in runs] == [0.9, 0.9]


def test_names_that_only_call_labels_are_the_first_model_s(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path],  # noqa: F811
) -> None:
    """A model behind it may have another number of labels."""
    drop_models(qtbot, window, small_lab, models[:2])
    names = tuple(f"kind {letter}" for letter in "gfedcba")
    window.desk.choosing.name_labels(names, "Label names")
    press_run(qtbot, window)
    assert {entry.run.model.path: entry.run.request.classes for entry in window.runs.model.rows} == {
        models[0]: names, models[1]: ()}


def test_cancel_keeps_the_models_that_are_done(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drop_models(qtbot, window, small_lab, models)
    heard: list[str] = []
    window.session.progressed.connect(lambda report: heard.append(report.what))
    at_the_second, go_on = threading.Event(), threading.Event()

    def waits_at_the_second(request: PruningRequest, *, progress: ProgressCallback,
                            cancel: CancelToken) -> PruningRun:
        def report(done: Progress) -> None:
            progress(done)
            if request.model == models[1]:
                at_the_second.set()
                go_on.wait(60)

        return run_pruning(request, progress=report, cancel=cancel)

    monkeypatch.setattr(several, "run_pruning", waits_at_the_second)
    cancel_once(at_the_second, go_on, qtbot, window)
    assert heard[-1].startswith("Model 2 of 3, two.keras: ")
    assert [entry.run.model.path for entry in window.runs.model.rows] == [models[0]]
    assert window.runs.model.rows[0].folder is not None
    assert "Cancelled. 1 of 3 models are done." in window.status.text.text()
    assert window.session.state is State.READY and not window.runs.failures.isVisible()


def test_cancel_that_comes_as_a_model_ends_keeps_it_and_runs_no_other(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drop_models(qtbot, window, small_lab, models)
    done, go_on = threading.Event(), threading.Event()

    def ends_late(*given: Any, **more: Any) -> PruningRun:
        run = run_pruning(*given, **more)
        done.set()
        go_on.wait(60)
        return run

    monkeypatch.setattr(several, "run_pruning", ends_late)
    cancel_once(done, go_on, qtbot, window)
    assert [entry.run.model.path for entry in window.runs.model.rows] == [models[0]]
    assert "Cancelled. 1 of 3 models are done." in window.status.text.text()


def test_taking_out_the_first_model_lets_the_next_one_take_its_place(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, models: list[Path],  # noqa: F811
) -> None:
    drop_models(qtbot, window, small_lab, models)
    qtbot.mouseClick(window.inputs.model._remove, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    inputs = window.session.inputs
    assert inputs.model is not None and (inputs.model.path, inputs.further) == (models[1], (models[2],))
    assert window.session.state is State.READY
    # A single model in its place runs alone, and can be undone.
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    assert window.session.inputs.further == () and window.run_bar.run.text() == "Ru&n"
    window.desk.menus.find("Undo").trigger()
    settle(qtbot, window)
    assert window.session.inputs.further == (models[2],)
