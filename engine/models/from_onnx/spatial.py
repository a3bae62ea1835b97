"""Operators that look at neighbourhoods: convolution, pooling, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.models.from_onnx.building import Call, Tensor
from engine.models.shapes import same_border

# Before and behind, for height and for width.
Pads = list[tuple[int, int]]
_LOWEST = float(np.finfo(np.float32).min)


def _conv(call: Call) -> Tensor:
    kernel, bias = call.weight(1, 4), call.constant(2)
    x, groups = call.image(), call.setting("group", 1)
    channels, (filters, per_group, *size) = x.shape[2], kernel.shape
    dilation, strides = call.setting("dilations", [1, 1]), call.setting("strides", [1, 1])
    if groups < 1 or per_group * groups != channels or filters % groups:
        call.refuse(f"has weights for {per_group * groups} channels, and is given {channels}")
    if max(dilation) > 1 and max(strides) > 1:
        call.refuse("has a stride and a dilation at once")
    x, padding = _padded(call, x, _pads(call, x, size, strides, dilation), size, strides, dilation)
    settings = {"kernel_size": list(size), "strides": list(strides), "dilation_rate": list(dilation),
                "padding": padding, "use_bias": bias is not None}
    biases = [] if bias is None else [bias]
    if groups == channels and groups > 1 and strides[0] == strides[1]:
        apart = kernel.reshape(channels, filters // groups, *size).transpose(2, 3, 0, 1)
        return call.add("DepthwiseConv2D", {**settings, "depth_multiplier": filters // groups}, x,
                        weights=[apart, *biases])
    return call.add("Conv2D", {**settings, "filters": filters, "groups": groups}, x,
                    weights=[kernel.transpose(2, 3, 1, 0), *biases])


def _max_pool(call: Call) -> Tensor:
    x = call.image()
    size, strides, pads = _window(call, x)
    if len(call.node.outputs) > 1:
        call.refuse("tells where its maxima are")
    x, padding = _padded(call, x, _rounded_up(call, x, pads, size, strides), size, strides, [1, 1], lowest=True)
    return _pooled(call, "MaxPooling2D", x, size, strides, padding)


def _average_pool(call: Call) -> Tensor:
    x = call.image()
    size, strides, pads = _window(call, x)
    if size == strides == [1, 1] and not _any(pads):
        return x
    wide = _rounded_up(call, x, pads, size, strides)
    if call.setting("count_include_pad", 0) and _any(pads) and wide == pads:
        x, padding = _with_border(call, x, pads), "valid"
    elif not _any(wide) or (wide == _same(x, size, strides, [1, 1]) and not call.setting("count_include_pad", 0)):
        x, padding = _padded(call, x, wide, size, strides, [1, 1])
    else:
        call.refuse("counts its border in a way that Keras doesn't")
    return _pooled(call, "AveragePooling2D", x, size, strides, padding)


def _pooled(call: Call, kind: str, x: Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> Tensor:
    pooled = call.add(kind, {"pool_size": list(size), "strides": list(strides), "padding": padding}, x)
    return replace(pooled, nonnegative=x.nonnegative)


def _window(call: Call, x: Tensor) -> tuple[list[int], list[int], Pads]:
    """A pooling operator's window, strides and border."""
    size, strides = list(call.setting("kernel_shape", [])), list(call.setting("strides", [1, 1]))
    if max(call.setting("dilations", [1])) > 1:
        call.refuse("has a dilation")
    return size, strides, _pads(call, x, size, strides, [1, 1])


def _rounded_up(call: Call, x: Tensor, pads: Pads, size: Sequence[int], strides: Sequence[int]) -> Pads:
    """The border with what rounding sides up adds behind; a window that would begin there is left out."""
    if not call.setting("ceil_mode", 0):
        return pads
    found = []
    for at, (before, behind) in enumerate(pads):
        room = x.shape[at] + before + behind - size[at]
        more = -room % strides[at]
        found.append((before, behind + (more if room + more < x.shape[at] + before else 0)))
    return found


