"""What other runs and the chosen files need is never replaced by what is saved from the window."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.runs.prune import PruningRun
from engine.runs.rows import rows_of
from gui.jobs.comparing import ListedRun
from gui.jobs.examining import Examined
from gui.jobs.saving import folder_name
from gui.main_window import MainWindow
from gui.settings import Options
from tests.gui.test_window_defences import SmallLab, open_small
from tests.support.examinations import examination
from tests.support.window_driver import press_run, settle

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def saved_run(qtbot: QtBot, window: MainWindow, lab: SmallLab, folder: Path) -> Path:
    """Run, save the run, and return a network of its folder."""
    open_small(qtbot, window, lab)
    window.session.set_options(Options(guard="none"))
    press_run(qtbot, window)
    window.desk.saving.save_run(folder)
    settle(qtbot, window)
    return next(folder.glob("*/b_prime.keras"))


def choose(qtbot: QtBot, window: MainWindow, network: Path, _: SmallLab) -> None:
    window.desk.choosing.open_as("model", network)
    settle(qtbot, window)


def let_wait(qtbot: QtBot, window: MainWindow, network: Path, lab: SmallLab) -> None:
    window.desk.opening.open_paths([lab.badnet, network])
    settle(qtbot, window)
    assert window.session.inputs.further == (network,)


def list_run(qtbot: QtBot, window: MainWindow, network: Path, lab: SmallLab) -> None:
    """Run it, then go on with the first run."""
    first = window.session.run
    choose(qtbot, window, network, lab)
    press_run(qtbot, window)
    window.desk.choosing.open_as("model", lab.badnet)
    settle(qtbot, window)
    window.session.finish(first)
    settle(qtbot, window)
    assert network in [listed.run.model.path for listed in window.runs.model.rows]


@pytest.mark.parametrize("needed", [choose, let_wait, list_run])
def test_a_run_isnt_saved_over_a_network_that_something_else_is_made_from(
    needed: Callable[..., None], window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    network = saved_run(qtbot, window, small_lab, tmp_path / "saved")
    run = window.session.run
    before = network.read_bytes()
    needed(qtbot, window, network, small_lab)
    window.desk.saving.save_run(tmp_path / "saved", run=run)
    settle(qtbot, window)
    assert "holds b_prime.keras, which results are made from" in window.message_bar.text.text()
    assert network.read_bytes() == before


def save_pairs(window: MainWindow, run: PruningRun, folder: Path) -> None:
    window.desk.saving.save_rows(run, rows_of(run), [folder / folder_name(row) for row in rows_of(run)])


def repair(window: MainWindow, run: PruningRun, folder: Path) -> None:
    window.desk.defending.repair(True, folder, run=run)


def defend(window: MainWindow, run: PruningRun, folder: Path) -> None:
    window.desk.defending.defend(run.request, folder)


def save_examination(window: MainWindow, run: PruningRun, folder: Path) -> None:
    window.desk.examining.save(folder, Examined(run.request.clean_alone(), run.model.sha256, examination(),
                                                datetime.datetime.now()))


def compare(window: MainWindow, run: PruningRun, folder: Path) -> None:
    window.desk.comparing.compare([ListedRun(name, "", run, None, None) for name in ("one", "other")])
    window.desk.comparing.save(folder)


@pytest.mark.parametrize("save", [save_pairs, repair, defend, save_examination, compare])
def test_nor_is_anything_else(
    save: Callable[..., None], window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    network = saved_run(qtbot, window, small_lab, tmp_path / "saved")
    run, before = window.session.run, network.read_bytes()
    list_run(qtbot, window, network, small_lab)
    save(window, run, tmp_path / "saved")
    settle(qtbot, window)
    assert "holds b_prime.keras, which results are made from" in window.message_bar.text.text()
    assert network.read_bytes() == before
