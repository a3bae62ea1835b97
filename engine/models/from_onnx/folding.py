"""Operators whose inputs are all known beforehand, computed at once: mostly the arithmetic of shapes.

Nothing here grows beyond what its inputs hold, but for a small table of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Settings = dict[str, Any]

_MOST_VALUES = 1 << 20
# ONNX's numbers of the types that constants are cast to.
_TYPES: dict[int, Any] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float32}


def folded(operator: str, settings: Settings, arrays: Sequence[Array | None]) -> Array | None:
    """What an operator makes of constants, or None where it isn't one that is computed here.

    Args:
        arrays: its inputs, None for one that is left out.
    Raises:
        ValueError, LookupError, TypeError, ArithmeticError, AttributeError: they don't fit together.
    """
    rule = _RULES.get(operator)
    if rule is None:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(rule(settings, *arrays))


def is_folded(operator: str) -> bool:
    """Whether an operator is computed here where its inputs are constants."""
    return operator in _RULES


def axes_of(settings: Settings, array: Array | None) -> list[int]:
    """Axes given as an input, or as a setting, as some opsets do; none for all."""
    return [int(axis) for axis in (settings.get("axes") or [] if array is None else array.ravel())]


def slices(rank: int, *given: Array | None) -> list[slice]:
    """The slice of each axis that Slice's starts, ends, axes and steps ask for; the last two may be left out."""
    starts, ends, axes, steps = (None if a is None else a.ravel().tolist() for a in (*given, None, None)[:4])
    found = [slice(None)] * rank
    for at, (start, end) in enumerate(zip(starts or [], ends or [], strict=True)):
        step = steps[at] if steps else 1
        # Going backwards, an end far below the first entry means: to the first, which is None in Python.
        found[axes[at] if axes else at] = slice(start, None if step < 0 and end < -(1 << 31) + 1 else end, step)
    return found


def target_shape(shape: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """What Reshape makes of a shape: 0 keeps a side, -1 takes what is left.

    Raises:
        ValueError, IndexError, ZeroDivisionError: it can't.
    """
    sides = [shape[i] if n == 0 else int(n) for i, n in enumerate(wanted)]
    if -1 in sides:
        sides[sides.index(-1)] = math.prod(shape) // math.prod(n for n in sides if n != -1)
    if min(sides, default=1) < 1 or math.prod(sides) != math.prod(shape):
        raise ValueError(f"{list(shape)} can't become {list(wanted)}")
    return sides


def _limited(values: int) -> None:
    if values > _MOST_VALUES:
        raise ValueError(f"it would make a constant of {values:,} numbers")


def _elementwise(compute: Callable[..., Array]) -> Callable[..., Array]:
    def rule(_: Settings, *arrays: Array) -> Array:
        values = math.prod(np.broadcast_shapes(*(a.shape for a in arrays)))
        if values > max(a.size for a in arrays):
            _limited(values)
        return np.asarray(compute(*arrays), arrays[0].dtype)

    return rule


def _divided(a: Array, b: Array) -> Array:
    """ONNX cuts a quotient of integers off towards 0, NumPy towards the lower one."""
    if a.dtype.kind not in "iu":
        return a / b
    return np.asarray(a // b + ((a % b != 0) & ((a < 0) != (b < 0))))


def _constant(settings: Settings) -> Array:
    if "value" in settings:
        return np.asarray(settings["value"])
    key = next(key for key in settings if key.startswith("value_"))
    return np.asarray(settings[key], np.float32 if "float" in key else np.int64)


def _cast(settings: Settings, array: Array) -> Array:
    """Halves are kept as float32, as all floating-point numbers are."""
    cast = array.astype(_TYPES[settings["to"]])
    return cast.astype(np.float32) if cast.dtype == np.float16 else cast


def _of_shape(settings: Settings, shape: Array) -> Array:
    value = settings.get("value", np.zeros(1, np.float32))
    _limited(math.prod(shape.tolist()))
    return np.full(shape.ravel(), value.ravel()[0], value.dtype)


def _range(_: Settings, start: Array, limit: Array, step: Array) -> Array:
    first, last, by = (number.item() for number in (start, limit, step))
    _limited(math.ceil((last - first) / by))
    return np.arange(first, last, by, start.dtype)


def _concatenated(settings: Settings, *arrays: Array) -> Array:
    _limited(sum(array.size for array in arrays))
    return np.concatenate(arrays, settings["axis"])


def _gathered(settings: Settings, array: Array, indices: Array) -> Array:
    axis = settings.get("axis", 0)
    _limited(indices.size * (array.size // max(1, array.shape[axis])))
    return np.asarray(np.take(array, indices, axis))


def _expanded(_: Settings, array: Array, wanted: Array) -> Array:
    shape = np.broadcast_shapes(array.shape, tuple(wanted.ravel().tolist()))
    _limited(math.prod(shape))
    return np.array(np.broadcast_to(array, shape))


def _chosen(_: Settings, condition: Array, one: Array, other: Array) -> Array:
    _limited(math.prod(np.broadcast_shapes(condition.shape, one.shape, other.shape)))
    return np.where(condition, one, other).astype(one.dtype)


def _reduced(reduce: Callable[..., Array]) -> Callable[..., Array]:
    def rule(settings: Settings, array: Array, axes: Array | None = None) -> Array:
        over, keep = tuple(axes_of(settings, axes)) or None, bool(settings.get("keepdims", 1))
        return np.asarray(reduce(array, axis=over, keepdims=keep), array.dtype)

    return rule


def _length(array: Array, **where: Any) -> Array:
    return np.asarray(np.sqrt(np.square(array).sum(**where)))


def _clipped(_: Settings, array: Array, least: Array | None = None, most: Array | None = None) -> Array:
    low, high = (-np.inf if least is None else least), (np.inf if most is None else most)
    return np.asarray(np.minimum(np.maximum(array, low), high), array.dtype)


_RULES: dict[str, Callable[..., Array]] = {
    "Constant": _constant, "ConstantOfShape": _of_shape, "Range": _range, "Concat": _concatenated,
    "Gather": _gathered, "Expand": _expanded, "Where": _chosen, "Clip": _clipped,
    "ReduceProd": _reduced(np.prod), "ReduceSum": _reduced(np.sum), "ReduceL2": _reduced(_length),
    "Equal": lambda _, a, b: np.asarray(a == b),
    "Identity": lambda _, x: x,
    "Cast": _cast,
    "Unsqueeze": lambda settings, x, axes=None: np.expand_dims(x, tuple(axes_of(settings, axes))),
    "Squeeze": lambda settings, x, axes=None: np.squeeze(x, tuple(axes_of(settings, axes)) or None),
    "Slice": lambda _, x, *given: x[tuple(slices(x.ndim, *given))],
    "Reshape": lambda _, x, shape: x.reshape(target_shape(x.shape, shape.ravel().tolist())),
    "Transpose": lambda settings, x: x.transpose(settings.get("perm")),
    "Add": _elementwise(np.add), "Sub": _elementwise(np.subtract), "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divided), "Sqrt": _elementwise(np.sqrt),
}
