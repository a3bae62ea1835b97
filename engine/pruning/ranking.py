"""Mean activation of each channel over clean data, and the pruning order that follows from it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Chunk, Dataset
from engine.errors import EngineError, LayerNotFound
from engine.files.own import read_own
from engine.models import vocabulary
from engine.models.networks import Call, Images, Network, compiled, in_batches
from engine.parallel import in_parallel
from engine.progress import (
    NEVER_CANCELLED,
    CancelToken,
    Did,
    Meter,
    Progress,
    ProgressCallback,
    ignore_done,
    ignore_progress,
)
from engine.pruning.steps import Features, KeptFeatures, StepPredictor, arrays, joined

Sums = npt.NDArray[np.float64]
RankAt = Literal["conv", "pool"]
_Found = TypeVar("_Found")

_RANKING = "Ranking channels"
_ORDER = "a JSON list of channel numbers, or a run.json with its pruning_order,"
# A provisional ranking is told again on so many times as many images.
_SHARPER = 4


@dataclass(frozen=True, eq=False)
class ChannelRanking:
    """A layer's pruning order.

    Attributes:
        layer: the layer's name.
        order: int64[C], the channel pruned first comes first.
        mean_activation: float64[C]; entry c belongs to channel c. Of a given order in runs of old, nan.
        source: "conv" or "pool", where activation was measured, or the file the order came from.
    """

    layer: str
    order: npt.NDArray[np.int64]
    mean_activation: npt.NDArray[np.float64]
    source: str


@np.errstate(invalid="ignore")  # of a channel that overflows to both sides there is no mean, and it is pruned last
def rank_channels(
    network: Network, layer: str, dataset: Dataset, *, rank_at: RankAt = "conv",
    predictor: StepPredictor | None = None, kept: KeptFeatures | None = None,
    provisional: Callable[[ChannelRanking], None] | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> ChannelRanking:
    """Order a layer's channels by mean activation over clean images, lowest first.

    Args:
        layer: name of a prunable layer with C output channels.
        dataset: N images, H x W x 3, in the network's input range.
        rank_at: measure at the layer itself or behind the pooling layer it feeds.
        predictor, kept: the features that the sweep will need are put aside on the way.
        provisional: is given the ranking on the first chunk alone, and again each time that it rests on four times as
            many images.
    Returns:
        ChannelRanking: `order` int64[C], `mean_activation` float64[C] (mean over images and positions).
        Channels with equal means keep their index order, so a run repeats exactly.
    Raises:
        LayerNotFound: the network has no such layer, or no pooling layer behind it.
        Cancelled: the token was set; nothing is kept.
    Source: Liu, Dolan-Gavitt, Garg, Fine-Pruning, RAID 2018, section 3.1.
    """
    at = ranked_tensor(network, layer, rank_at)
    tensors = predictor.feature_tensors if predictor and kept else []
    run = _prepared(network, [at, *tensors], dataset, progress, cancel)
    total, done, told_at = np.zeros(at.shape[-1], np.float64), 0, 0
    meter = Meter(_RANKING, len(dataset), progress)

    def measure(chunk: Chunk, ended: CancelToken) -> tuple[int, list[Sums], Features]:
        return len(chunk.labels), *sums_and_features(run, chunk.images, network.batch, ended, meter.add)

    # Sums come back and are added in the order of the images, so a run repeats to the bit.
    chunks = _chunks(dataset, predictor.batch if predictor else network.batch, network)
    for images, sums, features in in_parallel(measure, ((chunk,) for chunk in chunks), cancel=cancel,
                                              beat=meter.report):
        for part in sums:
            total += part
        if kept and features:
            kept.keep(features)
        done += images
        if provisional and done >= _SHARPER * told_at:
            told_at = done
            provisional(ranking_from_means(layer, total / done, rank_at))
        meter.report(done)
        cancel.raise_if_cancelled()
    return ranking_from_means(layer, total / len(dataset), rank_at)


def _prepared(network: Network, tensors: list[Any], dataset: Dataset, progress: ProgressCallback,
              cancel: CancelToken) -> Any:
    """What computes tensors of a network, ready for threads: TensorFlow prepares a graph on its first call, and threads
    that meet there each do so. Each piece of this work is a second's of a large network.

    Raises:
        Cancelled: the token was set.
    """
    def begin() -> None:
        cancel.raise_if_cancelled()
        progress(Progress(_RANKING, 0, len(dataset)))

    begin()
    run = compiled(network.submodel([network.input], tensors), at_once=True)
    begin()
    run(np.zeros((1, *dataset.image_shape), np.float32))
    begin()
    return run


def _chunks(dataset: Dataset, size: int, network: Network) -> Iterator[Chunk]:
    """A set in chunks; of a large network the first one is small, so that there is something to look at soon."""
    first = min(size, max(network.batch, network.quick // network.batch * network.batch), len(dataset))
    for span in ((0, first), (first, len(dataset))):
        with closing(dataset.chunks(size, span=span)) as chunks:
            yield from chunks


def ranked_tensor(network: Network, layer: str, rank_at: RankAt) -> Any:
    """The symbolic tensor whose mean activation ranks the layer's channels.

    Raises:
        LayerNotFound: see rank_channels.
    """
    call = network.call_of(layer)
    return call.output if rank_at == "conv" else pooling_behind(network, call).output


def sums_and_features(run: Callable[[Images], Any], images: Images, size: int, cancel: CancelToken = NEVER_CANCELLED,
                      did: Did = ignore_done) -> tuple[list[Sums], Features]:
    """A layer's sum_of_means of each `size` images, and features of all, from a model that gives both."""
    parts = list(map(arrays, in_batches(run, images, size, cancel, did)))
    return [sum_of_means(part[0]) for part in parts], joined(part[1:] for part in parts)


