"""Single picture files, made into what a network sees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from engine.errors import DatasetError
from engine.files.existing import is_there
from engine.quarantine.client import READER
from engine.quarantine.wire import Array, BrokenWireError

Picture = npt.NDArray[np.uint8]

# Unpacked and made upright, composed and converted, each takes up to 20 bytes for a while.
MOST_PIXELS = 1 << 26
MOST_ENTRIES = 250_000
SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
    ".pbm", ".pnm", ".tga", ".ico", ".jp2", ".avif", ".pcx", ".sgi", ".dds",
})
# What lies beside pictures and says something of them, or is a system's; of any other file somebody may think that it
# is looked at.
_BESIDE = frozenset({
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".rst", ".html", ".htm", ".log", ".pdf",
    ".db", ".ini", ".py", ".ipynb", ".sh", ".md5", ".sha256",
})
# Photographs are cropped by about as much as that; of more a person is told.
_MOST_OUTSIDE = 0.3
# What the reader tells of a look: bits, 0 or 1 for declared, the largest value, height and width.
LOOK = (np.dtype(np.int64), (5,))
LOOK_BYTES = LOOK[0].itemsize * 5
# Those of formats in which values may have 16 bits.
DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".jp2"})


@dataclass(frozen=True)
class Look:
    """How many bits a picture's values use, 0 of an ordinary picture, and how large it is.

    Attributes:
        declared: whether the file itself says so; else it is the usual depth that holds `highest`, its largest value.
        size: height and width, upright.
    """

    bits: int
    declared: bool
    highest: int
    size: tuple[int, int]


def look_at_picture(path: Path) -> Look:
    """Find out how many bits a picture's values use and how large it is; of an ordinary one its head alone is read.

    Raises:
        DatasetError: as load_picture.
    """
    def checked(_: Any, arrays: list[Array]) -> Look:
        (told,) = arrays
        if (told.dtype, told.shape) != LOOK:
            raise BrokenWireError("no look")
        return as_look(told)

    return READER.ask(path, "look at picture", {}, checked, most=LOOK_BYTES, error=DatasetError)


def as_look(told: Array) -> Look:
    """What the reader tells of a picture, int64[5]; bits that none has are those of an ordinary one."""
    bits, declared, highest, height, width = told.tolist()
    return Look(bits if 8 <= bits <= 16 else 0, bool(declared), highest, (height, width))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A picture as a network sees it, uint8[H, W, C], and what of its file isn't to be seen there, in words or nothing.
    """

    picture: Picture
    unseen: str


def load_picture(path: Path, shape: tuple[int | None, int | None, int], depth: int | None = None) -> Picture:
    """As fit_file; what isn't to be seen is left out.

    Returns:
        uint8[H, W, C].
    Raises:
        DatasetError: as fit_file.
    """
    return fit_file(path, shape, depth).picture


def fit_file(path: Path, shape: tuple[int | None, int | None, int], depth: int | None = None) -> Fitted:
    """Read a picture of any size and format that Pillow reads and fit it to a network's input.

    It is turned upright by its EXIF data, cropped around its centre to the input's proportions and resized.
    A picture that has the input's size already keeps its pixels.

    Of values with more than 8 bits the upper 8 of those in use are taken.

    Args:
        shape: H, W, C of the input; C is 3 (colour) or 1 (grey). None keeps the picture's own height or width.
        depth: the bits in use of pictures with 16; None: what the file says, else what its largest value needs.
    Raises:
        DatasetError: no such file, not a picture, damaged, absurdly large, or of more bits than `depth`; or C is
            another.
    """
    check_colours(path, shape)

    def checked(told: Any, arrays: list[Array]) -> Fitted:
        (picture,) = arrays
        fits = all(side in (None, found) for side, found in zip(shape, picture.shape, strict=True))
        if picture.dtype != np.uint8 or not fits:
            raise BrokenWireError("another picture than was asked for")
        return Fitted(picture, _unseen_text(**told))

    height, width, channels = shape
    most = channels * (height * width if height and width else MOST_PIXELS)
    return READER.ask(path, "picture", {"shape": shape, "depth": depth}, checked, most=most, error=DatasetError)


