"""Temporary folders: they go with their block, with the next process after a kill, and others' stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from engine.files.scratch import scratch_folder
from engine.models.networks import open_network
from tests.support.networks import SmallLab
from tests.support.places import PROJECT

LINUX = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals of Unix")

WAIT = """
import sys
from engine.files.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "model.h5").write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's place for temporary files, for this process and those it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_goes_with_its_block(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder() as folder:
        (folder / "a").write_text("a")
        assert folder.parent == place and (os.name == "nt" or folder.stat().st_mode & 0o777 == 0o700)
        _ = 1 / 0
    assert not list(place.iterdir())


@LINUX
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_left_is_removed_by_the_next_and_others_stay(
    how: signal.Signals, place: Path, small_lab: SmallLab,
) -> None:
    others = [place / name for name in (
        "goodnet-thesises", "goodnet-self-test-1", f"goodnet-1-{'0' * 31}", f"goodnet-x-{'0' * 32}",
        f"goodnet-9-{'A' * 32}")]
    for other in others:
        other.mkdir()
    with subprocess.Popen([sys.executable, "-c", WAIT], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        for age in (0, 25 * 3600):  # a long task's
            os.utime(folder, ns=(0, time.time_ns() - age * 10**9))
            with scratch_folder():
                assert (folder / "model.h5").is_file()  # in use
        child.send_signal(how)
        child.wait()
    assert (folder / "model.h5").is_file()
    open_network(small_lab.badnet)
    assert sorted(place.iterdir()) == sorted(others)


@LINUX
def test_a_link_with_such_a_name_leads_to_nothing_lost(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.doc").write_text("years of work")
    (place / f"goodnet-99999999-{'0' * 32}").symlink_to(place / "mine")
    with scratch_folder():
        pass
    assert (place / "mine" / "thesis.doc").is_file()
