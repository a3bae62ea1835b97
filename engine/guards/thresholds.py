"""The threshold of a guard that keeps a false-alarm rate, whatever its scores are."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import DatasetError


def conformal_threshold(scores: npt.NDArray[np.float64], false_alarms: float) -> float:
    """The threshold that a further clean image's score exceeds with a probability of at most `false_alarms`.

    Args:
        scores: float64[n] of n clean images.
    Returns:
        The ceil((n + 1)(1 - false_alarms))-th smallest score, the first at least; infinity when that is more than n.
    Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005 (split conformal prediction).
    """
    rank = _rank(len(scores), false_alarms)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def refuse_unscored(model: Path, scores: npt.NDArray[np.float64]) -> None:
    """Refuse scores float64[n] of clean images of which some have none: a threshold would hang on the others alone.

    Args:
        model: the network's file.
    Raises:
        DatasetError: the network's answers to some, or to what a guard mixes of them, aren't finite.
    """
    if broken := int(np.isnan(scores).sum()):
        raise DatasetError(
            f"{model}: no guard can be set on it: for {broken:,} of {len(scores):,} clean images, or what the "
            "guard mixes of them, its answers aren't numbers (NaN or infinite), as no trained network's are. Choose no "
            "guard, and don't use the network.")


def fewest_images(false_alarms: float) -> int:
    """How many calibration images a false-alarm rate needs, so that the threshold is finite."""
    first = max(1, math.floor(1 / false_alarms) - 1)
    return next(n for n in itertools.count(first) if _rank(n, false_alarms) <= n)


def _rank(images: int, false_alarms: float) -> int:
    # Rounding errors of a product like 100 * 0.98 must not push the rank up by one.
    return max(1, math.ceil(round((images + 1) * (1 - false_alarms), 9)))
