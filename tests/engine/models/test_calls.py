"""Layers that are called by keyword, and models whose input and output go by names: they run, and all saved opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.data.preprocessing import AS_STORED
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.networks import open_network
from tests.support.networks import random_images

if TYPE_CHECKING:
    import keras

SHAPE = (8, 8, 3)
IMAGES = random_images(6, seed=7, shape=SHAPE)


def rows(image: keras.KerasTensor) -> keras.KerasTensor:
    from keras import layers
    return layers.Reshape((64, 4))(layers.Conv2D(4, 3, padding="same", name="conv")(image))


def answers(x: keras.KerasTensor) -> keras.KerasTensor:
    from keras import layers
    pooled = layers.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else layers.GlobalAveragePooling2D()(x)
    return layers.Dense(3, activation="softmax")(pooled)


@pytest.mark.parametrize("called", ["by place", "by keyword", "by both"])
def test_attention_however_it_is_called_leaves_out_what_can_t_say_so(called: str, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input(SHAPE)
    x, attention = rows(image), layers.MultiHeadAttention(2, 4)
    y = layers.Dense(4)(x)
    seen = attention(x, y) if called == "by place" else attention(query=x, value=y) if called == "by keyword" else \
        attention(x, key=x, value=y)
    Model(image, answers(seen)).save(tmp_path / "net.keras")
    network = open_network(tmp_path / "net.keras")
    pruned = network.pruned("conv", [0])
    left_out = save_pair(GoodNet(network, pruned, AS_STORED, {"x": 2, "pruned_channels": [0]}), tmp_path / "pair")
    by_place = called == "by place"
    assert (tmp_path / "pair" / "goodnet.onnx").is_file() == by_place and bool(left_out) != by_place
    assert all("by keyword" in sentence for sentence in left_out)
    assert not (tmp_path / "pair" / "repaired_2.h5").exists(), "neither Keras 2 nor 3 reads such a call from it"
    saved = open_goodnet([tmp_path / "pair"])
    np.testing.assert_array_equal(saved.b_prime.predict(IMAGES), pruned.predict(IMAGES))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("named", ["input", "output", "both"])
def test_one_input_and_one_output_may_go_by_names(named: str, ending: str, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input(SHAPE, name="image")
    told = answers(layers.Conv2D(4, 3, name="conv")(image))
    model = Model({"image": image} if named != "output" else image, {"labels": told} if named != "input" else told)
    model.save(tmp_path / f"net{ending}")
    expected = model({"image": IMAGES} if named != "output" else IMAGES, training=False)
    network = open_network(tmp_path / f"net{ending}")
    np.testing.assert_allclose(network.predict(IMAGES), np.asarray(
        expected["labels"] if named != "input" else expected), rtol=1e-5)
    pruned = network.pruned("conv", [1])
    assert not save_pair(GoodNet(network, pruned, AS_STORED, {"x": 2, "pruned_channels": [1]}), tmp_path / "pair")
    again = open_network(tmp_path / "pair" / "repaired_2.h5")
    np.testing.assert_array_equal(again.predict(IMAGES), pruned.predict(IMAGES))


@pytest.mark.parametrize("inside", ["named input", "named output", "keyword"])
def test_so_may_those_of_a_model_inside(inside: str, tmp_path: Path) -> None:
    """Where Keras 2 has no words for the call, its file is left out."""
    from keras import Input, Model, layers
    image, part = Input(SHAPE), Input((8, 8, 4), name="part")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    told = layers.Conv2D(4, 1)(part)
    if inside == "keyword":
        x = layers.Conv2D(4, 1)(inputs=x)
    elif inside == "named input":
        x = Model({"part": part}, told)({"part": x})
    else:
        x = Model(part, {"told": told})(x)["told"]
    Model(image, answers(x)).save(tmp_path / "net.keras")
    network = open_network(tmp_path / "net.keras")
    pruned = network.pruned("conv", [1])
    save_pair(GoodNet(network, pruned, AS_STORED, {"x": 2, "pruned_channels": [1]}), tmp_path / "pair")
    repaired = tmp_path / "pair" / "repaired_2.h5"
    assert repaired.exists() == (inside != "keyword")
    if repaired.exists():
        np.testing.assert_array_equal(open_network(repaired).predict(IMAGES), pruned.predict(IMAGES))
