"""Finds the structures of an HDF5 file, of old and new layouts, and their fields.

Source: HDF5 File Format Specification, version 3.0. Addresses of 8 bytes are taken for granted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from tests.support.fuzz.structures import Field, Seal, Structure, grid, in_order

# Behind the signature: the sizes of the fields that every structure of the kind has.
_HEADS: dict[bytes, tuple[int, ...]] = {
    b"TREE": (1, 1, 2, 8, 8), b"HEAP": (1, 1, 2, 8, 8, 8), b"SNOD": (1, 1, 2), b"GCOL": (1, 1, 2, 8),
    b"FRHP": (1, 2, 2, 1, 4, *12 * (8,), 2, 8, 8, 2, 2, 8, 2), b"FHDB": (1, 8, 8), b"FHIB": (1, 8, 8),
    b"BTHD": (1, 1, 4, 2, 2, 1, 1, 8, 2, 8), b"BTIN": (1, 1), b"BTLF": (1, 1),
    b"FSHD": (1, 1, 8, 8, 8, 8, 2, 2, 2, 2, 8, 8, 8, 8), b"FSSE": (1, 8), b"FAHD": (1, 1, 1, 1, 8, 8),
    b"FADB": (1, 1, 8), b"EAHD": (8 * (1,)) + (7 * (8,)), b"EAIB": (1, 1, 8), b"EASB": (1, 1, 8), b"EADB": (1, 1, 8),
    b"SMTB": (1, 1, 2, 4, 2, 2, 2, 8, 8), b"SMLI": (1,), b"OHDR": (1, 1), b"OCHK": ()}
_SIGNATURES = re.compile(b"|".join(_HEADS))
# How far behind the head fields are sought, and a checksum.
_REACH, _SEAL_REACH = 256, 700
_CONTINUATION = 0x10
_SNOD_ENTRY, _SNOD_HEAD = 40, 8


def hdf5_structures(content: bytes) -> list[Structure]:
    """All structures of a file, its superblock first."""
    found = [_superblock(content)]
    for match in _SIGNATURES.finditer(content):
        sign, start = match.group(), match.start()
        head = tuple(in_order(start + 4, _HEADS[sign]))
        fields, seal = (*head, *_body(sign, content, start)), None
        if sign in (b"OHDR", b"OCHK"):
            found.append(_new_header(content, start, sign))
            continue
        if sign not in (b"TREE", b"HEAP", b"SNOD", b"GCOL"):
            seal = _seal(content, start)
        stop = seal.at if seal else len(content)
        found.append(Structure(sign.decode(), start, tuple(f for f in fields if sum(f) <= stop), seal=seal))
    found += [_old_header(content, start) for start in sorted(_old_headers(content, found))]
    return [one for one in found if one.fields]


def _superblock(content: bytes) -> Structure:
    if content[8] < 2:
        sizes = (*8 * (1,), 2, 2, 4, *6 * (8,), 4, 4, 8, 8)
        return Structure("superblock", 0, tuple(in_order(8, sizes)))
    return Structure("superblock", 0, tuple(in_order(8, (1, 1, 1, 1, 8, 8, 8, 8))), seal=Seal(0, 44, lookup3))


def _body(sign: bytes, content: bytes, start: int) -> Iterator[Field]:
    """Fields behind the head."""
    at = start + 4 + sum(_HEADS[sign])
    if sign == b"TREE":
        entries = int.from_bytes(content[start + 6:start + 8], "little")
        yield from (f for f in grid(at, at + min(entries * 64 + 8, _REACH)) if f[1] >= 4)
    elif sign == b"SNOD":
        symbols = int.from_bytes(content[start + 6:start + 8], "little")
        yield from (f for f in grid(at, at + symbols * _SNOD_ENTRY) if f[1] >= 4)
    elif sign == b"HEAP":  # its list of free blocks lies in its data
        data = int.from_bytes(content[start + 24:start + 32], "little")
        free = int.from_bytes(content[start + 16:start + 24], "little")
        if data + free + 16 <= len(content):
            yield from ((data + free, 8), (data + free + 8, 8))
    elif sign == b"GCOL":
        size, at = int.from_bytes(content[start + 8:start + 16], "little"), start + 16
        while at + 16 <= min(start + size, len(content)):
            yield from in_order(at, (2, 2, 4, 8))
            index, length = struct.unpack_from("<H6xQ", content, at)
            at += 16 + (length + 7) // 8 * 8 if index else max(length, 16)
    elif sign != b"FHDB":
        yield from grid(at, min(at + _REACH, len(content)), step=1)


def _old_headers(content: bytes, found: list[Structure]) -> set[int]:
    """Where object headers without a signature begin: what tables of symbols, and the superblock, point to."""
    starts = {int.from_bytes(content[64:72], "little")} if content[8] < 2 else set()
    for one in found:
        if one.kind == "SNOD":
            symbols = int.from_bytes(content[one.start + 6:one.start + 8], "little")
            entries = (one.start + _SNOD_HEAD + number * _SNOD_ENTRY for number in range(symbols))
            starts |= {int.from_bytes(content[at + 8:at + 16], "little") for at in entries}
    return {at for at in starts if at + 16 < len(content) and content[at] == 1}


def _old_header(content: bytes, start: int) -> Structure:
    fields = [*in_order(start, (1, 1, 2, 4, 4))]
    pieces = [(start + 16, int.from_bytes(content[start + 8:start + 12], "little"))]
    for at, size in pieces:
        stop = min(at + size, len(content))
        while at + 8 <= stop:
            kind, length = struct.unpack_from("<HH", content, at)
            fields += [*in_order(at, (2, 2, 1)), *grid(at + 8, min(at + 8 + length, stop, at + 8 + _REACH))]
            if kind == _CONTINUATION and at + 24 <= len(content) and len(pieces) < 20:
                pieces.append(struct.unpack_from("<QQ", content, at + 8))
            at += 8 + length
    return Structure("object header", start, tuple(fields))


def _new_header(content: bytes, start: int, sign: bytes) -> Structure:
    """An object header of the new layout, or a further piece of one, whose length its checksum tells."""
    head, fields, flags = 4, [], 0
    if sign == b"OCHK":
        seal = _seal(content, start)
        at, stop = start + 4, seal.at if seal else start
    else:
        flags = content[start + 5]
        at = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        stop = at + width + int.from_bytes(content[at:at + width], "little")
        fields = [*in_order(start + 4, (1, 1)), (at, width)]
        at, seal = at + width, Seal(start, stop, lookup3)
    head += 2 if flags & 4 else 0  # the order of creation
    while at + head <= stop:
        length = int.from_bytes(content[at + 1:at + 3], "little")
        body = at + head
        fields += [(at, 1), (at + 1, 2), (at + 3, 1), *grid(body, min(body + length, stop, body + _REACH), step=1)]
        at = body + length
    return Structure(sign.decode(), start, tuple(f for f in fields if sum(f) <= stop), seal=seal)


def _seal(content: bytes, start: int) -> Seal | None:
    """The first place behind a structure's beginning that holds the checksum of all before it."""
    for at in range(start + 8, min(start + _SEAL_REACH, len(content) - 3)):
        if int.from_bytes(content[at:at + 4], "little") == lookup3(content[start:at]):
            return Seal(start, at, lookup3)
    return None


