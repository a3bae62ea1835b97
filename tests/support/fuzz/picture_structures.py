"""Finds the headers of pictures: chunks, segments, tables and whatever else says how large something is."""

from __future__ import annotations

import random
import re
import zlib

from tests.support.fuzz.structures import Seal, Structure, grid, in_order

_REACH = 48


def png_chunks(content: bytes) -> list[Structure]:
    """A PNG's chunks with their checksums."""
    found, at = [], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at:at + 4], "big")
        body = at + 8
        found.append(Structure(content[at + 4:body].decode("latin-1"), at, (
            (at, 4), (at + 4, 4), *grid(body, body + min(length, _REACH), step=1)), "big",
            Seal(at + 4, body + length, zlib.crc32)))
        at = body + length + 4
    return found


def jpeg_segments(content: bytes) -> list[Structure]:
    """A JPEG's segments, and the beginning of its coefficients."""
    found, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        length = int.from_bytes(content[at + 2:at + 4], "big")
        stop = at + 2 + min(length, _REACH)
        found.append(Structure(f"{content[at + 1]:02x}", at, (
            (at + 1, 1), (at + 2, 2), *grid(at + 4, stop, step=1)), "big"))
        if content[at + 1] == 0xDA:
            rest = at + 2 + length
            found.append(Structure("coefficients", rest, tuple(grid(rest, min(rest + 200, len(content)))), "big"))
            break
        at += 2 + length
    return found


def tiff_fields(content: bytes) -> list[Structure]:
    """A TIFF's header and its directory, an entry each: tag, type, count, value."""
    start = int.from_bytes(content[4:8], "little")
    entries = range(start + 2, start + 2 + 12 * int.from_bytes(content[start:start + 2], "little"), 12)
    return [Structure("header", 0, ((0, 2), (2, 2), (4, 4))), Structure("count", start, ((start, 2),)),
            Structure("next", start, ((entries.stop, 4),)),
            *(Structure("entry", at, tuple(in_order(at, (2, 2, 4, 4)))) for at in entries)]


def riff_chunks(content: bytes) -> list[Structure]:
    """A WebP's chunks."""
    found, at = [Structure("RIFF", 0, ((0, 4), (4, 4), (8, 4)))], 12
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4:at + 8], "little")
        found.append(Structure(content[at:at + 4].decode("latin-1"), at, (
            (at, 4), (at + 4, 4), *grid(at + 8, at + 8 + min(length, _REACH), step=1))))
        at += 8 + length + length % 2
    return found


def gif_blocks(content: bytes) -> list[Structure]:
    """A GIF's screen, and what stands behind its table of colours."""
    table = 3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0
    behind = 13 + table
    return [Structure("screen", 0, tuple(grid(6, 13, step=1))),
            Structure("blocks", behind, tuple(grid(behind, min(behind + 64, len(content)), step=1)))]


def header(content: bytes) -> list[Structure]:
    """The first bytes of a picture of any other format, as numbers in both orders."""
    fields = tuple(grid(0, min(160, len(content)), step=2))
    return [Structure("header", 0, fields), Structure("header, the other way", 0, fields, "big")]


def ppm_numbers(content: bytes, dice: random.Random) -> bytes:
    """A PPM one of whose numbers, in plain text, is another one, or has a comment before it."""
    numbers = list(re.finditer(rb"\d+", content[:20]))
    at = dice.choice(numbers)
    new = dice.choice([b"0", b"1", b"-1", b"65535", b"65536", b"4294967295", b"9" * 30, b"1" * 100_000, b"", b"3.5",
                       b"x", b"# " + b"c" * dice.choice([1, 1000, 10**6]) + b"\n" + at.group(),
                       b"#\n" * dice.choice([1, 1000, 10**5]) + at.group(), b"\n" * 1000 + at.group()])
    return content[:at.start()] + new + content[at.end():]
