"""Distortions: as NumPy samples them, within their size, and found where a network answers by how much it is bent."""

from __future__ import annotations

import numpy as np
import pytest

from engine.defences.evidence.warps import Warps, drawn_by_warps
from engine.errors import Cancelled
from engine.progress import CancelSource
from tests.support.linear_networks import LABELS, SHAPE, SIZE, Array, linear_network, linear_weights, numpy_logits

HEIGHT, WIDTH, _ = SHAPE


def moved(warp: Array) -> tuple[Array, Array]:
    """By how much each pixel's row and column are read elsewhere: cosines of 0 to 3 half waves a side, summed up."""
    found = np.zeros((2, HEIGHT, WIDTH))
    for axis in range(2):
        for k in range(4):
            for j in range(4):
                down, across = ((np.arange(size) + 0.5) / size for size in (HEIGHT, WIDTH))
                found[axis] += warp[axis, k, j] * np.outer(np.cos(np.pi * k * down), np.cos(np.pi * j * across))
    return found[0], found[1]


def by_hand(image: Array, warp: Array) -> Array:
    """One picture read elsewhere pixel by pixel, its edges repeated."""
    down, right = moved(warp)
    bent = np.empty_like(image)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            row, column = np.clip(y + down[y, x], 0, HEIGHT - 1), np.clip(x + right[y, x], 0, WIDTH - 1)
            bent[y, x] = sum(
                image[i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
                for i in {int(row), min(int(row) + 1, HEIGHT - 1)}
                for j in {int(column), min(int(column) + 1, WIDTH - 1)})
    return bent


def ramps(count: int) -> Array:
    """Pictures that brighten from left to right from another place on each."""
    starts = np.random.default_rng(1).uniform(60, 72, count)[:, np.newaxis]
    rows = starts + 6 * np.arange(WIDTH)
    return np.broadcast_to(rows[:, np.newaxis, :, np.newaxis], (count, *SHAPE)).astype(np.float32)


def answering_by_the_middle() -> tuple[Array, Array]:
    """Label 1 where the middle columns are bright, label 0 where they are dark; 2 and 3 never."""
    kernel = np.zeros((*SHAPE, LABELS), np.float32)
    kernel[:, WIDTH // 2 - 1:WIDTH // 2 + 1, :, 1] = 0.02
    bias = np.array([0.0, 0.0, -50, -60], np.float32)
    logits = numpy_logits(ramps(80), kernel.reshape(-1, LABELS), bias)
    bias[1] = -np.quantile(logits[:, 1] - logits[:, 0], 0.9)
    return kernel.reshape(-1, LABELS), bias


def test_pictures_are_bent_as_numpy_bends_them_each_by_its_own() -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (3, *SHAPE)).astype(np.float32)
    warps = rng.uniform(-1, 1, (3, 2, 4, 4)).astype(np.float32)
    bent = Warps(linear_network(*linear_weights()), SHAPE).put_on(images, warps)
    for shown, image, warp in zip(bent, images, warps, strict=True):
        np.testing.assert_allclose(shown, by_hand(image, warp), atol=0.02)


def test_a_distortion_draws_new_images_and_moves_no_pixel_far() -> None:
    weights, images, new = answering_by_the_middle(), ramps(80), ramps(160)[80:]
    warps = Warps(linear_network(*weights), SHAPE)
    found = warps.find(images, 1, np.random.default_rng(3))
    assert np.hypot(*moved(found)).mean() <= 2.5 + 1e-4
    shown = warps.put_on(new, np.repeat(found[np.newaxis], len(new), axis=0))
    before, after = ((numpy_logits(i, *weights).argmax(axis=1) == 1).mean() for i in (new, shown))
    assert before < 0.3 and after > 0.8, (before, after)


def test_what_share_of_the_others_images_a_distortion_draws() -> None:
    weights, images = answering_by_the_middle(), ramps(80)
    network = linear_network(*weights)
    drawn = drawn_by_warps(network, images, [2, 3, 1])
    assert list(drawn) == [2, 3, 1] and drawn[2] == drawn[3] == 0
    # The same distortion, from the same place of the same random numbers; every image is tried where there are so few.
    rng = np.random.default_rng([0, 2])
    rng.permutation(80)
    warps = Warps(network, SHAPE)
    found = [warps.find(images, label, rng) for label in (2, 3, 1)][-1]
    others = images[numpy_logits(images, *weights).argmax(axis=1) != 1]
    answers = numpy_logits(np.stack([by_hand(image, found) for image in others]), *weights).argmax(axis=1)
    assert drawn[1] == pytest.approx((answers == 1).mean(), abs=0.02) and drawn[1] > 0.8



def test_a_search_is_cancelled() -> None:
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        Warps(linear_network(*linear_weights()), SHAPE).find(ramps(5), 1, np.random.default_rng(0), cancel=source.token)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_network_that_overflows_is_bent_to_no_label() -> None:
    kernel, bias = linear_weights()
    kernel[:SIZE // 2, 1] = 3e38
    found = drawn_by_warps(linear_network(kernel, bias), np.full((20, *SHAPE), 200, np.float32), [1, 2])
    assert found == {1: 0.0, 2: 0.0}
