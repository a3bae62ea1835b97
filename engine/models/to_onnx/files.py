"""ONNX files written only where they are found to answer as the network does.

`onnx.checker` looks at the graph and ONNX's own reference computes it in NumPy, both of the package that reads ONNX
files here. onnxruntime would compute faster, but is 78 MB more in the packed program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.spread import spread_over
from engine.errors import ModelError, in_short
from engine.models.networks import Images, Network, largest

# The largest difference of answers, as a part of their range.
CLOSE = 1e-4
# Where layers enlarge what each rounds off, two right ways to compute in float32 differ by more: on a ResNet-50 of
# random weights Keras's answers lie 2.1e-4 of their range beside those of float64, and the file's, in NumPy, 1.5e-4.
# So the network's answers are held against the file's in float64. A mistake is in both of the file's precisions and
# not in what lies between them, which is rounding alone and says how much of it a right file may show: so many times
# as much (3.3 times were the most on three networks and their pruned copies), but no more than this part of the range.
_ROUNDINGS, _MOST_ROUNDING = 4, 1e-3
# Values that all layers together give for the pictures that are compared: ten seconds or so of the reference.
_MOST_VALUES = 1 << 24
_FEWEST = 2
_MOST_BYTES = (1 << 31) - 1  # of a protocol buffer


def write_onnx(network: Network, path: Path, pictures: Images, notes: Mapping[str, str] | None = None) -> str:
    """Write a network as `path`, if ONNX has words for its layers and what is written answers as it does.

    Args:
        pictures: float32[n, H, W, C] as the network takes them; some of them are compared.
        notes: what the file says of itself, its `metadata_props`.
    Returns:
        Why nothing was written, a sentence, or an empty one.
    """
    from engine.models.to_onnx.translation import translated  # brings `onnx`, which takes half a second to load
    try:
        model = translated(network)
        for key, value in (notes or {}).items():
            model.metadata_props.add(key=key, value=value)
        _check(model, network, _some(pictures, network))
    except ModelError as error:
        return f"{path.name} was left out: {error}."
    path.write_bytes(model.SerializeToString(deterministic=True))
    return ""


def _check(model: Any, network: Network, pictures: Images) -> None:
    """Raises ModelError, a part of a sentence, where a file isn't valid or answers otherwise."""
    from onnx import checker
    if model.ByteSize() > _MOST_BYTES:
        raise ModelError(f"it would have {model.ByteSize():,} bytes, more than an ONNX file may")
    # Layer by layer: for so few pictures a graph costs more than it saves.
    sequential = type(network.model).__name__ == "Sequential"  # whose input isn't known by that name once copied
    given = [pictures] if not sequential and isinstance(network.model.input, list) else pictures
    answer = network.model(given, training=False)
    expected = np.asarray(answer[0] if isinstance(answer, list) else answer)
    try:
        checker.check_model(model, full_check=True)
        with np.errstate(all="ignore"):  # what the reference computes on its way to a right answer may overflow
            same = _answers_alike(model, pictures, expected)
    except (checker.ValidationError, ValueError, RuntimeError, TypeError, LookupError, ArithmeticError) as error:
        raise ModelError(f"what was written isn't valid ({in_short(error).rstrip('.')})") from error
    if not same:
        raise ModelError(f"it didn't answer as the network does on {len(pictures)} pictures")


def _answers_alike(model: Any, pictures: Images, expected: npt.NDArray[np.float32]) -> bool:
    """Whether a graph gives a network's answers float32[n, labels], or its labels and answers but for rounding."""
    from engine.models.to_onnx.reference import computed, in_double
    found = computed(model, pictures)
    if found.shape != expected.shape:
        return False
    span = float(expected.max() - expected.min()) or 1.0
    if np.abs(found - expected).max() <= CLOSE * span:
        return True
    if not np.array_equal(largest(found), largest(expected)):
        return False
    exact = computed(in_double(model), pictures.astype(np.float64))
    rounding = float(np.abs(found - exact).max())
    return bool(np.abs(expected - exact).max() <= min(_ROUNDINGS * rounding, _MOST_ROUNDING * span))


def _some(pictures: Images, network: Network) -> Images:
    """As many pictures, from first to last, as the reference computes in a short time."""
    values = sum(math.prod(side or side_of for side, side_of in zip(
        call.output.shape[1:], pictures.shape[1:], strict=False)) for call in network.calls)
    most = max(_FEWEST, _MOST_VALUES // values)
    some: Images = pictures[spread_over(len(pictures), most)]
    return some
