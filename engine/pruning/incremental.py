"""The fast path: a pruning step changes one channel, so only what that channel changes is computed again.

Behind the pruned layer most networks treat every channel by itself (pooling, activation, normalisation, flattening)
until convolutions and dense layers mix them. What those mixing layers compute before their activation is a sum over
channels, so masking one more channel adds that channel's change to it. Only what follows runs again, and only for
images on which the channel was active at all.

Adding changes rounds differently from summing anew, and where large ones cancel, their errors stay. An answer whose
largest two values are too close for that to be harmless is computed again from the masked channels, so the labels are
those of the plain loop. Where a layer behind divides by the length or spread of what it takes, even the errors of sums
that are 0 become answers: there nothing is updated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models.costs.computing import MOST_PRODUCTS, MOST_TENSOR_VALUES, images_at_once, most_inside, products
from engine.models.networks import Call, Images, Labels, Network, compiled, in_batches, largest
from engine.models.vocabulary import ending_of
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done
from engine.pruning.channel_regions import (
    Owners,
    Region,
    channels_first,
    find_region,
    is_dense,
    masked_constants,
    masked_tensors,
)
from engine.pruning.plain_tail import Scratch, applied, plain_tail
from engine.pruning.shares import share_of_channel, sums_before_activation
from engine.pruning.steps import Array, Features, MaskedSteps, StepPredictor, arrays, chunk_size, joined

# Sums before activation and skip connections, one array a tensor, to values in the order of the network's answers.
Answer = Callable[[list[Array], list[Array]], Array]

# Rounding errors were at most 1e-6 of B's largest value on the networks measured; a hundred times that is too close.
CLOSE = 1e-4
# Values this close to each other may become equal in a softmax, and then the first of them is the answer.
_SOFTMAX_TIE = 1e-5
# Sums of B that are all 0 count as this long.
_TINY = float(np.finfo(np.float32).tiny)
# Layers and operations that make much of values next to nothing.
_STEEP = frozenset({"LayerNormalization", "GroupNormalization", "UnitNormalization", "Divide", "TrueDivide", "Sqrt"})
# Rows answered in one go: enough for the matrix products to run at full speed, small enough to stay in the cache.
_BATCH = 512


def predictor_for(network: Network, layer: str) -> StepPredictor:
    """The fastest predictor that gives the plain loop's labels for this network and layer."""
    call = network.call_of(layer)
    region = find_region(network, call)
    if region is None or any(map(_is_steep, network.calls_from(region.mixers[0]))):
        return MaskedSteps(network, layer)
    return IncrementalSteps(network, call, region)


