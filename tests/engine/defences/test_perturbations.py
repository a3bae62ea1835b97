"""What a repair learns to ignore: that each change is of the kind and size it says, whatever the picture's size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.defences import perturbations
from engine.defences.perturbations import barred, blended, patched, perturbed, stamped, warped, waved
from engine.defences.targeted import EVERY, SELDOM, Targeted
from tests.support.linear_networks import LABELS, SHAPE, Array, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

WAYS = (stamped, patched, barred, blended, waved, warped)
TIMES = 300


def many(way: Callable[[Array, np.random.Generator], Array], picture: Array) -> list[Array]:
    rng = np.random.default_rng(0)
    return [way(picture, rng) for _ in range(TIMES)]


def grey(height: int = 55, width: int = 47, value: float = 0.5) -> Array:
    return np.full((height, width, 3), value, np.float32)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", [(55, 47, 3), (9, 6, 1), (120, 200, 3)], ids=str)
def test_every_way_changes_a_copy_and_repeats(way: Callable[..., Array], shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(5).random(shape).astype(np.float32)
    before = picture.copy()
    one, two = (way(picture, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == shape
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(picture, before)
    assert not np.array_equal(one, picture)


def test_bars_reach_from_edge_to_edge() -> None:
    widths = set()
    for changed in many(barred, grey()):
        touched = (changed != 0.5).any(axis=-1)
        rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        assert touched.sum() == len(rows) * len(columns)
        assert len(rows) == 55 or len(columns) == 47
        widths.add(min(len(rows), len(columns)))
    assert widths == set(range(2, 9))


def test_patches_are_small_and_grow_with_the_picture() -> None:
    for height, width, longest in ((55, 47, 9), (110, 94, 18), (9, 6, 6)):
        for changed in many(patched, grey(height, width)):
            touched = (changed != 0.5).any(axis=-1)
            assert 0 < touched.sum() <= 3 * longest**2


def test_a_pattern_is_laid_over_at_5_to_30_per_cent() -> None:
    away = [np.abs(changed - 0.5).max() for changed in many(blended, grey())]  # at most half of the share
    assert max(away) <= 0.15 + 1e-6
    assert max(away) > 0.12
    fields = {len(np.unique(changed[:, :, 0])) for changed in many(blended, grey())}
    assert min(fields) <= 4, "none is coarse"
    assert max(fields) > 1500, "none is fine"


def test_waves_are_plane_and_5_to_32_of_255_high() -> None:
    heights = []
    for changed in many(waved, grey()):
        wave = changed[:, :, 0].astype(np.float64) - 0.5
        assert np.array_equal(changed[:, :, 0], changed[:, :, 1])
        # Of a plane wave, what is beside a pixel is the same combination of what is left and right of it everywhere.
        middle, sides = wave[:, 1:-1].ravel(), (wave[:, :-2] + wave[:, 2:]).ravel()
        factor = float(middle @ sides) / float(middle @ middle)
        np.testing.assert_allclose(sides, factor * middle, atol=1e-5)
        heights.append(np.abs(wave).max() * 255)
    assert max(heights) <= 32.01
    assert max(heights) > 25
    assert min(heights) < 8


def test_warps_move_pixels_by_04_to_3_on_average() -> None:
    """A picture whose values are its own coordinates says after a warp where each pixel came from."""
    rows, columns = np.mgrid[:55, :47].astype(np.float32)
    picture = np.stack([rows / 54, columns / 46, rows * 0], axis=-1)
    moved = []
    for changed in many(warped, picture):
        by = np.hypot(changed[..., 0] * 54 - rows, changed[..., 1] * 46 - columns)
        moved.append(float(by.mean()))
        assert np.abs(np.diff(changed[..., 0] * 54, axis=1)).max() < 3, "it is torn"
    assert max(moved) <= 3.001  # what would come from outside comes from the edge, so it may be less
    assert max(moved) > 2.3
    assert 0.2 < min(moved) < 0.7


@pytest.mark.parametrize("values", [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.0)])
def test_copies_stay_in_range_and_keep_the_picture(values: tuple[float, float]) -> None:
    low, high = values
    images = np.full((TIMES, 55, 47, 3), low + 0.4 * (high - low), np.float32)
    copies = perturbed(images, values, np.random.default_rng(0))
    assert copies.min() >= low
    assert copies.max() <= high
    assert np.unique(images).size == 1
    light = (np.median(copies, axis=(1, 2, 3)) - low) / (high - low)
    assert 0.4 * 0.85 - 15 / 255 - 0.1 <= light.min() < 0.36
    assert 0.44 < light.max() <= 0.4 * 1.15 + 15 / 255 + 0.1
    wider = perturbed(low + (images - low) / (high - low) * 255, (low, low + 255), np.random.default_rng(0))
    np.testing.assert_allclose((wider - low) / 255, (copies - low) / (high - low), atol=1e-5)


def test_one_or_two_ways_each_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.zeros(3, int)

    def counting(number: int) -> Callable[[Array, np.random.Generator], Array]:
        def way(picture: Array, _: np.random.Generator) -> Array:
            counts[number] += 1
            return picture
        return way

    monkeypatch.setattr(perturbations, "_WAYS", tuple(counting(n) for n in range(3)))
    perturbed(np.zeros((2000, 4, 4, 1), np.float32), (0.0, 1.0), np.random.default_rng(0))
    assert abs(counts.sum() - 3000) < 120
    assert (abs(counts - 1000) < 120).all()


def test_a_targeted_perturbation_is_signed_steps_up_the_gradient() -> None:
    kernel, bias = linear_weights()
    images, label = random_images(150, seed=31, shape=SHAPE), 2
    targeted = Targeted(linear_network(kernel, bias), images, [label], [0], np.random.default_rng(7))
    shown = targeted.put_on(images[:40])
    rng = np.random.default_rng(7)
    found = rng.choice([-6, 6], SHAPE).astype(np.float64)
    for _ in range(12):
        part = (images[rng.integers(150, size=68)] + found).clip(0, 255)
        powers = np.exp(numpy_logits(part, kernel, bias))
        wanted = np.eye(LABELS)[label] - powers / powers.sum(axis=1, keepdims=True)
        slope = (wanted @ kernel.T.astype(np.float64)).mean(axis=0).reshape(SHAPE)
        found = (found + 4.8 * np.sign(slope)).clip(-24, 24)
    rng.uniform(-1, 1, (2, 4, 4))  # what a distortion begins with, and the images it is found on
    for _ in range(12):
        rng.integers(150, size=34)
    strengths = rng.uniform(0.3, 1.0, (40, 1, 1, 1))
    np.testing.assert_allclose(shown[::2], (images[:40] + strengths * found).clip(0, 255)[::2], atol=1e-3)


def test_targets_take_turns_and_are_found_anew() -> None:
    kernel, bias = linear_weights()
    images = random_images(150, seed=31, shape=SHAPE)
    network = linear_network(kernel, bias)
    targeted = Targeted(network, images, [1, 3], [0], np.random.default_rng(0))
    means = [numpy_logits(targeted.put_on(images)[::2], kernel, bias).mean(axis=0) for _ in range(3 * EVERY)]
    before = numpy_logits(images[::2], kernel, bias).mean(axis=0)
    raised = [int((mean - before).argmax()) for mean in means]
    assert raised == [1] * EVERY + [3] * EVERY + [1] * EVERY


def test_of_a_large_network_they_are_found_less_often() -> None:
    kernel, bias = linear_weights()
    images, network = random_images(150, seed=31, shape=SHAPE), linear_network(kernel, bias)
    network.is_large = True
    targeted = Targeted(network, images, [1, 3], [0], np.random.default_rng(0))
    means = [numpy_logits(targeted.put_on(images[:20])[::2], kernel, bias).mean(axis=0) for _ in range(SELDOM + 1)]
    before = numpy_logits(images[:20:2], kernel, bias).mean(axis=0)
    assert [int((mean - before).argmax()) for mean in means] == [1] * SELDOM + [3]
