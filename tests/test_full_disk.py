"""A disk that is full at any point of writing: a sentence, what was there stays whole, and nothing is left behind."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import OutputError
from engine.files.saving import whole_file
from engine.records.autosave import keep_run
from engine.records.project import make_project, save_project
from engine.records.side_by_side import save_side_by_side, side_by_side
from engine.records.tables import write_curve_csv
from engine.runs.prune import PruningRequest
from tests.support.runs import made_up_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
RUN = made_up_run()


def _kept(place: Path) -> None:
    keep_run(RUN, place)


def _compared(place: Path) -> None:
    save_side_by_side(side_by_side([("a", None, RUN), ("b", None, RUN)]), place / "compared")


def _project(place: Path) -> None:
    for name in ("m", "c"):
        (place.parent / name).write_text(name)
    request = PruningRequest(place.parent / "m", place.parent / "c", None, (), classes=("label",) * 2000)
    save_project(make_project(request), place / "p.goodnet")


def _table(place: Path) -> None:
    with whole_file(place / "curve.csv") as temporary:
        write_curve_csv(RUN.curve, temporary)


def _cells(place: Path) -> None:
    with whole_file(place / "cells.csv") as temporary, temporary.open("w") as stream:
        csv.writer(stream).writerows([["x" * 100]] * 1000)


@pytest.mark.parametrize("save", [_kept, _compared, _project, _table, _cells])
def test_a_full_disk_is_a_sentence_wherever_it_is_noticed(save: Callable[[Path], None], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "goodnet", disk], capture_output=True,
                      check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        save(disk)
        needed = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
        refused = 0
        for share in (0.0, 0.3, 0.6, 0.9):
            before = _contents(disk)
            (disk / "ballast").write_bytes(b"")
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
            (disk / "ballast").write_bytes(bytes(max(0, free - int(share * needed))))
            try:
                save(disk)
            except OutputError as error:
                refused += 1
                assert "No space left on device" in str(error) and str(disk) in str(error)
                assert _contents(disk) == before
            (disk / "ballast").unlink()
        assert refused >= 2
        save(disk)
        assert not list(disk.rglob("*.partial"))
    finally:
        subprocess.run(["umount", disk], check=True)


def _contents(disk: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in disk.rglob("*") if path.is_file() and path.name != "ballast"}
