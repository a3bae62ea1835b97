"""Model and data files as an attacker would make them."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.support.networks import LABELS, build

Config = dict[str, Any]
Spoil = Callable[[Config], None]

# Writes its file wherever Keras loads it without safe mode.
LAMBDA_MAKER = """
import sys, keras
from pathlib import Path
source = "lambda x: (__import__('pathlib').Path({!r}).write_text('ran'), x)[1]"
image = keras.Input((12, 10, 3))
x = keras.layers.Conv2D(3, 3)(image)
x = keras.layers.Lambda(eval(source.format(sys.argv[2])), output_shape=x.shape[1:])(x)
x = keras.layers.Dense(7)(keras.layers.Flatten()(x))
model = keras.Model(image, x)
for ending in ("keras", "h5"):
    model.save(sys.argv[1] + "." + ending)
Path(sys.argv[2]).unlink(missing_ok=True)
for ending in ("keras", "h5"):
    keras.models.load_model(sys.argv[1] + "." + ending, safe_mode=False)(keras.ops.ones((1, 12, 10, 3)))
    assert Path(sys.argv[2]).read_text() == "ran", ending
    Path(sys.argv[2]).unlink()
"""


@cache
def plain_model() -> tuple[bytes, Config]:
    """A harmless .keras file and its configuration."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        build("nested")[0].save(path)
        content = path.read_bytes()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return content, json.loads(archive.read("config.json"))


def archive_with(path: Path, config: Config | str, **members: bytes) -> Path:
    """The harmless archive with another configuration or other members ("." written as "__")."""
    content, _ = plain_model()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        replaced = {name.replace("__", "."): data for name, data in members.items()}
        replaced.setdefault("config.json", (config if isinstance(config, str) else json.dumps(config)).encode())
        for name in old.namelist():
            new.writestr(name, replaced.get(name, old.read(name)))
    return path


def spoilt_archive(path: Path, spoil: Spoil) -> Path:
    """The harmless archive with its configuration changed."""
    config = copy.deepcopy(plain_model()[1])
    spoil(config)
    return archive_with(path, config)


def spoilt_h5(path: Path, spoil: Spoil) -> Path:
    """The same as a whole-model .h5 of Keras 3's configuration, weights left out: it is refused before they matter."""
    config = copy.deepcopy(plain_model()[1])
    spoil(config)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"a"])
        weights["a"] = np.ones(2000, np.float32)
    return path


def layer(config: Config, kind: str) -> Config:
    """The first layer of a class, nested ones included."""
    for found in config["config"]["layers"]:
        if found["class_name"] == kind:
            return found
        if found["class_name"] == "Functional":
            try:
                return layer(found, kind)
            except KeyError:
                continue
    raise KeyError(kind)


def settings(kind: str, **values: Any) -> Spoil:
    """Change settings of the first layer of a class."""
    return lambda config: layer(config, kind)["config"].update(values)


def node(kind: str, **values: Any) -> Spoil:
    """Change what stands beside the settings of the first layer of a class."""
    return lambda config: layer(config, kind).update(values)


FOREIGN = {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "payload"]},
           "registered_name": None}
CODE = {"module": "builtins", "class_name": "__lambda__", "config": {"value": {
    "code": "4wEAAAAAAA==", "defaults": None, "closure": None}}}


def _function(name: str, module: str = "builtins") -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def _inside(config: Config) -> None:
    layer(config, "Functional")["config"]["layers"].append(
        {"module": "keras.layers", "class_name": "Lambda", "name": "l", "inbound_nodes": [],
         "config": {"name": "l", "function": CODE, "arguments": {}}})


def _called_with(config: Config) -> None:
    layer(config, "Dense")["inbound_nodes"][0]["kwargs"]["mask"] = CODE


def _typespec(config: Config) -> None:
    layer(config, "Dense")["inbound_nodes"][0]["args"].append(
        {"class_name": "__typespec__", "spec_name": "system", "module": "os", "config": [], "registered_name": None})


