"""A checked ONNX graph as the configuration of a Keras model and the weights of its layers, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError, in_short
from engine.models.config import Config
from engine.models.costs.inside import MOST_OF_AN_IMAGE
from engine.models.from_onnx import elementwise, shaping, spatial
from engine.models.from_onnx.building import IMAGE_AXES, Building, Call, Tensor
from engine.models.from_onnx.folding import folded, is_folded
from engine.models.from_onnx.fusing import fuse
from engine.models.from_onnx.graph import OnnxGraph, OnnxNode

Array = npt.NDArray[Any]

_RULES = {**spatial.RULES, **elementwise.RULES, **shaping.RULES}
_SHAPE = "Shape"
# Operators that give the values that they are given.
_MOVES = {"Identity", "Dropout", *shaping.RULES}
# Weights are shared in a file where they are equal; more often than this only in one made to exhaust memory.
_MOST_GROWTH = 4
_SMALL = 1 << 22
_MISFITS = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, StopIteration)


def translate(graph: OnnxGraph, output: str, path: Path) -> tuple[Config, dict[str, list[Array]]]:
    """Turn a graph into Keras layers that compute the same, pictures as (height, width, channels).

    Args:
        output: the name of the one that is wanted; what doesn't lead to it is left out.
    Returns:
        A Keras model's configuration, not checked yet, and its layers' weights by name, in Keras's order.
    Raises:
        ModelError: it holds an operator, or a use of one, that isn't known; the sentence names it.
    """
    return _Translator(graph, path).translation(output)


class _Translator:
    """One walk through one graph."""

    def __init__(self, graph: OnnxGraph, path: Path) -> None:
        self._graph, self._path = graph, path
        self._values: dict[str, Tensor | Array] = dict(graph.constants)
        self._integers = {graph.input_name} if graph.integers else set[str]()
        self._building = self._begun()

    def translation(self, output: str) -> tuple[Config, dict[str, list[Array]]]:
        """The graph, node by node."""
        nodes = _leading_to(output, self._graph)
        # First, for of an LSTM that turns the batch around itself the turning would be named.
        for node in nodes:
            if node.operator not in _RULES and node.operator != _SHAPE and not is_folded(node.operator):
                raise self._unknown(node)
        for node in nodes:
            self._values.update(zip(node.outputs, self._made(self._call(node)), strict=False))
        answer = self._values.get(output)
        if not isinstance(answer, Tensor):
            raise ModelError(f"{self._path}: answers the same whatever picture it is given; an image classifier was "
                             "expected.")
        last = fuse(self._building.layers, self._building.weights, self._building.in_order(answer).layer)
        return self._building.finished(last)

    def _begun(self) -> Building:
        """The picture as the file takes it, its channels before or behind height and width."""
        batch, *sides = self._graph.input_shape
        shape = [side for side in sides if side is not None]
        if len(shape) == 3 and shape[0] in (1, 3):
            axes, shape = IMAGE_AXES, [*shape[1:], shape[0]]
        elif len(shape) == 3 and shape[2] in (1, 3):
            axes = (0, 1, 2, 3)
        else:
            raise ModelError(f"{self._path}: takes an input of shape {self._graph.input_shape}; pictures of 1 or 3 "
                             "channels and of a fixed size were expected. Export it with a picture of that size, "
                             "and without dynamic height and width.")
        if math.prod(shape) > MOST_OF_AN_IMAGE:
            raise ModelError(f"{self._path}: takes an input of shape {self._graph.input_shape}; pictures of at most "
                             f"{MOST_OF_AN_IMAGE:,} values were expected; refused, because it would exhaust memory.")
        settings = (value for node in self._graph.nodes for value in node.attributes.values())
        arrays = [*self._graph.constants.values(), *(value for value in settings if isinstance(value, np.ndarray))]
        room = _MOST_GROWTH * sum(array.size for array in arrays) + _SMALL
        building = Building(self._path, batch, shape, axes, room)
        self._values[self._graph.input_name] = building.image
        return building

    def _call(self, node: OnnxNode) -> Call:
        """An operator with what it is given; only an input without a name is left out."""
        inputs = [self._values.get(name) if name else None for name in node.inputs]
        call = Call(node, self._building, inputs, layer_name(node))
        for name, value in zip(node.inputs, inputs, strict=True):
            if name and value is None:
                call.refuse(f"is given '{name[:100]}', which no operator before it gives, or one beside its answer")
        return call

    def _made(self, call: Call) -> Sequence[Tensor | Array]:
        """What an operator gives, with the layers that compute it, if it isn't a constant."""
        try:
            constant = self._constant(call)
            return self._layers(call) if constant is None else [constant]
        except _MISFITS as error:
            node = call.node
            raise ModelError(f"{self._path}: the operator {node.operator[:100]} ('{node.name[:100]}') doesn't fit what "
                             f"it is given ({in_short(error)}); refused. Export the network again.") from error

    def _constant(self, call: Call) -> Array | None:
        """What an operator gives that doesn't depend on the picture, only on its size."""
        node, inputs = call.node, call.inputs
        if node.operator == _SHAPE and isinstance(inputs[0], Tensor):
            if inputs[0].joined:
                call.refuse("asks for the number of values of a whole batch")
            shape = [self._building.batch, *inputs[0].onnx_shape]
            return np.asarray(shape[call.setting("start", 0):call.setting("end")], np.int64)
        arrays = [value for value in inputs if not isinstance(value, Tensor)]
        found = folded(node.operator, node.attributes, arrays) if len(arrays) == len(inputs) else None
        if found is not None and not any(found is array for array in arrays):
            self._building.take_room(found.size)
        return found

    def _layers(self, call: Call) -> Sequence[Tensor]:
        rule = _RULES.get(call.node.operator)
        if rule is None:
            raise self._unknown(call.node)
        if self._integers.intersection(call.node.inputs):
            self._keep_whole(call)
        found = rule(call)
        return found if isinstance(found, list) else [found]

    def _unknown(self, node: OnnxNode) -> ModelError:
        return ModelError(f"{self._path}: uses the operator {node.operator[:100]} ('{node.name[:100]}'), which isn't "
                          "one of those that can be turned into Keras layers; refused. Export a network without it.")

    def _keep_whole(self, call: Call) -> None:
        """Refuse to compute with a picture of integers, which Keras has as numbers with a fraction."""
        if call.node.operator in _MOVES:
            self._integers.update(call.node.outputs)
        elif call.node.operator != "Cast":
            call.refuse("computes with integers, which aren't cast to floating-point numbers before")


def _leading_to(output: str, graph: OnnxGraph) -> Sequence[OnnxNode]:
    """The operators that an output of several depends on; of a single one all."""
    if len(graph.outputs) == 1:
        return graph.nodes
    wanted, kept = {output}, []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def layer_name(node: OnnxNode) -> str:
    """What a person who knows the PyTorch model calls the part of it that an operator comes from.

    The name of its weights says it ("layer1.0.conv1.weight"), or else its own, in which each scope repeats those
    around it ("/layer1/layer1.0/conv1/Conv").
    """
    weight = node.inputs[1] if len(node.inputs) > 1 else ""
    if weight.endswith(".weight"):
        return weight.removesuffix(".weight")
    scopes = [part for part in node.name.split("/") if part]
    if len(scopes) > 1 and scopes[-1].split("_")[0] == node.operator:
        scopes.pop()
    kept = [part for part, inner in zip(scopes, [*scopes, ""][1:], strict=True) if not inner.startswith(f"{part}.")]
    return ".".join(kept).removeprefix("node_") or node.operator
