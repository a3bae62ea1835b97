"""Layers on single values and rows of them: activations, arithmetic, normalisation, dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.models.to_onnx.writing import Rule, Use, Value, numbers_of


def activated(use: Use, x: Value, activation: Any) -> Value:
    """What an activation, a function of Keras's or a layer in its place, makes of a layer's values."""
    if hasattr(activation, "get_config"):
        rule = RULES.get(type(activation).__name__)
        if rule is None:
            use.refuse(f"ends in {type(activation).__name__}, which no rule writes")
        return rule(replace(use, layer=activation, inputs=(x,)))
    name = getattr(activation, "__name__", "linear")
    if name not in _ACTIVATIONS:
        use.refuse(f"ends in the function {name}, which no rule writes")
    return _ACTIVATIONS[name](use, x)


def _softmax(kind: str) -> Callable[[Use, Value], Value]:
    return lambda use, x: use.like(x, kind, axis=x.axis(-1))


def _plain(kind: str, **settings: Any) -> Callable[[Use, Value], Value]:
    return lambda use, x: use.like(x, kind, **settings)


def _clipped(use: Use, x: Value, low: float | None, high: float | None) -> Value:
    bounds = [use.number(bound, name) if bound is not None else "" for bound, name in ((low, "low"), (high, "high"))]
    return use.like(x, "Clip", *bounds)


def _gelu(use: Use, x: Value) -> Value:
    curve = use.like(use.like(x, "Mul", use.number(math.sqrt(0.5))), "Erf")
    return use.like(use.like(x, "Mul", use.like(curve, "Add", use.number(1))), "Mul", use.number(0.5))


def _gelu_by_tanh(use: Use, x: Value) -> Value:
    cubed = use.like(use.like(x, "Mul", use.like(x, "Mul", x)), "Mul", use.number(0.044715))
    curve = use.like(use.like(use.like(x, "Add", cubed), "Mul", use.number(math.sqrt(2 / math.pi))), "Tanh")
    return use.like(use.like(x, "Mul", use.like(curve, "Add", use.number(1))), "Mul", use.number(0.5))


def _times(kind: str, *then: str, **settings: Any) -> Callable[[Use, Value], Value]:
    """A value times a curve of it."""
    def write(use: Use, x: Value) -> Value:
        curve = use.like(x, kind, **settings)
        for further in then:
            curve = use.like(curve, further)
        return use.like(x, "Mul", curve)

    return write


_ACTIVATIONS: dict[str, Callable[[Use, Value], Value]] = {
    "linear": lambda use, x: x, "relu": _plain("Relu"), "relu6": lambda use, x: _clipped(use, x, 0, 6),
    "leaky_relu": _plain("LeakyRelu", alpha=0.2), "elu": _plain("Elu", alpha=1.0), "selu": _plain("Selu"),
    "celu": _plain("Celu", alpha=1.0), "gelu": _gelu, **dict.fromkeys(("silu", "swish"), _times("Sigmoid")),
    "sigmoid": _plain("Sigmoid"), "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    **dict.fromkeys(("hard_silu", "hard_swish"), _plain("HardSwish")), "tanh": _plain("Tanh"),
    "hard_tanh": lambda use, x: _clipped(use, x, -1, 1), "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"), "exponential": _plain("Exp"), "mish": _times("Softplus", "Tanh"),
    "log_sigmoid": lambda use, x: use.like(use.like(use.like(x, "Neg"), "Softplus"), "Neg"),
    "softmax": _softmax("Softmax"), "log_softmax": _softmax("LogSoftmax"),
}


def _same(use: Use) -> Value:
    """Layers that change nothing when a network answers."""
    return use.inputs[0]


def _relu(use: Use) -> Value:
    layer, x = use.layer, use.inputs[0]
    slope, most = float(layer.negative_slope), layer.max_value
    if float(layer.threshold) or (slope and most is not None):
        use.refuse("has a threshold, or a slope and a maximum at once")
    if slope:
        return use.like(x, "LeakyRelu", alpha=slope)
    return use.like(x, "Relu") if most is None else _clipped(use, x, 0, float(most))


def _prelu(use: Use) -> Value:
    x, slopes = use.inputs[0], numbers_of(use.layer.alpha)
    return use.like(x, "PRelu", use.along(slopes[np.newaxis], x, "slopes"))


def _softmax_layer(use: Use) -> Value:
    x, axis = use.inputs[0], use.layer.axis
    if not isinstance(axis, int) or len(use.inputs) > 1:
        use.refuse("works along several axes, or with a mask")
    return use.like(x, "Softmax", axis=x.axis(axis))


def _rescaling(use: Use) -> Value:
    return _line(use, use.inputs[0], use.layer.scale, use.layer.offset)


def _line(use: Use, x: Value, scale: Any, offset: Any) -> Value:
    if np.any(np.asarray(scale) != 1):
        x = use.like(x, "Mul", use.along(scale, x, "scale"))
    return use.like(x, "Add", use.along(offset, x, "offset")) if np.any(np.asarray(offset)) else x


def _batch_norm(use: Use) -> Value:
    layer, x = use.layer, use.inputs[0]
    if layer.axis % len(x.shape) != len(x.shape) - 1:
        use.refuse("doesn't work along the channels")
    mean, variance = numbers_of(layer.moving_mean), numbers_of(layer.moving_variance)
    scale = numbers_of(layer.gamma) if layer.scale else np.ones_like(mean)
    centre = numbers_of(layer.beta) if layer.center else np.zeros_like(mean)
    if len(x.shape) == 4 or len(x.shape) == 2:
        x = use.turned(x) if len(x.shape) == 4 else x
        names = ("weight", "bias", "mean", "variance")
        numbers = [use.number(n, name) for n, name in zip((scale, centre, mean, variance), names, strict=True)]
        return use.like(x, "BatchNormalization", *numbers, epsilon=layer.epsilon)
    scale = scale / np.sqrt(variance + np.float32(layer.epsilon))
    return _line(use, x, scale, centre - mean * scale)


def _layer_norm(use: Use) -> Value:
    layer, x = use.layer, use.plain()
    rank = len(x.shape)
    axes = sorted(axis % rank for axis in (layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]))
    sides = [side for side in x.shape[axes[0]:] if side is not None]
    if axes != list(range(rank - len(sides), rank)) or getattr(layer, "rms_scaling", False):
        use.refuse("works along axes that aren't the last ones, or of no fixed length")
    scale = numbers_of(layer.gamma) if layer.scale else np.ones(sides, np.float32)
    numbers = [use.number(scale, "weight")]
    if layer.center:
        numbers.append(use.number(numbers_of(layer.beta), "bias"))
    return use.like(x, "LayerNormalization", *numbers, axis=axes[0], epsilon=layer.epsilon)


def _group_norm(use: Use) -> Value:
    layer, x = use.layer, use.map()
    if layer.axis % 4 != 3 or None in x.shape[1:]:
        use.refuse("doesn't work along the channels of a map of fixed size")
    height, width, channels = x.shape[1:]
    groups = channels if layer.groups == -1 else layer.groups
    apart = use.put("Reshape", x, use.number([0, groups, -1], "apart", np.int64))
    ones, zeros = (use.number(np.full(groups, n), "plain") for n in (1, 0))
    normal = use.put("InstanceNormalization", apart, ones, zeros, epsilon=layer.epsilon)
    back = use.put("Reshape", normal, use.number([0, channels, height, width], "back", np.int64))
    return _line(use, replace(x, name=back), numbers_of(layer.gamma) if layer.scale else 1,
                 numbers_of(layer.beta) if layer.center else 0)


def _normalization(use: Use) -> Value:
    layer, x = use.layer, use.inputs[0]
    if layer.invert:
        use.refuse("turns a normalisation round")
    deviation = np.maximum(np.sqrt(numbers_of(layer.variance)), np.float32(1e-7))
    centred = use.like(x, "Sub", use.along(numbers_of(layer.mean), x, "mean"))
    return use.like(centred, "Div", use.along(deviation, x, "deviation"))


def _dense(use: Use) -> Value:
    layer, x = use.layer, use.plain()
    kernel = use.number(numbers_of(layer.kernel), "weight")
    bias = [use.number(numbers_of(layer.bias), "bias")] if layer.use_bias else []
    if len(x.shape) == 2:
        return activated(use, use.result(use.put("Gemm", x, kernel, *bias)), layer.activation)
    found = use.put("MatMul", x, kernel)
    return activated(use, use.result(use.put("Add", found, *bias) if bias else found), layer.activation)


def _layer_scale(use: Use) -> Value:
    x = use.inputs[0]
    return use.like(x, "Mul", use.along(numbers_of(use.layer.gamma), x, "scale"))


def _merged(kind: str, at_once: bool = False) -> Rule:
    """Several values computed with element by element, two at a time or all at once."""
    def rule(use: Use) -> Value:
        first, *others = use.alike()
        if at_once:
            return use.result(use.put(kind, first, *others), first.turned)
        for other in others:
            first = replace(first, name=use.put(kind, first, other))
        return use.result(first.name, first.turned)

    return rule


def _scaled_sum(use: Use) -> Value:
    """One value and a part of another: a residual of InceptionResNetV2."""
    first, second = use.alike()
    part = use.put("Mul", second, use.number(use.layer.scale, "scale"))
    return use.result(use.put("Add", first, part), first.turned)


def _arithmetic(kind: str) -> Rule:
    """An operation on two values or a value and a constant, in any order; Where takes three."""
    def rule(use: Use) -> Value:
        values = iter(use.alike())
        like = replace(use.alike()[-1], dtype=_dtype_of(use))
        given = [next(values) if isinstance(item, Value) else use.along(item, like) for item in use.arguments]
        return use.result(use.put(kind, *given), like.turned)

    return rule


def _dtype_of(use: Use) -> str:
    """What constants beside a value are numbers of: of the other values, or of what comes out."""
    kinds: Sequence[str] = [value.dtype for value in use.inputs if value.dtype != "bool"]
    return kinds[0] if kinds else use.dtype


RULES: dict[str, Rule] = {
    **dict.fromkeys((
        "Identity", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
        "ActivityRegularization", "StochasticDepth", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation",
        "RandomContrast", "RandomBrightness"), _same),
    "Activation": lambda use: activated(use, use.inputs[0], use.layer.activation), "ReLU": _relu, "PReLU": _prelu,
    "LeakyReLU": lambda use: use.like(use.inputs[0], "LeakyRelu", alpha=float(use.layer.negative_slope)),
    "ELU": lambda use: use.like(use.inputs[0], "Elu", alpha=float(use.layer.alpha)), "Softmax": _softmax_layer,
    "Rescaling": _rescaling, "BatchNormalization": _batch_norm, "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale, "GroupNormalization": _group_norm, "Normalization": _normalization, "Dense": _dense,
    "Add": _merged("Add"), "Subtract": _merged("Sub"), "Multiply": _merged("Mul"), "Average": _merged("Mean", True),
    "Maximum": _merged("Max", True), "Minimum": _merged("Min", True), "CustomScaleLayer": _scaled_sum,
    **{f"keras.ops.{name}": _arithmetic(kind) for name, kind in (
        ("Add", "Add"), ("Subtract", "Sub"), ("Multiply", "Mul"), ("Divide", "Div"), ("TrueDivide", "Div"),
        ("Equal", "Equal"), ("Where", "Where"))},
    "keras.ops.Relu": lambda use: use.like(use.inputs[0], "Relu"),
    "keras.ops.Sqrt": lambda use: use.like(use.inputs[0], "Sqrt"),
    "keras.ops.Erf": lambda use: use.like(use.inputs[0], "Erf"), "keras.ops.Softmax": _softmax_layer,
    "keras.ops.Gelu": lambda use: (_gelu_by_tanh if use.layer.approximate else _gelu)(use, use.inputs[0]),
    "keras.ops.Clip": lambda use: _clipped(use, use.inputs[0], float(use.layer.x_min), float(use.layer.x_max)),
}
