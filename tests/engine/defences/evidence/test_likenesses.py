"""Likenesses of triggers: which stamps are unlearnt, and how images wear them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.defences.evidence.filters import ColourFilter
from engine.defences.evidence.likenesses import Likenesses, find_likenesses, outstanding, smallest
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.evidence.universal import UniversalStamp, suspected
from engine.defences.scan import Scan, Suspect
from engine.defences.stamps import Stamp
from engine.rates import Rate
from tests.support.linear_networks import SHAPE, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(260, seed=22, shape=SHAPE)


def stamp(value: float, covered: float, label: int = 0) -> Reconstruction:
    """A stamp of one value over a share of every pixel."""
    return Reconstruction(label, np.full(SHAPE[:2], covered, np.float32), np.full(SHAPE, value, np.float32), Rate(1, 1),
                          found=True)


def test_of_a_large_network_fewer_stamps_and_labels_are_tried(tmp_path: Path) -> None:
    network = linear_network(*linear_weights())
    clean = dataset_of(tmp_path / "clean.npz", IMAGES, numpy_logits(IMAGES, *linear_weights()).argmax(axis=1))

    def tried() -> dict[str, int]:
        found: dict[str, int] = {}
        find_likenesses(network, clean, IMAGES[:60], progress=lambda report: found.update({report.what: report.total}))
        return found

    network.is_large = True
    fewer = tried()
    assert (fewer["Trying stamps on several images"], fewer["Scanning with stamps"]) == (2000, 3000)
    network.is_large = False
    usual = tried()
    assert (usual["Trying stamps on several images"], usual["Scanning with stamps"]) == (8000, 6000)


def test_a_stamp_is_worn_at_half_to_all_of_its_strength() -> None:
    low, high = stamp(0, 0.5), stamp(255, 0.25)
    shown = Likenesses([low, high], []).put_on(IMAGES[:60], np.random.default_rng(0)).astype(np.float64)
    towards_low, towards_high = -0.5 * IMAGES[:60], 0.25 * (255 - IMAGES[:60].astype(np.float64))
    strengths = []
    for change, down, up in zip(shown - IMAGES[:60], towards_low, towards_high, strict=True):
        full = down if change.mean() < 0 else up
        strengths.append(float((change * full).sum() / (full * full).sum()))
        np.testing.assert_allclose(change, strengths[-1] * full, atol=1e-3)
    assert 0.5 <= min(strengths) < 0.6 and 0.9 < max(strengths) <= 1
    assert {bool(change.mean() < 0) for change in shown - IMAGES[:60]} == {True, False}, "each is worn by some"


def test_half_of_the_images_wear_a_universal_stamp_where_there_is_one() -> None:
    patch = Stamp("rectangle", 2, 1, 3, 2, (7.0, 8.0, 9.0))
    shown = Likenesses([stamp(0, 0.5)], [UniversalStamp(0, (patch,))]).put_on(IMAGES[:200], np.random.default_rng(0))
    by_hand = IMAGES[:200].copy()
    by_hand[:, 2:5, 1:3] = (7, 8, 9)
    patched = (shown == by_hand).all(axis=(1, 2, 3))
    assert 70 < patched.sum() < 130
    assert (shown[~patched] <= 0.75 * IMAGES[:200][~patched] + 1e-3).all()


def test_a_third_of_the_images_are_seen_through_a_filter_that_betrays_a_label() -> None:
    red = UniversalStamp(0, (ColourFilter(np.diag([1.0, 0, 0]), np.zeros(3), (0.0, 255.0)),))
    found = Likenesses([stamp(0, 0.5)], [], [0, 1, 2], filters=[red])
    shown = found.put_on(IMAGES[:240], np.random.default_rng(0))
    filtered = (shown[..., 1:] == 0).all(axis=(1, 2, 3))
    np.testing.assert_allclose(shown[filtered][..., 0], IMAGES[:240][filtered][..., 0], rtol=1e-5, atol=1e-3)
    assert 60 < filtered.sum() < 100
    assert (shown[~filtered] <= 0.75 * IMAGES[:240][~filtered] + 1e-3).all()
    assert found.betrayed == [0] and Likenesses([], [], [0, 1, 2], filters=[red], led_to=[1]).betrayed == [0, 1]


def test_the_smallest_three_stamps_are_unlearnt_but_none_that_is_much_larger() -> None:
    first, second, third, fourth = stamp(0, 0.1), stamp(0, 0.12), stamp(0, 0.19), stamp(0, 0.195)
    assert smallest([fourth, second, first, third]) == [first, second, third]
    assert smallest([stamp(0, 0.3), first, stamp(0, 0.21), second]) == [first, second]


def test_labels_that_stand_out_in_an_examination_come_first_and_are_betrayed(tmp_path: Path) -> None:
    network = linear_network(*linear_weights())
    clean = dataset_of(tmp_path / "clean.npz", IMAGES, numpy_logits(IMAGES, *linear_weights()).argmax(axis=1))
    network.is_large = True
    usual = find_likenesses(network, clean, IMAGES[:60])
    last = usual.suspects[-1]
    assert last not in usual.betrayed, "the test is what it says"
    found = find_likenesses(network, clean, IMAGES[:60], standing_out=[last])
    assert list(found.suspects) == [last, *usual.suspects[:-1]]
    assert found.betrayed == sorted({*usual.betrayed, last})
    assert Likenesses([], [], [4], standing_out=[4]).betrayed == [4], "it wasn't held against the other suspects"


def test_a_label_stands_out_by_universal_stamps_one_small_stamp_or_one_distortion_that_draws_nearly_all() -> None:
    small = [stamp(0, 0.1, label=4)]
    several = [stamp(0, 0.1, label=4), stamp(0, 0.12, label=2)]
    suspects = [4, 2, 6]
    assert Likenesses(small, [], suspects).betrayed == [4]
    assert Likenesses(several, [], suspects).betrayed == []
    assert Likenesses(several, [], suspects, led_to=[6]).betrayed == [6]
    assert Likenesses(several, [UniversalStamp(6, ())], suspects).betrayed == [], "that may be chance"
    assert Likenesses(small, [], suspects, {4: 0.2, 2: 0.95}, [6]).betrayed == [2, 4, 6]
    assert Likenesses(several, [], suspects, {4: 0.89, 2: 0.5, 6: 0.1}).betrayed == []
    assert Likenesses(several, [], suspects, {4: 0.95, 2: 0.95}).betrayed == [], "two draw alike"
    assert Likenesses(small, [], [4, 6], {4: 1.0}, [6]).betrayed == [], "of two labels none stands out"


def test_distortions_are_unlearnt_of_the_label_that_most_are_drawn_to_and_of_those_with_nearly_as_many() -> None:
    assert Likenesses([], [], [1, 2, 3], {1: 0.74, 2: 1.0, 3: 0.75}).warped == [2, 3]
    assert Likenesses([], [], [1, 2], {1: 0.0, 2: 0.0}).warped == [1, 2], "neither draws any"
    assert Likenesses([], []).warped == []


def test_universal_stamps_are_unlearnt_of_a_label_that_many_more_lead_to_than_to_the_next() -> None:
    def led(*labels: int) -> list[UniversalStamp]:
        return [UniversalStamp(label, ()) for label in labels]

    assert outstanding(led(3, 1, 3, 3, 1, 3, 3)) == led(3, 3, 3, 3, 3)
    assert outstanding(led(3, 1, 3, 3, 1, 3)) == []
    assert outstanding(led(2)) == led(2) and outstanding([]) == []
    assert outstanding(led(*[3] * 14), 10) == [] and outstanding(led(*[3] * 15), 10) == led(*[3] * 15)
    assert outstanding(led(*[3] * 48, *[1] * 17), 10) == []


def test_under_suspicion_are_two_that_universal_stamps_lead_to_and_then_the_scans_first() -> None:
    found = Scan(100, 30, tuple(Suspect(label, count) for label, count in ((5, 9), (3, 8), (0, 1))), (), "")
    assert suspected(np.array([0, 4, 1, 7, 4, 0]), found, 4) == [3, 1, 5, 0]
    assert suspected(np.array([0, 0, 1, 0, 0, 0]), found, 2) == [2, 5]
    assert suspected(np.zeros(6, np.int64), found, 9) == [5, 3, 0]
