"""Labels that a trigger seems to lead to are answered only where a repaired network is surer of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from engine.assessment import listed
from engine.defences.course import Course, lowered, teach
from engine.defences.evidence.likenesses import Likenesses
from engine.defences.perturbations import shifted
from engine.defences.training import Repair, TrainingData, repaired_network
from engine.errors import Cancelled
from engine.models.logits import compiled_logits, logits_bias
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelSource, ignore_progress
from engine.rates import Rate
from tests.support.linear_networks import LABELS, SHAPE, Array, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

KERNEL, BIAS = linear_weights()
IMAGES = random_images(150, seed=31, shape=SHAPE)
HELD = random_images(70, seed=32, shape=SHAPE)


@pytest.fixture(autouse=True)
def few_labels_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.defences.course._FEWEST_LABELS", LABELS)


def course_of(network: Network, drawn_to: Sequence[int], warning: str = "") -> Course:
    """A course in which a distortion draws all images to some labels."""
    drawn = {0: 0.1, 1: 0.1, 2: 0.1, **dict.fromkeys(drawn_to, 1.0)}
    held_labels = numpy_logits(HELD, KERNEL, BIAS).argmax(axis=1)
    data = TrainingData(IMAGES, numpy_logits(IMAGES, KERNEL, BIAS).argmax(axis=1), HELD, held_labels)
    return Course(data, Likenesses([], [], [0, 1, 2, 3], drawn), compiled_logits(network), warning, seed=5, rate=1e-3)


def untrained(network: Network, warning: str = "") -> Repair:
    return Repair("distillation", tuple(network.model.get_weights()), 1, 1, Rate(70, 70), Rate(70, 70), "", (),
                  warning, 5)


@pytest.mark.parametrize("ending", ["dense", "sigmoid", "linear", "activation", "layer", "nested"])
def test_a_betrayed_labels_bias_is_lowered_by_a_share_of_the_usual_lead(ending: str) -> None:
    network = linear_network(KERNEL, BIAS, ending)
    before = [w.copy() for w in network.model.get_weights()]
    found = lowered(network, untrained(network, "Said before."), course_of(network, [2]))
    logits = np.sort(numpy_logits(shifted(IMAGES, np.random.default_rng([5, 4])), KERNEL, BIAS), axis=1)
    expected = BIAS.astype(np.float64)
    expected[2] -= 0.4 * np.median(logits[:, -1] - logits[:, -2])
    np.testing.assert_allclose(found.weights[1], expected, atol=1e-5)
    np.testing.assert_array_equal(found.weights[0], KERNEL)
    assert found.lowered == (2,)
    assert found.warning.startswith("Said before. Likenesses of a trigger lead to label 2 more easily than")
    # Of the label's images and of all that are held aside so many are still right, counted by hand.
    every = np.concatenate([IMAGES, HELD])
    own, now = (numpy_logits(every, KERNEL, bias).argmax(axis=1) for bias in (BIAS, expected))
    count, left = (own == 2).sum(), ((own == 2) & (now == 2)).sum()
    assert 0 < left < count
    assert found.warning.endswith(f"clean images of it are misread more often: of label 2's {count} clean images here "
                                  f"{count} were right before and {left} are now. It learnt from most of these, so "
                                  "others may be misread more often still.")
    own, now = (numpy_logits(HELD, KERNEL, bias).argmax(axis=1) for bias in (BIAS, expected))
    assert found.after == Rate(int((own == now).sum()), 70) and found.after.count < 70
    for one, other in zip(network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    answers = repaired_network(network, found).predict_labels(HELD)
    np.testing.assert_array_equal(answers, now)


def test_a_network_without_a_betrayed_label_or_a_last_bias_stays_as_it_is() -> None:
    network, reshaped = linear_network(KERNEL, BIAS), linear_network(KERNEL, BIAS, "reshaped")
    assert lowered(network, repair := untrained(network), course_of(network, [])) is repair
    assert logits_bias(reshaped) is None
    assert lowered(reshaped, repair := untrained(reshaped), course_of(reshaped, [2])) is repair


def test_of_few_labels_none_is_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """There an innocent one stands out by chance."""
    network = linear_network(KERNEL, BIAS)
    monkeypatch.setattr("engine.defences.course._FEWEST_LABELS", LABELS + 1)
    assert lowered(network, repair := untrained(network), course_of(network, [2])) is repair


def test_a_label_without_a_clean_image_is_lowered_too() -> None:
    network = linear_network(KERNEL, BIAS)
    course = course_of(network, [2])
    data = dataclasses.replace(course.data, labels=course.data.labels.clip(0, 1),
                               held_labels=course.data.held_labels.clip(0, 1))
    found = lowered(network, untrained(network), dataclasses.replace(course, data=data))
    assert "of label 2's 0 clean images here 0 were right" in found.warning


def test_every_repair_that_is_taught_lowers_them() -> None:
    network = linear_network(KERNEL, BIAS)
    course = course_of(network, [1])

    def nothing_to_learn(rows: Array) -> tuple[Array, Array]:
        return IMAGES[rows], course.teacher(IMAGES[rows])

    found = teach(network, course, "unlearning", "test", lambda *_: nothing_to_learn, 1, ignore_progress,
                  NEVER_CANCELLED)
    plain = teach(network, dataclasses.replace(course, found=Likenesses([], [])), "unlearning", "test",
                  lambda *_: nothing_to_learn, 1, ignore_progress, NEVER_CANCELLED)
    assert found.lowered == (1,) and plain.lowered == ()
    changed = found.weights[1] - plain.weights[1]
    assert changed[1] < -0.05 and (np.delete(changed, 1) == 0).all()


def test_looking_for_how_far_is_cancelled() -> None:
    network, source = linear_network(KERNEL, BIAS), CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        lowered(network, untrained(network), course_of(network, [2]), source.token)


def test_several_labels_are_named() -> None:
    network = linear_network(KERNEL, BIAS)
    seen = Likenesses([], [], [0, 1, 3], {1: 1.0, 3: 0.0}, led_to=[3])
    both = dataclasses.replace(course_of(network, [1]), found=seen)
    found = lowered(network, untrained(network), both)
    assert found.lowered == (1, 3)
    assert "to labels 1 and 3 more easily than to others, so B' answers them only" in found.warning
    assert "surer than of other labels, though labels 1 and 3 may be innocent; clean" in found.warning
    assert "; of label 3's " in found.warning and listed([2, 6, 8]) == "labels 2, 6 and 8"
    assert (found.weights[1][[0, 2]] == BIAS[[0, 2]]).all() and LABELS == 4
