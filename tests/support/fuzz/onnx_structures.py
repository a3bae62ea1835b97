"""Finds the numbers and lengths of a protocol buffer, at any depth."""

from __future__ import annotations

import random
from functools import lru_cache

# Where a number of seven bits a byte begins, how many bytes it has, and whether it is a tag, a length or a value.
Place = tuple[int, int, str]
_MOST_DEPTH = 8


@lru_cache(maxsize=4)
def _places(content: bytes) -> list[Place]:
    found: list[Place] = []
    _message(content, 0, len(content), 0, found)
    return found


def protobuf_numbers(content: bytes, dice: random.Random) -> bytes:
    """A copy in which one to three of its numbers, lengths or tags are at a bound, in as many bytes as before."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 3))):
        kind = dice.choice(("value", "value", "value", "length", "tag"))
        at, size, _ = dice.choice([place for place in _places(content) if place[2] == kind])
        old = _number(data, at)[0]
        top = 1 << 7 * size
        value = dice.choice([0, 1, 2, top - 1, top // 2, old + 1, old - 1, old * 2, old ^ 1 << dice.randrange(7 * size),
                             len(content), len(content) - at]) % top
        for number in range(size):
            data[at + number] = value >> 7 * number & 127 | (128 if number < size - 1 else 0)
    return bytes(data)


def _message(content: bytes, at: int, stop: int, depth: int, found: list[Place]) -> bool:
    """Add the numbers of a message; False, and nothing added, where these bytes are none."""
    own: list[Place] = []
    while at < stop:
        tag, behind = _number(content, at)
        own.append((at, behind - at, "tag"))
        kind, at = tag & 7, behind
        if not tag >> 3 or kind not in (0, 1, 2, 5) or at > stop:
            return False
        if kind in (0, 2):
            value, behind = _number(content, at)
            own.append((at, behind - at, "length" if kind else "value"))
            at = behind
            if kind == 2:
                if at + value > stop:
                    return False
                if depth < _MOST_DEPTH and value < 1 << 14:
                    _message(content, at, at + value, depth + 1, own)
                at += value
        else:
            at += 8 if kind == 1 else 4
    if at != stop:
        return False
    found += own
    return True


def _number(content: bytes | bytearray, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not content[at - 1] & 128:
            break
    return value, at
