"""Compressed blocks of HDF5 arrays, measured before the library unpacks them. Runs in the reader's process only.

The HDF5 library believes that a block unpacks to the size that the array declares. Of a shorter one it hands over what
happens to lie behind it in memory, or dies of it; a longer one it unpacks to its end, however many gigabytes that are.
"""

from __future__ import annotations

import bz2
import itertools
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import h5py

from engine.errors import EngineError

# Numbers of filters, as the HDF Group has registered them. Those from the first on are plugins.
FIRST_PLUGIN = 256
_SHUFFLE, _FLETCHER32, _CHECKSUM_BYTES = 2, 3, 4
_BITSHUFFLE_COMPRESSES = 4
_ZSTD_SINGLE_SEGMENT = 0x20


class BlockChecker:
    """Measures each block of an array once.

    Other filters than those of _ALLOWED can't be measured without unpacking in C, so they are refused: szip, n-bit,
    scale-offset, Blosc2, ZFP, SZ and all others.

    Args:
        where: what to call the array in messages.
        error: the class of what is raised.
    """

    def __init__(self, array: h5py.Dataset, where: str, error: type[EngineError]) -> None:
        self._array, self._where, self._error = array, where, error
        plist = array.id.get_create_plist()
        self._filters = [plist.get_filter(i) for i in range(plist.get_nfilters())] if array.chunks else []
        self._size = math.prod(array.chunks or ()) * array.dtype.itemsize
        self._measured: set[int] = set()
        if any(code >= FIRST_PLUGIN and not h5py.h5z.filter_avail(code) for code, *_ in self._filters):
            import hdf5plugin  # noqa: F401  registers the compressions that published data sets use

    def check_all(self) -> None:
        """Measure all blocks, as check does."""
        self.check(0, self._array.shape[0] if self._array.shape else 0)

    def check(self, start: int, stop: int) -> None:
        """Measure the blocks that hold entries start to stop - 1 of the first axis.

        Raises:
            EngineError: of class `error`: one isn't of the size that the array declares.
        """
        if not self._filters:
            return
        for code, _, _, name in self._filters:
            if code not in _ALLOWED:
                called = name.decode("ascii", "replace")[:40] or code
                raise self._error(f"{self._where} is packed by the filter {called}, whose blocks can't be measured "
                                  "before they are unpacked; refused. Save it again with gzip.")
        (_, height), *others = zip(self._array.shape, self._array.chunks, strict=True)
        for row in range(start // height * height, min(stop, len(self._array)), height):
            if row not in self._measured:
                for rest in itertools.product(*(range(0, length, side) for length, side in others)):
                    self._measure((row, *rest))
                self._measured.add(row)

    def _measure(self, offset: tuple[int, ...]) -> None:
        if not self._array.id.get_chunk_info_by_coord(offset).size:
            return  # never written: it holds the fill value
        skipped, content = self._array.id.read_direct_chunk(offset)
        used = [found for number, found in enumerate(self._filters) if not skipped >> number & 1]
        packers = [number for number, found in enumerate(used) if found[0] not in (_SHUFFLE, _FLETCHER32)]
        if len(packers) > 1:
            raise self._damaged("is compressed more than once")
        at = packers[0] if packers else len(used)
        before, behind = (sum(found[0] == _FLETCHER32 for found in part) for part in (used[:at], used[at + 1:]))
        content = content[:max(0, len(content) - _CHECKSUM_BYTES * behind)]
        expected = self._size + _CHECKSUM_BYTES * before
        try:
            size = self._unpacked_size(used[at], content, expected) if packers else len(content)
        except (zlib.error, OSError, IndexError, struct.error) as found:
            raise self._damaged(f"can't be unpacked ({found})") from found
        if size != expected:
            raise self._damaged(f"unpacks to {'more than ' * (size < 0)}{abs(size):,} bytes instead of {expected:,}")

    @staticmethod
    def _unpacked_size(packer: Sequence[Any], content: bytes, most: int) -> int:
        """How many bytes a block holds, negative if there are more than these."""
        code, _, options, _ = packer
        if code in _UNPACKERS:
            size = len(_UNPACKERS[code]().decompress(content, most + 1))
            return size if size <= most else -most
        return _SIZES[code](content, options)

    def _damaged(self, found: str) -> EngineError:
        return self._error(f"{self._where} holds a block that {found}; the file is damaged or made to do harm. "
                           "Copy it again from its source, or don't use it.")


def _number(layout: str, at: int) -> Callable[[bytes, Sequence[int]], int]:
    """For what says its unpacked size at a certain place and keeps to it."""
    return lambda content, _: int(struct.unpack_from(layout, content, at)[0])


def _lzf_size(content: bytes, _: Sequence[int]) -> int:
    """Source: LibLZF's format: runs of up to 32 bytes as they are, and repetitions of up to 264."""
    at = size = 0
    while at < len(content):
        head = content[at]
        if head < 32:
            at += head + 2
            size += head + 1
        elif head < 224:
            at += 2
            size += (head >> 5) + 2
        else:
            size += content[at + 1] + 9
            at += 3
    return size


def _bitshuffle_size(content: bytes, options: Sequence[int]) -> int:
    compresses = len(options) > _BITSHUFFLE_COMPRESSES and options[_BITSHUFFLE_COMPRESSES]
    return int(struct.unpack_from(">Q", content)[0]) if compresses else len(content)


def _zstd_size(content: bytes, _: Sequence[int]) -> int:
    """Source: RFC 8878, section 3.1.1.1: the frame's header, which the filter always gives a size."""
    flags = content[4]
    at = 5 + (0 if flags & _ZSTD_SINGLE_SEGMENT else 1) + (0, 1, 2, 4)[flags & 3]
    layout = ("<B" if flags & _ZSTD_SINGLE_SEGMENT else "", "<H", "<I", "<Q")[flags >> 6]
    if not layout:
        raise IndexError("its size isn't given")
    return int(struct.unpack_from(layout, content, at)[0]) + (256 if layout == "<H" else 0)


_UNPACKERS: dict[int, Callable[[], Any]] = {1: zlib.decompressobj, 307: bz2.BZ2Decompressor}
_SIZES: dict[int, Callable[[bytes, Sequence[int]], int]] = {
    32000: _lzf_size, 32001: _number("<I", 4), 32004: _number(">Q", 0), 32008: _bitshuffle_size, 32015: _zstd_size,
}
# gzip, bzip2, LZF, Blosc, LZ4, Bitshuffle and Zstd, besides what moves bytes about or adds a checksum.
_ALLOWED = {_SHUFFLE, _FLETCHER32, *_UNPACKERS, *_SIZES}
