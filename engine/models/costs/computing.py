"""How many images are computed in one go, from what each of them takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.errors import ModelError
from engine.models.costs.inside import MOST_OF_AN_IMAGE, makes_inside, values_inside
from engine.models.shapes import pair

# Images computed in one go: enough for full speed.
MOST_AT_ONCE = 256
# Values of one tensor computed in one go: 16 MB, of which there are several at a time.
MOST_TENSOR_VALUES = 1 << 22
# Products of numbers computed in one go: a fraction of a second, in which nobody can cancel.
MOST_PRODUCTS = 1 << 34
# What reading and writing a value costs, in products.
_VALUE_COST = 20
# Products for a single image, in which nobody can cancel: minutes, and a hundred times what the largest of
# keras.applications needs.
_MOST_COST = 10 ** 13


class Use(Protocol):
    """One use of a layer, with the symbolic tensors it takes and gives, as a network's calls are."""

    @property
    def layer(self) -> Any:
        """The layer."""

    @property
    def inputs(self) -> Sequence[Any]:
        """What it takes."""

    @property
    def output(self) -> Any:
        """What it gives."""


def images_at_once(tensors: Sequence[Any], calls: Sequence[Use] = ()) -> int:
    """For how many images each of some symbolic tensors is small enough to be held; sides of any size count as 1.

    Args:
        calls: uses of layers that are computed: of each, what it makes inside is small enough, too, and all are over
            in a fraction of a second. That follows from the network and not from the clock, so that a run repeats to
            the bit.
    Returns:
        A power of two up to MOST_AT_ONCE, so that chunks of a data set and of parts of it end at the same images.
    """
    values = max(*(math.prod(side or 1 for side in tensor.shape) for tensor in tensors), most_inside(calls))
    most = min(MOST_AT_ONCE, MOST_TENSOR_VALUES // values, MOST_PRODUCTS // products(calls))
    return 1 << int(math.log2(max(1, most)))


def affordable_cost(path: Path, calls: Sequence[Use]) -> int:
    """What a network costs an image, as `products`.

    Args:
        path: where the network is from, for messages.
    Raises:
        ModelError: that would take minutes, or a layer makes more of an image than memory should hold.
    """
    cost = products(calls)
    if cost > _MOST_COST:
        raise ModelError(f"{path}: needs {cost:,} products of numbers for a single image; at most {_MOST_COST:,} were "
                         "expected, more than known networks need. Choose a smaller network or smaller images.")
    most = max(math.prod(side or 1 for side in call.output.shape) for call in calls)
    if most > MOST_OF_AN_IMAGE:
        raise ModelError(f"{path}: makes {most:,} values of a single image in one layer, which would exhaust memory; "
                         f"at most {MOST_OF_AN_IMAGE:,} were expected. Choose smaller images.")
    return cost


def products(calls: Sequence[Use]) -> int:
    """What some uses of layers cost an image: products of numbers, values that are looked through for a pooled one, and
    values that are read and written.

    Sides of any size count as 1; at least 1.
    """
    total = 1
    for call in calls:
        shape = [side or 1 for side in call.output.shape]
        kernels = sum(math.prod(w.shape) for w in getattr(call.layer, "weights", ()) if w.path.endswith("kernel"))
        pooled = math.prod(pair(getattr(call.layer, "pool_size", 0)))
        total += math.prod(shape[1:-1]) * kernels + (_VALUE_COST + pooled) * math.prod(shape)
    return total


def most_inside(calls: Sequence[Use]) -> int:
    """The most values of an image that one of some uses of layers makes on the way to its output; at least 1."""
    return max(map(_inside, calls), default=1) or 1


def _inside(call: Use) -> int:
    kind = type(call.layer).__name__
    if not makes_inside(kind):
        return 0
    return values_inside(kind, call.layer.get_config(), [tuple(tensor.shape[1:]) for tensor in call.inputs])
