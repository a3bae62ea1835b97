"""Stamps pixel by pixel, counts against a second count, and words that accuse nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.defences.scan import Scan, Suspect, in_words, ranked, scan
from engine.defences.stamps import Stamp, as_picture, random_stamp, value_range
from engine.errors import Cancelled, DatasetError
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress
from tests.support.linear_networks import (
    LABELS,
    SHAPE,
    SIZE,
    Array,
    dataset_of,
    linear_network,
    numpy_logits,
    overflowing,
    shown_to,
)
from tests.support.networks import random_images
from tests.support.places import PROJECT

IMAGES = random_images(120, seed=21, shape=SHAPE)
WEAK = 2


def weak_weights() -> tuple[Array, Array]:
    """Most images get label 0, some 1 or 3 for their green; red in the middle rows counts for label 2 only."""
    kernel = np.zeros((*SHAPE, LABELS), np.float32)
    kernel[0:3, :, 1, 0] = kernel[3:6, :, 1, 1] = kernel[6:9, :, 1, 3] = 0.006
    kernel[3:6, :, 0, WEAK] = 0.03
    return kernel.reshape(SIZE, LABELS), np.array([12, 0, -20, 0], np.float32)


@pytest.fixture(scope="module")
def network() -> Network:
    return linear_network(*weak_weights())


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "clean.npz", IMAGES, np.zeros(len(IMAGES), np.int64))


@pytest.mark.parametrize("shape", ["rectangle", "ellipse"])
def test_a_stamp_paints_its_patch_and_nothing_else(shape: str) -> None:
    stamp = Stamp("ellipse" if shape == "ellipse" else "rectangle", 2, 1, 6, 4, (10.0, 20.0, 30.0))
    image = np.full((12, 9, 3), 200, np.float32)
    stamp.put_on(image)
    for y in range(12):
        for x in range(9):
            inside = 2 <= y < 8 and 1 <= x < 5
            if shape == "ellipse":
                inside = inside and ((y + 0.5 - 5) / 3) ** 2 + ((x + 0.5 - 3) / 2) ** 2 <= 1
            assert image[y, x].tolist() == ([10, 20, 30] if inside else [200, 200, 200]), (y, x)


def test_a_stamp_goes_on_many_images_at_once() -> None:
    stamp = Stamp("ellipse", 1, 1, 5, 4, (1.0, 2.0, 3.0))
    many = IMAGES[:5].copy()
    stamp.put_on(many)
    for image, stamped in zip(IMAGES[:5].copy(), many, strict=True):
        stamp.put_on(image)
        np.testing.assert_array_equal(image, stamped)


def test_stamps_have_the_sizes_and_colours_of_the_recipe() -> None:
    rng = np.random.default_rng(0)
    stamps = [random_stamp(rng, (55, 47, 3), (0.0, 255.0)) for _ in range(3000)]
    assert {s.height for s in stamps} == set(range(4, 20))
    assert {s.width for s in stamps} == set(range(8, 44))
    assert all(s.top >= 0 and s.top + s.height <= 55 and s.left >= 0 and s.left + s.width <= 47 for s in stamps)
    assert {s.top + s.height for s in stamps} >= {55}
    assert {s.left for s in stamps} >= {0}
    colours = np.array([s.colour for s in stamps])
    assert colours.min() == 0
    assert colours.max() == 255
    corners = np.isin(colours, (0, 255)).all(axis=1)
    assert abs(corners.mean() - 0.5) < 0.04
    assert len(np.unique(colours[corners], axis=0)) == 8
    assert abs(np.mean([s.shape == "ellipse" for s in stamps]) - 0.5) < 0.04
    small = random_stamp(rng, (5, 3, 1), (-1.0, 1.0))
    assert len(small.colour) == 1
    assert small.height >= 1


@pytest.mark.parametrize(("lowest", "highest", "wanted"), [
    (3, 250, (0, 255)), (0, 255, (0, 255)), (0.1, 0.9, (0, 1)), (0, 1, (0, 1)), (-0.7, 1, (-1, 1)),
    (-120, 130, (-120, 130)), (0, 0, (0, 1)), (0, 60, (0, 255)),
    (0, 1.02, (0, 1.02)), (0.1, 1.25, (0, 1.25)), (-0.01, 0.9, (-0.01, 1)), (0, 2, (0, 2)), (0, 16, (0, 16))])
def test_value_range(lowest: float, highest: float, wanted: tuple[float, float]) -> None:
    assert value_range(np.array([lowest, highest], np.float32)) == pytest.approx(wanted)


def test_pictures_for_people() -> None:
    image = np.array([-1, 0, 1], np.float32).reshape(1, 1, 3)
    assert as_picture(image, (-1, 1)).tolist() == [[[0, 128, 255]]]


def test_ranks_are_counts_and_equals_go_by_label() -> None:
    assert ranked(np.array([5, 3, 5, 1, 3, 9], np.int64)) == (
        Suspect(3, 2), Suspect(5, 2), Suspect(1, 1), Suspect(9, 1))


def test_the_planted_weakness_comes_first(network: Network, clean: Dataset) -> None:
    found = scan(network, clean, 3000)
    assert found.suspects[0].label == WEAK
    assert found.changed == sum(s.count for s in found.suspects) < found.stamps == 3000
    own = numpy_logits(IMAGES, *weak_weights()).argmax(axis=1)
    assert len(found.examples) == 6
    for example in found.examples:
        stamped = IMAGES.copy()
        example.stamp.put_on(stamped)
        drawn = numpy_logits(stamped, *weak_weights()).argmax(axis=1) == WEAK
        assert (example.picture == stamped.round().astype(np.uint8)).all(axis=(1, 2, 3)).sum() == 1
        share = drawn[own != WEAK].mean()
        assert example.drawn.total == 40
        assert example.drawn.value == pytest.approx(share, abs=0.3)
        assert share > 0.5


def test_stamps_are_tried_on_other_images_of_other_labels(network: Network, tmp_path: Path) -> None:
    own = numpy_logits(IMAGES, *weak_weights()).argmax(axis=1)
    few = np.concatenate([np.flatnonzero(own == WEAK)[:3], np.flatnonzero(own != WEAK)[:30]])
    found = scan(network, dataset_of(tmp_path / "few.npz", IMAGES[few], own[few]), 3000)
    assert found.suspects[0].label == WEAK
    assert {e.drawn.total for e in found.examples} == {29}, "30 images of other labels less the stamp's own"


def test_counts_are_those_of_a_second_count(clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch what the network is shown, find the image under each stamp, and count changes with NumPy."""
    network = linear_network(*weak_weights())
    shown = shown_to(network, monkeypatch)
    found = scan(network, clean, 600)
    base, batches = shown[0], shown[1:4]
    own = numpy_logits(base, *weak_weights()).argmax(axis=1)
    counts = np.zeros(LABELS, int)
    for stamped in np.concatenate(batches):
        under = (base == stamped).sum(axis=(1, 2, 3)).argmax()  # the one that agrees in most pixels
        label = int(numpy_logits(stamped[np.newaxis], *weak_weights()).argmax())
        counts[label] += label != own[under]
    assert {s.label: s.count for s in found.suspects} == {c: n for c, n in enumerate(counts) if n}


