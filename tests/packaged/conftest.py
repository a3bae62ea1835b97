"""Unpacks the newest archive, read-only, and gives it a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaged.packed_program import DIST, Packed


@pytest.fixture(scope="session")
def packed() -> Iterator[Packed]:
    """The newest archive of dist/, unpacked."""
    archives = sorted(DIST.glob("GoodNet-*-linux-*.tar.xz"), key=lambda path: path.stat().st_mtime)
    if not sys.platform.startswith("linux"):
        pytest.skip("these tests know the archive for Linux only")
    assert archives, "dist/ holds no archive; run 'make package' first"
    with tempfile.TemporaryDirectory(prefix="goodnet-") as temporary:
        place, home = Path(temporary) / "GoodNet prüfen", Path(temporary) / "home"
        home.mkdir()
        with tarfile.open(archives[-1]) as archive:
            archive.extractall(place, filter="tar")
        subprocess.run(["chmod", "-R", "a-w", str(place)], check=True)
        try:
            yield Packed(archives[-1], place / "GoodNet", home)
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of a screen of its own, 1280 x 800."""
    server = shutil.which("Xvfb")
    assert server, "Xvfb is needed; 'make test-package' installs it or names its package"
    process = subprocess.Popen([server, "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process:
        yield ":" + process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def own_environment() -> dict[str, str]:
    """The environment of this project's own Python, for the source beside the packed program."""
    return {**os.environ, "QT_QPA_PLATFORM": "xcb"}
