"""The real window asks whether there is a backdoor, and goes on from the answer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from engine.defences.evidence.filters import ColourFilter
from engine.defences.scan import Scan
from engine.runs.examine import examine
from engine.runs.opening.inputs import open_inputs
from gui.examine.wing import mark_of
from gui.jobs.examining import Examined
from gui.main_window import MainWindow
from gui.session.session import State
from gui.settings import Settings
from gui.widgets import asking
from tests.engine.runs.opening.test_labelling import ANIMALS
from tests.gui.test_window_labels import opened
from tests.support.examinations import hurry
from tests.support.networks import SmallLab
from tests.support.window_driver import PATIENCE_MS, drop, press_run, settle


@pytest.fixture
def lab_window(window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """The window with the little network and clean images, no poisoned ones; examinations take seconds."""
    hurry(monkeypatch)
    assert not window.examine.button.isEnabled() and not window.desk.menus.find("Examine").isEnabled()
    window.desk.choosing.open_as("model", small_lab.badnet)
    window.desk.choosing.open_as("validation", small_lab.clean)
    settle(qtbot, window)
    return window


@pytest.fixture
def examined(lab_window: MainWindow, qtbot: QtBot) -> MainWindow:
    """The window after an examination."""
    lab_window.desk.menus.find("Examine").trigger()
    settle(qtbot, lab_window)
    assert lab_window.desk.examining.examined is not None, lab_window.message_bar.text.text()
    return lab_window


def examine_own(window: MainWindow, qtbot: QtBot, model: Path, clean: Path) -> None:
    """Choose a model and clean images and press Examine."""
    window.desk.choosing.open_as("model", model)
    window.desk.choosing.open_as("validation", clean)
    settle(qtbot, window)
    window.examine.button.click()
    settle(qtbot, window)


def press_use(qtbot: QtBot, window: MainWindow, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clean images wear the selected label's stamp."""
    assert window.examine.panel is not None
    monkeypatch.setattr(asking, "ask_new_file", lambda *_: path)
    qtbot.mouseClick(window.examine.panel.use, Qt.MouseButton.LeftButton)
    settle(qtbot, window)


def test_model_and_clean_images_are_enough(lab_window: MainWindow, qtbot: QtBot) -> None:
    scans: list[Scan] = []
    lab_window.desk.examining.scanned.connect(scans.append)
    lab_window.desk.examining.scanned.connect(lambda _: shown.append(lab_window.examine.going_on.text()))
    shown: list[str] = []
    assert lab_window.tabs.widget(0) is lab_window.examine, "the first question is the first tab"
    lab_window.tabs.setCurrentIndex(3)
    lab_window.desk.menus.find("Examine").trigger()
    assert lab_window.tabs.currentWidget() is lab_window.examine
    settle(qtbot, lab_window)
    view, found = lab_window.examine, lab_window.desk.examining.examined
    assert found is not None and view.panel is not None
    opened = open_inputs(lab_window.session.inputs.request(lab_window.session.options))
    again = examine(opened.network, opened.of("validation")[0])
    assert found.found.judgement == again.judgement and found.sha256 == opened.network.sha256
    assert [row.tried.evidence for row in view.panel.model.rows] == [tried.evidence for tried in again.tried]
    assert scans[0].suspects == again.scan.suspects and "label" in shown[0]
    assert view.stack.currentWidget() is view.panel and view.verdict.isVisibleTo(view)
    assert lab_window.session.run is None


