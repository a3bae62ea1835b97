"""A picture-wide perturbation that draws a network to a label: what a repair unlearns for the labels under suspicion.

Kin: Moosavi-Dezfooli et al., Universal Adversarial Perturbations, 2017; Zeng et al., I-BAU, 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.defences.stamps import ValueRange, value_range
from engine.models.logits import logits_function
from engine.models.networks import Images, Network

EVERY = 20
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


def find_pattern(network: Network, images: Images, label: int, seed: int = 0) -> Pattern:
    """The change of at most 24 of 255 a pixel that draws a network to a label on images, clean ones of all labels."""
    values = value_range(images)
    search = Targeted(network, images, [label], values, np.random.default_rng(seed))
    return Pattern(label, search.find(label), values)


class Targeted:
    """Perturbations of a network that changes meanwhile, found anew every 20 batches for one label after the other."""

    def __init__(self, network: Network, images: Images, labels: Sequence[int], values: ValueRange,
                 rng: np.random.Generator) -> None:
        self._gradient = _gradient_function(network)
        self._images, self._labels, self._values, self._rng = images, labels, values, rng
        self._asked = 0
        self._found: npt.NDArray[np.float32] | None = None

    def put_on(self, images: Images) -> Images:
        """Copies of float32[n, H, W, C], each with the perturbation at 0.3 to 1 of its strength."""
        if self._found is None or self._asked % EVERY == 0:
            self._found = self.find(self._labels[self._asked // EVERY % len(self._labels)])
        self._asked += 1
        strengths = self._rng.uniform(*_STRENGTHS, (len(images), 1, 1, 1)).astype(np.float32)
        shown: Images = (images + strengths * self._found).clip(*self._values)
        return shown

    def find(self, label: int) -> npt.NDArray[np.float32]:
        """The change float32[H, W, C] that draws the network, as it is now, to a label."""
        unit = (self._values[1] - self._values[0]) / 255
        found = self._rng.choice([-_BEGIN, _BEGIN], self._images.shape[1:]).astype(np.float32) * np.float32(unit)
        for _ in range(_STEPS):
            shown = self._images[self._rng.integers(len(self._images), size=_IMAGES)]
            slope = self._gradient((shown + found).clip(*self._values), label)
            found = (found + np.float32(_STEP * unit) * np.sign(slope)).clip(-_MOST * unit, _MOST * unit)
        return found


def _gradient_function(network: Network) -> Callable[[Images, int], npt.NDArray[np.float32]]:
    """The gradient float32[H, W, C] of a label's mean log-probability over images float32[n, H, W, C]."""
    tensorflow, _ = backend.load()
    logits = logits_function(network)
    signature = [tensorflow.TensorSpec((None, *network.input_shape), "float32"), tensorflow.TensorSpec((), "int32")]

    @tensorflow.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def gradient(images: Any, label: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch(images)
            wanted = tensorflow.reduce_mean(tensorflow.nn.log_softmax(logits(images))[:, label])
        return tensorflow.reduce_sum(tape.gradient(wanted, images), axis=0)

    def run(images: Images, label: int) -> npt.NDArray[np.float32]:
        slope: npt.NDArray[np.float32] = gradient(images, np.int32(label)).numpy()
        return slope

    return run
