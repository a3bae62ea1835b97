"""What each pruned copy of a network answers, without building any of them.

The head, everything up to the pruned layer, runs once; the tail runs once a step with that step's channels masked.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.models.costs.computing import images_at_once
from engine.models.networks import Images, Labels, Network, compiled, in_batches, largest
from engine.models.prunable.channels import masked_value
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

Array = npt.NDArray[Any]
Features = list[Array]

# Values of the images that are read together: 64 MB, of which a few wait for their turn.
_MOST_IMAGE_VALUES = 1 << 24
_MOST_KEPT_BYTES = 64 << 20


class StepPredictor(Protocol):
    """Answers of B and of every pruned copy on one chunk of images; safe to call from several threads.

    Attributes:
        feature_tensors: the symbolic tensors of the network that `features` computes.
        batch: images whose steps to count in one go, a power of two.
    """

    feature_tensors: list[Any]
    batch: int

    def features(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> Features:
        """What the tail needs of float32[n, H, W, C] images; the first axis is the image everywhere.

        Args:
            did: is told of all n images, some at a time.
        Raises:
            Cancelled: the token was set.
        """
        ...

    def labels(self, features: Features, order: npt.NDArray[np.int64], cancel: CancelToken,
               did: Did = ignore_done) -> Labels:
        """Labels int64[C + 1, n]; row k is the answer of the copy that has lost order[0], ..., order[k - 1].

        Args:
            did: as of `features`; a step is a part of each of its images.
        Raises:
            Cancelled: the token was set.
        """
        ...


def chunk_size(network: Network, tensors: Sequence[Any]) -> int:
    """Images of which some tensors of a network, and the images themselves, are small enough to be held together."""
    image = math.prod(side or 1 for side in network.input_shape)
    most = 1 << int(math.log2(max(1, _MOST_IMAGE_VALUES // image)))
    return min(most, images_at_once(tensors))


class MaskedSteps:
    """The general path, for any network: mask the layer's output, run all that follows."""

    def __init__(self, network: Network, layer: str) -> None:
        call, self._network = network.call_of(layer), network
        self._masked = masked_value(call.layer)
        self.feature_tensors = network.boundary(call.output)
        behind = network.calls_from(call)
        tensors = [*self.feature_tensors, *(later.output for later in behind)]
        self.batch = chunk_size(network, tensors)
        self._at_once = images_at_once(tensors, behind)
        self._head = compiled(network.submodel([network.input], self.feature_tensors))
        self._tail = compiled(network.submodel(self.feature_tensors, [network.output]))

    def features(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> Features:
        """See StepPredictor; the layer's output float32[n, h, w, C] first, skip connections after it."""
        return joined(map(arrays, in_batches(self._head, images, self._network.batch, cancel, did)))

    def labels(self, features: Features, order: npt.NDArray[np.int64], cancel: CancelToken,
               did: Did = ignore_done) -> Labels:
        """See StepPredictor."""
        activation, skips = features[0].copy(), features[1:]
        labels = np.empty((len(order) + 1, len(activation)), np.int64)
        for step, channel in enumerate([None, *order]):
            if channel is not None and (activation[..., channel] == self._masked).all():
                labels[step] = labels[step - 1]
            else:
                if channel is not None:
                    activation[..., channel] = self._masked
                labels[step] = self._answer(activation, skips, cancel)
            did(len(activation) / len(labels))
        return labels

    def _answer(self, activation: Array, skips: Features, cancel: CancelToken) -> Labels:
        def tail(rows: Array) -> Labels:
            return largest(self._tail(activation[rows], *(skip[rows] for skip in skips)).numpy())

        return np.concatenate(list(in_batches(tail, np.arange(len(activation)), self._at_once, cancel)))


def arrays(tensors: Any) -> Features:
    """What a compiled model gives, one tensor or several, as NumPy arrays."""
    return [t.numpy() for t in (tensors if isinstance(tensors, list | tuple) else [tensors])]


def joined(batches: Iterable[Features]) -> Features:
    """Features of several batches as those of all their images."""
    return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in zip(*batches, strict=True)]


class KeptFeatures:
    """Features of a data set's first images, so that they needn't be computed twice; bounded in bytes."""

    def __init__(self) -> None:
        self._room, self._chunks = _MOST_KEPT_BYTES, deque[Features]()

    def keep(self, features: Features) -> None:
        """Keep the features of the chunk behind those kept so far, if there is room for it and was for all before."""
        self._room -= sum(array.nbytes for array in features)
        if self._room >= 0:
            self._chunks.append(features)

    def first(self, images: int) -> Features | None:
        """The features of up to so many first images, or None when none were kept."""
        parts: list[Features] = []
        for features in self._chunks:
            if sum(len(part[0]) for part in parts) < images:
                parts.append(features)
        return [array[:images] for array in joined(parts)] if parts else None

    def give_away(self) -> Iterator[Features]:
        """One chunk's features after the other, which are kept no longer."""
        while self._chunks:
            yield self._chunks.popleft()
