"""A stranger's picture decoded by Pillow. Runs in the reader's process only, see engine.quarantine."""

from __future__ import annotations

import io
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from engine.errors import DatasetError, in_short
from engine.files.existing import check_is_file
from engine.files.pictures import MOST_PIXELS, Picture, fit_picture, has_alpha
from engine.quarantine.wire import Array

Shape = tuple[int | None, int | None, int]
# A picture's file, or its bytes.
Source = Path | bytes

# Formats whose reading starts another program or that aren't pictures of pixels.
_REFUSED_FORMATS = {"EPS", "WMF", "FPX", "MIC", "PDF", "MPEG", "HDF5", "GRIB", "BUFR"}
# Of pictures in plain text, each comment is cut out of a megabyte by copying it.
_PLAIN_TEXT, _MOST_COMMENTS, _BLOCK_BYTES = "ppm_plain", 1000, 1 << 20
# Pillow looks at headers piece by piece; GIF, which comes in the smallest, takes two reads for 256 bytes.
_MOST_READS, _BYTES_A_READ = 20_000, 64
# Depths of cameras and scanners; what they measure is often kept in 16 bits as it is.
_USUAL_DEPTHS = (8, 10, 12, 14, 16)
_DEEP_COLOURS = re.compile("(RGBA?);16([BLN])|(LA);16B")
_HIGHEST = 0xffff
_MAX_SAMPLE_VALUE = 281
_APART = 2
# A frame of fewer different values, such as one with the cap on, doesn't tell which of its bits are in use.
_TELLING = 8
_MOST_CHUNKS = 1000
# Pillow's decoders meet damaged files with any of these.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, AttributeError, KeyError,
           ZeroDivisionError, OverflowError, MemoryError, RuntimeError, AssertionError, struct.error, zlib.error)
# EXIF's orientations by which rows are columns.
_ON_SIDE = (5, 6, 7, 8)


class _Impatient(io.BufferedReader):
    """A file that ends in an error when it is read in ever so many little pieces, as headers made to be endless are."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """Some bytes."""
        self.reads += 1
        if self.reads > _MOST_READS + self.tell() // _BYTES_A_READ:
            raise ValueError(f"its header has no end within {self.tell():,} bytes")
        return super().read(size)


def _refuse_comments(opened: Image.Image, source: Source) -> None:
    """Raises ValueError for a picture in plain text that is nothing but comments, and would take hours."""
    if [tile[0] for tile in getattr(opened, "tile", ())] != [_PLAIN_TEXT]:
        return
    comments = 0
    with _raw(source) as stream:
        while block := stream.read(_BLOCK_BYTES):
            comments += block.count(b"#")
            if comments > _MOST_COMMENTS:
                raise ValueError(f"it has more than {_MOST_COMMENTS:,} comments")


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def decode_picture(path: Path, shape: Shape, depth: int | None = None) -> tuple[Any, list[Picture]]:
    """What pictures.fit_file gives, as the reader's answer.

    Returns:
        {"frames": whether there are more than the one that is decoded, "transparent": whether any pixel is to be seen
        through, "outside": the share of it that is cropped away}, and uint8[H, W, C].
    Raises:
        DatasetError: no such file, not a picture, damaged, absurdly large, or of more bits than `depth`.
    """
    check_is_file(path, DatasetError)
    with _opened(path, str(path)) as image:
        shown = _of_8_bits(path, str(path), image, depth)
        picture = fit_picture(shown, shape)
        told = {"frames": _has_more_frames(image), "transparent": has_alpha(shown) and _lowest_alpha(shown) < 255,
                "outside": _outside(_upright_size(shown), shape)}
        return told, [picture]


def look_at_picture(path: Path) -> tuple[Any, list[Array]]:
    """How many bits a picture's values use and its size, as the reader's answer.

    Returns:
        Nothing, and int64[5]: bits, 0 of an ordinary picture of 8 bits or fewer; 1 where the file itself says so; its
        largest value, where that was looked for; height and width, upright.
    Raises:
        DatasetError: as decode_picture.
    """
    check_is_file(path, DatasetError)
    return None, [np.array(_look(path, str(path)), np.int64)]


def picture_in(content: bytes, name: str, what: str, depth: int | None, shape: Shape) -> Array:
    """Something of a picture that is a piece of another file.

    Args:
        content: the bytes of its own file; name: what to call it in messages.
        what: "look": int64[5], as look_at_picture gives them;
            "size": its height, width and colours as fitted, int64[3]; "picture": itself, uint8[H, W, C].
        depth, shape: as those of decode_picture.
    Raises:
        DatasetError: as decode_picture.
    """
    if what == "look":
        return np.array(_look(content, name), np.int64)
    picture = _fitted(content, name, shape, depth)
    return np.array(picture.shape, np.int64) if what == "size" else picture


def _fitted(source: Source, name: str, shape: Shape, depth: int | None) -> Picture:
    with _opened(source, name) as image:
        return fit_picture(_of_8_bits(source, name, image, depth), shape)


def _of_8_bits(source: Source, name: str, image: Image.Image, depth: int | None) -> Image.Image:
    """A picture itself or, of values with more bits, the upper 8 of those in use; not upright yet."""
    values = _deep_values(source, name, image)
    if values is None:
        return image
    highest = int(_without_alpha(values).max())
    bits = depth or _declared_depth(source, image, values) or _depth_for(highest)
    if highest >= 1 << bits:
        raise DatasetError(f"{name}: its values run up to {highest:,}, beyond the {bits} bits that the others "
                           "of its set, or those that a GoodNet was made from, use. Save all of them again with 8 "
                           "bits.")
    shallow = (_without_alpha(values) >> (bits - 8)).astype(np.uint8)
    if _has_alpha(values):
        alpha = values[..., -1:]
        shallow = np.concatenate([shallow, (alpha >> (_depth_for(int(alpha.max())) - 8)).astype(np.uint8)], axis=2)
    plain = Image.fromarray(shallow)
    plain.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return plain


def _has_more_frames(image: Image.Image) -> bool:
    """Whether a decoded picture's file holds others; beside a photograph (MPO) lies only what a camera made of it."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except _DAMAGE:  # what follows the first one isn't shown, so it needn't be whole
        return False


