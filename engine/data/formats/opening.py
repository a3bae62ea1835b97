"""A stranger's file opened: whatever goes wrong while it is in use becomes one sentence."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from engine.data.sources.beginnings import GZIP
from engine.errors import DatasetError, in_short
from engine.files.existing import check_is_file

_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, KeyError, IndexError, TypeError, AttributeError, MemoryError,
           OverflowError, SyntaxError, zlib.error, struct.error)


@contextmanager
def opened(path: Path, what: str, *, unpack: bool = False) -> Iterator[IO[bytes]]:
    """Open a file to read.

    Args:
        what: the kind of file, for the sentence.
        unpack: whether what gzip has packed is unpacked on the way.
    Raises:
        DatasetError: it isn't there, or whatever is met while it is in use.
    """
    check_is_file(path, DatasetError)
    try:
        with path.open("rb") as stream:
            packed = unpack and stream.read(2) == GZIP
            stream.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield stream
    except _DAMAGE as error:
        raise DatasetError(f"{path}: the {what} is damaged ({in_short(error)}). Copy it again from its source.") \
            from error


def exactly(stream: IO[bytes], size: int) -> bytes:
    """So many bytes.

    Raises:
        EOFError: there are fewer.
    """
    content = stream.read(size)
    if len(content) != size:
        raise EOFError(f"it ends after {len(content):,} of {size:,} bytes")
    return content
