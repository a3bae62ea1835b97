"""How a change of one channel changes what a layer that mixes channels sums up before its activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models.networks import Call
from engine.models.shapes import same_border
from engine.pruning.channel_regions import is_dense

Array = npt.NDArray[Any]
# Adds to sums float32[m, ...] what a change float32[m, ...] of a channel (one image a row) of this number adds to them.
AddShare = Callable[[Array, Array, int], None]


def sums_before_activation(mixer: Call, x: Any) -> Any:
    """A mixing layer without its activation, as TensorFlow computes it."""
    tf, keras = backend.load()
    layer = mixer.layer
    if is_dense(mixer):
        total = tf.linalg.matmul(tf.reshape(x, (-1, layer.kernel.shape[0])), layer.kernel)
    elif type(layer).__name__ == "SeparableConv2D":
        total = keras.ops.separable_conv(x, layer.depthwise_kernel, layer.pointwise_kernel, layer.strides,
                                         layer.padding, layer.data_format, layer.dilation_rate)
    elif layer.groups > 1:
        total = layer.convolution_op(x, layer.kernel)
    else:
        total = tf.nn.conv2d(x, layer.kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)
    return total + layer.bias if layer.use_bias else total


def share_of_channel(mixer: Call, channels: int) -> AddShare:
    """What adds a channel's change to a mixing layer's sums; `channels` is how many its input has."""
    layer = mixer.layer
    if is_dense(mixer):
        kernel = np.asarray(layer.kernel)
        by_channel = np.ascontiguousarray(kernel.reshape(-1, channels, kernel.shape[1]).transpose(1, 0, 2))

        def dense(sums: Array, change: Array, channel: int) -> None:
            sums += change.reshape(len(change), -1) @ by_channel[channel]

        return dense
    return _separable(mixer) if type(layer).__name__ == "SeparableConv2D" else _convolution(mixer)


def _convolution(mixer: Call) -> AddShare:
    kernel, groups, windows = np.asarray(mixer.layer.kernel), mixer.layer.groups, _Windows(mixer)
    height, width, inside, filters = kernel.shape
    taps = np.ascontiguousarray(kernel.transpose(2, 0, 1, 3).reshape(inside, height * width, filters))
    own = filters // groups

    def add(sums: Array, change: Array, channel: int) -> None:
        first = channel // inside * own  # a group's channels reach its own filters only
        seen = windows(change)
        product = seen.reshape(-1, height * width) @ taps[channel % inside][:, first:first + own]
        sums[..., first:first + own] += product.reshape(*seen.shape[:3], own)

    return add


def _separable(mixer: Call) -> AddShare:
    depthwise, pointwise = (np.asarray(k) for k in (mixer.layer.depthwise_kernel, mixer.layer.pointwise_kernel))
    height, width, channels, deep = depthwise.shape
    taps = np.ascontiguousarray(depthwise.transpose(2, 0, 1, 3).reshape(channels, height * width, deep))
    mixed, windows = pointwise.reshape(channels, deep, -1), _Windows(mixer)

    def add(sums: Array, change: Array, channel: int) -> None:
        seen = windows(change)
        product = (seen.reshape(-1, height * width) @ taps[channel]) @ mixed[channel]
        sums += product.reshape(sums.shape)

    return add


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
    """One side of a convolution."""
    before, after = same_border(size, kernel, stride, dilation) if same else (0, 0)
    return _Side(before, after, (kernel - 1) * dilation + 1, stride, dilation)
