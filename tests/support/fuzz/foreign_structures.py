"""Data sets of other programs, damaged by their structure: IDX, CIFAR, MATLAB, tar, TFRecord, tables."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from engine.data.sources.checksums import masked_sum
from tests.support.fuzz.mutations import BOUNDS, in_place
from tests.support.fuzz.structures import Field, Seal, Structure, in_order, rewriting
from tests.support.fuzz.varint_structures import protobuf_places, renumbering

Mutate = Callable[[bytes, random.Random], bytes]

_CIFAR_RECORD = 1 + 3 * 32 * 32
_MAT_HEAD, _MAT_MATRIX, _MAT_COMPRESSED = 128, 14, 15
_BLOCK, _TAR_SUM = 512, (148, 8)
# A header's fields in octal digits, and those that are words: mode, size, time, kind, link, signature, prefix, name.
_TAR_NUMBERS, _TAR_WORDS = ((100, 8), (124, 12), (136, 12)), ((156, 1), (157, 100), (257, 8), (345, 155), (0, 100))
_CELLS = [*(str(bound) for bound in BOUNDS), '"', '""', '"a', "a,b", "a;b", "/dev/zero", "..\\x", "0.png\0",
          "C:\\x.png", "my own", ".", "thesis.doc", "1.png", "2", "9", "\r", "\n", "a" * 2000]


def in_gzip(mutate: Mutate) -> Mutate:
    """A mutation of what gzip has packed; one in four times of the first bytes or the last of the packed file."""
    def mutated(content: bytes, dice: random.Random) -> bytes:
        if dice.random() < 0.75:
            return gzip.compress(mutate(gzip.decompress(content), dice), mtime=0)
        at, size = dice.choice([*in_order(2, (1, 1, 4, 1, 1)), (10, 2), (len(content) - 8, 4), (len(content) - 4, 4)])
        return in_place(content, at, size, dice)

    return mutated


def idx_head(content: bytes) -> list[Structure]:
    """The head of an IDX file: type, number of axes, sides."""
    return [Structure("head", 0, tuple(in_order(0, (2, 1, 1, *content[3] * (4,)))), "big")]


def cifar_record(content: bytes, dice: random.Random) -> bytes:
    """Labels at bounds, records too many, too few or cut off."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 2, 5))):
        data[dice.randrange(len(content) // _CIFAR_RECORD) * _CIFAR_RECORD] = dice.choice((0, 9, 10, 19, 99, 127, 255))
    change = dice.random()
    if change < 0.3:
        del data[dice.choice((0, 1, _CIFAR_RECORD - 1, _CIFAR_RECORD, len(data) // 2, len(data) - 1)):]
    elif change < 0.5:
        data += data[:dice.choice((1, _CIFAR_RECORD - 1, _CIFAR_RECORD, _CIFAR_RECORD + 1))]
    return bytes(data)


def mat_elements(content: bytes) -> list[Structure]:
    """The elements of a MATLAB file, those inside an array too: type, size, and what they begin with."""
    found = [Structure("head", 0, ((124, 2), (126, 2)))]
    found += [Structure(kind, at, fields) for kind, at, fields in _elements(content, _MAT_HEAD, len(content))]
    return found


def mat_unpacked(content: bytes, dice: random.Random) -> bytes:
    """A MATLAB file whose first array, compressed, is damaged before it is packed; now and then the packed bytes."""
    size = int.from_bytes(content[_MAT_HEAD + 4:_MAT_HEAD + 8], "little")
    begin = _MAT_HEAD + 8
    packed = content[begin:begin + size]
    if dice.random() < 0.2:
        return in_place(content, *dice.choice([(_MAT_HEAD, 4), (_MAT_HEAD + 4, 4), (begin, 2), (begin + size - 4, 4)]),
                        dice)
    whole = _rewritten_mat(content[:_MAT_HEAD] + zlib.decompress(packed), dice)
    new = zlib.compress(whole[_MAT_HEAD:])
    return whole[:_MAT_HEAD] + struct.pack("<II", _MAT_COMPRESSED, len(new)) + new + content[begin + size:]


def tar_field(content: bytes, dice: random.Random) -> bytes:
    """An archive one or two fields of whose headers are at a bound, their sums in order; or whose end is another."""
    data = bytearray(content)
    headers = [at for at in range(0, len(data), _BLOCK) if data[at + 257:at + 262] == b"ustar"]
    for _ in range(dice.choice((1, 1, 2))):
        start = dice.choice(headers)
        if dice.random() < 0.6:
            at, size = dice.choice(_TAR_NUMBERS)
            digits = dice.choice([0, 1, 511, 512, 513, 8**(size - 1) - 1, len(data), len(data) * 2, 2**31])
            text = dice.choice([f"{digits % 8**(size - 1):0{size - 1}o}\0".encode(), b"\x80" + b"\xff" * (size - 1),
                                b"\x80" + digits.to_bytes(size - 1, "big"), b"\xff" * size, b" " * size, b"9" * size])
        else:
            at, size = dice.choice(_TAR_WORDS)
            word = dice.choice([b"", b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"x", b"g", b"S", b"..",
                                b"/etc/passwd", b"\xff" * size, b"a" * size, b"a.png", b"a.cls", b".json", b"a.json"])
            text = word[:size].ljust(size, b"\0")
        data[start + at:start + at + size] = text
        if dice.random() < 0.95:
            at, size = start + _TAR_SUM[0], _TAR_SUM[1]
            data[at:at + size] = b" " * size
            data[at:at + size] = f"{sum(data[start:start + _BLOCK]):06o}\0 ".encode()
    if dice.random() < 0.1:
        del data[dice.randrange(len(data)):]
    return bytes(data)


def tfrecord_field(content: bytes, dice: random.Random) -> bytes:
    """A record's length at a bound, or, more often, numbers of the example that is inside; sums are in order."""
    if dice.random() < 0.3:
        return _rewritten_record(content, dice)
    start, size = dice.choice(list(_records(content)))
    inside = _renumbered_example(content[start + 12:start + 12 + size], dice)
    return content[:start + 12] + inside + struct.pack("<I", masked_sum(inside)) + content[start + 16 + size:]


def one_cell(content: bytes, dice: random.Random) -> bytes:
    """A table with one or two cells at a bound, a row twice, or in other letters."""
    rows = [row.split(",") for row in content.decode().split("\n")]
    for _ in range(dice.choice((1, 1, 2))):
        row = dice.choice(rows)
        change = dice.random()
        if change < 0.7:
            row[dice.randrange(len(row))] = dice.choice(_CELLS)
        elif change < 0.8:
            row.append(dice.choice(_CELLS))
        else:
            rows[dice.randrange(len(rows))] = list(row)
    comma, line = dice.choice((",", ",", ",", ";", "\t", "|")), dice.choice((*4 * ("\n",), "\r\n", "\r"))
    text = line.join(comma.join(row) for row in rows)
    return text.encode(dice.choice((*7 * ("utf-8",), "utf-8-sig", "utf-16")), "surrogatepass")


def _elements(content: bytes, at: int, end: int) -> Iterator[tuple[str, int, tuple[Field, ...]]]:
    while at + 8 <= end:
        kind, size = struct.unpack_from("<II", content, at)
        inside = at + 8 + 4 * ((min(size, 16) + 3) // 4)
        yield f"element {kind & 0xffff}", at, tuple(
            field for field in (*in_order(at, (4, 4)), *((first, 4) for first in range(at + 8, inside, 4)))
            if sum(field) <= end)
        if kind == _MAT_MATRIX:
            yield from _elements(content, at + 8, min(at + 8 + size, end))
        at += 8 if kind >> 16 else 8 + size + (-size % 8 if kind != _MAT_COMPRESSED else 0)


def _records(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each record begins, and how many bytes its example has."""
    at = 0
    while at + 12 <= len(content):
        size = int.from_bytes(content[at:at + 8], "little")
        yield at, size
        at += 16 + size


def _record_heads(content: bytes) -> list[Structure]:
    return [Structure("record", at, ((at, 8), (at, 4), (at + 8, 4)), seal=Seal(at, at + 8, masked_sum))
            for at, _ in _records(content)]


_rewritten_mat, _rewritten_record = rewriting(mat_elements), rewriting(_record_heads)
_renumbered_example = renumbering(protobuf_places)
