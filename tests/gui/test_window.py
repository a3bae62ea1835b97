"""The real window, driven as a person drives it: open, run, decide, save, check, cancel, close."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from engine.goodnets.checking import Verdict
from engine.goodnets.saved import open_goodnet
from engine.runs.prune import PruningRequest, run_pruning
from gui.check.wing import as_pixels
from gui.main_window import MainWindow
from gui.session import sample
from gui.session.session import State
from gui.widgets import asking
from tests.support.window_driver import PATIENCE_MS, drop, open_lab, press_run, repeated, settle

pytestmark = [
    # Newer versions of PySide take a QPointF here and older ones don't; QPoint is understood by all.
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]


def test_a_run_counts_what_the_engine_counts(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    open_lab(qtbot, window, lab3)
    seen = []
    window.desk.pruning.curve_changed.connect(lambda curve, rows: seen.append(curve))
    press_run(qtbot, window)
    assert window.session.state is State.DONE
    run = window.session.run
    assert run is not None
    alone = run_pruning(PruningRequest(
        lab3 / "bd_weights.h5", lab3 / "clean_faces.h5", poisoned=(lab3 / "poisoned_faces.h5",)))
    assert (run.ranking.order == alone.ranking.order).all()
    for shown, expected in zip(seen[-1].sets, alone.curve.sets, strict=True):
        for counts in ("correct", "agreeing", "goodnet_correct"):
            assert (getattr(shown, counts) == getattr(expected, counts)).all()
    assert window.curve.panel is not None
    assert window.goodnets.model.rowCount() == 5  # B behind the guard, and a GoodNet for each threshold
    assert window.status.device.text().startswith("Computes on: ")


def test_the_lab_s_figures_in_the_published_order(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    window.desk.opening.open_paths([lab3 / "published.json"])
    open_lab(qtbot, window, lab3)
    assert window.session.options.order == lab3 / "published.json"
    press_run(qtbot, window)
    assert window.session.run is not None
    curve = window.session.run.curve
    # Measured by a plain loop on these 180 faces: B' clean, GoodNet clean, attack success in per cent.
    for step, b_prime, goodnet, attack in ((0, 94.4, 94.4, 100), (45, 90.0, 90.0, 100), (52, 76.1, 75.6, 77.8),
                                           (54, 35.6, 35.6, 13.3), (57, 0.6, 0.6, 0)):
        assert 100 * curve.clean.b_prime_rate(step).value == pytest.approx(b_prime, abs=0.06)
        assert 100 * curve.clean.goodnet_rate(step).value == pytest.approx(goodnet, abs=0.06)
        # One poisoned face is so close between two labels that it falls either way.
        assert 100 * curve.poisoned[0].goodnet_rate(step).value == pytest.approx(attack, abs=0.6)


def test_thresholds_are_edited_without_a_run(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    run = window.session.run
    assert run is not None
    with qtbot.assertNotEmitted(window.session.run_changed):
        window.goodnets.drops_edited.emit((5.0, 99.0), "points", "first-past")
        settle(qtbot, window)
    correct, images = run.curve.validation.correct, run.curve.validation.images
    lost = 100 * (correct[0] - correct) / images
    assert [row.channels_pruned for row in window.desk.pruning.rows] == [int(np.argmax(lost >= 5))]
    assert window.session.run is run
    assert window.settings.options.drops == (5.0, 99.0)
    window.goodnets.table.selectRow(1)  # the first is B behind the guard
    assert window.curve.step == window.desk.pruning.rows[0].channels_pruned


def test_saved_pairs_open_again_and_answer_alike(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "goodnet-x30"), ""))
    window.goodnets.save_requested.emit(window.desk.pruning.rows[-1:])
    settle(qtbot, window)
    saved = tmp_path / "goodnet-x30"
    notes = json.loads((saved / "goodnet.json").read_text(encoding="utf-8"))
    assert notes["channels_pruned"] == window.desk.pruning.rows[-1].channels_pruned
    assert window.message_bar.isVisible() and window.message_bar.open_folder.isVisible()
    assert str(tmp_path) in window.message_bar.text.text()

    # Saved once more it asks; after "no" nothing is written.
    before = (saved / "b.keras").stat().st_mtime_ns
    monkeypatch.setattr(asking, "ask_overwrite", lambda _, paths: not any(p.exists() for p in paths))
    window.goodnets.save_requested.emit(window.desk.pruning.rows[-1:])
    settle(qtbot, window)
    assert (saved / "b.keras").stat().st_mtime_ns == before

    window.goodnets.use_requested.emit(window.desk.pruning.rows[-1])
    found = checked(window, qtbot, sorted((lab3 / "images").iterdir()))
    with qtbot.waitSignal(window.desk.checking.goodnet_changed, timeout=PATIENCE_MS):
        window.desk.opening.open_paths([saved])
    again = checked(window, qtbot, sorted((lab3 / "images").iterdir()))
    assert [(v.b_label, v.b_prime_label, v.label) for v in found] == \
        [(v.b_label, v.b_prime_label, v.label) for v in again]
    assert [v.b_label for v in again if "poisoned" in v.file] == [0] * 6


def test_save_all_writes_the_run_s_folder_with_the_thresholds_as_edited(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    window.goodnets.drops_edited.emit((7.0,), "points", "first-past")
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "bd_weights-goodnets")
    qtbot.mouseClick(window.run_bar.save, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    folder = tmp_path / "bd_weights-goodnets"
    window.desk.bring_up(window.runs)
    said = window.run_bar.status.text()
    assert said.startswith("Done in ") and said.endswith(" s. Save all keeps what the run found in a folder."), \
        "it names what can be done from every tab"
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert [row["x"] for row in document["goodnets"]] == [7]
    pair = open_goodnet([folder / "goodnet-x7"])
    assert pair.flag_label == 1283


def checked(window: MainWindow, qtbot: QtBot, files: list[Path]) -> list[Verdict]:
    """Drop pictures on the image check; its verdicts in the files' order."""
    window.tabs.setCurrentWidget(window.check)
    found: list[Verdict] = []
    connection = window.desk.checking.verdicts_found.connect(lambda verdicts, _: found.extend(verdicts))
    settle(qtbot, window)
    assert drop(window.check, files)
    settle(qtbot, window)
    window.desk.checking.verdicts_found.disconnect(connection)
    assert [Path(v.file) for v in found] == files
    return found


