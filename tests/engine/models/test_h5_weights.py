"""What Keras does with the weights and settings of an `.h5` on loading it, where GoodNet must see to more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from engine.errors import ModelError
from engine.goodnets.legacy_h5 import save_keras2_h5
from engine.models.networks import Network, open_network
from tests.support.networks import randomise

IMAGES = np.random.default_rng(3).random((6, 8, 8, 3), np.float32)
Settings = dict[str, Any]


def chained(*inside: keras.layers.Layer, functional: bool, name: str | None = None) -> keras.Model:
    if not functional:
        return keras.Sequential([keras.Input((8, 8, 3)), *inside], name=name)
    image = x = keras.Input((8, 8, 3))
    for layer in inside:
        x = layer(x)
    return keras.Model(image, x, name=name)


def around(base: keras.Model) -> keras.Model:
    return chained(base, layers.Flatten(), layers.Dense(5), functional=True)


def assert_same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("functional", [True, False])
def test_a_normalization_inside_a_model_computes_with_its_statistics(functional: bool, tmp_path: Path) -> None:
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(1).normal(0.3, 0.1, (50, 8, 8, 3)))
    base = chained(norm, layers.Conv2D(4, 3, name="conv"), functional=functional, name="base")
    model, path = around(base), tmp_path / "m.h5"
    model.save(path)
    network, expected = open_network(path), model.predict(IMAGES, verbose=0)
    assert_same(network.predict(IMAGES), expected)
    assert_same(network.pruned("base/conv", []).predict(IMAGES), expected)


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_weights_of_a_partly_frozen_model_inside_come_into_their_own_layers(
        functional: bool, frozen: bool, tmp_path: Path) -> None:
    convolutions = [layers.Conv2D(3, 3, padding="same", name=f"c{number}") for number in range(3)]
    base = chained(*convolutions, functional=functional, name="base")
    base.trainable = not frozen
    convolutions[0].trainable, convolutions[2].trainable = False, True
    model, path = around(base), tmp_path / "m.h5"
    randomise(model)
    model.save(path)
    network = open_network(path)
    assert_same(network.predict(IMAGES), model.predict(IMAGES, verbose=0))
    for convolution in convolutions:
        assert_same(network.call_of(f"base/{convolution.name}").layer.get_weights()[0], convolution.get_weights()[0])


@pytest.mark.parametrize("functional", [True, False])
def test_a_model_inside_hands_on_a_tensor_as_in_keras_2(functional: bool, tmp_path: Path) -> None:
    base = chained(layers.Conv2D(4, 3, name="conv"), functional=True, name="base")
    model, path = chained(base, layers.Flatten(), layers.Dense(5), functional=functional), tmp_path / "m.h5"
    save_keras2_h5(Network(model, Path("x")), path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        inside = next(x for x in config["config"]["layers"] if x["config"]["name"] == "base")["config"]
        inside |= {"input_layers": [[inside["layers"][0]["name"], 0, 0]], "output_layers": [["conv", 0, 0]]}
        file.attrs["model_config"] = json.dumps(config)
    network, expected = open_network(path), model.predict(IMAGES, verbose=0)
    assert_same(network.predict(IMAGES), expected)
    assert_same(network.pruned("base/conv", []).predict(IMAGES), expected)


def by_keras2(layer: keras.layers.Layer, path: Path, more: Settings) -> keras.Model:
    """A network with a layer that has settings besides, in the file that Keras 2 makes of it."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layer, layers.Flatten(), layers.Dense(5)])
    save_keras2_h5(Network(model, Path("x")), path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        next(x for x in config["config"]["layers"] if x["config"]["name"] == layer.name)["config"].update(more)
        file.attrs["model_config"] = json.dumps(config)
    return model


KERAS2_SETTINGS: dict[str, tuple[Callable[[], keras.layers.Layer], Settings]] = {
    "depthwise": (lambda: layers.DepthwiseConv2D(3), {"groups": 1}),
    "separable": (lambda: layers.SeparableConv2D(4, 3), {
        "groups": 1, "kernel_regularizer": None, "kernel_constraint": None,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}}),
    "transposed": (lambda: layers.Conv2DTranspose(4, 3), {"groups": 1}),
    "dropout of maps": (lambda: layers.SpatialDropout2D(0.2), {"trainable": True, "noise_shape": None}),
    "flips": (layers.RandomFlip, {"rng_type": "stateful"}),
    "turns": (lambda: layers.RandomRotation(0.1), {"rng_type": "legacy_stateful"}),
    "zooms": (lambda: layers.RandomZoom(0.1), {"rng_type": "stateless"}),
    "shifts": (lambda: layers.RandomTranslation(0.1, 0.1), {"rng_type": "stateful"}),
    "contrasts": (lambda: layers.RandomContrast(0.1), {"rng_type": "stateful"}),
    "lights": (lambda: layers.RandomBrightness(0.1), {"rng_type": "stateful"}),
}


