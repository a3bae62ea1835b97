"""What each known layer makes of its input: the shape of its output and the number of its weights.

Shapes are those of one image, without the batch axis; None stands for a side that depends on the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from engine.models import vocabulary

Shape = tuple[int | None, ...]
Config = dict[str, Any]

# Of one image, each place's regard for each other one.
_MOST_SCORES = 1 << 26


def output_shape(kind: str, config: Config, inputs: Sequence[Shape | None]) -> Shape | None:
    """The shape of one image's output, or None where the settings make no sense.

    Args:
        kind: the layer's class, or "keras.ops." and the operation's.
        inputs: shapes of the tensors it is called with.
    """
    known = [shape for shape in inputs if shape is not None]
    if not inputs or len(known) < len(inputs):
        return None
    first = config.get("data_format") == "channels_first" and len(known[0]) == 3
    try:
        last = [channels_last(config, shape) for shape in known]
        shape = last[0] if kind in _SAME else _RULES[kind](config, last)
        found = (shape[2], *shape[:2]) if first and len(shape) == 3 else tuple(shape)
        return None if any(n is not None and n < 1 for n in found) or not _fits(config, found) else found
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError):
        return None


def weight_count(kind: str, config: Config, shape: Shape) -> int:
    """Numbers a layer keeps for an input of this shape.

    Raises:
        ValueError: its settings make no sense, or it would need a side that depends on the picture.
    """
    rule = _WEIGHTS.get(kind)
    if rule is None:
        return 0
    try:
        count = rule(config, channels_last(config, shape))
    except (KeyError, IndexError, TypeError, ArithmeticError) as error:
        raise ValueError(str(error)) from error
    if count < 0:
        raise ValueError("negative settings")
    return count


def channels_last(config: Config, shape: Shape) -> Shape:
    """A shape with the channels at the end, where a layer's settings have them in front."""
    first = config.get("data_format") == "channels_first" and len(shape) == 3
    return (*shape[1:], shape[0]) if first else shape


def _fits(config: Config, shape: Shape) -> bool:
    """Whether lists of numbers that a layer computes with element by element leave the shape as it is."""
    for key in _NUMBERS:
        sides = array_shape(config.get(key))
        while len(sides) > len(shape) and sides[0] == 1:
            sides = sides[1:]
        if sides and _broadcast(config, [shape, sides]) != shape:
            return False
    inner = config.get("activation")
    return not isinstance(inner, dict) or not isinstance(inner.get("config"), dict) or _fits(inner["config"], shape)


def array_shape(numbers: Any) -> Shape:
    """The shape of an array that is written as lists."""
    return (len(numbers), *(array_shape(numbers[0]) if numbers else ())) if isinstance(numbers, list) else ()


