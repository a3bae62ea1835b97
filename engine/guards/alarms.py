"""How a guard's false alarms fall on labels: the rate it keeps to is one over all, and one label may bear it alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.models.networks import Labels

# A label bears them where so many of its images are flagged, and such a share of them, and where in fewer than 1 of
# 1,000 guards that treat all labels alike any label would have as many. A run sets up to three guards and looks at each
# on two sets, so fewer than 1 in 100 runs say it by chance.
_FEWEST, _SHARE, _BY_CHANCE = 3, 0.2, 0.001


@dataclass(frozen=True)
class Alarms:
    """What a guard flagged of clean images.

    Attributes:
        name: of their set.
        flagged, images: how many of each label were flagged and looked at.
    """

    name: str
    flagged: tuple[int, ...]
    images: tuple[int, ...]

    def rate_without(self, labels: Labels) -> float:
        """The share flagged of the other labels' images."""
        others = np.delete(self.images, labels).sum()
        return float(np.delete(self.flagged, labels).sum() / max(1, others))

    def borne_by(self) -> Labels:
        """The labels int64[k] whose images bear the false alarms, most flagged first; none where chance may do that.

        Each label's count is held against all: were as many images flagged without regard to labels, it would be
        hypergeometric, whatever the rate is. That is exact, unlike a binomial of the rate asked for, which the drawn
        threshold only keeps on average. Labels are many, so the probability counts once for each.
        """
        flagged, images = np.array(self.flagged, np.int64), np.array(self.images, np.int64)
        total, whole = int(flagged.sum()), int(images.sum())
        tried = int((images > 0).sum())
        many = np.flatnonzero((flagged >= _FEWEST) & (flagged >= _SHARE * images))
        found = [label for label in many.tolist()
                 if tried * _at_least(int(flagged[label]), int(images[label]), total, whole) < _BY_CHANCE]
        return np.array(sorted(found, key=lambda label: -flagged[label] / images[label]), np.int64)


def alarms_of(name: str, flagged: npt.NDArray[np.bool_], truth: Labels, labels: int) -> Alarms:
    """Count by labels.

    Args:
        name: of the set; flagged: bool[n] of its images; truth: their labels, int64[n]; labels: how many there are.
    """
    return Alarms(name, *(tuple(np.bincount(which, minlength=labels).tolist()) for which in (truth[flagged], truth)))


def _at_least(count: int, images: int, total: int, whole: int) -> float:
    """How likely at least so many of a label's images are among `total` that are drawn of the whole."""
    def ways(of: int, drawn: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(drawn + 1) - math.lgamma(of - drawn + 1)

    # No fewer can be its own than leave too many for the others.
    return sum(math.exp(ways(images, own) + ways(whole - images, total - own) - ways(whole, total))
               for own in range(max(count, total - whole + images), min(images, total) + 1))
