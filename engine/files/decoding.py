"""A stranger's picture decoded by Pillow. Runs in the reader's process only, see engine.quarantine."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from engine.errors import DatasetError, in_short
from engine.files.existing import check_is_file
from engine.files.pictures import MOST_PIXELS, Picture, fit_picture

# Formats whose reading starts another program or that aren't pictures of pixels.
_REFUSED_FORMATS = {"EPS", "WMF", "FPX", "MIC", "PDF", "MPEG", "HDF5", "GRIB", "BUFR"}
# Pillow looks at headers piece by piece; GIF, which comes in the smallest, takes two reads for 256 bytes.
_MOST_READS, _BYTES_A_READ = 20_000, 64


class _Impatient(io.BufferedReader):
    """A file that ends in an error when it is read in ever so many little pieces, as headers made to be endless are."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """Some bytes."""
        self.reads += 1
        if self.reads > _MOST_READS + self.tell() // _BYTES_A_READ:
            raise ValueError(f"its header has no end within {self.tell():,} bytes")
        return super().read(size)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def decode_picture(path: Path, shape: tuple[int | None, int | None, int]) -> tuple[Any, list[Picture]]:
    """What pictures.load_picture gives, as the reader's answer: nothing, and uint8[H, W, C].

    Raises:
        DatasetError: no such file, not a picture, damaged, or absurdly large.
    """
    check_is_file(path, DatasetError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a readable picture with odd metadata is a picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _Impatient(io.FileIO(path)) as stream, Image.open(stream, formats=_formats()) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise Image.DecompressionBombError(f"{opened.width:,} x {opened.height:,}")
                return None, [fit_picture(opened, shape)]
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
