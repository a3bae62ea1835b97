"""Small ONNX files of chosen operators, and that a file is refused as one should be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelError
from engine.models.architecture import describe_model

Array = np.ndarray[Any, Any]
# An operator, what it is given besides the tensor before it (None in its place), and its settings.
Step = tuple[str, Sequence[Array | None], dict[str, Any]]
SHAPE = (1, 3, 8, 6)
RNG = np.random.default_rng(0)


def ints(*numbers: int) -> Array:
    return np.asarray(numbers, np.int64)


def floats(*shape: int) -> Array:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


X: Sequence[Any] = (None,)

def graph_of(steps: Sequence[Step], shape: Sequence[Any] = SHAPE, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A file's content: the steps one after the other, flattened, each value one answer."""
    nodes, constants, last = [], [], "image"
    for number, (operator, given, settings) in enumerate([*steps, ("Flatten", X, {})]):
        names = []
        for at, value in enumerate(given):
            names.append(last if value is None else f"c{number}.{at}")
            if value is not None:
                constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        last = f"t{number}"
        nodes.append(helper.make_node(operator, names, [last], f"/step{number}/{operator}", **settings))
    image = helper.make_tensor_value_info("image", kind, shape)
    answer = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, "labels"])
    graph = helper.make_graph(nodes, "test", [image], [answer], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def refused(folder: Path, model: onnx.ModelProto | bytes, sentence: str) -> None:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(ModelError, match=sentence) as found:
        describe_model(path)
    said = str(found.value)
    assert said.startswith(str(path)) and said.endswith(".") and len(said) < 700