def test_bad_files_beside_them_are_no_hindrance(lab_window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    bad = tmp_path / "bad.h5"
    bad.write_bytes(b"nothing")
    lab_window.desk.choosing.open_as("test", bad)
    settle(qtbot, lab_window)
    assert not lab_window.session.inputs.ready and lab_window.examine.button.isEnabled()
    qtbot.mouseClick(lab_window.examine.button, Qt.MouseButton.LeftButton)
    settle(qtbot, lab_window)
    assert lab_window.desk.examining.examined is not None


def test_cancel_and_failure_leave_the_one_before(
    examined: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:
    view, before = examined.examine, examined.desk.examining.examined
    with qtbot.waitSignal(examined.session.progressed, timeout=PATIENCE_MS,
                          check_params_cb=lambda p: "stamps" in p.what):
        view.button.click()
    assert not view.button.isEnabled() and not view.verdict.isVisibleTo(view)
    examined.session.cancel()
    settle(qtbot, examined)
    assert examined.desk.examining.examined is before and view.verdict.isVisibleTo(view)
    assert view.stack.currentWidget() is view.panel and view.button.isEnabled()
    monkeypatch.setattr("engine.runs.examine.FEWEST_IMAGES", 1000)
    view.button.click()
    settle(qtbot, examined)
    assert "needs at least 1000" in examined.message_bar.text.text()
    assert examined.desk.examining.examined is before and view.verdict.isVisibleTo(view)


def test_an_examination_of_other_files_is_marked(examined: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> None:
    view = examined.examine
    assert view.panel is not None and view.panel.use.isEnabled() and not view.mark.isVisibleTo(view)
    examined.desk.choosing.open_as("test", small_lab.test)
    settle(qtbot, examined)
    assert not view.mark.isVisibleTo(view), "it doesn't rest on test images"
    examined.desk.choosing.open_as("validation", small_lab.test)
    settle(qtbot, examined)
    assert "badnet.keras" in view.mark.text() and "clean validation images" in view.mark.text()
    assert view.mark.isVisibleTo(view) and not view.panel.use.isEnabled()
    examined.session.history.undo()
    settle(qtbot, examined)
    assert not view.mark.isVisibleTo(view) and view.panel.use.isEnabled()


def test_an_examination_of_images_that_were_written_anew_is_marked(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    hurry(monkeypatch)
    clean = tmp_path / "clean.h5"
    clean.write_bytes(small_lab.clean.read_bytes())
    examine_own(window, qtbot, small_lab.badnet, clean)
    assert window.desk.examining.examined is not None and not window.examine.mark.isVisibleTo(window.examine)
    os.utime(clean, ns=(1, 1))
    window.desk.choosing.open_as("validation", clean)
    settle(qtbot, window)
    assert "clean.h5 was written anew" in window.examine.mark.text()


def test_an_examination_by_other_label_names_is_marked_as_soon_as_they_change(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr("engine.runs.examine.FEWEST_IMAGES", 4)
    opened(qtbot, window, tmp_path, ANIMALS, 4)
    window.examine.button.click()
    settle(qtbot, window)
    assert window.desk.examining.examined is not None, window.message_bar.text.text()
    assert not window.examine.mark.isVisibleTo(window.examine)
    window.desk.choosing.name_labels(ANIMALS, "Labels as they were taken")
    settle(qtbot, window)
    assert not window.examine.mark.isVisibleTo(window.examine)
    window.desk.choosing.name_labels(ANIMALS[::-1], "Labels the other way round")
    settle(qtbot, window)
    assert "label names" in window.examine.mark.text()
    window.session.history.undo()
    settle(qtbot, window)
    assert not window.examine.mark.isVisibleTo(window.examine)


def test_an_examination_is_saved_with_its_images(
    examined: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert examined.examine.panel is not None and examined.desk.examining.examined is not None
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "examined")
    qtbot.mouseClick(examined.examine.panel.save, Qt.MouseButton.LeftButton)
    settle(qtbot, examined)
    document = json.loads((tmp_path / "examined" / "examine.json").read_text(encoding="utf-8"))
    assert document["verdict"] == examined.desk.examining.examined.found.judgement.verdict
    assert (tmp_path / "examined" / "report.html").is_file()
    assert str(tmp_path / "examined") in examined.message_bar.text.text()


def test_a_network_that_changed_meanwhile_is_not_saved_under_the_old_verdict(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    hurry(monkeypatch)
    own = tmp_path / "own.keras"
    own.write_bytes(small_lab.badnet.read_bytes())
    examine_own(window, qtbot, own, small_lab.clean)
    import keras
    model = keras.models.load_model(own)
    model.set_weights([0.5 * weights for weights in model.get_weights()])
    model.save(own)
    press_use(qtbot, window, tmp_path / "stamped.h5", monkeypatch)
    assert "has changed since it was examined" in window.message_bar.text.text()
    assert not (tmp_path / "stamped.h5").exists() and window.session.inputs.poisoned == ()


def test_a_label_with_a_filter_gives_a_second_poisoned_set_and_replaces_nothing(
    examined: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    examining, panel = examined.desk.examining, examined.examine.panel
    assert examining.examined is not None and panel is not None
    before = examining.examined
    first, *others = before.found.tried
    colours = ColourFilter(np.diag([0, 1.0, 1.0]), np.zeros(3), (0.0, 255.0))
    found = dataclasses.replace(before.found, tried=(dataclasses.replace(first, filter=colours), *others))
    examining.examined = dataclasses.replace(before, found=found)
    panel.show_examination(found)
    (tmp_path / "made_filter.h5").write_bytes(b"years of work")
    press_use(qtbot, examined, tmp_path / "made.h5", monkeypatch)
    assert "made_filter.h5: is there already" in examined.message_bar.text.text()
    assert not (tmp_path / "made.h5").exists() and (tmp_path / "made_filter.h5").read_bytes() == b"years of work"
    press_use(qtbot, examined, tmp_path / "other.h5", monkeypatch)
    assert [one.path.name for one in examined.session.inputs.poisoned] == ["other.h5", "other_filter.h5"]
    with h5py.File(tmp_path / "other_filter.h5") as made:
        values = made["data"][()]
        assert "reconstructed" in made and (values[:, 0] == 0).all() and values[:, 1:].any()


def test_a_stamp_is_used_as_poisoned_images_and_marked_everywhere(
    examined: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    examined.desk.choosing.open_as("test", small_lab.test)
    settle(qtbot, examined)
    panel = examined.examine.panel
    assert panel is not None
    panel.table.selectRow(1)
    tried, path = panel.selected(), tmp_path / "made.h5"
    assert tried is not None
    press_use(qtbot, examined, small_lab.clean, monkeypatch)
    assert "isn't replaced" in examined.message_bar.text.text()
    press_use(qtbot, examined, path, monkeypatch)
    label = tried.evidence.label
    with h5py.File(path) as made, h5py.File(small_lab.test) as clean:
        others = np.asarray(clean["label"]) != label
        assert made["label"][()].tolist() == [label] * int(others.sum()), "clean test images of other labels wear it"
        assert "reconstructed" in made
    chosen, = examined.session.inputs.poisoned
    assert chosen.path == path and chosen.usable
    assert "reconstructed" in examined.inputs.poisoned[0]._facts.text()
    press_run(qtbot, examined)
    assert examined.session.state is State.DONE and examined.session.run is not None
    assert examined.session.run.curve.poisoned[0].reconstructed
    assert examined.curve.panel is not None
    legend = [text.get_text() for text in examined.curve.panel.canvas.figure.axes[0].get_legend().get_texts()]
    assert any("reconstructed" in text for text in legend), legend
    best = examined.desk.pruning.best
    assert best is not None
    if best.attack is not None:
        assert "reconstructed" in examined.goodnets.headline.sentence.text()
    examined.session.history.undo()
    settle(qtbot, examined)
    assert examined.session.inputs.poisoned == () and path.is_file()


def brought_back(window: MainWindow, qtbot: QtBot, examined: Examined) -> None:
    """The examination is shown as it was, marked as from then, and nothing was computed."""
    settle(qtbot, window)
    view, back = window.examine, window.desk.examining.examined
    assert back is not None and back.brought_back and view.panel is not None, window.message_bar.text.text()
    assert back.found.judgement.verdict == examined.found.judgement.verdict
    assert [row.tried.evidence for row in view.panel.model.rows] == [one.evidence for one in examined.found.tried]
    assert view.stack.currentWidget() is view.panel and view.verdict.isVisibleTo(view)
    assert view.panel.pictures.count() == 1 + len(examined.found.tried[0].faces)
    assert f"Brought back from {examined.made_at:%Y-%m-%d %H:%M}" in view.mark.text() and view.mark.isVisibleTo(view)


def saved(window: MainWindow, qtbot: QtBot, folder: Path) -> Examined:
    window.desk.examining.save(folder)
    settle(qtbot, window)
    assert window.desk.examining.examined is not None and (folder / "examine.json").is_file()
    return window.desk.examining.examined


@pytest.fixture
def other_window(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """Another window, in which nothing may be examined."""
    window = MainWindow(Settings(tmp_path / "other.ini"))
    qtbot.addWidget(window)
    window.show()
    monkeypatch.setattr("gui.jobs.examining.examine_network", None)
    # When it is closed, a project that was changed is left as it is.
    monkeypatch.setattr(asking, "ask_unsaved", lambda *_, **__: QMessageBox.StandardButton.Discard)
    return window


def test_an_examination_beside_a_project_comes_back_with_it(
    examined: MainWindow, other_window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = saved(examined, qtbot, tmp_path / "work" / "badnet-examined")
    examined.desk.projects.save(tmp_path / "work" / "mine.goodnet")
    settle(qtbot, examined)
    assert drop(other_window, [tmp_path / "work" / "mine.goodnet"])
    brought_back(other_window, qtbot, before)
    assert not other_window.examine._mark_icon.isVisibleTo(other_window), "it is of what is chosen"
    press_use(qtbot, other_window, tmp_path / "worn.h5", monkeypatch)
    chosen, = other_window.session.inputs.poisoned
    assert chosen.usable and chosen.path == tmp_path / "worn.h5"


def test_an_examination_in_a_run_s_folder_comes_back_with_it(
    examined: MainWindow, other_window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    press_run(qtbot, examined)
    before = examined.desk.examining.examined
    assert before is not None
    examined.desk.saving.save_run(tmp_path / "run", before)
    settle(qtbot, examined)
    assert (tmp_path / "run" / "examination" / "report.html").is_file()
    assert drop(other_window, [tmp_path / "run"])
    brought_back(other_window, qtbot, before)
    assert other_window.session.state is State.DONE


def test_a_dropped_examination_of_another_network_says_so(
    examined: MainWindow, other_window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    before = saved(examined, qtbot, tmp_path / "saved")
    assert drop(other_window, [tmp_path / "saved"])
    brought_back(other_window, qtbot, before)
    assert other_window.examine.isVisible(), "where nothing was open, too"
    assert "isn't of what is chosen now" in other_window.examine.mark.text()
    assert other_window.examine.panel is not None and not other_window.examine.panel.use.isEnabled()


def test_a_damaged_examination_is_a_sentence_and_the_project_opens(
    examined: MainWindow, other_window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    saved(examined, qtbot, tmp_path / "work" / "badnet-examined")
    (tmp_path / "work" / "badnet-examined" / "examine.json").write_text("{", encoding="utf-8")
    examined.desk.projects.save(tmp_path / "work" / "mine.goodnet")
    settle(qtbot, examined)
    other_window.desk.projects.open(tmp_path / "work" / "mine.goodnet")
    settle(qtbot, other_window)
    assert "examine.json: isn't a saved examination" in other_window.message_bar.text.text()
    assert other_window.desk.examining.examined is None and other_window.session.state is State.READY


def test_an_examination_of_another_network_doesn_t_come_with_a_project(
    examined: MainWindow, other_window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    folder = tmp_path / "work" / "badnet-examined"
    saved(examined, qtbot, folder)
    document = json.loads((folder / "examine.json").read_text(encoding="utf-8"))
    (folder / "examine.json").write_text(json.dumps({**document, "sha256": "0" * 64}), encoding="utf-8")
    examined.desk.projects.save(tmp_path / "work" / "mine.goodnet")
    settle(qtbot, examined)
    other_window.desk.projects.open(tmp_path / "work" / "mine.goodnet")
    settle(qtbot, other_window)
    assert other_window.desk.examining.examined is None
    assert other_window.message_bar.text.text().startswith("Opened the project mine.goodnet. ")  # and no error came


@pytest.mark.parametrize("other", ["nothing", "clean images", "preprocessing", "earlier version"])
def test_an_examination_that_is_dropped_is_of_the_same_images_fed_alike_or_says_that_it_isn_t(
    other: str, examined: MainWindow, other_window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    before = saved(examined, qtbot, tmp_path / "saved")
    document = json.loads((tmp_path / "saved" / "examine.json").read_text(encoding="utf-8"))
    assert document["clean_sha256"] == hashlib.sha256(small_lab.clean.read_bytes()).hexdigest()
    assert (document["preprocessing"], document["preprocessing_asked"]) == ("none", before.files.scale)
    if other == "earlier version":
        for key in ("clean_sha256", "preprocessing", "preprocessing_asked"):
            del document[key]
        (tmp_path / "saved" / "examine.json").write_text(json.dumps(document), encoding="utf-8")
    clean = tmp_path / small_lab.clean.name
    shutil.copy(small_lab.test if other == "clean images" else small_lab.clean, clean)
    other_window.desk.choosing.open_all([("model", small_lab.badnet), ("validation", clean)], "Opened")
    if other == "preprocessing":
        other_window.session.set_options(dataclasses.replace(other_window.session.options, scale="-1..1"))
    settle(qtbot, other_window)
    assert drop(other_window, [tmp_path / "saved"])
    brought_back(other_window, qtbot, before)
    assert mark_of(other_window.desk.examining.examined, other_window.session)[:40] == {
        "nothing": "", "clean images": "clean.h5 isn't what this examination was made from. Examine again.",
        "preprocessing": "This examination was made with other run options than those set now.",
        "earlier version": "An earlier version saved this examination, without"}[other][:40]
    if other == "nothing":  # it is used as it was made, and is saved again with what it was made with
        assert other_window.desk.examining.examined.files.scale == "none"
        saved(other_window, qtbot, tmp_path / "again")
        again = json.loads((tmp_path / "again" / "examine.json").read_text(encoding="utf-8"))
        assert again["clean_sha256"] == document["clean_sha256"] and again["preprocessing"] == "none"
