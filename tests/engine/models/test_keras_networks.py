"""Keras networks as people have them: whatever is data opens, answers as Keras's own predict, and prunes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from engine import backend
from engine.errors import ModelError
from engine.models.architecture import describe_model
from engine.models.networks import open_network
from engine.models.to_onnx.files import write_onnx
from engine.progress import NEVER_CANCELLED
from engine.pruning.incremental import predictor_for
from tests.support.networks import Array, balance, plain_loop, random_images, randomise, zero_channels
from tests.support.onnx_answers import onnx_answers

if TYPE_CHECKING:
    import keras

IMAGES = random_images(40, 3, (16, 16, 3))


def _ends(x: Any) -> Any:
    from keras import layers
    return layers.Dense(5, activation="softmax", name="output")(x)


def prepared_by(name: str) -> keras.Model:
    """A network that does an application's preprocessing itself."""
    from keras import Input, Model, applications, layers
    image = Input((16, 16, 3))
    x = getattr(applications, name).preprocess_input(image)
    x = layers.Conv2D(8, 3, activation="relu", name="pruned")(x)
    return Model(image, _ends(layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(x))))


def vision_transformer() -> keras.Model:
    from keras import Input, Model, layers
    image = Input((16, 16, 3))
    x = layers.Rescaling(1 / 128)(image)
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 4, strides=4, name="pruned")(x))
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 5, value_dim=4)(y, y)])
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dense(12)(layers.Dense(24, activation="gelu")(y))])
    first, mean = x[:, 0], layers.GlobalAveragePooling1D()(x)
    return Model(image, _ends(layers.Concatenate()([first, mean])))


def scaled_layers() -> keras.Model:
    from keras import Input, Model, layers
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    image = Input((16, 16, 3))
    x = before = layers.Conv2D(8, 4, strides=4, name="pruned")(layers.Rescaling(1 / 128)(image))
    x = layers.Dense(8)(layers.Activation("gelu")(layers.Dense(16)(layers.LayerNormalization(epsilon=1e-6)(x))))
    x = StochasticDepth(0.1)(LayerScale(1e-6, 8)(x)) + before
    return Model(image, _ends(layers.GlobalAveragePooling2D()(x)))


def scaled_sums() -> keras.Model:
    from keras import Input, Model, layers
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
    image = Input((16, 16, 3))
    x = before = layers.Conv2D(8, 4, strides=4, name="before")(layers.Rescaling(1 / 128)(image))
    x = CustomScaleLayer(0.4)([before, layers.Conv2D(8, 3, padding="same", name="pruned")(x)])
    return Model(image, _ends(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def cut_and_turned() -> keras.Model:
    from keras import Input, Model, layers
    image = Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="pruned")(image[..., ::-1] / 255.0)
    x = layers.Conv2D(6, 3, activation="relu")(x[:, 2:-2])
    return Model(image, _ends(layers.Flatten()(x[:, :, 1::2, :])))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "caffe's preprocessing": lambda: prepared_by("vgg16"), "-1..1": lambda: prepared_by("mobilenet"),
    "ImageNet's preprocessing": lambda: prepared_by("densenet"), "vision transformer": vision_transformer,
    "LayerScale and StochasticDepth": scaled_layers, "scaled sums": scaled_sums,
    "cut and turned": cut_and_turned,
}


def saved(model: keras.Model, folder: Path, ending: str = ".keras") -> Path:
    randomise(model)
    if len(model.outputs) == 1:
        balance(model)
    model.save(folder / f"network{ending}")
    return folder / f"network{ending}"


