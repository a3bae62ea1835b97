"""A model's layers and shapes worked out from its configuration alone, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import vocabulary
from engine.deepid import INPUT_SHAPE
from engine.model_files import Config, ModelFile, read_model_file

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerDescription:
    """One layer: `shape` of one image's output (None where it isn't known), `channels` if it can be pruned."""

    name: str
    kind: str
    shape: Shape | None
    channels: int | None


@dataclass(frozen=True)
class ModelDescription:
    """What can be said of a model file without running it."""

    path: Path
    format: str
    sha256: str
    parameters: int
    input_shape: Shape | None
    labels: int | None
    layers: tuple[LayerDescription, ...]
    default_layer: str | None


@dataclass
class _Node:
    name: str
    kind: str
    config: Config
    parents: list[int]
    shape: Shape | None


def describe_model(path: Path) -> ModelDescription:
    """Describe a model file's layers, shapes and the layer pruned by default.

    Raises:
        ModelError: the file isn't a model or isn't safe to open.
    """
    file = read_model_file(path)
    nodes = _deepid_nodes(file) if file.config is None else _nodes(file.config)
    uses = [node.name for node in nodes]
    layers = tuple(
        LayerDescription(n.name, n.kind, n.shape, _channels(n) if uses.count(n.name) == 1 else None) for n in nodes)
    final = nodes[-1].shape if nodes else None
    return ModelDescription(
        path, file.format, file.sha256, file.parameters, nodes[0].shape if nodes else None,
        final[0] if final and len(final) == 1 else None, layers, _default_layer(nodes, layers))


def _channels(node: _Node) -> int | None:
    if node.kind != "Conv2D" or node.config.get("data_format", "channels_last") != "channels_last":
        return None
    activation = node.config.get("activation") or "linear"
    return int(node.config["filters"]) if activation in vocabulary.ELEMENTWISE_ACTIVATIONS else None


def _default_layer(nodes: Sequence[_Node], layers: Sequence[LayerDescription]) -> str | None:
    prunable = [i for i, layer in enumerate(layers) if layer.channels]
    pools = [i for i, node in enumerate(nodes) if node.kind in vocabulary.POOLING]
    if pools:
        above: set[int] = set()
        waiting = list(nodes[pools[-1]].parents)
        while waiting:
            index = waiting.pop()
            if index not in above:
                above.add(index)
                waiting += nodes[index].parents
        prunable = [i for i in prunable if i in above] or prunable
    return layers[prunable[-1]].name if prunable else None


def _deepid_nodes(file: ModelFile) -> list[_Node]:
    """DeepID's layers as `deepid.build_deepid` builds them; a test holds the two together."""
    def conv(filters: int, size: int) -> Config:
        return {"filters": filters, "kernel_size": [size, size], "activation": "relu"}

    layers: list[tuple[str, str, Config, list[str]]] = [("input", "InputLayer", {}, [])]
    last = "input"
    for n, (filters, size) in enumerate(((20, 4), (40, 3), (60, 3)), start=1):
        layers.append((f"conv_{n}", "Conv2D", conv(filters, size), [last]))
        last = f"pool_{n}"
        layers.append((last, "MaxPooling2D", {"pool_size": [2, 2]}, [f"conv_{n}"]))
    layers += [
        ("conv_4", "Conv2D", conv(80, 2), ["pool_3"]), ("flatten_1", "Flatten", {}, ["pool_3"]),
        ("flatten_2", "Flatten", {}, ["conv_4"]), ("fc_1", "Dense", {"units": 160}, ["flatten_1"]),
        ("fc_2", "Dense", {"units": 160}, ["flatten_2"]), ("add_1", "Add", {}, ["fc_1", "fc_2"]),
        ("activation_1", "Activation", {"activation": "relu"}, ["add_1"]),
        ("output", "Dense", {"units": file.deepid_labels}, ["activation_1"]),
    ]
    nodes: list[_Node] = []
    index: dict[str, int] = {}
    for name, kind, config, parents in layers:
        _append(nodes, name, kind, config, [index[p] for p in parents], INPUT_SHAPE if not nodes else None)
        index[name] = len(nodes) - 1
    return nodes


def _nodes(config: Config) -> list[_Node]:
    nodes: list[_Node] = []
    _add_model(nodes, config, None, "")
    return nodes


def _add_model(nodes: list[_Node], model: Config, outer: int | None, prefix: str) -> int:
    """Append a model's layers, nested ones opened up; the index of the node that is its output."""
    config = model["config"]
    last: dict[str, int] = {}
    previous = outer
    for layer in config.get("layers", []):
        inner, kind = layer.get("config", {}), layer["class_name"]
        name = str(layer.get("name") or inner.get("name") or kind)
        for parents in _uses(layer, last, previous, sequential=model["class_name"] == "Sequential"):
            if kind == "InputLayer":
                if outer is not None:
                    index = outer
                else:
                    shape = inner.get("batch_shape") or inner.get("batch_input_shape") or [None]
                    index = _append(nodes, prefix + name, kind, inner, [], tuple(shape[1:]))
            elif kind in vocabulary.CONTAINERS:
                index = _add_model(nodes, layer, parents[0] if parents else None, f"{prefix}{name}/")
            else:
                index = _append(nodes, prefix + name, kind, inner, parents, None)
            last[name] = previous = index
    output = config.get("output_layers")
    while isinstance(output, list) and output and isinstance(output[0], list):
        output = output[0]
    answering = output[0] if isinstance(output, list) and output else ""
    return last.get(str(answering), len(nodes) - 1)


