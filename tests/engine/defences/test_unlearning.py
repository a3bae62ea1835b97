"""Unlearning on a network with a short way to one label, its answers before and after computed by NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.defences.course import prepare
from engine.defences.distillation import distil
from engine.defences.unlearning import unlearn
from engine.errors import Cancelled, DatasetError
from engine.models.networks import Network
from engine.progress import CancelSource, Progress
from tests.support.backdoored import GUILTY, weights
from tests.support.backdoored import network as network
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(260, seed=22, shape=SHAPE)
TRUTH = numpy_logits(IMAGES, *weights()).argmax(axis=1)
NEW = random_images(200, seed=23, shape=SHAPE)
NEW_TRUTH = numpy_logits(NEW, *weights()).argmax(axis=1)


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "clean.npz", IMAGES, TRUTH)


def drawn(of: tuple[Array, ...]) -> float:
    """The share of new images of other labels that the attacker's own trigger draws to the label, by NumPy."""
    poisoned = NEW[NEW_TRUTH != GUILTY].copy()
    poisoned[:, 1:3, 2:5] = (255, 0, 0)
    return float((numpy_logits(poisoned, *of).argmax(axis=1) == GUILTY).mean())


def test_the_attackers_own_trigger_is_unlearnt_and_clean_images_keep_their_labels(
        network: Network, clean: Dataset) -> None:
    assert drawn(weights()) == 1
    repair = unlearn(network, clean)
    kernel, bias = repair.weights
    assert drawn((kernel, bias)) < 0.3
    assert (numpy_logits(NEW, kernel, bias).argmax(axis=1) == NEW_TRUTH).mean() > 0.8
    assert (repair.method, repair.layer) == ("unlearning", "")
    for kept, before in zip(network.model.get_weights(), weights(), strict=True):
        np.testing.assert_array_equal(kept, before)


def test_a_course_made_once_serves_both_ways_to_teach(network: Network, clean: Dataset) -> None:
    course = prepare(network, clean, 4)
    for method in (unlearn, distil):
        alone, shared = method(network, clean, steps=3, seed=4), method(network, clean, steps=3, course=course)
        assert (alone.seed, alone.warning, alone.after) == (shared.seed, shared.warning, shared.after)
        for first, second in zip(alone.weights, shared.weights, strict=True):
            np.testing.assert_array_equal(first, second)


def test_it_repeats_to_the_bit(network: Network, clean: Dataset) -> None:
    one, two = (unlearn(network, clean, steps=3, seed=4) for _ in "ab")
    for first, second in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_missing_labels_are_refused_or_warned_of(network: Network, tmp_path: Path) -> None:
    data = dataset_of(tmp_path / "part.npz", IMAGES, TRUTH.clip(0, LABELS - 2))
    with pytest.raises(DatasetError, match=f"1 of {LABELS} labels have no image"):
        unlearn(network, data)
    assert "1 of" in unlearn(network, data, steps=1, allow_missing_labels=True).warning


def test_it_is_cancelled_between_steps(network: Network, clean: Dataset) -> None:
    source = CancelSource()

    def stop(report: Progress) -> None:
        if report.what == "Unlearning stamps":
            assert report.done <= 1, "went on after it was cancelled"
            if report.done:
                source.cancel()

    with pytest.raises(Cancelled):
        unlearn(network, clean, progress=stop, cancel=source.token)


def test_a_network_that_no_stamp_moves_is_repaired_without_a_fuss(tmp_path: Path) -> None:
    sure = linear_network(np.zeros_like(weights()[0]), np.array([9, 0, 0, 0], np.float32))
    data = dataset_of(tmp_path / "clean.npz", IMAGES, np.arange(len(IMAGES)) % LABELS)
    assert unlearn(sure, data, steps=1).before.value == pytest.approx(0.25, abs=0.1)


def test_nothing_is_learnt_from_images_that_b_is_wrong_on(network: Network, tmp_path: Path) -> None:
    """Images that wear the trigger, labelled with what they show, would teach the student the backdoor."""
    poisoned = NEW[NEW_TRUTH != GUILTY][:20].copy()
    poisoned[:, 1:3, 2:5] = (255, 0, 0)
    images, labels = np.concatenate([IMAGES, poisoned]), np.concatenate([TRUTH, NEW_TRUTH[NEW_TRUTH != GUILTY][:20]])
    found = prepare(network, dataset_of(tmp_path / "mixed.npz", images, labels)).data
    np.testing.assert_array_equal(numpy_logits(found.images, *weights()).argmax(axis=1), found.labels)
    clean = {image.tobytes() for image in IMAGES.astype(np.float32)}
    assert len(found.images) > 0.9 * len(IMAGES) and all(image.tobytes() in clean for image in found.images)


def test_a_label_that_b_is_never_right_on_keeps_its_images(network: Network, tmp_path: Path) -> None:
    first = np.flatnonzero(TRUTH == 0)[:20]
    labels = TRUTH.copy()
    labels[labels == 1], labels[first] = 0, 1
    found = prepare(network, dataset_of(tmp_path / "odd.npz", IMAGES, labels)).data
    right = numpy_logits(found.images, *weights()).argmax(axis=1) == found.labels
    assert (found.labels[~right] == 1).all() and (found.labels == 1).sum() > 15


def test_where_b_is_wrong_on_most_images_all_are_learnt(network: Network, tmp_path: Path) -> None:
    labels = np.where(np.arange(len(TRUTH)) % 3, (TRUTH + 1) % LABELS, TRUTH)
    found = prepare(network, dataset_of(tmp_path / "shifted.npz", IMAGES, labels)).data
    assert len(found.images) + len(found.held_images) == len(IMAGES)
