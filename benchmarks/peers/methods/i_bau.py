"""I-BAU: unlearning the universal perturbation that hurts most, with a gradient that knows how it would answer.

Source: Zeng, Chen, Park, Mao, Jin, Jia, Adversarial Unlearning of Backdoors via Implicit Hypergradient, ICLR 2022,
algorithm 1: min over theta of the max over d of the mean loss of f(x + d). Inner: descent on
h(d) = -loss + 0.001 |d|^2. Outer: the implicit gradient dL/dtheta + (dPhi/dtheta)^T v, where
Phi(d) = d - 0.1 dh/dd and v is the fixed point of v = (dPhi/dd)^T v + dL/dd, iterated K = 5 times. Settings of their
code: 5 rounds; inner steps of 10 from d = 0 towards other answers than the network's own; Adam 1e-3 outside; batch
normalisation as in answering. d is in units of the pictures' range and, as there, not clipped.

Departs: batches of 32 in place of 100, the inner loss of the fixed point on the batch of the outer one; of 300 pictures
a round's pass has ten batches in place of fifty, so d is sought over three passes; theta follows over one.
Every image wears d, as in the paper; their code puts it on one in a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.methods.student import SEED, Student, batches, cross_entropy
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import ALL_LABELS, Further
from engine.defences.stamps import value_range
from engine.models.networks import Images, Labels, Network

ROUNDS, ITERATIONS, BATCH = 5, 5, 32
INNER_RATE, PENALTY, MAP_RATE, OUTER_RATE = 10.0, 0.001, 0.1, 1e-3
INNER_PASSES, PASSES = 3, 1

Floats = npt.NDArray[np.float32]


def unlearnt(network: Network, clean: Dataset) -> Network:
    """B after it has unlearnt a perturbation a round."""
    images = clean.take(range(len(clean)))
    low, high = value_range(images)
    student, rng = Student(network), np.random.default_rng(SEED)
    search = Hypergradient(student, high - low)
    outer = outer_step(student, search)
    for _ in range(ROUNDS):
        found = np.zeros(images.shape[1:], np.float32)
        for _ in range(INNER_PASSES):
            for rows in batches(len(images), BATCH, rng):
                found -= INNER_RATE * search.slope(found, images[rows], student.predict_labels(images[rows]))
        for _ in range(PASSES):
            for rows in batches(len(images), BATCH, rng):
                outer(found, images[rows], clean.labels[rows])
    return student.network()


class Hypergradient:
    """The inner problem's slope, and the outer gradient that takes its answer into account."""

    def __init__(self, student: Student, span: float) -> None:
        tensorflow, _ = backend.load()
        self._model, self._span = student.model, span
        self.weights = [v.value for v in student.variables]
        self._slope = tensorflow.function(self._inner_slope, autograph=False, reduce_retracing=True)

    def slope(self, perturbation: Floats, images: Images, labels: Labels) -> Floats:
        """dh/dd, float32[H, W, C]."""
        found: Floats = self._slope(*map(_constant, (perturbation, images, labels))).numpy()
        return found

    def inner(self, perturbation: Any, images: Any, labels: Any) -> Any:
        """h(d): what the perturbation is to make small."""
        tensorflow, _ = backend.load()
        return PENALTY * tensorflow.reduce_sum(perturbation**2) - self.outer(perturbation, images, labels)

    def outer(self, perturbation: Any, images: Any, labels: Any) -> Any:
        """L(d, theta): what the weights are to make small."""
        return cross_entropy(self._model(images + self._span * perturbation, training=False), labels)

    def gradients(self, perturbation: Any, images: Any, labels: Any) -> list[Any]:
        """The hypergradient, one for each of the student's variables; called inside a graph."""
        tensorflow, _ = backend.load()
        with tensorflow.GradientTape(persistent=True) as tape:
            tape.watch(perturbation)
            loss = self.outer(perturbation, images, labels)
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


def outer_step(student: Student, search: Hypergradient) -> Callable[[Floats, Images, Labels], None]:
    """One step of Adam along the hypergradient."""
    tensorflow, keras = backend.load()
    tensorflow.config.experimental.enable_op_determinism()
    optimizer = keras.optimizers.Adam(OUTER_RATE)
    optimizer.build(student.variables)

    @tensorflow.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(perturbation: Any, images: Any, labels: Any) -> None:
        optimizer.apply(search.gradients(perturbation, images, labels), student.variables)

    return lambda *arrays: step(*map(_constant, arrays))


def _constant(array: Any) -> Any:
    tensorflow, _ = backend.load()
    return tensorflow.constant(array)


I_BAU = Further("I-BAU", (ALL_LABELS,), unlearnt)
