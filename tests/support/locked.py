"""A folder that may not be entered, for whoever runs the tests: root may enter every folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def locked_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that can be seen, but what lies in it can be neither listed nor looked at."""
    folder.mkdir()

    def refusing(call: Callable[..., Any], refused: Callable[[str], bool]) -> Callable[..., Any]:
        def asked(path: Any, *more: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike) and refused(os.fspath(path)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return call(path, *more, **named)

        return asked

    monkeypatch.setattr(os, "stat", refusing(os.stat, lambda path: path.startswith(f"{folder}{os.sep}")))
    monkeypatch.setattr(os, "scandir", refusing(os.scandir, lambda path: path == str(folder)))
    return folder
