"""The program's own small files read back: regular files, of a limited size, each held against what it must hold.

They lie where anybody can change them, and a person may open a stranger's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from engine.errors import EngineError, in_short
from engine.files.regular import read_regular
from engine.quarantine.client import READER
from engine.quarantine.wire import Array

T = TypeVar("T")

# A run of a network with thousands of channels and several poisoned sets takes some hundred thousand bytes. What JSON
# says in a byte may take 30 in memory.
MOST_JSON_BYTES = 16 << 20
MOST_TEXT_BYTES = 1 << 20


def read_own(path: Path, check: Callable[[Any], T], otherwise: str, remedy: str) -> T:
    """Read a JSON file of the program's own.

    Args:
        check: makes of the JSON what it stands for; what it raises says what is wrong.
        otherwise: what is said of a file that can't be read or doesn't pass, such as "isn't a saved run".
        remedy: a sentence on what to do then.
    Raises:
        EngineError: no such file, not a regular one, too large, not JSON, with a key twice, or not what `check`
            expects.
    """
    try:
        return check(json.loads(read_regular(path, MOST_JSON_BYTES), parse_constant=_refuse_constant,
                                object_pairs_hook=_each_once))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
            MemoryError) as error:
        raise EngineError(f"{path}: {otherwise} ({_short(error)}). {remedy}") from error


def read_own_arrays(
    path: Path, entries: Mapping[str, tuple[str, int]], most: int, otherwise: str, remedy: str,
) -> dict[str, Array]:
    """Read arrays from a NumPy archive of the program's own; nothing pickled is read.

    Args:
        entries: what each must be: the kinds of number (NumPy's letters) and how many axes.
        most: bytes that they may have together.
        otherwise, remedy: as read_own's.
    Raises:
        EngineError: no such file, not a regular one, damaged, too large, or an array is missing or not what it must be.
    """
    def named(_: Any, arrays: list[Array]) -> dict[str, Array]:
        return dict(zip(entries, arrays, strict=True))

    wanted = {"names": list(entries), "most": most, "said": otherwise, "remedy": remedy}
    found = READER.ask(path, "members of npz", wanted, named, most=most, error=EngineError)
    for name, (kinds, axes) in entries.items():
        if found[name].dtype.kind not in kinds or found[name].ndim != axes:
            raise EngineError(f"{path}: {otherwise} ('{name}' is {found[name].dtype} with {found[name].ndim} axes). "
                              f"{remedy}")
    return found


def read_lines(path: Path, otherwise: str, remedy: str) -> list[str]:
    """Read a small text file in UTF-8, line by line, without blanks at their ends.

    Raises:
        EngineError: as read_own.
    """
    try:
        text = read_regular(path, MOST_TEXT_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: {otherwise} ({_short(error)}). {remedy}") from error
    return [line.strip() for line in text.splitlines()]


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary; of a key that stands twice, as names of labels do when a list was edited, JSON takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"it has {twice!r:.40} twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which isn't a number")


def _short(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"it lacks '{in_short(error)}'" if isinstance(error, KeyError) else in_short(error)
