"""A model's configuration, rebuilt from what is known and checked: nothing else of it reaches Keras.

What is given to Keras is made here, piece by piece: layers of Keras's own that are on the list in `vocabulary`,
with plain numbers and words for settings. What only training needs (optimizers, losses, initializers,
regularizers, constraints) is looked at and left out, so nothing of it is ever built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import ModelError
from engine.models import vocabulary
from engine.models.from_keras.operations import OF_TENSORFLOW, as_operation, by_name

Config = dict[str, Any]

_MOST_NESTED = 16
_MOST_ITEMS = 100_000
_LARGEST_NUMBER = 1 << 31
_LONGEST_WORD = 1000
_LONGEST_NAME = 400
# What TensorFlow computes under; Keras refuses the "/" that it would allow.
_NAME = re.compile(r"[A-Za-z0-9_.\\>-]+")

_ACTIVATION_KEYS = frozenset({"activation", "recurrent_activation", "activation_fn", "function"})
# Settings that would add weights or change the arithmetic behind the layer's back.
_REFUSED_KEYS = frozenset({"lora_rank", "lora_alpha", "quantization_config"})
# Settings that Keras 2 wrote and Keras 3 doesn't take, with what they may say, because it means nothing.
_KERAS2_ALONE: dict[str, dict[str, tuple[Any, ...]]] = {
    "DepthwiseConv2D": {"groups": (1,)}, "Conv2DTranspose": {"groups": (1,)},
    "SeparableConv2D": {"groups": (1,), "kernel_initializer": ("zeros",), "kernel_regularizer": (None,),
                        "kernel_constraint": (None,)},
    "SpatialDropout2D": {"noise_shape": (None,), "trainable": (True, False)},
    # Of training only.
    **{f"Random{what}": {"rng_type": (None, "stateful", "stateless", "legacy_stateful")} for what in (
        "Flip", "Rotation", "Zoom", "Translation", "Contrast", "Brightness")},
}
_GRAPH_KEYS = ("layers", "input_layers", "output_layers")
_PROGRAM_CODE = frozenset({"Lambda", "__lambda__", "function"})


def checked_config(config: Any, path: Path, keras2: bool = False) -> Config:
    """The configuration of a functional or sequential model as Keras 3 wants it.

    Keras 2 kept a sequential model's input shape in its first layer and its batch normalisation's axis in a list.

    Args:
        config: what the file's JSON says.
        keras2: whether a Keras before 3 wrote it.
    Raises:
        ModelError: it holds anything that isn't on the list of known layers, functions and plain settings, or a
            function that isn't to Keras 3 what it was to the Keras that wrote it.
    """
    if not isinstance(config, dict) or str(config.get("class_name")) not in vocabulary.CONTAINERS:
        found = config.get("class_name") if isinstance(config, dict) else type(config).__name__
        raise ModelError(f"{path}: is a {str(found)[:100]}; only functional and sequential Keras models can be "
                         "opened, because others bring program code of their own.")
    return _Checker(path, keras2).model(config, str(config["class_name"]), 0)


class _Checker:
    """One walk over one configuration."""

    def __init__(self, path: Path, keras2: bool) -> None:
        self._path, self._keras2 = path, keras2
        self._items = 0

    def model(self, node: Config, where: str, depth: int) -> Config:
        """A container of layers; a nested one keeps its place in the graph."""
        if depth > _MOST_NESTED:
            self._refuse(where, "is nested too deeply")
        sequential = node["class_name"] == "Sequential"
        config = node.get("config")
        if sequential and isinstance(config, list):
            config = {"name": "sequential", "layers": config}
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            self._refuse(where, "has no list of layers")
        beside = by_name(config["layers"])
        layers = [self.layer(layer, where, depth, beside) for layer in config["layers"]]
        names = [layer["name"] for layer in layers if "name" in layer]
        if len(names) != len(set(names)):
            self._refuse(where, "holds two layers of one name")
        name = config.get("name") or where
        # Nothing depends on the whole model's own name.
        name = self._name(name, where) if depth or _is_name(name) else "model"
        inside: Config = {"name": name, "layers": _with_input(layers) if sequential else layers}
        if depth == 1 and config.get("trainable") is False:  # then Keras keeps its weights in another order in .h5
            inside["trainable"] = False
        if not sequential:
            for key in _GRAPH_KEYS[1:]:
                inside[key] = self._plain(config.get(key), where)  # of a tuple, what it holds
                if not isinstance(inside[key], (list, dict)):
                    self._refuse(where, f"has no '{key}'")
                if depth and self._keras2 and isinstance(inside[key], list) and len(inside[key]) == 1:
                    inside[key] = inside[key][0]  # else Keras 3 hands on a list of one tensor
        return {"class_name": "Sequential" if sequential else "Functional", "config": inside}

    def layer(self, node: Any, where: str, depth: int, beside: Mapping[str, Config]) -> Config:
        """One layer, operation or nested model with its place in the graph."""
        if not isinstance(node, dict) or not isinstance(node.get("config"), (dict, list)):
            self._refuse(where, "holds a layer without a configuration")
        node = self._as_operation(node, beside)
        inner = node["config"]
        name = node.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
        where = self._name(name, where) if name is not None else where
        module = self._module(node, where)
        if node["class_name"] in vocabulary.CONTAINERS:
            layer = self.model(node, where, depth + 1)
            module = "keras" if layer["class_name"] == "Sequential" else "keras.src.models.functional"
        elif not isinstance(inner, dict):
            self._refuse(where, "holds a layer without a configuration")
        else:
            kind = "operation" if vocabulary.is_operation(module) else node["class_name"]
            layer = {"class_name": node["class_name"], "config": self._settings(kind, inner, where)}
        if "module" in node:  # without it, Keras reads the configuration as Keras 2 wrote it
            layer.update(module=module, registered_name=None)
        if "inbound_nodes" in node:
            if not isinstance(node["inbound_nodes"], list):
                self._refuse(where, "doesn't say what feeds it")
            layer["inbound_nodes"] = self._plain(node["inbound_nodes"], where, arrays=True)
            if _has(layer["inbound_nodes"], "return_attention_scores"):
                self._refuse(where, "gives its attention scores, too")
        if name is not None:
            layer["name"] = name
        return layer

    def _module(self, node: Config, where: str) -> str:
        """Where Keras keeps the class; what the file says of it only tells a layer from an operation."""
        name, module, registered = node.get("class_name"), node.get("module"), node.get("registered_name")
        if isinstance(name, str) and name in _PROGRAM_CODE:
            raise ModelError(f"{self._path}: '{where}' is a {name}, which carries program code; refused, because "
                             "opening a model must not run what it brings. Ask for the model without it.")
        if isinstance(name, str) and name in OF_TENSORFLOW:
            function = node["config"].get("function") if isinstance(node["config"], dict) else None
            raise ModelError(f"{self._path}: '{where}' calls TensorFlow's '{str(function)[:100]}'. Of such calls in "
                             "Keras 2 files only these can be opened: sums, differences, products, quotients, casts "
                             "to floating point, and parts along one axis of known length. Where that Keras is "
                             "installed, export the model as .onnx: python -m tf2onnx.convert --keras "
                             f"{self._path.name} --output {self._path.stem}.onnx.")
        operation = vocabulary.is_operation(module)
        if not isinstance(name, str) or name not in (vocabulary.OPERATIONS if operation else vocabulary.LAYERS):
            if isinstance(name, str) and module and _is_keras_own(module) and registered in (None, name):
                raise ModelError(f"{self._path}: '{where}' is of the class '{name[:100]}' of '{module[:100]}', "
                                 "which isn't among those that are computed here; refused. Ask for the model without "
                                 "it.")
            raise ModelError(f"{self._path}: '{where}' is of the class '{str(name)[:100]}', which isn't a known Keras "
                             "layer; refused, because it would need program code from outside.")
        if registered not in (None, name) or not _is_keras_own(module):
            raise ModelError(f"{self._path}: '{where}' asks for '{str(registered or name)[:100]}' from "
                             f"'{str(module)[:100]}', which isn't Keras's own; refused, because it would need "
                             "program code from outside.")
        return vocabulary.OPERATIONS[name] if operation else vocabulary.HOMES.get(name, "keras.layers")

    def _as_operation(self, node: Config, beside: Mapping[str, Config]) -> Config:
        """An operation in the words of a Keras 3 archive, however it is noted."""
        try:
            return as_operation(node, beside)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            self._refuse(str(node.get("name"))[:_LONGEST_NAME], "takes a part of a tensor in a way that isn't known")

    def _settings(self, kind: str, config: Config, where: str) -> Config:
        """A layer's settings; those of Keras 2 in Keras 3's words."""
        settings: Config = {}
        for key, value in config.items():
            self._plain(key, where)
            if key in _REFUSED_KEYS:
                if value is not None:
                    self._refuse(where, f"uses '{key}'")
            elif key in ("build_config", "compile_config"):
                continue
            elif key.endswith("_initializer"):
                self._part(value, vocabulary.INITIALIZERS, where)
                settings[key] = "zeros"
            elif key.endswith(("_regularizer", "_constraint")):
                self._part(value, vocabulary.RESTRAINTS, where)
                settings[key] = None
            elif key in _ACTIVATION_KEYS:
                settings[key] = self._activation(value, where)
            elif key == "name" and value is not None:
                settings[key] = self._name(value, where)
            elif key == "dtype":
                settings[key] = self._dtype(kind, value, where)
            else:
                settings[key] = self._plain(value, where)
        for key, harmless in _KERAS2_ALONE.get(kind, {}).items():
            if (value := settings.pop(key, harmless[0])) not in harmless:
                self._refuse(where, f"has the setting '{key}' of {str(value)[:100]}")
        axis = settings.get("axis")
        if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
            settings["axis"] = axis[0]
        for key in ("batch_shape", "batch_input_shape"):
            if isinstance(settings.get(key), list) and settings[key]:
                settings[key][0] = None  # a fixed batch size was training's matter
        return settings

    def _part(self, value: Any, known: frozenset[str], where: str) -> None:
        """An initializer, regularizer or constraint: Keras's own, though it won't be built."""
        name, module = (value.get("class_name"), value.get("module")) if isinstance(value, dict) else (value, None)
        words = {known_name.lower() for known_name in known}
        if name is not None and (not isinstance(name, str) or name.replace("_", "").lower() not in words
                                 or not _is_keras_own(module)):
            raise ModelError(f"{self._path}: '{where}' asks for '{str(name)[:100]}' from '{str(module)[:100]}', which "
                             "isn't Keras's own; refused, because it would need program code from outside.")

    def _activation(self, value: Any, where: str) -> Any:
        if isinstance(value, dict) and value.get("class_name") == "function":
            value = value.get("config")
        if isinstance(value, dict):
            inner = value.get("config")
            if str(value.get("class_name")) in vocabulary.ACTIVATION_LAYERS and isinstance(inner, dict):
                return {"class_name": value["class_name"], "module": self._module(value, where),
                        "config": self._settings(value["class_name"], inner, where), "registered_name": None}
            value = value.get("class_name")
        if value is not None and (not isinstance(value, str) or value not in vocabulary.ACTIVATIONS):
            raise ModelError(f"{self._path}: layer '{where}' uses the unknown function '{str(value)[:100]}'; refused "
                             "because it would be program code from outside.")
        if self._keras2 and value in vocabulary.OTHER_IN_KERAS2:
            raise ModelError(f"{self._path}: layer '{where}' uses {value}, which was another function to the Keras "
                             "that saved it than to Keras 3, so the network would answer otherwise. Export it as .onnx "
                             "where that Keras is installed.")
        return value

    def _dtype(self, kind: str, value: Any, where: str) -> str | None:
        if isinstance(value, dict):
            inner = value.get("config")
            known = str(value.get("class_name")) in vocabulary.POLICIES
            value = inner.get("name") if known and isinstance(inner, dict) else str(value.get("class_name"))
        if isinstance(value, str) and value in vocabulary.INTEGERS and kind in ("operation", "InputLayer"):
            return value if kind == "operation" else "float32"  # images come as float32, whatever was stored
        if value is not None and (not isinstance(value, str) or value not in vocabulary.DTYPES):
            self._refuse(where, f"computes in '{str(value)[:100]}', not in floating-point numbers")
        return vocabulary.WHOLE.get(value, value) if value else value

    def _plain(self, value: Any, where: str, depth: int = 0, arrays: bool = False) -> Any:
        """Numbers, words, lists and the graph's references; nothing that Keras would make an object of.

        Args:
            arrays: whether it is what a layer is called with, which may be an array.
        """
        self._items += 1
        if self._items > _MOST_ITEMS * 10 or depth > _MOST_NESTED:
            self._refuse(where, "has settings without end")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if abs(value) > _LARGEST_NUMBER:
                self._refuse(where, f"has an absurd number of {value.bit_length()} bits")
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                self._refuse(where, f"has the absurd number {value}")
            return value
        if isinstance(value, str):
            if len(value) > _LONGEST_WORD:
                self._refuse(where, f"has a word of {len(value):,} letters")
            if not _is_text(value):
                self._refuse(where, f"has the word {value[:60]!r}, which isn't text")
            return value
        if isinstance(value, list):
            return [self._plain(item, where, depth + 1, arrays) for item in value]
        kind = value.get("class_name")
        if kind == "__tuple__":
            return self._plain(value.get("items"), where, depth + 1, arrays)
        if kind == "__keras_tensor__":
            if not isinstance(value.get("config"), dict):
                self._refuse(where, "doesn't say what feeds it")
            return {"class_name": kind, "config": self._plain(value["config"], where, depth + 1)}
        if arrays and kind in ("__tensor__", "__numpy__") and isinstance(value.get("config"), dict):
            return self._constant(value["config"], where, depth)
        if kind is not None:
            raise ModelError(f"{self._path}: '{where}' holds a '{str(kind)[:100]}' where a plain setting was expected; "
                             "refused, because it may carry program code from outside.")
        return {self._plain(key, where): self._plain(item, where, depth + 1, arrays) for key, item in value.items()}

    def _constant(self, config: Config, where: str, depth: int) -> Config:
        """Numbers that an operation is called with beside a tensor."""
        kind = config.get("dtype")
        if not isinstance(kind, str) or kind not in vocabulary.DTYPES | vocabulary.INTEGERS:
            self._refuse(where, f"computes in '{str(kind)[:100]}', not in numbers")
        numbers = self._plain(config.get("value"), where, depth + 1)
        return {"class_name": "__tensor__", "config": {"value": numbers, "dtype": vocabulary.WHOLE.get(kind, kind)}}

    def _name(self, name: Any, where: str) -> str:
        if not _is_name(name):
            self._refuse(where, f"holds the name {str(name)[:60]!r}, under which TensorFlow can't compute (letters, "
                                "digits and _ . - were expected)")
        return str(name)

    def _refuse(self, where: str, what: str) -> NoReturn:
        raise ModelError(f"{self._path}: '{where[:200]}' {what}; refused. Save the model again with Keras, or ask for "
                         "a plain copy of it.")


def _has(calls: Any, setting: str) -> bool:
    """Whether a call is given a setting that isn't empty."""
    if isinstance(calls, dict):
        return bool(calls.get(setting)) or any(_has(value, setting) for value in calls.values())
    return isinstance(calls, list) and any(_has(value, setting) for value in calls)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _is_text(word: str) -> bool:
    """Whether a word can be written: JSON may hold halves of characters."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_keras_own(module: Any) -> bool:
    return module is None or (isinstance(module, str) and (module == "keras" or module.startswith("keras.")))


def _with_input(layers: list[Config]) -> list[Config]:
    """A sequential model's layers with the input layer that Keras 2 left out."""
    first = layers[0] if layers else {}
    inner = first.get("config", {})
    if "batch_input_shape" not in inner or first["class_name"] == "InputLayer":
        return layers
    shape = inner.pop("batch_input_shape")
    name = f"{inner.get('name', 'first')}_input"
    image = {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": "float32", "name": name}}
    return [image, *layers]
