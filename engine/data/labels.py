"""Labels looked at by their type and shape alone, before and after they are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DatasetError

MOST_LABEL_BYTES = 1 << 28


def check_labels(shape: tuple[int, ...], dtype: np.dtype[Any], images: tuple[int, ...], path: Path) -> None:
    """Look at labels before they are read.

    Raises:
        DatasetError: they aren't numbers, or not one row an image, or would fill the memory.
    """
    if dtype.kind not in "uifb":
        raise DatasetError(f"{path}: its labels are stored as {dtype}; numbers were expected.")
    if shape[:1] != images[:1]:
        raise DatasetError(f"{path}: has {images[0] if images else 'no'} images but labels of shape {shape}; "
                           "one label an image was expected.")
    if math.prod(shape) * dtype.itemsize > MOST_LABEL_BYTES:
        raise DatasetError(f"{path}: its labels have the shape {shape}, more than memory should hold. "
                           "Save one label number an image.")