def _lowest_alpha(image: Image.Image) -> int:
    return int(np.asarray(image.convert("RGBA").getchannel("A")).min())


def _outside(size: tuple[int, int], shape: Shape) -> float:
    """Which share of a picture of that height and width lies beside the middle that is fitted to a network's input."""
    (height, width), (rows, columns, _) = size, shape
    if not rows or not columns:
        return 0.0
    wider = (width / height) / (columns / rows)
    return 1 - min(wider, 1 / wider)


def _look(source: Source, name: str) -> tuple[int, bool, int, int, int]:
    """Bits, whether the file says so, the largest value, height and width; see look_at_picture."""
    with _opened(source, name) as image:
        height, width = _upright_size(image)
        if not _is_deep(image):
            return 0, False, 0, height, width
        values = _deep_values(source, name, image)
        assert values is not None
        if declared := _declared_depth(source, image, values):
            return declared, True, 0, height, width
        highest = int(_without_alpha(values).max())
        return _depth_for(highest), False, highest, height, width


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of a picture as it is to be seen; of a PNG that says only behind its pixels how, as stored."""
    # Of a TIFF Pillow gives the upright size itself. A PNG's own getexif would decode it.
    on_side = image.format != "TIFF" and Image.Image.getexif(image).get(ExifTags.Base.Orientation) in _ON_SIDE
    return (image.width, image.height) if on_side else (image.height, image.width)


@contextmanager
def _opened(source: Source, name: str) -> Iterator[Image.Image]:
    """A picture whose header was read; whatever Pillow raises while it is in use becomes a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a readable picture with odd metadata is a picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _Impatient(_raw(source)) as stream, Image.open(stream, formats=_formats()) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise Image.DecompressionBombError(f"{opened.width:,} x {opened.height:,}")
                if opened.mode == "F":
                    raise DatasetError(f"{name}: its values are floating-point numbers, of which nothing says what is "
                                       "white; whole numbers of 8 or 16 bits were expected. Save it again with 8 bits, "
                                       "or the whole set as an array (.npz).")
                if opened.format == "TIFF" and _tiff_number(opened, ExifTags.Base.BitsPerSample) > 8 \
                        and _tiff_number(opened, ExifTags.Base.PlanarConfiguration) == _APART:
                    raise DatasetError(f"{name}: has more than 8 bits a value and its colours apart from each other, "
                                       "which isn't read as it is meant. Save it again as PNG, or with 8 bits.")
                _refuse_comments(opened, source)
                yield opened
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"{name}: would unpack to an absurd number of pixels ({in_short(error)}); refused. "
                           "Make it smaller with an image program.") from error
    except UnidentifiedImageError as error:
        raise DatasetError(f"{name}: isn't a picture in a format that can be read. Choose a PNG or JPEG file.") \
            from error
    except _DAMAGE as error:
        raise DatasetError(f"{name}: the picture is damaged ({in_short(error)}). "
                           "Copy it again from its source.") from error


def _raw(source: Source) -> Any:
    return io.FileIO(source) if isinstance(source, Path) else io.BytesIO(source)