@pytest.mark.parametrize("name", KERAS2_SETTINGS)
def test_settings_that_keras_2_alone_wrote_are_left_out(name: str, tmp_path: Path) -> None:
    make, more = KERAS2_SETTINGS[name]
    model = by_keras2(make(), tmp_path / "m.h5", more)
    assert_same(open_network(tmp_path / "m.h5").predict(IMAGES), model.predict(IMAGES, verbose=0))


@pytest.mark.parametrize(("name", "more", "said"), [
    ("depthwise", {"groups": 2}, "has the setting 'groups' of 2"),
    ("dropout of maps", {"noise_shape": [None, 1, 1, 4]}, "has the setting 'noise_shape' of ")])
def test_those_that_mean_something_are_refused(name: str, more: Settings, said: str, tmp_path: Path) -> None:
    by_keras2(KERAS2_SETTINGS[name][0](), tmp_path / "m.h5", more)
    with pytest.raises(ModelError, match=said):
        open_network(tmp_path / "m.h5")


def test_a_setting_that_keras_doesn_t_know_is_named(tmp_path: Path) -> None:
    by_keras2(layers.DepthwiseConv2D(3), tmp_path / "m.h5", {"fancy": 7})
    with pytest.raises(ModelError, match=r"can't build this model \(Unrecognized keyword arguments .*'fancy': 7"):
        open_network(tmp_path / "m.h5")


def test_convolutions_of_theano_are_refused(tmp_path: Path) -> None:
    by_keras2(layers.ReLU(), tmp_path / "m.h5", {})
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file.attrs["backend"] = b"theano"
    with pytest.raises(ModelError, match=r"m\.h5: was saved by Keras on Theano, .* \(KERAS_BACKEND=tensorflow\)"):
        open_network(tmp_path / "m.h5")
    # Without convolutions there is nothing to turn around.
    plain = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(5)])
    save_keras2_h5(Network(plain, Path("x")), tmp_path / "plain.h5")
    with h5py.File(tmp_path / "plain.h5", "a") as file:
        file.attrs["backend"] = b"theano"
    assert_same(open_network(tmp_path / "plain.h5").predict(IMAGES), plain.predict(IMAGES, verbose=0))


def test_empty_notes_are_no_hindrance(tmp_path: Path) -> None:
    model, path = around(layers.Conv2D(4, 3, name="conv")), tmp_path / "m.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        for place, name in ((file, "note"), (file, "training_config"), (file["model_weights"], "note")):
            place.attrs[name] = h5py.Empty(h5py.string_dtype())
    assert_same(open_network(path).predict(IMAGES), model.predict(IMAGES, verbose=0))
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = h5py.Empty(h5py.string_dtype())
    with pytest.raises(ModelError, match=r"m\.h5: its note 'layer_names' isn't one of names"):
        open_network(path)
