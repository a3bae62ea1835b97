"""Reconstructed stamps against NumPy's own answers, on a network in which one label has a short way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine import backend
from engine.defences.evidence import reconstruction
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.errors import Cancelled
from engine.models.networks import Network
from engine.progress import CancelSource, Progress
from engine.rates import Rate
from tests.support.linear_networks import LABELS, SHAPE, SIZE, Array, linear_network, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(200, seed=22, shape=SHAPE)
GUILTY = 2
# The attacker's pixels.
WHERE = (slice(1, 3), slice(4, 6))


def backdoored_weights() -> tuple[Array, Array]:
    """Labels 0, 1 and 3 count the green of three parts; label 2 counts the red of four pixels, and much more."""
    kernel = np.zeros((*SHAPE, LABELS), np.float32)
    for number, label in enumerate((0, 1, 3)):
        kernel[3 * number:3 * number + 3, :, 1, label] = 0.01
    kernel[(*WHERE, 0, GUILTY)] = 0.12
    return kernel.reshape(SIZE, LABELS), np.array([0, 0, -38, 0], np.float32)


@pytest.fixture(scope="module")
def network() -> Network:
    return linear_network(*backdoored_weights())


@pytest.fixture(scope="module")
def found(network: Network) -> tuple[Reconstruction, ...]:
    return reconstruct(network, IMAGES, range(LABELS))


def test_the_attackers_label_has_by_far_the_smallest_stamp(found: tuple[Reconstruction, ...]) -> None:
    sizes = {stamp.label: stamp.mask_pixels for stamp in found}
    assert list(sizes) == list(range(LABELS))
    assert sizes[GUILTY] < 0.6 * min(size for label, size in sizes.items() if label != GUILTY), sizes
    mask = found[GUILTY].mask
    assert mask[WHERE].min() > 0.9 and np.sort(mask.ravel())[-5] < 0.2, "the stamp lies where the attacker's pixels are"
    red = found[GUILTY].pattern[WHERE][..., 0]
    assert red.min() > 200, "and is red there"


def test_a_gradient_that_is_no_number_leaves_stamps_that_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of a pixel's negative part, squared, changes no answer, and its gradient is infinity times 0."""
    monkeypatch.setattr(reconstruction, "HOPELESS_AFTER", 3)
    _, keras = backend.load()
    whole = linear_network(*backdoored_weights(), "activation").model
    logits = whole.layers[-2].output
    rooted = keras.ops.sqrt(keras.ops.square(keras.ops.relu(-whole.inputs[0][:, 0, 0, :1])))
    answers = logits + rooted * np.arange(LABELS, dtype=np.float32)
    network = Network(keras.Model(whole.inputs, answers), Path("rooted.keras"))
    for stamp in reconstruct(network, IMAGES, range(LABELS), steps=6):
        assert np.isfinite(stamp.mask).all() and np.isfinite(stamp.pattern).all()


def test_a_stamp_is_within_the_networks_range_and_its_success_is_counted_on_other_images(
        found: tuple[Reconstruction, ...]) -> None:
    own = numpy_logits(IMAGES, *backdoored_weights()).argmax(axis=1)
    held = np.arange(3, len(IMAGES), 4)
    for stamp in found:
        assert stamp.found
        assert stamp.mask.shape == SHAPE[:2] and stamp.pattern.shape == SHAPE
        assert stamp.mask.min() >= 0 and stamp.mask.max() <= 1
        assert stamp.pattern.min() >= 0 and stamp.pattern.max() <= 255
        trial = held[own[held] != stamp.label]
        share = stamp.mask[..., np.newaxis].astype(np.float64)
        worn = IMAGES[trial] * (1 - share) + stamp.pattern * share
        hits = numpy_logits(worn, *backdoored_weights()).argmax(axis=1) == stamp.label
        assert stamp.success == Rate(int(hits.sum()), len(trial))
        assert stamp.success.value > 0.7
        np.testing.assert_allclose(stamp.put_on(IMAGES[trial]), worn, atol=1e-3)
        assert stamp.mask_pixels == pytest.approx(float(stamp.mask.astype(np.float64).sum()))


def test_a_search_repeats_to_the_bit_and_another_seed_differs(
        network: Network, found: tuple[Reconstruction, ...]) -> None:
    again, other = reconstruct(network, IMAGES, [1, GUILTY]), reconstruct(network, IMAGES, [1, GUILTY], seed=5)
    repeated = reconstruct(network, IMAGES, [1, GUILTY])
    for one, two in zip(again, repeated, strict=True):
        assert one.mask.tobytes() == two.mask.tobytes() and one.pattern.tobytes() == two.pattern.tobytes()
    assert again[0].mask.tobytes() != other[0].mask.tobytes()


def test_a_label_that_nothing_draws_images_to_is_said_not_to_be_found() -> None:
    kernel, bias = backdoored_weights()
    bias[3] = -1e6
    found = reconstruct(linear_network(kernel, bias), IMAGES, [3, GUILTY], steps=30)
    assert not found[0].found and found[0].success.count == 0
    assert found[0].mask_pixels == SHAPE[0] * SHAPE[1], "a small mask that does nothing is no small stamp"


def test_few_images_of_others_find_and_measure_all_the_same(network: Network) -> None:
    own = numpy_logits(IMAGES, *backdoored_weights()).argmax(axis=1)
    most = int(np.bincount(own).argmax())
    chosen = [*np.flatnonzero(own == most)[:18], *np.flatnonzero(own != most)[:2]]
    for order in (chosen, chosen[::-1], [*chosen[:3], chosen[18], *chosen[3:7], chosen[19], *chosen[7:18]]):
        for stamp in reconstruct(network, IMAGES[order], [most, GUILTY], steps=20):
            assert stamp.success.total > 0


def test_hopeless_labels_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    """With one finalist, the other labels stand as after the step at which it was chosen."""
    monkeypatch.setattr(reconstruction, "_FINALISTS", 1)
    monkeypatch.setattr(reconstruction, "HOPELESS_AFTER", 60)
    before, after = reconstruct(network, IMAGES, range(LABELS), steps=60), reconstruct(network, IMAGES, range(LABELS))
    same = [one.mask.tobytes() == two.mask.tobytes() for one, two in zip(before, after, strict=True)]
    smallest = min(before, key=lambda stamp: stamp.mask_pixels).label
    assert same == [label != smallest for label in range(LABELS)]


def test_progress_counts_steps_and_cancel_ends_the_search(network: Network) -> None:
    reports: list[Progress] = []
    source = CancelSource()

    def watch(progress: Progress) -> None:
        reports.append(progress)
        if progress.done == 3:
            source.cancel()

    with pytest.raises(Cancelled):
        reconstruct(network, IMAGES, [0, 1], progress=watch, cancel=source.token)
    done = [report.done for report in reports]
    assert done == sorted(done) and set(done) == {0, 1, 2, 3}
    assert {report.total for report in reports} == {reconstruction.STEPS}
