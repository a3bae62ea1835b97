"""The real window comforts nobody falsely: all poisoned sets count, and implausible input stops verdicts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.assessment import LEVEL_WORDS
from engine.pruning.thresholds import rule_text
from engine.reports.headline import IMPLAUSIBLE, RECOMMENDATIONS
from gui.goodnets.model import CLEAN, FALSE_ALARMS, GUARD
from gui.main_window import MainWindow
from gui.settings import Options
from gui.tables.model import BLOCKS_ROLE
from gui.widgets import asking
from tests.support.networks import SmallLab
from tests.support.places import PROJECT
from tests.support.window_driver import press_run, settle

SAMPLE = PROJECT / "data" / "sample"
GOOD_WORDS = {LEVEL_WORDS["repaired"], LEVEL_WORDS["protected"]}


def changed(source: str, target: Path, labels: object, images: slice = slice(None)) -> Path:
    """A part of a sample's set with other labels, given as a number or a function of the old ones."""
    with h5py.File(SAMPLE / source) as before, h5py.File(target, "w") as after:
        after["data"], old = before["data"][images], before["label"][images]
        after["label"] = labels(old) if callable(labels) else np.full_like(old, labels)
    return target


def open_all(qtbot: QtBot, window: MainWindow, validation: Path, test: Path | None, *poisoned: Path,
             guard: str = "none") -> None:
    """Open the sample's network with these sets, and press Run."""
    window.session.set_options(dataclasses.replace(Options(), guard=guard))  # type: ignore[arg-type]
    window.desk.choosing.open_as("model", SAMPLE / "badnet.keras")
    window.desk.choosing.open_as("validation", validation)
    if test:
        window.desk.choosing.open_as("test", test)
    for path in poisoned:
        window.desk.choosing.open_as("poisoned", path)
    settle(qtbot, window)
    press_run(qtbot, window)
    assert window.session.run is not None


def words(text: str) -> str:
    return text.replace("\u00a0", " ")


def table(window: MainWindow) -> list[dict[str, str]]:
    """What the table of GoodNets shows, by heading."""
    model, shown = window.goodnets.model, window.goodnets.table
    columns = [c for c in range(model.columnCount()) if not shown.isColumnHidden(c)]
    return [{words(model.headerData(c, Qt.Orientation.Horizontal).replace("\n", " ")):
             words(model.index(row, c).data().replace("\n", " ")) for c in columns} for row in range(model.rowCount())]


