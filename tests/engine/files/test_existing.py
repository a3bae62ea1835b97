"""A person who chose the wrong file reads what it is, never its bytes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.errors import EngineError
from engine.files.existing import kind_of
from engine.files.pictures import load_picture
from engine.goodnets.saved import open_goodnet
from engine.guards.guard_files import open_guard
from engine.looking.inspection import open_any_dataset
from engine.models.architecture import describe_model
from engine.models.networks import open_network

OPENERS: tuple[Callable[[Path], Any], ...] = (
    describe_model, open_network, open_any_dataset, open_guard, lambda path: open_goodnet([path]),
    lambda path: load_picture(path, (8, 8, 3)))


@pytest.mark.parametrize("ending", ["jpeg", "png", "gif", "bmp", "tiff", "webp", "pdf"])
def test_pictures_are_known_by_their_beginning(tmp_path: Path, ending: str) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / f"a.{ending}")
    found = kind_of((tmp_path / f"a.{ending}").read_bytes()[:8])
    named = {"webp": "a WebP picture", "pdf": "a PDF document"}
    assert found == named.get(ending, f"a {ending.upper()} picture")


def test_other_files_are_known_by_their_beginning(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    np.save(tmp_path / "array.npy", np.zeros(3))
    h5py.File(tmp_path / "hdf5", "w").close()
    for name, kind in (("zip", "a zip archive"), ("array.npy", "a NumPy array"), ("hdf5", "an HDF5 file")):
        assert kind_of((tmp_path / name).read_bytes()[:8]) == kind
    assert kind_of(b"") == "empty"
    for text in (b"a name\n", b"BMW,1", b"BM\n", b"PKW,2\r\n1"):
        assert kind_of(text) == "text"
    assert kind_of("BM ÄÖ".encode()) == "a file of another kind"
    assert kind_of(bytes(range(128, 136))) == "a file of another kind"


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.npz", "m.onnx", "m.json", "m.tif"])
@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(60), bytes(range(128, 255)), b""])
def test_no_bytes_reach_a_person(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refusals = 0
    for opener in OPENERS:
        try:
            opener(path)
        except EngineError as error:
            refusals += 1
            assert not re.search(r"b['\"]|\\x", str(error)), error
    assert refusals == len(OPENERS)
    if name == "m.keras" and content.startswith(b"\xff\xd8"):
        with pytest.raises(EngineError, match="it is a JPEG picture"):
            describe_model(path)
