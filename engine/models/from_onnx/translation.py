"""A checked ONNX graph as the configuration of a Keras model and the weights of its layers, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError, in_short
from engine.models.config import Config
from engine.models.from_onnx import elementwise, shaping, spatial
from engine.models.from_onnx.building import IMAGE_AXES, Building, Call, Tensor
from engine.models.from_onnx.folding import folded
from engine.models.from_onnx.fusing import fuse
from engine.models.from_onnx.graph import OnnxGraph, OnnxNode

Array = npt.NDArray[Any]

_RULES = {**spatial.RULES, **elementwise.RULES, **shaping.RULES}
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
        self._room = _MOST_GROWTH * sum(array.size for array in graph.constants.values()) + _SMALL
        self._building = self._begun()

    def translation(self, output: str) -> tuple[Config, dict[str, list[Array]]]:
        """The graph, node by node."""
        for node in _leading_to(output, self._graph):
            inputs = [self._values.get(name) for name in node.inputs]
            constant = self._constant(node, inputs)
            found = self._layers(node, inputs) if constant is None else [constant]
            self._values.update(zip(node.outputs, found, strict=False))
        answer = self._values.get(output)
        if not isinstance(answer, Tensor):
            raise ModelError(f"{self._path}: answers the same whatever picture it is given; an image classifier was "
                             "expected.")
        last = fuse(self._building.layers, self._building.weights, self._building.in_order(answer).layer)
        config, weights = self._building.finished(last)
        self._take_room(sum(array.size for arrays in weights.values() for array in arrays))
        return config, weights

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
        # Where the number of images isn't fixed, what the file does with one image is what it does with each.
        building = Building(self._path, batch or 1, shape, axes)
        self._values[self._graph.input_name] = building.image
        return building

    def _constant(self, node: OnnxNode, inputs: Sequence[Tensor | Array | None]) -> Array | None:
        """What an operator gives that doesn't depend on the picture, only on its size."""
        try:
            if node.operator == "Shape" and isinstance(inputs[0], Tensor):
                shape = [self._building.batch, *inputs[0].onnx_shape]
                return np.asarray(shape[node.attributes.get("start", 0):node.attributes.get("end")], np.int64)
            arrays = [value for value in inputs if not isinstance(value, Tensor)]
            found = folded(node.operator, node.attributes, arrays) if len(arrays) == len(inputs) else None
        except _MISFITS as error:
            raise ModelError(f"{self._path}: the operator {node.operator[:100]} ('{node.name[:100]}') doesn't fit what "
                             f"it is given ({in_short(error)}); refused. Export the network again.") from error
        if found is not None and not any(found is array for array in arrays):
            self._take_room(found.size)
        return found

    def _take_room(self, numbers: int) -> None:
        self._room -= numbers
        if self._room < 0:
            raise ModelError(f"{self._path}: uses its weights so often that they would exhaust memory; refused.")

    def _layers(self, node: OnnxNode, inputs: Sequence[Tensor | Array | None]) -> Sequence[Tensor]:
        call = Call(node, self._building, inputs, layer_name(node))
        rule = _RULES.get(node.operator)
        if rule is None:
            raise ModelError(f"{self._path}: uses the operator {node.operator[:100]} ('{node.name[:100]}'), which "
                             "isn't one of those that can be turned into Keras layers; refused. Export a network "
                             "without it.")
        found = rule(call)
        return found if isinstance(found, list) else [found]


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
