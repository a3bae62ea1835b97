"""One step downhill on NumPy arrays, for what is searched by a network's gradients and isn't the network.

Source: Kingma, Ba, Adam, ICLR 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Adam:
    """The moments of the gradients of float32 arrays, one row each; rows can be stepped apart from each other."""

    def __init__(self, shape: tuple[int, ...], rate: float, betas: tuple[float, float], tiny: float) -> None:
        self._first, self._second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._rate, self._betas, self._tiny = rate, betas, tiny

    @np.errstate(over="ignore", invalid="ignore")  # where a network overflows there is no way down
    def change(self, rows: Any, step: int, gradient: Floats) -> Floats:
        """What to add to some rows to climb, and to take from them to descend.

        Args:
            rows: indices or a slice; step: how often these rows were stepped before.
        """
        self._first[rows] += (1 - self._betas[0]) * (gradient - self._first[rows])
        self._second[rows] += (1 - self._betas[1]) * (gradient**2 - self._second[rows])
        mean = self._first[rows] / (1 - self._betas[0] ** (step + 1))
        spread = self._second[rows] / (1 - self._betas[1] ** (step + 1))
        change: Floats = np.nan_to_num(self._rate * mean / (np.sqrt(spread) + self._tiny), nan=0, posinf=0, neginf=0)
        return change
