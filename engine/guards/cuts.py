"""What the transplant guard cuts out of a picture, and how the scores of unlike cuts become comparable."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import DatasetError
from engine.guards.tone import recoloured
from engine.models.networks import Images

# Kinds of cuts, and those that a guard tries.
KINDS = ("rows", "columns", "grid", "outer", "blend", "tone")
DEFAULT_KINDS = ("rows", "blend", "tone")
BANDS = 5
# The middle box that an outer cut leaves out, and what a blend shows of the picture.
_MIDDLE = 0.6
_BLEND = 0.5
# So many deviations more must a kind of cut stand out: a whole picture laid over others finds little of what bands
# find, and on a level with them it spends their false alarms.
_BEYOND_USUAL = {"blend": 0.5}
# What is usual varies by this at least: on pictures of all colours hardly any takes its label along by them, and one of
# eight donors that follows would spend the false alarms. Chosen on the zoo's "fix", with a look at others (MATRIX.md).
_LEAST_SPREADS = {"tone": 0.7}
# A mean log-probability that rounds to 0 counts as this.
_SUREST = -1e-300

Mask = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cuts:
    """Ways to put a part of a picture into another one.

    Attributes:
        kinds: of each of K cuts.
        shares: float32[K, H, W], how much of the picture is seen at each pixel, 0 to 1.
        centres, spreads: float64[K], what is usual on clean images (mean and deviation), the same for cuts of a kind; a
            blend's centre is half a deviation higher, and a tone's deviation 0.7 at least.
    """

    kinds: tuple[str, ...]
    shares: npt.NDArray[np.float32]
    centres: npt.NDArray[np.float64]
    spreads: npt.NDArray[np.float64]

    def mixed(self, cut: int, images: Images, donors: Images) -> Images:
        """Each of float32[n, H, W, C] put into its donor by a cut; of a tone the donor is given its colours alone."""
        if self.kinds[cut] == "tone":
            return recoloured(donors, images)
        share = self.shares[cut][..., np.newaxis]
        mixed: Images = images * share + donors * (1 - share)
        return mixed

    def joined(self, means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Mean log-probabilities float64[n, K] as scores of one scale, higher is more suspect."""
        return (raised(means) - self.centres) / self.spreads

    @property
    def highest(self) -> float:
        """The score above which none is: of a network that is quite sure of every mix."""
        return float(self.joined(np.zeros((1, len(self.kinds)))).max(initial=-np.inf))

    def least(self, score: float) -> npt.NDArray[np.float64]:
        """The mean log-probabilities float64[K] that a joined score belongs to."""
        with np.errstate(over="ignore"):
            return -np.exp(-(score * self.spreads + self.centres))

    def by_kind(self, means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The highest mean log-probability float64[n, K] over the cuts of each kind but a tone, float64[n, kinds]:
        a label that its colours tell, as a banana's do, is no sign of a trigger."""
        kinds = [kind for kind in dict.fromkeys(self.kinds) if kind != "tone"] or ["tone"]
        return np.stack([means[:, [k == kind for k in self.kinds]].max(axis=1) for kind in kinds], axis=1)

    def standardised(self, means: npt.NDArray[np.float64]) -> Cuts:
        """These cuts with the scale that clean images' mean log-probabilities float64[n, K] give them."""
        centres, spreads = np.zeros(len(self.kinds)), np.ones(len(self.kinds))
        for kind in set(self.kinds):
            own = np.array([k == kind for k in self.kinds])
            highest = raised(means[:, own].max(axis=1))
            spreads[own] = max(highest.std(), _LEAST_SPREADS.get(kind, 0.0)) or 1.0
            centres[own] = highest.mean() + _BEYOND_USUAL.get(kind, 0.0) * spreads[own]
        return dataclasses.replace(self, centres=centres, spreads=spreads)


def cuts_of(height: int, width: int, kinds: Sequence[str] = DEFAULT_KINDS) -> Cuts:
    """The cuts of some kinds for pictures of a size, not standardised yet.

    Returns:
        Five bands of a third for rows and columns, half overlapping; nine fields of a third for the grid; all but the
        middle for outer; the whole picture, half transparent, for a blend; the whole for a tone.
    Raises:
        DatasetError: a side has fewer than 3 pixels.
    """
    if min(height, width) < 3:
        raise DatasetError(f"Images of {height} x {width} pixels can't be cut into thirds; the transplant guard needs "
                           "at least 3 pixels a side.")
    return _unstandardised([(kind, mask) for kind in kinds for mask in _MAKERS[kind](height, width)], height, width)


def no_cuts(height: int, width: int) -> Cuts:
    """For a guard that cuts nothing."""
    return _unstandardised([], height, width)


def bands_of(size: int) -> npt.NDArray[np.int64]:
    """[start, stop) of five bands of a third of a side, half overlapping.

    Returns:
        int64[5, 2]; what a third doesn't divide stays free at the start: [1, 19), [10, 28), ... [37, 55) of 55.
    """
    third = size // 3
    starts = size % 3 + np.arange(BANDS) * third // 2
    return np.stack([starts, starts + third], axis=1).astype(np.int64)


def of_bands(height: int, width: int, bands: npt.NDArray[np.int64]) -> Cuts:
    """Bands of rows [start, stop), int64[n, 2], as cuts."""
    return _unstandardised([("rows", mask) for mask in _row_masks(height, width, bands)], height, width)


def raised(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A mean log-probability s as -ln(-s), which spreads out what is nearly 0."""
    spread_out: npt.NDArray[np.float64] = -np.log(-np.minimum(means, _SUREST))
    return spread_out


def _unstandardised(found: Sequence[tuple[str, Mask]], height: int, width: int) -> Cuts:
    shares = np.array([mask for _, mask in found], np.float32).reshape(len(found), height, width)
    return Cuts(tuple(kind for kind, _ in found), shares, np.zeros(len(found)), np.ones(len(found)))


def _row_masks(height: int, width: int, bands: npt.NDArray[np.int64]) -> list[Mask]:
    return [_box(height, width, slice(start, stop), slice(None)) for start, stop in bands.tolist()]


def _rows(height: int, width: int) -> list[Mask]:
    return _row_masks(height, width, bands_of(height))


def _columns(height: int, width: int) -> list[Mask]:
    return [_box(height, width, slice(None), slice(start, stop)) for start, stop in bands_of(width).tolist()]


def _grid(height: int, width: int) -> list[Mask]:
    rows, columns = (np.linspace(0, size, 4).round().astype(int).tolist() for size in (height, width))
    return [_box(height, width, slice(rows[i], rows[i + 1]), slice(columns[j], columns[j + 1]))
            for i in range(3) for j in range(3)]


def _outer(height: int, width: int) -> list[Mask]:
    top, left = (round(size * (1 - _MIDDLE) / 2) for size in (height, width))
    return [1 - _box(height, width, slice(top, height - top), slice(left, width - left))]


def _blend(height: int, width: int) -> list[Mask]:
    return [np.full((height, width), _BLEND, np.float32)]


def _tone(height: int, width: int) -> list[Mask]:
    return [np.ones((height, width), np.float32)]


_MAKERS = {"rows": _rows, "columns": _columns, "grid": _grid, "outer": _outer, "blend": _blend, "tone": _tone}


def _box(height: int, width: int, rows: slice, columns: slice) -> Mask:
    mask = np.zeros((height, width), np.float32)
    mask[rows, columns] = 1
    return mask