def _uses(layer: Config, last: dict[str, int], previous: int | None, *, sequential: bool) -> list[list[int]]:
    """Indices of the layers that feed a layer, once for each time it is used."""
    if sequential or not layer.get("inbound_nodes"):
        return [[] if previous is None or (not sequential) else [previous]]
    return [[last[name] for name in _sources(node) if name in last] for node in layer["inbound_nodes"]]


def _sources(node: Any) -> list[str]:
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return [node["config"]["keras_history"][0]]
        return [name for value in node.values() for name in _sources(value)]
    if isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            return [node[0]]
        return [name for value in node for name in _sources(value)]
    return []


def _append(nodes: list[_Node], name: str, kind: str, config: Config, parents: list[int], shape: Shape | None) -> int:
    if shape is None and parents:
        shape = output_shape(kind, config, [nodes[p].shape for p in parents])
    nodes.append(_Node(name, kind, config, parents, shape))
    return len(nodes) - 1


def output_shape(kind: str, config: Config, inputs: Sequence[Shape | None]) -> Shape | None:
    """The shape of one image's output (no batch axis), or None where this table doesn't know."""
    rule = _RULES.get(kind)
    if any(shape is None for shape in inputs) or not inputs:
        return None
    known = [shape for shape in inputs if shape is not None]
    try:
        return rule(config, known) if rule else (known[0] if kind in _SAME else None)
    except (KeyError, IndexError, TypeError, ValueError):
        return None


_SAME = vocabulary.CHANNELWISE | vocabulary.MERGING | {
    "PReLU", "Softmax", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Normalization",
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
}


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _window(config: Config, shape: Shape, size: Any, strides: Any) -> tuple[int | None, int | None]:
    dilation = _pair(config.get("dilation_rate", 1))
    same = config.get("padding", "valid") == "same"
    sides = [None if n is None else
             math.ceil(n / s) if same else (n - d * (k - 1) - 1) // s + 1
             for n, k, s, d in zip(shape[:2], _pair(size), _pair(strides), dilation, strict=True)]
    return sides[0], sides[1]


def _conv(config: Config, inputs: Sequence[Shape]) -> Shape:
    sides = _window(config, inputs[0], config["kernel_size"], config.get("strides", 1))
    return (*sides, int(config["filters"]))


def _depthwise(config: Config, inputs: Sequence[Shape]) -> Shape:
    sides = _window(config, inputs[0], config["kernel_size"], config.get("strides", 1))
    return (*sides, (inputs[0][2] or 0) * int(config.get("depth_multiplier", 1)))


def _pool(config: Config, inputs: Sequence[Shape]) -> Shape:
    size = config.get("pool_size", 2)
    return (*_window(config, inputs[0], size, config.get("strides") or size), inputs[0][2])


def _global_pool(config: Config, inputs: Sequence[Shape]) -> Shape:
    return (1, 1, inputs[0][2]) if config.get("keepdims") else (inputs[0][2],)


def _flatten(_: Config, inputs: Sequence[Shape]) -> Shape:
    return (None if None in inputs[0] else math.prod(n or 0 for n in inputs[0]),)


def _padding(config: Config, inputs: Sequence[Shape]) -> Shape:
    (top, bottom), (left, right) = config["padding"]
    height, width, channels = inputs[0]
    return (None if height is None else height + top + bottom, None if width is None else width + left + right,
            channels)


def _cropping(config: Config, inputs: Sequence[Shape]) -> Shape:
    (top, bottom), (left, right) = config["cropping"]
    return _padding({"padding": ((-top, -bottom), (-left, -right))}, inputs)


def _concatenate(_: Config, inputs: Sequence[Shape]) -> Shape:
    last = [shape[-1] for shape in inputs]
    return (*inputs[0][:-1], None if None in last else sum(n or 0 for n in last))


_RULES: dict[str, Callable[[Config, Sequence[Shape]], Shape]] = {
    "Conv2D": _conv, "SeparableConv2D": _conv, "DepthwiseConv2D": _depthwise,
    "MaxPooling2D": _pool, "AveragePooling2D": _pool,
    "GlobalMaxPooling2D": _global_pool, "GlobalAveragePooling2D": _global_pool,
    "Flatten": _flatten, "ZeroPadding2D": _padding, "Cropping2D": _cropping, "Concatenate": _concatenate,
    "Dense": lambda config, inputs: (*inputs[0][:-1], int(config["units"])),
    "Reshape": lambda config, inputs: tuple(config["target_shape"]),
    "Resizing": lambda config, inputs: (config["height"], config["width"], inputs[0][2]),
    "UpSampling2D": lambda config, inputs: (
        *(None if n is None else n * f for n, f in zip(inputs[0][:2], _pair(config["size"]), strict=True)),
        inputs[0][2]),
    "OneHot": lambda config, inputs: (*inputs[0], int(config["num_classes"])),
    "Argmax": lambda config, inputs: inputs[0][:-1],
    "Equal": lambda config, inputs: inputs[0],
    "Where": lambda config, inputs: inputs[0],
}
