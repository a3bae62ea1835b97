"""A pattern over the whole picture: within its bounds, and it draws a linear network's images, as NumPy counts."""

from __future__ import annotations

import numpy as np

from engine.defences.targeted import find_pattern
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
