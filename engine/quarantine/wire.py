"""Frames between the program and its reader, and the piece of memory that arrays go through."""

from __future__ import annotations

import json
import math
import mmap
import os
import re
import select
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# Type and shape of an array, as its announcement says.
Spec = tuple[np.dtype[Any], tuple[int, ...]]

# The request that ends a stream.
CLOSE = "close"
# Bytes of an array that are handed over at a time.
PIECE = 1 << 22
_MOST_FRAME = 1 << 24
_MOST_AXES, _LONGEST_AXIS = 8, 1 << 40
# Text of no width is none: NumPy would make room for a letter of each.
_PLAIN_DTYPE = re.compile(r"[<>|=]([biu]\d|[fV]\d{1,3}|U[1-9]\d{0,2})")
_LOOK_SECONDS = 0.001


class BrokenWireError(Exception):
    """The other end is gone, silent, or says what nobody says who follows the rules."""


class SilentWireError(BrokenWireError):
    """The other end has said nothing for too long."""


class ClosedWireError(BrokenWireError):
    """The other end is closed: its process has ended."""


def send(pipe: int, message: dict[str, Any]) -> None:
    """Write a frame: JSON values in UTF-8, halves of characters too, behind their length.

    Raises:
        ClosedWireError: nobody reads any longer.
    """
    content = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    rest = memoryview(struct.pack("<I", len(content)) + content)
    try:
        while rest:
            rest = rest[os.write(pipe, rest):]
    except OSError as error:
        raise ClosedWireError("it has ended") from error


def receive(pipe: int, seconds: float = math.inf) -> dict[str, Any]:
    """Read a frame.

    Args:
        seconds: for how long to wait until it is whole.
    Raises:
        SilentWireError: it didn't come in time.
        ClosedWireError: nobody writes any longer.
        BrokenWireError: this is no frame.
    """
    until = time.monotonic() + seconds
    try:
        size = struct.unpack("<I", _read(pipe, 4, until))[0]
        if size > _MOST_FRAME:
            raise BrokenWireError(f"a frame of {size:,} bytes")
        message = json.loads(_read(pipe, size, until))
    except (ValueError, RecursionError, OSError) as error:
        raise BrokenWireError("no frame") from error
    if not isinstance(message, dict):
        raise BrokenWireError("a frame without keys")
    return message


def wait_for(pipe: int, seconds: float) -> None:
    """Come back when something can be read, or the other end is closed.

    Raises:
        SilentWireError: nothing came in time.
    """
    _wait(pipe, time.monotonic() + seconds)


def spec_json(array: Array) -> list[Any]:
    """An array's type and shape as JSON values."""
    return [array.dtype.str, list(array.shape)]


def is_shape(sides: Sequence[Any]) -> bool:
    """Whether these are an array's sides, of a size that may be handed over."""
    return len(sides) <= _MOST_AXES and all(type(n) is int and 0 <= n <= _LONGEST_AXIS for n in sides)


def spec_of(value: Any) -> Spec:
    """The type and shape that JSON values announce.

    Raises:
        BrokenWireError: they aren't those of an array of plain numbers or bytes.
    """
    try:
        name, sides = value
        if not _PLAIN_DTYPE.fullmatch(name) or not is_shape(sides):
            raise BrokenWireError(f"an array of {value!r:.100}")
        return np.dtype(name), tuple(sides)
    except (TypeError, ValueError) as error:
        raise BrokenWireError("an array of no kind") from error


def bytes_of(spec: Spec) -> int:
    """How many bytes an array takes."""
    return spec[0].itemsize * math.prod(spec[1])


def pieces(arrays: Iterable[Array]) -> Iterator[memoryview]:
    """The memory of arrays, each stored in one go, in the pieces in which it is handed over."""
    for array in arrays:
        memory = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(memory), PIECE):
            yield memory[start:start + PIECE]


class Area:
    """Memory that both sides share: the reader writes into it, the program reads it like a file.

    On Linux a file without name in memory, on macOS a temporary one without name, on Windows a named piece of memory
    that ends with its last user. A mapping on the program's side would die of a file that the reader cuts off.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._memory: mmap.mmap | None = None
        if sys.platform == "win32":
            self.name = f"goodnet-{uuid.uuid4().hex}"
            self._memory = mmap.mmap(-1, PIECE, tagname=self.name)
            return
        if sys.platform == "linux":
            self._file = os.fdopen(os.memfd_create("goodnet"), "w+b", buffering=0)
        else:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed by close()
        self._file.truncate(PIECE)
        self.name = str(self._file.fileno())

    @property
    def handles(self) -> tuple[int, ...]:
        """What the reader has to inherit."""
        return (self._file.fileno(),) if self._file else ()

    def copy_to(self, target: memoryview) -> None:
        """Fill a piece of an array from the area's beginning.

        Raises:
            BrokenWireError: the area was cut off.
        """
        if self._file is None:
            assert self._memory
            target[:] = self._memory[:len(target)]
            return
        self._file.seek(0)
        if self._file.readinto(target) != len(target):  # type: ignore[attr-defined]
            raise BrokenWireError("the memory was cut off")

    def close(self) -> None:
        """Give the memory back."""
        for part in (self._file, self._memory):
            if part:
                part.close()


def attached(name: str) -> mmap.mmap:
    """The reader's side of the area of that name, to write into."""
    if sys.platform == "win32":
        return mmap.mmap(-1, PIECE, tagname=name)
    memory = mmap.mmap(int(name), PIECE)
    os.close(int(name))
    return memory


def _read(pipe: int, size: int, until: float) -> bytes:
    content = bytearray()
    while len(content) < size:
        if until < math.inf:
            _wait(pipe, until)
        part = os.read(pipe, min(size - len(content), 1 << 16))
        if not part:
            raise ClosedWireError("it has ended")
        content += part
    return bytes(content)


def _wait(pipe: int, until: float) -> None:
    """Come back when something can be read, or the other end is closed."""
    if sys.platform == "win32":
        import _winapi
        import msvcrt
        with suppress(OSError):  # closed: reading says so
            while not _winapi.PeekNamedPipe(msvcrt.get_osfhandle(pipe), 0)[0]:
                if time.monotonic() > until:
                    raise SilentWireError("it says nothing")
                time.sleep(_LOOK_SECONDS)
        return
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise SilentWireError("it says nothing")
