"""Fine-pruning: what is pruned stays pruned, the rest learns, the result is a pair's B'."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.data.subsets import subset
from engine.defences.fine_pruning import fine_prune
from engine.defences.training import repaired_network
from engine.errors import Cancelled, DatasetError, LayerNotFound
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress
from tests.support.linear_networks import dataset_of
from tests.support.networks import LABELS, Array, build, random_images, zero_channels

PRUNED = [0, 3, 4]
IMAGES = random_images(120, seed=41)


def small(name: str = "plain") -> tuple[Network, str]:
    model, layer = build(name)
    return Network(model, Path(f"{name}.keras")), layer


def answered(network: Network, tmp_path: Path) -> Dataset:
    """Images with the labels B gives them."""
    return dataset_of(tmp_path / "clean.npz", IMAGES, network.predict_labels(IMAGES))


def cross_entropy(answers: Array, labels: Array) -> float:
    return float(-np.log(answers[np.arange(len(labels)), labels] + 1e-9).mean())


@pytest.mark.parametrize("name", ["plain", "batch normalisation, no bias", "nested"])
def test_pruned_channels_stay_zero_and_the_rest_learns(tmp_path: Path, name: str) -> None:
    network, layer = small(name)
    data = answered(network, tmp_path)
    before = [w.copy() for w in network.model.get_weights()]
    repair = fine_prune(network, data, layer, PRUNED, steps=60, allow_missing_labels=True)
    tuned = repaired_network(network, repair)
    weights = tuned.call_of(layer).layer.get_weights()
    for array, old in zip(weights, network.call_of(layer).layer.get_weights(), strict=True):
        kept = [c for c in range(array.shape[-1]) if c not in PRUNED]
        assert (array[..., PRUNED] == 0).all()
        assert not np.array_equal(array[..., kept], old[..., kept])
    assert all(np.array_equal(a, b) for a, b in zip(before, network.model.get_weights(), strict=True))

    merely_pruned, _ = build(name)
    zero_channels(merely_pruned, layer, PRUNED)
    assert cross_entropy(tuned.predict(IMAGES), data.labels) < cross_entropy(
        merely_pruned.predict(IMAGES, verbose=0), data.labels)
    assert (repair.method, repair.layer, repair.pruned) == ("fine-pruning", layer, tuple(PRUNED))


def test_it_repeats_to_the_bit(tmp_path: Path) -> None:
    network, layer = small()
    data = answered(network, tmp_path)
    one, two = (fine_prune(network, data, layer, PRUNED, steps=31, seed=3, allow_missing_labels=True) for _ in "ab")
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))


def test_refusals(tmp_path: Path) -> None:
    network, layer = small()
    data = dataset_of(tmp_path / "clean.npz", IMAGES, np.arange(120) % (LABELS - 2))
    with pytest.raises(DatasetError, match=f"2 of {LABELS} labels have no image"):
        fine_prune(network, data, layer, PRUNED)
    with pytest.raises(LayerNotFound, match="no_such_layer"):
        fine_prune(network, data, "no_such_layer", PRUNED)
    assert "2 of" in fine_prune(network, data, layer, PRUNED, steps=1, allow_missing_labels=True).warning


def test_it_is_cancelled_between_steps(tmp_path: Path) -> None:
    network, layer = small()
    source = CancelSource()

    def stop(report: Progress) -> None:
        assert report.done <= 1, "went on after it was cancelled"
        if report.done:
            source.cancel()

    with pytest.raises(Cancelled):
        fine_prune(network, answered(network, tmp_path), layer, PRUNED, allow_missing_labels=True, progress=stop,
                   cancel=source.token)


def test_lab3(lab3: Path) -> None:
    """54 channels of the published order cost 59 points of clean accuracy; fine-tuning brings most of them back."""
    network = open_network(lab3 / "bd_weights.h5")
    clean = open_dataset(lab3 / "clean_faces.h5", network.input_shape, network.labels)
    channels = json.loads((lab3 / "published.json").read_text())["pruning_order"][:54]
    tuned = repaired_network(network, fine_prune(network, subset(clean, range(100)), "conv_3", channels, steps=60,
                                                 allow_missing_labels=True))
    images, labels = clean.take(range(100, 180)), clean.labels[100:]
    merely_pruned = network.pruned("conv_3", channels)
    assert (merely_pruned.predict_labels(images) == labels).mean() < 0.5
    assert (tuned.predict_labels(images) == labels).mean() > 0.8
