"""How fast a network may learn: what a few steps leave of what it knows, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from engine.defences import training
from engine.defences.training import RATES, TrainingData, learning_rate
from engine.errors import Cancelled
from engine.progress import NEVER_CANCELLED, CancelSource, Progress, ignore_progress
from tests.support.linear_networks import LABELS, SHAPE, Array, linear_network, linear_weights, numpy_adam, numpy_logits
from tests.support.networks import random_images

KERNEL, BIAS = linear_weights()
IMAGES = random_images(150, seed=31, shape=SHAPE)
HALF, SEED = 75, 5


def data_of(wrong: int) -> TrainingData:
    """Images with the network's own answers as labels, but for the first few, which teach it wrongly."""
    labels = numpy_logits(IMAGES, KERNEL, BIAS).argmax(axis=1)
    labels[:wrong] = (labels[:wrong] + 1) % LABELS
    return TrainingData(IMAGES, labels, IMAGES[:0], labels[:0])


def kept_by_hand(data: TrainingData, rate: float) -> float:
    """Of the second half's images that it is right on, the share it is right on after 18 steps on the first."""
    rng = np.random.default_rng(SEED)
    rows = np.concatenate([rng.permutation(HALF) for _ in range(9)])[:18 * 34].reshape(18, 34)
    taught = [(IMAGES[r], np.eye(LABELS)[data.labels[r]]) for r in rows]
    after = numpy_logits(IMAGES[HALF:], *numpy_adam(KERNEL, BIAS, taught, [rate] * 18)).argmax(axis=1)
    before = numpy_logits(IMAGES[HALF:], KERNEL, BIAS).argmax(axis=1)
    right: Array = before == data.labels[HALF:]
    return float((after == data.labels[HALF:])[right].mean())


def test_the_fastest_rate_is_taken_at_which_it_keeps_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    network, taken = linear_network(KERNEL, BIAS), set()
    before = [w.copy() for w in network.model.get_weights()]
    for wrong in (0, 20, 40, HALF):
        data = data_of(wrong)
        kept = [kept_by_hand(data, rate) for rate in RATES]
        for least in (0.5, 0.85, 0.97):
            assert min(abs(share - least) for share in kept) > 1e-6, "rounding must not decide"
            monkeypatch.setattr(training, "_KEPT", least)
            expected = next((rate for rate, share in zip(RATES, kept, strict=True) if share >= least), RATES[-1])
            assert learning_rate(network, data, SEED, ignore_progress, NEVER_CANCELLED) == expected
            taken.add(expected)
    assert len(taken) >= 3, "different cases were seen"
    for was, now in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_what_the_network_got_wrong_before_counts_for_nothing() -> None:
    """The second half's labels are wrong throughout, so there is nothing that could be forgotten."""
    data = data_of(0)
    data.labels[HALF:] = (data.labels[HALF:] + 1) % LABELS
    assert learning_rate(linear_network(KERNEL, BIAS), data, SEED, ignore_progress, NEVER_CANCELLED) == RATES[0]


def test_it_is_reported_and_cancelled() -> None:
    source, reports = CancelSource(), list[Progress]()

    def heard(progress: Progress) -> None:
        reports.append(progress)
        if progress.done == 3:
            source.cancel()

    with pytest.raises(Cancelled):
        learning_rate(linear_network(KERNEL, BIAS), data_of(0), SEED, heard, source.token)
    assert [report.done for report in reports] == [0, 1, 2, 3] and reports[0].total == 72
