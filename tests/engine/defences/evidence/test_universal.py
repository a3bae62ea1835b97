"""Counts of stamps that move nearly all images, against what each stamp does to every image there is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.defences.evidence.universal import counted, find_universal, random_parts
from engine.defences.stamps import value_range
from engine.errors import Cancelled
from engine.models.networks import Images, Labels, Network
from engine.progress import CancelSource, Progress
from tests.support.backdoored import GUILTY, IMAGES, weights
from tests.support.backdoored import network as network
from tests.support.linear_networks import LABELS, SHAPE, numpy_logits, shown_to

STAMPS = 3000


def universal_stamps(network: Network, *given: Any, **named: Any) -> Labels:
    return counted(find_universal(network, *given, **named).stamps, network.labels)


def passing(share: float) -> float:
    """The chance that a stamp that moves so many of all images moves two of two, and at least five of six further."""
    return float(share**2 * (share**6 + 6 * share**5 * (1 - share)))


def test_counts_are_those_expected_of_stamps_tried_on_all_images(network: Network) -> None:
    rng, own = np.random.default_rng(77), numpy_logits(IMAGES, *weights()).argmax(axis=1)
    chances = []
    for _ in range(1500):
        stamped = IMAGES.astype(np.float32)
        for part in random_parts(rng, SHAPE, (0.0, 255.0)):
            part.put_on(stamped)
        answers = numpy_logits(stamped, *weights()).argmax(axis=1)
        chances.append([passing(float(((answers == label) & (own != label)).mean())) for label in range(LABELS)])
    expected = STAMPS * np.mean(chances, axis=0)
    counts = universal_stamps(network, IMAGES.astype(np.float32), STAMPS, seed=3)
    assert counts.shape == (LABELS,) and counts[GUILTY] > 20 and counts.argmax() == GUILTY
    for label in range(LABELS):
        # Five standard deviations of the count, and of the expectation from half as many stamps.
        assert abs(counts[label] - expected[label]) <= 5 * math.sqrt(3 * expected[label]) + 3


def test_half_of_the_stamps_are_pairs_that_mirror_each_other() -> None:
    rng = np.random.default_rng(5)
    drawn = [random_parts(rng, (20, 15, 3), (0.0, 1.0)) for _ in range(400)]
    pairs = [parts for parts in drawn if len(parts) == 2]
    assert 150 < len(pairs) < 250
    for left, right in pairs:
        black = np.zeros((20, 15, 3), np.float32)
        left.put_on(black)
        mirrored = np.zeros((20, 15, 3), np.float32)
        right.put_on(mirrored)
        assert np.array_equal(black, mirrored[:, ::-1])
        assert not ((black != 0) & (mirrored != 0)).any(), "they lie apart"


def test_pictures_of_one_column_have_no_pairs() -> None:
    rng = np.random.default_rng(5)
    assert {len(random_parts(rng, (20, 1, 3), (0.0, 1.0))) for _ in range(40)} == {1}


def test_large_images_are_stamped_in_parts(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    images = IMAGES.astype(np.float32)
    whole = universal_stamps(network, images, 300, seed=1)
    shown = shown_to(network, monkeypatch)
    monkeypatch.setattr("engine.defences.stamps._MOST_VALUES", 50 * images[0].size)
    assert np.array_equal(whole, universal_stamps(network, images, 300, seed=1)) and whole.any()
    assert len(shown[0]) == len(images) and max(map(len, shown[1:])) == 32, "a power of two"


def test_a_seed_gives_the_same_counts_and_progress_ends_whole(network: Network) -> None:
    images, seen = IMAGES.astype(np.float32), list[Progress]()
    first = universal_stamps(network, images, 300, seed=1, progress=seen.append)
    assert np.array_equal(first, universal_stamps(network, images, 300, seed=1))
    assert not np.array_equal(first, universal_stamps(network, images, 300, seed=2))
    assert (seen[-1].done, seen[-1].total) == (300, 300)
    assert value_range(images) == (0.0, 255.0)


def test_stamps_under_which_an_answer_is_no_number_are_told_apart(
        network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """No label's count grows by them, whatever the network answers to other images that wear them."""
    images, answers = IMAGES.astype(np.float32), network.predict_labels

    def broken(shown: Images, *given: Any, **named: Any) -> Labels:
        return np.where(shown[:, 0, 0, 0] > 200, -1, answers(shown, *given, **named))

    images[:, 0, 0, 0] = 100
    whole = find_universal(network, images, 300, seed=1)
    monkeypatch.setattr(network, "predict_labels", broken)
    found = find_universal(network, images, 300, seed=1)
    assert whole.overflowed == 0 < found.overflowed < 300 - len(found.stamps)
    assert all((one.put_on(images[:1])[:, 0, 0, 0] <= 200).all() for one in found.stamps)


def test_cancel_ends_it(network: Network) -> None:
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        universal_stamps(network, IMAGES.astype(np.float32), 300, cancel=source.token)
