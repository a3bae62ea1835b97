"""Keras layers under construction: each operator's rule adds some, as configurations, with their weights beside them.

PyTorch lays pictures out as (batch, channels, height, width) and Keras as (batch, height, width, channels). Nothing is
turned around for that: every tensor keeps a note of which axis of ONNX's each of its own is, and a Transpose only
changes the note. A Permute is added where the order of values matters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError
from engine.models import vocabulary
from engine.models.config import Config
from engine.models.costs.inside import MOST_OF_AN_IMAGE
from engine.models.from_onnx.graph import OnnxNode
from engine.models.layer_graph import MOST_NODES, unused_name
from engine.models.shapes import Shape, output_shape

Array = npt.NDArray[Any]

# How Keras lays out ONNX's axes of a map.
IMAGE_AXES = (0, 2, 3, 1)
_LONGEST_NAME = 100
# What to do where only a single image is known to come out right.
ONE_IMAGE = "Export it for batches of one picture alone (without dynamic axes or shapes)."


@dataclass(frozen=True)
class Tensor:
    """What a layer gives.

    Attributes:
        shape: of one image, as Keras has it.
        axes: ONNX's axis for each of Keras's, both with the batch's, which is always first.
        nonnegative: whether no value can be below 0.
        shuffled: of a flattened map the map, because its values stand in another order than ONNX has them.
        joined: whether ONNX has the batch, of one image, and its values along a single axis.
    """

    layer: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    nonnegative: bool = False
    shuffled: Tensor | None = None
    joined: bool = False

    def side(self, axis: int) -> int:
        """The length of one of ONNX's axes, not the batch's."""
        return self.shape[self.axes.index(axis) - 1]

    @property
    def onnx_shape(self) -> list[int]:
        """The shape of one image in ONNX's order."""
        return [self.side(axis) for axis in range(1, len(self.axes))]

    @property
    def order(self) -> Array:
        """For each value of one flattened image, the place that ONNX has it at."""
        if self.shuffled is None:
            return np.arange(self.shape[-1])
        places = np.arange(self.shape[-1]).reshape(self.shuffled.onnx_shape)
        return places.transpose([axis - 1 for axis in self.shuffled.axes[1:]]).ravel()


