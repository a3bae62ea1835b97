"""The transplant guard's arithmetic: does any part of an image take its label along when put into other images?

A trigger wins wherever it is put; a face's own features do not.
Kin: Chou, Tramer, Pellegrino, SentiNet: Detecting Localized Universal Attacks, 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.errors import DatasetError
from engine.guards.cuts import Cuts
from engine.models.logits import compiled_logits, log_probability
from engine.models.networks import Images, Labels, Network, largest
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

FIRST_DONORS = 2
ALL_DONORS = 8
DONOR_POOL = 16

_MIX_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Donors:
    """Clean images that parts are put into, in the order they are used.

    Attributes:
        images: float32[D, H, W, C] in the network's input range; labels: int64[D] of at least two labels, true and
            what B answers.
    """

    images: Images
    labels: Labels


@dataclass(frozen=True, eq=False)
class CutScores:
    """The score float64[n] of n images (higher is more suspect) and the number of the winning cut int64[n]."""

    score: npt.NDArray[np.float64]
    cut: npt.NDArray[np.int64]


def no_donors(image_shape: tuple[int, ...]) -> Donors:
    """For a guard that puts nothing into other images."""
    return Donors(np.empty((0, *image_shape), np.float32), np.empty(0, np.int64))


def refuse_other_sizes(clean: Dataset, others: Iterable[Dataset]) -> None:
    """Raises:
    DatasetError: images of a set have another size than the clean ones that the guard is set on and puts theirs into.
    """
    for dataset in others:
        if dataset.image_shape != clean.image_shape:
            found, own = (f"{height} x {width}" for height, width, _ in (dataset.image_shape, clean.image_shape))
            raise DatasetError(f"{dataset.path}: its images have {found} pixels and those of {clean.path} {own}; a "
                               "transplant guard puts parts of images into others, so all must have one size. Bring "
                               "them to one size, or do without that guard.")


def choose_donors(
    clean: Dataset, order: npt.NDArray[np.int64], right: npt.NDArray[np.bool_],
) -> tuple[Donors, set[int]]:
    """Pick up to 16 donors that B answers correctly, of as many labels as possible.

    At most a fifth of the images become donors, so that a small set still calibrates.

    Args:
        order: int64[n], numbers of images that may be taken, in the order in which they are tried.
        right: bool[n], whether B answers each correctly.
    Returns:
        The donors and their numbers.
    Raises:
        DatasetError: B answers images of fewer than two labels correctly, so some image would have no donor.
    """
    tried = order[right].tolist()
    first_of: dict[int, int] = {}
    for i in tried:
        first_of.setdefault(int(clean.labels[i]), i)
    if len(first_of) < 2:
        raise DatasetError(f"{clean.path}: the network answers images of {len(first_of)} label(s) correctly; a "
                           "transplant guard needs at least two. Are these clean images, scaled as the network "
                           "expects?")
    wanted = max(2, min(DONOR_POOL, len(order) // 5))
    # A dict keeps its order and each number once: one image of every label first.
    chosen = list(dict.fromkeys([*first_of.values(), *tried]))[:wanted]
    return Donors(clean.take(chosen), clean.labels[chosen]), set(chosen)


class TransplantScores:
    """Scores images on one network.

    Args:
        escalate_above: images whose score over the first 2 donors is above this are scored over 8; the others keep
            the score over 2. Minus infinity scores all over 8, plus infinity all over 2.
    """

    def __init__(self, network: Network, donors: Donors, cuts: Cuts, escalate_above: float) -> None:
        self._logits = compiled_logits(network)
        self._donors, self._cuts, self._escalate_above = donors, cuts, escalate_above

    def scores(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, above: float = -math.inf,
               did: Did = ignore_done) -> CutScores:
        """Score float32[n, H, W, C] in the network's input range.

        The score is the highest over cuts of the standardised mean over donors of B's log-probability, on the mixed
        images, of the label B gives the image itself.

        Args:
            above: scores that are at most this needn't be exact: what is given for them is at most this too. It saves
                most of the work, because a cut that is far too low after a few donors isn't tried on the others.
            did: is told how many mixes were answered.
        Raises:
            Cancelled: the token was set.
        """
        if not len(images):
            return CutScores(np.empty(0), np.empty(0, np.int64))
        joined = self._cuts.joined(self.stages(images, cancel, above, did)[:, 1])
        return CutScores(joined.max(axis=1), joined.argmax(axis=1))

    def stages(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, above: float = -math.inf,
               did: Did = ignore_done) -> npt.NDArray[np.float64]:
        """Each cut's own score, the mean log-probability, over the first donors, and the one that counts.

        Args:
            images, cancel, above, did: as scores'.
        Returns:
            float64[n, 2, cuts].
        """
        labels = largest(self._logits(images, cancel, did))
        sums = _Sums(images, labels, np.stack([self._donors_for(label) for label in labels]),
                     np.zeros((len(images), len(self._cuts.kinds))))
        # Log-probabilities are at most 0, so a sum over some donors bounds the sum over all of them.
        flagged, escalated = self._cuts.least(above), self._cuts.least(self._escalate_above)
        enough = np.minimum(escalated, flagged)
        for donor in range(FIRST_DONORS):
            self._add(sums, (sums.of / FIRST_DONORS > enough) | (sums.of / ALL_DONORS > flagged), donor, cancel, did)
        first = sums.of / FIRST_DONORS
        further = self._cuts.joined(first).max(axis=1) > self._escalate_above
        for donor in range(FIRST_DONORS, ALL_DONORS):
            self._add(sums, further[:, np.newaxis] & (sums.of / ALL_DONORS > flagged), donor, cancel, did)
        means = first.copy()
        means[further] = sums.of[further] / ALL_DONORS
        return np.stack([first, means], axis=1)

    def _donors_for(self, label: np.int64) -> npt.NDArray[np.int64]:
        """The first 8 donors of another label; too few are used again in turn.

        A donor is answered with its own label, so no image is ever its own donor.
        """
        return np.resize(np.flatnonzero(self._donors.labels != label), ALL_DONORS).astype(np.int64)

    def _add(self, sums: _Sums, wanted: npt.NDArray[np.bool_], donor: int, cancel: CancelToken, did: Did) -> None:
        """Add the log-probabilities of the mixes of every image and cut that is wanted, bool[n, cuts], with its donor
        of this place. Mixes of all images are answered together, as many at a time as memory allows."""
        which, cuts = np.nonzero(wanted)
        size = max(1, _MIX_BYTES // sums.images[0].nbytes)
        for start in range(0, len(which), size):
            cancel.raise_if_cancelled()
            image, cut = which[start:start + size], cuts[start:start + size]
            mixes = self._donors.images[sums.donors[image, donor]]
            for number in np.unique(cut):
                rows = cut == number
                mixes[rows] = self._cuts.mixed(number, sums.images[image[rows]], mixes[rows])
            sums.of[image, cut] += log_probability(self._logits(mixes, cancel, did), sums.labels[image])


@dataclass(frozen=True, eq=False)
class _Sums:
    """Log-probabilities float64[n, cuts] `of` n images, added up donor by donor; each image's donors int64[n, 8]."""

    images: Images
    labels: Labels
    donors: npt.NDArray[np.int64]
    of: npt.NDArray[np.float64]
