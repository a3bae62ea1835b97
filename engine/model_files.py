"""A model file read as data: its configuration, checked against what is known, before Keras sees it.

Nothing here imports TensorFlow. Old Keras versions ignored safe mode for `.h5`, so the list of known
layers in `vocabulary` is the guard, and Keras's own safe mode comes second.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from engine import vocabulary
from engine.errors import ModelError
from engine.hdf5 import check_is_file, open_hdf5

Config = dict[str, Any]

MOST_PARAMETERS = 2_000_000_000
_MOST_CONFIG_BYTES = 64 << 20
_ARCHIVE_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_DEEPID_WEIGHTS = {
    "conv_1": (4, 4, 3, 20), "conv_2": (3, 3, 20, 40), "conv_3": (3, 3, 40, 60), "conv_4": (2, 2, 60, 80),
    "fc_1": (1200, 160), "fc_2": (960, 160),
}


@dataclass(frozen=True)
class ModelFile:
    """What a model file says of itself: `config` as Keras stored it, None for DeepID weights alone."""

    path: Path
    format: str
    sha256: str
    config: Config | None
    parameters: int
    deepid_labels: int | None = None


def read_model_file(path: Path) -> ModelFile:
    """Read and check a model's configuration without building or running anything of it.

    Args:
        path: a whole-model `.h5`, a `.keras` archive, or DeepID weights in `.h5`.
    Raises:
        ModelError: not a model, damaged, or holding anything that isn't on the list of known layers.
    """
    check_is_file(path, ModelError)
    with path.open("rb") as stream:
        magic = stream.read(8)
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(stream.read()).hexdigest()
    if magic.startswith(b"PK"):
        return _read_archive(path, sha256)
    if magic == b"\x89HDF\r\n\x1a\n":
        return _read_h5(path, sha256)
    raise ModelError(f"{path}: is neither HDF5 nor a Keras archive (it begins with {magic[:4]!r}). "
                     "Choose a model saved by Keras as .h5 or .keras.")


def _read_h5(path: Path, sha256: str) -> ModelFile:
    with open_hdf5(path, str(path), ModelError) as file:
        text = file.attrs.get("model_config")
        parameters = _count_parameters(file, str(path))
        if text is None:
            if "layer_names" not in file.attrs:
                keys = ", ".join(sorted(file)[:6]) or "nothing"
                raise ModelError(f"{path}: holds no model (found: {keys}). Choose a model saved by Keras; "
                                 "data sets belong in the other fields.")
            return ModelFile(path, "DeepID weights (.h5)", sha256, None, parameters, _deepid_labels(file, path))
    return ModelFile(path, "whole model (.h5)", sha256, _checked_config(text, path), parameters)


def _read_archive(path: Path, sha256: str) -> ModelFile:
    with _open_archive(path) as archive:
        text = archive.read("config.json")
        with archive.open("model.weights.h5") as weights, \
                open_hdf5(weights, f"{path} (model.weights.h5)", ModelError) as file:
            parameters = _count_parameters(file, str(path))
    return ModelFile(path, "Keras archive (.keras)", sha256, _checked_config(text, path), parameters)


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(member, path)
            missing = _ARCHIVE_MEMBERS - {"metadata.json"} - set(archive.namelist())
            if missing:
                raise ModelError(f"{path}: the archive lacks {' and '.join(sorted(missing))}; "
                                 "a .keras file saved by Keras 3 has both. Save the model again.")
            yield archive
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: the archive is damaged ({error}). Copy it again from its source.") from error


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.filename:
        raise ModelError(f"{path}: the archive's member '{member.filename}' points outside it; refused.")
    if member.filename not in _ARCHIVE_MEMBERS:
        raise ModelError(f"{path}: the archive holds '{member.filename}', which isn't part of a plain model; "
                         "refused. Ask for the model without extra assets.")
    limit = _MOST_CONFIG_BYTES if member.filename.endswith(".json") else 4 * MOST_PARAMETERS
    if member.file_size > limit:
        raise ModelError(f"{path}: '{member.filename}' would unpack to {member.file_size:,} bytes; refused.")


def _count_parameters(file: h5py.File, name: str) -> int:
    total = 0

    def add(_: str, item: object) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            total += int(item.size)

    file.visititems(add)
    if total > MOST_PARAMETERS:
        raise ModelError(f"{name}: declares {total:,} weights; more than {MOST_PARAMETERS:,} is refused.")
    return total


def _deepid_labels(file: h5py.File, path: Path) -> int:
    for layer, expected in _DEEPID_WEIGHTS.items():
        kernel = file.get(f"{layer}/{layer}/kernel:0")
        found = getattr(kernel, "shape", None)
        if found != expected:
            raise ModelError(
                f"{path}: holds weights without an architecture, and they aren't DeepID's: '{layer}' was expected "
                f"with shape {expected}, found {found or 'nothing'}. Save the whole model (model.save) instead.")
    output: tuple[int, ...] = getattr(file.get("output/output/kernel:0"), "shape", ())
    if len(output) != 2 or output[0] != 160 or output[1] < 2:
        raise ModelError(f"{path}: DeepID's 'output' was expected with shape (160, labels), found {output}.")
    return int(output[1])


def _checked_config(text: str | bytes, path: Path) -> Config:
    if len(text) > _MOST_CONFIG_BYTES:
        raise ModelError(f"{path}: its configuration has {len(text):,} bytes; refused.")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its configuration isn't valid JSON ({error}). Save the model again.") from error
    if not isinstance(config, dict) or config.get("class_name") not in vocabulary.CONTAINERS:
        found = config.get("class_name") if isinstance(config, dict) else type(config).__name__
        raise ModelError(f"{path}: is a {found!s}; only functional and sequential Keras models can be opened, "
                         "because others bring program code of their own.")
    try:
        checked: Config = _plain(config)
        _refuse_unknown(checked, path, checked["class_name"])
    except RecursionError as error:
        raise ModelError(f"{path}: its configuration is nested too deeply; refused.") from error
    return checked


def _plain(node: Any) -> Any:
    """The configuration as Keras 3 wants it, without what only training needs.

    Compile settings are dropped wherever they stand, so that nothing of them is ever built. Keras 2 kept a
    sequential model's input shape in its first layer and its batch normalisation's axis in a list.
    """
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _plain(value) for key, value in node.items() if key not in ("compile_config", "build_config")}
    config = node.get("config")
    if node.get("class_name") == "Model":
        node["class_name"] = "Functional"
    if node.get("class_name") == "Sequential":
        node["config"] = _plain_sequential(config)
    if node.get("class_name") == "BatchNormalization" and isinstance(config, dict):
        axis = config.get("axis")
        if isinstance(axis, list) and len(axis) == 1:
            config["axis"] = axis[0]
    return node


def _plain_sequential(config: Any) -> Config:
    config = {"name": "sequential", "layers": config} if isinstance(config, list) else dict(config)
    layers = list(config.get("layers", []))
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    inner = first.get("config")
    if isinstance(inner, dict) and "batch_input_shape" in inner and first.get("class_name") != "InputLayer":
        shape = inner.pop("batch_input_shape")
        name = f"{inner.get('name', 'first')}_input"
        layers.insert(0, {"class_name": "InputLayer",
                          "config": {"batch_shape": shape, "dtype": "float32", "name": name}})
    return {**config, "layers": layers}


_FUNCTION_KEYS = ("activation", "recurrent_activation", "function", "activation_fn")


def _refuse_unknown(node: Any, path: Path, where: str) -> None:
    """Walk the whole configuration; every object in it must be of a known class of Keras's own."""
    if isinstance(node, list):
        for item in node:
            _refuse_unknown(item, path, where)
        return
    if not isinstance(node, dict):
        return
    if "class_name" in node:
        where = str(node.get("name") or where)
        _check_class(node, path, where)
    for key in _FUNCTION_KEYS:
        value = node.get(key)
        if isinstance(value, str) and value not in vocabulary.ACTIVATIONS:
            raise ModelError(f"{path}: layer '{where}' uses the unknown function '{value}'; refused because "
                             "it would be program code from outside.")
    for value in node.values():
        _refuse_unknown(value, path, where)


def _check_class(node: Config, path: Path, where: str) -> None:
    name, module = node["class_name"], node.get("module")
    known = vocabulary.LAYERS | vocabulary.OPERATIONS | vocabulary.PARTS | vocabulary.STRUCTURE
    if name in ("Lambda", "__lambda__", "function"):
        raise ModelError(f"{path}: '{where}' is a {name}, which carries program code; refused, because opening "
                         "a model must not run what it brings. Ask for the model without it.")
    if not isinstance(name, str) or name not in known:
        raise ModelError(f"{path}: '{where}' is of the class '{name}', which isn't a known Keras layer; refused, "
                         "because it would need program code from outside.")
    registered = node.get("registered_name")
    if registered not in (None, name) or (isinstance(module, str) and module.split(".")[0] != "keras"):
        raise ModelError(f"{path}: '{where}' asks for '{registered or name}' from '{module}', which isn't Keras's "
                         "own; refused, because it would need program code from outside.")
