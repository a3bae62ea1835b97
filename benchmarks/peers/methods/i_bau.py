"""I-BAU: unlearning the universal perturbation that hurts most, with a gradient that knows how it would answer.

Source: Zeng, Chen, Park, Mao, Jin, Jia, Adversarial Unlearning of Backdoors via Implicit Hypergradient, ICLR 2022,
algorithm 1: min over theta of the max over d of the mean loss of f(x + d). Inner: descent on
h(d) = -loss + 0.001 |d|^2. Outer: the implicit gradient dL/dtheta + (dPhi/dtheta)^T v, where
Phi(d) = d - 0.1 dh/dd and v is the fixed point of v = (dPhi/dd)^T v + dL/dd, iterated K = 5 times. Settings of their
code: 5 rounds; inner steps of 10 from d = 0 towards other answers than the network's own; Adam 1e-3 outside; batch
normalisation as in answering. d is in units of the pictures' range; pictures that wear it aren't clipped.

Departs: batches of 32 in place of 100, the inner loss of the fixed point on the batch of the outer one; of 300 pictures
a round's pass has ten batches in place of fifty, so d is sought over three passes; theta follows over one.
Half of a batch wears d; in the paper all do, in their code one in a hundred. C_d is 0.09 of the range for each value (5
for CIFAR's size; their code has 10, and not in use): a larger one leaves nothing to recognise. The rate by the rule in
`student`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.methods.student import SEED, Student, batches, cross_entropy, first_harmless, kept_of
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import ALL_LABELS, Further
from engine.defences.stamps import value_range
from engine.defences.training import load_training_data
from engine.models.networks import Images, Labels, Network

ROUNDS, ITERATIONS, BATCH = 5, 5, 32
INNER_RATE, PENALTY, MAP_RATE, OUTER_RATE = 10.0, 0.001, 0.1, 1e-3
INNER_PASSES = 3
SHARE = 0.5
# C_d for each value of a picture, as a share of its range.
RADIUS = 0.09

Floats = npt.NDArray[np.float32]


def unlearnt(network: Network, clean: Dataset) -> Network:
    """B after it has unlearnt a perturbation a round."""
    data = load_training_data(clean, SEED)

    def attempt(rate: float, least: float) -> Network:
        student, rng = Student(network), np.random.default_rng(SEED)
        search = Hypergradient(student, data.images, rng)
        outer = outer_step(student, search, rate)
        for number in range(ROUNDS):
            if number == 1 and kept_of(student, data) < least:
                break
            found = search.perturbation()
            for rows in batches(len(data.images), BATCH, rng):
                outer(found, data.images[rows], data.labels[rows])
        return student.network()

    return first_harmless(network, data, OUTER_RATE, attempt)


class Hypergradient:
    """The inner problem's slope, and the outer gradient that takes its answer into account."""

    def __init__(self, student: Student, images: Images, rng: np.random.Generator) -> None:
        tensorflow, _ = backend.load()
        low, high = value_range(images)
        self._student, self._images, self._rng, self._span = student, images, rng, high - low
        self.weights = [v.value for v in student.variables]
        self._slope = tensorflow.function(self._inner_slope, autograph=False, reduce_retracing=True)

    def perturbation(self) -> Floats:
        """What hurts most, float32[H, W, C] in units of the range, from 0."""
        found = np.zeros(self._images.shape[1:], np.float32)
        for _ in range(INNER_PASSES):
            for rows in batches(len(self._images), BATCH, self._rng):
                images = self._images[rows]
                found -= INNER_RATE * self.slope(found, images, self._student.predict_labels(images))
                found *= min(1.0, RADIUS * found.size**0.5 / max(float(np.linalg.norm(found)), 1e-9))
        return found

    def slope(self, perturbation: Floats, images: Images, labels: Labels) -> Floats:
        """dh/dd, float32[H, W, C]."""
        found: Floats = self._slope(*map(_constant, (perturbation, images, labels))).numpy()
        return found

    def inner(self, perturbation: Any, images: Any, labels: Any) -> Any:
        """h(d): what the perturbation is to make small."""
        tensorflow, _ = backend.load()
        return PENALTY * tensorflow.reduce_sum(perturbation**2) - self.outer(perturbation, images, labels, 1.0)

    def outer(self, perturbation: Any, images: Any, labels: Any, share: float) -> Any:
        """L(d, theta): what the weights are to make small; the first of the images, a share of them, wear d."""
        tensorflow, _ = backend.load()
        count = tensorflow.shape(images)[0]
        wearing = tensorflow.range(count) < tensorflow.cast(tensorflow.math.ceil(
            share * tensorflow.cast(count, "float32")), "int32")
        worn = tensorflow.cast(wearing, "float32")[:, tensorflow.newaxis, tensorflow.newaxis, tensorflow.newaxis]
        return cross_entropy(self._student.model(images + self._span * worn * perturbation, training=False), labels)

    def gradients(self, perturbation: Any, images: Any, labels: Any) -> list[Any]:
        """The hypergradient, one for each of the student's variables; called inside a graph."""
        tensorflow, _ = backend.load()
        with tensorflow.GradientTape(persistent=True) as tape:
            tape.watch(perturbation)
            loss = self.outer(perturbation, images, labels, SHARE)
        direct, own = tape.gradient(loss, perturbation), tape.gradient(loss, self.weights)
        with tensorflow.GradientTape(persistent=True) as tape:
            tape.watch(perturbation)
            mapped = perturbation - MAP_RATE * self._inner_slope(perturbation, images, labels)
        answer = direct  # the first iteration, from v = 0
        for _ in range(ITERATIONS - 1):
            answer = tape.gradient(mapped, perturbation, output_gradients=answer) + direct
        through = tape.gradient(mapped, self.weights, output_gradients=answer)
        return [g if t is None else g + t for g, t in zip(own, through, strict=True)]

    def _inner_slope(self, perturbation: Any, images: Any, labels: Any) -> Any:
        tensorflow, _ = backend.load()
        with tensorflow.GradientTape() as tape:
            tape.watch(perturbation)
            value = self.inner(perturbation, images, labels)
        return tape.gradient(value, perturbation)


def outer_step(student: Student, search: Hypergradient, rate: float) -> Callable[[Floats, Images, Labels], None]:
    """One step of Adam along the hypergradient."""
    tensorflow, keras = backend.load()
    tensorflow.config.experimental.enable_op_determinism()
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(student.variables)

    @tensorflow.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(perturbation: Any, images: Any, labels: Any) -> None:
        optimizer.apply(search.gradients(perturbation, images, labels), student.variables)

    return lambda *arrays: step(*map(_constant, arrays))


def _constant(array: Any) -> Any:
    tensorflow, _ = backend.load()
    return tensorflow.constant(array)


I_BAU = Further("I-BAU", (ALL_LABELS,), unlearnt)
