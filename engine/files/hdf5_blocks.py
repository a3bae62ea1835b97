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
from collections.abc import Callable
from typing import Any

import h5py

from engine.errors import EngineError

# Numbers of filters, as the HDF Group has registered them. Those from the first on are plugins.
_FIRST_PLUGIN = 256
_SHUFFLE, _FLETCHER32, _CHECKSUM_BYTES = 2, 3, 4
_UNPACKERS: dict[int, Callable[[], Any]] = {1: zlib.decompressobj, 307: bz2.BZ2Decompressor}
# Blosc, LZ4 and Bitshuffle begin with the unpacked size, and keep to it.
_HEADERS = {32001: ("<I", 4), 32004: (">Q", 0)}
# Of what is compressed more than once, the smaller form may be a little larger than the block itself.
_GROWTH, _SLACK_BYTES = 2, 1 << 16


class BlockChecker:
    """Measures each block of an array once.

    Other compressions than gzip, bzip2, Blosc and LZ4 can't be measured without unpacking them in C; what they do wrong
    they do to the reader.

    Args:
        where: what to call the array in messages.
        error: the class of what is raised.
    """

    def __init__(self, array: h5py.Dataset, where: str, error: type[EngineError]) -> None:
        self._array, self._where, self._error = array, where, error
        plist = array.id.get_create_plist()
        self._filters = [int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters())] if array.chunks else []
        self._size = math.prod(array.chunks or ()) * array.dtype.itemsize
        self._measured: set[int] = set()
        if any(code >= _FIRST_PLUGIN and not h5py.h5z.filter_avail(code) for code in self._filters):
            import hdf5plugin  # noqa: F401  registers the compressions that published data sets use

    def check(self, start: int, stop: int) -> None:
        """Measure the blocks that hold entries start to stop - 1 of the first axis.

        Raises:
            EngineError: of class `error`: one isn't of the size that the array declares.
        """
        if not self._filters:
            return
        (_, height), *others = zip(self._array.shape, self._array.chunks, strict=True)
        for row in range(start // height * height, min(stop, len(self._array)), height):
            if row not in self._measured:
                for rest in itertools.product(*(range(0, length, side) for length, side in others)):
                    self._measure((row, *rest))
                self._measured.add(row)

    def check_all(self) -> None:
        """Measure all blocks, as check does."""
        self.check(0, self._array.shape[0] if self._array.shape else 0)

    def _measure(self, offset: tuple[int, ...]) -> None:
        if not self._array.id.get_chunk_info_by_coord(offset).size:
            return  # never written: it holds the fill value
        skipped, content = self._array.id.read_direct_chunk(offset)
        used = [code for number, code in enumerate(self._filters) if not skipped >> number & 1]
        size = len(content)
        while used:
            code = used.pop()
            if code in _UNPACKERS:
                most = self._size if not used else _GROWTH * self._size + _SLACK_BYTES
                try:
                    content = _UNPACKERS[code]().decompress(content, most + 1)
                except (zlib.error, OSError) as found:
                    raise self._damaged(f"can't be unpacked ({found})") from found
                size = len(content)
                if size > most:
                    raise self._damaged(f"unpacks to more than {most:,} bytes")
            elif code == _FLETCHER32:
                content = content[:-_CHECKSUM_BYTES]
                size = len(content)
            elif code in _HEADERS:
                layout, at = _HEADERS[code]
                size, used = struct.unpack_from(layout, content.ljust(at + 8), at)[0], []
            elif code != _SHUFFLE:
                return
        if size != self._size:
            raise self._damaged(f"unpacks to {size:,} bytes instead of {self._size:,}")

    def _damaged(self, found: str) -> EngineError:
        return self._error(f"{self._where} holds a block that {found}; the file is damaged or made to do harm. "
                           "Copy it again from its source, or don't use it.")
