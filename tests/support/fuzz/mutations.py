"""Damaged copies of real files: bytes, archive members and JSON values are changed by a seeded generator."""

from __future__ import annotations

import ast
import copy
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

_NUMBERS = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, -(2**63), 10**30, 1e308, -0.0, float("nan"), float("inf"),
    "", "relu", "a" * 5000, "../../x", "\x00", "\ud800", "keras.layers", "builtins", "Lambda", "eval",
    [], {}, [[]], [None, None, None, 3], list(range(100)),
    {"class_name": "Dense", "config": {}}, {"class_name": "__lambda__", "config": {"value": "x"}}]


def mutated_bytes(content: bytes, dice: random.Random) -> bytes:
    """One to eight changes at random places; half of the time all of them early, where headers are."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        if not data:
            break
        reach = len(data) if dice.random() < 0.5 else min(len(data), 4096)
        dice.choice(_BYTE_CHANGES)(data, dice.randrange(reach), dice)
    return bytes(data)


def _flip(data: bytearray, at: int, dice: random.Random) -> None:
    data[at] ^= 1 << dice.randrange(8)


def _set(data: bytearray, at: int, dice: random.Random) -> None:
    data[at] = dice.randrange(256)


def _number(data: bytearray, at: int, dice: random.Random) -> None:
    size = dice.choice([1, 2, 4, 8])
    data[at:at + size] = (dice.choice(_NUMBERS) % 256**size).to_bytes(size, dice.choice(["little", "big"]))


def _cut(data: bytearray, at: int, dice: random.Random) -> None:
    del data[at:None if dice.random() < 0.3 else at + dice.randint(1, 64)]


def _grow(data: bytearray, at: int, dice: random.Random) -> None:
    data[at:at] = dice.randbytes(dice.randint(1, 64))


def _copy(data: bytearray, at: int, dice: random.Random) -> None:
    start, size = dice.randrange(len(data)), dice.randint(1, 512)
    data[at:at + size] = data[start:start + size]


def _blank(data: bytearray, at: int, dice: random.Random) -> None:
    size = min(dice.choice([1, 8, 64, 4096]), len(data) - at)
    data[at:at + size] = bytes([dice.choice([0, 255])]) * size


_BYTE_CHANGES: list[Callable[[bytearray, int, random.Random], None]] = [
    _flip, _flip, _set, _number, _number, _cut, _grow, _copy, _blank]


def mutated_archive(content: bytes, dice: random.Random) -> bytes:
    """A ZIP archive with changes inside its members, checksums in order; now and then the archive itself is changed."""
    if dice.random() < 0.2:
        return mutated_bytes(content, dice)
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = dice.choice(list(members))
    members[name] = mutated_json(members[name], dice) if name.endswith(".json") else mutated_bytes(members[name], dice)
    if dice.random() < 0.05:
        del members[dice.choice(list(members))]
    return archive(members)


def archive(members: dict[str, bytes]) -> bytes:
    """Members as a ZIP archive, stored as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    return stream.getvalue()


def mutated_json(content: bytes, dice: random.Random) -> bytes:
    """A JSON text with one to four values changed, left out, doubled or moved; now and then its bytes are changed."""
    if dice.random() < 0.15:
        return mutated_bytes(content, dice)
    root = [json.loads(content)]
    for _ in range(dice.randint(1, 4)):
        places = list(_places(root))
        holder, key = dice.choice(places)
        change = dice.random()
        if change < 0.55:
            holder[key] = copy.deepcopy(dice.choice(_VALUES))
        elif change < 0.7 and holder is not root:
            del holder[key]
        elif change < 0.85:
            other, other_key = dice.choice(places)
            holder[key] = copy.deepcopy(other[other_key])  # never one inside itself: it is a copy
        elif isinstance(holder[key], int | float):
            holder[key] = dice.choice([holder[key] * 10**6, -holder[key], str(holder[key]), holder[key] + 0.5])
        elif isinstance(holder[key], str):
            holder[key] = holder[key][::-1]
    return json.dumps(root[0]).encode()


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


# For one value at a time: the ends of every kind of number, and words that are none.
BOUNDS: list[Any] = [
    *(sign * (2**bits + off) for bits in (0, 7, 8, 15, 16, 31, 32, 53, 63, 64) for off in (-1, 0, 1)
      for sign in (1, -1)),
    10**400, -(10**400), 0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e308, -1e308, 0.1 + 0.2, float("nan"), float("inf"),
    -float("inf"), None, True, False, "", " ", "a b", "\u200b", "\u202e", "\ud800", "\x00", "\x1b[31m", "a" * 10**5,
    "=1+1", "<img src='/dev/zero'>", "1e999", "../../x", [], [[]], {}, {"": None}, [0] * 1000]
