"""Opening HDF5 files of strangers: nothing outside the file is read, nothing absurd is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py

from engine.errors import EngineError

# Deflate can't shrink anything by more than about 1,032; a set that claims more holds no data.
_MOST_COMPRESSION = 1100
_SMALL_BYTES = 1 << 20


@contextmanager
def open_hdf5(source: Path | IO[bytes], name: str, error: type[EngineError]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after checking that it keeps to itself.

    Args:
        source: the file, or a seekable binary stream of it.
        name: what to call it in messages.
        error: the class of what is raised.
    Raises:
        EngineError: of class `error`: not HDF5, truncated, links out of the file, impossible sizes,
            or whatever h5py meets while the file is in use.
    """
    if isinstance(source, Path):
        check_is_file(source, error)
    try:
        with h5py.File(source, "r") as file:
            _refuse_outside_links(file, name, error)
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as found:
        raise error(f"{name}: can't be read as HDF5 ({_short(found)}). {_remedy(found)}") from found


def check_is_file(path: Path, error: type[EngineError]) -> None:
    """Raises:
    EngineError: of class `error`, when `path` isn't an existing, readable, non-empty file.
    """
    if not path.exists():
        raise error(f"{path}: there is no such file. Check the name.")
    if not path.is_file():
        raise error(f"{path}: is a folder; a file was expected.")
    if not os.access(path, os.R_OK):
        raise error(f"{path}: may not be read by this user. Change its permissions or copy it.")
    if path.stat().st_size == 0:
        raise error(f"{path}: is empty (0 bytes). Copy it again from its source.")


def _refuse_outside_links(group: h5py.Group, name: str, error: type[EngineError]) -> None:
    for key in group:
        link = group.get(key, getlink=True)
        where = f"{name}: '{group.name.rstrip('/')}/{key}'"
        if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
            kind = "external" if isinstance(link, h5py.ExternalLink) else "soft"
            raise error(f"{where} is a {kind} link to '{link.path}'; such files are refused because they "
                        "can read other data than they show. Ask for a copy with the data inside.")
        item = group[key]
        if isinstance(item, h5py.Group):
            _refuse_outside_links(item, name, error)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise error(f"{where} keeps its data in other files; such files are refused. "
                            "Ask for a copy with the data inside.")
            stored = item.id.get_storage_size()
            if item.nbytes > _SMALL_BYTES and item.nbytes > stored * _MOST_COMPRESSION:
                raise error(f"{where} declares {item.nbytes:,} bytes but stores {stored:,}; "
                            "the file is damaged or made to exhaust memory.")


def _short(found: BaseException) -> str:
    return str(found).strip("'\"").splitlines()[0][:160] if str(found) else type(found).__name__


def _remedy(found: BaseException) -> str:
    text = str(found)
    if "truncated" in text or "eof" in text:
        return "The file is cut off: copy it again from its source."
    if "filter" in text:
        return "Its data is compressed with a filter that isn't installed; save it again with gzip."
    return "A file in HDF5 format was expected; copy it again or choose another one."
