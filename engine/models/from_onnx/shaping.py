"""Operators that move values about: reshaping, turning, joining, taking apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.models.from_onnx.building import IMAGE_AXES, ONE_IMAGE, Call, Tensor
from engine.models.from_onnx.folding import axes_of, slices, target_shape
from engine.models.layer_graph import MOST_AXES

Array = npt.NDArray[Any]


def _reshape(call: Call) -> Tensor:
    wanted = call.weight(1, 1).tolist()
    if call.setting("allowzero", 0) and 0 in wanted:
        call.refuse("makes an axis without entries")
    return _reshaped(call, wanted)


def _flatten(call: Call) -> Tensor:
    if call.setting("axis", 1) != 1:
        call.refuse("flattens something else than each image")
    return _reshaped(call, [0, -1])


def _squeeze(call: Call) -> Tensor:
    x = call.tensor()
    rank = len(x.axes)
    axes = {axis % rank for axis in axes_of(call.node.attributes, call.constant(1))}
    if 0 in axes or not axes or any(x.side(axis) != 1 for axis in axes):
        call.refuse("takes away the batch, or an axis that isn't 1 long")
    return _reshaped(call, [0, *(x.side(axis) for axis in range(1, rank) if axis not in axes)])


def _unsqueeze(call: Call) -> Tensor:
    x = call.tensor()
    added = axes_of(call.node.attributes, call.constant(1))
    rank = len(x.axes) + len(added)
    sides = iter([call.building.batch, *x.onnx_shape])
    places = {axis % rank for axis in added}
    if 0 in places and not call.building.fixed:
        call.refuse("puts an axis before the images of a batch, which mixes them", ONE_IMAGE)
    return _reshaped(call, [1 if axis in places else next(sides) for axis in range(rank)])


def _reshaped(call: Call, wanted: Sequence[int]) -> Tensor:
    """A tensor in another shape; the batch must stay by itself.

    Axes that are joined must stand side by side in ONNX's order; all others stay where Keras has them. A map that is
    flattened isn't turned for that: its values stand in another order, and whatever they meet must know.
    """
    x, batch = call.tensor(), call.building.batch
    if len(wanted) > MOST_AXES:
        call.refuse(f"makes {len(wanted):,} axes")
    try:
        shape = target_shape([batch, *x.onnx_shape], wanted)
    except (ValueError, IndexError, ZeroDivisionError):
        shape = []
    if batch == 1 and len(shape) == 1 and len(x.axes) > 1:
        return replace(_reshaped(call, [1, -1]), joined=True)
    if len(shape) < 2 or shape[0] != batch:
        call.refuse_across(f"makes {list(wanted)} of {x.onnx_shape}, which mixes the images of a batch")
    old, new = x.onnx_shape, shape[1:]
    groups = sorted(_groups(old, new), key=lambda group: min(x.axes.index(a + 1) for a in _long(old, group[0])))
    order = [axis for joined, _ in groups for axis in _long(old, joined) if old[axis] > 1]
    if order != [axis - 1 for axis in x.axes[1:] if old[axis - 1] > 1]:
        if len(new) == 1:
            return replace(call.add("Flatten", {}, x), axes=(0, 1), nonnegative=x.nonnegative, shuffled=x)
        short = [axis for axis in range(len(old)) if old[axis] == 1]
        x = call.building.laid_out(x, (0, *(axis + 1 for axis in (*order, *short))))
    axes = (0, *(axis + 1 for _, parts in groups for axis in parts))
    if len(new) == 3 and _without_ones(axes, new) == _without_ones(IMAGE_AXES, new):
        axes = IMAGE_AXES
    target = [new[axis - 1] for axis in axes[1:]]
    if target == list(x.shape):
        return replace(x, axes=axes)
    found = call.add("Flatten", {}, x) if len(new) == 1 else call.add("Reshape", {"target_shape": target}, x)
    return replace(found, axes=axes, nonnegative=x.nonnegative)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: the smallest runs of both shapes that hold equally many values."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        left, right = [i], [j]
        while (product := math.prod(old[a] for a in left)) != (other := math.prod(new[a] for a in right)):
            if product < other:
                left.append(left[-1] + 1)
            else:
                right.append(right[-1] + 1)
        groups.append((left, right))
        i, j = left[-1] + 1, right[-1] + 1
    groups[-1][0].extend(range(i, len(old)))  # what is left is 1 long
    groups[-1][1].extend(range(j, len(new)))
    return groups


def _long(shape: Sequence[int], axes: Sequence[int]) -> Sequence[int]:
    """Those of some axes that are longer than 1, or all of them."""
    return [axis for axis in axes if shape[axis] > 1] or axes


def _without_ones(axes: Sequence[int], shape: Sequence[int]) -> list[int]:
    return [axis for axis in axes[1:] if shape[axis - 1] > 1]


def _transpose(call: Call) -> Tensor:
    x = call.tensor()
    order = call.setting("perm", list(range(len(x.axes)))[::-1])
    if sorted(order) != list(range(len(x.axes))) or order[0] != 0:
        call.refuse("turns the batch")
    return replace(x, axes=tuple(order.index(axis) for axis in x.axes))


def _concat(call: Call) -> Tensor:
    tensors = [call.tensor(at) for at in range(len(call.inputs))]
    if len(tensors) == 1:
        return tensors[0]
    first = tensors[0]
    if any(len(tensor.axes) != len(first.axes) for tensor in tensors):
        call.refuse("joins values of different numbers of axes")
    joined = call.add("Concatenate", {"axis": call.axis(first, call.setting("axis", 1))},
                      *(call.building.laid_out(tensor, first.axes) for tensor in tensors))
    return replace(joined, nonnegative=all(tensor.nonnegative for tensor in tensors))


def _split(call: Call) -> list[Tensor]:
    x, given, parts = call.tensor(), call.constant(1), len(call.node.outputs)
    axis = call.axis(x, call.setting("axis", 0))
    side = x.shape[axis - 1]
    each = -(-side // parts)
    lengths = [min(each, side - each * i) for i in range(parts)] if given is None else given.ravel().tolist()
    if len(lengths) != parts or min(lengths) < 1 or sum(lengths) != side:
        call.refuse(f"splits {side} into {lengths}")
    starts = itertools.accumulate(lengths[:-1], initial=0)
    return [_taken(call, x, axis, range(start, start + length), part=f".{i}")
            for i, (start, length) in enumerate(zip(starts, lengths, strict=True))]


def _slice(call: Call) -> Tensor:
    x = call.tensor()
    try:
        found = slices(len(x.axes), *(call.constant(at) for at in range(1, len(call.inputs))))
    except (ValueError, IndexError):
        call.refuse("doesn't say what it cuts out")
    if any(part.step == 0 for part in found):
        call.refuse("goes on by 0")
    if range(call.building.batch)[found[0]] != range(call.building.batch):
        call.refuse_across("takes a part of the batch")
    for axis, part in list(enumerate(found))[1:]:
        x = _taken(call, x, x.axes.index(axis), range(x.side(axis))[part])
    return x


def _gather(call: Call) -> Tensor:
    x, wanted = call.inputs[0], call.constant(1)
    if isinstance(x, Tensor) and x.joined and wanted is not None:
        return _laid_out_by_table(call, replace(call.building.in_order(x), joined=False), wanted)
    x = call.tensor()
    axis = call.axis(x, call.setting("axis", 0))
    if wanted is None or wanted.ndim > 1 or wanted.dtype.kind not in "iu":
        call.refuse("takes entries from a table")
    taken = _taken(call, x, axis, wanted.tolist())
    if wanted.ndim:
        return taken
    left = [a for i, a in enumerate(x.axes) if i != axis]
    return replace(taken, axes=tuple(sorted(left).index(a) for a in left))


def _laid_out_by_table(call: Call, x: Tensor, table: Array) -> Tensor:
    """One image's values at the places that a table says, as PyTorch writes a change of strides."""
    if table.ndim < 2 or len(table) != 1 or call.setting("axis", 0) != 0:
        call.refuse("mixes the images of a batch")
    taken = _taken(call, x, 1, table.ravel().tolist())
    if table.ndim == 2:
        return taken
    inside = replace(call, inputs=[taken], name=f"{call.name}.shape")
    return _reshaped(inside, [1, *table.shape[1:]])


