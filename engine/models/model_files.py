"""Keras's model files, parsed. Runs in the reader's process only, see engine.quarantine.

What comes out is the configuration as text and a list of what the weights' file holds: groups and arrays with the notes
(attributes) that Keras reads, and, on demand, the arrays.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

import h5py
import numpy as np
import numpy.typing as npt

from engine.data.array_files import check_members
from engine.data.classes import names_in
from engine.errors import ModelError, NoModel, in_short
from engine.files.parsing.hdf5 import open_hdf5
from engine.files.parsing.hdf5_blocks import BlockChecker
from engine.models.reading import MOST_CONFIG_BYTES, MOST_PARAMETERS, WEIGHTS

Array = npt.NDArray[Any]

_ARCHIVE_MEMBERS = {"config.json", "metadata.json", WEIGHTS}
# Keras stores weights as they are, and trained weights hardly shrink: what would grow more is made to.
_MOST_GROWTH = 20
_SMALL_BYTES = 64 << 20
_MOST_NAME_BYTES = 1 << 28
_MOST_LIST_LETTERS = 12 << 20
_COPY_BYTES = 1 << 20
_LOCAL_HEADER = "<4s22xHH"
# Notes by which Keras finds the weights. Long lists are split, with numbers behind the name.
_LISTS, _WORDS = ("layer_names", "weight_names"), {"keras_version", "backend", "dtype"}
_DEEPID_WEIGHTS = {
    "conv_1": (4, 4, 3, 20), "conv_2": (3, 3, 20, 40), "conv_3": (3, 3, 40, 60), "conv_4": (2, 2, 60, 80),
    "fc_1": (1200, 160), "fc_2": (960, 160),
}


def describe_model(path: Path, archive: bool) -> tuple[Any, list[Array]]:
    """What a model file holds.

    Args:
        archive: whether it is a `.keras` archive; else HDF5.
    Returns:
        {"parameters": how many numbers are weights, "labels": of DeepID's weights alone, "stored": [[name, type and
        shape or null for a group, notes], ...], "classes": names of labels, if it says any}, and the configuration's
        text as bytes; none of DeepID's weights. "keras2" says whether a Keras before 3 wrote it.
    Raises:
        ModelError: not a model, damaged, or holding anything that a plain model doesn't.
    """
    beside: bytes = b""
    if archive:
        with _open_archive(path) as opened:
            text: str | bytes | None = opened.read("config.json")
            if "metadata.json" in opened.namelist():
                beside = opened.read("metadata.json")
            with _weights_in(opened, path) as inside, \
                    open_hdf5(inside, f"{path} ({WEIGHTS})", ModelError, attributes=True) as file:
                found = _described(file, path) | {"keras2": _is_keras2(_document(beside))}
    else:
        with open_hdf5(path, str(path), ModelError, attributes=True) as file:
            _check_is_model(file, path)
            found = _described(file, path)
            text = _scalar_text(file, "model_config", path)
            if text is None:
                return {**found, "labels": _deepid_labels(file, path)}, []
            if not isinstance(file.get("model_weights"), h5py.Group):
                raise ModelError(f"{path}: holds a model's configuration without its weights. Save the whole model "
                                 "(model.save) again.")
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text or b""
    if len(content) > MOST_CONFIG_BYTES:
        raise ModelError(f"{path}: its configuration has {len(content):,} bytes; refused. Save the model again.")
    found["classes"] = found["classes"] or _names_in_json(beside) or _names_in_json(content)
    return found, [np.frombuffer(content, np.uint8)]


def _names_in_json(text: bytes) -> list[str]:
    """Names of labels in notes or in a configuration, at the top or among the model's own settings."""
    document = _document(text)
    inner = document.get("config") if isinstance(document, dict) else None
    return next((names for place in (document, inner) if isinstance(place, dict) and (names := names_in(place))), [])