def pair(value: Any) -> tuple[int, int]:
    """A number for both sides, or one for each."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def window(config: Config, shape: Shape, size: Any, strides: Any) -> tuple[int | None, int | None]:
    """The sides of what a window gives that is moved over a map."""
    dilation = pair(config.get("dilation_rate", 1))
    same = config.get("padding", "valid") == "same"
    sides = [None if n is None else
             math.ceil(n / s) if same else (n - d * (k - 1) - 1) // s + 1
             for n, k, s, d in zip(shape[:2], pair(size), pair(strides), dilation, strict=True)]
    return sides[0], sides[1]


def same_border(side: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """What the padding "same" adds before and behind a side, as TensorFlow does: the larger half behind."""
    more = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    return more // 2, more - more // 2


def _conv(config: Config, inputs: Sequence[Shape]) -> Shape:
    sides = window(config, inputs[0], config["kernel_size"], config.get("strides", 1))
    return (*sides, int(config["filters"]))


def _depthwise(config: Config, inputs: Sequence[Shape]) -> Shape:
    sides = window(config, inputs[0], config["kernel_size"], config.get("strides", 1))
    return (*sides, (inputs[0][2] or 0) * int(config.get("depth_multiplier", 1)))


def _transposed(config: Config, inputs: Sequence[Shape]) -> Shape:
    if config.get("output_padding") is not None:
        raise ValueError("output_padding")
    dilation = pair(config.get("dilation_rate", 1))
    same = config.get("padding", "valid") == "same"
    sides = [None if n is None else n * s + (0 if same else max(d * (k - 1) + 1 - s, 0))
             for n, k, s, d in zip(inputs[0][:2], pair(config["kernel_size"]), pair(config.get("strides", 1)),
                                   dilation, strict=True)]
    return (*sides, int(config["filters"]))


def _pool(config: Config, inputs: Sequence[Shape]) -> Shape:
    size = config.get("pool_size", 2)
    return (*window(config, inputs[0], size, config.get("strides") or size), inputs[0][2])


def _global_pool(config: Config, inputs: Sequence[Shape]) -> Shape:
    return (1, 1, inputs[0][2]) if config.get("keepdims") else (inputs[0][2],)


def _row_pool(config: Config, inputs: Sequence[Shape]) -> Shape:
    if config.get("data_format") == "channels_first":
        raise ValueError("data_format")
    return (1, inputs[0][1]) if config.get("keepdims") else (inputs[0][1],)


def _attention(config: Config, inputs: Sequence[Shape]) -> Shape:
    """A query's shape; query, value and key have rows of one length, so that the weights follow from the first."""
    query, other = inputs[0], inputs[1]
    if any(shape[-1] != query[-1] for shape in inputs) or config.get("output_shape") is not None:
        raise ValueError("output_shape")
    if int(config["num_heads"]) * product(query[:-1]) * product(other[:-1]) > _MOST_SCORES:
        raise ValueError("num_heads")
    return query


def _flatten(_: Config, inputs: Sequence[Shape]) -> Shape:
    return (None if None in inputs[0] else product(inputs[0]),)


def _padding(config: Config, inputs: Sequence[Shape]) -> Shape:
    return _grown(config["padding"], 1, inputs[0])


def _cropping(config: Config, inputs: Sequence[Shape]) -> Shape:
    return _grown(config["cropping"], -1, inputs[0])


def _grown(amount: Any, sign: int, shape: Shape) -> Shape:
    sides = pair(amount) if isinstance(amount, int) else amount
    by = [sum(pair(side)) * sign for side in sides]
    height, width, channels = shape
    return None if height is None else height + by[0], None if width is None else width + by[1], channels


def _upsampling(config: Config, inputs: Sequence[Shape]) -> Shape:
    factors = pair(config.get("size", 2))
    height, width, channels = inputs[0]
    return None if height is None else height * factors[0], None if width is None else width * factors[1], channels


def _sized(config: Config, inputs: Sequence[Shape]) -> Shape:
    return int(config["height"]), int(config["width"]), inputs[0][2]


def _reshape(config: Config, inputs: Sequence[Shape]) -> Shape:
    target = [int(n) for n in config["target_shape"]]
    if -1 not in target:
        return tuple(target)
    rest = product(n for n in target if n != -1)
    free = None if None in inputs[0] else product(inputs[0]) // rest
    return tuple(free if n == -1 else n for n in target)


def _reshape_operation(config: Config, inputs: Sequence[Shape]) -> Shape:
    return _reshape({"target_shape": config["newshape"][1:]}, inputs)


def _concatenate(config: Config, inputs: Sequence[Shape]) -> Shape:
    at = _axis(config.get("axis", -1), len(inputs[0]))
    along = [shape[at] for shape in inputs]
    return (*inputs[0][:at], None if None in along else sum(n or 0 for n in along), *inputs[0][at + 1:])


def _dot(config: Config, inputs: Sequence[Shape]) -> Shape:
    left, right = inputs
    one, other = pair(config["axes"])
    at, beside = _axis(one, len(left)), _axis(other, len(right))
    return (*left[:at], *left[at + 1:], *right[:beside], *right[beside + 1:]) or (1,)


def _broadcast(_: Config, inputs: Sequence[Shape]) -> Shape:
    """Shapes of several tensors that are computed with element by element."""
    rank = max(len(shape) for shape in inputs)
    padded = [(*[1] * (rank - len(shape)), *shape) for shape in inputs]
    return tuple(max((n for n in sides if n is not None and n != 1), default=None if None in sides else 1)
                 for sides in zip(*padded, strict=True))


