"""Colour filters that draw nearly all images to a label, against what each does to every image there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.defences.evidence.filters import (
    ColourFilter,
    best_filter,
    drawn_by_own_colours,
    find_filters,
    random_filter,
)
from engine.defences.evidence.universal import Universal, UniversalStamp, counted
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
    counts = counted(find_filters(network, images, FILTERS, seed=3).stamps, LABELS)
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


def moved(label: int, red: float, blue: float) -> UniversalStamp:
    """A filter that adds to red and blue."""
    return UniversalStamp(label, (ColourFilter(np.eye(3), np.array([red, 0, blue]), (0.0, 255.0)),))


def test_the_mean_of_a_labels_filters_is_taken_unless_one_of_them_draws_more(network: Network) -> None:
    images = noise(100, 1)
    own = answers(images)

    def best(*found: UniversalStamp) -> tuple[float, ...]:
        colours = best_filter(network, images, own, found, 0)
        assert colours and colours.within == (0.0, 255.0) and (colours.matrix == np.eye(3)).all()
        return tuple(colours.offset.round(6))

    assert best(moved(0, 0.2, -0.2), moved(2, 9, 9), moved(0, 0.3, -0.1)) == (0.25, 0, -0.15), "of its own alone"
    assert best(moved(0, -0.2, 0.2), moved(0, 0.2, -0.2)) == (0.2, 0, -0.2), "the mean of the two changes nothing"
    assert best_filter(network, images, own, [moved(0, 1, 1)], 2) is None


def test_a_label_that_clean_images_have_by_their_colours_draws_others_by_them(network: Network) -> None:
    images = np.concatenate([noise(200, 1), warmed(noise(30, 2))])
    own = answers(images)
    assert 30 <= (own == 0).sum() < 35
    truth = own.copy()
    assert drawn_by_own_colours(network, images, own, truth, 0) == pytest.approx(1, abs=0.05)
    other = int(np.bincount(own[:200]).argmax())
    share = drawn_by_own_colours(network, images, own, truth, other)
    assert share is not None and share < 0.5
    truth[np.flatnonzero(own == 0)[2:]] = 3
    assert drawn_by_own_colours(network, images, own, truth, 0) is None, "poisoned ones don't tell"
    assert drawn_by_own_colours(network, images, np.full(len(own), 1), np.full(len(own), 1), 1) is None, "none to draw"


def test_a_seed_gives_the_same_filters_grey_pictures_have_none_and_cancel_ends_it(network: Network) -> None:
    images = noise(60, 1)
    first, again = (find_filters(network, images, 300, seed=1).stamps for _ in range(2))
    assert first and [one.label for one in first] == [one.label for one in again]
    assert np.array_equal(*(np.stack([part.matrix for one in found for part in one.parts if isinstance(
        part, ColourFilter)]) for found in (first, again)))
    assert find_filters(network, noise(60, 1, channels=1), 300) == Universal()
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        find_filters(network, images, 300, cancel=source.token)
