"""The smallest stamp that draws images to a label: an estimate of a trigger, from clean images alone.

For each label a mask and a pattern are found by gradient descent, so that clean images of other labels are answered
with that label once the pattern is laid over them as the mask says, and the mask is as small as can be. An attacker's
label needs a far smaller one than others: the network has learnt a short way there.

Source: Wang et al., Neural Cleanse, IEEE S&P 2019, with two changes. A stamp must make the network surer of the label
than it is of clean images: small stamps that just tip the balance exist for every label, those that convince only for
an attacker's. And a smoothness term lets a person see what was found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.defences.stamps import Answering, ValueRange, value_range
from engine.descent import Adam
from engine.models.logits import compiled_logits, label_margins, logits_function, top_margin
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.rates import Rate

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# Gradient, hits as a share and mask sizes, one row a label.
_Turn = Callable[[Floats, Images, Labels, Floats], tuple[Floats, Floats, Floats]]

STEPS = 160
# After so many steps only labels of small masks are searched further; the others stand as they are.
HOPELESS_AFTER = 80
# A stamp convinces that sets the label so many times as far ahead of all others as clean images' own labels mostly are.
CONVINCING = 2.0
# It works if it convinces of this share of images, over the last few batches: of a single one, chance decides.
WORKS, _MEMORY = 0.9, 0.8
# How steeply the loss falls around that margin.
_STEEP = 3.0
_BATCH, _SMALL_BATCH = 16, 8
_RATE, _BETAS, _TINY = 0.15, (0.5, 0.9), 1e-7
# The mask's weight in the loss: where it begins, the share of hits and how many batches in a row it changes after, and
# by what.
_WEIGHT, _HITS, _IN_A_ROW, _RAISE, _LOWER = 5e-3, 0.95, 4, 1.5, 1.8
_SMOOTH = 0.15
_FINALISTS = 8
# One image in so many is held aside to measure what was found.
_HELD = 4


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The smallest stamp found for a label.

    Attributes:
        mask: float32[H, W], 0 (the image) to 1 (the pattern).
        pattern: float32[H, W, C] in the network's input range.
        success: of clean images of other labels that it wasn't found on, how many it draws to the label.
        found: whether any mask worked at all; if not, mask and pattern are the last ones tried.
    """

    label: int
    mask: Floats
    pattern: Floats
    success: Rate
    found: bool

    @property
    def mask_pixels(self) -> float:
        """The mask's size: its values summed over all pixels; where none works, no part of a picture is enough."""
        return float(self.mask.sum(dtype=np.float64)) if self.found else float(self.mask.size)

    def put_on(self, images: Images) -> Images:
        """Images float32[n, H, W, C] in the network's input range with the stamp, as a copy."""
        share = self.mask[..., np.newaxis]
        stamped: Images = images * (1 - share) + self.pattern * share
        return stamped


