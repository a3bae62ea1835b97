"""Operations on tensors that a file notes otherwise than a Keras 3 archive does, put into an archive's words.

Keras 2 notes a call of TensorFlow's by the function's name, and Keras 3's `.h5` leaves out that an operation is none of
its layers. Nothing is looked up by such a name: only what stands here becomes an operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engine.models import vocabulary
from engine.models.shapes import output_shape

Config = dict[str, Any]

# How Keras 2 notes calls of TensorFlow's.
OF_TENSORFLOW = frozenset({"TFOpLambda", "SlicingOpLambda"})
_PART_OF = "__operators__.getitem"
_BIAS = "nn.bias_add"
_ARITHMETIC = {
    "math.truediv": "TrueDivide", "math.divide": "TrueDivide", "math.subtract": "Subtract", "math.multiply": "Multiply",
    "math.add": "Add", "__operators__.add": "Add", _BIAS: "Add",
}
# What stands in a tensor's place where a number or a list of numbers comes first.
_NUMBER_FIRST = "_CONSTANT_VALUE"

_LONGEST_AXIS = 1 << 16
# So many layers at most are followed from the image to where parts are taken.
_LONGEST_WAY = 100
# How Keras writes a slice of everything.
_WHOLE_AXIS: Config = {"class_name": "__slice__", "config": dict.fromkeys(("start", "stop", "step"))}
_MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def as_operation(layer: Config, beside: Mapping[str, Config]) -> Config:
    """A layer's configuration that stands for an operation, as an archive has it, one that takes entries along an axis
    as one that takes by number; any other one as it is.

    Args:
        beside: the configurations of all layers of its model, by_name.
    Returns:
        One whose settings and what feeds it are as little checked as before.
    Raises:
        ValueError, LookupError, TypeError, AttributeError: an archive's operation takes parts in another way.
    """
    kind, config = layer.get("class_name"), layer["config"]
    if not isinstance(kind, str):
        return layer
    if kind in OF_TENSORFLOW:
        try:
            kind, settings, calls = _of_tensorflow(layer, beside)
            name = layer.get("name") or config.get("name")
            return _as_take(_at_home({"class_name": kind, "name": name, "config": {"name": name, **settings},
                                     "inbound_nodes": [{"args": args, "kwargs": {}} for args in calls]}))
        except _MISFITS:
            return layer
    # Some layers are called as operations are, but all of them have this setting.
    if "module" in layer or "trainable" in config or kind not in {"GetItem", *vocabulary.OPERATIONS} \
            or not _is_called_by_keras3(layer):
        return _as_take(layer)
    return _as_take(_at_home(layer))


def by_name(layers: Iterable[Any]) -> dict[str, Config]:
    """Those of a model's layers that have a name, not checked."""
    return {layer["name"]: layer for layer in layers if isinstance(layer, dict) and isinstance(layer.get("name"), str)}


def _as_take(layer: Config) -> Config:
    """An operation that takes entries along one axis, such as x[..., ::-1], as one that takes by number.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it takes parts in another way.
    """
    if layer.get("class_name") != "GetItem" or layer.get("module") != vocabulary.OPERATIONS["Take"]:
        return layer
    (call,) = layer["inbound_nodes"]
    tensor, key = call["args"]
    axis, numbers = _taken(key, tensor["config"]["shape"])
    return {"class_name": "Take", "module": layer["module"], "registered_name": "Take", "name": layer.get("name"),
            "config": {"name": layer.get("name"), "axis": axis},
            "inbound_nodes": [{"args": [tensor, numbers], "kwargs": {}}]}


def _at_home(layer: Config) -> Config:
    kind = layer["class_name"]
    return {**layer, "module": vocabulary.OPERATIONS.get(kind, vocabulary.OPERATIONS["Take"]), "registered_name": kind}


def _is_called_by_keras3(layer: Config) -> bool:
    calls = layer.get("inbound_nodes")
    return isinstance(calls, list) and bool(calls) and all(isinstance(call, dict) and "args" in call for call in calls)


def _of_tensorflow(layer: Config, beside: Mapping[str, Config]) -> tuple[str, Config, list[list[Any]]]:
    """The kind of an operation, its settings, and what each of its uses is called with.

    Raises:
        ValueError and the like: it is none that is known, or is called otherwise.
    """
    function = layer["config"]["function"]
    calls = [_call(call) for call in layer["inbound_nodes"]]
    if function == "cast":
        (wanted,) = {_only(named, "dtype") for _, named in calls}
        if wanted not in vocabulary.DTYPES:
            raise ValueError("a cast that cuts off")
        return "Cast", {"dtype": wanted}, [[first] for first, _ in calls]
    if function == _PART_OF:
        ((first, named),) = calls
        parts = [{"class_name": "__slice__", "config": part} if isinstance(part, dict) and "start" in part else part
                 for part in _only(named, "slice_spec")]
        first["config"]["shape"] = _shape_before(layer, beside)
        return "GetItem", {}, [[first, parts]]
    if function == _BIAS and any(named.pop("data_format", None) not in (None, "NHWC") for _, named in calls):
        raise ValueError("channels first")
    second = "bias" if function == _BIAS else "y"
    return _ARITHMETIC[function], {}, [[first, _argument(_only(named, second))] for first, named in calls]


