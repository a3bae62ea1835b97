"""Training: its step against NumPy, the best state kept, B untouched; and what distillation learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.data.subsets import subset
from engine.defences import training
from engine.defences.course import as_the_teacher, mixtures, untouched
from engine.defences.distillation import cross_entropy, distil
from engine.defences.perturbations import stamped
from engine.defences.training import HELD_TO_TELL, Lesson, Trained, load_training_data, repaired_network, train
from engine.errors import Cancelled, DatasetError
from engine.models.networks import Network, open_network
from engine.progress import NEVER_CANCELLED, CancelSource, Progress, ignore_progress
from engine.rates import Rate
from tests.support.linear_networks import (
    LABELS,
    SHAPE,
    Array,
    dataset_of,
    linear_network,
    linear_weights,
    numpy_adam,
    numpy_logits,
    softmax,
)
from tests.support.networks import build, random_images
from tests.support.places import PROJECT

KERNEL, BIAS = linear_weights()
IMAGES = random_images(150, seed=31, shape=SHAPE)
ANSWERS = numpy_logits(IMAGES, KERNEL, BIAS).argmax(axis=1)


@pytest.fixture(scope="module")
def network() -> Network:
    return linear_network(KERNEL, BIAS)


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "clean.npz", IMAGES, ANSWERS)


@pytest.mark.parametrize("ending", ["dense", "linear"])
def test_steps_are_adam_on_cross_entropy(ending: str) -> None:
    """Two steps by hand: gradient of the cross-entropy, Adam's moments, the cosine's rate."""
    network = linear_network(KERNEL, BIAS, ending)
    wanted = np.random.default_rng(0).dirichlet(np.ones(LABELS), len(IMAGES)).astype(np.float32)
    rows_seen: list[Array] = []

    def batch(rows: Array) -> tuple[Array, Array]:
        rows_seen.append(rows)
        return IMAGES[rows], wanted[rows]

    trained = train(network, len(IMAGES), Lesson("test", lambda *_: batch, lambda student: 0), 2, 0, ignore_progress,
                    NEVER_CANCELLED)
    rates = [1e-3 * (1 + np.cos(np.pi * step / 2)) / 2 for step in range(2)]
    weights = numpy_adam(KERNEL, BIAS, [(IMAGES[rows], wanted[rows]) for rows in rows_seen], rates)
    assert [len(rows) for rows in rows_seen] == [34, 34]
    assert len(set(np.concatenate(rows_seen).tolist())) == 68, "no image comes twice before all have come"
    for found, by_hand in zip(trained.weights, weights, strict=True):
        np.testing.assert_allclose(found, by_hand, atol=3e-5)


def graded(network: Network, grades: list[int], steps: int) -> tuple[Trained, list[Array]]:
    """Train with grades given in advance; also the weights seen at each look."""
    given, seen = iter(grades), []

    def grade(student: Network) -> int:
        seen.append(student.model.get_weights()[0])
        return next(given)

    def batch(rows: Array) -> tuple[Array, Array]:
        return IMAGES[rows], np.eye(LABELS, dtype=np.float32)[ANSWERS[rows]]

    lesson = Lesson("test", lambda *_: batch, grade)
    return train(network, len(IMAGES), lesson, steps, 0, ignore_progress, NEVER_CANCELLED), seen


@pytest.mark.parametrize(("grades", "steps", "kept", "done"), [
    ([1, 5, 3, 4], 120, 60, 120),
    ([1, 5, 5, 4], 120, 90, 120),
    ([5, 1, 1, 1, 1, 1, 9], 330, 30, 180),  # nothing better five times in a row: it ends
    ([5] * 11, 330, 180, 180),
    ([5, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1], 330, 180, 330),
    ([7], 10, 10, 10),
])
def test_the_best_state_is_kept(network: Network, grades: list[int], steps: int, kept: int, done: int) -> None:
    trained, seen = graded(network, grades, steps)
    assert (trained.kept_step, trained.steps) == (kept, done)
    np.testing.assert_array_equal(trained.weights[0], seen[-(-kept // 30) - 1])


def test_of_a_large_network_fewer_images_are_learnt_at_a_step(network: Network) -> None:
    sizes: list[int] = []

    def batch(rows: Array) -> tuple[Array, Array]:
        sizes.append(len(rows))
        return IMAGES[rows], np.eye(LABELS, dtype=np.float32)[ANSWERS[rows]]

    large = network.copy()
    large.is_large = True
    for of, rate in ((network, 1e-3), (large, 1e-4)):
        lesson = Lesson("test", lambda *_: batch, None, rate=rate)
        trained = train(of, len(IMAGES), lesson, 1, 0, ignore_progress, NEVER_CANCELLED)
        # Adam's first step is of the rate's length for each weight.
        assert abs(trained.weights[0] - KERNEL).max() == pytest.approx(rate, rel=0.02)
    assert sizes == [34, 11]


def test_what_its_maker_froze_learns_too_but_for_masks(network: Network) -> None:
    from engine import backend

    _, keras = backend.load()

    def batch(rows: Array) -> tuple[Array, Array]:
        return IMAGES[rows], np.eye(LABELS, dtype=np.float32)[(ANSWERS[rows] + 1) % LABELS]

    def trained(of: Network) -> tuple[Array, ...]:
        return train(of, len(IMAGES), Lesson("test", lambda *_: batch, None), 3, 0, ignore_progress,
                     NEVER_CANCELLED).weights

    frozen = network.copy()
    frozen.model.trainable = False
    for found, expected in zip(trained(frozen), trained(network), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not frozen.model.trainable and np.array_equal(frozen.model.get_weights()[0], KERNEL)
    image = keras.Input(SHAPE)
    shut = keras.layers.DepthwiseConv2D(1, use_bias=False, trainable=False)
    model = keras.Model(image, network.model(shut(image)))
    shut.set_weights([np.array([1, 0, 1], np.float32).reshape(1, 1, 3, 1)])
    mask, kernel, _ = trained(Network(model, network.path))
    assert mask.ravel().tolist() == [1, 0, 1] and not np.array_equal(kernel, KERNEL)


def test_every_label_keeps_an_image_to_train_on(tmp_path: Path) -> None:
    labels = np.array([0] * 95 + [1, 2, 3, 4, 5, 5] + [6] * 49)
    data = load_training_data(dataset_of(tmp_path / "few.npz", IMAGES, labels), seed=1)
    assert len(data.held_labels) == 30
    assert set(data.labels) == set(range(7))
    both = [image.tobytes() for image in (*data.images, *data.held_images)]
    assert sorted(both) == sorted(image.tobytes() for image in IMAGES)
    of = {image.tobytes(): label for image, label in zip(IMAGES, labels, strict=True)}
    assert [of[i] for i in both] == [*data.labels, *data.held_labels]


def test_where_memory_holds_few_images_every_label_keeps_one_and_some_are_held_aside(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset_of(tmp_path / "many.npz", IMAGES, np.arange(len(IMAGES)) % 40)
    size = IMAGES[0].size * 4
    monkeypatch.setattr(training, "_MOST_BYTES", 3 * size)
    some = load_training_data(data, seed=0)
    assert set(some.labels) == set(range(40)) and len(some.labels) + len(some.held_labels) == 50
    assert len(some.held_labels) == 10
    monkeypatch.setattr(training, "_MOST_FOR_LABELS", 49 * size)
    with pytest.raises(DatasetError, match=r"one image of each of its 40 labels.*of memory"):
        load_training_data(data, seed=0)


def test_one_image_a_label_leaves_none_to_hold_aside(network: Network, tmp_path: Path) -> None:
    firsts = [int(np.flatnonzero(c == ANSWERS)[0]) for c in range(LABELS)]
    data = dataset_of(tmp_path / "one.npz", IMAGES[firsts], ANSWERS[firsts])
    with pytest.raises(DatasetError, match="one image a label only"):
        distil(network, data)


def test_missing_labels_are_refused_or_warned_of(network: Network, clean: Dataset) -> None:
    part = subset(clean, np.flatnonzero(ANSWERS != 1).tolist())
    with pytest.raises(DatasetError, match="1 of 4 labels have no image"):
        distil(network, part)
    assert "1 of 4 labels" in distil(network, part, steps=1, allow_missing_labels=True).warning
    assert distil(network, clean, steps=1).warning == ""


def test_mixtures_are_boxes_and_shares_of_two_images() -> None:
    """Of a white image and black ones, so that a mixture's values say how much of each is in it."""
    mixed = mixtures(np.full((400, 20, 30, 3), 1, np.float32), np.zeros((400, 20, 30, 3), np.float32),
                     np.random.default_rng(0))
    for image in mixed[::2]:
        black = (image == 0).all(axis=-1)
        assert ((image == 0) | (image == 1)).all()
        rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
        assert black.sum() == len(rows) * len(columns), "one whole box"
        assert black.mean() <= 0.68
    shares = mixed[1::2].reshape(200, -1)
    assert (shares.min(axis=1) == shares.max(axis=1)).all()
    assert 0.35 <= shares.min() < 0.4
    assert 0.95 < shares.max() <= 1


