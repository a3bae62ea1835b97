"""Counts as rates with the uncertainty that small samples deserve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """`count` of `total` images, 0 <= count <= total; the rate of nothing is nan."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The fraction, 0 to 1."""
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the fraction, (low, high); (0, 1) when there are no images.

        Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
        """
        n = self.total
        if not n:
            return 0.0, 1.0
        low, high = _wilson(self.count / n, n, math.sqrt)
        return 0.0 if self.count == 0 else low, 1.0 if self.count == n else high


def rates_with_intervals(counts: npt.NDArray[np.int64], total: int) -> tuple[Values, Values, Values]:
    """Value and interval of many rates of one total, exactly as Rate's: three arrays float64, shaped as `counts`."""
    if not total:
        return np.full(counts.shape, np.nan), np.zeros(counts.shape), np.ones(counts.shape)
    values = counts / total
    low, high = _wilson(values, total, np.sqrt)
    return values, np.where(counts == 0, 0.0, low), np.where(counts == total, 1.0, high)


def _wilson(p: Any, n: int, root: Callable[[Any], Any]) -> tuple[Any, Any]:
    centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * root(p * (1 - p) / n + Z_95**2 / (4 * n * n))
    return centre - half, centre + half
