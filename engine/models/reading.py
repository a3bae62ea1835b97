"""A model file read as data: its configuration, checked against what is known, before Keras sees it.

Nothing here imports TensorFlow. Old Keras versions ignored safe mode for `.h5`, so what Keras is given is made
by `config` from its list of known layers, and Keras's own safe mode comes second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.labels import class_names
from engine.errors import ModelError, SeveralOutputs, in_short, named
from engine.files.existing import check_is_file, is_file, kind_of
from engine.files.fingerprint import sha256_of
from engine.files.saving import for_hdf5
from engine.files.scratch import scratch_folder
from engine.models.config import Config, checked_config
from engine.models.from_onnx.graph import read_graph
from engine.models.from_onnx.translation import translate
from engine.models.layer_graph import outputs_of
from engine.models.turning import turned
from engine.quarantine.client import READER, Read, patience_for
from engine.quarantine.wire import Array, Spec, bytes_of, spec_of

SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx")
MOST_PARAMETERS = 2_000_000_000
_MOST_FILE_BYTES = 3 * 4 * MOST_PARAMETERS  # with what an optimiser knows of each
# A million settings fit, and more aren't taken. What JSON says in a byte may take 30 in memory.
MOST_CONFIG_BYTES = 16 << 20
# What Keras calls the weights in an archive.
WEIGHTS = "model.weights.h5"
_MOST_PARTS = 100_000
_SLICE_BYTES = 1 << 23
# How the weights in files of PyTorch's are read in Python, without running what else they bring.
_PYTORCH = {**dict.fromkeys((".pt", ".pth", ".ckpt"), "torch.load('{0}', weights_only=True)"),
            ".safetensors": "safetensors.torch.load_file('{0}')"}


@dataclass(frozen=True)
class Stored:
    """A group or an array in a model file: its name, the array's type and shape, and the notes that Keras reads."""

    name: str
    spec: Spec | None
    notes: dict[str, str | list[str]]


@dataclass(frozen=True)
class ModelFile:
    """What a model file says of itself.

    Attributes:
        config: what Keras is to build, checked; None for DeepID weights alone.
        parameters: numbers the file holds as weights.
        stored: what its weights lie in.
        weights: of a network that wasn't Keras's, each layer's by its name, in place of `stored`.
        outputs: of a network with several, their names; output: the place of the one that was chosen.
        classes: what the file calls labels 0, 1, ...; none where it holds no list of names.
    """

    path: Path
    format: str
    sha256: str
    config: Config | None
    parameters: int
    deepid_labels: int | None = None
    stored: tuple[Stored, ...] = field(default=(), repr=False)
    weights: dict[str, list[Array]] | None = field(default=None, repr=False)
    outputs: tuple[str, ...] = ()
    output: int = 0
    classes: tuple[str, ...] = ()

    @property
    def is_archive(self) -> bool:
        """Whether it is a `.keras` file."""
        return self.format.startswith("Keras archive")


def is_saved_model(path: Path) -> bool:
    """Whether a path is a folder in which TensorFlow keeps a program."""
    return is_file(path / "saved_model.pb")


