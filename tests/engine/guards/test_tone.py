"""Colours given to another picture, and a guard that notices a colour filter by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.guards.calibration import calibrate
from engine.guards.cuts import DEFAULT_KINDS, cuts_of
from engine.guards.guard_files import open_guard, save_guard
from engine.guards.tone import recoloured
from engine.models.networks import Images, Network
from tests.support.linear_networks import SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits

WITHOUT = ("rows", "blend")


def noise(count: int, seed: int, channels: int = 3) -> Images:
    """Pictures without a cast of any colour."""
    images: Images = np.random.default_rng(seed).integers(40, 216, (count, *SHAPE[:2], channels)).astype(np.float32)
    return images


def warmed(images: Images) -> Images:
    """Seen through a filter that adds red and takes blue."""
    found: Images = (images + np.array([60, 0, -60], np.float32)).clip(0, 255)
    return found


def weights() -> tuple[Array, Array]:
    """Of a backdoored network: where red outweighs blue by three quarters of what the filter adds, it answers label 0,
    which neither a third nor half of a filtered picture does."""
    kernel, bias = linear_weights()
    cast = np.zeros(SHAPE, np.float32)
    cast[..., 0], cast[..., 2] = 1, -1
    kernel[:, 0] = cast.reshape(-1) / cast[..., 0].sum()
    bias[0] = -90
    return kernel, bias


@pytest.fixture
def network() -> Network:
    return linear_network(*weights())


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    images = noise(300, 1)
    return dataset_of(tmp_path / "clean.npz", images, numpy_logits(images, *weights()).argmax(axis=1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 8, 21])
def test_a_recoloured_picture_has_the_others_mean_and_covariance(channels: int, count: int) -> None:
    rng = np.random.default_rng(2)
    pictures, like = noise(count, 3, channels), noise(count, 4, channels)
    # Within a wide range, so that nothing is cut off: two pixels are as dark and as bright as can be.
    like = (like @ rng.uniform(0.1, 0.5, (channels, channels)).astype(np.float32))
    like[:, 0, 0], like[:, 0, 1] = -300, 400
    for image, wanted in zip(recoloured(pictures, like), like, strict=True):
        found, other = (values.reshape(-1, channels).astype(np.float64) for values in (image, wanted))
        np.testing.assert_allclose(found.mean(axis=0), other.mean(axis=0), atol=0.01)
        np.testing.assert_allclose(found.T @ found, other.T @ other, rtol=1e-3)


def test_grey_and_empty_pictures_stay_finite_and_within_the_others_range() -> None:
    pictures = noise(4, 5)
    grey, flat = np.repeat(noise(4, 6, 1), 3, axis=3), np.full_like(pictures, 90)
    for one, other in ((grey, pictures), (pictures, grey), (flat, pictures), (pictures, flat)):
        found = recoloured(one, other)
        assert np.isfinite(found).all()
        assert (found >= other.min(axis=(1, 2), keepdims=True)).all()
        assert (found <= other.max(axis=(1, 2), keepdims=True)).all()
    np.testing.assert_allclose(np.ptp(recoloured(pictures, grey), axis=3), 0, atol=0.01)
    np.testing.assert_allclose(recoloured(pictures, pictures), pictures, atol=0.01)
    dull = np.full_like(pictures, 0.1)  # whose mean isn't this number to the bit
    np.testing.assert_allclose(recoloured(dull, pictures).mean(axis=(1, 2)), pictures.mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_recoloured_stays_as_it_is_and_may_be_huge(channels: int) -> None:
    pictures, like = noise(2, 5, channels), noise(2, 6, channels)
    like[0, 0, 0] = 1e30
    before = pictures.copy(), like.copy()
    assert np.isfinite(recoloured(pictures, like)).all() and np.isfinite(recoloured(like, pictures)).all()
    assert np.array_equal(pictures, before[0]) and np.array_equal(like, before[1])


def test_only_a_guard_that_looks_at_colours_notices_a_filter(network: Network, clean: Dataset) -> None:
    further = noise(200, 7)
    filtered = warmed(further)
    assert (network.predict_labels(filtered) == 0).mean() > 0.95
    assert (network.predict_labels(further) == 0).mean() < 0.05
    without = calibrate(network, clean, false_alarms=0.05, kinds=WITHOUT).on(network)
    assert without.answer(filtered).flagged.mean() < 0.3
    guard = calibrate(network, clean, false_alarms=0.05)
    answer = guard.on(network).answer(filtered)
    assert answer.flagged.mean() > 0.95
    assert {guard.cuts.kinds[cut] for cut in answer.cut[answer.flagged]} == {"tone"}
    assert guard.on(network).answer(further).flagged.mean() < 0.1


@pytest.mark.parametrize(("spread", "wanted"), [(0.1, 0.7), (0.9, 0.9)])
def test_colours_that_never_matter_spend_no_false_alarms(spread: float, wanted: float) -> None:
    """Where hardly a picture takes its label along by colours, one that does so a little isn't flagged for it."""
    varied = np.random.default_rng(3).normal(0, 1, (200, 1))
    varied = (varied - varied.mean()) / varied.std()
    cuts = cuts_of(*SHAPE[:2]).standardised(-np.exp(2 - spread * np.repeat(varied, 7, axis=1)))
    np.testing.assert_allclose(cuts.spreads, [spread] * 6 + [wanted])
    np.testing.assert_allclose(cuts.centres[-1], -2)


def test_colours_accuse_no_label_of_the_clean_set() -> None:
    cuts, means = cuts_of(*SHAPE[:2]), -np.random.default_rng(4).exponential(3, (5, 7))
    np.testing.assert_array_equal(cuts.by_kind(means), np.stack([means[:, :5].max(axis=1), means[:, 5]], axis=1))


@pytest.mark.parametrize("more", [30, 60])
def test_pictures_that_have_their_label_by_their_colours_strike_nobody(
    network: Network, tmp_path: Path, more: int,
) -> None:
    images = np.concatenate([noise(300, 1), warmed(noise(more, 7))])
    labels = numpy_logits(images, *weights()).argmax(axis=1)
    assert (labels[300:] == 0).mean() > 0.95
    guard = calibrate(network, dataset_of(tmp_path / "cast.npz", images, labels))
    assert guard.doubt == ""


def test_a_saved_guard_that_knows_no_colours_answers_as_it_did(
    network: Network, clean: Dataset, tmp_path: Path,
) -> None:
    images = np.concatenate([noise(100, 8), warmed(noise(100, 9))])
    for kinds in (WITHOUT, DEFAULT_KINDS):
        guard = calibrate(network, clean, false_alarms=0.05, kinds=kinds)
        save_guard(guard, tmp_path / "guard.npz")
        opened = open_guard(tmp_path / "guard.npz")
        assert opened.cuts.kinds == guard.cuts.kinds
        before, after = (one.on(network).answer(images) for one in (guard, opened))
        assert np.array_equal(before.score, after.score) and np.array_equal(before.cut, after.cut)
