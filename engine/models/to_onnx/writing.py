"""An ONNX graph under construction: each layer's rule adds operators, and equal ones are written once.

Keras lays maps out as (batch, height, width, channels) and ONNX's convolutions as (batch, channels, height, width). A
map is turned where an operator needs it and stays turned until one needs it plain, so a chain of convolutions turns
nothing in between.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engine.errors import ModelError
from engine.models.layer_graph import unused_name
from engine.models.vocabulary import PRODUCER

Array = npt.NDArray[Any]

# LayerNormalization is as old as this; most programs that run ONNX know it.
OPSET, IR_VERSION = 17, 8
# What every file calls its input and its output.
IMAGE, ANSWER = "image", "answer"
# How ONNX lays out a map of Keras's, and Keras one of ONNX's.
TURNED, PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its shape as Keras has it, batch first, and whether it is a map laid out as ONNX's."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    turned: bool = False

    def axis(self, axis: int) -> int:
        """Where ONNX has one of Keras's axes, which may be counted from the end."""
        axis %= len(self.shape)
        return TURNED.index(axis) if self.turned else axis


@dataclass
class Writing:
    """The operators and weights so far."""

    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    _known: dict[Any, str] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)

    def constant(self, numbers: Any, name: str) -> str:
        """The name of an array in the file; one of equal numbers is kept once, under the first name."""
        array = np.asarray(numbers, order="C")
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._known:
            self._known[key] = self._unused(name)
            self.weights.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def operator(self, kind: str, inputs: Sequence[str], name: str, **settings: Any) -> str:
        """The name of what an operator gives; one that is there already isn't computed twice."""
        key = (kind, tuple(inputs), repr(sorted(settings.items())))
        if key not in self._known:
            named = self._unused(f"{name}/{kind}")
            self._known[key] = named
            self.nodes.append(helper.make_node(kind, list(inputs), [named], named, **settings))
        return self._known[key]

    def model(self, image: Value, answer: Value) -> ModelProto:
        """The whole file."""
        named = helper.make_node("Identity", [answer.name], [ANSWER], ANSWER)
        kept = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["images", *value.shape[1:]])
                for name, value in ((image.name, image), (ANSWER, answer))]
        graph = helper.make_graph([*self.nodes, named], "goodnet", kept[:1], kept[1:], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                 producer_name=PRODUCER)

    def _unused(self, name: str) -> str:
        return unused_name(re.sub(r"[^A-Za-z0-9_./\-]+", "_", name), self._names)


@dataclass(frozen=True)
class Use:
    """One use of a layer or operation, to be written.

    Attributes:
        inputs: its tensors; arguments: all it is called with, tensors in their places.
        shape: of what it gives, as Keras has it.
    """

    writing: Writing
    name: str
    layer: Any
    inputs: tuple[Value, ...]
    arguments: tuple[Any, ...]
    settings: dict[str, Any]
    shape: tuple[int | None, ...]
    dtype: str

    def put(self, kind: str, *inputs: Value | str, **settings: Any) -> str:
        """Write an operator; the name of what it gives."""
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        return self.writing.operator(kind, names, self.name, **settings)

    def like(self, value: Value, kind: str, *more: Value | str, **settings: Any) -> Value:
        """An operator on a value and others that gives one of the same shape and layout."""
        return replace(value, name=self.put(kind, value, *more, **settings))

    def number(self, numbers: Any, name: str = "constant", dtype: Any = np.float32) -> str:
        """The name of a constant."""
        return self.writing.constant(np.asarray(numbers, dtype), f"{self.name}.{name}")

    def along(self, numbers: Any, value: Value, name: str = "constant") -> str:
        """A constant that is computed with beside a value, laid out as that is; Keras fits it to the last axes."""
        array = np.asarray(numbers, np.dtype(value.dtype))
        if value.turned and array.ndim:
            array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TURNED)
        return self.number(array, name, array.dtype)

    def map(self, at: int = 0) -> Value:
        """An input that is a map, laid out as ONNX has them."""
        return self.turned(self.inputs[at])

    def plain(self, at: int = 0) -> Value:
        """An input laid out as Keras has it."""
        return self.unturned(self.inputs[at])

    def turned(self, value: Value) -> Value:
        """A map laid out as ONNX has them."""
        if len(value.shape) != 4:
            self.refuse(f"is given {len(value.shape)} axes; a map has 4")
        return value if value.turned else replace(value, turned=True, name=self.put("Transpose", value, perm=TURNED))

    def unturned(self, value: Value) -> Value:
        """A value laid out as Keras has it."""
        return replace(value, turned=False, name=self.put("Transpose", value, perm=PLAIN)) if value.turned else value

    def alike(self) -> list[Value]:
        """All inputs in one layout."""
        maps = all(len(value.shape) == 4 for value in self.inputs) and any(value.turned for value in self.inputs)
        return [self.turned(value) if maps else self.unturned(value) for value in self.inputs]

    def result(self, name: str, turned: bool = False) -> Value:
        """What the layer gives."""
        return Value(name, self.shape, self.dtype, turned)

    def channels_last(self) -> None:
        """Refuse a layer whose maps have their channels first."""
        if getattr(self.layer, "data_format", None) == "channels_first":
            self.refuse("has its channels before height and width")

    def refuse(self, reason: str) -> NoReturn:
        """Raises:
        ModelError: the layer can't be written.
        """
        raise ModelError(f"the layer '{self.name}' ({type(self.layer).__name__}) {reason}")


Rule = Callable[[Use], Value]


def numbers_of(variable: Any) -> Array:
    """A layer's weight."""
    return np.asarray(variable, np.float32)