def _reduced(config: Config, inputs: Sequence[Shape]) -> Shape:
    """Mean, max and argmax over some axes, which never include the batch's."""
    axes = config["axis"]
    gone = {_axis(axis, len(inputs[0])) for axis in (axes if isinstance(axes, list) else [axes])}
    kept = [1 if i in gone else n for i, n in enumerate(inputs[0]) if config.get("keepdims") or i not in gone]
    return tuple(kept)


def _squeeze(config: Config, inputs: Sequence[Shape]) -> Shape:
    return _reduced({"axis": config["axis"]}, inputs)


def _expand(config: Config, inputs: Sequence[Shape]) -> Shape:
    at = _axis(config["axis"], len(inputs[0]) + 1)
    return (*inputs[0][:at], 1, *inputs[0][at:])


def _stacked(config: Config, inputs: Sequence[Shape]) -> Shape:
    if len(set(inputs)) != 1:
        raise ValueError("shapes")
    at = _axis(config["axis"], len(inputs[0]) + 1)
    return (*inputs[0][:at], len(inputs), *inputs[0][at:])


def _padded(config: Config, inputs: Sequence[Shape]) -> Shape:
    """Every axis grown, the batch's by nothing."""
    batch, *sides = (pair(side) for side in config["pad_width"])
    if batch != (0, 0) or min(min(side) for side in sides) < 0:
        raise ValueError("pad_width")
    return tuple(None if n is None else n + sum(by) for n, by in zip(inputs[0], sides, strict=True))


def _layer_scale(config: Config, inputs: Sequence[Shape]) -> Shape:
    if config["projection_dim"] != inputs[0][-1]:
        raise ValueError("projection_dim")
    return inputs[0]


def _taken(config: Config, inputs: Sequence[Shape]) -> Shape:
    """Some entries along an axis, or a single one, which leaves the axis out."""
    at, (wanted,) = _axis(config["axis"], len(inputs[0])), config["literals"]
    kept = (len(wanted),) if isinstance(wanted, list) else ()
    numbers, side = wanted if kept else [wanted], inputs[0][at]
    if any(type(n) is not int or not 0 <= n < (side or 0) for n in numbers):
        raise ValueError("indices")
    return (*inputs[0][:at], *kept, *inputs[0][at + 1:])


def _axis(axis: Any, rank: int) -> int:
    """An axis as Keras counts them, with the batch's before the image's, as an index into an image's shape."""
    at = int(axis) - 1 if int(axis) >= 0 else int(axis) + rank
    if not 0 <= at < max(rank, 1):
        raise ValueError("axis")
    return at


def product(numbers: Any) -> int:
    """The product of numbers.

    Raises:
        ValueError: one of them isn't known.
    """
    found = 1
    for n in numbers:
        if n is None:
            raise ValueError("a side depends on the picture")
        found *= int(n)
    return found


# Settings that may be lists of numbers.
_NUMBERS = ("scale", "offset", "x_min", "x_max", "mean", "variance", "alpha", "epsilon", "negative_slope", "max_value",
            "threshold")

_SAME = vocabulary.CHANNELWISE - {
    "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Flatten"} - vocabulary.POOLING | {
    "PReLU", "Softmax", "StochasticDepth", "LayerNormalization", "GroupNormalization",
    "UnitNormalization", "Normalization",
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
    *(f"keras.ops.{name}" for name in ("Relu", "Softmax", "Clip", "Cast", "Sqrt", "Erf", "Gelu")),
}

