"""ONNX files written only where they are found to answer as the network does.

`onnx.checker` looks at the graph and ONNX's own reference computes it in NumPy, both of the package that reads ONNX
files here. onnxruntime would compute faster, but is 78 MB more in the packed program.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets import spread_over
from engine.errors import ModelError, in_short
from engine.models.networks import Images, Network

# The largest difference of answers, as a part of their range.
CLOSE = 1e-4
# Values that all layers together give for the pictures that are compared: ten seconds or so of the reference.
_MOST_VALUES = 1 << 24
_FEWEST = 2
_MOST_BYTES = (1 << 31) - 1  # of a protocol buffer


def write_onnx(network: Network, path: Path, pictures: Images) -> str:
    """Write a network as `path`, if ONNX has words for its layers and what is written answers as it does.

    Args:
        pictures: float32[n, H, W, C] as the network takes them; some of them are compared.
    Returns:
        Why nothing was written, a sentence, or an empty one.
    """
    from engine.models.to_onnx.translation import translated  # brings `onnx`, which takes half a second to load
    try:
        model = translated(network)
        _check(model, network, _some(pictures, network))
    except ModelError as error:
        return f"{path.name} was left out: {error}."
    path.write_bytes(model.SerializeToString(deterministic=True))
    return ""


def _check(model: Any, network: Network, pictures: Images) -> None:
    """Raises ModelError, a part of a sentence, where a file isn't valid or answers otherwise."""
    from onnx import checker

    from engine.models.to_onnx.reference import computed
    if model.ByteSize() > _MOST_BYTES:
        raise ModelError(f"it would have {model.ByteSize():,} bytes, more than an ONNX file may")
    try:
        checker.check_model(model, full_check=True)
        found = computed(model, pictures)
    except (checker.ValidationError, ValueError, RuntimeError, TypeError, LookupError, ArithmeticError) as error:
        raise ModelError(f"what was written isn't valid ({in_short(error).rstrip('.')})") from error
    # Layer by layer: for so few pictures a graph costs more than it saves.
    sequential = type(network.model).__name__ == "Sequential"  # whose input isn't known by that name once copied
    given = [pictures] if not sequential and isinstance(network.model.input, list) else pictures
    answer = network.model(given, training=False)
    expected = np.asarray(answer[0] if isinstance(answer, list) else answer)
    if found.shape != expected.shape or not _is_close(found, expected):
        raise ModelError(f"it didn't answer as the network does on {len(pictures)} pictures")


def _is_close(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> bool:
    span = float(expected.max() - expected.min()) or 1.0
    return bool(np.abs(found - expected).max() <= CLOSE * span)


def _some(pictures: Images, network: Network) -> Images:
    """As many pictures, from first to last, as the reference computes in a short time."""
    values = sum(math.prod(side or side_of for side, side_of in zip(
        call.output.shape[1:], pictures.shape[1:], strict=False)) for call in network.calls)
    most = max(_FEWEST, _MOST_VALUES // values)
    some: Images = pictures[spread_over(len(pictures), most)]
    return some
