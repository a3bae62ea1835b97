"""Counting on many machines: Dask's workers rank and count spans of images, and their counts are added here.

A worker that dies costs the spans it was working on; Dask gives them to another one. Files must lie where every
worker can read them under the same path, and workers need this project's packages and code.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import Preprocessing
from engine.data.targets import of_target, target_of
from engine.errors import DatasetError, EngineError, ModelError
from engine.models.costs.computing import MOST_AT_ONCE
from engine.models.networks import Network, compiled, open_network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback
from engine.pruning.incremental import predictor_for
from engine.pruning.ranking import ChannelRanking, RankAt, ranked_tensor, ranking_from_means, sums_and_features
from engine.pruning.steps import StepPredictor
from engine.pruning.sweep import PruningCurve, SetCounts, SweepSet, as_curve, count_chunk, empty_counts

# Images a task: seconds of work, so that neither a lost worker nor the scheduler costs much.
SPAN = 8 * MOST_AT_ONCE
_CONNECT_SECONDS = 10
_LOOK_SECONDS = 0.2
_ANOTHER = "isn't the same file on a cluster worker as here. Put one copy where all can read it."

# A network's file, its SHA-256, the layer that is pruned, the output that was chosen where there are several, and the
# height and width of the pictures, None where they are of several sizes.
_Model = tuple[str, str, str, str | None, tuple[int | None, int | None]]


@dataclass(frozen=True)
class _Source:
    """A data set as a worker opens it: by its stamp anew when it was saved again, and with the labels that it has here.

    Attributes:
        labels: their SHA-256.
    """

    path: str
    stamp: tuple[int, int]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    target: int | None
    labels: bytes


class Cluster:
    """A connection to a Dask scheduler for one run, and the layer the run prunes."""

    def __init__(self, address: str, network: Network, layer: str, cancel: CancelToken) -> None:
        self._model = (str(network.path.absolute()), network.sha256, layer, network.output_name,
                       tuple(network.input.shape[1:3]))
        self._network, self._layer, self._cancel = network, layer, cancel
        try:
            import distributed
            from distributed.comm.addressing import get_address_host_port
        except ImportError as error:
            raise EngineError("Counting on a cluster needs Dask; install it with "
                              "'pip install -r requirements-cluster.txt'.") from error
        try:
            # Asked for by hand first: Dask's own attempt leaves a thread behind when nobody answers.
            place = get_address_host_port(address)
            socket.create_connection(place, timeout=_CONNECT_SECONDS).close()
            connect: Any = distributed.Client  # without annotations
            self._client = connect(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineError(f"{address}: no Dask scheduler answers there ({type(error).__name__}). "
                              "Check the address and that the scheduler runs.") from error

    def __enter__(self) -> Cluster:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
            # Sent as text: what is sent by name ends a worker that doesn't know the name.
            for everywhere in (self._client.run_on_scheduler, self._client.run):
                everywhere(exec, f"import {__name__}")
        except (ImportError, asyncio.TimeoutError) as error:  # TimeoutError itself from Python 3.11 on
            self._client.close()
            problem = f"The cluster's scheduler or a worker can't import this program ({error}). Start both" \
                if isinstance(error, ImportError) else "The cluster's scheduler has no workers. Start some"
            raise EngineError(f"{problem} in its folder, with PYTHONPATH=. and the same packages as here.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._client.close()

    def rank(self, dataset: Dataset, rank_at: RankAt, progress: ProgressCallback) -> ChannelRanking:
        """As ranking.rank_channels, to the bit: sums are added in the order of the images."""
        source = _source(dataset)
        sums: dict[int, list[npt.NDArray[np.float64]]] = {}
        spans = _spans(len(dataset))
        done = 0
        for index, part in self._run(_rank_span, [(source, rank_at, span) for span in spans]):
            sums[index] = part
            done += spans[index][1] - spans[index][0]
            progress(Progress("Ranking channels on the cluster", done, len(dataset)))
        total = np.zeros(self._network.prunable_layers()[self._layer], np.float64)
        for index in range(len(spans)):
            for part_sum in sums[index]:
                total += part_sum
        return ranking_from_means(self._layer, total / len(dataset), rank_at)

    def sweep(
        self, order: npt.NDArray[np.int64], sets: Sequence[SweepSet],
        partial: Callable[[PruningCurve], None] | None, progress: ProgressCallback,
    ) -> PruningCurve:
        """As sweep.sweep; counts are sums, so the order in which spans come back doesn't matter."""
        counts = [empty_counts(s, len(order)) for s in sets]
        sources = [_source(s.dataset) for s in sets]
        # Sets take turns, so that the first results give a curve of every set.
        tasks = sorted((span, which) for which, s in enumerate(sets) for span in _spans(len(s.dataset)))
        arguments = [(sources[which], counts[which], order, span) for span, which in tasks]
        total, done = sum(len(s.dataset) for s in sets), 0
        for index, part in self._run(_count_span, arguments):
            which = tasks[index][1]
            counts[which] = counts[which].plus(part)
            done += part.images
            progress(Progress("Counting every pruning step on the cluster", done, total))
            if partial and all(c.images for c in counts):
                partial(as_curve(self._layer, order, counts))
        return as_curve(self._layer, order, counts)

    def _run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Give (position, result) as tasks end, looking at the cancel token all the while."""
        import distributed

        positions = {self._client.submit(function, self._model, *a, pure=False): i for i, a in enumerate(arguments)}
        ended: Queue[Any] = Queue()
        for future in positions:
            future.add_done_callback(ended.put)
        try:
            for _ in range(len(arguments)):
                future = self._next(ended)
                try:
                    result = future.result()
                except distributed.KilledWorker as error:
                    raise EngineError("The cluster's workers died again and again on the same images. "
                                      "Look at their logs; they may lack memory.") from error
                yield positions.pop(future), result
        finally:
            self._client.cancel(list(positions), force=True)

    def _next(self, ended: Queue[Any]) -> Any:
        while True:
            self._cancel.raise_if_cancelled()
            with suppress(Empty):
                return ended.get(timeout=_LOOK_SECONDS)


def _source(dataset: Dataset) -> _Source:
    return _Source(str(dataset.path.absolute()), dataset.stamp, dataset.preprocessing, dataset.classes,
                   target_of(dataset) if dataset.part else None, _print_of(dataset))


def _print_of(dataset: Dataset) -> bytes:
    return hashlib.sha256(dataset.labels.tobytes()).digest()


def _spans(images: int) -> list[tuple[int, int]]:
    return [(start, min(start + SPAN, images)) for start in range(0, images, SPAN)]


@lru_cache(maxsize=2)
def _open_model(path: str, sha256: str, layer: str, output: str | None,
                sides: tuple[int | None, int | None]) -> tuple[Network, StepPredictor]:
    network = open_network(Path(path), output)
    if network.sha256 != sha256:
        raise ModelError(f"{path}: {_ANOTHER}")
    height, width = sides
    if height and width and None in network.input_shape:
        network = network.at(height, width)
    return network, predictor_for(network, layer)


@lru_cache(maxsize=8)
def _open_source(source: _Source, network: Network) -> Dataset:
    opened = open_dataset(Path(source.path), network.input_shape).named(source.classes, numbers=True)
    prepared = opened.fitting(network.labels).prepared(source.preprocessing)
    dataset = prepared if source.target is None else of_target(prepared, source.target)
    if _print_of(dataset) != source.labels:
        raise DatasetError(f"{source.path}: {_ANOTHER}")
    return dataset


def _rank_span(
    model: _Model, source: _Source, rank_at: RankAt, span: tuple[int, int],
) -> list[npt.NDArray[np.float64]]:
    """Runs on a worker: sums of mean activations, float64[C], of each few images that are computed in one go."""
    network, predictor = _open_model(*model)
    run = compiled(network.submodel([network.input], [ranked_tensor(network, model[2], rank_at)]))
    chunks = _open_source(source, network).chunks(predictor.batch, span=span)
    return [part for chunk in chunks for part in sums_and_features(run, chunk.images, network.batch)[0]]


def _count_span(
    model: _Model, source: _Source, of: SetCounts, order: npt.NDArray[np.int64], span: tuple[int, int],
) -> SetCounts:
    """Runs on a worker: counts of one span."""
    network, predictor = _open_model(*model)
    counts: SetCounts | None = None
    for chunk in _open_source(source, network).chunks(predictor.batch, span=span):
        labels = predictor.labels(predictor.features(chunk.images), order, NEVER_CANCELLED)
        part = count_chunk(of, labels, chunk.labels)
        counts = part if counts is None else counts.plus(part)
    assert counts is not None
    return counts
