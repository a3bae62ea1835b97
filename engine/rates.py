"""Counts as rates with the uncertainty that small samples deserve."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        p = self.count / n
        centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
        low = 0.0 if self.count == 0 else centre - half
        high = 1.0 if self.count == n else centre + half
        return low, high
