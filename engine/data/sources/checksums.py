"""The sums that TFRecord guards its records by."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

# CRC-32C's polynomial, and the bytes that lead from an empty register to one of all ones, which it starts with.
_POLYNOMIAL, _START = 0x82f63b78, bytes.fromhex("54641f64")
_MASK = 0xa282ead8
# So many bytes, and of them so many blocks, are summed together.
_BLOCK, _BLOCKS = 512, 256


def masked_sum(content: bytes) -> int:
    """CRC-32C, masked as TFRecord has it.

    Source: tensorflow/core/lib/hash/crc32c.h; RFC 3720, appendix B.4.
    """
    tables, first = _tables()
    padded = bytes(-(len(_START) + len(content)) % _BLOCK) + _START + content  # zeros leave an empty register empty
    blocks = np.frombuffer(padded, np.uint8).reshape(-1, _BLOCK)
    at, found = np.arange(0, tables.size, 256), 0
    for start in range(0, len(blocks), _BLOCKS):
        # What a byte does depends on its place alone, and a register counts as its next four bytes.
        for own in np.bitwise_xor.reduce(np.take(tables, blocks[start:start + _BLOCKS] + at), axis=1).tolist():
            for place, table in enumerate(first):
                own ^= table[found >> 8 * place & 0xff]
            found = own
    found ^= 0xffffffff
    return ((found >> 15 | found << 17) + _MASK) & 0xffffffff


@cache
def _tables() -> tuple[npt.NDArray[Any], list[list[int]]]:
    """For each place in a block what its byte adds to the sum, uint32[places, bytes], and the first four as lists."""
    last: npt.NDArray[Any] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = last >> 1 ^ (last & 1) * np.uint32(_POLYNOMIAL)
    tables = [last]
    while len(tables) < _BLOCK:
        tables.append(last[tables[-1] & 0xff] ^ tables[-1] >> 8)
    every = np.array(tables[::-1])
    return every, every[:4].tolist()
