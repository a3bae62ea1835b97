"""The real window with a guard, a comparison and a repair."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QRadioButton
from pytestqt.qtbot import QtBot

from engine.data.datasets import open_dataset
from engine.defences.comparison import Comparison
from engine.defences.training import Repair
from engine.goodnets.saved import open_goodnet
from engine.guards.calibration import calibrate
from engine.rates import Rate
from engine.reports.headline import calibration_text, recommendation
from engine.runs.kept import Made
from engine.runs.opening.inputs import open_inputs
from engine.runs.repair import METHODS
from engine.runs.rows import badnet_row
from gui.defences.repair_dialog import METHODS as OFFERED
from gui.defences.repair_dialog import RepairDialog
from gui.defences.view import COMPARE, EMPTY
from gui.main_window import MainWindow
from gui.session.session import State
from gui.settings import Options, Settings
from gui.widgets import asking
from tests.support.comparisons import comparison
from tests.support.comparisons import row as compared_row
from tests.support.networks import LABELS, SmallLab
from tests.support.window_driver import PATIENCE_MS, press_run, settle


def open_small(qtbot: QtBot, window: MainWindow, lab: SmallLab) -> None:
    """Open the little network and its data."""
    for role, path in (("model", lab.badnet), ("validation", lab.clean), ("test", lab.test),
                       ("poisoned", lab.poisoned)):
        window.desk.choosing.open_as(role, path)  # type: ignore[arg-type]
    settle(qtbot, window)
    assert window.session.state is State.READY


@pytest.fixture
def run_window(qtbot: QtBot, window: MainWindow, small_lab: SmallLab) -> MainWindow:
    """The window after a run with the window's own options."""
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    assert window.session.state is State.DONE
    return window


def test_a_run_is_guarded_and_its_headline_shown(run_window: MainWindow, small_lab: SmallLab) -> None:
    session, view = run_window.session, run_window.goodnets
    run = session.run
    assert run is not None
    assert run.guarded is not None
    inputs = open_inputs(run.request)
    alone = calibrate(inputs.network, inputs.sets[0].dataset)
    assert (run.guarded.guard.kind, run.guarded.guard.threshold) == ("transplant", alone.threshold)
    # B behind the guard, counted once more image by image.
    for dataset, found in zip((inputs.sets[1].dataset, inputs.sets[2].dataset),
                              (run.guarded.clean, *run.guarded.poisoned), strict=True):
        images = dataset.take(list(range(len(dataset))))
        right = inputs.network.predict_labels(images) == dataset.labels
        assert found is not None
        assert found.goodnet_rate(0) == Rate(
            int((right & ~alone.on(inputs.network).answer(images).flagged).sum()), len(images))
    assert view.model.rows[0].row == badnet_row(run)
    assert [pair.row.guarded for pair in view.model.rows[1:]] == [
        run.guarded.figures_at(row.channels_pruned) for row in run_window.desk.pruning.rows]
    assert view.headline.isVisibleTo(view)
    assert view.guard_note.text().replace("\u00a0", " ") == calibration_text(run.guarded)


def test_b_behind_the_guard_is_saved_and_checks_pictures(
    run_window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = run_window.session
    assert session.run is not None
    assert session.run.guarded is not None
    run_window.tabs.setCurrentWidget(run_window.goodnets)
    run_window.goodnets.table.selectRow(0)
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "badnet-guarded")
    qtbot.mouseClick(run_window.goodnets.save_button, Qt.MouseButton.LeftButton)
    settle(qtbot, run_window)
    saved = open_goodnet([tmp_path / "badnet-guarded"])
    assert saved.guard is not None
    assert saved.guard.threshold == session.run.guarded.guard.threshold
    for one, other in zip(saved.b.model.get_weights(), saved.b_prime.model.get_weights(), strict=True):
        assert (one == other).all()
    with qtbot.waitSignal(run_window.desk.checking.goodnet_changed, timeout=PATIENCE_MS) as used:
        qtbot.mouseClick(run_window.goodnets.use_button, Qt.MouseButton.LeftButton)
    assert used.args[0].name.endswith("nothing pruned, behind the transplant guard")
    assert used.args[0].labels == LABELS
    # Saved, it says as much.
    with qtbot.waitSignal(run_window.desk.checking.goodnet_changed, timeout=PATIENCE_MS) as used:
        run_window.desk.opening.open_paths([tmp_path / "badnet-guarded"])
    assert used.args[0].name == "badnet-guarded, behind the transplant guard"


