"""The end of a classifier in NumPy, for networks that end as most do: in dense layers, sums and ReLUs.

TensorFlow answers the same, but for a few hundred rows of such layers its calls and copies cost more than the products.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models.networks import Call, Network
from engine.models.vocabulary import activation_name, ending_of

Array = npt.NDArray[Any]
Operation = Callable[[list[Array]], Array]

# Layers that change nothing but in training.
_IDLE = frozenset({"Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
                   "ActivityRegularization", "Identity"})


class Scratch(threading.local):
    """Memory that a thread uses again: fresh memory would cost as much as what is written into it."""

    def __init__(self) -> None:
        self._kept: dict[int, Array] = {}

    def array(self, key: int, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array with whatever is in it; the thread's next call with the key gives the same memory."""
        size = math.prod(shape)
        if key not in self._kept or self._kept[key].size < size:
            self._kept[key] = np.empty(size, dtype)
        return self._kept[key][:size].reshape(shape)


class PlainTail:
    """From the values of some of a network's tensors to its answers. A final softmax keeps their order: left out."""

    def __init__(self, cut: Sequence[Any], steps: Sequence[tuple[Call, Operation]], output: Any) -> None:
        self._cut, self._output = [id(tensor) for tensor in cut], id(output)
        self._steps = [(id(call.output), [id(t) for t in call.inputs], operation) for call, operation in steps]

    def __call__(self, values: Sequence[Array]) -> Array:
        """Float32[m, N] for the values of the cut's tensors, m rows each; the thread's next call overwrites it."""
        known = dict(zip(self._cut, values, strict=True))
        for output, inputs, operation in self._steps:
            known[output] = operation([known[i] for i in inputs])
        return known[self._output]


def plain_tail(network: Network, cut: Sequence[Any]) -> PlainTail | None:
    """What follows the tensors of `cut`, or None where a layer is of another kind than those known here."""
    _, keras = backend.load()
    wanted, steps = {id(network.output)}, []
    known = {id(tensor) for tensor in cut}
    for call in reversed(network.calls):
        if id(call.output) not in wanted - known:
            continue
        operation = _operation(call, call.output is network.output) if isinstance(call.layer, keras.layers.Layer) \
            and call.layer.compute_dtype == "float32" else None
        if operation is None:
            return None
        steps.append((call, operation))
        wanted.update(id(tensor) for tensor in call.inputs)
    # An answer that is one of the given arrays, or a view of one, would not be the caller's to change.
    changes = any(type(call.layer).__name__ == "Dense" for call, _ in steps)
    return PlainTail(cut, steps[::-1], network.output) if changes else None


def applied(layer: Any) -> Callable[[Array], Array] | None:
    """A layer's activation as what changes an array in place, or None where it is neither ReLU nor nothing."""
    name = activation_name(layer)
    if name == "relu":
        return lambda values: np.maximum(values, 0, out=values)
    return (lambda values: values) if name == "linear" else None


def _operation(call: Call, last: bool) -> Operation | None:
    layer, kind = call.layer, type(call.layer).__name__
    softmax = last and ending_of(layer) == "softmax"
    if kind in _IDLE or (softmax and kind != "Dense"):
        return lambda inputs: inputs[0]
    if kind == "Flatten" and layer.data_format == "channels_last":
        return lambda inputs: inputs[0].reshape(len(inputs[0]), -1)
    if kind == "Add" and len({tuple(tensor.shape) for tensor in call.inputs}) == 1:
        return _sum
    active = (lambda values: values) if softmax else applied(layer)
    if kind == "ReLU" and layer.max_value is None and not layer.negative_slope and not layer.threshold:
        return lambda inputs: np.maximum(inputs[0], 0)
    if kind == "Activation" and active:
        return lambda inputs: active(inputs[0].copy())
    if kind == "Dense" and len(call.inputs[0].shape) == 2 and active:
        return _dense(layer, active)
    return None


def _sum(inputs: list[Array]) -> Array:
    total = inputs[0] + inputs[1] if len(inputs) > 1 else inputs[0].copy()
    for values in inputs[2:]:
        total += values
    return total


def _dense(layer: Any, active: Callable[[Array], Array]) -> Operation:
    kernel, scratch = _values(layer.kernel), Scratch()
    bias = _values(layer.bias) if layer.use_bias else np.float32(0)

    def dense(inputs: list[Array]) -> Array:
        product = scratch.array(0, (len(inputs[0]), kernel.shape[1]))
        np.matmul(inputs[0], kernel, out=product)
        product += bias
        return active(product)

    return dense


def _values(variable: Any) -> Array:
    """A variable's values without a copy of them: a large network's dense layers hold most of its memory."""
    return np.asarray(memoryview(variable.value.read_value()))
