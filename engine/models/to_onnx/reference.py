"""An ONNX graph computed by ONNX's own reference, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from threadpoolctl import threadpool_limits

Array = npt.NDArray[Any]


def computed(model: ModelProto, pictures: Array) -> Array:
    """The only output of a graph for its only input."""
    evaluator = ReferenceEvaluator(model, new_ops=[MaxPool, AveragePool])
    with threadpool_limits(1, "blas"):  # for so few pictures threads wait for each other longer than they compute
        answers: Any = evaluator.run(None, {model.graph.input[0].name: pictures})
    return np.asarray(answers[0])


def in_double(model: ModelProto) -> ModelProto:
    """A copy of a graph that computes in float64 what the graph computes in float32."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for weight in copy.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float64), weight.name))
    for node in copy.graph.node:
        for setting in node.attribute:
            if node.op_type == "Cast" and setting.name == "to" and setting.i == TensorProto.FLOAT:
                setting.i = TensorProto.DOUBLE
    return copy


class MaxPool(OpRun):
    """The largest value of each window. The reference's own loops over single values, which takes minutes."""

    op_domain = ""

    def _run(self, x: Array, kernel_shape: Sequence[int], strides: Sequence[int], pads: Sequence[int] | None = None,
             auto_pad: str | None = None, **_: Any) -> tuple[Array]:
        views = _windows(x, kernel_shape, strides, pads, auto_pad, -np.inf)
        # One place of all windows after the other: over axes as short as these NumPy's own takes ten times as long.
        places = (views[..., row, column] for row, column in np.ndindex(*kernel_shape))
        return (reduce(np.maximum, places),)


class AveragePool(OpRun):
    """The mean of each window, borders not counted."""

    op_domain = ""

    def _run(self, x: Array, kernel_shape: Sequence[int], strides: Sequence[int], pads: Sequence[int] | None = None,
             auto_pad: str | None = None, **_: Any) -> tuple[Array]:
        values = _windows(x, kernel_shape, strides, pads, auto_pad, 0)
        counted = _windows(np.ones_like(x[:1, :1]), kernel_shape, strides, pads, auto_pad, 0)
        return (values.sum(axis=(-2, -1)) / counted.sum(axis=(-2, -1)),)


def _windows(x: Array, size: Sequence[int], strides: Sequence[int], pads: Sequence[int] | None, auto_pad: str | None,
             filling: float) -> Array:
    """Views [n, channels, rows, columns, height, width] of a map with its border."""
    if auto_pad == "SAME_UPPER":  # found anew, not by shapes.same_border: what that wrote is checked here
        more = [max((-(-side // s) - 1) * s + k - side, 0)
                for side, k, s in zip(x.shape[2:], size, strides, strict=True)]
        pads = [m // 2 for m in more] + [m - m // 2 for m in more]
    top, left, bottom, right = pads or (0, 0, 0, 0)
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=filling)
    views: Array = sliding_window_view(wide, tuple(size), axis=(2, 3))  # type: ignore[call-overload]
    return views[:, :, ::strides[0], ::strides[1]]
