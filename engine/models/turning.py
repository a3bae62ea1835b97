"""Networks that take (channels, height, width) turned to take (height, width, channels), as pictures lie in files.

Weights stay as they are: Keras keeps kernels in one order for both.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.models import vocabulary
from engine.models.config import Config
from engine.models.layer_graph import layer_name, nodes_of

_FIRST, _LAST = "channels_first", "channels_last"
# Where the axes of a batch of maps go.
_AXES = {1: 3, 2: 1, 3: 2}
# Layers on maps that turn with their data format, or that treat every value by itself.
_TURNING = vocabulary.POOLING | frozenset({
    "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "ZeroPadding2D", "Cropping2D", "UpSampling2D",
    "SpatialDropout2D", "Flatten"})
_ALONG_AN_AXIS = frozenset({"BatchNormalization", "Concatenate", "Softmax", "LayerNormalization",
                            "GroupNormalization"})
_BY_ITSELF = frozenset({
    "InputLayer", "Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization", "Identity", "Add", "Subtract", "Multiply", "Average", "Maximum",
    "Minimum"})
# Layers that change pictures in training alone.
_IDLE = frozenset({"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast",
                   "RandomBrightness"})


def turned(config: Config, path: Path) -> Config:
    """A checked configuration whose maps have their channels last; the one given where they have already.

    Raises:
        ModelError: a layer would compute something else on turned maps.
    """
    if not _is_first(config):
        return config
    ranks = {node.name: max(len(node.shape or ()), *(len(nodes[parent].shape or ()) for parent in node.parents), 0)
             for nodes in [nodes_of(config, path)] for node in nodes}
    result = copy.deepcopy(config)
    _turn(result, "", ranks, path)
    return result


def _is_first(model: Config) -> bool:
    inside: list[Any] = model["config"]["layers"]
    return any(_is_first(layer) if layer["class_name"] in vocabulary.CONTAINERS
               else layer["class_name"] in _TURNING - {"Flatten"} and layer["config"].get("data_format") == _FIRST
               for layer in inside)


def _turn(model: Config, prefix: str, ranks: dict[str, int], path: Path) -> None:
    for layer in model["config"]["layers"]:
        kind, config = layer["class_name"], layer["config"]
        name = prefix + layer_name(layer)
        if kind in vocabulary.CONTAINERS:
            _turn(layer, f"{name}/", ranks, path)
            continue
        for key in ("batch_shape", "batch_input_shape"):
            if len(config.get(key) or ()) == 4:
                batch, channels, height, width = config[key]
                config[key] = [batch, height, width, channels]
        # The input of a model inside is no node of its own.
        if ranks.get(name, 3) == 3 and not _turns(layer):
            raise ModelError(f"{path}: has its channels before height and width, and it isn't known that "
                             f"'{name[:200]}' ({kind}) computes the same on turned pictures; refused. Save the model "
                             "for pictures (height, width, channels).")


def _turns(layer: Config) -> bool:
    """Turn a layer on maps; whether it can be."""
    kind, config = layer["class_name"], layer["config"]
    if vocabulary.is_operation(layer.get("module")):
        return False
    if kind in _TURNING:
        if config.get("data_format") != _FIRST:
            return False
        config["data_format"] = _LAST
    elif kind in _ALONG_AN_AXIS:
        axis = config.get("axis", -1)
        if type(axis) is not int or axis % 4 not in _AXES:
            return False
        config["axis"] = _AXES[axis % 4]
    elif kind in _IDLE:
        config.update({"data_format": _LAST} if "data_format" in config else {})
    elif kind == "Rescaling":
        return all(isinstance(config.get(key), int | float) for key in ("scale", "offset"))
    elif kind not in _BY_ITSELF:
        return False
    activation = config.get("activation")
    return _turns(activation) if isinstance(activation, dict) \
        else activation not in ("softmax", "log_softmax", "sparsemax")
