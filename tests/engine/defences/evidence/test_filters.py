"""Colour filters that draw nearly all images to a label, against what each does to every image there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.defences.evidence.filters import (
    ColourFilter,
    drawn_by_own_colours,
    find_filters,
    mean_filter,
    random_filter,
)
from engine.defences.evidence.universal import UniversalStamp, counted
from engine.errors import Cancelled
from engine.models.networks import Images, Labels, Network
from engine.progress import CancelSource
from tests.engine.defences.evidence.test_universal import passing
from tests.engine.guards.test_tone import noise, warmed, weights
from tests.support.linear_networks import LABELS, SHAPE, Array, linear_network, numpy_logits

FILTERS = 2000


def lighter() -> tuple[Array, Array]:
    """Of a network that answers label 0 where red outweighs blue by a fifth of what the filter of `warmed` adds."""
    kernel, bias = weights()
    bias[0] = -25
    return kernel, bias


def answers(images: Images) -> Labels:
    labels: Labels = numpy_logits(images, *lighter()).argmax(axis=1)
    return labels


@pytest.fixture
def network() -> Network:
    return linear_network(*lighter())


def test_counts_are_those_expected_of_filters_tried_on_all_images(network: Network) -> None:
    images, rng = noise(300, 1), np.random.default_rng(77)
    own, chances = answers(images), []
    for _ in range(1000):
        (one,) = random_filter(rng, SHAPE, (0.0, 255.0))
        # Pixel by pixel, as it is described.
        changed = 255 * np.clip(np.einsum("nhwc,dc->nhwd", images / 255.0, one.matrix) + one.offset, 0, 1)
        chances.append([passing(float(((answers(changed) == label) & (own != label)).mean()))
                        for label in range(LABELS)])
    expected = FILTERS * np.mean(chances, axis=0)
    counts = counted(find_filters(network, images, FILTERS, seed=3), LABELS)
    assert counts[0] > 100 and counts.argmax() == 0
    for label in range(LABELS):
        # Five standard deviations of the count, and of the expectation from half as many filters.
        assert abs(counts[label] - expected[label]) <= 5 * math.sqrt(3 * expected[label]) + 3


def test_a_filter_takes_each_pixels_channels_through_its_matrix_and_stays_in_the_range() -> None:
    one = ColourFilter(np.array([[0.5, 0, 0], [0, 0, 1.0], [0, 2.0, 0]]), np.array([0.1, 0, 0]), (-1.0, 1.0))
    images = np.array([-1, 0, 0.5], np.float32).reshape(1, 1, 1, 3)
    one.put_on(images)
    # As shares of the range: 0, 0.5 and 0.75 become 0.1, 0.75 and 1 (that is the most).
    np.testing.assert_allclose(images.ravel(), [-0.8, 0.5, 1], atol=1e-6)


def test_the_mean_of_filters_is_of_one_labels_alone() -> None:
    def found(label: int, value: float) -> UniversalStamp:
        return UniversalStamp(label, (ColourFilter(np.full((3, 3), value), np.full(3, -value), (0.0, 1.0)),))

    mean = mean_filter([found(4, 1.0), found(2, 9.0), found(4, 2.0)], 4)
    assert mean and (mean.matrix == 1.5).all() and (mean.offset == -1.5).all() and mean.within == (0.0, 1.0)
    assert mean_filter([found(4, 1.0)], 2) is None


def test_a_label_that_clean_images_have_by_their_colours_draws_others_by_them(network: Network) -> None:
    images = np.concatenate([noise(200, 1), warmed(noise(30, 2))])
    own = answers(images)
    assert 30 <= (own == 0).sum() < 35
    assert drawn_by_own_colours(network, images, own, 0) == pytest.approx(1, abs=0.05)
    other = int(np.bincount(own[:200]).argmax())
    share = drawn_by_own_colours(network, images, own, other)
    assert share is not None and share < 0.5
    assert drawn_by_own_colours(network, images[:200], np.full(200, 1), 0) is None, "nothing shows its colours"
    assert drawn_by_own_colours(network, images[:200], np.full(200, 1), 1) is None, "there is nothing to draw"


def test_a_seed_gives_the_same_filters_grey_pictures_have_none_and_cancel_ends_it(network: Network) -> None:
    images = noise(60, 1)
    first, again = (find_filters(network, images, 300, seed=1) for _ in range(2))
    assert first and [one.label for one in first] == [one.label for one in again]
    assert np.array_equal(*(np.stack([part.matrix for one in found for part in one.parts if isinstance(
        part, ColourFilter)]) for found in (first, again)))
    assert find_filters(network, noise(60, 1, channels=1), 300) == []
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        find_filters(network, images, 300, cancel=source.token)
