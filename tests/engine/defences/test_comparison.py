"""The comparison's rates against a count by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.data.subsets import halves, subset
from engine.defences.comparison import Defence, GuardDefence, compare
from engine.errors import Cancelled, DatasetError
from engine.guards.calibration import calibrate
from engine.models.networks import Network
from engine.progress import CancelSource, Progress
from engine.rates import Rate
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

N, TARGET = LABELS, 3
B, OTHER = linear_weights(0), linear_weights(1)
CLEAN, POISONED = random_images(150, seed=51, shape=SHAPE), random_images(70, seed=52, shape=SHAPE)
RNG = np.random.default_rng(0)
LABELS_OF_CLEAN, TRUE_LABELS = RNG.integers(0, LABELS, 150), RNG.integers(0, LABELS, 70)


@pytest.fixture(scope="module")
def networks() -> tuple[Network, Network]:
    return linear_network(*B), linear_network(*OTHER)


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Dataset, Dataset]:
    return (dataset_of(tmp_path / "test.npz", CLEAN, LABELS_OF_CLEAN),
            dataset_of(tmp_path / "poisoned.npz", POISONED, np.full(70, TARGET)))


def by_hand(images: Array, paired: bool, threshold: float) -> Array:
    """Labels of the pair, or of the other network alone, behind a margin guard."""
    logits = numpy_logits(images, *B)
    own, other = logits.argmax(axis=1), numpy_logits(images, *OTHER).argmax(axis=1)
    labels = np.where(own == other, own, N) if paired else other
    two = np.sort(logits, axis=1)[:, -2:]
    return np.where(two[:, 1] - two[:, 0] > threshold, N, labels)


def test_rows_are_counts_by_hand(networks: tuple[Network, Network], sets: tuple[Dataset, Dataset]) -> None:
    b, other = networks
    guard = calibrate(b, sets[0], "margin", 0.3)
    # Off the margin of the image that set it, which rounds to either side on some processors.
    guard = dataclasses.replace(guard, threshold=guard.threshold + 1e-4)
    found = compare(b, [Defence("B alone", None, 1), Defence("pair", other, 20), Defence("other", other, 20, False)],
                    [GuardDefence(guard, 300)], sets[0], [sets[1]], [TRUE_LABELS])
    assert [(r.defence, r.guard, r.seconds) for r in found.rows] == [
        ("B alone", "none", 1), ("B alone", "margin", 301), ("pair", "none", 20), ("pair", "margin", 320),
        ("other", "none", 20), ("other", "margin", 320)]
    assert [(a.name, a.target, a.before) for a in found.rows[0].attacks] == [
        ("poisoned", TARGET, Rate(int((numpy_logits(POISONED, *B).argmax(axis=1) == TARGET).sum()), 70))]
    for row in found.rows[2:]:
        threshold = guard.threshold if row.guard == "margin" else np.inf
        clean, poisoned = (by_hand(images, row.defence == "pair", threshold) for images in (CLEAN, POISONED))
        assert row.clean == Rate(int((clean == LABELS_OF_CLEAN).sum()), 150)
        assert row.false_alarms == Rate(int((clean == N).sum()), 150)
        assert row.attack == Rate(int((poisoned == TARGET).sum()), 70)
        assert row.robust == Rate(int((poisoned == TRUE_LABELS).sum()), 70)
        assert row.detection == Rate(int((poisoned == N).sum()), 70)
    alone = found.rows[0]
    assert alone.clean == Rate(int((numpy_logits(CLEAN, *B).argmax(axis=1) == LABELS_OF_CLEAN).sum()), 150)
    assert alone.false_alarms == Rate(0, 150)


def test_each_half_is_what_a_comparison_on_it_alone_says(
        networks: tuple[Network, Network], sets: tuple[Dataset, Dataset]) -> None:
    b, other = networks
    defences = [Defence("B alone", None, 1), Defence("pair", other, 20)]
    guards = [GuardDefence(calibrate(b, sets[0], "margin", 0.3), 300)]
    found = compare(b, defences, guards, sets[0], [sets[1]], [TRUE_LABELS])
    assert found.halves is not None
    for number, half in enumerate(found.halves):
        test, poisoned = (subset(dataset, halves(dataset.labels)[number].tolist()) for dataset in sets)
        truth = TRUE_LABELS[halves(sets[1].labels)[number]]
        assert half == compare(b, defences, guards, test, [poisoned], [truth]).rows
    assert [row.clean.total for row in found.halves[1]] == [75] * 4


def test_what_is_not_known_stays_open(networks: tuple[Network, Network], sets: tuple[Dataset, Dataset]) -> None:
    b, other = networks
    row, = compare(b, [Defence("pair", other, 0)], [], sets[0], [sets[1]]).rows
    assert row.robust is None
    assert row.attack is not None
    found = compare(b, [Defence("pair", other, 0)], [], sets[0])
    assert found.rows[0].attacks == ()
    assert (found.rows[0].attack, found.rows[0].detection) == (None, None)


def test_refusals_progress_and_cancel(networks: tuple[Network, Network], sets: tuple[Dataset, Dataset]) -> None:
    b, other = networks
    with pytest.raises(DatasetError, match="70 images, but 69 true labels"):
        compare(b, [Defence("pair", other, 0)], [], sets[0], [sets[1]], [TRUE_LABELS[1:]])
    reports: list[Progress] = []
    compare(b, [Defence("pair", other, 0)], [], sets[0], [sets[1]], progress=reports.append)
    assert list(dict.fromkeys((r.done, r.total) for r in reports)) == [
        (0, 220), (64, 220), (128, 220), (150, 220), (214, 220), (220, 220)]
    source = CancelSource()

    def stop(report: Progress) -> None:
        assert report.done <= 64, "went on after it was cancelled"
        if report.done:
            source.cancel()

    with pytest.raises(Cancelled):
        compare(b, [Defence("pair", other, 0)], [], sets[0], [sets[1]], progress=stop, cancel=source.token)


def test_of_a_costly_network_a_few_images_are_compared_at_a_time(
    networks: tuple[Network, Network], sets: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch,
) -> None:
    b, other = networks
    guard = GuardDefence(calibrate(b, sets[0], "margin", 0.3), 0)
    usual = compare(b, [Defence("pair", other, 0)], [guard], sets[0], [sets[1]], [TRUE_LABELS])
    monkeypatch.setattr(b, "quick", 100)
    done: list[int] = []
    found = compare(b, [Defence("pair", other, 0)], [guard], sets[0], [sets[1]], [TRUE_LABELS],
                    progress=lambda report: done.append(report.done))
    assert found == usual
    assert list(dict.fromkeys(done)) == [*range(0, 221, 5)]