class IncrementalSteps:
    """A StepPredictor that updates sums.

    Its features are the mixing layers' inputs, then skip connections, then, where they differ from image to image, the
    mixing layers' inputs with every channel masked.
    """

    def __init__(self, network: Network, call: Call, region: Region) -> None:
        self._region, self._channels, self._network = region, int(call.output.shape[-1]), network
        cut = network.boundary(*(mixer.output for mixer in region.mixers))
        needed = [*(place.tensor for place in region.inputs), *cut[len(region.mixers):]]
        self._needed = len(needed)
        self.feature_tensors = [*needed, *(masked_tensors(network, call, region) if region.beside else ())]
        self._constants = [] if region.beside else masked_constants(network, call, region)
        behind = network.calls_from(region.mixers[0])
        tensors = [*self.feature_tensors, *(later.output for later in behind)]
        self.batch = chunk_size(network, tensors)
        self._at_once = images_at_once(tensors, behind)
        self._head = compiled(network.submodel([network.input], self.feature_tensors))
        self._shares = [share_of_channel(mixer, len(region.inputs[i].owners))
                        for mixer, i in zip(region.mixers, region.takes, strict=True)]
        self._owned = [[np.flatnonzero(place.owners == channel) for channel in range(self._channels)]
                       for place in region.inputs]
        self._first, self._answer = _tail(network, region, cut)
        self._scratch = Scratch()
        self._most_rows = min(_BATCH, MOST_PRODUCTS // products(behind), MOST_TENSOR_VALUES // most_inside(behind))
        self._anew = compiled(network.submodel(needed, [network.output]))

    def features(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> Features:
        """See StepPredictor."""
        return joined(map(arrays, in_batches(self._head, images, self._network.batch, cancel, did)))

    @np.errstate(over="ignore", invalid="ignore")  # what isn't a number is too close to call, and answered anew
    def labels(self, features: Features, order: npt.NDArray[np.int64], cancel: CancelToken,
               did: Did = ignore_done) -> Labels:
        """See StepPredictor."""
        inputs, skips, masked = self._apart(features)
        changes = [channels_first(m - x, len(place.owners))
                   for m, x, place in zip(masked, inputs, self._region.inputs, strict=True)]
        active = self._active(changes)
        sums = joined(map(arrays, in_batches(lambda rows: self._first(*(x[rows] for x in inputs)),
                                             np.arange(len(inputs[0])), self._at_once, cancel)))
        rows = _Rows(self._answer, skips, len(order) + 1, sums, self._scratch, self._most_rows)
        for step, channel in enumerate(order, start=1):
            cancel.raise_if_cancelled()
            did(len(inputs[0]) / len(order))
            which = np.flatnonzero(active[channel])
            if not len(which):
                continue
            changed = rows.add(step, which)
            for total, new, takes, share in zip(sums, changed, self._region.takes, self._shares, strict=True):
                np.take(total, which, axis=0, out=new, mode="clip")  # any other mode would copy once more
                for own in self._owned[takes][channel]:
                    share(new, changes[takes][own, which], own)
                total[which] = new
        labels, close = rows.finish()
        self._settle(features, order, labels, close, cancel)
        return labels

    def _apart(self, features: Features) -> tuple[Features, Features, Features]:
        """Features as the mixing layers' inputs, skip connections, and masked inputs."""
        count = len(self._region.inputs)
        return features[:count], features[count:self._needed], self._constants or features[self._needed:]

    def _active(self, changes: list[Array]) -> npt.NDArray[np.bool_]:
        """On which images masking a channel changes anything, bool[C, n]."""
        active = np.zeros((self._channels, changes[0].shape[1]), np.bool_)
        for change, place in zip(changes, self._region.inputs, strict=True):
            own = place.owners >= 0
            there = (change != 0).any(axis=tuple(range(2, change.ndim)))
            np.logical_or.at(active, place.owners[own], there[own])
        return active

    def _settle(self, features: Features, order: npt.NDArray[np.int64], labels: Labels, close: npt.NDArray[np.bool_],
                cancel: CancelToken) -> None:
        """Answer again, with sums taken anew, where updated ones are too close to call."""
        inputs, skips, masked = self._apart(features)
        steps, which = np.nonzero(close)
        rank = np.argsort(order)
        for start in range(0, len(which), self._at_once):
            cancel.raise_if_cancelled()
            part = slice(start, start + self._at_once)
            rows, pruned = which[part], rank < steps[part, np.newaxis]
            known = [_mask(x[rows], m if len(m) == 1 else m[rows], place.owners, pruned)
                     for x, m, place in zip(inputs, masked, self._region.inputs, strict=True)]
            labels[steps[part], rows] = largest(self._anew(*known, *(skip[rows] for skip in skips)).numpy())


class _Rows:
    """Collects the sums of changed images, answers them in large batches and lays the labels out by step."""

    def __init__(self, answer: Answer, skips: Features, steps: int, sums: list[Array], scratch: Scratch,
                 most: int) -> None:
        """Begin with B's sums, one row an image, which are answered at once.

        Args:
            most: rows to answer in one go, as far as memory allows.
        """
        images = len(sums[0])
        self._answer, self._skips = answer, skips
        self._labels = np.full((steps, images), -1, np.int64)
        self._close = np.zeros((steps, images), np.bool_)
        self._size = np.zeros(images, np.float32)  # of B's largest value, what rounding errors are measured against
        self._grown = np.ones(images)  # the largest sums so far, in B's: their errors stay
        self._first = [np.maximum(_lengths(total), _TINY) for total in sums]
        self._waiting: list[tuple[int, Array]] = []
        self._rows = 0
        self._most = max(1, min(most, MOST_TENSOR_VALUES // max(total[0].size for total in sums)))
        rows = self._most + images
        self._sums = [scratch.array(i, (rows, *total.shape[1:]), total.dtype) for i, total in enumerate(sums)]
        for into, total in zip(self.add(0, np.arange(images)), sums, strict=True):
            into[...] = total
        self._flush()

    def add(self, step: int, which: Array) -> list[Array]:
        """Room for the sums that images `which` have from `step` on, to be filled before the next call."""
        if self._rows >= self._most:
            self._flush()
        start, self._rows = self._rows, self._rows + len(which)
        self._waiting.append((step, which))
        return [array[start:self._rows] for array in self._sums]

    def finish(self) -> tuple[Labels, npt.NDArray[np.bool_]]:
        """Labels int64[steps, images] and where they are too close to call; unchanged ones repeat the step before."""
        self._flush()
        for step in range(1, len(self._labels)):
            same = self._labels[step] < 0
            self._labels[step, same] = self._labels[step - 1, same]
            self._close[step, same] = self._close[step - 1, same]
        return self._labels, self._close

    def _flush(self) -> None:
        if not self._waiting:
            return
        steps = np.concatenate([np.full(len(which), step) for step, which in self._waiting])
        which = np.concatenate([which for _, which in self._waiting])
        sums = [array[:self._rows] for array in self._sums]
        self._waiting.clear()
        self._rows = 0
        for total, first in zip(sums, self._first, strict=True):
            np.maximum.at(self._grown, which, _lengths(total) / first[which])
        answers = self._answer(sums, [skip[which] for skip in self._skips])
        rows = np.arange(len(answers))
        labels = largest(answers)
        best = answers[rows, labels]
        if steps[0] == 0:
            self._size = np.abs(answers).max(axis=1)
        answers[rows, labels] = -np.inf
        size = self._size[which] * self._grown[which]
        tolerance = np.maximum(CLOSE * np.maximum(size, np.abs(best)), _SOFTMAX_TIE)
        self._labels[steps, which] = labels
        # Written so that an answer that isn't a number counts as close.
        self._close[steps, which] = ~(best - answers.max(axis=1) > tolerance)


def _is_steep(call: Call) -> bool:
    return type(call.layer).__name__ in _STEEP or bool(getattr(call.layer, "normalize", False))  # as Dot can


def _lengths(total: Array) -> npt.NDArray[np.float64]:
    """The Euclidean length of each row's sums, float64[m]."""
    rows = total.reshape(len(total), -1)
    squares: Array = np.einsum("ij,ij->i", rows, rows)
    return np.sqrt(squares, dtype=np.float64)


def _mask(values: Array, masked: Array, owners: Owners, pruned: npt.NDArray[np.bool_]) -> Array:
    """Values [n, ...] with the masked ones [n or 1, ...] where their owners are pruned as bool[n, C] says."""
    apart = (-1, len(owners))
    where = pruned[:, owners] & (owners >= 0)
    rows = np.where(where[:, np.newaxis, :], masked.reshape(len(masked), *apart), values.reshape(len(values), *apart))
    return rows.reshape(values.shape)


def _tail(network: Network, region: Region, cut: list[Any]) -> tuple[Callable[..., Any], Answer]:
    """What follows the region, in two functions.

    Returns:
        A TensorFlow function of the region's inputs to the mixers' sums before activation, and a function of lists of
        such sums, which it may change, and of the skip connections to values float32[m, N] whose order is that of
        the network's answers; its next call in the same thread may overwrite them.
    """
    tf, _ = backend.load()

    @tf.function(input_signature=_signature(p.tensor for p in region.inputs), autograph=False)  # type: ignore[untyped-decorator]
    def first(*inputs: Any) -> Any:
        return [sums_before_activation(mixer, inputs[i]) for mixer, i in zip(region.mixers, region.takes, strict=True)]

    return first, _in_numpy(network, region, cut) or _in_tensorflow(network, region, cut)


def _in_numpy(network: Network, region: Region, cut: list[Any]) -> Answer | None:
    last = region.mixers[0].layer
    if cut[0] is network.output and ending_of(last) in ("softmax", "linear"):
        return lambda sums, skips: sums[0]
    active = [act for mixer in region.mixers if (act := applied(mixer.layer))]
    tail = plain_tail(network, cut)
    if tail is None or len(active) < len(region.mixers) or any(tensor.dtype != "float32" for tensor in cut):
        return None
    return lambda sums, skips: tail([*(act(total) for act, total in zip(active, sums, strict=True)), *skips])


def _in_tensorflow(network: Network, region: Region, cut: list[Any]) -> Answer:
    tf, _ = backend.load()
    rest = _rest(network, cut)

    @tf.function(input_signature=_signature(cut), autograph=False)  # type: ignore[untyped-decorator]
    def answer(*tensors: Any) -> Any:
        mixed = [mixer.layer.activation(t) for mixer, t in zip(region.mixers, tensors, strict=False)]
        return rest([*mixed, *tensors[len(mixed):]])

    return lambda sums, skips: np.array(answer(*sums, *skips))


def _signature(tensors: Any) -> list[Any]:
    tf, _ = backend.load()
    return [tf.TensorSpec(t.shape, t.dtype) for t in tensors]


def _rest(network: Network, cut: list[Any]) -> Callable[[list[Any]], Any]:
    """From the mixers' outputs and skips to the answers. A final softmax keeps the order of its inputs and is left
    out: it costs as much as the layers before it."""
    tf, _ = backend.load()
    last = next(call for call in network.calls if call.output is network.output)
    softmax = ending_of(last.layer) == "softmax"
    dense = is_dense(last) and softmax
    bare = softmax and type(last.layer).__name__ in ("Dense", "Softmax", "Activation")
    target = last.inputs[0] if bare else network.output
    position = next((i for i, tensor in enumerate(cut) if tensor is target), None)
    model = network.submodel(cut, [target]) if position is None else None

    def rest(tensors: list[Any]) -> Any:
        x = tensors[position or 0] if model is None else \
            model(tensors if len(tensors) > 1 else tensors[0], training=False)
        if not dense:
            return x
        x = tf.linalg.matmul(x, last.layer.kernel)
        return tf.nn.bias_add(x, last.layer.bias) if last.layer.use_bias else x

    return rest
