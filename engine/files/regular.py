"""Regular files and nothing else: a pipe or device in a file's place is never opened, so that nothing waits for it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegular(OSError):
    """A folder, pipe, socket or device stands where a file was expected."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, following links.

    Raises:
        NotRegular: it isn't a regular file, before the opening or after.
        OSError: it isn't there or may not be read.
        ValueError: its name has a null character.
    """
    _check(path.stat())
    # Non-blocking, because a pipe may have taken its place since it was looked at.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(os.fstat(handle))
        return os.fdopen(handle, "rb")
    except OSError:
        os.close(handle)
        raise


def read_regular(path: Path, most_bytes: int) -> bytes:
    """All of a file that may have so many bytes.

    Raises:
        OSError, ValueError: as open_regular.
        ValueError: it is larger.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(most_bytes + 1) if size <= most_bytes else b""
    if size > most_bytes or len(content) > most_bytes:
        raise ValueError(f"it has {max(size, len(content)):,} bytes, and at most {most_bytes:,} were expected")
    return content


def _check(found: os.stat_result) -> None:
    for test, word in ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")):
        if test(found.st_mode):
            raise NotRegular(f"it is {word}; a file was expected")
    if not stat.S_ISREG(found.st_mode):
        raise NotRegular("it is a device; a file was expected")