def _raw_mode(image: Image.Image) -> re.Match[str] | None:
    """The form in which a colour picture of 16 bits is stored, of which Pillow gives the upper 8 bits only."""
    stored = [tile.args for tile in getattr(image, "tile", ())]
    forms = [args[0] if isinstance(args, tuple) and args else args for args in stored]  # of each of its strips
    raw = forms[0] if forms and forms.count(forms[0]) == len(forms) else None
    return _DEEP_COLOURS.fullmatch(raw) if isinstance(raw, str) else None


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16") or _raw_mode(image) is not None


def _deep_values(source: Source, name: str, image: Image.Image) -> Array | None:
    """A picture's values uint16[H, W] or [H, W, C], 0 to 65535; None of an ordinary one.

    The lower 8 bits of colours come from reading the picture once more as if its bytes had the other order.
    """
    if not _is_deep(image):
        return None
    if image.format == "TIFF" and image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0:  # type: ignore[attr-defined]
        raise DatasetError(f"{name}: has 16 bits a value and white stored as 0, which Pillow doesn't turn round. "
                           "Save it again with black as 0, or with 8 bits.")
    found = _raw_mode(image)
    if found is None:
        stored = np.asarray(image)
        if stored.min() < 0 or stored.max() > _HIGHEST:
            raise DatasetError(f"{name}: its values run from {stored.min():,} to {stored.max():,}; 0 to {_HIGHEST:,} "
                               "were expected. Save it again with 8 or 16 bits.")
        return stored.astype(np.uint16)
    colours, order, grey = found.groups()
    if grey:  # its four bytes are read as if each were a colour, because Pillow knows no other order of them
        upper_and_lower = _read_as("RGBA", source, name).astype(np.uint16)
        return upper_and_lower[..., ::2] << np.uint16(8) | upper_and_lower[..., 1::2]
    other = {"N": "B" if sys.byteorder == "little" else "L", "B": "L", "L": "B"}[order]
    return np.asarray(image).astype(np.uint16) << np.uint16(8) | _read_as(f"{colours};16{other}", source, name)


def _read_as(raw: str, source: Source, name: str) -> Picture:
    """A picture read as if it were stored in another form."""
    with _opened(source, name) as opened:
        again: Any = opened  # Image has no tiles by its annotations
        again.tile = [tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
                      for tile in again.tile]
        return np.asarray(again)


def _has_alpha(values: Array) -> bool:
    return values.shape[2:] in ((2,), (4,))


def _without_alpha(values: Array) -> Array:
    """The colours alone: how opaque a picture is says nothing of its depth."""
    return values[..., :-1] if _has_alpha(values) else values


def _declared_depth(source: Source, image: Image.Image, values: Array) -> int:
    """The bits in use that a picture with these values says it has, from 9 to 16; 0 where it doesn't say.

    Source: PNG, chunk sBIT; TIFF 6.0, tags BitsPerSample and MaxSampleValue; of PGM, PPM and JPEG 2000 Pillow brings
    the values to 16 bits.
    """
    if image.format in ("PPM", "JPEG2000"):
        return 16
    bits = 0
    if image.format == "PNG":
        bits = _used_of(_without_alpha(values), _significant_bits(source, _without_alpha(values)[0, 0].size))
    elif image.format == "TIFF":
        stored = _tiff_number(image, ExifTags.Base.BitsPerSample)
        bits = stored if stored < 16 else _tiff_number(image, _MAX_SAMPLE_VALUE).bit_length()
    return bits if 8 < bits <= 16 else 0


def _tiff_number(image: Image.Image, tag: int) -> int:
    """The largest number of a tag of a TIFF, 0 where it isn't there."""
    found = image.tag_v2.get(tag, 0)  # type: ignore[attr-defined]
    return int(max(found) if isinstance(found, tuple) else found)


def _used_of(values: Array, significant: int) -> int:
    """The bits that values use where `significant` of each are said to mean something; 0 where nothing is said.

    By the standard these are the upper ones, so that white is 65,535 whatever their number. Some programs say it of
    values that start at 0: those are small and aren't all multiples of the step between upper ones, or one above.
    """
    if not 0 < significant < 16:
        return significant
    highest = int(values.max())
    upper = highest >= 1 << significant or (
        (values % (1 << (16 - significant)) <= 1).all() and len(np.unique(values)) >= _TELLING)
    return 16 if upper else significant


def _significant_bits(source: Source, colours: int) -> int:
    """What chunk sBIT of a PNG says of its colours, which stands before the first chunk of pixels; 0 without one."""
    with _raw(source) as stream:
        stream.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = stream.read(8)
            length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"IDAT")
            if kind == b"sBIT":
                return max(stream.read(min(length, colours)), default=0)
            if kind == b"IDAT":
                break
            stream.seek(length + 4, io.SEEK_CUR)
    return 0


def _depth_for(highest: int) -> int:
    """The smallest usual depth that holds a value."""
    return next(bits for bits in _USUAL_DEPTHS if highest < 1 << bits)
