"""Arithmetic on tensors opens as Keras 2 notes it, a call of TensorFlow's, and as Keras 3 does in .h5."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras import Input, Model, layers, ops

from engine.errors import ModelError
from engine.models.architecture import describe_model
from engine.models.config import checked_config
from engine.models.networks import open_network
from tests.support.networks import randomise

IMAGES = np.random.default_rng(1).integers(0, 256, (6, 9, 8, 3)).astype(np.float32)
MEANS = [103.939, 116.779, 123.68]
TURNED = [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]
Json = dict[str, Any]


def noted(function: str, named: Json, *first: Any, kind: str = "TFOpLambda", **more: Any) -> Json:
    """A call of a function of TensorFlow's as TF 2.4 to 2.15 note it; fed by the layer before unless `first` says."""
    return {"class_name": kind, "config": {"name": f"tf.{function}", "trainable": True, "dtype": "float32",
                                           "function": function},
            "inbound_nodes": [[*first, named] if first else named], **more}


def part(spec: list[Any], **more: Any) -> Json:
    return noted("__operators__.getitem", {"slice_spec": spec}, kind="SlicingOpLambda", **more)


CALLS: dict[str, tuple[Callable[[Any], Any], list[Json]]] = {
    "to -1..1": (lambda x: x / 127.5 - 1.0, [noted("math.truediv", {"y": 127.5, "name": None}),
                                             noted("math.subtract", {"y": 1, "name": None})]),
    "caffe": (lambda x: x[..., ::-1] - np.array(MEANS, np.float32), [
        part(TURNED), noted("nn.bias_add", {"bias": [-mean for mean in MEANS], "data_format": "NHWC"})]),
    "torch": (lambda x: x / 255.0 / np.array([0.2, 0.3, 0.4], np.float32), [
        noted("math.truediv", {"y": 255.0, "name": None}), noted("math.truediv", {"y": [0.2, 0.3, 0.4]})]),
    "cast and scaled": (lambda x: ops.cast(x, "float32") * 0.01, [
        noted("cast", {"dtype": "float32"}), noted("math.multiply", {"y": 0.01, "name": None})]),
    "a number first": (lambda x: 1.0 - x / 255.0, [
        noted("math.divide", {"y": 255.0, "name": None}),
        noted("math.subtract", {"y": ["tf.math.divide", 0, 0], "name": None}, "_CONSTANT_VALUE", -1, 1.0)]),
    "two tensors": (lambda x: x + (x + 3.0), [
        noted("math.add", {"y": 3.0}), noted("__operators__.add", {"y": ["tf.math.add", 0, 0]}, "image", 0, 0)]),
    "turned behind a scaling": (lambda x: (x * 0.01)[..., ::-1], [noted("math.multiply", {"y": 0.01}), part(TURNED)]),
    "turned where its shape is noted": (lambda x: (x + np.array(MEANS, np.float32))[..., ::-1], [
        noted("math.add", {"y": MEANS}), part(TURNED, build_config={"input_shape": [None, 9, 8, 3]})]),
}