class _Search:
    """Masks and patterns of several labels under way; all arrays have one row a label."""

    def __init__(self, labels: Labels, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        height, width, channels = shape
        count = len(labels)
        self.labels = labels
        mask, pattern = np.zeros((count, height, width, 1)), rng.normal(0, 0.5, (count, height, width, channels))
        self.values: Floats = np.concatenate([mask, pattern], axis=-1).astype(np.float32)
        self.best, self.size = self.values.copy(), np.full(count, np.inf)
        self._adam = Adam(self.values.shape, _RATE, _BETAS, _TINY)
        self.weight = np.full(count, _WEIGHT, np.float32)
        self._row = np.zeros(count, np.int64)  # batches in a row that worked; below 0, that didn't
        self._hits = np.zeros(count)

    def learn(self, step: int, rows: Indices, gradient: Floats, hits: Floats, sizes: Floats) -> None:
        """Keep smaller masks that work; then one step of Adam for some rows, and their masks weighed anew."""
        self._hits[rows] = _MEMORY * self._hits[rows] + (1 - _MEMORY) * hits
        kept = rows[(self._hits[rows] >= WORKS) & (sizes < self.size[rows])]
        self.best[kept], self.size[kept] = self.values[kept], sizes[np.isin(rows, kept)]
        works = hits >= _HITS
        row = np.where(works, np.maximum(self._row[rows], 0) + 1, np.minimum(self._row[rows], 0) - 1)
        self.weight[rows] *= np.where(row >= _IN_A_ROW, _RAISE, np.where(row <= -_IN_A_ROW, 1 / _LOWER, 1))
        self._row[rows] = np.where(abs(row) >= _IN_A_ROW, 0, row)
        self.values[rows] -= self._adam.change(rows, step, gradient)

    def stamp(self, row: int, values: Floats, within: ValueRange) -> Reconstruction:
        """A row's values as a stamp in the network's input range, tried on no image yet."""
        shares = 1 / (1 + np.exp(-values[row].astype(np.float64)))
        pattern = within[0] + (within[1] - within[0]) * shares[..., 1:]
        return Reconstruction(int(self.labels[row]), shares[..., 0].astype(np.float32), pattern.astype(np.float32),
                              Rate(0, 0), bool(np.isfinite(self.size[row])))


def reconstruct(
    network: Network, images: Images, labels: Sequence[int], seed: int = 0, steps: int = STEPS, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Reconstruction, ...]:
    """Find for each label the smallest stamp that draws images of other labels there.

    Args:
        images: clean, float32[n, H, W, C] in the network's input range; three in four find, the others measure.
        labels: those to try, each with images of other labels. Several are searched at once.
    Returns:
        One for each label, in their order.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    rng = np.random.default_rng(seed)
    heard = Heartbeat("Reconstructing triggers", steps, progress)
    answer = partial(network.predict_labels, cancel=cancel, did=heard.beat)
    own, within = answer(images), value_range(images)
    search = _Search(np.array(labels, np.int64), images.shape[1:], rng)
    batch = _BATCH if network.batch >= _BATCH else _SMALL_BATCH
    enough = CONVINCING * _usual_margin(compiled_logits(network)(images, cancel, heard.beat))
    turn, together = _turn(network, within, batch, enough), max(1, network.batch // batch)
    held = np.arange(_HELD - 1, len(images), _HELD)
    finding = np.setdiff1d(np.arange(len(images)), held)
    pools = [_of_others(own, finding, label) for label in labels]
    active: Indices = np.arange(len(labels))
    for step in range(steps):
        for start in range(0, len(active), together):
            cancel.raise_if_cancelled()
            rows = active[start:start + together]
            chosen = np.stack([rng.choice(pools[row], batch) for row in rows])
            gradient, hits, sizes = turn(search.values[rows], images[chosen], search.labels[rows], search.weight[rows])
            search.learn(step, rows, gradient, hits, sizes)
            heard.beat()
        if step + 1 == HOPELESS_AFTER:
            active = np.sort(np.argsort(search.size, kind="stable")[:max(len(labels) // 3, _FINALISTS)])
        heard.report(step + 1)
    return tuple(_measured(answer, search, images, own, held, row, within) for row in range(len(labels)))


def _of_others(own: Labels, part: Indices, label: int) -> Indices:
    """A part's images of other labels; where chance left none there, those of all images."""
    others = part[own[part] != label]
    return others if len(others) else np.flatnonzero(own != label)


def _usual_margin(logits: Floats) -> float:
    """How far the first of logits float32[n, N] mostly is ahead of the second; more than nothing."""
    return max(float(np.median(top_margin(logits))), 1e-3)


def _turn(network: Network, within: ValueRange, batch: int, enough: float) -> _Turn:
    """One turn of several labels: how the loss changes with mask and pattern, the share of hits, the masks' sizes."""
    tf, _ = backend.load()
    logits, (low, high) = logits_function(network), within

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def turn(variables: Any, images: Any, labels: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(variables)
            mask, pattern = tf.sigmoid(variables[..., :1]), low + (high - low) * tf.sigmoid(variables[..., 1:])
            stamped = images * (1 - mask[:, tf.newaxis]) + (pattern * mask)[:, tf.newaxis]
            answers = logits(tf.reshape(stamped, (-1, *images.shape[2:])))
            wanted = tf.repeat(labels, batch)
            margins = label_margins(answers, wanted)
            wrong = tf.reshape(tf.nn.softplus(_STEEP * (1 - margins / enough)), (-1, batch))
            sizes = tf.reduce_sum(mask, axis=(1, 2, 3))
            loss = tf.reduce_sum(tf.reduce_mean(wrong, axis=1)
                                 + weight * (sizes + _SMOOTH * tf.image.total_variation(mask)))
        hits = tf.cast(margins >= enough, "float32")
        return tape.gradient(loss, variables), tf.reduce_mean(tf.reshape(hits, (-1, batch)), axis=1), sizes

    def as_arrays(*arguments: npt.NDArray[Any]) -> tuple[Floats, Floats, Floats]:
        gradient, hits, sizes = turn(*(tf.constant(argument) for argument in arguments))
        # One value that is no number would make the whole stamp so; there is nothing to learn from it.
        return np.nan_to_num(gradient.numpy(), nan=0, posinf=0, neginf=0), hits.numpy(), sizes.numpy()

    return as_arrays


def _measured(
    answer: Answering, search: _Search, images: Images, own: Labels, held: Indices, row: int, within: ValueRange,
) -> Reconstruction:
    """A row's stamp with its success on all images held aside."""
    values = search.best if np.isfinite(search.size[row]) else search.values
    trial = _of_others(own, held, int(search.labels[row]))
    stamp = search.stamp(row, values, within)
    answers = answer(stamp.put_on(images[trial]))
    return dataclasses.replace(stamp, success=Rate(int((answers == stamp.label).sum()), len(trial)))
