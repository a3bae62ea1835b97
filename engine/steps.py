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
    """Answers of B and of every pruned copy on one chunk of images; safe to call from several threads.

    Attributes:
        feature_tensors: the symbolic tensors of the network that `features` computes.
    """

    feature_tensors: list[Any]

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
        self.feature_tensors = network.boundary(call.output)
        self._head = compiled(network.submodel([network.input], self.feature_tensors))
        self._tail = compiled(network.submodel(self.feature_tensors, [network.output]))

    def features(self, images: Images) -> Features:
        """See StepPredictor; the layer's output float32[n, h, w, C] first, skip connections after it."""
        return arrays(self._head(images))

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


def arrays(tensors: Any) -> Features:
    """What a compiled model gives, one tensor or several, as NumPy arrays."""
    return [t.numpy() for t in (tensors if isinstance(tensors, list | tuple) else [tensors])]


class KeptFeatures:
    """Features of a data set's first chunks, so that they needn't be computed twice; bounded in bytes."""

    def __init__(self, limit_bytes: int = 64 << 20) -> None:
        self._limit, self._chunks = limit_bytes, dict[int, Features]()

    def keep(self, start: int, features: Features) -> None:
        """Keep the features of the chunk that begins with image `start`, if there is room."""
        size = sum(array.nbytes for array in features)
        if size <= self._limit:
            self._limit -= size
            self._chunks[start] = features

    def take(self, start: int) -> Features | None:
        """Give the chunk's features away, or None when they weren't kept."""
        return self._chunks.pop(start, None)