def _document(text: bytes) -> Any:
    """What JSON says; None where it is none: of a configuration, the program says so when it reads it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_keras2(notes: Any) -> bool:
    """Whether a file's notes are those of a Keras before 3."""
    return isinstance(notes, dict) and str(notes.get("keras_version")).startswith(("1.", "2."))


def _check_is_model(file: h5py.File, path: Path) -> None:
    """Tell what is no network by the names it has, before its content is judged as a network's."""
    if "model_config" in file.attrs or {"layer_names", "layer_names0"} & set(file.attrs):
        return
    if {"layers", "vars"} <= set(file) or path.name.endswith(".weights.h5"):
        raise ModelError(f"{path}: holds a network's weights without the network. Build it where its program is and "
                         f"save it whole: model.load_weights('{path.name}'); model.save('model.keras').")
    keys = ", ".join(sorted(file)[:6]) or "nothing"
    raise NoModel(f"{path}: holds no model (found: {keys}). Choose a model saved by Keras; data sets belong in the "
                  "other fields.")


def weights(path: Path, archive: bool) -> Generator[Array | None, list[Any], None]:
    """A stream of the arrays that describe_model lists: is sent [name, start, stop] for rows, [name] for a number.

    Raises:
        ModelError: the file is damaged.
    """
    with _open_archive(path) if archive else nullcontext() as opened, \
            _weights_in(opened, path) if opened else nullcontext(path) as source, \
            open_hdf5(source, str(path), ModelError, attributes=True) as file:
        rows: Array | None = None
        while True:
            name, *span = yield rows
            stored = file[name]
            BlockChecker(stored, f"{path}: '{name}'", ModelError).check(*(span or (0, 0)))
            rows = np.asarray(stored[slice(*span)] if span else stored[()])


def _described(file: h5py.File, path: Path) -> dict[str, Any]:
    """All but what belongs to an optimizer, which isn't needed."""
    total, unpacked, held = 0, 0, 0
    stored: list[list[Any]] = []
    size = path.stat().st_size
    room = size - _array_bytes(file)

    def add(name: str, item: Any) -> None:
        nonlocal total, unpacked, held
        _check_attributes(item, room, path)
        if name.startswith("optimizer"):
            return
        if isinstance(item, h5py.Dataset):
            if item.dtype.kind not in "fiubV" or item.dtype.itemsize > 16:
                raise ModelError(f"{path}: '{name}' holds {item.dtype}, not numbers; refused. Save the model again.")
            total += int(item.size or 0)
            unpacked, held = unpacked + int(item.nbytes), held + item.id.get_storage_size()
            if total > MOST_PARAMETERS or _is_grown(int(item.nbytes), item.id.get_storage_size()):
                raise ModelError(f"{path}: '{name}' declares {int(item.size or 0):,} weights, far more than a file of "
                                 f"{size:,} bytes holds; refused. Save the model again.")
            BlockChecker(item, f"{path}: '{name}'", ModelError).check_all()
        spec = [item.dtype.str, item.shape or ()] if isinstance(item, h5py.Dataset) else None
        stored.append([name, spec, _notes(item)])

    add("", file)
    file.visititems(add)
    if _is_grown(unpacked, min(held, size)):  # which arrays may do together, each too small to be refused
        raise ModelError(f"{path}: declares {total:,} weights, far more than a file of {size:,} bytes holds; refused. "
                         "Save the model again.")
    if len(json.dumps(stored)) > _MOST_LIST_LETTERS:
        raise ModelError(f"{path}: holds more names than a network needs; refused. Save the model again.")
    words = _words(file)
    if words.get("backend") == "theano" and any(
            spec and len(spec[1]) == 4 and max(spec[1][:2]) > 1 for _, spec, _ in stored):
        raise ModelError(f"{path}: was saved by Keras on Theano, which convolves with kernels turned around, so the "
                         "network would answer otherwise. Load it with that Keras on TensorFlow, which turns them "
                         "(KERAS_BACKEND=tensorflow), and save it again.")
    return {"parameters": total, "labels": None, "stored": stored, "classes": names_in(words),
            "keras2": _is_keras2(words)}