def lookup3(content: bytes) -> int:
    """The checksum of HDF5's metadata. Source: Bob Jenkins, lookup3.c, May 2006, hashlittle, initial value 0."""
    a = b = c = 0xDEADBEEF + len(content) & 0xFFFFFFFF
    if not content:
        return c
    whole = (len(content) - 1) // 12 * 12
    words = struct.unpack(f"<{whole // 4}I", content[:whole])
    for at in range(0, len(words), 3):
        a, b, c = (a + words[at]) & _ALL, (b + words[at + 1]) & _ALL, (c + words[at + 2]) & _ALL
        a = (a - c) & _ALL ^ _turn(c, 4)
        c = (c + b) & _ALL
        b = (b - a) & _ALL ^ _turn(a, 6)
        a = (a + c) & _ALL
        c = (c - b) & _ALL ^ _turn(b, 8)
        b = (b + a) & _ALL
        a = (a - c) & _ALL ^ _turn(c, 16)
        c = (c + b) & _ALL
        b = (b - a) & _ALL ^ _turn(a, 19)
        a = (a + c) & _ALL
        c = (c - b) & _ALL ^ _turn(b, 4)
        b = (b + a) & _ALL
    rest = struct.unpack("<3I", content[whole:].ljust(12, b"\0"))
    a, b, c = (a + rest[0]) & _ALL, (b + rest[1]) & _ALL, (c + rest[2]) & _ALL
    for turn in (14, 11, 25, 16, 4, 14, 24):
        # The last mixing goes round: c by b, a by c, b by a, and so on.
        c = ((c ^ b) - _turn(b, turn)) & _ALL
        a, b, c = b, c, a
    return b


_ALL = 0xFFFFFFFF


def _turn(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _ALL