def test_options_of_the_guard_are_kept(window: MainWindow, qtbot: QtBot) -> None:
    bar = window.run_bar
    assert (bar._guard.currentData(), bar._false_alarms.value()) == ("transplant", 2.0)
    assert bar._false_alarms.text() == "2.0 %"
    options = window.session.options
    for rate, text in ((0.0025, "0.25 %"), (0.0004, "0.04 %"), (0.7, "70.0 %")):  # as a project may have it
        window.session.set_options(dataclasses.replace(options, false_alarms=rate))
        assert bar._false_alarms.text() == text and window.session.options.false_alarms == rate
    window.session.set_options(options)
    bar._false_alarms.setValue(5)
    bar._guard.setCurrentIndex(bar._guard.findData("margin"))
    bar._guard.activated.emit(bar._guard.currentIndex())
    assert (window.session.options.guard, window.session.options.false_alarms) == ("margin", 0.05)
    window.settings.save()
    assert Settings(Path(window.settings._store.fileName())).options == window.session.options
    bar._guard.setCurrentIndex(bar._guard.findData("none"))
    bar._guard.activated.emit(bar._guard.currentIndex())
    assert not bar._false_alarms.isEnabled()


@pytest.mark.parametrize("stored", ["much", "0", "-1", "0.9", "nan"])
def test_senseless_options_are_read_as_the_default(tmp_path: Path, stored: str) -> None:
    settings = Settings(tmp_path / "settings.ini")
    settings._store.setValue("run/false_alarms", stored)
    settings._store.setValue("run/guard", "dragon")
    assert (settings.options.false_alarms, settings.options.guard) == (0.02, "transplant")


