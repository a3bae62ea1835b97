"""Unlearning on a network with a short way to one label, its answers before and after computed by NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.evidence.universal import UniversalStamp
from engine.defences.stamps import Stamp
from engine.defences.unlearning import Stamps, outstanding, smallest, unlearn, worn
from engine.errors import Cancelled, DatasetError
from engine.models.networks import Network
from engine.progress import CancelSource, Progress
from engine.rates import Rate
from tests.support.backdoored import GUILTY, weights
from tests.support.backdoored import network as network
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(260, seed=22, shape=SHAPE)
TRUTH = numpy_logits(IMAGES, *weights()).argmax(axis=1)
NEW = random_images(200, seed=23, shape=SHAPE)
NEW_TRUTH = numpy_logits(NEW, *weights()).argmax(axis=1)


def stamp(value: float, covered: float, label: int = 0) -> Reconstruction:
    """A stamp of one value over a share of every pixel."""
    return Reconstruction(label, np.full(SHAPE[:2], covered, np.float32), np.full(SHAPE, value, np.float32), Rate(1, 1),
                          found=True)


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
    assert (repair.method, repair.layer, repair.towards_b) == ("unlearning", "", 0)
    for kept, before in zip(network.model.get_weights(), weights(), strict=True):
        np.testing.assert_array_equal(kept, before)


def test_it_repeats_to_the_bit(network: Network, clean: Dataset) -> None:
    one, two = (unlearn(network, clean, steps=3, seed=4) for _ in "ab")
    for first, second in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_stamp_is_worn_at_half_to_all_of_its_strength() -> None:
    low, high = stamp(0, 0.5), stamp(255, 0.25)
    shown = worn(IMAGES[:60], Stamps([low, high], []), np.random.default_rng(0)).astype(np.float64)
    towards_low, towards_high = -0.5 * IMAGES[:60], 0.25 * (255 - IMAGES[:60].astype(np.float64))
    strengths = []
    for change, down, up in zip(shown - IMAGES[:60], towards_low, towards_high, strict=True):
        full = down if change.mean() < 0 else up
        strengths.append(float((change * full).sum() / (full * full).sum()))
        np.testing.assert_allclose(change, strengths[-1] * full, atol=1e-3)
    assert 0.5 <= min(strengths) < 0.6 and 0.9 < max(strengths) <= 1
    assert {bool(change.mean() < 0) for change in shown - IMAGES[:60]} == {True, False}, "each is worn by some"


def test_half_of_the_images_wear_a_universal_stamp_where_there_is_one() -> None:
    patch = Stamp("rectangle", 2, 1, 3, 2, (7.0, 8.0, 9.0))
    shown = worn(IMAGES[:200], Stamps([stamp(0, 0.5)], [UniversalStamp(0, (patch,))]), np.random.default_rng(0))
    by_hand = IMAGES[:200].copy()
    by_hand[:, 2:5, 1:3] = (7, 8, 9)
    patched = (shown == by_hand).all(axis=(1, 2, 3))
    assert 70 < patched.sum() < 130
    assert (shown[~patched] <= 0.75 * IMAGES[:200][~patched] + 1e-3).all()


def test_the_smallest_three_stamps_are_unlearnt_but_none_that_is_much_larger() -> None:
    first, second, third, fourth = stamp(0, 0.1), stamp(0, 0.12), stamp(0, 0.19), stamp(0, 0.195)
    assert smallest([fourth, second, first, third]) == [first, second, third]
    assert smallest([stamp(0, 0.3), first, stamp(0, 0.21), second]) == [first, second]


def test_universal_stamps_are_unlearnt_of_a_label_that_many_more_lead_to_than_to_the_next() -> None:
    def led(*labels: int) -> list[UniversalStamp]:
        return [UniversalStamp(label, ()) for label in labels]

    assert outstanding(led(3, 1, 3, 3, 1, 3, 3)) == led(3, 3, 3, 3, 3)
    assert outstanding(led(3, 1, 3, 3, 1, 3)) == []
    assert outstanding(led(2)) == led(2) and outstanding([]) == []


def test_missing_labels_are_refused_or_warned_of(network: Network, tmp_path: Path) -> None:
    data = dataset_of(tmp_path / "part.npz", IMAGES, TRUTH.clip(0, LABELS - 2))
    with pytest.raises(DatasetError, match=f"1 of {LABELS} labels have no image"):
        unlearn(network, data)
    assert "1 of" in unlearn(network, data, steps=1, allow_missing_labels=True).warning


def test_it_is_cancelled_between_steps(network: Network, clean: Dataset) -> None:
    source = CancelSource()

    def stop(report: Progress) -> None:
        if report.what == "Unlearning stamps":
            assert report.done == 1, "went on after it was cancelled"
            source.cancel()

    with pytest.raises(Cancelled):
        unlearn(network, clean, progress=stop, cancel=source.token)


def test_a_network_that_no_stamp_moves_is_repaired_without_a_fuss(tmp_path: Path) -> None:
    sure = linear_network(np.zeros_like(weights()[0]), np.array([9, 0, 0, 0], np.float32))
    data = dataset_of(tmp_path / "clean.npz", IMAGES, np.arange(len(IMAGES)) % LABELS)
    assert unlearn(sure, data, steps=1).before.value == pytest.approx(0.25, abs=0.1)
