"""What ONNX writes as two operators and Keras as one layer: a ReLU behind a convolution, a bias behind a product.

It makes a difference where channels are ranked: by what a convolution's ReLU lets through, as in a Keras network.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.models.config import Config
from engine.models.from_onnx.building import references

Weights = dict[str, list[npt.NDArray[Any]]]


def fuse(layers: list[Config], weights: Weights, answer: str) -> str:
    """Join such pairs in the layer that comes first, in place; nothing refers to the second one any more.

    Returns:
        The name of the layer that gives the answer now.
    """
    named = {layer["name"]: layer for layer in layers}
    uses = Counter([answer, *(tensor[0] for layer in layers for tensor in references(layer))])
    joined: dict[str, str] = {}
    for layer in layers:
        fed_by = references(layer)
        for tensor in fed_by:
            tensor[0] = joined.get(tensor[0], tensor[0])
        above = named[fed_by[0][0]] if len(fed_by) == 1 else None
        if above and uses[above["name"]] == 1 and (_active(layer, above) or _biased(layer, above, weights)):
            joined[layer["name"]] = above["name"]
            uses[above["name"]] = uses[layer["name"]]
    return joined.get(answer, answer)


def _active(layer: Config, above: Config) -> bool:
    """Let a layer of weights take over the ReLU behind it."""
    if layer["class_name"] != "ReLU" or layer["config"].get("max_value") is not None \
            or above["class_name"] not in ("Conv2D", "DepthwiseConv2D", "Dense") or "activation" in above["config"]:
        return False
    above["config"]["activation"] = "relu"
    return True


def _biased(layer: Config, above: Config, weights: Weights) -> bool:
    """Let a dense layer without a bias take over the numbers added behind it."""
    config = layer["config"]
    if layer["class_name"] != "Rescaling" or config["scale"] != 1.0 or above["class_name"] != "Dense" \
            or above["config"]["use_bias"] or "activation" in above["config"]:
        return False
    above["config"]["use_bias"] = True
    units = above["config"]["units"]
    weights[above["name"]].append(np.broadcast_to(np.asarray(config["offset"], np.float32), units))
    return True
