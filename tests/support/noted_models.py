"""Model files with notes of their own beside the network, as people add the names of labels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import onnx

from engine.models.networks import open_network
from engine.models.to_onnx.files import write_onnx
from tests.support.networks import random_images


def onnx_with(folder: Path, keras_file: Path, **notes: str) -> Path:
    """A network of 16 x 16 pixels as ONNX with notes beside its graph, as Ultralytics writes them."""
    path = folder / "model.onnx"
    assert write_onnx(open_network(keras_file), path, random_images(4, 1, (16, 16, 3))) == ""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, notes)
    onnx.save(model, path)
    return path


def h5_with(folder: Path, keras_file: Path, **notes: Any) -> Path:
    """A network as HDF5 with notes in the file's attributes."""
    path = folder / "model.h5"
    open_network(keras_file).model.save(path)
    with h5py.File(path, "a") as file:
        for key, note in notes.items():
            file.attrs[key] = note
    return path


def archive_with(folder: Path, keras_file: Path, member: str, *places: str, **notes: Any) -> Path:
    """A `.keras` file with notes in the JSON of one of its members, at the top or inside."""
    path = folder / "noted.keras"
    with zipfile.ZipFile(keras_file) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == member:
                document = inside = json.loads(content)
                for place in places:
                    inside = inside[place]
                inside.update(notes)
                content = json.dumps(document).encode()
            target.writestr(name, content)
    return path
