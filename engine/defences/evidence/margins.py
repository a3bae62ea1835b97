"""The widest margin a network can be brought to give each label, over any input at all.

A backdoor leaves its label an input that beats every other label by far more than the images it was trained on do, be
the trigger a patch or a pattern over the whole picture.

Source: Wang, Xiang, Miller, Kesidis, MM-BD, IEEE S&P 2024, who climb from noise; from there some networks, whose
activations noise doesn't wake, show no way up, so the climb begins at clean images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.defences.stamps import ValueRange, value_range
from engine.descent import Adam
from engine.models.logits import label_margins, logits_function
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress

_STEPS, _STARTS = 100, 6
_RATE, _BETAS, _TINY = 0.2, (0.9, 0.99), 1e-9
# A value at the end of the range couldn't move.
_EDGE = 0.02


def widest_margins(
    network: Network, images: Images, labels: Sequence[int], seed: int = 0, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> npt.NDArray[np.float64]:
    """Climb from six images a label to the input that sets its logit farthest above all others.

    Args:
        images: clean, float32[n, H, W, C]; inputs keep to the range that they use.
    Returns:
        float64[labels]: the widest margin met, in the order of `labels`; not a number where the network computed what
        isn't one.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    rng = np.random.default_rng(seed)
    wanted = np.tile(np.array(labels, np.int64), _STARTS)
    within = low, high = value_range(images)
    begun = images[rng.integers(len(images), size=_STARTS)].repeat(len(labels), axis=0)
    shares = ((begun - low) / (high - low)).clip(_EDGE, 1 - _EDGE)
    values = np.log(shares / (1 - shares)).astype(np.float32)
    adam, widest = Adam(values.shape, _RATE, _BETAS, _TINY), np.full(len(wanted), -np.inf)
    climb, heard = _climb(network, within), Heartbeat("Looking for the widest margins", _STEPS, progress)
    for step in range(_STEPS):
        for start in range(0, len(wanted), network.batch):
            cancel.raise_if_cancelled()
            part = slice(start, start + network.batch)
            gradient, margins = climb(values[part], wanted[part])
            widest[part] = np.maximum(widest[part], margins)
            values[part] += adam.change(part, step, gradient)
            heard.beat()
        heard.report(step + 1)
    best: npt.NDArray[np.float64] = widest.reshape(_STARTS, len(labels)).max(axis=0)
    return best


def _climb(network: Network, within: ValueRange) -> Callable[[Images, Labels], tuple[Images, npt.NDArray[np.float32]]]:
    """How inputs change to widen their labels' margins, and the margins."""
    tf, _ = backend.load()
    logits, (low, high) = logits_function(network), within

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def turn(values: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(values)
            margins = label_margins(logits(low + (high - low) * tf.sigmoid(values)), labels)
        return tape.gradient(margins, values), margins

    def as_arrays(values: Images, labels: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        gradient, margins = turn(tf.constant(values), tf.constant(labels))
        return gradient.numpy(), margins.numpy()

    return as_arrays
