"""Structures in binary files, and damaged copies in which some of their fields are at a bound, checksums in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Field = tuple[int, int]  # where, and how many bytes
Order = Literal["little", "big"]
Locate = Callable[[bytes], Sequence["Structure"]]


@dataclass(frozen=True)
class Seal:
    """A checksum of four bytes at `at` over what stands from `start` to there."""

    start: int
    at: int
    checksum: Callable[[bytes], int]


@dataclass(frozen=True)
class Structure:
    """A piece of a file with fields in it, such as a node of a tree."""

    kind: str
    start: int
    fields: tuple[Field, ...]
    order: Order = "little"
    seal: Seal | None = None


def grid(start: int, stop: int, *, step: int = 0) -> Iterator[Field]:
    """Fields of 1, 2, 4 and 8 bytes, where nobody knows better: each at its multiples, or at those of `step`."""
    for size in (1, 2, 4, 8):
        for at in range(start, stop - size + 1, step or size):
            yield at, size


def in_order(start: int, sizes: Sequence[int]) -> Iterator[Field]:
    """Fields of these sizes, one behind the other."""
    for size in sizes:
        yield start, size
        start += size


def rewriting(locate: Locate) -> Callable[[bytes, random.Random], bytes]:
    """A mutation: one to three fields of the structures that `locate` finds are at a bound, or point to others."""
    found = lru_cache(maxsize=4)(locate)

    def rewritten(content: bytes, dice: random.Random) -> bytes:
        structures = found(content)
        kinds = sorted({one.kind for one in structures})
        data, touched = bytearray(content), []
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            kind = dice.choice(kinds)
            one = dice.choice([one for one in structures if one.kind == kind])
            at, size = dice.choice(one.fields)
            value = _value(int.from_bytes(data[at:at + size], one.order), size, one, structures, len(data), dice)
            data[at:at + size] = (value % 256**size).to_bytes(size, one.order)
            touched.append(one)
        if dice.random() < 0.95:
            for one in touched:
                if one.seal:
                    correct = one.seal.checksum(bytes(data[one.seal.start:one.seal.at]))
                    data[one.seal.at:one.seal.at + 4] = correct.to_bytes(4, one.order)
        return bytes(data)

    return rewritten


def _value(old: int, size: int, one: Structure, all_: Sequence[Structure], length: int, dice: random.Random) -> int:
    """A bound, something near the old value, or a place in the file: of this structure, of another, of the end."""
    way = dice.random()
    if size >= 2 and way < 0.35:
        return dice.choice([one.start, one.start, dice.choice(all_).start, dice.choice(all_).start, 0, length - 1,
                            length, length + 1, length - 8])
    if way < 0.7:
        top = 256**size
        return dice.choice([0, 1, 2, top // 2 - 1, top // 2, top - 1, top - 2, top // 16, 255, 65535, 65536, 2**31 - 1,
                            2**31, 2**32 - 1, 2**32, 2**40])
    return dice.choice([old + 1, old - 1, old * 2, old // 2, old + 8, old - 8, old * 256,
                        old ^ (1 << dice.randrange(8)), old ^ (1 << dice.randrange(8 * size)), -old])
