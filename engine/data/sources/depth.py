"""The depth of a set's 16-bit pictures: one answer for all of them, so that they stay as bright as each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from engine.assessment import enumerated
from engine.files.pictures import Depth

Where = TypeVar("Where")

_SHALLOW, _FULL = 8, 16
# Pictures looked at to find out whether there are deep ones, and to find the largest value of those.
_FIRST_LOOK, _WHOLE_LOOK = 32, 2000


def is_depth(value: Any) -> bool:
    """Whether a record's value may be a set's depth: bits, or None of a set that has none."""
    return value is None or (type(value) is int and _SHALLOW <= value <= _FULL)


def unlike_depths(sets: Iterable[tuple[str, int | None]]) -> str:
    """A sentence where sets, by their names, have pictures of different depths; else empty."""
    known = [(name, bits) for name, bits in sets if bits]
    if len({bits for _, bits in known}) < 2:
        return ""
    told = enumerated([f"{name} {bits} bits" for name, bits in known])
    return (f"Of pictures stored with 16 bits {told} are used, so the same value becomes brighter in one than in the "
            "other. Save all with 8 bits, where they come from one camera.")


def common_depth(pictures: Sequence[Where], look: Callable[[Where], Depth]) -> tuple[int | None, str]:
    """How many bits the pictures of a data set use, where they are stored with 16.

    What the files say of themselves counts; else the largest value among up to 2,000 of them, spread over the set,
    decides between the usual depths of 8, 10, 12, 14 and 16 bits.

    Args:
        pictures: those that may be deep; look: finds out how many bits one uses.
    Returns:
        The bits, None where all are ordinary pictures; and a sentence on it where it isn't all 16.
    Raises:
        DatasetError: a picture can't be read.
    """
    found: dict[int, Depth] = {}
    for most in (_FIRST_LOOK, _WHOLE_LOOK):
        for number in np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), most)).astype(int)).tolist():
            found[number] = found.get(number) or look(pictures[number])
            if found[number].bits == _FULL:
                return _FULL, ""
        if not any(depth.bits for depth in found.values()):
            return None, ""
    bits = max(depth.bits for depth in found.values())
    declared = all(depth.declared for depth in found.values() if depth.bits)
    why = "as the files say" if declared else \
        f"for the largest value in the {len(found):,} looked at is {max(d.highest for d in found.values()):,}"
    return bits, (f"The pictures are stored with 16 bits a value and use {bits} of them, {why}: values are divided by "
                  f"{1 << (bits - 8):,} to become 0 to 255.")