@np.errstate(invalid="ignore")
def sum_of_means(activation: npt.NDArray[np.float32]) -> Sums:
    """Float32[n, h, w, C] to float64[C], accumulated in float64."""
    positions = max(1, int(np.prod(activation.shape[1:-1])))
    flat = activation.reshape(-1, activation.shape[-1])
    sums: Sums = flat.sum(axis=0, dtype=np.float64)
    return sums / positions


def ranking_from_means(layer: str, means: npt.NDArray[np.float64], source: str) -> ChannelRanking:
    """The order that mean activations float64[C] give, lowest first, equal ones by index."""
    return ChannelRanking(layer, np.argsort(means, kind="stable"), means, source)


def given_order(network: Network, layer: str, path: Path | None) -> Callable[[ChannelRanking], ChannelRanking]:
    """What puts a ranking in the order of a file, its means as they were measured; without a file, leaves it.

    Args:
        path: a JSON list of channel numbers, or a run.json or published.json that holds `pruning_order`.
    Raises:
        EngineError: the file holds no order, or one that isn't each channel exactly once.
    """
    if path is None:
        return lambda measured: measured
    order, source = read_order(path, layer, network.prunable_layers()[network.call_of(layer).name]), path.name
    return lambda measured: dataclasses.replace(measured, order=np.array(order, np.int64), source=source)


def read_order(path: Path, layer: str = "the layer", channels: int | None = None) -> list[int]:
    """Read a pruning order from a file, as `given_order` takes it.

    Args:
        channels: how many the layer has; None to take the order for one of any size.
    Raises:
        EngineError: the file holds no order, or one that isn't each channel exactly once.
    """
    def check(content: Any) -> list[int]:
        order = content.get("pruning_order") if isinstance(content, dict) else content
        if not isinstance(order, list) or not order or any(type(c) is not int for c in order):
            raise EngineError(f"{path}: holds no pruning order; {_ORDER} was expected. Choose a file that has one.")
        if sorted(order) != list(range(channels or len(order))):
            last = f" 0 to {channels - 1}" if channels else ""
            raise EngineError(f"{path}: the pruning order must hold each of {layer}'s channels{last} exactly once; it "
                              f"{_wrong_with(order, channels or len(order))}. Check that it belongs to this layer.")
        return order

    return _read(path, check)


def of_another_network(path: Path, network: Network) -> str:
    """That a run.json whose order is taken is of another network, a sentence; nothing where it doesn't say so.

    Raises:
        EngineError: it can't be read.
    """
    def check(content: Any) -> str:
        model = content.get("model") if isinstance(content, dict) else None
        theirs = model.get("sha256") if isinstance(model, dict) else None
        return "" if theirs in (None, network.sha256) else (
            f"{path.name} holds the pruning order of another network: channels with the same numbers are others there.")

    return _read(path, check)


def _read(path: Path, check: Callable[[Any], _Found]) -> _Found:
    return read_own(path, check, "can't be read as a pruning order", f"{_ORDER[0].upper()}{_ORDER[1:]} was expected.")


def _wrong_with(order: list[int], channels: int) -> str:
    """What keeps numbers from being each of so many channels once."""
    strange = [c for c in order if not 0 <= c < channels]
    if strange:
        return f"holds {strange[0]}"
    missing = set(range(channels)).difference(order)
    if missing:
        return f"doesn't hold {min(missing)}"
    return f"holds {next(c for c, often in Counter(order).items() if often > 1)} more than once"


def pooling_behind(network: Network, call: Call) -> Call:
    """The first pooling layer fed by a convolution.

    Raises:
        LayerNotFound: none is.
    """
    after = {id(call.output)}
    for later in network.calls:
        if len(later.inputs) == 1 and id(later.inputs[0]) in after:
            kind = type(later.layer).__name__
            if kind in vocabulary.POOLING:
                return later
            if kind in vocabulary.CHANNELWISE:
                after.add(id(later.output))
    raise LayerNotFound(f"{network.path}: no pooling layer stands behind '{call.name}'. Rank at the convolution "
                        "instead.")
