"""What a pruned copy of a network with separable convolutions or joined branches is: one whose channels are zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.defences.fine_pruning import fine_prune
from engine.defences.training import repaired_network
from engine.models.architecture import describe_model
from engine.models.networks import Network, open_network
from tests.support.linear_networks import dataset_of
from tests.support.networks import HEIGHT, LABELS, WIDTH, build, plain_loop, random_images

CHANNELS = [1, 4, 6]


def nested(inner: Any, outer: str) -> Any:
    """A model inside another one."""
    from keras import Input, Model, Sequential
    inner.name = "backbone"
    if outer == "Sequential":
        return Sequential([Input((HEIGHT, WIDTH, 3)), inner])
    image = Input((HEIGHT, WIDTH, 3))
    return Model(image, inner(image))


@pytest.mark.parametrize("name", ["separable convolutions", "joined branches", "joined branches, joined again"])
def test_a_pruned_copy_answers_as_the_plain_way(name: str, tmp_path: Path) -> None:
    images = random_images(20)
    model, layer = build(name)
    network, reference = Network(model, Path("network.keras")), build(name)[0]
    before = network.predict(images)
    copy = network.pruned(layer, CHANNELS)
    plain = plain_loop(reference, layer, CHANNELS, images)
    assert len(np.unique(plain, axis=0)) > 1
    np.testing.assert_array_equal(copy.predict_labels(images), plain[-1])
    np.testing.assert_array_equal(network.predict(images), before)
    copy.model.save(tmp_path / "copy.keras")
    again = open_network(tmp_path / "copy.keras")
    np.testing.assert_array_equal(again.predict(images), copy.predict(images))
    assert again.prunable_layers()[layer] == network.prunable_layers()[layer]


def test_joined_branches_are_pruned_once_more(tmp_path: Path) -> None:
    images = random_images(20)
    model, layer = build("joined branches")
    expected = Network(model, Path("network.keras")).pruned(layer, CHANNELS).predict(images)
    Network(model, Path("network.keras")).pruned(layer, CHANNELS[:2]).model.save(tmp_path / "copy.keras")
    np.testing.assert_array_equal(open_network(tmp_path / "copy.keras").pruned(layer, CHANNELS[2:]).predict(images),
                                  expected)


@pytest.mark.parametrize("outer", ["Functional", "Sequential"])
def test_joined_branches_of_a_model_inside_a_model(outer: str) -> None:
    images = random_images(20)
    model, layer = build("joined branches")
    expected = Network(model, Path("network.keras")).pruned(layer, CHANNELS).predict(images)
    whole = Network(nested(build("joined branches")[0], outer), Path("network.keras"))
    assert f"backbone/{layer}" in whole.prunable_layers()
    np.testing.assert_array_equal(whole.pruned(f"backbone/{layer}", CHANNELS).predict(images), expected)


def test_a_file_and_the_opened_network_name_the_same_layers(tmp_path: Path) -> None:
    for name in ("separable convolutions", "joined branches", "joined behind"):
        model, _ = build(name)
        model.save(tmp_path / "network.keras")
        described = describe_model(tmp_path / "network.keras")
        found = {part.name: part.channels for part in described.layers if part.channels}
        assert found == open_network(tmp_path / "network.keras").prunable_layers()


def test_shut_channels_stay_shut_in_training(tmp_path: Path) -> None:
    """Fine-pruning's weights belong to the pruned copy, and its pruned channels are still zero in what it makes."""
    model, layer = build("joined branches")
    network = Network(model, Path("network.keras"))
    images = random_images(60)
    clean = dataset_of(tmp_path / "clean.npz", images, np.arange(60) % LABELS)
    found = fine_prune(network, clean, layer, CHANNELS, steps=3)
    made = repaired_network(network, found)
    maps = made.submodel([made.input], [next(c.output for c in made.calls if c.name == f"{layer}_kept")])([images])
    maps = np.asarray(maps[0] if isinstance(maps, list) else maps)
    assert not maps[..., CHANNELS].any() and maps[..., 0].any()
    assert any((a != b).any() for a, b in zip(model.get_weights(), made.model.get_weights(), strict=False)
               if a.shape == b.shape)