def test_a_guard_that_flags_nothing_isn_t_the_best_defence(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    window.session.set_options(dataclasses.replace(Options(), guard="margin", false_alarms=0.005))
    window.desk.choosing.open_as("model", small_lab.badnet)
    window.desk.choosing.open_as("validation", small_lab.clean)
    settle(qtbot, window)
    press_run(qtbot, window)
    run, bar = window.session.run, window.result
    assert run is not None and run.guarded is not None and run.guarded.guard.sleeps
    assert "(the GoodNet at X = " in bar.answer.text() and bar.save.isVisibleTo(window)
    assert "behind" not in bar.answer.text() + window.goodnets.headline.sentence.text()
    assert words(window.goodnets.guard_note.text()).startswith("The margin guard flags nothing: 80 calibration images")


@pytest.fixture
def harmless(tmp_path: Path) -> Path:
    """Clean faces of others, labelled as if an attacker wanted label 0 for them; B isn't fooled by any."""
    return changed("clean_test.h5", tmp_path / "harmless.h5", 0, slice(60, 160))


def test_the_worst_of_all_poisoned_sets_decides(
    window: MainWindow, qtbot: QtBot, harmless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_all(qtbot, window, SAMPLE / "clean_validation.h5", SAMPLE / "clean_test.h5", harmless,
             SAMPLE / "poisoned_test.h5", guard="transplant")
    rows = table(window)
    assert [row["Attack: harmless"] for row in rows] == ["0.00 % 0.00 %"] * 5
    assert rows[0]["Attack: poisoned_test"].startswith("99.74 %")
    assert rows[0]["Verdict"] == "Not stopped Protected"  # bare B was called "Repaired"
    assert all(row["Verdict"].startswith(("Not stopped", "Weakened")) for row in rows)
    headline = window.goodnets.headline
    assert words(headline.figures.text()).startswith("Attack success on poisoned_test 99.74 % → ")
    assert "harmless (target 0) 0 % → 0 %, poisoned_test (target 0) 99.74 % → " in words(headline.sentence.text())
    assert words(headline.recommendation.text()) == RECOMMENDATIONS["protected"]
    bar = window.result
    assert "harmless shows no backdoor" in bar.warnings.text()
    assert bar.warnings.isVisibleTo(window) and bar.warnings.y() < bar.answer.y()
    panel = window.curve.panel
    assert panel is not None
    panel.set_step(0)
    assert "99.74 % of the images of poisoned_test" in words(panel.readout.sentence.text())
    assert [text.get_text() for text in panel.canvas._drawing._legend.get_texts()] == [  # type: ignore[union-attr]
        "Clean accuracy of the GoodNet", "Attack success rate of the GoodNet, harmless",
        "Attack success rate of the GoodNet, poisoned_test"]
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "badnet-goodnets")
    qtbot.mouseClick(window.run_bar.save, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    check_saved(tmp_path / "badnet-goodnets")


def check_saved(folder: Path) -> None:
    """run.json keeps the first set's figures where they were, and the report recommends what the window does."""
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for figures in (document["badnet_guarded"], *document["goodnets"], *(g["guarded"] for g in document["goodnets"])):
        first, second = figures["poisoned"]
        assert (first["name"], second["name"], second["target"]) == ("harmless", "poisoned_test", 0)
        assert figures["attack_success_rate"] == first["attack_success_rate"] == 0
        assert figures["detection_rate"] == first["detection_rate"]
        assert first["reconstructed"] is second["reconstructed"] is False
    assert [g["level"] for g in document["goodnets"]] == ["failed", "failed", "failed", "weakened"]
    assert len(document["warnings"]) == 2 and document["implausible_input"] == []
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert RECOMMENDATIONS["protected"].replace("'", "&#39;") in report.replace("\u00a0", " ")
    assert report.index("harmless shows no backdoor") < report.index("Behind the guard it can be used")
    assert "don't show a backdoor" not in report.replace("&#39;", "'")


def test_labels_shifted_by_one_stop_every_verdict(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    """Labels that count from 1; images of the last one, which the network doesn't have then, are left out."""
    shift = lambda labels: labels + 1  # noqa: E731
    validation = changed("clean_validation.h5", tmp_path / "valid.h5", shift, slice(376))
    test = changed("clean_test.h5", tmp_path / "test.h5", shift, slice(376))
    open_all(qtbot, window, validation, test, SAMPLE / "poisoned_test.h5", guard="transplant")
    headline = window.goodnets.headline
    assert "every label is one too high" in window.result.warnings.text()
    assert window.result.warnings.isVisibleTo(window)
    assert headline.figures.text() == "The input is implausible, so there is no verdict"
    assert words(headline.recommendation.text()) == IMPLAUSIBLE
    assert not any(word in row["Verdict"] for row in table(window) for word in GOOD_WORDS)
    panel = window.curve.panel
    assert panel is not None
    for step in range(0, 61, 5):
        panel.set_step(step)
        assert not any(word.lower() in panel.readout.sentence.text() for word in GOOD_WORDS)


def test_poisoned_images_as_clean_ones_are_told_behind_a_guard_too_and_no_pair_checks_pictures_unasked(
        window: MainWindow, qtbot: QtBot) -> None:
    """A guard can't be set on images of one label; what is wrong with them is said better by the doubts."""
    taken: list[object] = []
    window.desk.checking.goodnet_changed.connect(taken.append)
    open_all(qtbot, window, SAMPLE / "poisoned_test.h5", None, SAMPLE / "poisoned_test.h5", guard="transplant")
    run = window.session.run
    assert run is not None and run.guarded is None and not run.plausible
    assert any("what a set of poisoned images looks like" in doubt.sentence for doubt in run.doubts)
    assert window.desk.pruning.rows and not taken


def test_the_test_set_must_be_another_one(window: MainWindow, qtbot: QtBot) -> None:
    validation = SAMPLE / "clean_validation.h5"
    open_all(qtbot, window, validation, validation, SAMPLE / "poisoned_test.h5", guard="transplant")
    assert "384 of the 384 images in clean_validation (the test set) are in clean_validation (the validation set) too" \
        in words(window.result.warnings.text())
    assert not any(word in row["Verdict"] for row in table(window) for word in GOOD_WORDS)


def test_without_a_test_set_the_guard_is_measured_on_images_held_back(window: MainWindow, qtbot: QtBot) -> None:
    open_all(qtbot, window, SAMPLE / "clean_validation.h5", None, SAMPLE / "poisoned_test.h5", guard="transplant")
    run = window.session.run
    assert run is not None and run.guarded is not None
    held_back = run.guarded.guard.calibration.held_back
    assert held_back.total == 96
    # At step 0 nothing but the guard flags, so its false alarms on images held back are counted twice, and equal.
    assert run.guarded.figures_at(0).false_alarms == held_back
    assert "96 validation images that were held back when it was set" in words(window.goodnets.headline.sentence.text())
    assert "96 validation images that were held back" in words(window.goodnets.guard_note.text())
    model = window.goodnets.model
    for row in range(model.rowCount()):
        assert [block.detail for block in model.index(row, GUARD).data(BLOCKS_ROLE)] == ["of 384 clean", "of 96 clean"]
        for column in (GUARD, CLEAN, FALSE_ALARMS):
            assert "without the guard on 384 images, behind it on 96 of these" in \
                model.index(row, column).data(Qt.ItemDataRole.ToolTipRole)


def test_the_rule_is_said_before_the_run_and_what_was_asked_after(window: MainWindow, qtbot: QtBot) -> None:
    editor = window.goodnets.editor
    assert words(editor.rule.text()) == rule_text("points", "first-past") and "as the lab did" in editor.rule.text()
    editor.stop_box.setCurrentIndex(1)
    assert words(editor.rule.text()) == rule_text("points", "last-within")
    editor.stop_box.setCurrentIndex(0)
    open_all(qtbot, window, SAMPLE / "clean_validation.h5", SAMPLE / "clean_test.h5", SAMPLE / "poisoned_test.h5")
    last = window.goodnets.model.rows[-1].row
    model = window.goodnets.model
    assert words(model.index(model.rowCount() - 1, 2).data()) == f"{last.drop_points:.2f} pts"
    assert f"X = 30 really costs {last.drop_points:.1f} points" in window.goodnets.price_note.text()