class Building:
    """The layers so far, and each one's weights.

    Attributes:
        batch: what the file takes for the number of images; fixed: whether it takes no other.
    """

    def __init__(self, path: Path, batch: int | None, shape: Sequence[int], axes: tuple[int, ...],
                 room: int) -> None:
        """Begin with the picture that the network takes, `shape` as Keras has it.

        Args:
            room: how many numbers all constants and weights together may be.
        """
        # Where the number of images isn't fixed, what the file does with one image is what it does with each.
        self.path, self.batch, self.fixed, self._room = path, batch or 1, batch is not None, room
        self.layers: list[Config] = []
        self.weights: dict[str, list[Array]] = {}
        self._names: dict[str, int] = {}
        name = self._unused("image")
        self.layers.append({"class_name": "InputLayer", "module": "keras.layers", "registered_name": None, "name": name,
                            "config": {"batch_shape": [None, *shape], "dtype": "float32", "name": name},
                            "inbound_nodes": []})
        self.image = Tensor(name, tuple(shape), axes)

    def add(self, kind: str, name: str, config: Config, inputs: Sequence[Tensor], *, weights: Sequence[Array] = (),
            literals: Sequence[Any] = ()) -> Tensor:
        """Append a layer, or with "keras.ops." before its kind an operation.

        Args:
            literals: what an operation is called with behind its tensors.
        Returns:
            Its output, laid out as the first of `inputs` if it has as many axes.
        Raises:
            ModelError: no output follows from its settings, or one that would exhaust memory; or its weights would.
        """
        if len(self.layers) >= MOST_NODES:
            raise ModelError(f"{self.path}: would become more than {MOST_NODES:,} layers; refused.")
        name, operation = self._unused(name), kind.startswith("keras.ops.")
        config = {**config, "name": name, **({} if operation else {"dtype": "float32"})}
        shape = output_shape(kind, _with_literals(config, literals), [tensor.shape for tensor in inputs])
        if shape is None or None in shape:
            raise ModelError(f"{self.path}: at '{name}' its operators don't fit together ({kind.split('.')[-1]} of "
                             f"{', '.join(str(tensor.shape) for tensor in inputs)}). Export it again.")
        if math.prod(_known(shape)) > MOST_OF_AN_IMAGE:
            raise ModelError(f"{self.path}: at '{name}' it would make {shape} values of one image, at most "
                             f"{MOST_OF_AN_IMAGE:,} were expected; refused, because they would exhaust memory.")
        self.take_room(sum(array.size for array in weights))
        plain = kind.removeprefix("keras.ops.")
        together = kind in vocabulary.MERGING
        tensors = [_reference(tensor) for tensor in inputs]
        self.layers.append({
            "class_name": plain, "module": vocabulary.OPERATIONS[plain] if operation else "keras.layers",
            "registered_name": None, "name": name, "config": config,
            "inbound_nodes": [{"args": [tensors] if together else [*tensors, *literals], "kwargs": {}}]})
        if weights:
            self.weights[name] = [np.asarray(array, np.float32) for array in weights]
        return Tensor(name, _known(shape), inputs[0].axes[:len(shape) + 1])

    def take_room(self, numbers: int) -> None:
        """Count numbers that are about to be kept.

        Raises:
            ModelError: they are more than the file has reason to need.
        """
        self._room -= numbers
        if self._room < 0:
            raise ModelError(f"{self.path}: uses its weights so often that they would exhaust memory; refused.")

    def laid_out(self, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
        """A tensor with its axes in the given order, by a Permute where they aren't."""
        if tensor.axes == axes:
            return tensor
        dims = [tensor.axes.index(axis) for axis in axes[1:]]
        turned = self.add("Permute", f"{tensor.layer}.turned", {"dims": dims}, [tensor])
        return replace(turned, axes=axes, nonnegative=tensor.nonnegative)

    def in_order(self, tensor: Tensor) -> Tensor:
        """A tensor whose values stand in ONNX's order: a flattened map is flattened anew behind a Permute."""
        if tensor.shuffled is None:
            return tensor
        turned = self.laid_out(tensor.shuffled, tuple(range(len(tensor.shuffled.axes))))
        return replace(self.add("Flatten", f"{tensor.layer}.in_order", {}, [turned]), nonnegative=tensor.nonnegative)

    def finished(self, answer: str) -> tuple[Config, dict[str, list[Array]]]:
        """The whole model's configuration and weights; layers that don't lead to the answer are left out."""
        wanted, kept = {answer}, []
        for layer in reversed(self.layers):
            if layer["name"] in wanted:
                kept.append(layer)
                wanted.update(tensor[0] for tensor in references(layer))
        config: Config = {"class_name": "Functional", "config": {
            "name": "from_onnx", "layers": kept[::-1], "input_layers": [self.image.layer, 0, 0],
            "output_layers": [answer, 0, 0]}}
        return config, {name: arrays for name, arrays in self.weights.items() if name in wanted}

    def _unused(self, name: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.\-]+", "_", name)[:_LONGEST_NAME].strip("_") or "layer"
        return unused_name(plain, self._names)


@dataclass(frozen=True)
class Call:
    """One operator to be turned into layers.

    Attributes:
        inputs: its tensors and constants, None for what is left out.
        name: what the layer that does its work is to be called.
    """

    node: OnnxNode
    building: Building
    inputs: Sequence[Tensor | Array | None]
    name: str

    def tensor(self, at: int = 0) -> Tensor:
        """An input that depends on the picture, in ONNX's order of values."""
        found = self.inputs[at] if at < len(self.inputs) else None
        if not isinstance(found, Tensor):
            self.refuse("is given a constant where a value that depends on the picture was expected")
        if found.joined:
            self.refuse("mixes the images of a batch")
        return self.building.in_order(found)

    def image(self, at: int = 0) -> Tensor:
        """An input that is a map, laid out as Keras has pictures."""
        found = self.tensor(at)
        if len(found.axes) != 4:
            self.refuse(f"is given {len(found.axes)} axes; pictures have 4")
        return self.building.laid_out(found, IMAGE_AXES)

    def constant(self, at: int) -> Array | None:
        """A constant input, or None where it is left out."""
        found = self.inputs[at] if at < len(self.inputs) else None
        if isinstance(found, Tensor):
            self.refuse("computes what was expected to be a constant")
        return found

    def weight(self, at: int, rank: int) -> Array:
        """A constant input that must be there and have so many axes."""
        found = self.constant(at)
        if found is None or found.ndim != rank:
            self.refuse(f"has no weights of {rank} axes at its input {at + 1}")
        return found

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the operator's attributes."""
        return self.node.attributes.get(name, default)

    def axis(self, tensor: Tensor, axis: int) -> int:
        """Where Keras has one of ONNX's axes, which may be counted from the end; never the batch's."""
        rank = len(tensor.axes)
        if not -rank < axis < rank or axis == 0:
            self.refuse(f"works along axis {axis} of {rank}, the batch's or none at all")
        return tensor.axes.index(axis % rank)

    def add(self, kind: str, config: Config, *inputs: Tensor, weights: Sequence[Array] = (),
            literals: Sequence[Any] = (), part: str = "") -> Tensor:
        """Append a layer that bears the operator's name, and that of the part it is."""
        return self.building.add(kind, self.name + part, config, inputs, weights=weights, literals=literals)

    def refuse(self, reason: str, remedy: str = "Export a network without it.") -> NoReturn:
        """Raises:
        ModelError: the operator can't be turned into layers.
        """
        raise ModelError(f"{self.building.path}: the operator {self.node.operator[:100]} ('{self.node.name[:100]}') "
                         f"{reason}; refused, because no known layer computes that. {remedy}")


def _with_literals(config: Config, literals: Sequence[Any]) -> Config:
    return {**config, "literals": list(literals)} if literals else config


def _reference(tensor: Tensor) -> Config:
    return {"class_name": "__keras_tensor__", "config": {
        "shape": [None, *tensor.shape], "dtype": "float32", "keras_history": [tensor.layer, 0, 0]}}


def references(layer: Config) -> list[list[Any]]:
    """What feeds a layer, each as a list whose first entry is the name of the layer it comes from."""
    args = layer["inbound_nodes"][0]["args"] if layer["inbound_nodes"] else []
    tensors = args[0] if args and isinstance(args[0], list) else args
    return [tensor["config"]["keras_history"] for tensor in tensors if isinstance(tensor, dict)]


def _known(shape: Shape) -> tuple[int, ...]:
    return tuple(side for side in shape if side is not None)
