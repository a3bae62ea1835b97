"""SHA-256 of what lies on the disk, by which a file is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from engine.files.regular import open_regular
from engine.progress import NEVER_CANCELLED, CancelToken

_BLOCK_BYTES = 1 << 20


def sha256_of(files: Iterable[Path], cancel: CancelToken = NEVER_CANCELLED) -> str:
    """SHA-256 in hexadecimal of files one after the other, read piece by piece.

    Raises:
        OSError: one can't be read or isn't a regular file.
        Cancelled: the token was set.
    """
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file) as stream:
            while block := stream.read(_BLOCK_BYTES):
                cancel.raise_if_cancelled()
                digest.update(block)
    return digest.hexdigest()
