"""An ONNX file as plain values, which its reader found and which are looked at here again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.labels import class_names
from engine.errors import ModelError
from engine.files.existing import check_is_file, is_file
from engine.files.fingerprint import sha256_of
from engine.quarantine.client import READER, patience_for
from engine.quarantine.wire import Array

_NUMBER_BYTES = np.dtype(np.float32).itemsize


@dataclass(frozen=True)
class OnnxNode:
    """One operator with the names of the tensors it takes (empty where one is left out) and gives."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """What an ONNX file holds.

    Attributes:
        sha256: of the file, followed by those in which it keeps weights.
        input_shape: as declared, batch first; None where a side isn't fixed.
        integers: whether it takes pictures of integers.
        outputs: the shapes of one image's answers by their names.
        nodes: each behind those that feed it.
        constants: by name, floating-point numbers as float32.
        classes: what the file calls labels 0, 1, ...; none where it holds no list of names.
    """

    sha256: str
    input_name: str
    input_shape: tuple[int | None, ...]
    integers: bool
    outputs: dict[str, tuple[int | None, ...]]
    nodes: tuple[OnnxNode, ...]
    constants: dict[str, Array]
    classes: tuple[str, ...]


def read_graph(path: Path, most: int) -> OnnxGraph:
    """Have an ONNX file read, without running anything of it.

    Args:
        most: numbers that it may hold.
    Raises:
        ModelError: not an ONNX file, damaged, of an opset that isn't known, or not of one input.
    """
    check_is_file(path, ModelError)

    def check(found: Any, arrays: list[Array]) -> OnnxGraph:
        names = _words(found["constants"])
        shape = tuple(found["shape"])
        if any(side is not None and (type(side) is not int or side < 1) for side in shape) or len(shape) != 4:
            raise ValueError("no shape")
        nodes = tuple(_node(node, arrays) for node in found["nodes"])
        files = [path, *(path.parent / Path(name).name for name in _words(found["outside"]))]
        input_name, = _words([found["input"]])
        outputs = {name: _sides(sides) for name, sides in zip(_words(found["outputs"]), found["sides"], strict=True)}
        if not outputs:
            raise ValueError("no output")
        constants = dict(zip(names, arrays[:len(names)], strict=True))
        return OnnxGraph(sha256_of(files), input_name, shape, found["integers"] is True, outputs, nodes, constants,
                         class_names(found["classes"]))

    try:
        beside = [file for file in (path, Path(f"{path}.data")) if is_file(file)]
        return READER.ask(path, "onnx graph", {}, check, most=most * _NUMBER_BYTES, error=ModelError,
                          patience=patience_for(*beside))
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error}). Copy it again from its source.") \
            from error


def _sides(sides: Any) -> tuple[int | None, ...]:
    """A shape as declared, None where a side isn't known."""
    return tuple(side if type(side) is int and side > 0 else None for side in list(sides))


def _node(node: Any, arrays: list[Array]) -> OnnxNode:
    name, operator, inputs, outputs, attributes = node
    name, operator = _words([name, operator])
    return OnnxNode(name, operator, _words(inputs), _words(outputs),
                    {key: _setting(value, arrays) for key, value in dict(attributes).items()})


def _setting(value: Any, arrays: list[Array]) -> Any:
    """A number, a word, a list of one kind, or an array that is pointed to."""
    if isinstance(value, dict):
        if value["array"] not in range(len(arrays)):
            raise ValueError("no array")
        return arrays[value["array"]]
    listed = value if isinstance(value, list) else [value]
    if len({type(item) for item in listed}) > 1 or not all(isinstance(item, (int, float, str)) for item in listed):
        raise TypeError("no setting")
    return value


def _words(values: Any) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise TypeError("no words")
    return tuple(values)