def read_model_file(path: Path, output: str | None = None) -> ModelFile:
    """Read and check a model's configuration without building or running anything of it.

    Args:
        path: a whole-model `.h5`, a `.keras` archive, DeepID weights in `.h5`, or an `.onnx`.
        output: of a model with several outputs the name of the one that tells the labels.
    Raises:
        ModelError: not a model, damaged, or holding anything that isn't on the list of known layers.
        SeveralOutputs: it has several outputs, and none is named.
    """
    _refuse_foreign(path)
    check_is_file(path, ModelError)
    if path.suffix.lower() == ".onnx":
        return _read_onnx(path, output)
    try:
        if (size := path.stat().st_size) > _MOST_FILE_BYTES:
            raise ModelError(f"{path}: has {size:,} bytes, more than a network of {MOST_PARAMETERS:,} weights "
                             "takes, and no larger one is opened. Choose another file.")
        sha256, patience = sha256_of([path]), patience_for(path)
        with path.open("rb") as stream:
            magic = stream.read(8)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error}). Copy it again from its source.") \
            from error
    archive = magic.startswith(b"PK")
    if not archive and magic != b"\x89HDF\r\n\x1a\n":
        raise ModelError(f"{path}: is neither HDF5 nor a Keras archive, it is {kind_of(magic)}. "
                         "Choose a model saved by Keras as .h5 or .keras, or exported as .onnx.")
    text, parameters, labels, stored, classes, keras2 = READER.ask(
        path, "describe model", {"archive": archive}, _described, most=MOST_CONFIG_BYTES, error=ModelError,
        patience=patience)
    if text is None:
        return ModelFile(path, "DeepID weights (.h5)", sha256, None, parameters, labels, stored, classes=classes)
    kind = "Keras archive (.keras)" if archive else "whole model (.h5)"
    config = turned(checked_config(_parsed(text, path), path, keras2), path)
    several = config["class_name"] == "Functional" and len(config["config"]["output_layers"]) > 1
    outputs = outputs_of(config, path) if several else {}
    outputs = outputs if len(outputs) > 1 else {}
    chosen = _chosen(output, outputs, path)
    return ModelFile(path, kind, sha256, config, parameters, None, stored, None, tuple(outputs), chosen, classes)


def _chosen(output: str | None, outputs: Mapping[str, Sequence[int | None] | None], path: Path) -> int:
    """The place of a chosen output among several; `outputs` is empty where there is one only."""
    if output is None and outputs:
        raise SeveralOutputs(path, list(outputs.items()))
    if output is not None and output not in outputs:
        known = f"It has {named(list(outputs))}." if outputs else "It has a single one, which needs no choice."
        raise ModelError(f"{path}: has no output called '{output[:100]}'. {known}")
    return list(outputs).index(output) if output is not None else 0


def _read_onnx(path: Path, output: str | None) -> ModelFile:
    graph = read_graph(path, MOST_PARAMETERS)
    outputs = graph.outputs if len(graph.outputs) > 1 else {}
    chosen = _chosen(output, outputs, path)
    config, weights = translate(graph, list(graph.outputs)[chosen], path)
    parameters = sum(array.size for arrays in weights.values() for array in arrays)
    return ModelFile(path, "ONNX (.onnx)", graph.sha256, checked_config(config, path), parameters, weights=weights,
                     outputs=tuple(outputs), output=chosen, classes=graph.classes)


def _refuse_foreign(path: Path) -> None:
    """Say what makes a file that can be opened of one that can't, where the kind is known.

    Raises:
        ModelError: it is of such a kind.
    """
    name, kind = path.name, path.suffix.lower()
    if kind in _PYTORCH and is_file(path):
        read = _PYTORCH[kind].format(name)
        raise ModelError(
            f"{path}: is a PyTorch file, which has no network in it that could be opened without running its program. "
            "Make an .onnx of it where that program is, in three lines of Python: "
            f"model = YourNetwork(); model.load_state_dict({read}); "
            f"torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), '{path.stem}.onnx'), "
            "with your picture's size for 224.")
    if is_saved_model(path):
        raise ModelError(
            f"{path}: is a SavedModel folder, which holds a program of TensorFlow's and not a network's layers. Save "
            f"the model as one file where it was made: keras.models.load_model('{name}').save('{name}.h5') with the "
            "Keras 2 that wrote it, or model.save('model.keras') with Keras 3.")


