"""The widest margins of a linear network, which NumPy finds exactly."""

from __future__ import annotations

import numpy as np
import pytest

from engine.defences.evidence.margins import widest_margins
from engine.errors import Cancelled
from engine.progress import CancelSource
from tests.support.linear_networks import LABELS, SHAPE, Array, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(60, seed=23, shape=SHAPE)


def widest_possible(kernel: Array, bias: Array, label: int, other: int) -> float:
    """The most by which a label can be ahead of another over all images of values 0 to 255."""
    difference = (kernel[:, label] - kernel[:, other]).astype(np.float64)
    best = np.where(difference > 0, 127.5, -127.5)
    return float(best @ difference + bias[label] - bias[other])


def test_margins_come_near_what_is_possible_and_never_above_it() -> None:
    kernel, bias = linear_weights(seed=3)
    margins = widest_margins(linear_network(kernel, bias), IMAGES, range(LABELS))
    logits = numpy_logits(IMAGES, kernel, bias)
    for label in range(LABELS):
        others = [other for other in range(LABELS) if other != label]
        bound = min(widest_possible(kernel, bias, label, other) for other in others)
        assert 0.7 * bound < margins[label] <= bound + 1e-3
        assert margins[label] > (logits[:, label] - logits[:, others].max(axis=1)).max()


def test_margins_are_in_the_order_of_the_labels_asked_for_and_repeat() -> None:
    network = linear_network(*linear_weights(seed=3))
    assert widest_margins(network, IMAGES, [3, 1]).tolist() == widest_margins(network, IMAGES, [3, 1]).tolist()
    every = widest_margins(network, IMAGES, range(LABELS))
    assert widest_margins(network, IMAGES, [3, 1]) == pytest.approx(every[[3, 1]], rel=0.02)


def test_a_cancelled_search_raises() -> None:
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        widest_margins(linear_network(*linear_weights()), IMAGES, [0], cancel=source.token)
