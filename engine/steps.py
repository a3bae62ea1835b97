"""What each pruned copy of a network answers, without building any of them.

The head, everything up to the pruned layer, runs once; the tail runs once a step with that step's channels masked.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.networks import Images, Labels, Network, compiled, largest
from engine.progress import CancelToken

Array = npt.NDArray[Any]
Features = list[Array]


class StepPredictor(Protocol):
    """Answers of B and of every pruned copy on one chunk of images."""

    def features(self, images: Images) -> Features:
        """What the tail needs of float32[n, H, W, C] images; the first axis is the image everywhere."""
        ...

    def labels(self, images: Images, features: Features, order: npt.NDArray[np.int64], cancel: CancelToken) -> Labels:
        """Labels int64[C + 1, n]; row k is the answer of the copy that has lost order[0], ..., order[k - 1].

        Raises:
            Cancelled: the token was set.
        """
        ...


def masked_value(layer: Any) -> float:
    """What a channel of the layer gives everywhere once its weights and bias are zero: activation(0)."""
    _, keras = backend.load()
    return float(keras.ops.convert_to_numpy(layer.activation(keras.ops.zeros((1,), "float32")))[0])


class MaskedSteps:
    """The general path, for any network: mask the layer's output, run all that follows."""

    def __init__(self, network: Network, layer: str) -> None:
        call = network.call_of(layer)
        self._masked = masked_value(call.layer)
        boundary = network.boundary(call.output)
        self._head = compiled(network.submodel([network.input], boundary))
        self._tail = compiled(network.submodel(boundary, [network.output]))

    def features(self, images: Images) -> Features:
        """See StepPredictor; the layer's output float32[n, h, w, C] first, skip connections after it."""
        return [t.numpy() for t in _as_list(self._head(images))]

    def labels(self, images: Images, features: Features, order: npt.NDArray[np.int64], cancel: CancelToken) -> Labels:
        """See StepPredictor."""
        activation, skips = features[0].copy(), features[1:]
        labels = np.empty((len(order) + 1, len(activation)), np.int64)
        labels[0] = self._answer(activation, skips)
        for step, channel in enumerate(order, start=1):
            cancel.raise_if_cancelled()
            if (activation[..., channel] == self._masked).all():
                labels[step] = labels[step - 1]
                continue
            activation[..., channel] = self._masked
            labels[step] = self._answer(activation, skips)
        return labels

    def answer_with(self, images: Images, pruned: npt.NDArray[np.bool_]) -> Labels:
        """Labels int64[n] of images, each with its own set of pruned channels bool[n, C]."""
        activation, *skips = self.features(images)
        keep = pruned[:, np.newaxis, np.newaxis, :]
        return self._answer(np.where(keep, np.float32(self._masked), activation), skips)

    def _answer(self, activation: Array, skips: Features) -> Labels:
        return largest(self._tail(activation, *skips).numpy())


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
