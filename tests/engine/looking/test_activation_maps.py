"""Activation maps are the layer's own output, and pictures are what the network was shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import LayerNotFound, ModelError
from engine.looking.activation_maps import activation_maps
from engine.models.networks import Network
from tests.support.networks import build, random_images


@pytest.fixture(scope="module")
def network() -> Network:
    model, _ = build("plain")
    return Network(model, Path("badnet.keras"))


def test_maps_are_what_keras_computes(network: Network) -> None:
    from keras import Model
    clean, poisoned = random_images(2, seed=9)
    layer = network.default_layer()
    direct = Model(network.model.inputs, network.model.get_layer(layer).output).predict(
        np.stack([clean, poisoned]), verbose=0)
    for channel in range(direct.shape[-1]):
        maps = activation_maps(network, layer, channel, clean, poisoned)
        assert (maps.layer, maps.channel) == (layer, channel)
        assert maps.clean_map.dtype == np.float32
        np.testing.assert_allclose(maps.clean_map, direct[0, ..., channel], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(maps.poisoned_map, direct[1, ..., channel], rtol=1e-5, atol=1e-4)
    assert np.array_equal(maps.clean_image, clean.astype(np.uint8))
    assert np.array_equal(maps.poisoned_image, poisoned.astype(np.uint8))


def test_without_a_poisoned_image(network: Network) -> None:
    clean = random_images(1)[0]
    maps = activation_maps(network, network.default_layer(), 0, clean, None)
    assert maps.poisoned_image is None and maps.poisoned_map is None
    assert maps.clean_map.ndim == 2


def test_refuses_what_is_not_there(network: Network) -> None:
    clean = random_images(1)[0]
    layer = network.default_layer()
    beyond = network.prunable_layers()[layer]
    for channel in (-1, beyond):
        with pytest.raises(ModelError, match=f"channels 0 to {beyond - 1}"):
            activation_maps(network, layer, channel, clean, None)
    with pytest.raises(LayerNotFound, match="nowhere"):
        activation_maps(network, "nowhere", 0, clean, None)