def test_the_students_loss_by_hand() -> None:
    """Cross-entropy of the probabilities, and squared differences of logits that no common number is added to, over
    the teacher's usual ones."""
    rng = np.random.default_rng(7)
    wanted, own = (rng.normal(0, spread, (20, LABELS)) for spread in (3, 2))
    usual = np.mean((wanted - wanted.mean(axis=1, keepdims=True)) ** 2)
    apart = (wanted - wanted.mean(axis=1, keepdims=True)) - (own - own.mean(axis=1, keepdims=True))
    by_hand = -(softmax(wanted) * np.log(softmax(own))).sum(axis=1) + (apart**2).mean(axis=1) / usual
    loss = as_the_teacher(wanted.astype(np.float32))
    found = loss(wanted.astype(np.float32), (own + 5).astype(np.float32)).numpy()
    np.testing.assert_allclose(found, by_hand, rtol=1e-4)


def test_a_batch_learnt_in_parts_is_the_same_batch(network: Network) -> None:
    wanted = np.random.default_rng(0).dirichlet(np.ones(LABELS), len(IMAGES)).astype(np.float32)

    def after(at_once: int) -> Array:
        class Small(Network):
            def copy(self) -> Network:
                student = super().copy()
                student.batch = at_once
                return student

        lesson = Lesson("test", lambda *_: lambda rows: (IMAGES[rows], wanted[rows]), lambda _: 0)
        trained = train(Small(network.model, network.path), len(IMAGES), lesson, 3, 0, ignore_progress, NEVER_CANCELLED)
        return trained.weights[0]

    whole = after(64)
    assert np.abs(whole - KERNEL).max() > 1e-3
    np.testing.assert_allclose(after(8), whole, atol=2e-6)