def _taken(call: Call, x: Tensor, axis: int, wanted: int | Sequence[int], part: str = "") -> Tensor:
    """The entries of some numbers, or of a single one, along one of Keras's axes.

    A range is made into numbers only where it isn't the whole side, and where there is room for them.
    """
    side = x.shape[axis - 1]
    if wanted == range(side):
        return x
    several = [wanted] if isinstance(wanted, int) else wanted
    call.building.take_room(len(several))
    numbers = [n + side if n < 0 else n for n in several]
    if not numbers or min(numbers) < 0 or max(numbers) >= side:
        call.refuse(f"takes entries that aren't there, of {side}")
    if wanted is several and len(numbers) == side and numbers == list(range(side)):
        return x
    taken = call.add("keras.ops.Take", {"axis": axis}, x, part=part,
                     literals=[numbers if wanted is several else numbers[0]])
    return replace(taken, nonnegative=x.nonnegative)


def _expand(call: Call) -> Tensor:
    """Repeats along axes that are 1 long, as of a gray picture given to a network for colours."""
    x, wanted = call.tensor(), call.constant(1)
    old, batch = [call.building.batch, *x.onnx_shape], call.building.batch
    if wanted is None:
        call.refuse("doesn't say how far")
    new = np.broadcast_shapes(tuple(old), tuple(wanted.ravel().tolist()))
    if len(new) != len(old) or new[0] != batch or 0 in new:
        call.refuse_across(f"makes {list(new)[:MOST_AXES]} of {x.onnx_shape}")
    return _repeated(call, x, [after // before for after, before in zip(new, old, strict=True)])


def _tile(call: Call) -> Tensor:
    x, wanted = call.tensor(), call.constant(1)
    times = [] if wanted is None else wanted.ravel().tolist()
    if len(times) != len(x.axes) or min(times) < 1 or times[0] != 1:
        call.refuse("repeats the batch, or doesn't say how often")
    return _repeated(call, x, times)


def _repeated(call: Call, x: Tensor, times: Sequence[int]) -> Tensor:
    """A tensor several times over along ONNX's axes."""
    for axis, often in enumerate(times):
        if often > 1:
            call.building.take_room(often * x.side(axis))
            x = _taken(call, x, x.axes.index(axis), [*range(x.side(axis))] * often, part=f".{axis}")
    return x


RULES: dict[str, Callable[[Call], Any]] = {
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Transpose": _transpose,
    "Concat": _concat, "Split": _split, "Slice": _slice, "Gather": _gather,
    "Expand": _expand, "Tile": _tile,
}
