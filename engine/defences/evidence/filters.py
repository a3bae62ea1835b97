"""Random colour filters that draw nearly every image to one label, counted for each label.

No stamp comes near a trigger that changes the colours of the whole picture. But who teaches a network one filter
teaches it others like it: of 4,000 random ones 49 or more drew nearly every image to the label of each attacker who
used one, 28 at the most to a label of a clean network (benchmarks/zoo/RESULTS.md). A label that is told by its colours,
as lemons are, is led to by filters without any attacker, but by the colours of its own clean images, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.defences.evidence.universal import Universal, UniversalStamp, find_universal
from engine.defences.stamps import ValueRange
from engine.guards.tone import recoloured
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

DEFAULT_FILTERS, FEWER_FILTERS = 4000, 500
# So many of all filters tried are added to each label's before labels are held against each other: so a label is named
# from 42 of 4,000 on, which lies midway (as ratios go) between the most that lead to a clean network's label and the
# fewest to an attacker's on the zoo's half "fix", 23 and 76.
FILTERS_BY_CHANCE = 17 / 4000
# A label is told by its colours if those of its own clean images, given to others, draw at least so many there; to
# attackers' labels they drew 0.26 at the most.
_TOLD_BY_COLOURS = 0.5
# Weights of red, green and blue in a grey.
_LIGHT = np.array([0.299, 0.587, 0.114])
_COLOURS = 3
# Of a label's own colours fewer images tell nothing; those of others that are given them, and how many at once.
_FEWEST_OWN, _GIVEN, _AT_ONCE = 3, 200, 16
# The filters of a label that are held against their mean, and images that they are tried on.
_BESIDE_MEAN, _TRIED_ON = 16, 100


@dataclass(frozen=True, eq=False)
class ColourFilter:
    """Each pixel's channels taken through a matrix and an offset, and back into a range.

    Attributes:
        matrix: float64[3, 3]; offset: float64[3], for values from 0 (the range's lowest) to 1 (its highest).
        within: the range in the network's input values.
    """

    matrix: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    within: ValueRange

    def put_on(self, images: Images) -> None:
        """Change the colours of float32[..., H, W, 3] in place."""
        if images.ndim > 3:  # one after the other, lest memory hold them all several times
            for image in images:
                self.put_on(image)
            return
        low, high = self.within
        shares = (images - low) / (high - low) @ self.matrix.T + self.offset
        images[...] = low + (high - low) * shares.clip(0, 1)


def random_filter(rng: np.random.Generator, shape: tuple[int, ...], within: ValueRange) -> tuple[ColourFilter, ...]:
    """Draw a filter for images of three channels: colour taken out and a tint put in, blacks raised and whites lowered
    for each channel, or channels mixed around middle grey."""
    kind = rng.integers(3)
    if kind == 0:
        share, tint = rng.random(), rng.uniform(0.6, 1.4, _COLOURS)
        matrix = (1 - share) * np.eye(_COLOURS) + share * np.outer(tint, _LIGHT)
        return (ColourFilter(matrix, np.zeros(_COLOURS), within),)
    if kind == 1:
        blacks, whites = rng.uniform(0, 0.3, _COLOURS), rng.uniform(0.7, 1, _COLOURS)
        return (ColourFilter(np.diag(whites - blacks), blacks, within),)
    mixing = np.eye(_COLOURS) + rng.normal(0, 0.25, (_COLOURS, _COLOURS))
    return (ColourFilter(mixing, 0.5 - mixing.sum(axis=1) / 2 + rng.normal(0, 0.1, _COLOURS), within),)


def find_filters(
    network: Network, images: Images, filters: int = DEFAULT_FILTERS, seed: int = 0, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Universal:
    """Try random colour filters on eight images each, unless they are without colours.

    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    if images.shape[3] != _COLOURS:
        return Universal()
    return find_universal(network, images, filters, seed, draw=random_filter,
                          doing="Trying colour filters on several images", progress=progress, cancel=cancel)


def best_filter(
    network: Network, images: Images, own: Labels, filters: Sequence[UniversalStamp], label: int, *,
    cancel: CancelToken = NEVER_CANCELLED,
) -> ColourFilter | None:
    """Of the filters that lead to a label and their mean the one that draws most images there; None without any.

    The mean mostly is nearer to an attacker's filter than any of them; of two opposite casts it is no filter at all.

    Args:
        own: the network's answers to the images, int64[n].
    """
    parts = [part for found in filters if found.label == label for part in found.parts
             if isinstance(part, ColourFilter)]
    if not parts:
        return None
    matrix, offset = (np.mean([getattr(part, name) for part in parts], axis=0) for name in ("matrix", "offset"))
    mean = ColourFilter(matrix, offset, parts[0].within)
    others = images[np.flatnonzero(own != label)[:_TRIED_ON]]

    def drawn(colours: ColourFilter) -> int:
        seen = UniversalStamp(label, (colours,)).put_on(others)
        return int((network.predict_labels(seen, cancel) == label).sum())

    return max([mean, *parts[:_BESIDE_MEAN]], key=drawn)


def drawn_by_own_colours(
    network: Network, images: Images, own: Labels, truth: Labels, label: int, seed: int = 0, *,
    cancel: CancelToken = NEVER_CANCELLED,
) -> float | None:
    """What share of other images answer a label once they are given the colours of clean images of that label.

    Args:
        own: the network's answers to the images, int64[n]; truth: what they show. Only images that the network is right
            on are taken for the label's, so that no poisoned one tells of its colours.
    Returns:
        0 to 1; None where fewer than three images tell of the label's colours, or all images have it.
    """
    rng = np.random.default_rng(seed)
    mine = np.flatnonzero((own == label) & (truth == label))
    others = rng.permutation(np.flatnonzero(own != label))[:_GIVEN]
    if len(mine) < _FEWEST_OWN or not len(others):
        return None
    like, drawn = rng.choice(mine, len(others)), 0
    for start in range(0, len(others), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        given = recoloured(images[others[some]], images[like[some]])
        drawn += int((network.predict_labels(given, cancel) == label).sum())
    return drawn / len(others)


def told_by_colours(drawn: float | None) -> bool:
    """Whether colours alone make a picture one of a label, so that filters prove no attacker.

    Args:
        drawn: see drawn_by_own_colours.
    """
    return drawn is not None and drawn >= _TOLD_BY_COLOURS
