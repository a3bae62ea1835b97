"""Which of many images are looked at where not all are."""

from __future__ import annotations

import numpy as np


def spread_over(images: int, most: int) -> list[int]:
    """Up to `most` of the numbers 0 to images - 1 at equal distances, rising, the first and the last among them."""
    return sorted({int(i) for i in np.linspace(0, images - 1, min(images, most))})
