"""A pattern over the whole picture: within its bounds, and it draws a linear network's images, as NumPy counts."""

from __future__ import annotations

import numpy as np

from engine.defences.targeted import Targeted, find_pattern
from tests.support.linear_networks import SHAPE, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

IMAGES, NEW = random_images(80, seed=3, shape=SHAPE), random_images(80, seed=4, shape=SHAPE)


def test_a_pattern_draws_new_images_to_its_label_and_changes_no_value_by_more_than_24() -> None:
    weights = linear_weights()
    label = int(np.bincount(numpy_logits(IMAGES, *weights).argmax(axis=1), minlength=4).argmin())
    pattern = find_pattern(linear_network(*weights), IMAGES, label)
    shown = pattern.put_on(NEW)
    assert pattern.label == label and pattern.change.shape == SHAPE
    assert abs(shown - NEW).max() <= 24 + 1e-4 and shown.min() >= 0 and shown.max() <= 255
    before, after = (float((numpy_logits(images, *weights).argmax(axis=1) == label).mean()) for images in (NEW, shown))
    assert before < 0.3 and after > before + 0.5, (before, after)


def test_every_other_copy_wears_the_pattern_and_the_rest_are_bent() -> None:
    """Pictures of one colour each look the same however they are bent."""
    plain = np.broadcast_to(np.linspace(30, 220, 20, dtype=np.float32)[:, None, None, None], (20, *SHAPE))
    shown = Targeted(linear_network(*linear_weights()), IMAGES, [1, 2], [3], np.random.default_rng(0)).put_on(plain)
    np.testing.assert_allclose(shown[1::2], plain[1::2], atol=1e-3)
    strengths = abs(shown[::2] - plain[::2]).max(axis=(1, 2, 3))
    assert (strengths >= 0.3 * 6).all() and (strengths <= 24 + 1e-3).all() and len(set(strengths.round(3))) == 10
