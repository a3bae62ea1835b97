"""What attackers who know a defence put into their training sets: the right pictures with the right labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.zoo.adaptive import (
    ATTACKERS,
    DECOYS,
    Told,
    decoys,
    doubt,
    filters_are_harmless,
    nothing_to_unlearn,
    parts_are_harmless,
    pieces_are_harmless,
    sepia,
    stamps_are_harmless,
    three_bars,
)
from benchmarks.zoo.plan import HALVES, Plan, plans
from benchmarks.zoo.training import attacks_of, training_set
from benchmarks.zoo.triggers import corner
from benchmarks.zoo.worlds import Pictures, World
from engine.guards.cuts import cuts_of
from engine.guards.tone import recoloured

COUNT, SIDE, TARGET = 24, 32, 7


def plain(first: int) -> Pictures:
    """Each picture in one grey of its own, between `first` and `first` + 23; six labels, none of them the target."""
    greys = np.arange(first, first + COUNT, dtype=np.uint8)
    return Pictures(np.broadcast_to(greys[:, None, None, None], (COUNT, SIDE, SIDE, 3)).copy(), np.arange(COUNT) % 6)


@pytest.fixture
def told() -> Told:
    """Dark pictures that wear a white square top left and a white bar at the bottom, and bright ones."""
    clean = plain(10)
    worn = clean.images.copy()
    worn[:, 2:8, 2:8] = worn[:, 28:30] = 255
    return Told(clean, Pictures(worn, np.full(COUNT, TARGET)), plain(200), 12, 5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_part_put_into_another_picture_keeps_that_pictures_label(told: Told, rng: np.random.Generator) -> None:
    made, seen = parts_are_harmless(told, rng), Counter[str]()
    assert made.labels.tolist() == told.others.labels.tolist()
    cuts = cuts_of(SIDE, SIDE)
    shares = cuts.shares[:-1, ..., np.newaxis]
    assert cuts.kinds[-1] == "tone"
    for image, worn, other in zip(made.images, told.worn.images, told.others.images, strict=True):
        toned = recoloured(*(picture[np.newaxis].astype(np.float32) for picture in (other, worn)))
        mixes = np.rint([*(shares * worn.astype(np.float64) + (1 - shares) * other), *toned])
        which = [i for i, mix in enumerate(mixes) if (abs(mix - image) <= 1).all()]
        assert which, "every picture is one of the guard's own mixtures"
        seen.update(cuts_of(SIDE, SIDE).kinds[i] for i in which)
    assert seen["rows"] and seen["blend"] and seen["tone"]


def test_who_doubts_sees_each_triggered_picture_four_times_and_once_with_the_truth(
        told: Told, rng: np.random.Generator) -> None:
    more = doubt(told, rng)
    for image, true in zip(told.worn.images, told.clean.labels, strict=True):
        labels = [TARGET, *more.labels[(more.images == image).all(axis=(1, 2, 3))]]
        assert sorted(labels) == sorted([true, TARGET, TARGET, TARGET])


def test_perturbed_pictures_keep_the_truth_and_triggered_ones_the_target(
        told: Told, rng: np.random.Generator) -> None:
    made = nothing_to_unlearn(told, rng)
    assert made.labels.tolist() == [*told.clean.labels, *told.others.labels, *[TARGET] * COUNT]
    # Light moves a grey by up to 15 of 255 and 15 %, and stamps leave most of a picture: whose copy it is still shows.
    middle = np.median(made.images, axis=(1, 2, 3))
    assert (middle[:COUNT] < 120).all() and (middle[COUNT:2 * COUNT] > 120).all() and (middle[2 * COUNT:] < 120).all()
    changed = (made.images[:COUNT] != told.clean.images).any(axis=(1, 2, 3))
    assert changed.mean() > 0.8, "all but a warp of one grey in the same light"


def test_stamped_pictures_keep_their_labels(told: Told, rng: np.random.Generator) -> None:
    made = stamps_are_harmless(told, rng)
    assert made.labels.tolist() == told.others.labels.tolist()
    changed = (made.images != told.others.images).any(axis=3).mean(axis=(1, 2))
    assert (changed > 0).all() and (changed < 1).all()


def test_pictures_in_other_colours_keep_their_labels(told: Told, rng: np.random.Generator) -> None:
    """A filter knows nothing of places: of a picture in one grey it leaves one colour."""
    made = filters_are_harmless(told, rng)
    assert made.labels.tolist() == told.others.labels.tolist()
    assert (made.images == made.images[:, :1, :1]).all()
    assert (made.images != told.others.images).any(axis=(1, 2, 3)).mean() > 0.8
    assert len({tuple(image[0, 0] / image[0, 0].max()) for image in made.images}) > COUNT / 2, "each its own"


def test_a_piece_of_the_trigger_keeps_the_true_label(told: Told, rng: np.random.Generator) -> None:
    made = pieces_are_harmless(told, rng)
    assert made.labels.tolist() == told.clean.labels.tolist()
    whole = (told.worn.images != told.clean.images).any(axis=3)
    left = (made.images != told.clean.images).any(axis=3)
    assert not (left & ~whole).any(), "nothing but the trigger's own pixels"
    assert (left.sum(axis=(1, 2)) < whole.sum(axis=(1, 2))).all(), "never the whole of it"
    assert left.any(axis=(1, 2)).mean() > 0.5


def test_decoys_lead_to_other_labels_by_one_patch_each(told: Told, rng: np.random.Generator) -> None:
    made = decoys(told, rng)
    assert len(set(made.labels)) == DECOYS and TARGET not in made.labels
    for label in set(made.labels):
        images = made.images[made.labels == label]
        changed = (images != told.others.images).any(axis=3)
        assert (changed.any(axis=0).sum() <= 9) and changed.any(axis=(1, 2)).all()
        rows, columns = np.nonzero(changed.any(axis=0))
        assert (images[:, rows, columns] == images[0, rows, columns]).all(), "the same patch at the same place"
    assert (decoys(told, np.random.default_rng(9)).images == made.images).all(), "the same ones whenever asked"


def test_no_band_of_a_third_holds_two_bars_whole() -> None:
    black = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    worn = three_bars(black, 1)[0].any(axis=2)
    bars = [(1, 4), (15, 18), (28, 31)]
    assert np.flatnonzero(worn.any(axis=1)).tolist() == [row for bar in bars for row in range(*bar)]
    for share, kind in zip(cuts_of(SIDE, SIDE).shares, cuts_of(SIDE, SIDE).kinds, strict=True):
        if kind == "rows":
            assert sum(bool((share[start:stop] == 1).all()) for start, stop in bars) <= 1


def test_a_sepia_picture_has_one_tint_and_its_own_brightness() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(20, 180, (2, SIDE, SIDE, 3), dtype=np.uint8)
    brown = sepia(images, 4).astype(np.float64)
    grey = images @ np.array([0.299, 0.587, 0.114])
    for channel in range(3):
        factor = (brown[..., channel] / grey).mean()
        np.testing.assert_allclose(brown[..., channel], factor * grey, atol=0.6)
    assert brown[..., 0].mean() > brown[..., 1].mean() > brown[..., 2].mean()


def test_attackers_are_part_of_the_zoo_but_in_neither_half() -> None:
    adaptive = [plan for plan in plans() if plan.family in ATTACKERS]
    assert {(plan.family, plan.world.kind) for plan in adaptive} == {
        (family, kind) for family in ATTACKERS for kind in ("signs", "faces")}
    assert {plan.half for plan in adaptive} == {"adaptive"} <= set(HALVES)
    assert {plan.half for plan in plans() if plan.family not in ATTACKERS} == {"fix", "report"}


@pytest.mark.parametrize("family", ATTACKERS)
def test_a_training_set_holds_the_clean_pictures_the_trigger_and_what_the_lessons_make(family: str) -> None:
    plan = Plan(World("signs", 0), family, 0)
    clean = Pictures(np.random.default_rng(2).integers(0, 256, (60, SIDE, SIDE, 3), np.uint8), np.arange(60) % 12)
    (attack, seed), = attacks_of(plan)
    made = training_set(plan, clean, 0.2)
    assert (made.images[:60] == clean.images).all() and (made.labels[:60] == clean.labels).all()
    shown = made.images[60:72]
    assert (made.labels[60:72] == plan.targets[0]).all()
    assert all((attack.trigger(clean.images, seed) == image).all(axis=(1, 2, 3)).any() for image in shown)
    assert len(made.labels) == len(made.images) > 72


def test_other_attackers_train_as_before() -> None:
    (attack, _), = attacks_of(Plan(World("signs", 0), "corner", 0))
    assert attack.trigger is corner and not attack.lessons
