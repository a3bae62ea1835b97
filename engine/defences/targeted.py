"""What draws a network to a label in any picture: patterns over the whole, and distortions. A repair unlearns both.

Kin: Moosavi-Dezfooli et al., Universal Adversarial Perturbations, 2017; Zeng et al., I-BAU, 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.defences.evidence.warps import Warps
from engine.defences.stamps import ValueRange, value_range
from engine.models.logits import logits_function
from engine.models.networks import Images, Network, in_batches
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

# Batches between two searches; the second of a large network, whose batches are a third as large.
EVERY, SELDOM = 20, 60
_STEPS = 12
_IMAGES = 68
# Of 255: where it begins, how far a step goes, and how far all of them together may go.
_BEGIN, _STEP, _MOST = 6, 4.8, 24
_STRENGTHS = (0.3, 1.0)


@dataclass(frozen=True, eq=False)
class Pattern:
    """A change of every pixel, float32[H, W, C], that draws a network to a label; `values` is the range it keeps to."""

    label: int
    change: npt.NDArray[np.float32]
    values: ValueRange

    def put_on(self, images: Images) -> Images:
        """Copies of float32[n, H, W, C] in the network's input range with the change."""
        shown: Images = (images + self.change).clip(*self.values)
        return shown


def find_pattern(network: Network, images: Images, label: int, *, did: Did = ignore_done,
                 cancel: CancelToken = NEVER_CANCELLED) -> Pattern:
    """The change of at most 24 of 255 a pixel that draws a network to a label on images, clean ones of all labels."""
    values = value_range(images)
    rng = np.random.default_rng(0)
    return Pattern(label, _Patterns(network, values).find(images, label, rng, did, cancel), values)


class Targeted:
    """Patterns and distortions that draw a network, which changes meanwhile, to labels.

    They are found anew every 20 batches, of a large network every 60.

    Args:
        images: clean ones of all labels, float32[n, H, W, C].
        did: is told how many images were computed.
        labels: those that patterns draw to in turn; warped: those that distortions do.
    """

    def __init__(self, network: Network, images: Images, labels: Sequence[int], warped: Sequence[int],
                 rng: np.random.Generator, did: Did = ignore_done, cancel: CancelToken = NEVER_CANCELLED) -> None:
        self._values = value_range(images)
        self._patterns, self._warps = _Patterns(network, self._values), Warps(network, images.shape[1:])
        self._images, self._labels, self._warped = images, labels, warped
        self._rng, self._did, self._cancel, self._asked = rng, did, cancel, 0
        self._every = SELDOM if network.is_large else EVERY

    def put_on(self, images: Images) -> Images:
        """Copies of float32[n, H, W, C], every other one with the pattern and the rest with the distortion, each at 0.3
        to 1 of its strength."""
        if self._asked % self._every == 0:
            label, warped = (of[self._asked // self._every % len(of)] for of in (self._labels, self._warped))
            self._pattern = self._patterns.find(self._images, label, self._rng, self._did, self._cancel)
            self._warp = self._warps.find(self._images, warped, self._rng, self._did, self._cancel)
        self._asked += 1
        strengths = self._rng.uniform(*_STRENGTHS, (len(images), 1, 1, 1)).astype(np.float32)
        shown: Images = (images + strengths * self._pattern).clip(*self._values)
        shown[1::2] = self._warps.put_on(images[1::2], strengths[1::2] * self._warp)
        return shown


class _Patterns:
    """Finds changes of every pixel that draw a network, as it is when asked, to a label."""

    def __init__(self, network: Network, values: ValueRange) -> None:
        self._gradient, self._values, self._batch = _gradient_function(network), values, network.batch

    def find(self, images: Images, label: int, rng: np.random.Generator, did: Did = ignore_done,
             cancel: CancelToken = NEVER_CANCELLED) -> npt.NDArray[np.float32]:
        """The change float32[H, W, C] that draws the network to a label on float32[n, H, W, C].

        Raises:
            Cancelled: the token was set.
        """
        unit = (self._values[1] - self._values[0]) / 255
        found = rng.choice([-_BEGIN, _BEGIN], images.shape[1:]).astype(np.float32) * np.float32(unit)
        for _ in range(_STEPS):
            shown = (images[rng.integers(len(images), size=_IMAGES)] + found).clip(*self._values)
            gradient = sum(in_batches(lambda part: self._gradient(part, np.int32(label)).numpy(), shown, self._batch,
                                      cancel, did))
            found = (found + np.float32(_STEP * unit) * np.sign(gradient)).clip(-_MOST * unit, _MOST * unit)
        return found


def _gradient_function(network: Network) -> Callable[[Any, Any], Any]:
    """The gradient [H, W, C] of the sum of a label's log-probabilities over images [n, H, W, C], all tensors."""
    tensorflow, _ = backend.load()
    logits = logits_function(network)
    signature = [tensorflow.TensorSpec((None, *network.input_shape), "float32"), tensorflow.TensorSpec((), "int32")]

    @tensorflow.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def gradient(images: Any, label: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch(images)
            drawn = tensorflow.reduce_sum(tensorflow.nn.log_softmax(logits(images))[:, label])
        return tensorflow.reduce_sum(tape.gradient(drawn, images), axis=0)

    found: Callable[[Any, Any], Any] = gradient
    return found
