"""A likely cause is looked for on images of the whole set, and named where they are enough to tell."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.models.networks import Network
from engine.runs.doubts.causes import likely_cause, likely_target
from tests.support.linear_networks import LABELS, SHAPE, SIZE, linear_network


@pytest.fixture(scope="module")
def network() -> Network:
    """It calls an image by which of four values is bright in it."""
    kernel = np.zeros((SIZE, LABELS), np.float32)
    kernel[range(LABELS), range(LABELS)] = 0.1
    return linear_network(kernel, np.zeros(LABELS, np.float32))


def saved(path: Path, shown: list[int], labels: list[int], block: int = 1) -> Dataset:
    """Images of which each shows a label, in HDF5 in blocks of so many."""
    images = np.zeros((len(shown), SIZE), np.uint8)
    images[range(len(shown)), shown] = 255
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=images.reshape(-1, *SHAPE), chunks=(block, *SHAPE))
        file["label"] = np.array(labels)
    return open_dataset(path, SHAPE, LABELS)


def test_a_sorted_set_in_small_blocks_is_looked_at_as_a_whole(network: Network, tmp_path: Path) -> None:
    """Its first and last block show two of the labels, and by the ten images in them it can't be told."""
    shown = np.repeat(range(LABELS), 50)
    other = np.array([1, 3, 0, 2])[shown]
    said = likely_cause(network, saved(tmp_path / "d.h5", shown.tolist(), other.tolist(), 5))
    assert "numbered in another order" in said
    said = likely_cause(network, saved(tmp_path / "e.h5", (shown[50:] - 1).tolist(), shown[50:].tolist(), 5))
    assert "every label is one too high" in said and "right on 100 % of 150 images tried" in said


def test_some_labels_in_another_order_are_told_though_b_is_mostly_right(network: Network, tmp_path: Path) -> None:
    shown = np.repeat([0, 1, 2, 3], [30, 30, 30, 200])
    ring, open_ended = np.array([1, 2, 0, 3])[shown], np.array([0, 1, 1, 3])[shown]
    said = likely_cause(network, saved(tmp_path / "d.h5", shown.tolist(), ring.tolist()))
    assert "numbered in another order" in said and "answers images of label 0 with label 2" in said
    assert said.endswith("Save the set again with the network's numbers.")
    missing = shown != 1  # one label's images are all answered with another, of which there are none
    assert likely_cause(network, saved(tmp_path / "e.h5", shown[missing].tolist(), open_ended[missing].tolist())) == ""


@pytest.mark.parametrize(("images", "named"), [(4, False), (40, True)])
def test_few_images_name_no_cause(images: int, named: bool, network: Network, tmp_path: Path) -> None:
    shown = [number % (LABELS - 1) for number in range(images)]
    assert bool(likely_cause(network, saved(tmp_path / "d.h5", shown, [label + 1 for label in shown]))) == named
    renumbered = saved(tmp_path / "e.h5", [0] * (images // 2) + [2] * (images // 2),
                       [1] * (images // 2) + [0] * (images // 2))
    assert bool(likely_cause(network, renumbered)) == named


@pytest.mark.parametrize(("answered", "others", "named"), [(6, 5, False), (9, 2, True), (60, 40, True)])
def test_a_target_that_chance_may_have_made_isn_t_named(
    answered: int, others: int, named: bool, network: Network, tmp_path: Path,
) -> None:
    poisoned = saved(tmp_path / "d.h5", [2] * answered + [0] * others, [1] * (answered + others))
    assert bool(likely_target(network, poisoned)) == named
