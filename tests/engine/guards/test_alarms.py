"""Which labels bear a guard's false alarms: counted by hand, and never said by chance."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.guards.alarms import Alarms, alarms_of
from engine.guards.calibration import calibrate, held_back_of
from engine.models.networks import Network
from tests.support.linear_networks import LABELS, SHAPE, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import Array, random_images

IMAGES = random_images(300, seed=12, shape=SHAPE)
TRUTH = np.random.default_rng(4).integers(0, LABELS, 300)


@pytest.fixture
def network() -> Network:
    return linear_network(*linear_weights())


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "d.npz", IMAGES, TRUTH)


def by_hand(truth: Array, flagged: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows = [(sum(truth[flagged] == label), sum(truth == label)) for label in range(LABELS)]
    caught, images = zip(*rows, strict=True)
    return tuple(map(int, caught)), tuple(map(int, images))


@pytest.mark.parametrize("count", [3, 4])
def test_a_label_is_named_where_all_ways_to_spread_the_alarms_hardly_ever_give_it_so_many(count: int) -> None:
    """Every way in which 5 of 30 images can be flagged is tried."""
    images = (4, 13, 13)
    alarms = Alarms("d", (count, 5 - count, 0), images)
    label = np.repeat(range(3), images)
    ways = [sum(label[i] == 0 for i in chosen) >= count for chosen in combinations(range(30), 5)]
    assert (3 * np.mean(ways) < 0.001) == (count == 4) == (alarms.borne_by().tolist() == [0])
    assert alarms.rate_without(np.array([0])) == (5 - count) / 26


@pytest.mark.parametrize(("flagged", "images", "borne"), [
    ((19, 2, 1), (20, 300, 300), [0]),
    ((2, 0, 0), (2, 400, 400), []),                    # too few to say
    ((15, 0, 0), (100, 400, 400), []),                 # seldom, though far more often than the others
    ((20, 20, 20), (50, 50, 50), []),                  # all alike
    ((9, 2, 12, 0), (12, 300, 12, 300), [2, 0]),
    ((5, 0), (5, 0), []),                              # nothing to compare with
    ((0, 0), (0, 0), [])])
def test_a_label_bears_the_alarms_where_many_of_its_images_and_few_others_are_flagged(
    flagged: tuple[int, ...], images: tuple[int, ...], borne: list[int],
) -> None:
    assert Alarms("d", flagged, images).borne_by().tolist() == borne


@pytest.mark.parametrize(("labels", "each", "runs"), [(1283, 9, 300), (43, 20, 1000), (4, 75, 1000), (2, 10, 1000)])
@pytest.mark.parametrize("rate", [0.005, 0.02, 0.1])
def test_no_label_is_named_by_chance(labels: int, each: int, runs: int, rate: float) -> None:
    """Labels that are treated alike, by thresholds as 60 images draw them."""
    chance = np.random.default_rng(labels)
    named = 0
    for _ in range(runs):
        images = chance.poisson(each, labels)
        flagged = chance.binomial(images, chance.beta(61 * rate, 61 * (1 - rate)))
        named += len(Alarms("d", tuple(flagged.tolist()), tuple(images.tolist())).borne_by()) > 0
    assert named < runs / 100


@pytest.mark.parametrize("count", [300, 100])
def test_a_guard_counts_by_labels_what_it_flags_of_its_own_images(network: Network, tmp_path: Path, count: int) -> None:
    truth = TRUTH[:count]
    guard = calibrate(network, dataset_of(tmp_path / "d.npz", IMAGES[:count], truth), "margin", 0.1)
    two = np.sort(numpy_logits(IMAGES[:count], *linear_weights()), axis=1)[:, -2:]
    flagged = two[:, 1] - two[:, 0] > guard.threshold + 1e-4
    assert guard.alarms == Alarms("d", *by_hand(truth, flagged))
    assert sum(guard.alarms.flagged[label] for label in range(LABELS)) > 0
    held_back = held_back_of(guard.calibration, count)
    assert flagged[held_back].sum() == guard.calibration.held_back.count


def test_a_transplant_guard_counts_all_but_its_donors(network: Network, clean: Dataset) -> None:
    guard = calibrate(network, clean, "transplant", 0.1)
    donors = {image.tobytes() for image in guard.donors.images}
    images = clean.take(range(300))
    others = np.array([image.tobytes() not in donors for image in images])
    assert others.sum() == 300 - 16
    flagged = guard.on(network).scores(images[others]) > guard.threshold + 1e-4
    assert guard.alarms == Alarms("d", *by_hand(TRUTH[others], flagged))
    assert dataclasses.replace(guard.alarms, name="e") == alarms_of("e", flagged, TRUTH[others], LABELS)
