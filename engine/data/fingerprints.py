"""Images known again: eight bytes an image, taken as the images are read for something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset, Images
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress

Hashes = npt.NDArray[np.uint64]

# Images copied at a time, so that large ones don't take their memory twice; and read at a time, so that a person who
# cancels needn't wait for long.
_AT_ONCE, _READ_AT_ONCE = 16, 64


def hashes_of(images: Images) -> Hashes:
    """A hash of each of float32[n, H, W, C], uint64[n]; equal images have equal ones in every set and every run.

    A product sum over 64-bit words with odd random factors. Two different images share one with a chance of about
    2 ** -48, because 16 bits of every word are 0 in pictures of whole numbers.
    """
    values = int(np.prod(images.shape[1:]))
    wide = values + values % 2
    factors = np.random.default_rng(0).integers(0, 1 << 63, wide // 2, np.uint64) * np.uint64(2) + np.uint64(1)
    sums, flat = np.empty(len(images), np.uint64), np.zeros((_AT_ONCE, wide), np.float32)
    for start in range(0, len(images), _AT_ONCE):
        part = images[start:start + _AT_ONCE]
        flat[:len(part), :values] = part.reshape(len(part), values)
        flat += np.float32(0)  # -0 becomes 0
        sums[start:start + len(part)] = flat[:len(part)].view(np.uint64) @ factors
    return sums


class Fingerprints:
    """The hashes of a data set's images, noted while `dataset` is read by others.

    Attributes:
        dataset: the set to read instead of the one given; it tells what it reads.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._hashes, self._seen = np.zeros(len(dataset), np.uint64), np.zeros(len(dataset), np.bool_)
        self.dataset = dataset.watched(self._note)

    def complete(
        self, progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
    ) -> Hashes:
        """All hashes, uint64[N]; images that nobody has read, because others computed on them, are read now.

        Raises:
            DatasetError: the set can't be read any more.
            Cancelled: the token was set.
        """
        missing = np.flatnonzero(~self._seen).tolist()
        if not missing:
            return self._hashes
        heard = Heartbeat("Looking for images that are in two sets", len(missing), progress)
        for chunk in self.dataset.chunks(_READ_AT_ONCE, missing):
            cancel.raise_if_cancelled()
            heard.report(chunk.start + len(chunk.labels))
        return self._hashes

    def _note(self, numbers: Sequence[int], images: Images) -> None:
        self._hashes[list(numbers)] = hashes_of(images)
        self._seen[list(numbers)] = True
