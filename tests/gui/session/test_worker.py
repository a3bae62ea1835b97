"""The worker's thread and a file that keeps its reader busy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import DatasetError
from engine.quarantine.client import Quarantine
from gui.session import worker
from gui.session.worker import TaskContext, Worker
from tests.support.places import PROJECT

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

SILENT = """
import sys, time
sys.path.insert(0, {project!r})
from engine.quarantine.wire import attached, receive, send
attached(receive(0)["area"])
send(1, {{"ready": True}})
receive(0)
open({mark!r}, "w").close()
time.sleep(600)
"""


@pytest.mark.parametrize("closed", [False, True])
def test_cancel_does_not_wait_for_a_file_that_keeps_its_reader_busy(
    closed: bool, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = tmp_path / "asked"
    code = SILENT.format(project=str(PROJECT), mark=str(mark))
    quarantine = Quarantine([sys.executable, "-c", code], silence=250)
    monkeypatch.setattr(worker, "READER", quarantine)

    def task(_: TaskContext) -> Any:
        return quarantine.ask(Path("d.h5"), "any", {}, lambda *_: None, most=0, error=DatasetError)

    thread, outcomes = Worker("engine"), []
    thread.failed.connect(lambda error: outcomes.append(error))
    thread.cancelled.connect(lambda: outcomes.append("cancelled"))
    thread.submit(task)
    qtbot.waitUntil(mark.exists, timeout=60_000)
    if closed:
        thread.close()
    else:
        thread.cancel()
        qtbot.waitUntil(lambda: bool(outcomes), timeout=60_000)
        assert outcomes == ["cancelled"]
        thread.close()
    assert quarantine.process_id is None


def test_cancel_leaves_what_another_worker_reads_alone(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark, go_on = tmp_path / "asked", tmp_path / "go on"
    code = SILENT.format(project=str(PROJECT), mark=str(mark)).replace("time.sleep(600)", f"""
while not os.path.exists({str(go_on)!r}):
    time.sleep(0.01)
send(1, {{"value": 7, "arrays": []}})
""").replace("import sys", "import os, sys")
    quarantine = Quarantine([sys.executable, "-c", code], silence=250)
    monkeypatch.setattr(worker, "READER", quarantine)
    engine, looks, outcomes = Worker("engine"), Worker("looks"), []
    looks.succeeded.connect(outcomes.append)
    looks.failed.connect(outcomes.append)
    engine.cancelled.connect(lambda: outcomes.append("cancelled"))
    engine.submit(lambda context: (context.cancel._event.wait(60), context.cancel.raise_if_cancelled()))
    looks.submit(lambda _: quarantine.ask(Path("d.png"), "any", {}, lambda value, _: value, most=0,
                                          error=DatasetError))
    qtbot.waitUntil(mark.exists, timeout=60_000)
    engine.cancel()
    qtbot.waitUntil(lambda: bool(outcomes), timeout=60_000)
    go_on.touch()
    qtbot.waitUntil(lambda: len(outcomes) == 2, timeout=60_000)
    assert outcomes == ["cancelled", 7]
    engine.close()
    looks.close()
    quarantine.close()
