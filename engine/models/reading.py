"""A model file read as data: its configuration, checked against what is known, before Keras sees it.

Nothing here imports TensorFlow. Old Keras versions ignored safe mode for `.h5`, so what Keras is given is made
by `model_config` from its list of known layers, and Keras's own safe mode comes second.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from engine.errors import ModelError, in_short
from engine.files.existing import check_is_file
from engine.files.fingerprint import sha256_of
from engine.files.hdf5 import check_heaps, open_hdf5
from engine.models.config import Config, checked_config

MOST_PARAMETERS = 2_000_000_000
_MOST_CONFIG_BYTES = 64 << 20
_WEIGHTS = "model.weights.h5"
_ARCHIVE_MEMBERS = {"config.json", "metadata.json", _WEIGHTS}
# Keras stores weights as they are, and trained weights hardly shrink: what would grow more is made to.
_MOST_GROWTH = 20
_SMALL_BYTES = 64 << 20
_MOST_NAME_BYTES = 1 << 28
_COPY_BYTES = 1 << 20
_DEEPID_WEIGHTS = {
    "conv_1": (4, 4, 3, 20), "conv_2": (3, 3, 20, 40), "conv_3": (3, 3, 40, 60), "conv_4": (2, 2, 60, 80),
    "fc_1": (1200, 160), "fc_2": (960, 160),
}


@dataclass(frozen=True)
class ModelFile:
    """What a model file says of itself.

    Attributes:
        config: what Keras is to build, checked; None for DeepID weights alone.
        parameters: numbers the file holds as weights.
    """

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
    try:
        sha256 = sha256_of([path])
        with path.open("rb") as stream:
            magic = stream.read(8)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error}). Copy it again from its source.") \
            from error
    if magic.startswith(b"PK"):
        return _read_archive(path, sha256)
    if magic == b"\x89HDF\r\n\x1a\n":
        return _read_h5(path, sha256)
    raise ModelError(f"{path}: is neither HDF5 nor a Keras archive (it begins with {magic[:4]!r}). "
                     "Choose a model saved by Keras as .h5 or .keras.")


@contextmanager
def weights_file(file: ModelFile) -> Iterator[Path]:
    """The weights of a checked model file, under a name that tells Keras their layout.

    Raises:
        ModelError: the file was changed since it was checked, or there is no room for a copy.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="goodnet-", ignore_cleanup_errors=True) as folder:
            if file.format.startswith("Keras archive"):
                weights = Path(folder) / _WEIGHTS
                with _open_archive(file.path) as archive:
                    _extract_weights(archive, weights)
            elif file.path.name.endswith((".h5", ".hdf5")) and not file.path.name.endswith(".weights.h5"):
                weights = file.path
            else:
                weights = Path(folder) / "model.h5"
                shutil.copyfile(file.path, weights)
            yield weights
        unchanged = sha256_of([file.path]) == file.sha256
    except OSError as error:
        raise ModelError(f"{file.path}: its weights can't be read ({error.strerror or error}). Check that the file is "
                         "still there and that the disk for temporary files has room.") from error
    if not unchanged:
        raise ModelError(f"{file.path}: was changed while it was opened. Open it again.")


def _read_h5(path: Path, sha256: str) -> ModelFile:
    check_heaps(path, str(path), ModelError)
    with open_hdf5(path, str(path), ModelError, attributes=True) as file:
        parameters = _count_parameters(file, path)
        text = _scalar_text(file, "model_config", path)
        if text is None:
            if "layer_names" not in file.attrs:
                keys = ", ".join(sorted(file)[:6]) or "nothing"
                raise ModelError(f"{path}: holds no model (found: {keys}). Choose a model saved by Keras; "
                                 "data sets belong in the other fields.")
            return ModelFile(path, "DeepID weights (.h5)", sha256, None, parameters, _deepid_labels(file, path))
        if not isinstance(file.get("model_weights"), h5py.Group):
            raise ModelError(f"{path}: holds a model's configuration without its weights. Save the whole model "
                             "(model.save) again.")
    return ModelFile(path, "whole model (.h5)", sha256, checked_config(_parsed(text, path), path), parameters)


