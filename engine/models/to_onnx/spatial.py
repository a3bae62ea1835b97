"""Layers that look at neighbourhoods: convolution, pooling, borders, other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.models.shapes import same_border
from engine.models.to_onnx.elementwise import activated
from engine.models.to_onnx.writing import Rule, Use, Value, numbers_of


def _conv(use: Use) -> Value:
    layer, x = use.layer, use.map()
    kernel = numbers_of(layer.kernel).transpose(3, 2, 0, 1)
    return activated(use, _convolved(use, x, kernel, layer.groups, biased=True), layer.activation)


def _depthwise(use: Use) -> Value:
    layer, x = use.layer, use.map()
    found = _convolved(use, x, _apart(numbers_of(layer.kernel)), _channels(use, x), biased=True)
    return activated(use, found, layer.activation)


def _separable(use: Use) -> Value:
    layer, x = use.layer, use.map()
    channels = _channels(use, x)
    apart = _convolved(use, x, _apart(numbers_of(layer.depthwise_kernel)), channels, biased=False)
    together = numbers_of(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    inputs = [apart.name, use.number(together, "pointwise"), *_bias(use)]
    return activated(use, use.result(use.put("Conv", *inputs), turned=True), layer.activation)


def _transposed(use: Use) -> Value:
    layer, x = use.layer, use.map()
    if max(layer.dilation_rate) > 1 or layer.output_padding is not None:
        use.refuse("has a dilation or a border of its own")
    size, strides, same = layer.kernel_size, layer.strides, layer.padding == "same"
    over = [k - s for k, s in zip(size, strides, strict=True)]
    cut = [max(o, 0) if same else 0 for o in over]
    pads = [c // 2 for c in cut] + [c - c // 2 for c in cut]
    kernel = use.number(numbers_of(layer.kernel).transpose(3, 2, 0, 1), "weight")
    found = use.put("ConvTranspose", x, kernel, *_bias(use), strides=list(strides), pads=pads,
                    output_padding=[max(-o, 0) for o in over])
    return activated(use, use.result(found, turned=True), layer.activation)


def _convolved(use: Use, x: Value, kernel: Any, groups: int, biased: bool) -> Value:
    layer = use.layer
    use.channels_last()
    settings = {"strides": list(layer.strides), "dilations": list(layer.dilation_rate), "group": groups,
                **_border(use, x, kernel.shape[2:], layer.strides, layer.dilation_rate)}
    inputs = [use.number(kernel, "weight"), *(_bias(use) if biased else ())]
    return use.result(use.put("Conv", x, *inputs, **settings), turned=True)


def _bias(use: Use) -> list[str]:
    return [use.number(numbers_of(use.layer.bias), "bias")] if use.layer.use_bias else []


def _apart(kernel: Any) -> Any:
    """Kernels [h, w, channels, multiplier] of a depthwise convolution as ONNX's of one group a channel."""
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def _channels(use: Use, x: Value) -> int:
    channels = x.shape[3]
    if channels is None:
        use.refuse("is given an unknown number of channels")
    return channels


def _border(use: Use, x: Value, size: Sequence[int], strides: Sequence[int],
            dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """The setting that adds a border as Keras does."""
    if use.layer.padding != "same":
        return {}
    sides = list(zip(x.shape[1:3], size, strides, dilation, strict=True))
    for side, k, s, _ in sides:
        if side is None and s > 1 and k > 1:
            # The border depends on the picture's size. Beside a dilation onnxruntime refuses this rule; Keras has none
            # beside a stride.
            return {"auto_pad": "SAME_UPPER"}
    # Without a stride the border is the same for every size.
    before, behind = zip(*(same_border(side or 1, k, s, d) for side, k, s, d in sides), strict=True)
    return {"pads": [*before, *behind]}


def _pool(kind: str) -> Rule:
    def rule(use: Use) -> Value:
        use.channels_last()
        layer, x = use.layer, use.map()
        strides = layer.strides or layer.pool_size
        border = _border(use, x, layer.pool_size, strides)
        # A convolution's border is then 0, as Keras's is; a pooling's is negative in onnxruntime, which refuses it.
        if "auto_pad" in border and any(k < s for k, s in zip(layer.pool_size, strides, strict=True)):
            use.refuse("has a window smaller than its stride, the border of which ONNX doesn't find for any size")
        found = use.put(kind, x, kernel_shape=list(layer.pool_size), strides=list(strides), **border)
        return use.result(found, turned=True)

    return rule


def _global_pool(kind: str) -> Rule:
    def rule(use: Use) -> Value:
        use.channels_last()
        found = use.put(kind, use.map())
        return use.result(found, turned=True) if use.layer.keepdims else \
            use.result(use.put("Flatten", found, axis=1))

    return rule


def _zero_padding(use: Use) -> Value:
    use.channels_last()
    x, ((top, bottom), (left, right)) = use.map(), use.layer.padding
    pads = use.number([0, 0, top, left, 0, 0, bottom, right], "pads", np.int64)
    return use.result(use.put("Pad", x, pads), turned=True)


def _cropping(use: Use) -> Value:
    use.channels_last()
    x, ((top, bottom), (left, right)) = use.map(), use.layer.cropping
    most = np.iinfo(np.int64).max
    bounds = [[top, left], [-bottom or most, -right or most], [2, 3]]
    return use.result(use.put("Slice", x, *(use.number(b, "bounds", np.int64) for b in bounds)), turned=True)


def _upsampling(use: Use) -> Value:
    use.channels_last()
    layer, x = use.layer, use.map()
    if layer.interpolation not in ("nearest", "bilinear"):
        use.refuse(f"is enlarged by the rule {layer.interpolation}")
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} \
        if layer.interpolation == "nearest" else {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    scales = use.number([1, 1, *layer.size], "scales")
    return use.result(use.put("Resize", x, "", scales, **how), turned=True)


RULES: dict[str, Rule] = {
    "Conv2D": _conv, "DepthwiseConv2D": _depthwise, "SeparableConv2D": _separable, "Conv2DTranspose": _transposed,
    "MaxPooling2D": _pool("MaxPool"), "AveragePooling2D": _pool("AveragePool"),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"), "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "ZeroPadding2D": _zero_padding, "Cropping2D": _cropping, "UpSampling2D": _upsampling,
}
