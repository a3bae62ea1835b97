"""A guard and its sparing twin: one calibration, two thresholds, counted by NumPy."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from engine.defences.comparison import Defence, GuardDefence, compare
from engine.guards.calibration import SPARING, StandingGuard, calibrate, calibrate_both
from engine.models.networks import Images
from engine.progress import CancelToken, Did
from tests.support.linear_networks import SHAPE, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

WEIGHTS = linear_weights()
IMAGES = random_images(300, seed=12, shape=SHAPE)
ANSWERS = numpy_logits(IMAGES, *WEIGHTS).argmax(axis=1)


@pytest.mark.parametrize(("images", "asked", "sparing", "spared"), [
    (300, 0.1, 0.02, 0.02), (60, 0.1, 0.001, 1 / 61), (300, 0.05, 0.2, 0.05), (300, 0.1, SPARING, SPARING)])
def test_the_sparing_threshold_is_its_own_order_statistic_but_none_that_images_cant_show(
    tmp_path: Path, images: int, asked: float, sparing: float, spared: float,
) -> None:
    clean = dataset_of(tmp_path / "clean.npz", IMAGES[:images], ANSWERS[:images])
    usual, other = calibrate_both(linear_network(*WEIGHTS), clean, "margin", asked, sparing)
    two = np.sort(numpy_logits(IMAGES[:images], *WEIGHTS), axis=1)[:, -2:]
    count, margins = usual.calibration.images, two[:, 1] - two[:, 0]
    used = np.random.default_rng(0).permutation(images)[:count]
    rank = math.ceil((count + 1) * (1 - max(spared, min(asked, 1 / (count + 1)))) - 1e-9)
    assert other.calibration.images == count
    assert other.threshold == pytest.approx(np.sort(margins[used])[rank - 1], abs=1e-3)
    assert usual.threshold == calibrate(linear_network(*WEIGHTS), clean, "margin", asked).threshold <= other.threshold
    held_back = np.setdiff1d(np.arange(images), used)
    assert other.calibration.held_back.count == (margins[held_back] > other.threshold).sum()


def test_twins_flag_in_a_comparison_what_each_flags_alone_for_one_look_at_every_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, clean = linear_network(*WEIGHTS), dataset_of(tmp_path / "clean.npz", IMAGES, ANSWERS)
    usual, sparing = calibrate_both(network, clean, "transplant", 0.3, 0.1)
    answers = StandingGuard.answer
    alone = [answers(guard.on(network), IMAGES).flagged.sum() for guard in (usual, sparing)]
    looks: list[int] = []

    def counted(self: StandingGuard, images: Images, cancel: CancelToken, did: Did) -> object:
        looks.append(len(images))
        return answers(self, images, cancel, did)

    monkeypatch.setattr(StandingGuard, "answer", counted)
    defences = [Defence("B", None, 0), Defence("again", None, 0)]
    guards = [GuardDefence(usual, 0), GuardDefence(sparing, 0, "sparing", ("again",))]
    found = compare(network, defences, guards, clean).rows
    assert [(row.defence, row.guard) for row in found] == [
        ("B", "none"), ("B", "transplant"), ("again", "none"), ("again", "transplant"), ("again", "sparing")]
    assert [row.false_alarms.count for row in found] == [0, alone[0], 0, *alone] and 0 < alone[1] < alone[0]
    assert sum(looks) == len(IMAGES)
    other = dataclasses.replace(sparing, escalate_above=sparing.escalate_above + 1)
    compare(network, defences, [GuardDefence(usual, 0), GuardDefence(other, 0)], clean)
    assert sum(looks) == 3 * len(IMAGES), "another guard has scores of its own"
