"""Layers and operations that move values about: reshaping, joining, choosing, averages over axes, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from engine.models.to_onnx.writing import Rule, Use, Value

_TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT64, "int64": TensorProto.INT64,
          "bool": TensorProto.BOOL}


def _flatten(use: Use) -> Value:
    x = use.plain()
    return use.result(use.put("Flatten", x, axis=1)) if len(x.shape) != 2 else x


def _reshape(use: Use) -> Value:
    return _reshaped(use, use.layer.target_shape)


def _reshape_operation(use: Use) -> Value:
    return _reshaped(use, use.layer.newshape[1:])


def _reshaped(use: Use, sides: Any) -> Value:
    """Every image in another shape; the batch stays as it is."""
    return use.result(use.put("Reshape", use.plain(), use.number([0, *sides], "shape", np.int64)))


def _sides_known(use: Use) -> Value:
    """What only adds or takes away axes of length 1, as a reshape; one side may depend on the picture."""
    sides = [-1 if side is None else side for side in use.shape[1:]]
    if sides.count(-1) > 1:
        use.refuse("is given several sides of no fixed length")
    return _reshaped(use, sides)


def _permute(use: Use) -> Value:
    return use.result(use.put("Transpose", use.plain(), perm=[0, *use.layer.dims]))


def _concatenate(use: Use) -> Value:
    values = use.alike()
    return use.result(use.put("Concat", *values, axis=values[0].axis(use.layer.axis)), values[0].turned)


def _stack(use: Use) -> Value:
    axis = use.layer.axis % len(use.shape)
    sides = [-1 if side is None else side for side in (*use.shape[1:axis], 1, *use.shape[axis + 1:])]
    if sides.count(-1) > 1 or axis == 0:
        use.refuse("is given several sides of no fixed length")
    shape = use.number([0, *sides], "shape", np.int64)
    return use.result(use.put("Concat", *(use.put("Reshape", value, shape) for value in map(use.unturned, use.inputs)),
                              axis=axis))


def _reduced(kind: str) -> Rule:
    """Average or maximum over some axes."""
    def rule(use: Use) -> Value:
        layer, x = use.layer, use.inputs[0]
        axes = list(layer.axis) if isinstance(layer.axis, (list, tuple)) else [layer.axis]
        if None in axes or 0 in axes:
            use.refuse("works along the batch")
        x = x if layer.keepdims else use.unturned(x)
        found = use.put(kind, x, axes=sorted(x.axis(axis) for axis in axes), keepdims=int(layer.keepdims))
        return use.result(found, x.turned and layer.keepdims)

    return rule


def _argmax(use: Use) -> Value:
    layer, x = use.layer, use.plain()
    if layer.axis is None:
        use.refuse("works along the batch")
    return Value(use.put("ArgMax", x, axis=x.axis(layer.axis), keepdims=int(layer.keepdims)), use.shape, "int64")


def _one_hot(use: Use) -> Value:
    x, layer = use.plain(), use.layer
    depth, values = use.number(layer.num_classes, "labels", np.int64), use.number([0, 1], "values")
    return use.result(use.put("OneHot", x, depth, values, axis=layer.axis))


def _cast(use: Use) -> Value:
    x = use.inputs[0]
    if use.dtype not in _TYPES:
        use.refuse(f"gives numbers of the type {use.dtype}")
    name = use.put("Cast", x, to=_TYPES[use.dtype])
    return Value(name, x.shape, "int64" if use.dtype == "int32" else use.dtype, x.turned)


def _take(use: Use) -> Value:
    x, wanted = use.plain(), use.arguments[1]
    return use.result(use.put("Gather", x, use.number(wanted, "wanted", np.int64), axis=x.axis(use.layer.axis)))


def _pad(use: Use) -> Value:
    x, layer = use.plain(), use.layer
    if layer.mode != "constant":
        use.refuse("pads with something else than a constant")
    filling = use.settings.get("constant_values", next(iter(use.arguments[1:]), None)) or 0
    before, behind = zip(*layer.pad_width, strict=True)
    pads = use.number([*before, *behind], "pads", np.int64)
    return use.result(use.put("Pad", x, pads, use.number(filling, "filling")))


RULES: dict[str, Rule] = {
    "Flatten": _flatten, "Reshape": _reshape, "Permute": _permute, "Concatenate": _concatenate,
    "keras.ops.Reshape": _reshape_operation, "keras.ops.Concatenate": _concatenate,
    "keras.ops.Stack": _stack, "keras.ops.Squeeze": _sides_known, "keras.ops.ExpandDims": _sides_known,
    "keras.ops.Mean": _reduced("ReduceMean"), "keras.ops.Max": _reduced("ReduceMax"), "keras.ops.Argmax": _argmax,
    "keras.ops.OneHot": _one_hot, "keras.ops.Cast": _cast, "keras.ops.Take": _take, "keras.ops.Pad": _pad,
}