_RULES: dict[str, Callable[[Config, Sequence[Shape]], Shape]] = {
    "Conv2D": _conv, "SeparableConv2D": _conv, "DepthwiseConv2D": _depthwise, "Conv2DTranspose": _transposed,
    "MaxPooling2D": _pool, "AveragePooling2D": _pool,
    "GlobalMaxPooling1D": _row_pool, "GlobalAveragePooling1D": _row_pool, "MultiHeadAttention": _attention,
    "GlobalMaxPooling2D": _global_pool, "GlobalAveragePooling2D": _global_pool,
    "Flatten": _flatten, "ZeroPadding2D": _padding, "Cropping2D": _cropping, "UpSampling2D": _upsampling,
    "Resizing": _sized, "CenterCrop": _sized, "Reshape": _reshape,
    "Permute": lambda config, inputs: tuple(inputs[0][_axis(d, len(inputs[0]))] for d in config["dims"]),
    "Dense": lambda config, inputs: (*inputs[0][:-1], int(config["units"])),
    "Concatenate": _concatenate, "Dot": _dot,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "CustomScaleLayer"), _broadcast),
    "LayerScale": _layer_scale,
    **dict.fromkeys((f"keras.ops.{name}" for name in
                     ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Equal", "Where")), _broadcast),
    "keras.ops.Concatenate": _concatenate, "keras.ops.Reshape": _reshape_operation,
    "keras.ops.Mean": _reduced, "keras.ops.Max": _reduced, "keras.ops.Argmax": _reduced,
    "keras.ops.Squeeze": _squeeze, "keras.ops.ExpandDims": _expand, "keras.ops.Stack": _stacked,
    "keras.ops.Pad": _padded, "keras.ops.Take": _taken,
    "keras.ops.OneHot": lambda config, inputs: (*inputs[0], int(config["num_classes"])),
}


def _bias(config: Config, count: int) -> int:
    return count if config.get("use_bias", True) else 0


def _conv_weights(config: Config, shape: Shape) -> int:
    filters, groups = int(config["filters"]), int(config.get("groups") or 1)
    return product(pair(config["kernel_size"])) * product(shape[2:]) // groups * filters + _bias(config, filters)


def _depthwise_weights(config: Config, shape: Shape) -> int:
    channels = product(shape[2:]) * int(config.get("depth_multiplier", 1))
    return product(pair(config["kernel_size"])) * channels + _bias(config, channels)


def _separable_weights(config: Config, shape: Shape) -> int:
    between, filters = product(shape[2:]) * int(config.get("depth_multiplier", 1)), int(config["filters"])
    return product(pair(config["kernel_size"])) * between + between * filters + _bias(config, filters)


def _dense_weights(config: Config, shape: Shape) -> int:
    units = int(config["units"])
    return product(shape[-1:]) * units + _bias(config, units)


def _attention_weights(config: Config, shape: Shape) -> int:
    """Projections of query, key and value to all heads, and back."""
    heads, key, depth = int(config["num_heads"]), int(config["key_dim"]), product(shape[-1:])
    value = int(config.get("value_dim") or key)
    back = heads * value * depth + _bias(config, depth)
    return 2 * (heads * key * depth + _bias(config, heads * key)) + heads * value * depth \
        + _bias(config, heads * value) + back


def _prelu_weights(config: Config, shape: Shape) -> int:
    shared = {_axis(axis, len(shape)) for axis in config.get("shared_axes") or []}
    return product(n for i, n in enumerate(shape) if i not in shared)


def _norm_weights(config: Config, shape: Shape) -> int:
    """Scale and centre along one axis or several."""
    axes = config.get("axis", -1)
    length = product(shape[_axis(axis, len(shape))] for axis in (axes if isinstance(axes, list) else [axes]))
    return length * (bool(config.get("scale", True)) + bool(config.get("center", True)))


def _batch_norm_weights(config: Config, shape: Shape) -> int:
    return _norm_weights(config, shape) + _norm_weights({"axis": config.get("axis", -1)}, shape)


def _statistics_weights(config: Config, shape: Shape) -> int:
    """A Normalization layer's mean and variance, unless they are settings."""
    if config.get("mean") is not None or config.get("axis", -1) is None:
        return 0
    return _norm_weights({"axis": config.get("axis", -1)}, shape)


_WEIGHTS: dict[str, Callable[[Config, Shape], int]] = {
    "Conv2D": _conv_weights, "Conv2DTranspose": _conv_weights, "DepthwiseConv2D": _depthwise_weights,
    "SeparableConv2D": _separable_weights, "Dense": _dense_weights, "PReLU": _prelu_weights,
    "MultiHeadAttention": _attention_weights, "LayerScale": lambda config, shape: int(config["projection_dim"]),
    "BatchNormalization": _batch_norm_weights, "LayerNormalization": _norm_weights,
    "GroupNormalization": _norm_weights, "Normalization": _statistics_weights,
}
