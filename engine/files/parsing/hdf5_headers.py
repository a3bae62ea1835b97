"""Looks into HDF5 object headers without the HDF5 library, which crashes on damaged files of some kinds.

Source: HDF5 File Format Specification, version 3.0, sections II.A (superblock) and IV.A (object headers).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

_LINK_INFO, _CONTINUATION, _ATTRIBUTE_INFO = 0x02, 0x10, 0x15
_NOWHERE = b"\xff" * 8
_MOST_PIECES = 1000


def has_usual_addresses(start: bytes) -> bool:
    """Whether a file, of which this is the beginning, counts in 8 bytes, as all have for 25 years."""
    return (start[13:15] if start[8:9] in (b"\0", b"\1") else start[9:11]) == b"\x08\x08"


def dense_parts(file: IO[bytes], address: int, base: int) -> tuple[bool, bool]:
    """Whether an object has its links, and its attributes, in fractal heaps.

    Damaged ones make HDF5 1.14 free memory twice as soon as they are listed.

    Args:
        file: of 8-byte addresses.
        address: of the object's header, as the HDF5 library gives it; base: where the file's addresses begin.
    Raises:
        ValueError: there is no object header, or a damaged one.
    """
    links = attributes = False
    try:
        for kind, content in _messages(file, address, base):
            if kind == _LINK_INFO:
                links |= _has_heap(content, 8)
            elif kind == _ATTRIBUTE_INFO:
                attributes |= _has_heap(content, 2)
    except struct.error as error:
        raise ValueError("an object header is cut off") from error
    return links, attributes


def _has_heap(content: bytes, order_size: int) -> bool:
    """The heap's address stands behind two bytes and, if the first bit of the second is set, the largest index."""
    at = 2 + (order_size if content[1:2] and content[1] & 1 else 0)
    return content[at:at + 8] != _NOWHERE


def _messages(file: IO[bytes], address: int, base: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each message of a header, its continuations included."""
    start = _read(file, base + address, 16)
    newer = start.startswith(b"OHDR")
    if newer:
        flags = start[5]
        at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(_read(file, base + at, width), "little")
        pieces, head = [(at + width, size)], 6 if flags & 4 else 4
    else:
        pieces, head = [(address + 16, struct.unpack_from("<I", start, 8)[0])], 8
    for number in range(_MOST_PIECES):
        if number == len(pieces):
            return
        piece = _read(file, base + pieces[number][0], pieces[number][1])
        if newer and number:
            piece = piece[4:-4]  # a signature and a checksum
        at = 0
        while at + head <= len(piece):
            kind, length = struct.unpack_from("<BH" if newer else "<HH", piece, at)
            content = piece[at + head:at + head + length]
            yield kind, content
            if kind == _CONTINUATION:
                pieces.append(struct.unpack_from("<QQ", content))
            at += head + length
    raise ValueError("an object header goes on without end")


def _read(file: IO[bytes], at: int, size: int) -> bytes:
    if at < 0 or at > 1 << 62 or size > 1 << 26:
        raise ValueError("an object header points outside the file")
    file.seek(at)
    content = file.read(size)
    if len(content) < size:
        raise ValueError("an object header is cut off")
    return content
