"""The depth of a folder's 16-bit pictures: one answer for all of them, so that they stay as bright as each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.files.pictures import Depth, picture_depth

# Endings of formats in which values may have 16 bits.
_DEEP = {".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".jp2"}
_FULL = 16
# Pictures looked at to find out whether there are deep ones, and to find the largest value of those.
_FIRST_LOOK, _WHOLE_LOOK = 32, 2000


def common_depth(files: Sequence[Path]) -> tuple[int | None, str]:
    """How many bits the pictures of a data set use, where they are stored with 16.

    What the files say of themselves counts; else the largest value among up to 2,000 of them, spread over the set,
    decides between the usual depths of 8, 10, 12, 14 and 16 bits.

    Returns:
        The bits, None where all are ordinary pictures; and a sentence on it where it isn't all 16.
    Raises:
        DatasetError: a picture can't be read.
    """
    files = [file for file in files if file.suffix.lower() in _DEEP]
    found: dict[Path, Depth] = {}
    for most in (_FIRST_LOOK, _WHOLE_LOOK):
        for number in np.unique(np.linspace(0, len(files) - 1, min(len(files), most)).astype(int)).tolist():
            file = files[number]
            found[file] = found.get(file) or picture_depth(file)
            if found[file].bits == _FULL:
                return _FULL, ""
        if not any(depth.bits for depth in found.values()):
            return None, ""
    bits = max(depth.bits for depth in found.values())
    declared = all(depth.declared for depth in found.values() if depth.bits)
    why = "as the files say" if declared else \
        f"for the largest value in the {len(found):,} looked at is {max(d.highest for d in found.values()):,}"
    return bits, (f"Its pictures are stored with 16 bits a value and use {bits} of them, {why}: values are divided by "
                  f"{1 << (bits - 8):,} to become 0 to 255.")
