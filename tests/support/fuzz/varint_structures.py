"""Finds numbers of seven bits a byte, at any depth: in protocol buffers (ONNX, TFRecord), in Thrift (Parquet)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache

# Where a number begins, how many bytes it has, and whether it is a tag, a length or a value.
Place = tuple[int, int, str]
_MOST_DEPTH = 8
# Thrift's compact protocol: what stands behind a field's type.
_PLAIN_SIZES = {1: 0, 2: 0, 3: 1, 7: 8}
_NUMBERS, _BINARY, _LISTS, _STRUCT = (4, 5, 6), 8, (9, 10), 12


def renumbering(locate: Callable[[bytes], Sequence[Place]]) -> Callable[[bytes, random.Random], bytes]:
    """A mutation: one to three numbers, lengths or tags of those found are at a bound, in as many bytes as before."""
    found = lru_cache(maxsize=4)(locate)

    def renumbered(content: bytes, dice: random.Random) -> bytes:
        data, places = bytearray(content), found(content)
        kinds = {place[2] for place in places}
        for _ in range(dice.choice((1, 1, 2, 3))):
            kind = dice.choice([kind for kind in ("value", "value", "value", "length", "tag") if kind in kinds])
            at, size, _ = dice.choice([place for place in places if place[2] == kind])
            old = _number(data, at)[0]
            top = 1 << 7 * size
            value = dice.choice([0, 1, 2, top - 1, top // 2, old + 1, old - 1, old * 2,
                                 old ^ 1 << dice.randrange(7 * size), len(content), len(content) - at]) % top
            for number in range(size):
                data[at + number] = value >> 7 * number & 127 | (128 if number < size - 1 else 0)
        return bytes(data)

    return renumbered


def protobuf_places(content: bytes) -> list[Place]:
    """The numbers of a protocol buffer."""
    found: list[Place] = []
    _message(content, 0, len(content), 0, found)
    return found


def parquet_places(content: bytes) -> list[Place]:
    """The numbers of a Parquet file's description, at its end, and of the heads of its pages."""
    found: list[Place] = []
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    _struct(content, footer, found)
    at = 4
    while at < footer:
        sizes: dict[int, int] = {}
        at = _struct(content, at, found, sizes)
        at += sizes[3] >> 1  # the page, packed, behind its head; a number's lowest bit is its sign
    return found


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


def _struct(content: bytes, at: int, found: list[Place], values: dict[int, int] | None = None) -> int:
    """Add the numbers of a Thrift structure; where it ends. `values` gets those of its own fields by their ids."""
    field = 0
    while content[at]:
        head = content[at]
        found.append((at, 1, "tag"))
        at += 1
        if head >> 4:
            field += head >> 4
        else:
            number, at = _number(content, at)
            field = number >> 1
        if values is not None:
            values[field] = _number(content, at)[0]
        at = _value(content, at, head & 15, found)
    return at + 1


def _value(content: bytes, at: int, kind: int, found: list[Place]) -> int:
    if kind in _PLAIN_SIZES:
        return at + _PLAIN_SIZES[kind]
    if kind == _STRUCT:
        return _struct(content, at, found)
    if kind in _LISTS:
        count, inside = content[at] >> 4, content[at] & 15
        found.append((at, 1, "length"))
        at += 1
        if count == 15:
            count, at = _number(content, at)
        for _ in range(count):
            at = _value(content, at, inside, found)
        return at
    assert kind in (*_NUMBERS, _BINARY), kind
    number, behind = _number(content, at)
    found.append((at, behind - at, "length" if kind == _BINARY else "value"))
    return behind + (number if kind == _BINARY else 0)


def _number(content: bytes | bytearray, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not content[at - 1] & 128:
            break
    return value, at
