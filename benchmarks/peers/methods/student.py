"""What the training peers have in common: a copy of B that ends in logits, a recipe of stochastic descent, and a rule
for the learning rate.

Papers train with batch normalisation's own statistics of the batch, so this isn't `engine.defences.training`, which
leaves such layers as they are. Their learning rates are for inputs and networks that are normalised; DeepID takes 0 to
255 and normalises nothing, and SGD at any rate wrecks it, so there Adam 1e-3 stands in, as this project trains. A rule
that needs clean images alone divides a rate by ten until the network survives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import backend
from engine.data.datasets import Dataset
from engine.defences.training import TrainingData, load_training_data
from engine.models.networks import Images, Labels, Network, largest

SEED = 0
MOMENTUM = 0.9
# Where nothing is normalised.
ADAM_RATE = 1e-3
# A learning rate is too high that costs more points of clean accuracy on images held aside; then a tenth is tried.
BEARABLE_LOSS = 0.05
TRIES = 5
# After this share of a training a network that answers less than half of what B does is given up.
GIVEN_UP_AFTER = 0.1

# Images float32[b, H, W, C] and labels int64[b]: one step of training.
Step = Callable[[Any, Any], None]
Gradients = list[Any]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train.

    Attributes:
        rate: the paper's learning rate, where the rule begins.
        falls: how it changes: of the share of the training that is done, 0 to 1, to a factor.
        decay: the weights' share in the gradient.
    """

    rate: float
    epochs: int
    falls: Callable[[float], float]
    decay: float
    batch: int = 32


def cosine(done: float) -> float:
    """The cosine schedule's factor."""
    return (1 + math.cos(math.pi * done)) / 2


class Student:
    """A copy of B with `model` ending in logits; its weights are those that a network needs."""

    def __init__(self, network: Network) -> None:
        _, keras = backend.load()
        self._b = network
        self.model: Any = network.copy().model
        last = self.model.layers[-1]
        ending = getattr(getattr(last, "activation", None), "__name__", "")
        if type(last).__name__ == "Softmax" or ending == "sigmoid":
            raise TypeError("a network was expected that ends in logits or in a layer with softmax as its activation")
        if ending == "softmax":
            last.activation = keras.activations.linear

    @property
    def variables(self) -> list[Any]:
        """What can be trained."""
        return list(self.model.trainable_variables)

    @property
    def normalised(self) -> bool:
        """Whether there is any batch normalisation."""
        return any(type(layer).__name__ == "BatchNormalization" for layer in self.model.layers)

    def network(self) -> Network:
        """The student as it is now, ending as B does."""
        made = self._b.copy()
        made.model.set_weights(self.model.get_weights())
        return made

    def predict_labels(self, images: Images) -> Labels:
        """Labels int64[n] of float32[n, H, W, C]."""
        return largest(self.model.predict(images, batch_size=256, verbose=0))


class Descent:
    """Stochastic gradient descent with momentum, and with weight decay as PyTorch has it: as part of the gradient.

    Where nothing is normalised it is Adam, without decay, which Adam would make as large as any gradient.
    """

    def __init__(self, student: Student, recipe: Recipe, rate: float, *, nesterov: bool = False) -> None:
        _, keras = backend.load()
        self._variables, self._decay = student.variables, recipe.decay if student.normalised else 0.0
        self._optimizer = keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=nesterov) if student.normalised \
            else keras.optimizers.Adam(rate)
        self._optimizer.build(self._variables)
        self.rate = self._optimizer.learning_rate

    def apply(self, gradients: Gradients) -> None:
        """One step along gradients, one for each of the student's variables; inside a graph too."""
        self._optimizer.apply([g + self._decay * v.value for g, v in zip(gradients, self._variables, strict=True)],
                              self._variables)


Lesson = Callable[[Student, Descent], Step]
# A learning rate, and the accuracy below which it may give up: the network made so.
Attempt = Callable[[float, float], Network]


def trained(network: Network, clean: Dataset, recipe: Recipe, lesson: Lesson, *, nesterov: bool = False) -> Network:
    """A copy of B trained by a lesson at the paper's rate or, where that costs too much, the first tenth that doesn't.

    A fifth of the images is held aside to tell. Where no rate is harmless, that which kept most is taken.
    """
    data = load_training_data(clean, SEED)

    def attempt(rate: float, least: float) -> Network:
        student = Student(network)
        _train(student, data, recipe, rate, lesson, least, nesterov)
        return student.network()

    rate = recipe.rate if Student(network).normalised else min(recipe.rate, ADAM_RATE)
    return first_harmless(network, data, rate, attempt)


def first_harmless(network: Network, data: TrainingData, rate: float, attempt: Attempt) -> Network:
    """What an attempt at the rate makes, or at the first tenth of it that costs little enough on images held aside."""
    before = kept_of(network, data)
    best: tuple[float, Network] | None = None
    for number in range(TRIES):
        made = attempt(rate / 10**number, before / 2)
        kept = kept_of(made, data)
        if best is None or kept > best[0]:
            best = kept, made
        if kept >= before - BEARABLE_LOSS:
            break
    assert best is not None
    return best[1]


def _train(student: Student, data: TrainingData, recipe: Recipe, rate: float, lesson: Lesson, least: float,
           nesterov: bool) -> None:
    descent = Descent(student, recipe, rate, nesterov=nesterov)
    step, rng = lesson(student, descent), np.random.default_rng(SEED)
    for epoch in range(recipe.epochs):
        if epoch == max(1, round(GIVEN_UP_AFTER * recipe.epochs)) and kept_of(student, data) < least:
            break
        descent.rate.assign(rate * recipe.falls(epoch / recipe.epochs))
        for rows in batches(len(data.images), recipe.batch, rng):
            step(data.images[rows], data.labels[rows])


def kept_of(network: Network | Student, data: TrainingData) -> float:
    """Accuracy, 0 to 1, on the images held aside."""
    return float((network.predict_labels(data.held_images) == data.held_labels).mean())


def batches(images: int, size: int, rng: np.random.Generator) -> Iterator[Labels]:
    """Numbers of all images once, shuffled, int64[size] at a time; what is left over at the end is left out."""
    order = rng.permutation(images).astype(np.int64)
    size = min(size, images)
    for start in range(0, images - size + 1, size):
        yield order[start:start + size]


def cross_entropy(logits: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """The mean over a batch, labels smoothed over all others and themselves."""
    tensorflow, _ = backend.load()
    count = logits.shape[1]
    wanted = tensorflow.one_hot(labels, count) * (1 - smoothing) + smoothing / count
    return tensorflow.reduce_mean(tensorflow.nn.softmax_cross_entropy_with_logits(labels=wanted, logits=logits))


def compiled_step(student: Student, step: Step) -> Step:
    """A step as a graph for batches of any size."""
    tensorflow, _ = backend.load()
    tensorflow.config.experimental.enable_op_determinism()
    image = tensorflow.TensorSpec((None, *student.model.input_shape[1:]), "float32")
    made: Step = tensorflow.function(step, input_signature=[image, tensorflow.TensorSpec((None,), "int64")],
                                     autograph=False)
    return made