def _call(call: Any) -> tuple[Any, Config]:
    """What comes first in a call, and what it names."""
    source, use, output, named = call
    first = output if source == _NUMBER_FIRST else [source, use, output]
    return _argument(first), {key: value for key, value in named.items() if (key, value) != ("name", None)}


def _only(named: Config, key: str) -> Any:
    ((found, value),) = named.items()
    if found != key:
        raise ValueError("another argument")
    return value


def _argument(value: Any) -> Any:
    """A number, numbers or a tensor that an operation is called with."""
    if isinstance(value, list):
        if isinstance(value[0], str):
            source, use, output = value
            return {"class_name": "__keras_tensor__",
                    "config": {"shape": [], "dtype": "float32", "keras_history": [source, use, output]}}
        if np.asarray(value).dtype.kind not in "iuf":
            raise TypeError("no numbers")
        return {"class_name": "__tensor__", "config": {"value": value, "dtype": "float32"}}
    if type(value) not in (int, float):
        raise TypeError("no number")
    return value


def _shape_before(layer: Config, beside: Mapping[str, Config]) -> list[int | None]:
    """The shape of what an operation takes parts of: later versions note it; before, it follows from the image's and
    what is done to it on the way.

    Raises:
        ValueError and the like: it doesn't, or the way is long.
    """
    if shape := layer.get("build_config", {}).get("input_shape"):
        return list(shape)
    way: list[Config] = []
    for _ in range(_LONGEST_WAY):
        layer = beside[_only_source(layer)]
        if layer["class_name"] == "InputLayer":
            break
        way[:0] = layer["config"]["layers"] if layer["class_name"] == "Sequential" else [layer]
        if len(way) > _LONGEST_WAY:
            raise ValueError("far from the image")
    else:
        raise ValueError("far from the image, or in a circle")
    batch, *sides = layer["config"].get("batch_input_shape") or layer["config"]["batch_shape"]
    for layer in way:
        sides = _given(layer, sides)
    return [batch, *sides]


def _only_source(layer: Config) -> Any:
    """The name of the one layer that feeds another one; of an operation that is given single numbers besides at most,
    so that it keeps the shape."""
    calls = layer["inbound_nodes"]
    if layer["class_name"] not in OF_TENSORFLOW:
        (calls,) = calls
    ((source, _, _, named),) = calls
    if any(isinstance(value, list) for key, value in named.items() if key != "slice_spec"):
        raise ValueError("several tensors")
    return source


def _given(layer: Config, sides: list[int | None]) -> list[int | None]:
    """The shape of what a layer makes of an image of some shape."""
    kind, config = layer["class_name"], layer["config"]
    if kind == "InputLayer" or (kind in OF_TENSORFLOW and config["function"] != _PART_OF):
        return sides
    found = output_shape(kind, config, [tuple(sides)])
    if found is None:
        raise ValueError("no known shape")
    return list(found)


def _taken(key: Any, shape: list[int | None]) -> tuple[int, int | list[int]]:
    """The axis that a key takes a part of, and which entries of it: a list, or a number where the axis goes.

    Raises:
        ValueError, TypeError, IndexError: it takes parts of several axes, or of the batch.
    """
    if isinstance(key, dict) and key.get("class_name") == "__tuple__":
        key = key["items"]
    entries = list(key) if isinstance(key, list) else [key]
    others = [i for i, entry in enumerate(entries) if isinstance(entry, dict) and entry["class_name"] == "__ellipsis__"]
    if others:
        (at,) = others
        entries[at:at + 1] = [_WHOLE_AXIS] * (len(shape) - len(entries) + 1)
    parts = [(axis, entry if isinstance(entry, int) else _slice(entry)) for axis, entry in enumerate(entries)]
    ((axis, wanted),) = [part for part in parts if part[1] != slice(None)] or [(len(shape) - 1, slice(None))]
    side = shape[axis]
    if axis == 0 or side is None or not 0 < side <= _LONGEST_AXIS:
        raise ValueError("axis")
    numbers = range(side)[wanted]
    return axis, numbers if isinstance(numbers, int) else list(numbers)


def _slice(entry: Config) -> slice:
    if entry["class_name"] != "__slice__":
        raise ValueError("no slice")
    return slice(*(entry["config"][end] for end in ("start", "stop", "step")))
