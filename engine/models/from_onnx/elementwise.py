"""Operators on single values and rows of them: arithmetic, activations, normalisation, averages, dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.models.from_onnx.building import ONE_IMAGE, Call, Tensor

Array = npt.NDArray[Any]

_LARGEST = float(np.finfo(np.float32).max)
# ONNX's numbers of the types that Keras's float32 stands for, and the names of those that cut numbers off.
_FLOATS = (1, 10, 11, 16)
_OTHERS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 12: "uint32",
           13: "uint64"}


def _same(call: Call) -> Tensor:
    """Operators that change nothing when a network answers."""
    found, training = call.inputs[0], call.constant(2)
    if training is not None and training.any():
        call.refuse("is set to training")
    return found if isinstance(found, Tensor) else call.tensor()


def _cast(call: Call) -> Tensor:
    kind = call.setting("to")
    if kind not in _FLOATS:
        call.refuse(f"makes its values {_OTHERS.get(kind, f'of the type {kind}')}")
    return _same(call)


def _activation(word: str, nonnegative: bool = False) -> Callable[[Call], Tensor]:
    return lambda call: replace(call.add("Activation", {"activation": word}, call.tensor()), nonnegative=nonnegative)


def _operation(kind: str) -> Callable[[Call], Tensor]:
    return lambda call: call.add(f"keras.ops.{kind}", {}, call.tensor())


def _relu(call: Call) -> Tensor:
    return replace(call.add("ReLU", {}, call.tensor()), nonnegative=True)


def _clip(call: Call) -> Tensor:
    low, high = (-_LARGEST if call.constant(1) is None else _number(call, 1),
                 _LARGEST if call.constant(2) is None else _number(call, 2))
    low = min(low, high)  # where they cross, ONNX gives the upper one everywhere
    if low == 0:
        most = None if high == _LARGEST else high
        return replace(call.add("ReLU", {"max_value": most}, call.tensor()), nonnegative=True)
    clipped = call.add("keras.ops.Clip", {"x_min": low, "x_max": high}, call.tensor())
    return replace(clipped, nonnegative=low > 0)


def _hard_sigmoid(call: Call) -> Tensor:
    slope, middle = call.setting("alpha", 0.2), call.setting("beta", 0.5)
    if math.isclose(slope, 1 / 6, rel_tol=1e-5) and middle == 0.5:
        return _activation("hard_sigmoid", nonnegative=True)(call)
    line = call.add("Rescaling", {"scale": slope, "offset": middle}, call.tensor(), part=".line")
    return replace(call.add("keras.ops.Clip", {"x_min": 0.0, "x_max": 1.0}, line), nonnegative=True)


def _gelu(call: Call) -> Tensor:
    if call.setting("approximate", "none") == "none":
        return _activation("gelu")(call)
    return call.add("keras.ops.Gelu", {"approximate": True}, call.tensor())


def _prelu(call: Call) -> Tensor:
    x, slopes = call.image(), call.constant(1)
    channels = x.shape[2]
    if slopes is None or (1,) * (4 - slopes.ndim) + slopes.shape not in ((1, channels, 1, 1), (1, 1, 1, 1)):
        call.refuse("doesn't have one slope for all channels or for each")
    return call.add("PReLU", {"shared_axes": [1, 2]}, x, weights=[np.full((1, 1, channels), slopes.ravel())])


def _along(kind: str, word: str) -> Callable[[Call], Tensor]:
    """Softmax and its logarithm along an axis."""
    def rule(call: Call) -> Tensor:
        x = call.tensor()
        axis = call.axis(x, call.setting("axis", -1))
        if kind == "Activation" and axis != len(x.shape):
            call.refuse("isn't taken along the labels")
        settings = {"axis": axis} if kind == "Softmax" else {"activation": word}
        return replace(call.add(kind, settings, x), nonnegative=kind == "Softmax")

    return rule


def _pow(call: Call) -> Tensor:
    exponent = _number(call, 1)
    if exponent == 0.5:
        return _operation("Sqrt")(call)
    if exponent != 2:
        call.refuse(f"raises to the power of {exponent:g}")
    x = call.tensor()
    return replace(call.add("Multiply", {}, x, x), nonnegative=True)


def _arithmetic(call: Call) -> Tensor:
    """Two values or more, or one value and a constant, before or behind it."""
    operator = call.node.operator
    constants = [at for at, value in enumerate(call.inputs) if not isinstance(value, Tensor)]
    if not constants:
        return _merged(call, _MERGING[operator])
    c = call.constant(constants[0])
    if c is None or len(call.inputs) != 2 or (operator == "Div" and constants == [0]):
        call.refuse("computes with constants in a way that isn't known")
    c = c.astype(np.float64)
    with np.errstate(all="ignore"):
        scale, offset = _LINES[operator](c, constants == [0])
    return _rescaled(call, call.tensor(1 - constants[0]), np.asarray(scale), np.asarray(offset))


def _merged(call: Call, kind: str) -> Tensor:
    tensors = [call.tensor(at) for at in range(len(call.inputs))]
    whole = max(tensors, key=lambda tensor: math.prod(tensor.shape))
    if any(len(tensor.axes) != len(whole.axes) for tensor in tensors):
        call.refuse("computes with values of different numbers of axes")
    merged = call.add(kind, {}, *(call.building.laid_out(tensor, whole.axes) for tensor in tensors))
    return replace(merged, nonnegative=kind in ("Add", "Multiply") and all(t.nonnegative for t in tensors))


def _rescaled(call: Call, x: Tensor, scale: Array, offset: Array) -> Tensor:
    """x times numbers plus numbers: single ones, or one for each entry along one axis."""
    with np.errstate(over="ignore"):
        real = all(np.isfinite(numbers.astype(np.float32)).all() for numbers in (scale, offset))
    if not real:
        call.refuse("computes with a constant that isn't a number in float32")
    rank = len(x.axes)
    shape = np.broadcast_shapes(scale.shape, offset.shape)
    long = [axis for axis, side in enumerate((1,) * (rank - len(shape)) + shape) if side != 1]
    if len(shape) > rank or len(long) > 1 or 0 in long or (long and math.prod(shape) != x.side(long[0])):
        call.refuse(f"computes with a constant of shape {list(shape)} and a value of {x.onnx_shape}")
    if long:
        x = call.building.laid_out(x, (*(axis for axis in x.axes if axis != long[0]), long[0]))
    call.building.take_room(scale.size + offset.size)
    numbers = {key: value.ravel().tolist() if value.size > 1 else value.item() for key, value in
               (("scale", scale), ("offset", offset))}
    return call.add("Rescaling", numbers, x)


def _batch_norm(call: Call) -> Tensor:
    if call.setting("training_mode", 0):
        call.refuse("is set to training")
    x = call.tensor()
    numbers = [call.weight(at, 1) for at in (1, 2, 3, 4)]
    if len(x.axes) < 2 or any(len(array) != x.side(1) for array in numbers):
        call.refuse("doesn't have one number for each channel")
    settings = {"axis": call.axis(x, 1), "epsilon": call.setting("epsilon", 1e-5)}
    return call.add("BatchNormalization", settings, x, weights=numbers)


def _layer_norm(call: Call) -> Tensor:
    x, scale, centre = call.tensor(), call.weight(1, 1), call.constant(2)
    axis = call.axis(x, call.setting("axis", -1))
    if x.axes[axis] != len(x.axes) - 1 or len(scale) != x.shape[axis - 1]:
        call.refuse("works along several axes")
    settings = {"axis": axis, "epsilon": call.setting("epsilon", 1e-5)}
    return call.add("LayerNormalization", settings, x,
                    weights=[scale, np.zeros_like(scale) if centre is None else centre])


def _reduced(kind: str, pooling: str) -> Callable[[Call], Tensor]:
    """Average or maximum over axes."""
    def rule(call: Call) -> Tensor:
        x, given = call.tensor(), call.constant(1)
        axes = call.setting("axes") if given is None else [int(axis) for axis in given.ravel()]
        if not axes:
            call.refuse("reduces the batch, too")
        at = sorted(call.axis(x, axis) for axis in axes)
        keep = bool(call.setting("keepdims", 1))
        if at == [1, 2] and len(x.axes) == 4:
            found = call.add(pooling, {"keepdims": keep}, x)
        else:
            found = call.add(f"keras.ops.{kind}", {"axis": at, "keepdims": keep}, x)
        left = [axis for i, axis in enumerate(x.axes) if keep or i not in at]
        return replace(found, axes=tuple(sorted(left).index(axis) for axis in left), nonnegative=x.nonnegative)

    return rule


def _sum(call: Call) -> Tensor:
    """As many times the average as there are values."""
    x, mean = call.tensor(), _reduced("Mean", "GlobalAveragePooling2D")(call)
    count = math.prod(x.shape) // math.prod(mean.shape)
    return replace(call.add("Rescaling", {"scale": float(count), "offset": 0.0}, mean, part=".sum"), axes=mean.axes,
                   nonnegative=x.nonnegative)


def _length(call: Call) -> Tensor:
    """The root of the sum of squares."""
    x = call.tensor()
    square = replace(call.add("Multiply", {}, x, x, part=".square"), axes=x.axes, nonnegative=True)
    total = _sum(replace(call, inputs=[square, *call.inputs[1:]]))
    return replace(call.add("keras.ops.Sqrt", {}, total, part=".root"), axes=total.axes, nonnegative=True)


def _gemm(call: Call) -> Tensor:
    kernel, bias = call.weight(1, 2), call.constant(2)
    if call.setting("transA", 0):
        call.refuse("turns what it is given")
    kernel, alpha = kernel.T if call.setting("transB", 0) else kernel, call.setting("alpha", 1.0)
    if bias is not None and (math.prod(bias.shape[:-1]) != 1 or bias.size not in (1, kernel.shape[1])):
        call.refuse(f"adds numbers of shape {list(bias.shape)} to {kernel.shape[1]} values")
    # A product would be a copy, of a kernel that many operators may share.
    return _dense(call, kernel if alpha == 1 else kernel * alpha,
                  None if bias is None else bias * call.setting("beta", 1.0))


def _matmul(call: Call) -> Tensor:
    return _dense(call, call.weight(1, 2), None)


def _dense(call: Call, kernel: Array, bias: Array | None) -> Tensor:
    """A dense layer along ONNX's last axis; one behind a flattened map takes its weights in the map's order."""
    x = call.inputs[0]
    if not isinstance(x, Tensor):
        call.refuse("multiplies a constant")
    if x.joined and not call.building.fixed:
        call.refuse("mixes the images of a batch", ONE_IMAGE)
    last = len(x.axes) - 1
    x = call.building.laid_out(x, (*(axis for axis in x.axes if axis != last), last))
    if len(kernel) != x.shape[-1]:
        call.refuse(f"has weights for {len(kernel)} values, and is given {x.shape[-1]}")
    if x.shuffled is not None:
        kernel = kernel[x.order]
    biases = [] if bias is None else [np.broadcast_to(bias.ravel(), kernel.shape[1:])]
    dense = call.add("Dense", {"units": kernel.shape[1], "use_bias": bias is not None}, x, weights=[kernel, *biases])
    return replace(dense, shuffled=None)


def _number(call: Call, at: int) -> float:
    found = call.constant(at)
    if found is None or found.size != 1:
        call.refuse("has more than one number for a setting")
    return float(found.ravel()[0])


# What x is multiplied by, and what is added, for a constant c before or behind it.
_LINES: dict[str, Callable[[Array, bool], tuple[Any, Any]]] = {
    "Add": lambda c, before: (1.0, c), "Sum": lambda c, before: (1.0, c),
    "Sub": lambda c, before: (-1.0, c) if before else (1.0, -c),
    "Mul": lambda c, before: (c, 0.0), "Div": lambda c, before: (1 / c, 0.0),
}
_MERGING = {"Add": "Add", "Sum": "Add", "Sub": "Subtract", "Mul": "Multiply", "Div": "keras.ops.Divide"}

RULES: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("Identity", "Dropout"), _same), "Cast": _cast, "Relu": _relu, "Clip": _clip, "PRelu": _prelu,
    "LeakyRelu": lambda call: call.add("LeakyReLU", {"negative_slope": call.setting("alpha", 0.01)}, call.tensor()),
    "Elu": lambda call: call.add("ELU", {"alpha": call.setting("alpha", 1.0)}, call.tensor()),
    "Sigmoid": _activation("sigmoid", nonnegative=True), "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus", nonnegative=True), "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard_silu"), "Mish": _activation("mish"), "Gelu": _gelu,
    "Softmax": _along("Softmax", ""), "LogSoftmax": _along("Activation", "log_softmax"),
    "Erf": _operation("Erf"), "Sqrt": _operation("Sqrt"), "Pow": _pow,
    **dict.fromkeys(_MERGING, _arithmetic),
    "Neg": lambda call: call.add("Rescaling", {"scale": -1.0, "offset": 0.0}, call.tensor()),
    "BatchNormalization": _batch_norm, "LayerNormalization": _layer_norm,
    "ReduceMean": _reduced("Mean", "GlobalAveragePooling2D"), "ReduceMax": _reduced("Max", "GlobalMaxPooling2D"),
    "ReduceSum": _sum, "ReduceL2": _length, "Gemm": _gemm, "MatMul": _matmul,
}