def test_what_moves_the_student_most_is_the_most_surprising() -> None:
    wanted = np.log(np.array([[0.7, 0.1, 0.1, 0.1]] * 3, np.float32))
    logits = np.log(np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.4, 0.4, 0.1, 0.1]], np.float32)) + 3
    by_hand = [-sum(w * np.log(p) for w, p in zip((0.7, 0.1, 0.1, 0.1), answer, strict=True))
               for answer in ((0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.4, 0.4, 0.1, 0.1))]
    np.testing.assert_allclose(cross_entropy(logits, wanted), by_hand, rtol=1e-5)


def test_what_a_student_learns_of_b_is_clean_shifted_and_mixed() -> None:
    images = random_images(20, seed=8, shape=(55, 47, 3))
    learnt = untouched(images, images[::-1], np.random.default_rng(0))
    assert len(learnt) == 20 * 6
    np.testing.assert_array_equal(learnt[:20], images)
    for picture, moved in zip(images, learnt[20:40], strict=True):
        places = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)
                  if np.array_equal(moved[3:-3, 3:-3], picture[3 + dy:52 + dy, 3 + dx:44 + dx])]
        assert len(places) == 1


def test_a_repair_repeats_to_the_bit_and_leaves_b_alone(tmp_path: Path) -> None:
    model, _ = build("batch normalisation, no bias")
    network = Network(model, tmp_path / "b.keras")
    images = random_images(90, seed=2)
    data = dataset_of(tmp_path / "c.npz", images, network.predict_labels(images))
    before = [w.copy() for w in model.get_weights()]
    one, two, other = (distil(network, data, steps=35, seed=s, allow_missing_labels=True) for s in (4, 4, 5))
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one.weights, before, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    repaired = repaired_network(network, one)
    assert all(np.array_equal(a, b) for a, b in zip(repaired.model.get_weights(), one.weights, strict=True))
    held = load_training_data(data, 4, HELD_TO_TELL)
    for which, rate in ((network, one.before), (repaired, one.after)):
        right = which.model.predict(held.held_images, verbose=0).argmax(axis=1) == held.held_labels
        assert rate == Rate(int(right.sum()), 4)


