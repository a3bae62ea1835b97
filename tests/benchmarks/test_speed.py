"""What `make bench` writes above its table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import lab_size
from benchmarks.__main__ import _heading


@pytest.mark.parametrize("tensorflow", ["tensorflow", "tensorflow-cpu"])
def test_the_heading_names_tensorflow_however_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorflow: str,
) -> None:
    data = lab_size.LabSize("nothing", *[tmp_path] * 5)
    for number, package in enumerate((tensorflow, "keras", "numpy", "h5py")):
        folder = tmp_path / f"{package.replace('-', '_')}-{number}.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}.0\n")
        if package == tensorflow:
            (folder / "top_level.txt").write_text("tensorflow")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert f", {tensorflow} 0.0, keras 1.0, numpy 2.0, h5py 3.0." in "\n".join(_heading(data))
