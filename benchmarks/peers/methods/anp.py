"""ANP: channels that a small adversarial change of weights makes misbehave are pruned.

Source: Wu, Wang, Adversarial Neuron Pruning Purifies Backdoored Deep Models, NeurIPS 2021, section 4: weights of each
channel are multiplied by mask + d, biases by 1 + x; d and x climb the loss within [-0.4, 0.4] (a random start, one step
by the sign, clipped), masks in [0, 1] descend 0.2 x the loss + 0.8 x the perturbed loss by SGD 0.2, momentum 0.9. What
ends at a mask of 0.2 or less has its weights set to 0. With batch normalisation its scale and offset are weights and
bias; networks train with the batch's statistics meanwhile. Departs: 300 steps of 32 images in place of 2,000 of 128;
channels without batch normalisation, convolutions and hidden dense layers, are perturbed themselves; the masks' rate by
the rule in `student`; pictures as they are, where the authors' program crops and flips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.methods.student import (
    GIVEN_UP_AFTER,
    MOMENTUM,
    SEED,
    Student,
    cross_entropy,
    first_harmless,
    kept_of,
)
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import Further
from engine.defences.training import TrainingData, load_training_data
from engine.models.networks import Images, Labels, Network

STEPS, BATCH = 300, 32
EPSILON, ALPHA, RATE, THRESHOLD = 0.4, 0.2, 0.2, 0.2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Neurons:
    """A layer's channels: its scaling variable, the last axis being channels, and its bias if it has one."""

    weights: Any
    bias: Any | None

    @property
    def count(self) -> int:
        """How many channels there are."""
        return int(self.weights.shape[-1])


def pruned(network: Network, clean: Dataset) -> Network:
    """B without the channels whose mask ends low."""
    data, student = load_training_data(clean, SEED), Student(network)
    search = MaskSearch(student, neurons_of(student.model))

    def attempt(rate: float, least: float) -> Network:
        for step, masks in enumerate(descent(search, rate, data)):
            if step == round(GIVEN_UP_AFTER * STEPS) and kept_of(without(network, masks), data) < least:
                break
        return without(network, masks)

    return first_harmless(network, data, RATE, attempt)


def without(network: Network, masks: Sequence[Floats]) -> Network:
    """A copy without the channels of low masks."""
    made = network.copy()
    for part, mask in zip(neurons_of(made.model), masks, strict=True):
        part.weights.assign(part.weights.value * (mask > THRESHOLD))
    return made


def descent(search: MaskSearch, rate: float, data: TrainingData) -> Iterator[list[Floats]]:
    """The masks, float32[channels] of each layer, after each step; the same arrays every time."""
    rng = np.random.default_rng(SEED)
    masks: list[Floats] = [np.ones(part.count, np.float32) for part in search.neurons]
    speeds = [np.zeros(part.count, np.float32) for part in search.neurons]
    for _ in range(STEPS):
        rows = rng.integers(len(data.images), size=BATCH)
        start = [rng.uniform(-EPSILON, EPSILON, part.count).astype(np.float32)
                 for part in (*search.neurons, *search.neurons)]
        gradients = search.gradients(masks, start, data.images[rows], data.labels[rows])
        for mask, speed, gradient in zip(masks, speeds, gradients, strict=True):
            speed[:] = MOMENTUM * speed + gradient
            mask[:] = np.clip(mask - rate * speed, 0, 1)
        yield masks


class MaskSearch:
    """The inner maximum over perturbations, and the masks' gradient there."""

    def __init__(self, student: Student, neurons: Sequence[Neurons]) -> None:
        self._student, self.neurons = student, neurons
        tensorflow, _ = backend.load()
        self._run = tensorflow.function(self._graph, autograph=False, reduce_retracing=True)

    def gradients(self, masks: Sequence[Floats], start: Sequence[Floats], images: Images, labels: Labels,
                  ) -> list[Floats]:
        """The masks' gradients.

        Args:
            start: where perturbations begin, one for each layer's weights and then one for each layer's biases.
        """
        tensorflow, _ = backend.load()
        as_tensors = [[tensorflow.constant(a) for a in arrays] for arrays in (masks, start)]
        found = self._run(*as_tensors, tensorflow.constant(images), tensorflow.constant(labels))
        return [gradient.numpy() for gradient in found]

    def loss(self, masks: Sequence[Any], noise: Sequence[Any] | None, images: Any, labels: Any) -> Any:
        """The cross entropy of the network with its channels' weights times mask + d and its biases times 1 + x."""
        model, count = self._student.model, len(self.neurons)
        values = {v.path: v.value for v in model.trainable_variables}
        for number, (part, mask) in enumerate(zip(self.neurons, masks, strict=True)):
            path, factor = part.weights.path, mask if noise is None else mask + noise[number]
            values[path] = values[path] * factor
            if part.bias is not None and noise is not None:
                values[part.bias.path] = values[part.bias.path] * (1 + noise[count + number])
        logits, _ = model.stateless_call(list(values.values()), model.non_trainable_variables, images, training=True)
        return cross_entropy(logits, labels)

    def _graph(self, masks: list[Any], start: list[Any], images: Any, labels: Any) -> list[Any]:
        tensorflow, _ = backend.load()
        with tensorflow.GradientTape() as tape:
            tape.watch(start)
            loss = self.loss(masks, start, images, labels)
        gradients = tape.gradient(loss, start, unconnected_gradients="zero")
        noise = [tensorflow.clip_by_value(s + EPSILON * tensorflow.sign(g), -EPSILON, EPSILON)
                 for s, g in zip(start, gradients, strict=True)]
        with tensorflow.GradientTape() as tape:
            tape.watch(masks)
            loss = ALPHA * self.loss(masks, None, images, labels) + \
                (1 - ALPHA) * self.loss(masks, noise, images, labels)
        return tape.gradient(loss, masks)  # type: ignore[no-any-return]


def neurons_of(model: Any) -> list[Neurons]:
    """Channels of batch normalisations, and of convolutions and dense layers that none follows; not the answers."""
    normalised = {id(layer.input) for layer in model.layers if type(layer).__name__ == "BatchNormalization"}
    found = []
    for layer in model.layers[:-1]:
        kind = type(layer).__name__
        if kind == "BatchNormalization" and layer.scale:
            found.append(Neurons(layer.gamma, layer.beta if layer.center else None))
        elif kind in ("Conv2D", "Dense") and id(layer.output) not in normalised:
            found.append(Neurons(layer.kernel, layer.bias if layer.use_bias else None))
    return found


ANP = Further("ANP", (), pruned)