def _is_grown(unpacked: int, held: int) -> bool:
    return unpacked > max(_SMALL_BYTES, _MOST_GROWTH * held)


def _array_bytes(file: h5py.File) -> int:
    """What the arrays of a file take of it; more than it has where they lie upon each other."""
    taken: list[int] = []

    def add(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            taken.append(item.id.get_storage_size())

    file.visititems(add)
    return sum(taken)


def _notes(item: Any) -> dict[str, str | list[str]]:
    def text(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    found: dict[str, str | list[str]] = {}
    for key in item.attrs:
        if key.startswith(_LISTS):
            found[key] = [text(value) for value in item.attrs[key]]
        elif key in _WORDS and item.attrs.get_id(key).shape is not None:
            found[key] = text(item.attrs[key])
    return found


def _words(file: h5py.File) -> dict[str, str | list[str]]:
    """The file's own notes that are words or lists of words, once they were found good; those that aren't text go."""
    found: dict[str, str | list[str]] = {}
    for key in file.attrs:
        noted = file.attrs.get_id(key)
        if h5py.check_string_dtype(noted.dtype) is not None and noted.shape is not None:
            words = [word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else str(word)
                     for word in np.ravel(file.attrs[key]).tolist()]
            found[key] = words[0] if noted.shape == () else words
    return found


def _check_attributes(item: Any, room: int, path: Path) -> None:
    """Attributes are read whole, by Keras too; nothing but numbers and words can be read safely.

    All entries of a list may point to the same large word, so its size is looked at before.

    Args:
        room: bytes of the file that aren't those of arrays; a word is no larger.
    """
    for key in item.attrs:
        found = item.attrs.get_id(key)
        words = h5py.check_string_dtype(found.dtype) is not None
        listed = key.startswith(("layer_names", "weight_names"))
        if found.shape is None and not listed:
            continue  # an empty note
        each = room if found.dtype.kind == "O" else found.dtype.itemsize
        if not (words or found.dtype.kind in "fiub") or math.prod(found.shape or ()) * each > _MOST_NAME_BYTES \
                or (listed and not (found.shape and len(found.shape) == 1 and (words or found.shape == (0,)))):
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


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        check_members(path)
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
    limit = MOST_CONFIG_BYTES if member.filename.endswith(".json") else 4 * MOST_PARAMETERS
    if member.file_size > max(_SMALL_BYTES, _MOST_GROWTH * member.compress_size) or member.file_size > limit:
        raise ModelError(f"{path}: '{shown}' takes {member.compress_size:,} bytes and would unpack to "
                         f"{member.file_size:,}; refused. Save the model again.")


@contextmanager
def _weights_in(archive: zipfile.ZipFile, path: Path) -> Iterator[BinaryIO]:
    """The weights inside an archive, once its checksum was found right: as they lie there, or unpacked in memory."""
    member = archive.getinfo(WEIGHTS)
    with archive.open(member) as packed:
        if member.compress_type != zipfile.ZIP_STORED:
            yield io.BytesIO(packed.read())
            return
        while packed.read(_COPY_BYTES):
            pass
    with path.open("rb") as stream:
        stream.seek(member.header_offset)
        _, name, extra = struct.unpack(_LOCAL_HEADER, stream.read(struct.calcsize(_LOCAL_HEADER)))
        start = member.header_offset + struct.calcsize(_LOCAL_HEADER) + name + extra
        yield io.BufferedReader(_Part(stream, start, member.file_size))


class _Part(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, whole: IO[bytes], start: int, size: int) -> None:
        self._whole, self._start, self._size, self._at = whole, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, target: Any) -> int:
        self._whole.seek(self._start + self._at)
        content = self._whole.read(max(0, min(len(target), self._size - self._at)))
        target[:len(content)] = content
        self._at += len(content)
        return len(content)