def _read_archive(path: Path, sha256: str) -> ModelFile:
    with tempfile.TemporaryDirectory(prefix="goodnet-", ignore_cleanup_errors=True) as folder:
        with _open_archive(path) as archive:
            text = archive.read("config.json")
            _extract_weights(archive, Path(folder) / _WEIGHTS)
        weights, name = Path(folder) / _WEIGHTS, f"{path} ({_WEIGHTS})"
        check_is_file(weights, ModelError, name)
        check_heaps(weights, name, ModelError)
        with open_hdf5(weights, name, ModelError, attributes=True) as file:
            parameters = _count_parameters(file, path)
    return ModelFile(path, "Keras archive (.keras)", sha256, checked_config(_parsed(text, path), path), parameters)


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for member in archive.infolist():
                _check_member(member, path)
            missing = _ARCHIVE_MEMBERS - {"metadata.json"} - set(names)
            if missing:
                raise ModelError(f"{path}: the archive lacks {' and '.join(sorted(missing))}; "
                                 "a .keras file saved by Keras 3 has both. Save the model again.")
            if len(names) != len(set(names)):
                raise ModelError(f"{path}: the archive holds two members of one name, so it can be read in two ways; "
                                 "refused. Save the model again.")
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
            OverflowError, MemoryError, IndexError) as error:
        raise ModelError(f"{path}: the archive is damaged ({in_short(error)}). "
                         "Copy it again from its source.") from error


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    shown = member.filename[:200]
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.filename:
        raise ModelError(f"{path}: the archive's member '{shown}' points outside it; refused. "
                         "Don't trust its source with other files either.")
    if member.filename not in _ARCHIVE_MEMBERS:
        raise ModelError(f"{path}: the archive holds '{shown}', which isn't part of a plain model; "
                         "refused. Ask for the model without extra assets.")
    limit = _MOST_CONFIG_BYTES if member.filename.endswith(".json") else 4 * MOST_PARAMETERS
    if member.file_size > max(_SMALL_BYTES, _MOST_GROWTH * member.compress_size) or member.file_size > limit:
        raise ModelError(f"{path}: '{shown}' takes {member.compress_size:,} bytes and would unpack to "
                         f"{member.file_size:,}; refused. Save the model again.")


def _extract_weights(archive: zipfile.ZipFile, target: Path) -> None:
    with archive.open(_WEIGHTS) as packed, target.open("wb") as stream:
        shutil.copyfileobj(packed, stream, _COPY_BYTES)


def _count_parameters(file: h5py.File, path: Path) -> int:
    """Numbers in the file, those of an optimizer left out."""
    total = 0
    size = path.stat().st_size

    def add(name: str, item: Any) -> None:
        nonlocal total
        _check_attributes(item, size, path)
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            if item.dtype.kind not in "fiubV" or item.dtype.itemsize > 16:
                raise ModelError(f"{path}: '{name}' holds {item.dtype}, not numbers; refused. Save the model again.")
            total += int(item.size or 0)
            grown = int(item.nbytes) > max(_SMALL_BYTES, _MOST_GROWTH * item.id.get_storage_size())
            if total > MOST_PARAMETERS or grown:
                raise ModelError(f"{path}: '{name}' declares {int(item.size or 0):,} weights, far more than a file of "
                                 f"{size:,} bytes holds; refused. Save the model again.")

    add("", file)
    file.visititems(add)
    return total


def _check_attributes(item: Any, size: int, path: Path) -> None:
    """Attributes are read whole, by Keras too; nothing but numbers and words can be read safely.

    All entries of a list may point to the same large word, so its size is looked at before.
    """
    for key in item.attrs:
        found = item.attrs.get_id(key)
        words = h5py.check_string_dtype(found.dtype) is not None
        listed = key.startswith(("layer_names", "weight_names"))
        each = size if found.dtype.kind == "O" else found.dtype.itemsize
        if not (words or found.dtype.kind in "fiub") or math.prod(found.shape) * each > _MOST_NAME_BYTES \
                or (listed and not (len(found.shape) == 1 and (words or found.shape == (0,)))):
            raise ModelError(f"{path}: its note '{key[:100]}' isn't one of {'names' if listed else 'words or numbers'} "
                             f"({found.dtype}, shape {found.shape}); refused. Save the model again.")


def _scalar_text(file: h5py.File, key: str, path: Path) -> str | bytes | None:
    """An attribute that is one piece of text, looked at before it is read."""
    if key not in file.attrs:
        return None
    found = file.attrs.get_id(key)
    if found.shape != () or h5py.check_string_dtype(found.dtype) is None:
        raise ModelError(f"{path}: its '{key}' isn't text ({found.dtype}, shape {found.shape}); refused. "
                         "Save the model again.")
    text = file.attrs[key]
    if not isinstance(text, (str, bytes)):
        raise ModelError(f"{path}: its '{key}' isn't text; refused. Save the model again.")
    return text


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


def _parsed(text: str | bytes, path: Path) -> Any:
    if len(text) > _MOST_CONFIG_BYTES:
        raise ModelError(f"{path}: its configuration has {len(text):,} bytes; refused. Save the model again.")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path}: its configuration isn't valid JSON ({in_short(error)}). "
                         "Save the model again.") from error
    except RecursionError as error:
        raise ModelError(f"{path}: its configuration is nested too deeply; refused. Save the model again.") from error
