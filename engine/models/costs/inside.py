"""Values that layers make on the way to their output, where there may be far more of them than in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.models.shapes import Config, Shape, channels_last, pair, product, window

# Values of one image between two layers: a quarter of a gigabyte.
MOST_OF_AN_IMAGE = 1 << 26

_Known = tuple[int, ...]


def makes_inside(kind: str) -> bool:
    """Whether a layer of a kind makes values on the way that aren't in its output."""
    return kind in _INSIDE


def values_inside(kind: str, config: Config, inputs: Sequence[Shape]) -> int:
    """The most values of one image that a layer makes on the way to its output; 0 of one that makes none.

    Sides that depend on the picture count as 1.

    Raises:
        ValueError: its settings make no sense.
    """
    rule = _INSIDE.get(kind)
    if rule is None:
        return 0
    try:
        return rule(config, [tuple(n or 1 for n in channels_last(config, shape)) for shape in inputs])
    except (KeyError, IndexError, TypeError, ArithmeticError) as error:
        raise ValueError(str(error)) from error


def _dilated(config: Config, inputs: Sequence[_Known]) -> int:
    """TensorFlow pads a picture for the dilation and up to its multiples, and convolves each place in it by itself."""
    dilation, same = pair(config.get("dilation_rate", 1)), config.get("padding") == "same"
    if max(dilation) <= 1:
        return 0
    sides = [math.ceil((n + (d * (k - 1) if same else 0)) / d) * d
             for n, k, d in zip(inputs[0][:2], pair(config["kernel_size"]), dilation, strict=True)]
    return product(sides) * product(inputs[0][2:]) * int(config.get("depth_multiplier", 1))


def _separable(config: Config, inputs: Sequence[_Known]) -> int:
    sides = window(config, inputs[0], config["kernel_size"], config.get("strides", 1))
    between = product(sides) * product(inputs[0][2:]) * int(config.get("depth_multiplier", 1))
    return max(between, _dilated(config, inputs))


def _spread(config: Config, inputs: Sequence[_Known]) -> int:
    """What each place of a map becomes, before those that lie upon each other are added."""
    return product(inputs[0][:2]) * product(pair(config["kernel_size"])) * int(config["filters"])


def _heads(config: Config, inputs: Sequence[_Known]) -> int:
    """Projections of all rows, and each row's regard for each other one, of every head."""
    key = int(config["key_dim"])
    rows = [product(shape[:-1]) for shape in inputs[:2]]
    each = max(rows) * max(key, int(config.get("value_dim") or key))
    return int(config["num_heads"]) * max(each, rows[0] * rows[-1])


def _resized(config: Config, inputs: Sequence[_Known]) -> int:
    """A picture that is padded to the ratio of another size."""
    if not config.get("pad_to_aspect_ratio"):
        return 0
    height, width, channels = inputs[0]
    to_height, to_width = int(config["height"]), int(config["width"])
    return max(height, width * to_height // to_width) * max(width, height * to_width // to_height) * channels


_INSIDE: dict[str, Callable[[Config, Sequence[_Known]], int]] = {
    "Conv2D": _dilated, "DepthwiseConv2D": _dilated, "SeparableConv2D": _separable, "Conv2DTranspose": _spread,
    "MultiHeadAttention": _heads, "Resizing": _resized,
}
