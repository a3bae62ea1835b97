"""Opening HDF5 files of strangers: nothing outside the file is read, nothing absurd is allocated."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO

import h5py

from engine.errors import EngineError, in_short
from engine.files.existing import check_is_file
from engine.files.parsing.hdf5_blocks import FIRST_PLUGIN
from engine.files.parsing.hdf5_headers import dense_parts, has_usual_addresses

# Deflate can't shrink anything by more than about 1,032; a set that claims more holds no data. Other ways of packing,
# which come as plugins, make what repeats as small as they like: bzip2 one-hot labels of nine images each 400,000
# times. Of those the limits on blocks and on the numbers that are read hold.
_MOST_COMPRESSION, _MOST_BY_PLUGIN = 1100, 1_000_000
_SMALL_BYTES = 1 << 20
# A compressed block is unpacked whole, whatever part of it is asked for.
_MOST_BLOCK_BYTES = 1 << 29
_MOST_OBJECTS = 100_000
_MOST_NESTED = 100
_HEAP = b"GCOL\1\0\0\0"
_MOST_HEAP_BYTES = 1 << 26

# What h5py raises on damaged files, besides errors of the file system.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError,
           MemoryError, AssertionError, NotImplementedError)


@contextmanager
def open_hdf5(
    source: Path | BinaryIO, name: str, error: type[EngineError], *, attributes: bool = False,
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after checking that it keeps to itself.

    Args:
        source: where it is, or an open file.
        name: what to call it in messages.
        error: the class of what is raised.
        attributes: whether attributes will be read too, not only arrays.
    Raises:
        EngineError: of class `error`: not HDF5, truncated, links out of the file, impossible sizes,
            or whatever h5py meets while the file is in use.
    """
    if isinstance(source, Path):
        check_is_file(source, error, name)
    try:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
            if attributes:
                check_heaps(stream, name, error)
            with h5py.File(source, "r") as file:
                stream.seek(0)
                _Checker(file, stream, name, error).check(attributes)
                yield file
    except _DAMAGE as found:
        if isinstance(found, OSError) and "truncated file" in str(found):  # h5py's own words are addresses
            raise error(f"{name}: is cut off, as after a download that broke off. Copy it again from its source."
                        ) from found
        raise error(f"{name}: can't be read as HDF5 ({in_short(found)}). {_remedy(found)}") from found


def open_array(group: h5py.Group, key: str) -> h5py.Dataset:
    """A dataset whose blocks are kept unpacked while neighbouring entries of its first axis are read.

    HDF5's own cache of 1 MB is too small for most compressed data sets: without this every image unpacks
    all blocks it lies in once more.

    Returns:
        The dataset; while it is used, up to 512 MB of unpacked blocks are kept.
    """
    access: Any = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(*_cache_for(group[key]))
    # All that is open shares what the first one asked for, so nothing may be open here.
    return h5py.Dataset(h5py.h5d.open(group.id, key.encode(), access))


def _cache_for(dataset: h5py.Dataset) -> tuple[int, int, float]:
    """Slots, bytes and eviction of a cache for two rows of blocks: the one that is read and the next."""
    if not dataset.chunks:
        return 521, _SMALL_BYTES, 0.75
    row = dataset.chunks[0] * math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    blocks = math.prod(math.ceil(n / c) for n, c in zip(dataset.shape[1:], dataset.chunks[1:], strict=True))
    return 100 * blocks + 1, min(max(3 * row, _SMALL_BYTES), _MOST_BLOCK_BYTES), 0.75


def check_heaps(stream: IO[bytes], name: str, error: type[EngineError]) -> None:
    """Refuse a file whose store of words would send the HDF5 library round in a circle for ever.

    Each store begins with a signature and holds entries that say how long they are; the library goes from one to the
    next without looking whether it gets on. Not needed where only numbers are read.

    Raises:
        EngineError: of class `error`: a store is damaged, or the file isn't as HDF5 has been written for 25 years.
    """
    damaged = error(f"{name}: can't be read as HDF5 (its store of words is damaged). Copy it again from its source.")
    stream.seek(0)
    if not has_usual_addresses(stream.read(16)):
        raise damaged
    for start in _heaps(stream):
        stream.seek(start)
        size = int.from_bytes(stream.read(16)[8:], "little")
        at, content = 0, stream.read(max(0, min(size - 16, _MOST_HEAP_BYTES)))
        while at + 16 <= size - 16:
            entry, length = struct.unpack_from("<H6xQ", content, at) if at + 16 <= len(content) else (0, 0)
            step = 16 + (length + 7) // 8 * 8 if entry else length
            if step < 16 or at + step > size - 16:
                raise damaged
            at += step


def _heaps(stream: IO[bytes]) -> Iterator[int]:
    """Where stores of words begin."""
    at, content = 0, b""
    while True:
        stream.seek(at)
        content = stream.read(_SMALL_BYTES)
        found = content.find(_HEAP)
        while found >= 0:
            yield at + found
            found = content.find(_HEAP, found + 1)
        if len(content) < _SMALL_BYTES:
            return
        at += len(content) - len(_HEAP) + 1