def network(first: Callable[[Any], Any]) -> Model:
    image = Input((9, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv", activation="relu")(first(image))
    model = Model(image, layers.Dense(3, name="answer")(layers.Flatten(name="flat")(x)))
    randomise(model)
    return model


def saved_by_keras2(calls: list[Json], path: Path, model: Model) -> Path:
    """A network's file as Keras 2 writes it, whose layers between image and convolution are noted as these calls."""
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        of_layers = {layer["name"]: layer for layer in config["config"]["layers"]}
        chain, before = [of_layers["image"]], "image"
        for call in calls:
            named, (inputs,) = call["config"]["name"], call["inbound_nodes"]
            name = f"{named}_{len(chain)}" if named == before else named
            inputs = [before, 0, 0, inputs] if isinstance(inputs, dict) else inputs
            chain, before = [*chain, {**call, "name": name, "inbound_nodes": [inputs]}], name
        for name in ("conv", "flat", "answer"):
            chain, before = [*chain, {**of_layers[name], "inbound_nodes": [[[before, 0, 0, {}]]]}], name
        config["config"]["layers"] = chain
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.15.0"
    return path


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_plain_arithmetic_opens_from_both_kinds_of_h5(case: str, tmp_path: Path) -> None:
    first, calls = CALLS[case]
    model = network(first)
    expected = model.predict(IMAGES, verbose=0)
    for path in (saved_by_keras2(calls, tmp_path / "keras2.h5", model), tmp_path / "keras3.h5"):
        if path.name == "keras3.h5":
            model.save(path)
        opened = open_network(path)
        np.testing.assert_allclose(opened.predict(IMAGES), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(opened.copy().predict(IMAGES), opened.predict(IMAGES))
        foreseen = {layer.name: layer.shape for layer in describe_model(path).layers[1:]}
        assert foreseen == {call.name: tuple(call.output.shape[1:]) for call in opened.calls}


@pytest.mark.parametrize("call", [
    noted("io.read_file", {"name": None}), noted("math.reduce_mean", {"axis": -1}), noted("cast", {"dtype": "uint8"}),
    noted("math.add", {"y": "/etc/passwd"}), noted("math.add", {"y": [["image", 0, 0]]}), noted("math.add", {"y": {}}),
    noted("nn.bias_add", {"bias": MEANS, "data_format": "NCHW"}), noted("math.add", {"y": 1.0, "other": 2.0}),
    noted("math.add", {}), part([{"start": 0, "stop": 1, "step": None}]), part([{"start": None, "stop": None,
    "step": 0}] * 4), part(TURNED, build_config={"input_shape": "image"})],
    ids=lambda call: f"{call['config']['function']} {str(call['inbound_nodes'])[:40]}")
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_any_other_call_is_refused_with_the_way_out(call: Json, tmp_path: Path) -> None:
    path = saved_by_keras2([call], tmp_path / "m.h5", network(lambda x: x))
    with pytest.raises(ModelError, match=rf"m\.h5: '{call['config']['name']}' calls TensorFlow's .* tf2onnx"):
        open_network(path)


def test_the_layers_are_looked_through_no_more_often_for_many_parts_than_for_one() -> None:
    class Counted(list[Json]):
        looks = 0

        def __iter__(self) -> Iterator[Json]:
            self.looks += 1
            return super().__iter__()

    def looks(parts: int) -> int:
        image = {"class_name": "InputLayer", "name": "image", "inbound_nodes": [],
                 "config": {"name": "image", "batch_input_shape": [None, 9, 8, 3], "dtype": "float32"}}
        chain = Counted([image, *({**part(TURNED), "name": f"part_{i}", "inbound_nodes": [
            ["image", 0, 0, {"slice_spec": TURNED}]]} for i in range(parts))])
        checked = checked_config({"class_name": "Functional", "config": {
            "name": "m", "layers": chain, "input_layers": [["image", 0, 0]], "output_layers": [["part_0", 0, 0]]}},
            Path("m.h5"), keras2=True)
        assert [layer["class_name"] for layer in checked["config"]["layers"]] == ["InputLayer", *["Take"] * parts]
        return chain.looks

    assert looks(1) == looks(40)


FIRST_TWO = [{"class_name": "__ellipsis__"}, {"start": None, "stop": 2, "step": None}]
LAST_ROWS = [{"start": None, "stop": None, "step": None}, {"start": -9, "stop": None, "step": None}]
NOTED: Json = {"build_config": {"input_shape": [None, 9, 8, 3]}}


@pytest.mark.parametrize("calls", [
    [part(FIRST_TWO), part(TURNED)], [part(FIRST_TWO, **NOTED), part(TURNED)],
    [part(FIRST_TWO, **NOTED), noted("math.multiply", {"y": 0.01}), part(TURNED)]],
    ids=["parts", "noted parts", "noted parts, scaled"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_shape_that_something_further_back_is_fed_isn_t_taken_for_what_it_gives(
    calls: list[Json], tmp_path: Path,
) -> None:
    calls[-1] = {**calls[-1], "config": {**calls[-1]["config"], "name": "turned"}}
    path = saved_by_keras2(calls, tmp_path / "m.h5", network(lambda x: x))
    with pytest.raises(ModelError, match=r"'turned' calls TensorFlow's .* parts along one axis of known length"):
        open_network(path)


def layer(kind: str, **settings: Any) -> Json:
    """A layer as Keras 2 notes it, fed by the image."""
    return {"class_name": kind, "config": {"name": kind.lower()} | settings,
            "inbound_nodes": [[["image", 0, 0, {}]]]}


BEFORE: dict[str, tuple[Callable[[Any], Any], list[Json]]] = {
    "padded": (lambda x: layers.ZeroPadding2D(1)(x)[:, -9:], [
        layer("ZeroPadding2D", padding=[[1, 1], [1, 1]]), part(LAST_ROWS)]),
    "rescaled": (lambda x: layers.Rescaling(0.01)(x)[..., ::-1], [
        layer("Rescaling", scale=0.01, offset=0.0), part(TURNED)]),
    "random layers": (lambda x: (x * 0.01)[..., ::-1], [
        layer("Sequential", layers=[{"class_name": "InputLayer", "config": {
            "batch_input_shape": [None, 9, 8, 3], "dtype": "float32", "name": "inside"}},
            {"class_name": "RandomFlip", "config": {"name": "flip", "mode": "horizontal"}}]),
        noted("math.multiply", {"y": 0.01}, "sequential", 0, 0), part(TURNED)]),
}


@pytest.mark.parametrize("case", BEFORE)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_parts_of_what_a_layer_gives_are_those_of_its_own_shape(case: str, tmp_path: Path) -> None:
    """The last nine of eleven rows would be the first nine by the image's shape, and nobody would be told."""
    first, calls = BEFORE[case]
    model = network(first)
    opened = open_network(saved_by_keras2(calls, tmp_path / "m.h5", model))
    np.testing.assert_allclose(opened.predict(IMAGES), model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("before", [
    {**layer("Sequential", layers=[]), "inbound_nodes": [[["sequential", 0, 0, {}]]]},
    layer("Sequential", layers=[layer("ReLU", name=f"relu_{i}") for i in range(101)])], ids=["a circle", "a long way"])
def test_layers_without_end_before_a_part_end_in_a_sentence(before: Json, tmp_path: Path) -> None:
    path = saved_by_keras2([before, part(TURNED)], tmp_path / "m.h5", network(lambda x: x))
    with pytest.raises(ModelError, match=r"calls TensorFlow's .* parts along one axis of known length"):
        open_network(path)
