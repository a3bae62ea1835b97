"""Finished runs are kept, brought back from the menu or a folder, and offered after a crash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine.errors import OutputError
from engine.records.autosave import kept_runs
from engine.reports.headline import headline
from gui.main_window import MainWindow
from gui.session.session import State
from gui.session.workbench import Workbench
from gui.settings import Options, Settings
from tests.gui.test_window_defences import SmallLab, open_small
from tests.support.engine_fixtures import copied
from tests.support.places import PROJECT
from tests.support.window_driver import PATIENCE_MS, press_run, settle, work_under_way

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def earlier(window: MainWindow) -> list[str]:
    return [action.text() for action in window.desk.menus.find("Earlier runs").menu().actions()]


def test_a_finished_run_comes_back_from_the_menu_without_computing(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle(qtbot, window)
    assert earlier(window) == []
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    run = window.session.run
    assert run is not None and len(earlier(window)) == 1 and run.model.path.name in earlier(window)[0]
    window.session.set_options(Options(guard="none"))
    press_run(qtbot, window)
    assert len(earlier(window)) == 2 and window.session.run is not run
    monkeypatch.setattr("gui.jobs.pruning.run_pruning", lambda *_, **__: pytest.fail("computed again"))
    window.desk.menus.find("Earlier runs").menu().actions()[1].trigger()
    assert window.session.state is State.RUNNING and window.run_bar.cancel.isVisible()  # said at once, not when it ends
    settle(qtbot, window)
    back = window.session.run
    assert back is not None and back is not run and window.session.state is State.DONE
    for one, other in zip(run.curve.sets, back.curve.sets, strict=True):
        np.testing.assert_array_equal(one.goodnet_correct, other.goodnet_correct)
    assert back.guarded is not None and back.guarded.guard.threshold == run.guarded.guard.threshold
    assert window.session.inputs.model is not None and window.session.inputs.model.path == run.model.path
    assert window.channels.isEnabled() and len(window.desk.pruning.rows) > 0


def test_lines_of_earlier_runs_tell_them_apart(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    order = tmp_path / "turned.json"
    wanted = []
    for options, words in ((Options(), "transplant guard at 2 % false alarms"), (Options(guard="none"), "no guard"),
                           (Options(guard="margin", false_alarms=0.05), "margin guard at 5 % false alarms"),
                           (Options(guard="none", order=order), "in the order of turned.json, no guard")):
        if window.session.run:
            order.write_text(json.dumps(window.session.run.ranking.order.tolist()[::-1]), encoding="utf-8")
        window.session.set_options(options)
        press_run(qtbot, window)
        best = headline(window.session.run, window.desk.pruning.rows)
        wanted.insert(0, (words, best.figures if best else "No GoodNet answers"))
    lines = earlier(window)
    assert len(lines) == len(wanted) == len(set(lines))
    for line, (words, figures) in zip(lines, wanted, strict=True):
        assert "badnet.keras" in line and words in line and figures in line
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", line)


def test_a_run_comes_back_with_the_layer_it_pruned(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    open_small(qtbot, window, small_lab)
    default = window.session.inputs.chosen_layer
    window.desk.choosing.choose_layer("conv_1")
    press_run(qtbot, window)
    window.desk.choosing.choose_layer(str(default))
    window.desk.menus.find("Earlier runs").menu().actions()[0].trigger()
    settle(qtbot, window)
    assert default != "conv_1" and window.session.inputs.chosen_layer == "conv_1"


def test_a_saved_run_s_folder_is_opened_as_what_it_is(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    run = window.session.run
    window.desk.saving.save_run(tmp_path / "saved")
    settle(qtbot, window)
    window.desk.opening.open_paths([tmp_path / "saved"])
    settle(qtbot, window)
    assert window.session.run is not run and window.session.run is not None
    assert "Brought back" in window.status.text.toolTip() + window.status.text.text()
    (tmp_path / "saved" / "run.json").write_text("{}", encoding="utf-8")
    window.desk.keeping.reopen(tmp_path / "saved")
    settle(qtbot, window)
    assert "isn't a saved run" in window.message_bar.text.text()


@pytest.mark.parametrize("whose", ["a stranger's", "one's own"])
def test_files_on_another_computer_that_a_run_names_are_left_alone(
    whose: str, window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    share = tmp_path / "share"
    lab = copied(small_lab, share)
    open_small(qtbot, window, lab)
    window.session.set_options(Options(guard="none"))
    press_run(qtbot, window)
    window.desk.saving.save_run(tmp_path / "saved")
    settle(qtbot, window)
    window.desk.choosing.open_all([], "Nothing")
    window.session.bench = Workbench()

    def elsewhere(path: Path, _: Path) -> bool:
        return share in path.parents

    looked: list[str] = []
    monkeypatch.setattr("engine.records.reopening.on_another_machine", elsewhere)
    monkeypatch.setattr("gui.jobs.keeping.on_another_machine", elsewhere)
    for name in ("exists", "lexists", "isfile", "isdir"):
        asked = getattr(os.path, name)
        monkeypatch.setattr(os.path, name, lambda path, asked=asked: looked.append(str(path)) or asked(path))
    window.desk.keeping.reopen(tmp_path / "saved" if whose == "a stranger's" else
                               kept_runs(window.settings.runs_folder)[0].folder)
    settle(qtbot, window)
    assert window.session.run is not None and window.session.run.model.path == lab.badnet
    if whose == "one's own":
        assert window.session.state is State.DONE and "share" not in window.status.text.text()
        return
    found: list[object] = []
    window.desk.pruning.maps_found.connect(found.append)
    assert f"{lab.badnet}: lies on another computer" in window.status.text.toolTip() + window.status.text.text()
    window.desk.pruning.find_maps(0)
    settle(qtbot, window)
    assert f"{lab.badnet}: lies on another computer" in window.message_bar.text.text()
    assert [path for path in looked if path.startswith(str(share))] == [] == found
    assert window.session.inputs.all == () and window.session.bench._network is None
    window.desk.choosing.open_all([("model", lab.badnet), ("validation", lab.clean), ("test", lab.test),
                                   ("poisoned", lab.poisoned)], "Somebody asked for them")
    settle(qtbot, window)
    window.desk.pruning.find_maps(0)
    settle(qtbot, window)
    assert window.session.state is State.DONE and len(found) == 1


def test_a_run_whose_model_is_gone_is_shown_and_not_run_again(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    model = Path(shutil.copy(small_lab.badnet, tmp_path))
    window.desk.choosing.open_as("model", model)
    settle(qtbot, window)
    press_run(qtbot, window)
    assert window.run_bar.run.isEnabled()
    window.desk.saving.save_run(tmp_path / "saved")
    settle(qtbot, window)
    model.unlink()
    window.desk.keeping.reopen(tmp_path / "saved")
    settle(qtbot, window)
    assert window.session.state is State.DONE and window.run_bar.save.isEnabled()
    assert not window.run_bar.run.isEnabled() and "Choose another file" in window.run_bar.status.text()
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    assert window.run_bar.run.isEnabled()


def test_a_run_that_has_just_ended_is_kept_before_the_window_closes(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    open_small(qtbot, window, small_lab)
    window.session.set_options(Options(guard="none"))
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    # Such as a look at what was dropped while the run counted.
    window.session.in_background(lambda context: context.cancel._event.wait(60), lambda _: None)
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=PATIENCE_MS)
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert len(kept_runs(window.settings.runs_folder)) == 1


def test_a_window_that_is_closed_waits_for_what_is_still_to_be_kept(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    shutil.rmtree(window.settings.runs_folder)
    monkeypatch.setattr("gui.jobs.keeping.keep_run", lambda *_: (_ for _ in ()).throw(OutputError("the disk is full")))
    with work_under_way(window):
        window.desk.keeping.keep(window.session.run)
        window.close()
    settle(qtbot, window)
    assert window.isVisible() and "the disk is full" in window.message_bar.text.text()
    monkeypatch.undo()
    with work_under_way(window):
        window.desk.keeping.keep(window.session.run)
        window.close()
        assert window.isVisible()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert len(kept_runs(window.settings.runs_folder)) == 1


def test_after_a_crash_the_last_run_is_offered(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    folder = window.settings.runs_folder
    assert folder is not None and len(kept_runs(folder)) == 1
    assert not window.message_bar.isVisible()
    # A window that is killed leaves its lock behind.
    killed = subprocess.run(
        [sys.executable, "-c",
         "import os, sys; from PySide6.QtCore import QLockFile; "
         f"lock = QLockFile(os.path.join({str(folder)!r}, 'other.window')); lock.tryLock(0); os._exit(9)"],
        cwd=PROJECT, check=False)
    assert killed.returncode == 9 and (folder / "other.window").exists()
    second = MainWindow(Settings(tmp_path / "settings.ini"))
    qtbot.addWidget(second)
    with qtbot.waitExposed(second):
        second.show()
    settle(qtbot, second)
    qtbot.waitUntil(lambda: second.message_bar.isVisible())
    assert "didn't end properly" in second.message_bar.text.text()
    assert not (folder / "other.window").exists()
    assert len(earlier(second)) == 1
    qtbot.mouseClick(second.message_bar.action, Qt.MouseButton.LeftButton)
    settle(qtbot, second)
    assert second.session.run is not None and second.session.run.model.path == small_lab.badnet
    assert not second.message_bar.isVisible()
    second.close()