CODE_ATTACKS: dict[str, Spoil] = {
    "lambda": node("Dense", class_name="Lambda", config={"name": "l", "function": CODE, "arguments": {}}),
    "lambda of Keras 2": node("Dense", class_name="Lambda", config={
        "name": "l", "function": ["4wEAAAAAAA==", None, None], "function_type": "lambda"}),
    "lambda in a nested model": _inside,
    "lambda as an argument of a call": _called_with,
    "type specification of another module": _typespec,
    "custom class": node("Dense", class_name="Evil", module="evil", registered_name="evil>Evil"),
    "registered name": node("Dense", registered_name="evil>Dense"),
    "another module": node("Dense", module="os"),
    "a module that begins like Keras": node("Dense", module="keras_evil.layers"),
    "a function of Keras as a layer": node("Dense", module="keras.utils", class_name="get_file",
                                           config={"name": "f", "origin": "http://localhost/x"}),
    "a TensorFlow graph": node("Dense", class_name="TFSMLayer", config={"name": "t", "filepath": "graph"}),
    "a Torch module": node("Dense", class_name="TorchModuleWrapper", config={"name": "t", "module": "gASVAA=="}),
    "pickled vocabulary": node("Dense", class_name="StringLookup", config={"name": "s", "vocabulary": "/etc/passwd"}),
    "a class that isn't text": node("Dense", class_name=["Dense"]),
    "activation by name": settings("Conv2D", activation="system"),
    "activation as a function": settings("Conv2D", activation=_function("eval")),
    "activation as a function of Keras": settings("Conv2D", activation=_function("get_file", "keras.utils")),
    "activation as code": settings("Conv2D", activation=CODE),
    "activation as an object": settings("Conv2D", activation=FOREIGN),
    "activation as a foreign layer": settings("Conv2D", activation={
        "module": "evil", "class_name": "ReLU", "config": {}, "registered_name": "evil>ReLU"}),
    "initializer": settings("Conv2D", kernel_initializer=FOREIGN),
    "initializer as code": settings("Conv2D", kernel_initializer=CODE),
    "initializer by name": settings("Conv2D", kernel_initializer="system"),
    "regularizer": settings("Conv2D", kernel_regularizer=FOREIGN),
    "activity regularizer": settings("Conv2D", activity_regularizer=_function("eval")),
    "constraint": settings("Conv2D", bias_constraint=FOREIGN),
    "number type": settings("Conv2D", dtype={"module": "evil", "class_name": "Policy2", "config": {"name": "float32"}}),
    "number type by name": settings("Conv2D", dtype="string"),
    "quantised": settings("Conv2D", dtype="int8_from_float32"),
    "a setting as an object": settings("Conv2D", strides=FOREIGN),
    "a setting as an array": settings("Rescaling", scale={"class_name": "__numpy__", "config": {
        "value": [1], "dtype": "object"}}),
    "an unknown setting as code": settings("Conv2D", anything={"deep": [CODE]}),
    "a model of its own class": lambda config: config.update(class_name="EvilModel", module="evil"),
    "no configuration": lambda config: config.update(config=None),
    "layers that aren't a list": lambda config: config["config"].update(layers={"a": 1}),
    "a layer that is a word": lambda config: config["config"]["layers"].append("Lambda"),
}


def _twins(config: Config) -> None:
    twin = copy.deepcopy(layer(config, "Dense"))
    twin["config"]["units"] = 10 ** 9
    config["config"]["layers"].append(twin)


def _circle(config: Config) -> None:
    tensor = layer(config, "Dense")["inbound_nodes"][0]["args"][0]
    tensor["config"]["keras_history"] = ["output", 0, 0]


def _late(config: Config) -> None:
    """A layer fed by one that stands behind it in the list, so that its input's size shows late."""
    config["config"]["layers"].reverse()
    layer(config, "Dense")["config"]["units"] = 10 ** 7


def _echo(config: Config) -> None:
    """Each nested model uses the one inside it twice: sixteen of them make 65,536 layers."""
    layers = config["config"]["layers"]
    place = next(place for place, found in enumerate(layers) if found["class_name"] == "Functional")
    inner = copy.deepcopy(layers[place])
    for depth in range(15):
        inner = _twice(inner, f"level_{depth}")
    layers[place] = {**inner, "inbound_nodes": layers[place]["inbound_nodes"], "name": layers[place]["name"]}


def _empty_echo(config: Config) -> None:
    """The same of models that hold an input and nothing else, so that no layer is added however often they are used."""
    empty = layer(config, "Functional")["config"]
    image = next(found for found in empty["layers"] if found["class_name"] == "InputLayer")
    empty["layers"], empty["output_layers"] = [image], [[image["name"], 0, 0]]
    _echo(config)


