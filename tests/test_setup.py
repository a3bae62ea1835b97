"""What make's targets begin with: .venv, made and mended, and the choice between the window and the command line."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import PROJECT

sys.path.insert(0, str(PROJECT / ".setup"))
import make_venv
import run


class Ran:
    """Stands in for subprocess.run; keeps the commands that make something, and lets questions be asked."""

    def __init__(self, real: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
        self.real, self.commands = real, list[list[str]]()

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        if command[1] == "-c":
            return self.real(command, **options)
        self.commands.append(command[1:3])
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    """With a .venv of the test's own, and nothing in it yet."""
    monkeypatch.setattr(make_venv, "VENV_PYTHON", tmp_path / make_venv.VENV_PYTHON.relative_to(PROJECT))
    monkeypatch.setattr(make_venv, "VENV", tmp_path / ".venv")
    ran = Ran(subprocess.run)
    monkeypatch.setattr(subprocess, "run", ran)
    return ran


@pytest.mark.parametrize("pip", ["none", "in part", "whole"])
def test_a_venv_that_was_stopped_while_it_was_made_is_made_anew(ran: Ran, pip: str) -> None:
    ran.real([sys.executable, "-m", "venv", "--without-pip", str(make_venv.VENV)], check=True)
    if pip != "none":
        (site,) = make_venv.VENV.rglob("site-packages")
        commands = site / "pip" / "_internal" / "commands"
        commands.mkdir(parents=True)
        if pip == "whole":
            (commands / "install.py").touch()
    make_venv.main()
    assert ran.commands == [*[["-m", "venv"]] * (pip != "whole"), ["-m", "pip"]]


@pytest.mark.skipif(sys.platform == "win32", reason="a signal for a group of processes")
def test_stopping_while_the_venv_is_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".setup").mkdir()
    script = shutil.copy(PROJECT / ".setup" / "make_venv.py", tmp_path / ".setup")
    # Tests that run in the background may ignore SIGINT, and what they start would ignore it too.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    making = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True)
    signal.signal(signal.SIGINT, usual)
    until = time.monotonic() + 60
    while not (tmp_path / ".venv" / "pyvenv.cfg").exists() and time.monotonic() < until:
        assert making.poll() is None
    os.killpg(making.pid, signal.SIGINT)  # as Ctrl+C does
    said, errors = making.communicate(timeout=60)
    assert said.startswith("Making .venv") and making.returncode == 1
    assert errors == "make: stopped; run make again to go on.\n"


def test_a_mac_without_apple_silicon_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, ran: Ran) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(SystemExit, match="a Mac needs Apple silicon"):
        make_venv.main()
    assert not ran.commands


@pytest.mark.parametrize(("screen", "begins"), [(True, "Running the"), (False, "No screen: running the")])
def test_no_screen_is_said_only_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ran: Ran, screen: bool, begins: str,
) -> None:
    monkeypatch.setattr(run, "has_screen", lambda: screen)
    monkeypatch.setattr(run, "ensure", lambda parts: False)  # Qt's libraries are missing
    assert run.main() == 0
    assert capsys.readouterr().out.startswith(begins)
    assert ran.commands == [["-m", "engine"]]
