"""Single picture files, made into what a network sees."""

from __future__ import annotations

import struct
import warnings
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DatasetError, in_short
from engine.files.hdf5 import check_is_file

Picture = npt.NDArray[np.uint8]

# Formats whose reading starts another program or that aren't pictures of pixels.
_REFUSED_FORMATS = {"EPS", "WMF", "FPX", "MIC", "PDF", "MPEG", "HDF5", "GRIB", "BUFR"}
# Unpacked and made upright, composed and converted, each takes up to 20 bytes for a while.
_MOST_PIXELS = 1 << 26
SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
    ".pbm", ".pnm", ".tga", ".ico", ".jp2", ".avif", ".pcx", ".sgi", ".dds",
})


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def load_picture(path: Path, shape: tuple[int | None, int | None, int]) -> Picture:
    """Read a picture of any size and format that Pillow reads and fit it to a network's input.

    It is turned upright by its EXIF data, cropped around its centre to the input's proportions and resized.
    A picture that has the input's size already keeps its pixels.

    Args:
        shape: H, W, C of the input; C is 3 (colour) or 1 (grey). None keeps the picture's own height or width.
    Returns:
        uint8[H, W, C].
    Raises:
        DatasetError: no such file, not a picture, damaged, or absurdly large.
    """
    check_is_file(path, DatasetError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a readable picture with odd metadata is a picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_formats()) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise Image.DecompressionBombError(f"{opened.width:,} x {opened.height:,}")
                return fit_picture(opened, shape)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"{path}: would unpack to an absurd number of pixels ({in_short(error)}); refused. "
                           "Make it smaller with an image program.") from error
    except UnidentifiedImageError as error:
        raise DatasetError(f"{path}: isn't a picture in a format that can be read. Choose a PNG or JPEG file.") \
            from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, AttributeError, KeyError,
            ZeroDivisionError, OverflowError, MemoryError, RuntimeError, AssertionError, struct.error,
            zlib.error) as error:
        # Pillow's decoders meet damaged files with any of these.
        raise DatasetError(f"{path}: the picture is damaged ({in_short(error)}). "
                           "Copy it again from its source.") from error


def fit_picture(image: Image.Image, shape: tuple[int | None, int | None, int]) -> Picture:
    """Fit an opened picture to a network's input, as load_picture does.

    Returns:
        uint8[H, W, C].
    """
    height, width, channels = shape
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16") or upright.mode == "I":
        upright = Image.fromarray((np.asarray(upright) // 256).clip(0, 255).astype(np.uint8))
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    plain = upright.convert("RGB" if channels == 3 else "L")
    size = (width or plain.width, height or plain.height)
    if plain.size != size:
        plain = ImageOps.fit(plain, size, Image.Resampling.BICUBIC)
    return np.asarray(plain, np.uint8).reshape(size[1], size[0], channels)


def pictures_in(folder: Path) -> list[Path]:
    """All picture files directly in a folder, by name; hidden files are left out."""
    return sorted(p for p in folder.iterdir()
                  if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())
