"""A function that Keras 2 computed otherwise is neither read as Keras 3's nor written for Keras 2."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from engine.data.preprocessing import AS_STORED
from engine.errors import ModelError
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.networks import Network, open_network
from engine.models.reading import read_model_file

IMAGES = np.random.default_rng(3).random((20, 8, 8, 3), np.float32)


def network(activation: str, *, behind: bool) -> keras.Model:
    """With the activation in the convolution, or as a layer behind it."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv", activation=None if behind else activation)(image)
    x = keras.layers.Activation(activation, name="behind")(x) if behind else x
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


def saved_by(model: keras.Model, path: Path, version: str) -> Path:
    """As a Keras of that version notes it."""
    model.save(path)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = version
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["metadata.json"] = json.dumps({**json.loads(parts["metadata.json"]), "keras_version": version}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_what_was_another_function_to_the_keras_that_saved_it_is_refused(
    name: str, behind: bool, tmp_path: Path,
) -> None:
    model = network("hard_sigmoid", behind=behind)
    for version in ("2.4.0", "2.15.0", "1.2.2"):
        layer = "behind" if behind else "conv"
        with pytest.raises(ModelError, match=rf"{name}: layer '{layer}' uses hard_sigmoid, .* Export it as \.onnx"):
            read_model_file(saved_by(model, tmp_path / name, version))
    found = open_network(saved_by(model, tmp_path / name, "3.12.0")).predict(IMAGES)
    np.testing.assert_allclose(found, model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-6)
    assert open_network(saved_by(network("relu", behind=behind), tmp_path / name, "2.4.0")).labels == 3


@pytest.mark.parametrize("activation", ["hard_sigmoid", "relu"])
def test_it_isn_t_written_for_keras_2(activation: str, tmp_path: Path) -> None:
    b = Network(network(activation, behind=False), tmp_path / "b.keras")
    assert save_pair(GoodNet(b, b.pruned("conv", [1]), AS_STORED, {"x": 5.0}), tmp_path / "pair") == ()
    assert (tmp_path / "pair" / "repaired_5.h5").exists() is (activation == "relu")
    assert (tmp_path / "pair" / "repaired_5.onnx").exists()
    np.testing.assert_allclose(open_goodnet([tmp_path / "pair"]).b.predict(IMAGES), b.predict(IMAGES), atol=1e-6)
