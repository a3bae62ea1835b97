"""Rules of the window that a machine can check, beside those of the whole house."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import PROJECT

SOURCES = sorted((PROJECT / "gui").rglob("*.py"))


def names_in(path: Path) -> set[str]:
    """All names and attributes that a file uses."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_threads_are_the_worker_s_business(path: Path) -> None:
    used = names_in(path)
    assert not used & {"terminate", "processEvents"}
    if path.name != "worker.py":
        assert not used & {"QThread", "QThreadPool", "QRunnable", "Thread", "ThreadPoolExecutor"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_one_broad_except_and_it_is_the_worker_s(path: Path) -> None:
    caught = [node.type for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
              if isinstance(node, ast.ExceptHandler)]
    broad = [t for t in caught if t is None or (isinstance(t, ast.Name) and t.id in ("Exception", "BaseException"))]
    assert len(broad) == (1 if path.name == "worker.py" else 0)


def test_the_command_line_is_understood_without_a_window() -> None:
    done = subprocess.run([sys.executable, "-m", "gui", "--help"], cwd=PROJECT, capture_output=True, text=True,
                          env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=False)
    assert done.returncode == 0
    assert "--sample" in done.stdout and "FILE" in done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_file_dialogs_are_asked_for_in_one_place(path: Path) -> None:
    if path.name != "asking.py":
        assert "QFileDialog" not in names_in(path)