def test_a_scan_repeats_and_its_seed_matters(network: Network, clean: Dataset) -> None:
    def flat(found: Scan) -> tuple[object, ...]:
        return found.suspects, [(e.stamp, e.drawn, e.picture.tobytes()) for e in found.examples], found.sentence

    assert flat(scan(network, clean, 500, seed=1)) == flat(scan(network, clean, 500, seed=1))
    assert flat(scan(network, clean, 500, seed=1)) != flat(scan(network, clean, 500, seed=2))


def test_of_large_images_as_many_are_taken_and_stamped_at_once_as_memory_holds(
    network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, drawn = scan(network, clean, 600), np.random.default_rng(0).permutation(len(clean))
    shown = shown_to(network, monkeypatch)
    monkeypatch.setattr("engine.defences.stamps._MOST_VALUES", 50 * SIZE)
    parts = scan(network, clean, 600)
    assert (parts.suspects, [e.stamp for e in parts.examples]) == (whole.suspects, [e.stamp for e in whole.examples])
    assert len(shown[0]) == len(IMAGES) and max(map(len, shown[1:])) == 32, "a power of two"
    shown.clear()
    monkeypatch.setattr("engine.data.datasets.MOST_HELD_VALUES", 30 * SIZE)
    assert scan(network, clean, 600).stamps == 600
    np.testing.assert_array_equal(shown[0], IMAGES[drawn[:30]])


def test_a_scan_reports_and_is_cancelled(network: Network, clean: Dataset) -> None:
    reports: list[Progress] = []
    scan(network, clean, 600, progress=reports.append)
    assert list(dict.fromkeys(r.done for r in reports)) == [0, 256, 512, 600]
    source = CancelSource()

    def stop(report: Progress) -> None:
        assert report.done <= 256, "went on after it was cancelled"
        if report.done:
            source.cancel()

    with pytest.raises(Cancelled):
        scan(network, clean, 600, progress=stop, cancel=source.token)


def test_no_stamp_changes_a_network_of_one_answer(clean: Dataset) -> None:
    stubborn = linear_network(np.zeros((SIZE, LABELS), np.float32), np.array([0, 9, 0, 0], np.float32))
    found = scan(stubborn, clean, 300)
    assert (found.changed, found.suspects, found.examples) == (0, (), ())
    assert "no suspect" in found.sentence
    assert "no proof" in found.sentence


@pytest.mark.parametrize(("first", "second", "ahead"), [(509, 252, True), (1142, 723, False), (100, 0, True),
                                                        (4, 1, False), (3, 3, False)])
def test_words_depend_on_the_lead(first: int, second: int, ahead: bool) -> None:
    suspects = (Suspect(7, first), Suspect(8, second)) if second else (Suspect(7, first),)
    words = in_words(20_000, first + second, suspects)
    assert ("well ahead" in words) == ahead
    assert ("No label stands out" in words) != ahead
    assert_accuses_nobody(words)


def assert_accuses_nobody(words: str) -> None:
    assert "suspect, not a verdict" in words
    assert "network without a backdoor too" in words
    for accusation in ("is backdoored", "has a backdoor", "the target is", "poisoned", "infected", "attacker"):
        assert accusation not in words


def test_an_empty_set_is_refused(network: Network, clean: Dataset) -> None:
    empty = type("Empty", (), {"__len__": lambda self: 0, "path": Path("empty.npz")})()
    with pytest.raises(DatasetError, match=r"empty\.npz"):
        scan(network, empty)


@pytest.mark.parametrize(("file", "ahead"), [("badnet.keras", True), ("cleannet.keras", False)])
def test_the_sample(file: str, ahead: bool) -> None:
    """The BadNet's target comes first; of its clean twin nothing is said that accuses it."""
    network = open_network(PROJECT / "data" / "sample" / file)
    clean = open_dataset(PROJECT / "data" / "sample" / "clean_validation.h5", network.input_shape, network.labels)
    found = scan(network, clean)
    if ahead:
        assert found.suspects[0].label == 0
    assert ("well ahead" in found.sentence) == ahead
    assert ("No label stands out" in found.sentence) != ahead
    assert_accuses_nobody(found.sentence)


def test_lab3_suspects_its_target(lab3: Path) -> None:
    network = open_network(lab3 / "bd_weights.h5")
    clean = open_dataset(lab3 / "clean_faces.h5", network.input_shape, network.labels)
    found = scan(network, clean)
    assert found.suspects[0].label == 0
    assert found.examples[0].drawn.value > 0.9


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_stamps_that_a_network_overflows_on_accuse_and_clear_nobody(tmp_path: Path) -> None:
    """NumPy takes the first of values that are no numbers for the largest."""
    black = dataset_of(tmp_path / "black.npz", np.zeros((30, 6, 6, 3), np.float32), np.full(30, 2))
    found = scan(open_network(overflowing(tmp_path, black=2)), black, 300)
    assert (found.suspects, found.changed, found.examples) == ((), 0, ()) and 100 < found.overflowed <= 300
    assert found.sentence.startswith(f"On {found.overflowed} of 300 stamped images the network's answers aren't num")
    assert "suspects no label and clears none" in found.sentence


def test_nor_do_other_stamps_accuse_anybody_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stamp in five overflows, and all others move their image to label 1."""
    network = open_network(overflowing(tmp_path, black=2))
    black, asked = dataset_of(tmp_path / "black.npz", np.zeros((30, 6, 6, 3), np.float32), np.full(30, 2)), [0]

    def answer(images: np.ndarray, *_: object, **__: object) -> np.ndarray:
        asked[0] += 1
        return np.full(len(images), 2) if asked[0] == 1 else np.where(np.arange(len(images)) % 5, 1, -1)

    monkeypatch.setattr(network, "predict_labels", answer)
    found = scan(network, black, 100)
    assert (found.overflowed, found.changed, found.suspects, found.examples) == (20, 80, (), ())
