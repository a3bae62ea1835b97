"""Pictures with 16 bits a value, written byte by byte, as cameras and scanners leave them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.uint16]
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png(path: Path, values: Values, significant_bits: int | tuple[int, ...] | None = None) -> Path:
    """A PNG of uint16[H, W] or [H, W, 2, 3 or 4], the last of 2 or 4 how opaque it is.

    Args:
        significant_bits: what its chunk sBIT says, of all colours or of each; None for none.
    """
    colours = 1 if values.ndim == 2 else values.shape[2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, _COLOUR_TYPES[colours], 0, 0, 0)
    chunks = [(b"IHDR", head)]
    if significant_bits:
        said = [significant_bits] * colours if isinstance(significant_bits, int) else significant_bits
        chunks.append((b"sBIT", bytes(said)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks))
    return path


def write_tiff(path: Path, values: Values, order: str = "<", most: int | None = None, rows: int | None = None,
               white_is_0: bool = False, apart: bool = False, bits: int = 16) -> Path:
    """An uncompressed TIFF of uint16[H, W] or [H, W, 3].

    Args:
        order: "<" or ">", that of its bytes.
        most: what its tag MaxSampleValue says; None for none.
        rows: how many make a strip; None puts all into one.
        apart: whether each colour has a strip of its own.
        bits: how many each value has; where these aren't 16, a row of values of one colour fills whole bytes.
    """
    height, width = values.shape[:2]
    colours = 1 if values.ndim == 2 else 3
    if apart:
        values, rows = np.moveaxis(values, -1, 0), height // colours
    content = values.astype(f"{order}u2").tobytes()
    if bits < 16:
        content = np.packbits(values[..., np.newaxis] >> np.arange(bits - 1, -1, -1, np.uint16) & 1).tobytes()
    short, long = 3, 4
    strip = len(content) // height * (rows or height)
    strips = range(0, len(content), strip)
    tags = [(256, short, [width]), (257, short, [height]), (258, short, [bits] * colours), (259, short, [1]),
            (262, short, [0 if white_is_0 else 1 if colours == 1 else 2]), (273, long, [8 + first for first in strips]),
            (277, short, [colours]), (278, short, [height if apart else rows or height]),
            (279, long, [min(strip, len(content) - first) for first in strips]),
            *([(281, short, [most] * colours)] if most else []), *([(284, short, [2])] if apart else [])]
    at = 8 + len(content)
    spill, entries = b"", b""
    for tag, kind, numbers in tags:
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == short else 'I'}", *numbers)
        if len(packed) > 4:
            place = struct.pack(f"{order}I", at + 2 + 12 * len(tags) + 4 + len(spill))
            spill, packed = spill + packed, place
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    path.write_bytes((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at) + content
                     + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + spill)
    return path