# Types of NumPy's that hold something else than plain numbers, or nothing.
_NUMERIC = ["<f2", "<f4", ">f8", "|u1", "|i1", "<i2", ">u4", "<i8", ">u8", "|b1"]
_TYPES = ["|O", "<f2", ">f8", "<c16", "|V0", "|V2147483647", "|S0", "<U9", "<M8[ns]", "<f16", "|b1", ">u8", "x,y",
          "<f4,<i4", [["a", "<f4"]], [("a", "<f4"), ("b", "|O")], "<f4" * 1000, "(1000000,1000000)f4"]


def one_bound(content: bytes, dice: random.Random) -> bytes:
    """A JSON text in which one value, of all at any depth, is at a bound, or its key is another word."""
    root = [json.loads(content)]
    holder, key = dice.choice(list(_places(root)))
    if isinstance(holder, dict) and dice.random() < 0.1:
        word = dice.choice([bound for bound in BOUNDS if isinstance(bound, str)])
        holder[word] = holder.pop(key)
    else:
        alike = [bound for bound in BOUNDS if type(bound) is type(holder[key])]
        holder[key] = copy.deepcopy(dice.choice(alike if alike and dice.random() < 0.5 else BOUNDS))
    return json.dumps(root[0]).encode()


def one_line(content: bytes, dice: random.Random) -> bytes:
    """A text one of whose lines is another one, stands twice, or is very long."""
    lines = content.split(b"\n")
    words = [str(bound).encode("utf-8", "surrogatepass") for bound in BOUNDS]
    at = dice.randrange(len(lines))
    lines[at:at + 1] = dice.choice([[lines[at]] * 2, [dice.choice(words)], [b"\xff\xfe"], [b"\0" * 100], [b"x"] * 5000])
    return b"\n".join(lines)


def in_member(ending: str, mutate: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """A mutation of one member of a ZIP archive, of those whose names end so."""
    def mutated(content: bytes, dice: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            members = {name: old.read(name) for name in old.namelist()}
        name = dice.choice([name for name in members if name.endswith(ending)])
        return archive({**members, name: mutate(members[name], dice)})

    return mutated


def one_array_word(content: bytes, dice: random.Random) -> bytes:
    """A NumPy array with one word of its header at a bound: version, length, type, order, shape.

    Half of the time what stands there then is of the right kind, so that what comes after the header is met, too.
    """
    size = int.from_bytes(content[8:10], "little")
    words, data = ast.literal_eval(content[10:10 + size].decode()), content[10 + size:]
    key, sides = dice.choice(list(words)), list(words["shape"])
    if key == "shape" and sides and dice.random() < 0.7:
        at = dice.randrange(len(sides))
        sides[at] = dice.choice([sides[at] + dice.choice((-1, 1)), *(n for n in BOUNDS if isinstance(n, int))])
        words["shape"] = tuple(sides)
    elif dice.random() < 0.5:
        dice.shuffle(sides)
        words[key] = {"descr": dice.choice(_NUMERIC), "fortran_order": not words["fortran_order"],
                      "shape": dice.choice([tuple(sides), (*sides, 1), (1, *sides), tuple(sides[1:])])}[key]
    else:
        words[key] = copy.deepcopy(dice.choice([*BOUNDS, *_TYPES]))
    text = repr(words).encode("utf-8", "surrogatepass") + b"\n"
    version, width, length = content[6:8], 2, len(text)
    if dice.random() < 0.2:
        version = dice.choice([b"\0\0", b"\2\0", b"\3\0", b"\1\1", b"\xff\xff"])
        width = 4 if version[:1] in b"\2\3" else 2
    if dice.random() < 0.1:
        length = dice.choice([0, 1, length - 1, 65535])
    return content[:6] + version + (length % 256**width).to_bytes(width, "little") + text + data


# A ZIP archive's records, and where their fields are and how long.
_RECORDS = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4)),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))}


def one_header_field(content: bytes, dice: random.Random) -> bytes:
    """A ZIP archive in which one or two fields of its records are at a bound."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 2)):
        sign = dice.choice(list(_RECORDS))
        starts = [found.start() for found in re.finditer(re.escape(sign), data)]
        start, (at, size) = dice.choice(starts), dice.choice(_RECORDS[sign])
        data[:] = in_place(bytes(data), start + at, size, dice)
    return bytes(data)


def in_place(content: bytes, at: int, size: int, dice: random.Random) -> bytes:
    """A field of so many bytes at a bound."""
    return content[:at] + (dice.choice(_NUMBERS) % 256**size).to_bytes(size, "little") + content[at + size:]