def _backwards(config: Config) -> None:
    """More layers than a network may have, each behind the one that it feeds."""
    image = layer(config, "InputLayer")
    chain = [{"class_name": "Identity", "config": {"name": f"a{n}"},
              "inbound_nodes": [[[f"a{n - 1}" if n else image["name"], 0, 0, {}]]]} for n in range(25_000)]
    config["config"].update(layers=[image, *reversed(chain)], output_layers=[["a24999", 0, 0]])


def _answers(config: Config) -> None:
    """One output by many names."""
    config["config"]["output_layers"] = [["output", 0, 0]] * 1000


def _nameless(config: Config) -> None:
    """Layers without names, the last of which needs few weights."""
    kinds: list[tuple[str, Config]] = [
        ("InputLayer", {"batch_shape": [None, 12, 10, 3]}), ("Flatten", {}),
        *(("Dense", {"units": units}) for units in (10 ** 4, 10 ** 4, 1, LABELS))]
    config.update(class_name="Sequential", config={"name": "s", "layers": [
        {"class_name": kind, "config": settings} for kind, settings in kinds]})


def _twice(inner: Config, name: str) -> Config:
    def tensor(of: str, use: int) -> Config:
        return {"args": [{"class_name": "__keras_tensor__", "config": {
            "shape": [None, None, None, 3], "dtype": "float32", "keras_history": [of, use, 0]}}], "kwargs": {}}

    inside = {**inner, "name": f"{name}_in", "config": {**inner["config"], "name": f"{name}_in"}}
    inside["config"]["layers"] = [{**found} for found in inside["config"]["layers"]]
    inside["inbound_nodes"] = [tensor(f"{name}_image", 0), tensor(f"{name}_image", 0)]
    image = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None, "name": f"{name}_image",
             "config": {"batch_shape": [None, 12, 10, 3], "dtype": "float32", "name": f"{name}_image"},
             "inbound_nodes": []}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
            "name": name, "config": {"name": name, "layers": [image, inside],
                                     "input_layers": [[f"{name}_image", 0, 0]],
                                     "output_layers": [[f"{name}_in", 1, 0]]}}


SIZE_ATTACKS: dict[str, Spoil] = {
    "units": settings("Dense", units=10 ** 9),
    "units beyond any number": settings("Dense", units=10 ** 30),
    "units as a fraction without end": settings("Dense", units=1e300),
    "negative units": settings("Dense", units=-10 ** 9),
    "filters": settings("Conv2D", filters=10 ** 8),
    "kernel": settings("Conv2D", kernel_size=[10 ** 5, 10 ** 5], padding="same"),
    "a little too many": settings("Dense", units=LABELS + 1),
    "height": settings("InputLayer", batch_shape=[None, 10 ** 6, 10, 3]),
    "width": settings("InputLayer", batch_shape=[None, 12, 10 ** 9, 3]),
    "no shape": settings("InputLayer", batch_shape=None),
    "a shape of words": settings("InputLayer", batch_shape=[None, "12", "10", "3"]),
    "padding": node("Rescaling", class_name="ZeroPadding2D", config={
        "name": "centred", "padding": [[10 ** 6, 0], [10 ** 4, 0]]}),
    "upsampling": node("Rescaling", class_name="UpSampling2D", config={"name": "centred", "size": [10 ** 4, 10 ** 4]}),
    "resizing": node("Rescaling", class_name="Resizing", config={
        "name": "centred", "height": 10 ** 5, "width": 10 ** 5}),
    "adapters": settings("Dense", lora_rank=10 ** 8),
    "two of one name": _twins,
    "a circle": _circle,
    "in reverse": _late,
    "an echo": _echo,
    "an echo of nothing": _empty_echo,
    "a long chain backwards": _backwards,
    "a thousand outputs": _answers,
    "layers without names": _nameless,
    "outputs that are a number": lambda config: config["config"].update(
        output_layers={"class_name": "__tuple__", "items": 5}),
    "no output": lambda config: config["config"].update(output_layers=[]),
    "a name of a million letters": node("Dense", name="a" * 10 ** 6),
    "a word of a million letters": settings("Dense", anything="a" * 10 ** 6),
    "strides of nothing": settings("Conv2D", strides=[0, 0]),
}