@contextmanager
def weights_file(file: ModelFile) -> Iterator[Path]:
    """The weights of a checked model file in a new file, written here, under a name that tells Keras their layout.

    Keras never opens a stranger's file: what the reader hands over is put into one of this program's own.

    Raises:
        ModelError: the file was changed since it was checked, is damaged, or there is no room for a copy.
    """
    import h5py  # which Keras needs, too; the rest of the program goes without
    try:
        with scratch_folder() as folder:
            weights = folder / (WEIGHTS if file.is_archive else "model.h5")
            try:
                with READER.stream(file.path, "weights", {"archive": file.is_archive}, error=ModelError,
                                   patience=patience_for(file.path)) as read, \
                        for_hdf5(weights) as stream, h5py.File(stream, "w") as target:
                    for part in file.stored:
                        _copy(part, read, target)
            except ModelError:
                _check_unchanged(file)  # what was replaced looks damaged
                raise
            yield weights
        _check_unchanged(file)
    except OSError as error:
        raise ModelError(f"{file.path}: its weights can't be read ({error.strerror or error}). Check that the file is "
                         "still there and that the disk for temporary files has room.") from error


def refuse_unreal(path: Path, weights: Iterable[tuple[str, Array]]) -> None:
    """See that a network's weights are numbers: a layer behind may hide one that isn't, here and not elsewhere.

    Raises:
        ModelError: one is NaN or infinite.
    """
    for name, array in weights:
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: its weights '{name}' hold values that aren't numbers (NaN or infinite), as "
                             "training that failed leaves them. Take the network from before that, and save it again.")


def _check_unchanged(file: ModelFile) -> None:
    if sha256_of([file.path]) != file.sha256:
        raise ModelError(f"{file.path}: was changed while it was opened. Open it again.")


def _copy(part: Stored, read: Read, target: Any) -> None:
    """Put a group or an array into the new file, a slice at a time."""
    if part.spec is None:
        place = target.require_group(part.name) if part.name else target
    else:
        (dtype, shape), place = part.spec, target.create_dataset(part.name, part.spec[1], part.spec[0])
        if not shape:
            place[()] = read([part.name], part.spec)
        elif math.prod(shape):
            rows = max(1, _SLICE_BYTES * shape[0] // bytes_of(part.spec))
            for start in range(0, shape[0], rows):
                stop = min(start + rows, shape[0])
                place[start:stop] = read([part.name, start, stop], (dtype, (stop - start, *shape[1:])))
    for key, note in part.notes.items():
        place.attrs[key] = note if isinstance(note, str) else np.array([word.encode() for word in note], "S")


def _described(
    found: Any, arrays: list[Array],
) -> tuple[bytes | None, int, int | None, tuple[Stored, ...], tuple[str, ...], bool]:
    """The reader's answer on a model, checked; raises what shows that it lies."""
    parameters, labels, stored, keras2 = found["parameters"], found["labels"], found["stored"], found["keras2"]
    if type(parameters) is not int or not 0 <= parameters <= MOST_PARAMETERS or len(stored) > _MOST_PARTS \
            or (labels is None) != (len(arrays) == 1) or (labels is not None and type(labels) is not int) \
            or type(keras2) is not bool:
        raise ValueError("no model")
    parts = tuple(Stored(_word(name), None if spec is None else spec_of(spec), {
        _word(key): _word(note) if isinstance(note, str) else [_word(word) for word in note]
        for key, note in notes.items()}) for name, spec, notes in stored)
    if sum(math.prod(part.spec[1]) for part in parts if part.spec) > MOST_PARAMETERS:
        raise ValueError("too many weights")
    return arrays[0].tobytes() if arrays else None, parameters, labels, parts, class_names(found["classes"]), keras2


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no word")
    return value


def _parsed(text: str | bytes, path: Path) -> Any:
    if len(text) > MOST_CONFIG_BYTES:
        raise ModelError(f"{path}: its configuration has {len(text):,} bytes; refused. Save the model again.")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path}: its configuration isn't valid JSON ({in_short(error)}). "
                         "Save the model again.") from error
    except RecursionError as error:
        raise ModelError(f"{path}: its configuration is nested too deeply; refused. Save the model again.") from error
