"""Where covering a patch of an image changes a network's answer: it shows where a trigger sits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.models.logits import compiled_logits
from engine.models.networks import Images, Labels, Network, largest
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress

Values = npt.NDArray[np.float32]

# The patch's side as shares of the image's shorter side: small ones tell places apart, but a trigger that works
# in several places at once survives them, so larger ones follow until the label changes somewhere.
PATCH_SHARES = (0.2, 0.3, 0.4, 0.5)
# Few enough covered copies in memory at once, and few enough between two looks at the cancel token.
BATCH = 64


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """How a network's answer changes when a square patch in the image's mean colour covers each place in turn.

    Attributes:
        b_label: the network's label for the uncovered image.
        lead: by how much b_label's value exceeds the next best label's, uncovered; values are those before softmax
            where the network gives probabilities (differences of these are log-odds), else its output.
        drop: float32[rows, cols], by how much the lead falls; negative where it grows. The label changes where the
            drop exceeds the lead.
        labels: int64[rows, cols], the network's label for each covered image.
        tops, lefts: int64[rows] and int64[cols], the patches' upper left corners in pixels.
        patch: the patch's side in pixels; stride: pixels from one patch to the next.
        size: (height, width) of the image in pixels.
    """

    b_label: int
    lead: float
    drop: npt.NDArray[np.float32]
    labels: Labels
    tops: npt.NDArray[np.int64]
    lefts: npt.NDArray[np.int64]
    patch: int
    stride: int
    size: tuple[int, int]

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        """bool[rows, cols], where the covered image gets another label."""
        return np.not_equal(self.labels, self.b_label)

    @property
    def strongest(self) -> tuple[int, int]:
        """Row and column of `drop`'s maximum, the first of equals."""
        row, col = np.unravel_index(int(self.drop.argmax()), self.drop.shape)
        return int(row), int(col)

    @property
    def matters(self) -> bool:
        """Whether covering any place makes the lead fall; if none does, `strongest` is no place to show."""
        return bool(self.drop.max() > 0)

    def per_pixel(self) -> npt.NDArray[np.float32]:
        """float32[height, width]: the mean drop of all patches that cover a pixel."""
        total = np.zeros(self.size, np.float64)
        count = np.zeros(self.size, np.int64)
        for row, top in enumerate(self.tops):
            for col, left in enumerate(self.lefts):
                covered = np.s_[top:top + self.patch, left:left + self.patch]
                total[covered] += self.drop[row, col]
                count[covered] += 1
        return (total / count).astype(np.float32)


def occlusion_map(
    network: Network, image: Images, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> OcclusionMap:
    """Cover one place of an image after the other and watch the network's answer for its label fall.

    The patch grows from a fifth to half of the image's shorter side and stays at the first size that changes the
    label somewhere; if none does, the map is that of the largest.

    Args:
        network: usually B; a BadNet's answer falls where its trigger is covered.
        image: float32[H, W, C] in the network's input range.
    Raises:
        Cancelled: the token was set; nothing is kept.
    Source: Zeiler, Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.
    """
    # A BadNet is so sure of its trigger that its float32 probabilities are exactly 1 and 0 wherever the patch lies;
    # what they are made of still tells the places apart.
    values_of = compiled_logits(network)
    label = int(largest(network.predict(image[None]))[0])
    lead = _lead(values_of(image[None]), label)[0]
    height, width = image.shape[:2]
    sides = [max(1, round(share * min(height, width))) for share in PATCH_SHARES]
    stride = max(1, sides[0] // 3)
    for patch in sides:
        tops, lefts = _starts(height, patch, stride), _starts(width, patch, stride)
        covered = _covered_copies(image, tops, lefts, patch, progress, cancel)
        values = np.concatenate([values_of(batch) for batch in covered])
        grid = (len(tops), len(lefts))
        found = OcclusionMap(label, float(lead), (lead - _lead(values, label)).reshape(grid),
                             largest(values).reshape(grid), tops, lefts, patch, stride, (height, width))
        if found.changed.any():
            break
    return found


def _covered_copies(
    image: Images, tops: npt.NDArray[np.int64], lefts: npt.NDArray[np.int64], patch: int,
    progress: ProgressCallback, cancel: CancelToken,
) -> Iterator[Images]:
    """Batches of the image with the patch in each place, row by row."""
    places = [(top, left) for top in tops for left in lefts]
    mean_colour = image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    for start in range(0, len(places), BATCH):
        cancel.raise_if_cancelled()
        some = places[start:start + BATCH]
        copies = np.repeat(image[None], len(some), axis=0)
        for copy, (top, left) in zip(copies, some, strict=True):
            copy[top:top + patch, left:left + patch] = mean_colour
        yield copies
        progress(Progress(f"Covering places of the picture, {patch} x {patch} pixels", start + len(some), len(places)))


def _starts(length: int, patch: int, stride: int) -> npt.NDArray[np.int64]:
    """Where patches begin along one side; the last one ends with the image, so that every pixel is covered."""
    starts = np.arange(0, length - patch + 1, stride, dtype=np.int64)
    return starts if starts[-1] == length - patch else np.append(starts, length - patch)


def _lead(values: Values, label: int) -> Values:
    """By how much each row's value at `label` exceeds the largest other: float32[n, N] to float32[n]."""
    lead: Values = values[:, label] - np.delete(values, label, axis=1).max(axis=1)
    return lead
