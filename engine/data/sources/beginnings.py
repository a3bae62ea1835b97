"""Which kind of data file begins with which bytes. A look at the first few hundred, nothing is parsed."""

from __future__ import annotations

import struct
from pathlib import Path

from engine.data.sources.checksums import masked_sum
from engine.errors import DatasetError

GZIP = b"\x1f\x8b"
_LOOK_BYTES = 512
_TAR, _TAR_AT = b"ustar", 257
_PICKLE = tuple(b"\x80" + bytes([version]) for version in range(2, 6))
_IDX = tuple(b"\0\0" + bytes([kind, axes]) for kind in (8, 9, 11, 12, 13, 14) for axes in range(1, 5))
_HDF5 = b"\x89HDF"
_BY_ENDING = {".bin": "cifar", ".csv": "csv", ".tsv": "csv"}
# Endings that say what other programs save with pickle, whatever it begins with.
_PICKLED = (".pkl", ".pickle", ".joblib")


def kind_of_data(path: Path) -> str:
    """What a data file is: "npz", "npy", "idx", "cifar", "mat", "tar", "tfrecord", "parquet", "csv", or else "hdf5".

    Raises:
        DatasetError: a pickle.
        OSError: it can't be read.
    """
    if not path.is_file():
        return "hdf5"  # which says what is wrong with it
    with path.open("rb") as stream:
        beginning = stream.read(_LOOK_BYTES)
    ending = path.suffix.lower()
    if beginning.startswith(_HDF5):
        return "hdf5"
    if beginning.startswith(_PICKLE) or ending in _PICKLED:
        raise DatasetError(f"{path}: is a pickle, and loading one runs whatever program code is in it; refused. Save "
                           "the arrays where it was made: numpy.savez('data.npz', data=images, label=labels). Of "
                           "CIFAR choose the binary version.")
    if beginning.startswith(GZIP):
        return "tar" if ".tar" in path.name.lower() or ending == ".tgz" else \
            "tfrecord" if ".tfrecord" in path.name.lower() else "idx"
    for kind, begins in (("npz", b"PK"), ("npy", b"\x93NUMPY"), ("parquet", b"PAR1"), ("mat", b"MATLAB 5.0"),
                         ("idx", _IDX)):
        if beginning.startswith(begins):
            return kind
    if beginning[_TAR_AT:_TAR_AT + len(_TAR)] == _TAR:
        return "tar"
    if starts_with_record(beginning):
        return "tfrecord"
    return _BY_ENDING.get(ending, "hdf5")


def starts_with_record(beginning: bytes) -> bool:
    """Whether a file's first 12 bytes are the length of a TFRecord's record and the sum that guards it."""
    return len(beginning) >= 12 and masked_sum(beginning[:8]) == struct.unpack_from("<I", beginning, 8)[0]
