"""What is at a path: whether there is a file at all, what kind its first bytes are of, and whose computer it is."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from engine.errors import EngineError, in_short

_BEGINNINGS = (
    (b"\xff\xd8\xff", "a JPEG picture"), (b"\x89PNG", "a PNG picture"), (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"), (b"II*\0", "a TIFF picture"), (b"MM\0*", "a TIFF picture"), (b"RIFF", "a WebP picture"),
    (b"%PDF", "a PDF document"), (b"PK", "a zip archive"), (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"), (b"\x89HDF", "an HDF5 file"),
)


# Path's own three raise where a folder on the way may not be entered or a name is too long; these say no, and opening
# says why.
def is_file(path: Path) -> bool:
    """Whether a regular file can be seen at a path."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder can be seen at a path."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """Whether anything can be seen at a path."""
    return os.path.exists(path)  # noqa: PTH110


def check_is_file(path: Path, error: type[EngineError], name: str | None = None) -> None:
    """Raises:
    EngineError: of class `error`, when `path` isn't an existing, readable, non-empty file.
    """
    name = name or str(path)
    try:
        if not path.exists():
            raise error(f"{name}: there is no such file. Check the name.")
        if path.is_dir():
            raise error(f"{name}: is a folder; a file was expected. Choose a file in it.")
        if not path.is_file():
            raise error(f"{name}: is a device or pipe; a file was expected. Save what it gives as a file.")
        if not os.access(path, os.R_OK):
            raise error(f"{name}: may not be read by this user. Change its permissions or copy it.")
        if path.stat().st_size == 0:
            raise error(f"{name}: is empty (0 bytes). Copy it again from its source.")
    except (OSError, ValueError) as found:  # a name too long for the file system, or with a null character
        raise error(f"{name}: can't be read ({in_short(found)}). Check the name.") from found


def kind_of(beginning: bytes) -> str:
    """Such as "a JPEG picture".

    Args:
        beginning: the file's first bytes, eight are enough.
    """
    # Two letters begin many a text; in files of these kinds bytes follow that no text has.
    words = all(byte >= 32 or byte in b"\t\r\n" for byte in beginning)
    for magic, kind in _BEGINNINGS:
        if beginning.startswith(magic) and not (words and len(magic) == 2):
            return kind
    if not beginning:
        return "empty"
    return "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in beginning) else "a file of another kind"


def on_another_machine(path: PurePath, folder: PurePath) -> bool:
    r"""Whether a path leads to a computer (\\name\share) that isn't the folder's, and would learn who asks."""
    return path.anchor.startswith("\\\\") and path.anchor != folder.anchor
