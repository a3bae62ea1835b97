"""Writes a network as Keras 2 did, so that the lab's own scripts, written for Keras 2, can load B'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine import backend
from engine.files.saving import for_hdf5
from engine.models.networks import Network
from engine.models.vocabulary import OTHER_IN_KERAS2

_KERAS_3_ONLY = {"module", "registered_name", "build_config", "compile_config", "synchronized", "optional",
                 "quantization_config", "lora_rank", "lora_alpha"}
# Settings of layers that Keras 2 doesn't take; they say how training goes, or what is so in every network of images.
_SETTINGS_OF_KERAS_3 = {
    **dict.fromkeys(("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "CenterCrop",
                     "SpatialDropout2D"), "data_format"),
    "RandomContrast": "value_range"}
# The lab's third-party files carry this version; every later Keras reads it.
_KERAS_VERSION = "2.4.0"
# HDF5 keeps less than 64 KB in an attribute; Keras parts at the same size.
_ATTRIBUTE_BYTES = 64_512


def fits_keras2(network: Network) -> bool:
    """Whether a network consists of layers alone that compute the same there; Keras 2 keeps no other operations on
    tensors."""
    _, keras = backend.load()
    others = [keras.activations.get(name) for name in OTHER_IN_KERAS2]
    return not _called_otherwise(network.model.get_config()) and all(
        isinstance(operation, keras.layers.Layer) and getattr(operation, "activation", None) not in others
        for operation in _operations(network.model))


def _operations(model: Any) -> Iterator[Any]:
    for operation in getattr(model, "operations", model.layers):
        yield operation
        if hasattr(operation, "layers"):
            yield from _operations(operation)


def _called_otherwise(config: Any) -> bool:
    """Whether a layer is given tensors in several arguments or by keyword: in files of Keras 2 all are one list."""
    if isinstance(config, dict) and {"args", "kwargs"} <= set(config):
        return len(config["args"]) > 1 or "__keras_tensor__" in str(config["kwargs"])
    inside = config.values() if isinstance(config, dict) else config if isinstance(config, list | tuple) else ()
    return any(map(_called_otherwise, inside))


def save_keras2_h5(network: Network, path: Path) -> None:
    """Write a whole model in the `.h5` layout of Keras 2.4, weights bit for bit.

    Args:
        network: of layers that Keras 2 knows; newer ones are written all the same and need Keras 3 to read.
    Raises:
        OSError: it can't be written.
    """
    model = network.model
    inside = _keras2(model.get_config())
    for key in ("input_layers", "output_layers"):
        if inside.get(key) and isinstance(inside[key][0], str):  # of a nested one, Keras 3 takes none but a bare one
            inside[key] = [inside[key]]
    config = {"class_name": type(model).__name__, "config": inside}
    with for_hdf5(path) as stream, h5py.File(stream, "w") as file:
        weights = file.create_group("model_weights")
        for place in (file, weights):
            # As bytes: Keras 2 decodes them, which a string doesn't take.
            place.attrs["keras_version"] = _KERAS_VERSION.encode()
            place.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        layers = [layer for layer in model.layers if hasattr(layer, "weights")]
        _note_names(weights, "layer_names", [layer.name for layer in layers])
        for layer in layers:
            group = weights.create_group(layer.name)
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = _weight_names(layer.name, [getattr(v, "path", v.name) for v in variables])
            _note_names(group, "weight_names", names)
            for name, variable in zip(names, variables, strict=True):
                group[name] = np.asarray(variable)


def _note_names(group: h5py.Group, key: str, names: list[str]) -> None:
    """A list of names as Keras keeps it: in numbered parts where one attribute doesn't hold it."""
    found = np.array([name.encode() for name in names])
    # A part may be longer by one name than the others.
    parts = np.array_split(found, 1 + found.nbytes // max(1, _ATTRIBUTE_BYTES - found.itemsize))
    for number, part in enumerate(parts):
        group.attrs[key if len(parts) == 1 else f"{key}{number}"] = part


def _weight_names(layer: str, paths: list[str]) -> list[str]:
    """Keras 2's names of a layer's weights, numbered where a nested model has several of one name."""
    own = [path.split("/", 1)[-1] for path in paths]
    return [f"{layer}/{name if own.count(name) == 1 else f'{number}_{name}'}:0" for number, name in enumerate(own)]


def _keras2(node: Any) -> Any:
    """A Keras 3 configuration in Keras 2's words."""
    if isinstance(node, list | tuple):
        return [_keras2(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
        return node["config"]["name"]
    plain = {key: _keras2(value) for key, value in node.items() if key not in _KERAS_3_ONLY}
    if plain.get("keepdims") is False:  # the only way before Keras 2.6, and then without a word for it
        del plain["keepdims"]
    if node.get("class_name") == "LeakyReLU":  # Keras 3 reads its old name too
        plain["config"]["alpha"] = plain["config"].pop("negative_slope")
    if isinstance(plain.get("config"), dict):
        plain["config"].pop(_SETTINGS_OF_KERAS_3.get(plain.get("class_name", "")), None)
    if "batch_shape" in plain:
        plain["batch_input_shape"] = plain.pop("batch_shape")
    if "inbound_nodes" in node:
        plain["inbound_nodes"] = [_keras2_node(inbound) for inbound in node["inbound_nodes"]]
    for key in ("input_layers", "output_layers"):
        if isinstance(plain.get(key), dict):  # by names
            plain[key] = list(plain[key].values())
    return plain


def _keras2_node(inbound: Any) -> list[Any]:
    found: list[Any] = []

    def collect(item: Any) -> None:
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            found.append([*item["config"]["keras_history"], {}])
        elif isinstance(item, dict):
            for value in item.values():
                collect(value)
        elif isinstance(item, list | tuple):
            for value in item:
                collect(value)

    collect(inbound.get("args", []) if isinstance(inbound, dict) else inbound)
    return found