@pytest.mark.filterwarnings("ignore")  # of another library's event loop, when nobody answers
def test_a_run_goes_to_the_cluster_that_a_person_named(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    pytest.importorskip("distributed")
    open_small(qtbot, window, small_lab)
    field = window.run_bar._cluster
    field.setText(" tcp://127.0.0.1:9 ")
    field.editingFinished.emit()
    assert window.session.options.cluster == "tcp://127.0.0.1:9"
    press_run(qtbot, window)
    assert window.session.run is None and "no Dask scheduler answers" in window.run_bar.status.text()
    field.clear()
    field.editingFinished.emit()
    press_run(qtbot, window)
    assert window.session.run is not None


def test_without_a_guard_all_is_as_before(window: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> None:
    window.session.set_options(Options(guard="none"))
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    assert window.session.run is not None
    assert window.session.run.guarded is None
    assert [pair.alone for pair in window.goodnets.model.rows] == [False] * len(window.desk.pruning.rows)
    assert not window.goodnets.guard_note.isVisibleTo(window.goodnets)


def test_a_comparison_is_shown_kept_and_saved(
    run_window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_window.desk.menus.find("Compare all defences").trigger()
    assert run_window.tabs.currentWidget() is run_window.defences
    settle(qtbot, run_window)
    run, panel = run_window.session.run, run_window.defences.panel
    assert run is not None
    assert run.comparison is not None
    assert panel is not None
    assert panel.model.rows == run.comparison.rows
    plain = {row.defence: row for row in run.comparison.rows if row.guard == "none"}
    assert plain["B"].clean == run.curve.clean.b_prime_rate(0)
    for row in run_window.desk.pruning.rows:
        if row.channels_pruned:
            assert plain[f"pruned, X = {row.x:g}"].clean == row.clean
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "badnet-goodnets")
    qtbot.mouseClick(run_window.run_bar.save, Qt.MouseButton.LeftButton)
    settle(qtbot, run_window)
    document = json.loads((tmp_path / "badnet-goodnets" / "run.json").read_text(encoding="utf-8"))
    assert len(document["comparison"]) == len(run.comparison.rows)
    press_run(qtbot, run_window)
    assert run_window.defences.stack.currentWidget() is run_window.defences.empty


def test_a_comparison_ends_with_what_is_best_and_keeps_it(
    run_window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = run_window.defences
    qtbot.mouseClick(view.compare_button, Qt.MouseButton.LeftButton)
    settle(qtbot, run_window)
    run, panel = run_window.session.run, view.panel
    assert run is not None and run.comparison is not None and panel is not None
    best = recommendation(run)
    assert best is not None
    assert panel.best.text().replace("\u00a0", " ").startswith(f"Best of these: {best.row.name}. Attack success")
    assert panel.best.text().endswith(best.sentence.replace(" %", "\u00a0%"))
    assert panel.table.currentIndex().row() == run.comparison.rows.index(best.row)
    monkeypatch.setattr("engine.runs.repair.TRAINED", {})  # nothing is trained again
    monkeypatch.setattr("engine.runs.all_defences.distil", None)
    monkeypatch.setattr("engine.runs.all_defences.unlearn", None)
    row = next(i for i, row in enumerate(run.comparison.rows)
               if (row.defence, row.guard) == ("repaired by distillation", "margin"))
    panel.table.selectRow(row)
    asked: list[str] = []
    monkeypatch.setattr(asking, "ask_new_folder", lambda _, *words: asked.extend(words) or tmp_path / "kept")
    qtbot.mouseClick(panel.keep, Qt.MouseButton.LeftButton)
    settle(qtbot, run_window)
    assert "repaired by distillation behind the margin guard" in asked[0]
    measured = json.loads((tmp_path / "kept" / "evaluation.json").read_text(encoding="utf-8"))
    assert measured["test"]["guarded_accuracy"] == run.comparison.rows[row].clean.value
    kept = open_goodnet([tmp_path / "kept"])
    assert kept.guard is not None and kept.guard.kind == "margin"
    assert str(tmp_path / "kept") in run_window.message_bar.text.text()
    assert "Without the guard, as in these files, " in kept.notes["guard_note"] in run_window.message_bar.text.text()
    panel.table.selectRow(0)
    assert not panel.keep.isEnabled(), "B without a guard is no defence"


def test_the_line_above_the_tabs_keeps_what_is_best_of_the_comparison(
    run_window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    bar, run, defending = run_window.result, run_window.session.run, run_window.desk.defending
    assert run is not None and not bar.keep.isVisibleTo(run_window)
    name = "repaired by distillation"
    compared = Comparison((compared_row("B", "none", 76, 80), compared_row(name, "none", 80, 0),
                           compared_row("repaired network alone", "none", 80, 0)))
    run_window.session.run = dataclasses.replace(run, comparison=compared)
    made = defending.made = Made()
    defending.comparison_changed.emit(compared)
    assert f"(in the comparison, {name})" in bar.answer.text().replace("\u00a0", " ")
    assert not any(button.isVisibleTo(run_window) for button in (bar.use, bar.save, bar.keep)), "nothing is there"
    weights = open_inputs(run.request).network.model.get_weights()
    made.repairs[name] = Repair("distillation", weights, 1, 1, Rate(1, 1), Rate(1, 1), "", (), "", 0)
    defending.comparison_changed.emit(compared)
    assert bar.keep.isVisibleTo(run_window) and not bar.save.isVisibleTo(run_window)
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "kept")
    qtbot.mouseClick(bar.keep, Qt.MouseButton.LeftButton)
    assert not bar.keep.isEnabled()
    settle(qtbot, run_window)
    assert open_goodnet([tmp_path / "kept"]).notes["method"] == "distillation"


def test_of_a_run_that_was_brought_back_nothing_can_be_kept(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    view = window.defences
    view.show_comparison(comparison())
    assert view.panel is not None
    view.panel.table.selectRow(1)
    assert not view.panel.keep.isEnabled()
    assert "compare again" in view.panel.keep.toolTip()
    view.show_comparison(comparison(), hindrance=lambda row: "" if row.guard != "none" else "Not this one.")
    view.panel.table.selectRow(1)
    assert view.panel.keep.isEnabled()
    view.set_busy(True)
    assert not view.panel.keep.isEnabled()


def test_the_table_can_be_read_in_a_small_window(window: MainWindow, qtbot: QtBot) -> None:
    """At 1280 x 760, the options open: no column is cut, and six defences are seen without scrolling."""
    settle(qtbot, window)
    window.desk.pages.setCurrentWidget(window.tabs)
    window.tabs.setCurrentWidget(window.defences)
    window.defences.show_comparison(comparison())
    window.run_bar._toggle.setChecked(True)
    window.resize(1280, 756)
    window.grab()
    panel = window.defences.panel
    assert panel is not None
    table = panel.table
    assert table.horizontalScrollBar().maximum() == 0
    seen = [row for row in range(len(panel.model.rows))
            if table.viewport().rect().contains(table.visualRect(panel.model.index(row, 0)))]
    assert len(seen) >= 6
    assert panel.canvas.height() >= 160


def test_a_cancelled_comparison_leaves_everything(run_window: MainWindow, qtbot: QtBot) -> None:
    before = run_window.session.run
    with qtbot.waitSignal(run_window.session.progressed, timeout=PATIENCE_MS,
                          check_params_cb=lambda p: p.what == "Repairing by distillation"):
        run_window.defences.compare_button.click()
    assert run_window.session.state is State.RUNNING
    qtbot.mouseClick(run_window.run_bar.cancel, Qt.MouseButton.LeftButton)
    settle(qtbot, run_window)
    assert run_window.session.run is before
    assert run_window.session.state is State.DONE
    assert run_window.defences.stack.currentWidget() is run_window.defences.empty
    assert run_window.defences.compare_button.isEnabled()


def answer_repair(qtbot: QtBot, window: MainWindow, *choices: str) -> None:
    """Press Repair, choose in the question that follows, and say yes."""
    qtbot.mouseClick(window.defences.repair_button, Qt.MouseButton.LeftButton)
    dialog, = (found for found in window.findChildren(RepairDialog) if found.isVisible())
    assert window.session.idle
    for choice in choices:
        button, = (b for b in dialog.findChildren(QRadioButton) if b.text().replace("&", "") == choice)
        button.click()
    yes, = (b for b in dialog.findChildren(QPushButton) if b.text().replace("&", "") == "Choose a folder…")
    qtbot.mouseClick(yes, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize(("alone", "choices", "method"), [
    (False, ["As a pair with the network"], "distillation"), (True, ["The sparing guard"], "distillation"),
    (True, ["Unlearning"], "unlearning"), (False, ["Fine-pruning", "As a pair with the network"], "fine-pruning")])
def test_a_repaired_copy_is_trained_and_answers_as_a_person_chose(
    alone: bool, choices: list[str], method: str, run_window: MainWindow, small_lab: SmallLab, qtbot: QtBot,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, ran = tuple(f"person {label}" for label in range(LABELS)), run_window.session.run
    assert ran is not None
    run_window.session.run = dataclasses.replace(ran, request=dataclasses.replace(ran.request, classes=names))
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "badnet-repaired")
    answer_repair(qtbot, run_window, *choices)
    settle(qtbot, run_window)
    saved = tmp_path / "badnet-repaired"
    pair = open_goodnet([saved])
    assert pair.guard is not None and pair.classes == names
    guard = "sparing" if "The sparing guard" in choices else "transplant"
    assert pair.guard_name == guard and f"{guard.capitalize()} guard: " in run_window.message_bar.text.text()
    assert pair.notes["method"] == method and pair.b_prime_alone is alone
    assert f"repaired by {method}" in run_window.message_bar.text.text()
    run = run_window.session.run
    assert run is not None
    order = [int(channel) for channel in run.ranking.order]
    assert pair.notes["pruned_channels"] == (order[:len(order) * 9 // 10] if method == "fine-pruning" else [])
    assert ("which answers alone" in run_window.message_bar.text.text()) is alone
    # The one file answers as the networks say: B' where it is alone, else N where they disagree.
    import keras
    images = open_dataset(small_lab.test, pair.b.input_shape).take(range(40))
    prepared = pair.preprocessing.applied(images.copy())
    b, b_prime = pair.b.predict_labels(prepared), pair.b_prime.predict_labels(prepared)
    wanted = b_prime if alone else np.where(b == b_prime, b, LABELS)
    answer = keras.models.load_model(saved / "goodnet.keras").predict(images, verbose=0)
    np.testing.assert_array_equal(answer.argmax(axis=1), wanted)
    measured = json.loads((saved / "evaluation.json").read_text(encoding="utf-8"))
    text = run_window.message_bar.text.text()
    assert str(saved) in text
    assert f"clean accuracy {100 * measured['test']['guarded_accuracy']:.2f}".rstrip("0").rstrip(".") in text
    assert run_window.message_bar.open_folder.isVisible()


def test_every_method_of_the_engine_can_be_chosen_and_nothing_is_done_unasked(
    run_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tuple(method for method, _, _ in OFFERED) == METHODS
    asked: list[object] = []
    monkeypatch.setattr(asking, "ask_new_folder", lambda *words: asked.append(words))
    run_window.desk.menus.find("Repair").trigger()
    dialog, = run_window.findChildren(RepairDialog)
    assert run_window.tabs.currentWidget() is run_window.defences
    assert "The transplant guard, set to flag at most 2 % of clean pictures." in [
        label.text() for label in dialog.findChildren(QLabel)], "which guard the run has"
    # Whole words are seen: each label is as high as its text, broken at its width, needs.
    for label in dialog.findChildren(QLabel):
        assert label.height() >= label.heightForWidth(label.width()), label.text()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not asked
    answer_repair(qtbot, run_window)
    assert len(asked) == 1 and run_window.session.idle, "no folder was named"


def test_the_whole_defence_needs_no_run_and_saves_the_best_with_its_evidence(
    window: MainWindow, small_lab: SmallLab, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not window.defences.defend_button.isEnabled()
    for role, path in (("model", small_lab.badnet), ("validation", small_lab.clean), ("test", small_lab.test)):
        window.desk.choosing.open_as(role, path)
    settle(qtbot, window)
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "badnet-defended")
    window.tabs.setCurrentWidget(window.defences)
    qtbot.mouseClick(window.defences.defend_button, Qt.MouseButton.LeftButton)
    assert "The defence goes on" in window.defences.empty.text()
    settle(qtbot, window)
    saved = tmp_path / "badnet-defended"
    document = json.loads((saved / "defend.json").read_text(encoding="utf-8"))
    text = window.message_bar.text.text()
    assert text.startswith(f"Chose {document['chosen']} and saved it in {saved}")
    assert "an estimate" in text and "(reconstructed), " in text, "nobody gave poisoned images"
    on = "wasn't" if document["measured"]["chosen_by_other_images"] else "was"
    assert f"on images that it {on} chosen by" in text
    assert json.loads((saved / "goodnet" / "goodnet.json").read_text()).get("guard_note", "") in text
    assert window.defences.empty.text().replace("\u00a0", " ").startswith(text), "there it is read whole"
    assert window.defences.empty.text().endswith(f"{COMPARE} Run the pruning first."), "it can't be pressed"
    assert open_goodnet([saved / "goodnet"]).b.labels == LABELS
    assert (saved / "examination" / "report.html").is_file()
    assert window.message_bar.open_folder.isVisible()
    with qtbot.waitSignal(window.desk.checking.goodnet_changed, timeout=PATIENCE_MS) as used:
        window.desk.opening.open_paths([saved])
    settle(qtbot, window)
    assert used.args[0].file == "badnet-defended" and not window.session.inputs.poisoned, "its evidence is no data set"
    press_run(qtbot, window)
    assert window.defences.empty.text() == EMPTY.replace("Run the pruning, then press", "Press"), "a run is there"


def test_missing_labels_are_refused_until_allowed(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    window.desk.choosing.open_as("validation", lab3 / "clean_faces.h5")
    settle(qtbot, window)
    assert "1,263 of 1,283 labels" in window.defences.warning.text()
    press_run(qtbot, window)
    qtbot.mouseClick(window.defences.compare_button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert "allow missing labels" in window.message_bar.text.text()
    assert window.session.run is not None
    assert window.session.run.comparison is None
    window.defences.allow_box.click()
    with qtbot.waitSignal(window.session.progressed, timeout=PATIENCE_MS,
                          check_params_cb=lambda p: p.what == "Calibrating the guard"):
        qtbot.mouseClick(window.defences.compare_button, Qt.MouseButton.LeftButton)
    window.session.cancel()
    settle(qtbot, window)
