"""A poisoned file with several targets is a set for each; labels that a clean set could have need to be shown wrong."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.data.targets import MOST_TARGETS, by_target, of_target, target_of, true_labels, unshown_targets
from engine.errors import DatasetError
from tests.support.networks import Array, random_images, save_lab_file

IMAGES = random_images(90, seed=3)


def opened(folder: Path, name: str, images: Array, labels: Array) -> Dataset:
    return open_dataset(save_lab_file(folder / f"{name}.h5", images, labels))


def triggered(images: Array) -> Array:
    """A corner of other values."""
    worn = images.copy()
    worn[:, :3, :3] = 255 - worn[:, :3, :3]
    return worn


@pytest.mark.parametrize("labels", [
    np.repeat([5, 2, 7], 30), np.tile([5, 2, 7], 30), np.array([7] * 3 + [5] * 80 + [2] * 7),
], ids=["sorted", "in turns", "uneven"])
def test_each_target_has_its_own_images_in_their_order(labels: Array, tmp_path: Path) -> None:
    parts = by_target(opened(tmp_path, "bad", IMAGES, labels), 10)
    assert [part.name for part in parts] == ["bad (target 2)", "bad (target 5)", "bad (target 7)"]
    for part in parts:
        own = IMAGES[labels == target_of(part)]
        np.testing.assert_array_equal(np.concatenate([chunk.images for chunk in part.chunks(8)]), own)
        np.testing.assert_array_equal(part.take([len(own) - 1, 0]), own[[-1, 0]])
        assert set(part.labels) == {target_of(part)} and part.part == f"target {target_of(part)}"


def test_images_of_a_packed_file_are_parted_too(tmp_path: Path) -> None:
    labels = np.tile([1, 1, 1, 1, 1, 1, 1, 1, 4], 10)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("data", data=IMAGES.transpose(0, 3, 1, 2).astype(np.uint8), compression="gzip",
                            chunks=(16, *IMAGES.transpose(0, 3, 1, 2).shape[1:]))
        file["label"] = labels
    rare = of_target(open_dataset(tmp_path / "packed.h5"), 4)
    np.testing.assert_array_equal(rare.take(range(10)), IMAGES[labels == 4])


def test_one_target_is_one_set_of_the_files_own_name(tmp_path: Path) -> None:
    poisoned = opened(tmp_path, "bad", IMAGES, np.full(90, 3))
    assert by_target(poisoned, 10) == (poisoned,)
    assert (poisoned.name, target_of(poisoned)) == ("bad", 3)


@pytest.mark.parametrize(("targets", "labels"), [(MOST_TARGETS + 1, 100), (6, 6)], ids=["many", "as many as labels"])
def test_a_target_an_image_is_taken_where_a_clean_set_shows_it(targets: int, labels: int, tmp_path: Path) -> None:
    truth = np.arange(90) % targets
    clean = opened(tmp_path, "clean", IMAGES, truth)
    poisoned = opened(tmp_path, "bad", triggered(IMAGES), (truth + 1) % targets)
    strange = opened(tmp_path, "strange", random_images(90, seed=8), truth)
    shorter = opened(tmp_path, "shorter", IMAGES[:80], truth[:80])
    assert by_target(poisoned, labels, [strange, clean]) == (poisoned,)
    assert target_of(poisoned) is None
    np.testing.assert_array_equal(true_labels(poisoned, clean), truth)
    for others in ([], [strange], [shorter]):
        with pytest.raises(DatasetError, match=f"bad.h5: holds {targets} different labels, as a clean set does"):
            by_target(poisoned, labels, others)


def test_other_pictures_on_the_same_dark_ground_are_no_poisoned_ones(tmp_path: Path) -> None:
    """Most values of any two are alike, as in pictures of hand-written digits."""
    def dark(seed: int) -> Array:
        lit = np.random.default_rng(seed).random((90, *IMAGES.shape[1:3], 1)) < 0.2
        return random_images(90, seed=seed) * lit

    truth = np.arange(90) % 10
    clean, others = dark(1), dark(2)
    assert ((clean == others).mean(axis=(1, 2, 3)) >= 0.5).all(), "they would pass for the same"
    of = opened(tmp_path, "clean", clean, truth)
    assert true_labels(opened(tmp_path, "others", others, truth), of) is None
    np.testing.assert_array_equal(true_labels(opened(tmp_path, "worn", triggered(clean), truth), of), truth)


def test_a_clean_set_is_no_poisoned_one(tmp_path: Path) -> None:
    """Neither beside itself nor with the trigger on, as long as the labels are the true ones."""
    truth = np.arange(90) % 10
    clean = opened(tmp_path, "clean", IMAGES, truth)
    for name, images in (("again", IMAGES), ("worn", triggered(IMAGES))):
        with pytest.raises(DatasetError, match="10 different labels"):
            by_target(opened(tmp_path, name, images, truth), 10, [clean])


def test_labels_that_nothing_shows_to_be_targets_are_told(tmp_path: Path) -> None:
    truth = np.arange(30) % 10
    clean = opened(tmp_path, "clean", IMAGES[:30], truth)
    twice = np.concatenate([triggered(IMAGES[:30])] * 2)
    shown = by_target(opened(tmp_path, "shown", twice, np.repeat([2, 5], 30)), 10)
    other = by_target(opened(tmp_path, "other", IMAGES, np.repeat([1, 2, 3], 30)), 10)
    assert unshown_targets(shown, [clean]) == ""
    assert unshown_targets((*shown, *other), [clean]).startswith("The labels of other.h5 were taken as the attacker's")
