"""A smooth distortion that draws a network to a label: what a trigger that bends pictures comes down to.

Kin: WaNet (Nguyen, Tran 2021); Xiao et al., Spatially Transformed Adversarial Examples, 2018; here one for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.defences.perturbations import WARP_WAVES, scale_of, waves
from engine.models.logits import logits_function
from engine.models.networks import Images, Network, in_batches
from engine.progress import (
    NEVER_CANCELLED,
    CancelToken,
    Did,
    Heartbeat,
    ProgressCallback,
    ignore_done,
    ignore_progress,
)

# By how many pixels rows and columns are read elsewhere, as a sum of cosines: float32[2, 4, 4].
Warp = npt.NDArray[np.float32]

_STEPS = 12
_IMAGES = 34
# Mean displacement in pixels of a picture as large as the lab's faces: where it begins, how far a step goes, the most.
_BEGIN, _STEP, _MOST = 0.8, 0.25, 2.5
# Images that tell how many a distortion draws.
_TRIED = 100


class Warps:
    """Finds distortions that draw a network, as it is when asked, to a label, and puts them on pictures."""

    def __init__(self, network: Network, image_shape: tuple[int, ...]) -> None:
        tensorflow, _ = backend.load()
        height, width = image_shape[:2]
        self._batch = network.batch
        self._down, self._across = (waves(size).astype(np.float32) for size in (height, width))
        self._scale = scale_of(height, width)
        logits, down, across = logits_function(network), self._down, self._across

        def bent(images: Any, warps: Any) -> Any:
            moved = tensorflow.einsum("hk,nckl,wl->nchw", down, warps, across)
            return _sampled(images, moved[:, 0], moved[:, 1])

        def gradient(images: Any, warp: Any, label: Any) -> Any:
            with tensorflow.GradientTape() as tape:
                tape.watch(warp)
                same = tensorflow.repeat(warp[tensorflow.newaxis], tensorflow.shape(images)[0], axis=0)
                drawn = tensorflow.reduce_sum(tensorflow.nn.log_softmax(logits(bent(images, same)))[:, label])
            return tape.gradient(drawn, warp)

        pictures, shape = tensorflow.TensorSpec((None, *image_shape), "float32"), (2, WARP_WAVES, WARP_WAVES)
        self._bent = tensorflow.function(bent, autograph=False, input_signature=[
            pictures, tensorflow.TensorSpec((None, *shape), "float32")])
        self._gradient = tensorflow.function(gradient, autograph=False, input_signature=[
            pictures, tensorflow.TensorSpec(shape, "float32"), tensorflow.TensorSpec((), "int32")])

    def put_on(self, images: Images, warps: Warp) -> Images:
        """Copies of float32[n, H, W, C], each distorted by its own of float32[n, 2, 4, 4]."""
        bent: Images = self._bent(images, warps).numpy()
        return bent

    def find(self, images: Images, label: int, rng: np.random.Generator, did: Did = ignore_done,
             cancel: CancelToken = NEVER_CANCELLED) -> Warp:
        """The distortion of at most 2.5 pixels on average that draws the network to a label on float32[n, H, W, C].

        Raises:
            Cancelled: the token was set.
        """
        found = self._sized(rng.uniform(-1, 1, (2, WARP_WAVES, WARP_WAVES)), _BEGIN)
        for _ in range(_STEPS):
            shown, now = images[rng.integers(len(images), size=_IMAGES)], found
            gradients = in_batches(
                lambda part, now=now: self._gradient(part, now, np.int32(label)).numpy(),  # type: ignore[misc]
                shown, self._batch, cancel, did)
            # Where a network overflows there is no way to it.
            found = found + self._sized(np.nan_to_num(sum(gradients), nan=0, posinf=0, neginf=0), _STEP)
            found = self._sized(found, min(_MOST, self._pixels(found)))
        return found

    def _sized(self, warp: npt.NDArray[Any], pixels: float) -> Warp:
        sized: Warp = (warp * (pixels / max(self._pixels(warp), 1e-12))).astype(np.float32)
        return sized

    def _pixels(self, warp: npt.NDArray[Any]) -> float:
        """Mean displacement, in pixels of a picture as large as the lab's faces."""
        rows, columns = np.einsum("hk,ckl,wl->chw", self._down, warp, self._across)
        return float(np.hypot(rows, columns).mean() / self._scale)


def drawn_by_warps(
    network: Network, images: Images, labels: Sequence[int], seed: int = 0, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> dict[int, float]:
    """What share of the others' images a distortion draws to each of some labels, 0 to 1, in the order given.

    Args:
        images: clean ones of all labels, float32[n, H, W, C] in the network's input range.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    heard = Heartbeat("Bending images", len(labels), progress)
    warps, rng = Warps(network, images.shape[1:]), np.random.default_rng([seed, 2])
    tried = images[rng.permutation(len(images))[:_TRIED]]
    own, drawn = network.predict_labels(tried, cancel, heard.beat), dict[int, float]()
    for number, label in enumerate(labels):
        heard.report(number)
        warp = warps.find(images, label, rng, heard.beat, cancel)
        answers = in_batches(lambda part, warp=warp: network.predict_labels(  # type: ignore[misc]
            warps.put_on(part, np.repeat(warp[np.newaxis], len(part), axis=0)), cancel), tried, network.batch, cancel,
            heard.beat)
        others = np.concatenate([*answers])[own != label]
        drawn[label] = float((others == label).mean()) if len(others) else 0.0
    return drawn


def _sampled(images: Any, down: Any, right: Any) -> Any:
    """Tensors [n, H, W, C] read elsewhere, by float32[n, H, W] pixels each, between pixels by their nearness."""
    tensorflow, _ = backend.load()
    height, width, channels = images.shape[1:]
    rows = tensorflow.clip_by_value(down + np.arange(height, dtype=np.float32)[:, np.newaxis], 0.0, height - 1.0)
    columns = tensorflow.clip_by_value(right + np.arange(width, dtype=np.float32), 0.0, width - 1.0)
    above, left = tensorflow.cast(tensorflow.floor(rows), "int32"), tensorflow.cast(tensorflow.floor(columns), "int32")
    lower, further = ((at - tensorflow.floor(at))[..., tensorflow.newaxis] for at in (rows, columns))
    flat = tensorflow.reshape(images, (-1, height * width, channels))

    def at(row: Any, column: Any) -> Any:
        places = tensorflow.reshape(row * width + column, (-1, height * width))
        return tensorflow.reshape(tensorflow.gather(flat, places, batch_dims=1), (-1, height, width, channels))

    below, beside = tensorflow.minimum(above + 1, height - 1), tensorflow.minimum(left + 1, width - 1)
    return ((at(above, left) * (1 - further) + at(above, beside) * further) * (1 - lower)
            + (at(below, left) * (1 - further) + at(below, beside) * further) * lower)