def _unseen_text(*, frames: bool, transparent: bool, outside: float) -> str:
    """What of a picture's file a network doesn't see.

    Args:
        frames: whether there are more than one; outside: which share of it is cropped away.
    """
    return " ".join(filter(None, (
        "Only the first of its frames was looked at." if frames else "",
        "What is transparent in it was looked at as white." if transparent else "",
        f"{100 * outside:.0f} % of it, beside the middle, wasn't looked at." if outside > _MOST_OUTSIDE else "")))


def check_colours(path: Path, shape: tuple[int | None, int | None, int]) -> None:
    """Refuse to fit the pictures of a file to an input that no picture fits.

    Raises:
        DatasetError: it has another number of channels than pictures can be given.
    """
    if shape[2] not in (1, 3):
        raise DatasetError(f"{path}: pictures are made into 3 colour channels or 1 of grey, but the network takes "
                           f"{shape[2]}. Give it images as arrays with {shape[2]} channels, in HDF5 or .npz.")


def fit_picture(image: Image.Image, shape: tuple[int | None, int | None, int]) -> Picture:
    """Fit an opened picture of 8 bits to a network's input, as load_picture does.

    Returns:
        uint8[H, W, C].
    """
    height, width, channels = shape
    upright = ImageOps.exif_transpose(image)
    if has_alpha(upright):
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    plain = upright.convert("RGB" if channels == 3 else "L")
    size = (width or plain.width, height or plain.height)
    if plain.size != size:
        plain = ImageOps.fit(plain, size, Image.Resampling.BICUBIC)
    return np.asarray(plain, np.uint8).reshape(size[1], size[0], channels)


def has_alpha(image: Image.Image) -> bool:
    """Whether a picture's pixels, or one of its colours, say how opaque they are."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, one after the other as the system gives it, without links that lead nowhere.

    Raises:
        DatasetError: there is more than anybody sorted by hand, and than memory should hold.
        OSError: it can't be read.
    """
    with os.scandir(folder) as listed:
        for number, entry in enumerate(listed):
            if number == MOST_ENTRIES:
                raise DatasetError(f"{folder}: holds more than {MOST_ENTRIES:,} files and folders, more than are ever "
                                   "listed. Put those you need into a folder of their own.")
            # What a link that leads to itself is can't be asked of its entry.
            if not entry.is_symlink() or is_there(Path(entry.path)):
                yield entry


def has_pictures(folder: Path) -> bool:
    """Whether a picture file lies directly in a folder; it is looked through no further than to the first one."""
    return any(map(_is_picture, entries(folder)))


def pictures_in(folder: Path) -> list[Path]:
    """All picture files directly in a folder, by name; hidden files are left out.

    Raises:
        DatasetError, OSError: as entries.
    """
    return [folder / name for name in sorted(entry.name for entry in entries(folder) if _is_picture(entry))]


def passed_over_in(folder: Path) -> list[Path]:
    """Files directly in a folder that `pictures_in` leaves out though they may be pictures, by name: hidden ones, and
    those with another ending, or none.

    Raises:
        DatasetError, OSError: as entries.
    """
    return [folder / name for name in sorted(entry.name for entry in entries(folder) if _may_be_picture(entry))]


def passed_over_text(folder: Path, passed_over: Sequence[Path]) -> str:
    """That files in a folder, one or more, aren't looked at: a sentence."""
    such = passed_over[0].relative_to(folder).as_posix()
    return (f"{folder}: {len(passed_over):,} files in it weren't looked at, such as {such}: their names don't end as "
            "pictures' do, or are hidden." if len(passed_over) > 1 else
            f"{folder}: {such} in it wasn't looked at: its name doesn't end as a picture's does, or is hidden.")


def _may_be_picture(entry: os.DirEntry[str]) -> bool:
    suffix, hidden = Path(entry.name).suffix.lower(), entry.name.startswith(".")
    # Beside each file on a disk of another kind, macOS lays a hidden one of its name behind "._".
    told = suffix in SUFFIXES and not entry.name.startswith("._") if hidden else suffix not in SUFFIXES | _BESIDE
    return told and entry.is_file()


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