def _global_pool(kind: str) -> Callable[[Call], Tensor]:
    def rule(call: Call) -> Tensor:
        x = call.image()
        return replace(call.add(kind, {"keepdims": True}, x), nonnegative=x.nonnegative)

    return rule


def _pad(call: Call) -> Tensor:
    x, amounts, value, axes = call.tensor(), call.constant(1), call.constant(2), call.constant(3)
    if amounts is None or call.setting("mode", "constant") != "constant":
        call.refuse("pads with something else than a constant")
    rank = len(x.axes)
    given = [int(n) for n in amounts.ravel()]
    along = [int(axis) % rank for axis in axes.ravel()] if axes is not None else list(range(rank))
    if len(given) != 2 * len(along):
        call.refuse("doesn't say how much it adds to each side")
    sides = dict.fromkeys(range(rank), (0, 0)) | {
        axis: (given[i], given[i + len(along)]) for i, axis in enumerate(along)}
    if min(min(pair) for pair in sides.values()) < 0 or _any([sides[0]]):
        call.refuse("cuts something off, or pads the batch")
    if not _any(list(sides.values())):
        return x
    filling = float(value.reshape(()).item()) if value is not None and value.size else 0.0
    if rank == 4 and not filling and not _any([sides[1]]):
        return _with_border(call, call.image(), [sides[2], sides[3]], part="")
    padded = call.add("keras.ops.Pad", {"pad_width": [list(sides[axis]) for axis in x.axes], "mode": "constant"}, x,
                      literals=[filling])
    return replace(padded, nonnegative=x.nonnegative and filling >= 0)


def _pads(call: Call, x: Tensor, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Pads:
    """The border that an operator adds."""
    if not (len(size) == len(strides) == len(dilation) == 2) or min(*size, *strides, *dilation) < 1:
        call.refuse("doesn't have a window of two sides")
    automatic = call.setting("auto_pad", "NOTSET")
    if automatic == "SAME_UPPER":
        return _same(x, size, strides, dilation)
    if automatic not in ("NOTSET", "VALID"):
        call.refuse(f"pads by the rule {automatic[:40]}")
    given = call.setting("pads", [0, 0, 0, 0]) if automatic == "NOTSET" else [0, 0, 0, 0]
    if len(given) != 4 or min(given) < 0:
        call.refuse(f"pads by {given}")
    return [(given[0], given[2]), (given[1], given[3])]


def _same(x: Tensor, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Pads:
    """The border that Keras adds for the padding "same"."""
    return list(map(same_border, x.shape, size, strides, dilation))


def _padded(call: Call, x: Tensor, pads: Pads, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
            lowest: bool = False) -> tuple[Tensor, str]:
    """A map and the padding that together give a border; Keras's own where it is the same.

    Args:
        lowest: whether the border must lose against every value, as a maximum's must.
    """
    if not _any(pads):
        return x, "valid"
    if pads == _same(x, size, strides, dilation):
        return x, "same"
    if not lowest or x.nonnegative:
        return _with_border(call, x, pads), "valid"
    around = [[0, 0], *(list(pair) for pair in pads), [0, 0]]
    return call.add("keras.ops.Pad", {"pad_width": around, "mode": "constant"}, x, literals=[_LOWEST],
                    part=".border"), "valid"


def _with_border(call: Call, x: Tensor, pads: Pads, part: str = ".border") -> Tensor:
    if not _any(pads):
        return x
    bordered = call.add("ZeroPadding2D", {"padding": [list(pair) for pair in pads]}, x, part=part)
    return replace(bordered, nonnegative=x.nonnegative)


def _any(pads: Pads) -> bool:
    return any(any(pair) for pair in pads)


RULES: dict[str, Callable[[Call], Any]] = {
    "Conv": _conv, "MaxPool": _max_pool, "AveragePool": _average_pool, "Pad": _pad,
    "GlobalAveragePool": _global_pool("GlobalAveragePooling2D"), "GlobalMaxPool": _global_pool("GlobalMaxPooling2D"),
}
