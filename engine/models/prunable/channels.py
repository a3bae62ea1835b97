"""What can be pruned: convolutions, separable ones too, and maps joined of several branches, all channels of them.

A channel of a convolution is pruned by zero weights and bias. A joined map has no weights, and its channels may be
needed elsewhere as well: there a layer behind it lets the other channels through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import backend
from engine.models import vocabulary
from engine.models.layer_graph import Node, unused_name

_CONVOLUTIONS = frozenset({"Conv2D", "SeparableConv2D"})
JOINING = "Concatenate"
# The layer behind a joined map is named after it; of a network pruned before there is one already.
_SUFFIX = "_kept"


def channels_of(node: Node) -> int | None:
    """The number of channels that a use of a layer has to prune; None where it has none."""
    if node.kind == JOINING:
        joined = node.shape is not None and len(node.shape) == 3 and node.config.get("axis", -1) in (-1, 3)
        return node.shape[2] if joined and node.shape else None
    if node.kind not in _CONVOLUTIONS or node.config.get("data_format", "channels_last") != "channels_last":
        return None
    activation = node.config.get("activation") or "linear"
    elementwise = isinstance(activation, str) and activation in vocabulary.ELEMENTWISE_ACTIVATIONS
    return int(node.config["filters"]) if elementwise else None


def node_of(name: str, layer: Any, parents: list[int], output: Any) -> Node:
    """A use of a built layer as a configuration would have it, with what `channels_of` and `default_layer` ask for.

    Args:
        output: the symbolic tensor that it gives.
    """
    settings = {key: getattr(layer, key) for key in ("filters", "data_format", "axis") if hasattr(layer, key)}
    activation = getattr(layer, "activation", None)
    settings["activation"] = getattr(activation, "__name__", None if activation is None else "unknown")
    kind = type(layer).__name__ if hasattr(layer, "weights") else f"keras.ops.{type(layer).__name__}"
    return Node(name, kind, settings, parents, tuple(output.shape[1:]))


def masked_value(layer: Any) -> float:
    """What a pruned channel gives everywhere: activation(0) of a convolution, 0 in a joined map."""
    if type(layer).__name__ == JOINING:
        return 0.0
    _, keras = backend.load()
    return float(keras.ops.convert_to_numpy(layer.activation(keras.ops.zeros((1,), "float32")))[0])


def channel_weights(layer: Any) -> list[Any]:
    """A layer's variables whose last axis is the channel; none of a joined map."""
    return [variable for variable in layer.weights if not variable.path.endswith("depthwise_kernel")]


def with_channels_shut(model: Any, layer: str, channels: Sequence[int]) -> Any:
    """A model of its own with the same weights, and a layer behind a joined map that lets no such channel through.

    Args:
        layer: the name of a Concatenate, behind those of the models it lies in.
    """
    _, keras = backend.load()
    first, _, inside = layer.partition("/")

    def own(part: Any) -> Any:
        if inside and part.name == first:
            return with_channels_shut(part, inside, channels)
        return type(part).from_config(part.get_config())

    if isinstance(model, keras.Sequential):
        made = keras.Sequential([model.inputs[0], *map(own, model.layers)], name=model.name)
    else:
        name = unused_name(first + _SUFFIX, dict.fromkeys((part.name for part in model.layers), 0))
        shut = keras.layers.DepthwiseConv2D(1, use_bias=False, trainable=False, name=name)

        def call(part: Any, *args: Any, **kwargs: Any) -> Any:
            output = part(*args, **kwargs)
            return shut(output) if not inside and part.name == first else output

        made = keras.models.clone_model(model, clone_function=own, call_function=call)
    for part in model.layers:
        if part.weights and not (inside and part.name == first):
            made.get_layer(part.name).set_weights(part.get_weights())
    if not inside:
        kernel = np.ones_like(shut.get_weights()[0])
        kernel[:, :, list(channels)] = 0
        shut.set_weights([kernel])
    return made
