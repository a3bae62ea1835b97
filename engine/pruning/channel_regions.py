"""Which layers behind a pruned one keep its channels apart, and which ones mix them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models import vocabulary
from engine.models.networks import Call, Network

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Region:
    """What lies between the pruned layer and the layers that mix its channels.

    Attributes:
        inputs: distinct tensors the mixers take; in each, every value belongs to one channel. A flattened tensor
            stands here as it was before.
        mixers: the mixing layers' calls; `takes[j]` is the position in `inputs` of what mixer j takes.
    """

    inputs: tuple[Any, ...]
    mixers: tuple[Call, ...]
    takes: tuple[int, ...]


def find_region(network: Network, start: Call) -> Region | None:
    """The region behind a convolution, or None where something else than convolutions and dense layers ends it."""
    inside = {id(start.output): start.output}  # and what the tensor is without Flatten
    mixers: list[Call] = []
    for call in network.calls:
        if not any(id(tensor) in inside for tensor in call.inputs):
            continue
        if len(call.inputs) != 1:
            return None
        if _mixes(call):
            mixers.append(call)
        elif _keeps_channels_apart(call):
            flat = type(call.layer).__name__ == "Flatten"
            inside[id(call.output)] = inside[id(call.inputs[0])] if flat else call.output
        else:
            return None
    if not mixers or id(network.output) in inside or any(call.output is network.output for call in mixers):
        return None
    taken = [inside[id(mixer.inputs[0])] for mixer in mixers]
    inputs = list({id(tensor): tensor for tensor in taken}.values())
    takes = [next(i for i, tensor in enumerate(inputs) if tensor is mine) for mine in taken]
    return Region(tuple(inputs), tuple(mixers), tuple(takes))


def masked_inputs(network: Network, start: Call, region: Region) -> list[Array]:
    """What the mixing layers take when every channel is masked, as the layers themselves compute it: [1, ...] each."""
    _, keras = backend.load()
    masked = start.layer.activation(keras.ops.zeros((1, *start.output.shape[1:]), "float32"))
    answers = []
    for tensor in region.inputs:
        answer = masked if tensor is start.output else \
            network.submodel([start.output], [tensor])(masked, training=False)
        answers.append(np.asarray(answer[0] if isinstance(answer, list) else answer))
    return answers


def channels_first(values: Array, channels: int) -> Array:
    """Float32[n, h, w, C] or flattened float32[n, positions * C] as contiguous [C, n, ...]."""
    apart = values.reshape(len(values), -1, channels) if values.ndim == 2 else values
    return np.ascontiguousarray(np.moveaxis(apart, -1, 0))


def sums_before_activation(mixer: Call, x: Any) -> Any:
    """A mixing layer without its activation, as TensorFlow computes it."""
    tf, _ = backend.load()
    layer = mixer.layer
    if is_dense(mixer):
        total = tf.linalg.matmul(tf.reshape(x, (-1, layer.kernel.shape[0])), layer.kernel)
    else:
        total = tf.nn.conv2d(x, layer.kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)
    return total + layer.bias if layer.use_bias else total


def share_of_channel(mixer: Call, channels: int) -> Callable[[Array, int], Array]:
    """How a change of one channel changes a mixing layer's sums.

    Returns:
        A function of that channel's change float32[m, ...] (one image a row) and the channel's number, to
        float32[m, ...] in the shape of the sums.
    """
    kernel = np.asarray(mixer.layer.kernel)
    if is_dense(mixer):
        by_channel = np.ascontiguousarray(kernel.reshape(-1, channels, kernel.shape[1]).transpose(1, 0, 2))
        return lambda change, channel: change.reshape(len(change), -1) @ by_channel[channel]
    height, width, _, filters = kernel.shape
    taps = np.ascontiguousarray(kernel.transpose(2, 0, 1, 3).reshape(channels, height * width, filters))
    windows = _Windows(mixer)

    def share(change: Array, channel: int) -> Array:
        seen = windows(change)
        sums: Array = (seen.reshape(-1, height * width) @ taps[channel]).reshape(*seen.shape[:3], filters)
        return sums

    return share


class _Windows:
    """The patches a convolution's kernel sees: float32[m, h, w] to float32[m, out_h, out_w, kernel_h, kernel_w]."""

    def __init__(self, mixer: Call) -> None:
        layer = mixer.layer
        self._sides = [
            _side(size, kernel, stride, dilation, layer.padding == "same")
            for size, kernel, stride, dilation in zip(
                mixer.inputs[0].shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)]
        self._pad = any(side.before or side.after for side in self._sides)

    def __call__(self, x: Array) -> Array:
        rows, columns = self._sides
        if self._pad:
            x = np.pad(x, ((0, 0), (rows.before, rows.after), (columns.before, columns.after)))
        reach: Any = (rows.reach, columns.reach)
        axes: Any = (1, 2)  # NumPy's annotation knows single axes only
        windows: Array = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
        return windows[:, ::rows.stride, ::columns.stride, ::rows.dilation, ::columns.dilation]


@dataclass(frozen=True)
class _Side:
    before: int
    after: int
    reach: int
    stride: int
    dilation: int


def _side(size: int, kernel: int, stride: int, dilation: int, same: bool) -> _Side:
    """One side of a convolution; "same" pads as TensorFlow does, the larger half behind."""
    reach = (kernel - 1) * dilation + 1
    padding = max((-(-size // stride) - 1) * stride + reach - size, 0) if same else 0
    return _Side(padding // 2, padding - padding // 2, reach, stride, dilation)


def is_dense(call: Call) -> bool:
    """Whether a call is a dense layer's."""
    return type(call.layer).__name__ == "Dense"


def _mixes(call: Call) -> bool:
    shape: Sequence[int | None] = call.inputs[0].shape
    if None in shape[1:]:
        return False
    if type(call.layer).__name__ == "Conv2D":
        return bool(call.layer.groups == 1 and call.layer.data_format == "channels_last")
    return is_dense(call) and len(shape) == 2


def _keeps_channels_apart(call: Call) -> bool:
    layer, kind = call.layer, type(call.layer).__name__
    if kind not in vocabulary.CHANNELWISE or getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") in vocabulary.ELEMENTWISE_ACTIVATIONS
    if kind == "BatchNormalization":
        return layer.axis in (-1, len(call.inputs[0].shape) - 1)
    return True
