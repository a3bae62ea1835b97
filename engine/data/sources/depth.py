"""What a set's pictures are like before they are read: one depth of all of 16 bits, so that they stay as bright as each
other, and whether they must be fitted to a network's input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from engine.assessment import enumerated
from engine.data.spread import spread_over
from engine.files.pictures import Look

Where = TypeVar("Where")

_SHALLOW, _FULL = 8, 16
# Pictures looked at to find out whether there are deep ones, and to find the largest value of those.
_FEW_LOOKS, _FIRST_LOOK, _WHOLE_LOOK = 4, 32, 2000


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


def common_depth(pictures: Sequence[Where], look: Callable[[Where], Look]) -> tuple[int | None, str]:
    """How many bits the pictures of a data set use, where they are stored with 16.

    What the files say of themselves counts; else the largest value among up to 2,000 of them, spread over the set,
    decides between the usual depths of 8, 10, 12, 14 and 16 bits.

    Args:
        pictures: those that may be deep; look: finds out how many bits one uses, and remembers it.
    Returns:
        The bits, None where all are ordinary pictures; and a sentence on it where it isn't all 16.
    Raises:
        DatasetError: a picture can't be read.
    """
    found: dict[int, Look] = {}
    for most in (_FIRST_LOOK, _WHOLE_LOOK):
        for number in spread_over(len(pictures), most):
            found[number] = look(pictures[number])
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


def looked_at(
    pictures: Sequence[Where], look: Callable[[Where], Look], depth: int | None,
) -> list[tuple[int, int]]:
    """Heights and widths of up to 32 pictures, the first one first; of few where each look decodes 16 bits.

    Args:
        depth: what common_depth gave; where it is less than 16 that has looked at no fewer of those that may be deep,
            which are the same pictures if all may be.
    Raises:
        DatasetError: a picture can't be read.
    """
    most = _FEW_LOOKS if depth == _FULL else _FIRST_LOOK
    return [look(pictures[number]).size for number in spread_over(len(pictures), most)]


def resized(sizes: Sequence[tuple[int, int]], fitted: tuple[int, int], network: Sequence[int | None]) -> str:
    """That pictures are changed to fit an input, a sentence; empty where none of those looked at is.

    Args:
        sizes: of the pictures looked at, the first one first; fitted: height and width that they are brought to.
        network: H and W of its input, None where it takes any; where it takes any of both, all pictures are fitted to
            the first one.
    """
    other = next((size for size in sizes if size != fitted), None)
    if other is None:
        return ""
    if network[0] is None and network[1] is None:
        return (f"Its pictures differ in size, such as {_by(fitted)} and {_by(other)}: for a network that takes any "
                "size each is cropped around its centre and brought to the first one's.")
    told = f"Its pictures aren't of the network's size, the first is {_by(other)}" if fitted not in sizes else \
        f"Not all of its pictures are of the network's size, one is {_by(other)}"
    return f"{told}: each is cropped around its centre and brought to {_by(fitted)}."


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