class _Checker:
    """Looks at every object of a file once; hard links may lead in circles, so not by recursion."""

    def __init__(self, file: h5py.File, stream: IO[bytes], name: str, error: type[EngineError]) -> None:
        self._file, self._stream, self._name, self._error = file, stream, name, error

    def check(self, attributes: bool) -> None:
        """Raises an error of the class wanted; see open_hdf5."""
        start = self._stream.read(16)
        if start.startswith(b"MATLAB"):
            raise self._error(f"{self._name}: is a MATLAB file of version 7.3, whose arrays lie the other way round "
                              "than in other files; refused. Save it again as version 7: save(..., '-v7').")
        if not has_usual_addresses(start):
            raise self._error(f"{self._name}: isn't HDF5 as it has been written for 25 years, or something else stands "
                              "before it in the file (a user block); refused. Save the arrays to a new file.")
        waiting: list[tuple[str, h5py.Group | h5py.Dataset]] = [("", self._file)]
        seen: set[int] = set()
        while waiting:
            path, item = waiting.pop()
            address = _address(item)
            if address in seen:
                continue
            seen.add(address)
            self._refuse_dense(item, address, path, attributes)
            if isinstance(item, h5py.Dataset):
                _check_array(item, f"{self._name}: '{path}'", self._error)
                continue
            for key in item:
                _refuse_link(item, key, f"{self._name}: '{path}/{key}'", self._error)
                child = item[key]
                if isinstance(child, h5py.Group | h5py.Dataset):
                    waiting.append((f"{path}/{key}", child))
            if len(seen) + len(waiting) > _MOST_OBJECTS or path.count("/") > _MOST_NESTED:
                raise self._error(f"{self._name}: '{path[:100]}' holds too many objects or is nested too deeply; "
                                  "refused. Save the file again.")

    def _refuse_dense(self, item: h5py.Group | h5py.Dataset, address: int, path: str, attributes: bool) -> None:
        links, notes = dense_parts(self._stream, address, self._file.userblock_size)
        if links or (notes and attributes):
            raise self._error(
                f"{self._name}: '{path or '/'}' lists its parts in a way that makes the HDF5 library crash where a "
                "file is damaged; refused. Save it again with h5py's usual settings (without libver).")


def _address(item: h5py.Group | h5py.Dataset) -> int:
    low, high = h5py.h5g.get_objinfo(item.id).objno  # two C longs, which have 4 bytes on Windows
    return int(low | high << 8 * struct.calcsize("L"))


def _refuse_link(group: h5py.Group, key: str, where: str, error: type[EngineError]) -> None:
    kinds = {h5py.h5l.TYPE_EXTERNAL: "an external", h5py.h5l.TYPE_SOFT: "a soft"}
    kind = group.id.links.get_info(key.encode("utf-8", "surrogateescape")).type
    if kind == h5py.h5l.TYPE_HARD:
        return
    target = f" to '{group.get(key, getlink=True).path}'" if kind in kinds else ""
    raise error(f"{where} is {kinds.get(kind, 'an unknown kind of')} link{target}; such files are refused because "
                "they can read other data than they show. Ask for a copy with the data inside.")


def _check_array(item: h5py.Dataset, where: str, error: type[EngineError]) -> None:
    if item.external or item.is_virtual:
        raise error(f"{where} keeps its data in other files; such files are refused. "
                    "Ask for a copy with the data inside.")
    size, stored = math.prod(item.shape or ()) * item.dtype.itemsize, item.id.get_storage_size()
    packed = item.id.get_create_plist()
    plugins = {packed.get_filter(number)[0] for number in range(packed.get_nfilters())} - {h5py.h5z.FILTER_LZF}
    most = _MOST_BY_PLUGIN if max(plugins, default=0) >= FIRST_PLUGIN else _MOST_COMPRESSION
    if size > _SMALL_BYTES and size > stored * most:
        raise error(f"{where} declares {size:,} bytes but stores {stored:,}; "
                    "the file is damaged or made to exhaust memory.")
    block = math.prod(item.chunks) * item.dtype.itemsize if item.chunks else 0
    if block > _MOST_BLOCK_BYTES:
        raise error(f"{where} is packed in blocks of {block:,} bytes; more than {_MOST_BLOCK_BYTES:,} is refused. "
                    "Save it again in smaller blocks (h5py: chunks=True).")


def _remedy(found: BaseException) -> str:
    text = str(found)
    if "eof" in text:
        return "The file is cut off: copy it again from its source."
    # It looks for the filter's plugin and doesn't find its folder, which the environment may name.
    if "filter" in text or "plugin" in text or "open directory" in text:
        return "Its data is compressed with a filter that isn't installed; save it again with gzip."
    return "A file in HDF5 format was expected; copy it again or choose another one."