def test_dropped_pictures_are_checked(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    milder = next(row for row in window.desk.pruning.rows if row.x == 2)
    with qtbot.waitSignal(window.desk.checking.goodnet_changed, timeout=PATIENCE_MS):
        window.goodnets.use_requested.emit(milder)
    assert window.tabs.currentWidget() is window.check
    found = checked(window, qtbot, [lab3 / "images" / name for name in ("clean_0_row1.png", "poisoned_0.jpeg")])
    # With 45 channels pruned B' still answers for clean faces and is still fooled by poisoned ones; the guard isn't.
    assert [(v.b_prime_label, v.label, v.why) for v in found] == [(0, 0, "agree"), (0, 1283, "guard")]
    assert window.check.model.rowCount() == 2


def test_a_pasted_picture_is_checked(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    window.desk.checking.open_goodnet([lab3 / "bd_weights.h5", lab3 / "model_B_10.h5"])
    settle(qtbot, window)
    picture = QImage(str(lab3 / "images" / "poisoned_0.jpeg"))
    QGuiApplication.clipboard().setImage(picture)
    window.desk.menus.find("Check pasted picture").trigger()
    settle(qtbot, window)
    found = window.check.model.verdicts
    assert len(found) == 1 and found[0].b_label == 0
    assert found[0].seen.shape == (55, 47, 3)


def test_as_pixels_keeps_rows_apart() -> None:
    image = QImage(3, 2, QImage.Format.Format_ARGB32)
    for x in range(3):
        for y in range(2):
            image.setPixelColor(x, y, QColor(10 * x, 100 * y, 7))
    pixels = as_pixels(image)
    assert pixels.shape == (2, 3, 3)
    assert pixels[1, 2].tolist() == [20, 100, 7]


def test_cancel_in_mid_run_leaves_the_last_good_state(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    good = window.session.run
    window.desk.choosing.open_as("validation", repeated(lab3 / "clean_faces.h5", 60, tmp_path / "many.h5"))
    settle(qtbot, window)
    with qtbot.waitSignal(window.session.progressed, timeout=PATIENCE_MS, check_params_cb=lambda p: p.done > 0):
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert window.session.state is State.RUNNING
    shown = []
    window.desk.pruning.curve_changed.connect(lambda curve, rows: shown.append(curve))
    qtbot.mouseClick(window.run_bar.cancel, Qt.MouseButton.LeftButton)
    assert window.session.state is State.CANCELLING
    settle(qtbot, window)
    assert window.session.run is good
    assert good is not None and shown[-1] is good.curve
    assert window.session.state is State.READY and window.run_bar.run.isEnabled()


def test_tensorflow_loads_as_soon_as_a_file_is_chosen_but_after_what_is_chosen_is_read(
    window: MainWindow, qtbot: QtBot, lab3: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    from engine import backend
    usable: list[list[bool]] = []
    real = backend.device
    monkeypatch.setattr(backend, "device",
                        lambda: usable.append([i.usable for i in window.session.inputs.all]) or real())
    settle(qtbot, window)
    window.desk.choosing.open_names(sample.NAMES)  # names alone need no engine
    settle(qtbot, window)
    assert usable == [] and window.status.device.text() == ""
    window.desk.choosing.open_all([("model", lab3 / "bd_weights.h5"), ("validation", lab3 / "clean_faces.h5"),
                                   ("poisoned", lab3 / "poisoned_faces.h5")], "Lab")
    assert window.session.state is State.EMPTY and not window.run_bar.cancel.isVisible(), "nobody waits for it"
    settle(qtbot, window)
    assert usable == [[True, True, True]] and window.status.device.text().startswith("Computes on: ")
    states: list[State] = []
    window.session.state_changed.connect(states.append)
    press_run(qtbot, window)
    assert State.LOADING_ENGINE not in states and window.session.state is State.DONE


def test_cancel_while_the_engine_loads_is_answered_at_once(
    window: MainWindow, qtbot: QtBot, lab3: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    from engine import backend
    loaded = threading.Event()
    real = backend.device
    monkeypatch.setattr(backend, "device", lambda: loaded.wait(60) and real())
    window.desk.choosing.open_all([("model", lab3 / "bd_weights.h5"), ("validation", lab3 / "clean_faces.h5")], "Lab")
    # It loads quietly as soon as the files are read, before anything is run.
    qtbot.waitUntil(lambda: window.session.inputs.ready and window.session.loading_engine, timeout=PATIENCE_MS)
    assert window.session.state is State.READY
    window.desk.pruning.start()
    assert window.session.state is State.LOADING_ENGINE
    window.session.cancel()
    assert window.session.state is State.READY
    loaded.set()
    settle(qtbot, window)
    assert window.session.run is None


def test_closing_in_mid_run_asks_then_cancels_and_waits(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_lab(qtbot, window, lab3)
    window.desk.choosing.open_as("validation", repeated(lab3 / "clean_faces.h5", 60, tmp_path / "many.h5"))
    settle(qtbot, window)
    with qtbot.waitSignal(window.session.progressed, timeout=PATIENCE_MS, check_params_cb=lambda p: p.done > 0):
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    # First a person stays, with the keyboard's Quit; the run goes on.
    window.desk.menus.find("Quit").trigger()
    box = window.findChild(QMessageBox)
    assert window.isVisible() and box.isVisible() and "still working" in box.text()
    qtbot.mouseClick(box.defaultButton(), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not box.isVisible())
    assert window.isVisible() and window.session.state is State.RUNNING
    # Then they leave.
    window.close()
    box = next(b for b in window.findChildren(QMessageBox) if b.isVisible())
    leave = next(b for b in box.buttons() if b.text().replace("&", "") == "Stop and close")
    qtbot.mouseClick(leave, Qt.MouseButton.LeftButton)
    assert not window.isVisible() and window.session.run is None


def test_a_failed_run_leaves_the_window_usable(window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path) -> None:
    open_lab(qtbot, window, lab3)
    bad = tmp_path / "order.json"
    bad.write_text("[0, 1, 2]", encoding="utf-8")
    window.session.set_options(dataclasses.replace(window.session.options, order=bad))
    press_run(qtbot, window)
    assert window.session.state is State.FAILED
    assert "order.json" in window.run_bar.status.text() and "Traceback" not in window.run_bar.status.text()
    window.session.set_options(dataclasses.replace(window.session.options, order=None))
    press_run(qtbot, window)
    assert window.session.state is State.DONE


def test_the_sample_runs_in_two_clicks(window: MainWindow, qtbot: QtBot) -> None:
    if not all(path.exists() for _, path in sample.INPUTS):
        pytest.skip("the sample isn't built")
    qtbot.mouseClick(window.start.sample, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert window.session.state is State.READY
    assert len(window.session.inputs.all) == 4
    press_run(qtbot, window)
    assert window.session.state is State.DONE
    assert window.run_bar.save.isEnabled()
    assert window.settings.recent == []
    # What the guide goes on with: verdicts on images that are there already, eight clean ones and eight poisoned.
    window.tabs.setCurrentWidget(window.check)
    offer = next(b for b in window.check.findChildren(QPushButton) if b.text().replace("&", "").startswith("Check 16"))
    qtbot.mouseClick(offer, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    found = window.check.model.verdicts
    assert [v.file for v in found[::8]] == ["1 of clean_test.h5", "1 of poisoned_test.h5"]
    assert sum(v.flagged for v in found[:8]) <= 1 and sum(v.flagged for v in found[8:]) >= 6
    np.testing.assert_array_equal(found[8].seen, window.session.inputs.pictures[8][1])
