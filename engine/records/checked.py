"""Values out of a stranger's JSON, each checked to be of the kind that was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def text(value: Any) -> str:
    """Text without a zero byte that can be written; what a file name on Linux may hold can.

    Raises:
        TypeError, ValueError: it isn't.
    """
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{str(value)[:50]!r} isn't text")
    value.encode("utf-8", "surrogateescape")
    return value


def count(value: Any) -> int:
    """A whole number from 0 up.

    Raises:
        ValueError: it isn't.
    """
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"{str(value)[:50]} isn't a count")
    return value


def number(value: Any) -> float:
    """A finite number.

    Raises:
        ValueError: it isn't.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:50]} isn't a number")
    return float(value)


def one_of(value: Any, allowed: Sequence[Any]) -> Any:
    """One of the values that are allowed.

    Raises:
        ValueError: it isn't.
    """
    if value not in list(allowed):
        raise ValueError(f"{str(value)[:50]!r} isn't one of {', '.join(map(str, allowed))}")
    return value
