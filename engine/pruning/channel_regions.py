"""Which layers behind a pruned one keep its channels apart, and which ones mix them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models import vocabulary
from engine.models.networks import Call, Network
from engine.models.prunable.channels import masked_value

Array = npt.NDArray[Any]
Owners = npt.NDArray[np.int64]

_ELEMENTWISE = vocabulary.MERGING - {"Concatenate", "Dot"}


@dataclass(frozen=True, eq=False)
class Place:
    """A tensor in which every value belongs to one channel of the pruned layer, or to none.

    Attributes:
        tensor: flattened ones stand here as they were before.
        owners: int64[channels of the tensor], the pruned layer's channel that each depends on; -1 for none.
    """

    tensor: Any
    owners: Owners


@dataclass(frozen=True, eq=False)
class Region:
    """What lies between the pruned layer and the layers that mix its channels.

    Attributes:
        inputs: the distinct places of what the mixers take.
        mixers: the mixing layers' calls; `takes[j]` is the position in `inputs` of what mixer j takes.
        beside: tensors from elsewhere that are merged with the pruned layer's, such as a shortcut around it.
    """

    inputs: tuple[Place, ...]
    mixers: tuple[Call, ...]
    takes: tuple[int, ...]
    beside: tuple[Any, ...]


def find_region(network: Network, start: Call) -> Region | None:
    """The region behind a layer, or None where something else than convolutions and dense layers ends it.

    None too where pictures may be of any size: no values of masked channels then hold for all of them.
    """
    if None in start.output.shape[1:]:
        return None
    inside = {id(start.output): Place(start.output, np.arange(start.output.shape[-1]))}
    behind: set[int] = set()  # what depends on the layer by way of the mixers
    beside: dict[int, Any] = {}
    mixers: list[Call] = []
    for call in network.calls:
        places = [inside.get(id(tensor)) for tensor in call.inputs]
        if any(id(tensor) in behind for tensor in call.inputs):
            behind.add(id(call.output))
            if any(places):
                return None
        elif not any(places):
            continue
        elif _mixes(call):
            mixers.append(call)
            behind.add(id(call.output))
        else:
            place = _kept_apart(call, places)
            if place is None:
                return None
            inside[id(call.output)] = place
            beside.update({id(t): t for t, known in zip(call.inputs, places, strict=True) if known is None})
    if not mixers or id(network.output) in inside or \
            (len(mixers) > 1 and any(call.output is network.output for call in mixers)):
        return None
    taken = [inside[id(mixer.inputs[0])] for mixer in mixers]
    inputs = list({id(place.tensor): place for place in taken}.values())
    takes = [next(i for i, place in enumerate(inputs) if place.tensor is mine.tensor) for mine in taken]
    return Region(tuple(inputs), tuple(mixers), tuple(takes), tuple(beside.values()))


def masked_tensors(network: Network, start: Call, region: Region) -> list[Any]:
    """What the mixers take when every channel is masked, as symbolic tensors of the network: one for each of `inputs`.

    Where nothing is merged from elsewhere these are the same for every image, see `masked_constants`.
    """
    _, keras = backend.load()
    masked = keras.ops.full_like(start.output, masked_value(start.layer))
    tensors = [place.tensor for place in region.inputs]
    answer = network.submodel([start.output, *region.beside], tensors)([masked, *region.beside])
    return list(answer) if isinstance(answer, list) else [answer]


def masked_constants(network: Network, start: Call, region: Region) -> list[Array]:
    """What the mixers take when every channel is masked, as the layers themselves compute it: [1, ...] each."""
    _, keras = backend.load()
    masked = keras.ops.full((1, *start.output.shape[1:]), masked_value(start.layer), "float32")
    answers = []
    for place in region.inputs:
        answer = masked if place.tensor is start.output else \
            network.submodel([start.output], [place.tensor])(masked, training=False)
        answers.append(np.asarray(answer))
    return answers


def channels_first(values: Array, channels: int) -> Array:
    """Float32[n, h, w, C] or flattened float32[n, positions * C] as contiguous [C, n, ...]."""
    apart = values.reshape(len(values), -1, channels) if values.ndim == 2 else values
    return np.ascontiguousarray(np.moveaxis(apart, -1, 0))


def is_dense(call: Call) -> bool:
    """Whether a call is a dense layer's."""
    return type(call.layer).__name__ == "Dense"


def _mixes(call: Call) -> bool:
    if len(call.inputs) != 1 or None in call.inputs[0].shape[1:]:
        return False
    if type(call.layer).__name__ in ("Conv2D", "SeparableConv2D"):
        return bool(call.layer.data_format == "channels_last")
    return is_dense(call) and len(call.inputs[0].shape) == 2


def _kept_apart(call: Call, places: list[Place | None]) -> Place | None:
    """Where a call's output stands, if it keeps channels apart."""
    layer, kind = call.layer, type(call.layer).__name__
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    if len(places) > 1:
        return _merged(call, places)
    place = places[0]
    assert place is not None
    elementwise = vocabulary.activation_name(layer) in vocabulary.ELEMENTWISE_ACTIVATIONS
    if kind == "DepthwiseConv2D":
        return Place(call.output, place.owners.repeat(layer.depth_multiplier)) if elementwise else None
    if kind not in vocabulary.CHANNELWISE or (kind == "Activation" and not elementwise) or (
            kind == "BatchNormalization" and layer.axis not in (-1, len(call.inputs[0].shape) - 1)):
        return None
    return Place(place.tensor if kind == "Flatten" else call.output, place.owners)


def _merged(call: Call, places: list[Place | None]) -> Place | None:
    """Where the output of a sum, product or join of several tensors stands, if it keeps channels apart."""
    kind, rank = type(call.layer).__name__, len(call.output.shape)
    given = list(zip(call.inputs, places, strict=True))
    if any(place is not None and place.tensor is not tensor for tensor, place in given):
        return None  # flattened before
    if kind == "Concatenate" and call.layer.axis in (-1, rank - 1) and rank > 2:
        nothing = [np.full(tensor.shape[-1], -1) if place is None else place.owners for tensor, place in given]
        return Place(call.output, np.concatenate(nothing))
    if kind not in _ELEMENTWISE or any(tensor.shape[-1] != call.output.shape[-1] for tensor in call.inputs):
        return None
    known = [place.owners for place in places if place is not None]
    if len({len(one) for one in known}) > 1:
        return None  # a flattened map, all positions of a channel, and one whose channels are as many as those
    owners = np.max(known, axis=0)
    agree = all(((one == owners) | (one == -1)).all() for one in known)
    return Place(call.output, owners) if agree else None
