"""The tab of runs in the real window: what is listed, and those selected beside each other, against their run.json."""

from __future__ import annotations

import csv
import dataclasses
import html
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from engine.assessment import LEVEL_WORDS
from engine.rates import Rate
from engine.records.autosave import keep_run
from engine.records.side_by_side import side_by_side
from engine.runs.prune import PruningRun
from gui.main_window import MainWindow
from gui.runs.model import BEST
from gui.runs.view import CHOOSE, EMPTY
from gui.tables.model import BLOCKS_ROLE
from gui.widgets import asking
from gui.widgets.theme import DARK
from tests.gui.test_window_defences import SmallLab, open_small
from tests.support.comparisons import comparison
from tests.support.runs import made_up_run
from tests.support.window_driver import drop, press_run, settle


def a_run(seed: int) -> PruningRun:
    """A made-up run that takes as long as no other."""
    return dataclasses.replace(made_up_run(seed=seed), seconds=10.0 + seed, doubts=(), comparison=None)


@pytest.fixture
def kept(tmp_path: Path) -> list[Path]:
    """Two runs that are kept before the window opens, newest first."""
    return [keep_run(a_run(seed), tmp_path / "runs") for seed in (1, 2)][::-1]


def document(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def click_row(qtbot: QtBot, window: MainWindow, row: int, *, also: bool = False) -> None:
    """Click a run's row, with Ctrl held if it is to be selected besides others."""
    table = window.runs.table
    held = Qt.KeyboardModifier.ControlModifier if also else Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, held,
                     table.visualRect(table.model().index(row, 0)).center())


def compare_both(qtbot: QtBot, window: MainWindow) -> None:
    settle(qtbot, window)
    window.desk.bring_up(window.runs)
    click_row(qtbot, window, 0)
    click_row(qtbot, window, 1, also=True)


def percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def test_without_runs_the_tab_says_how_they_come(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    assert window.runs.hint.text() == EMPTY
    assert not window.runs.back.isEnabled()


def test_kept_runs_are_listed_with_what_they_found(kept: list[Path], window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    model = window.runs.model
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    assert [listed.folder for listed in model.rows] == kept
    for row, folder in enumerate(kept):
        written = document(folder)
        clean, attack = (model.index(row, column).data() for column in (1, 2))
        curve, guard = written["curve"]["test"]["b_prime_accuracy"][0], written["guard"]["curve"]["before"][0]
        # The best of the second is behind the guard, which looked at fewer images than the curve counts.
        assert clean == percent(guard if row else curve) != percent(curve if row else guard)
        assert attack == percent(max(part["b_prime_asr"][0] for part in written["curve"]["poisoned"]))
        assert "transplant guard" in model.index(row, 0).data(BLOCKS_ROLE)[0].detail
    assert window.runs.hint.text() == CHOOSE


def test_a_run_takes_two_short_lines_and_its_tooltip_says_the_rest(
    kept: list[Path], window: MainWindow, qtbot: QtBot,
) -> None:
    settle(qtbot, window)
    window.desk.bring_up(window.runs)
    table, model = window.runs.table, window.runs.model
    for row, listed in enumerate(model.rows):
        run, best = model.index(row, 0), model.index(row, BEST)
        assert listed.best is not None and listed.best.name.startswith("The GoodNet at X = ")
        (block,) = best.data(BLOCKS_ROLE)
        assert (block.figure, block.detail) == (listed.best.name.removeprefix("The "), LEVEL_WORDS[listed.best.level])
        assert table.fontMetrics().horizontalAdvance(block.figure) + 30 < table.columnWidth(BEST)
        tips = [html.unescape(cell.data(Qt.ItemDataRole.ToolTipRole)) for cell in (run, best)]
        assert "X = 2, 4.5, 30" in tips[0] and listed.best.sentence in tips[1]
        assert listed.best.sentence in best.data(Qt.ItemDataRole.AccessibleTextRole)
    assert table.verticalHeader().length() <= table.viewport().height()


def test_two_clicks_set_two_runs_beside_each_other(kept: list[Path], window: MainWindow, qtbot: QtBot) -> None:
    compare_both(qtbot, window)
    panel = window.runs.panel
    assert panel is not None and window.runs.stack.currentWidget() is panel
    panel.canvas.draw()
    clean, attack = panel.canvas.figure.axes
    for folder, of_clean, of_attack in zip(kept, clean.get_lines(), attack.get_lines(), strict=True):
        curve = document(folder)["curve"]
        np.testing.assert_allclose(of_clean.get_ydata(), 100 * np.array(curve["test"]["goodnet_accuracy"]))
        worst = np.max([part["goodnet_asr"] for part in curve["poisoned"]], axis=0)
        np.testing.assert_allclose(of_attack.get_ydata(), 100 * worst)
    assert panel.table is not None
    shown = panel.table.model()
    rows = {shown.index(row, 0).data(): [shown.index(row, column).data() for column in (1, 2)]
            for row in range(shown.rowCount())}
    orders = [document(folder)["pruning_order"] for folder in kept]
    step = next(k for k in range(60) if orders[0][k] != orders[1][k])
    assert rows["Pruning order"] == [f"channel {order[step]}" for order in orders]
    assert "Model" not in rows and "Guard" not in rows
    # One run alone is no comparison.
    click_row(qtbot, window, 0)
    assert window.runs.stack.currentWidget() is window.runs.hint and window.runs.back.isEnabled()


def test_many_cautions_scroll_and_leave_room_for_the_curves(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    found = side_by_side([(f"run {seed}", None, a_run(seed)) for seed in (1, 2)])
    window.runs.show_comparison(dataclasses.replace(found, cautions=("It was measured on other images. " * 9,) * 6))
    window.desk.bring_up(window.runs)
    window.grab()
    panel = window.runs.panel
    assert panel is not None
    qtbot.waitUntil(lambda: len(panel.canvas.figure.axes) == 2)
    legend, renderer = panel.canvas.figure.legends[0], panel.canvas.get_renderer()
    assert not any(axes.yaxis.label.get_window_extent(renderer).overlaps(legend.get_window_extent(renderer))
                   for axes in panel.canvas.figure.axes)
    area = panel.cautions.parent().parent()
    assert isinstance(area, QScrollArea)
    assert area.verticalScrollBar().maximum() > 0 and area.height() < 80
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    assert panel.cautions.visibleRegion().boundingRect().bottom() == panel.cautions.rect().bottom()
    window.runs.show_comparison(dataclasses.replace(found, cautions=("Short.",)))
    window.grab()
    assert area.viewport().height() == panel.cautions.height() < 20


def test_run_folders_that_are_dropped_together_are_compared(
    tmp_path: Path, window: MainWindow, qtbot: QtBot,
) -> None:
    folders = [keep_run(a_run(seed), tmp_path / "elsewhere") for seed in (3, 4)]
    settle(qtbot, window)
    assert drop(window, folders)
    settle(qtbot, window)
    assert window.tabs.currentWidget() is window.runs
    assert {listed.folder for listed in window.runs.selected()} == set(folders)
    assert window.runs.stack.currentWidget() is window.runs.panel
    assert window.session.run is None
    # Dropped once more they are the same runs, not further ones.
    assert drop(window, folders)
    settle(qtbot, window)
    assert len(window.runs.model.rows) == 2


def test_of_folders_that_are_dropped_together_a_damaged_one_is_named_and_the_others_listed(
    tmp_path: Path, window: MainWindow, qtbot: QtBot,
) -> None:
    good, bad = (keep_run(a_run(seed), tmp_path / "elsewhere") for seed in (3, 4))
    (bad / "run.json").write_text((bad / "run.json").read_text()[:900])
    settle(qtbot, window)
    assert drop(window, [bad, good])
    settle(qtbot, window)
    assert [listed.folder for listed in window.runs.model.rows] == [good]
    said = window.message_bar.text.text()
    assert f"{bad / 'run.json'}: isn't a saved run, or is damaged" in said and f"Listed: {good.name}." in said


def test_of_two_copies_of_a_run_it_is_said_that_they_are_one(
    tmp_path: Path, window: MainWindow, qtbot: QtBot,
) -> None:
    first, other = (keep_run(a_run(seed), tmp_path / "elsewhere") for seed in (3, 4))
    copy = shutil.copytree(first, tmp_path / "elsewhere" / "copy")
    settle(qtbot, window)
    assert drop(window, [first, other, copy])
    settle(qtbot, window)
    assert len(window.runs.model.rows) == 2
    assert window.status.text.text().endswith("Folders that hold the same run are one line.")


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    window.desk.comparing.open_folders([tmp_path / "nowhere"])
    settle(qtbot, window)
    assert "nowhere" in window.message_bar.text.text()


def test_the_selected_run_is_brought_back(kept: list[Path], window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    window.desk.bring_up(window.runs)
    click_row(qtbot, window, 1)
    qtbot.mouseClick(window.runs.back, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert window.session.run is not None
    assert window.session.run.ranking.order.tolist() == document(kept[1])["pruning_order"]
    assert len(window.runs.model.rows) == 2  # the run on show is one of them


def test_a_run_from_elsewhere_is_listed_while_it_is_on_show(
    kept: list[Path], tmp_path: Path, window: MainWindow, qtbot: QtBot,
) -> None:
    settle(qtbot, window)
    window.desk.opening.open_paths([keep_run(a_run(9), tmp_path / "elsewhere")])
    settle(qtbot, window)
    assert window.runs.model.rows[0].name == "bd.h5, on show"
    assert len(window.runs.model.rows) == 3


def test_a_comparison_is_saved_with_its_report(
    kept: list[Path], tmp_path: Path, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:
    compare_both(qtbot, window)
    panel = window.runs.panel
    assert panel is not None
    monkeypatch.setattr(asking, "ask_new_folder", lambda *_: tmp_path / "comparison")
    qtbot.mouseClick(panel.save, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    found = json.loads((tmp_path / "comparison" / "compare.json").read_text(encoding="utf-8"))
    assert [run["folder"] for run in found["runs"]] == list(map(str, kept))
    assert {"curves.png", "curves.svg", "report.html"} <= {p.name for p in (tmp_path / "comparison").iterdir()}
    panel.export.save_numbers_to(tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="", encoding="utf-8") as stream:
        heading, *rows = csv.reader(stream)
    assert len(heading) == 3 and [row[0] for row in rows] == [d["what"] for d in found["differences"]]
    panel.export.save_figure_to(tmp_path / "runs.png")
    assert (tmp_path / "runs.png").stat().st_size > 10_000
    window.runs.set_theme(DARK)
    assert panel.canvas.colours.ground == DARK.surface


def test_a_run_that_ends_is_listed_once_and_the_selection_stays(
    kept: list[Path], window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    compare_both(qtbot, window)
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    listed = window.runs.model.rows
    assert [entry.run.model.path.name for entry in listed] == [small_lab.badnet.name, "bd.h5", "bd.h5"]
    assert listed[0].folder is not None
    assert [entry.folder for entry in window.runs.selected()] == kept


def test_a_comparison_of_all_defences_counts_for_the_run_it_was_made_of(
    kept: list[Path], window: MainWindow, qtbot: QtBot,
) -> None:
    settle(qtbot, window)
    window.desk.keeping.reopen(kept[0])
    settle(qtbot, window)
    session = window.session
    assert session.run is not None
    before = window.runs.model.rows[0].best
    session.run = dataclasses.replace(session.run, comparison=comparison())
    window.desk.defending.comparison_changed.emit(session.run.comparison)
    listed, other = window.runs.model.rows
    assert (listed.folder, other.folder) == (kept[0], kept[1])
    # Of 80 poisoned images none gets by the network that was repaired, behind the transplant guard or B behind it.
    assert before is not None and before.attack is not None and before.attack.count > 0
    assert listed.best is not None and listed.best.attack == Rate(0, 80)