def assert_close(found: Array, expected: Array, close: float = 1e-5) -> None:
    assert found.shape == expected.shape and len(np.unique(expected.argmax(axis=1))) > 1
    assert np.abs(found - expected).max() <= close * (expected.max() - expected.min())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_as_keras_does_and_prunes_as_the_plain_loop(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    path = saved(model, tmp_path)
    network, found = open_network(path), describe_model(path)
    assert_close(network.predict(IMAGES), model.predict(IMAGES, verbose=0))
    assert (found.labels, found.default_layer, network.default_layer()) == (5, found.default_layer, found.default_layer)
    assert {layer.name: layer.channels for layer in found.layers if layer.channels} == network.prunable_layers()
    assert found.parameters == sum(weight.size for weight in model.get_weights())
    channels = network.prunable_layers()["pruned"]
    order = np.random.default_rng(0).permutation(channels)
    steps = predictor_for(network, "pruned")
    labels = steps.labels(steps.features(IMAGES), order, NEVER_CANCELLED)
    np.testing.assert_array_equal(labels, plain_loop(model, "pruned", order.tolist(), IMAGES))
    assert write_onnx(network, tmp_path / "network.onnx", IMAGES[:4]) == ""
    assert_close(onnx_answers(tmp_path / "network.onnx", IMAGES), network.predict(IMAGES))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_halves_and_doubles_are_computed_in_float32(policy: str, ending: str, tmp_path: Path) -> None:
    import keras
    from keras import Input, Model, layers
    keras.config.set_dtype_policy(policy)
    try:
        image = Input((16, 16, 3))
        x = layers.Conv2D(6, 3, activation="relu", name="pruned")(layers.Rescaling(1 / 255)(image))
        x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
        model = Model(image, layers.Dense(5, activation="softmax", dtype="float32", name="output")(x))
        path = saved(model, tmp_path, ending)
        expected = model.predict(IMAGES, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    network = open_network(path)
    assert {call.output.dtype for call in network.calls} == {"float32"}
    assert_close(network.predict(IMAGES), expected, 1e-5 if policy == "float64" else 0.05)
    for ours, stored in zip(network.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, np.asarray(stored, np.float32))


def one_answer(activation: str) -> keras.Model:
    from keras import Input, Sequential, layers
    return Sequential([Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(6, 3, name="pruned"),
                       layers.GlobalMaxPooling2D(), layers.Dense(1, activation=activation, name="output")])


def test_one_sigmoid_tells_two_labels_apart(tmp_path: Path) -> None:
    model = one_answer("sigmoid")
    path = saved(model, tmp_path)
    bias = model.layers[-1].bias
    bias.assign(bias - np.median(_logits(model)))
    model.save(path)
    network, expected = open_network(path), model.predict(IMAGES, verbose=0)
    assert network.labels == describe_model(path).labels == 2
    np.testing.assert_allclose(network.predict(IMAGES), np.concatenate([1 - expected, expected], axis=1), atol=1e-6)
    np.testing.assert_array_equal(network.predict_labels(IMAGES), (expected[:, 0] > 0.5).astype(int))
    assert 0 < network.predict_labels(IMAGES).sum() < 40
    network.pruned("pruned", [1]).copy().model.save(tmp_path / "again.keras")
    again = open_network(tmp_path / "again.keras")
    assert again.labels == 2 and again.prunable_layers() == network.prunable_layers() == {"pruned": 6}
    np.testing.assert_array_equal(again.predict(IMAGES), network.pruned("pruned", [1]).predict(IMAGES))


@pytest.mark.parametrize("nested", [1, 2])
def test_one_sigmoid_of_a_model_inside_tells_two_labels_apart(nested: int, tmp_path: Path) -> None:
    from keras import Input, Model, Sequential, layers
    head = Sequential([Input((6,)), layers.Dense(1, activation="sigmoid")])
    for _ in range(1, nested):
        inside = Input((6,))
        head = Model(inside, head(inside))
    image = Input((16, 16, 3))
    model = Model(image, head(layers.GlobalMaxPooling2D()(layers.Conv2D(6, 3, name="pruned")(image))))
    model.save(tmp_path / "m.keras")
    network, expected = open_network(tmp_path / "m.keras"), model.predict(IMAGES, verbose=0)
    assert network.labels == describe_model(tmp_path / "m.keras").labels == 2
    np.testing.assert_allclose(network.predict(IMAGES), np.concatenate([1 - expected, expected], axis=1), atol=1e-6)


def _logits(model: keras.Model) -> Array:
    answers = model.predict(IMAGES, verbose=0)
    return np.asarray(np.log(answers / (1 - answers)))


def test_one_answer_that_is_no_probability_is_refused(tmp_path: Path) -> None:
    path = saved(one_answer("linear"), tmp_path)
    with pytest.raises(ModelError, match="at least 2 labels was expected"):
        open_network(path)


def test_a_file_above_256_mb_opens(tmp_path: Path) -> None:
    model = one_answer("sigmoid")
    path = saved(model, tmp_path, ".h5")
    with h5py.File(path, "a") as file:  # as large, by an array that lies in a hole
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        group = file.create_group("optimizer_weights")
        h5py.h5d.create(group.id, b"momentum", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((75 << 20,)), how)
    assert path.stat().st_size > 300 << 20
    np.testing.assert_array_equal(open_network(path).predict(IMAGES)[:, 1:], model.predict(IMAGES, verbose=0))


def maps_first(first: bool, flat: str) -> keras.Model:
    """One network, its maps with their channels first or last; its weights fit both."""
    from keras import Input, Model, layers
    how: dict[str, Any] = {"data_format": "channels_first" if first else "channels_last"}
    axis = 1 if first else 3
    image = Input((3, 16, 14) if first else (16, 14, 3))
    x = layers.Rescaling(0.5, offset=-1.0)(layers.RandomContrast(0.2)(layers.RandomFlip(**how)(image)))
    x = layers.ZeroPadding2D(((1, 0), (2, 0)), **how)(x)
    x = before = layers.Conv2D(8, 3, strides=2, padding="same", name="pruned", **how)(x)
    x = layers.ReLU()(layers.BatchNormalization(axis=axis)(x))
    x = layers.Concatenate(axis=axis)([layers.Add()([x, before]), before])
    x = layers.AveragePooling2D(2, **how)(layers.DepthwiseConv2D(2, activation="tanh", **how)(x))
    x = layers.GroupNormalization(4, axis=axis)(x)
    x = layers.BatchNormalization()(layers.Flatten(data_format=flat)(x))
    return Model(image, _ends(x))


def test_maps_with_channels_first_are_turned(tmp_path: Path) -> None:
    tensorflow, _ = backend.load()
    model, last = maps_first(True, "channels_first"), maps_first(False, "channels_last")
    randomise(last)
    balance(last)
    model.set_weights(last.get_weights())
    model.save(tmp_path / "m.keras")
    pictures = random_images(40, 3, (16, 14, 3))
    network, found = open_network(tmp_path / "m.keras"), describe_model(tmp_path / "m.keras")
    assert network.input_shape == found.input_shape == (16, 14, 3)
    # On a CPU Keras convolves with channels first in half precision, or not at all: a network with channels last is
    # beside it.
    with suppress(tensorflow.errors.UnimplementedError):
        assert_close(network.predict(pictures), np.asarray(model(pictures.transpose(0, 3, 1, 2), training=False)), 0.1)
    assert_close(network.predict(pictures), last.predict(pictures, verbose=0))
    zero_channels(last, "pruned", [0, 5])
    assert_close(network.pruned("pruned", [0, 5]).predict(pictures), last.predict(pictures, verbose=0))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_a_softmax_for_an_activation_is_turned_with_its_maps(axis: int, tmp_path: Path) -> None:
    from keras import Input, Model, layers

    def ending_in(image: Any, axis: int, **how: Any) -> keras.Model:
        maps = layers.Conv2D(8, 3, activation=layers.Softmax(axis), name="conv", **how)(image)
        return Model(image, _ends(layers.GlobalMaxPooling2D(**how)(maps)))

    model = ending_in(Input((3, 16, 14)), axis, data_format="channels_first")
    last = ending_in(Input((16, 14, 3)), {1: 3, 2: 1, -1: 2}[axis])
    randomise(last)
    model.set_weights(last.get_weights())
    model.save(tmp_path / "m.keras")
    pictures = random_images(40, 3, (16, 14, 3)) / np.float32(255)
    found, expected = open_network(tmp_path / "m.keras").predict(pictures), last.predict(pictures, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_layer_that_cannot_be_turned_is_named(tmp_path: Path) -> None:
    maps_first(True, "channels_last").save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"it isn't known that 'flatten\w*' \(Flatten\) computes the same on"):
        open_network(tmp_path / "m.keras")


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The archive with another configuration."""
    result = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change({layer["name"]: layer for layer in config["config"]["layers"]})
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return result


def _key(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(layers: dict[str, Any]) -> None:
        first = next(layer for name, layer in layers.items() if name.startswith("get_item"))
        first["inbound_nodes"][0]["args"][1] = value

    return change


@pytest.mark.parametrize("value", [
    "x", 7, [None, 1], [{"class_name": "__ellipsis__"}, 99], [{"class_name": "__slice__", "config": {}}],
    [{"class_name": "Lambda"}, 1], {"class_name": "__tuple__"}, [0.5], [[0, 1]],
    [{"class_name": "__slice__", "config": {"start": "a", "stop": 1, "step": 1}}],
    [{"class_name": "__ellipsis__"}, {"class_name": "__slice__", "config": {"start": 1, "stop": 1, "step": 0}}]])
def test_keys_that_take_nothing_known_are_refused(value: Any, tmp_path: Path) -> None:
    path = changed(saved(prepared_by("vgg16"), tmp_path), _key(value))
    with pytest.raises(ModelError, match=r"'get_item[_0-9]*' takes a part of a tensor in a way that isn't known"):
        open_network(path)


def test_constants_that_would_exhaust_memory_are_refused(tmp_path: Path) -> None:
    def change(layers: dict[str, Any]) -> None:
        (wide,) = (layer for name, layer in layers.items() if name.startswith("add"))
        wide["inbound_nodes"][0]["args"][1]["config"]["value"] = [[[[0.0] * 90_000]]]
        wide["inbound_nodes"][0]["args"][0]["config"]["shape"] = [None, 16, 16, 1]

    path = changed(saved(prepared_by("densenet"), tmp_path), change)
    with pytest.raises(ModelError, match="refused"):
        open_network(path)


def test_attention_that_would_exhaust_memory_is_refused(tmp_path: Path) -> None:
    def change(layers: dict[str, Any]) -> None:
        for name, layer in layers.items():
            if name.startswith("multi_head"):
                layer["config"]["num_heads"] = 10 ** 6

    path = changed(saved(vision_transformer(), tmp_path), change)
    with pytest.raises(ModelError, match="refused"):
        open_network(path)