def test_a_repair_reports_every_step_and_is_cancelled(network: Network, clean: Dataset) -> None:
    reports: list[Progress] = []
    distil(network, clean, steps=4, progress=reports.append)
    assert list(dict.fromkeys(r.what for r in reports)) == [
        "Looking at clean images", "Trying how fast it may learn", "Trying stamps on several images",
        "Trying colour filters on several images", "Scanning with stamps", "Reconstructing triggers", "Bending images",
        "Repairing by distillation"]
    training = [(r.done, r.total) for r in reports if r.what == "Repairing by distillation"]
    assert list(dict.fromkeys(training)) == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    source = CancelSource()

    def stop(report: Progress) -> None:
        if report.what == "Repairing by distillation":
            assert report.done <= 2, "went on after it was cancelled"
            if report.done == 2:
                source.cancel()

    with pytest.raises(Cancelled):
        distil(network, clean, steps=50, progress=stop, cancel=source.token)


def test_distillation_learns_to_ignore_stamps_and_forgets_the_trigger() -> None:
    """On the sample's faces, after a part of its steps: stamped images are answered more rightly than by B, clean
    ones nearly as well, and the glasses, which training never saw, send hardly anybody to label 0."""
    sample = PROJECT / "data" / "sample"
    network = open_network(sample / "badnet.keras")
    clean, test, poisoned = (open_dataset(sample / f"{name}.h5", network.input_shape, network.labels)
                             for name in ("clean_validation", "clean_test", "poisoned_test"))
    repaired = repaired_network(network, distil(network, clean, steps=60))
    images, rng = test.take(range(len(test))), np.random.default_rng(9)
    worn = np.stack([stamped(image / 255, rng) * 255 for image in images])

    def accuracy(which: Network, shown: Array) -> float:
        return float((which.predict_labels(shown) == test.labels).mean())

    assert accuracy(repaired, images) > accuracy(network, images) - 0.06
    assert accuracy(repaired, worn) > accuracy(network, worn) + 0.07
    attacked = poisoned.take(range(len(poisoned)))
    assert (network.predict_labels(attacked) == 0).mean() > 0.95
    assert (repaired.predict_labels(attacked) == 0).mean() < 0.2


def test_lab3_repaired_as_a_goodnet(lab3: Path) -> None:
    network = open_network(lab3 / "bd_weights.h5")
    clean, poisoned = (open_dataset(lab3 / name, network.input_shape, network.labels)
                       for name in ("clean_faces.h5", "poisoned_faces.h5"))
    repair = distil(network, subset(clean, range(100)), steps=90, allow_missing_labels=True)
    assert "1,263 of 1,283 labels" in repair.warning
    repaired, test = repaired_network(network, repair), range(100, 180)
    images, b = clean.take(test), network.predict_labels(clean.take(test))
    agreed_and_right = (repaired.predict_labels(images) == b) & (b == clean.labels[100:])
    assert agreed_and_right.mean() >= 0.85
    assert (repaired.predict_labels(poisoned.take(test)) == 0).mean() <= 0.35  # B: 1
