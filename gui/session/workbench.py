"""What stays open between tasks: networks. Used on the worker's thread only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.data.datasets import UNKNOWN_STAMP, Dataset
from engine.errors import EngineError
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet
from engine.models.networks import Network, open_network
from engine.progress import CancelToken
from engine.runs.opening.inputs import DatasetSummary
from engine.runs.pairs import build_goodnet, build_guarded_badnet, refuse_changed, refuse_changed_set
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow


class Workbench:
    """The network of the run on show, and the pair that pictures are checked with."""

    def __init__(self) -> None:
        self._network: Network | None = None
        self._opened: tuple[str, str | None] | None = None  # the SHA-256 and the output that were asked for
        self._goodnet: GoodNet | None = None
        self._unchanged: set[tuple[Path, tuple[int, int], str]] = set()  # path, stamp and SHA-256 of sets of a run

    def network(self, run: PruningRun) -> Network:
        """A run's network, opened once.

        Raises:
            EngineError: its file can't be used any more, or was changed since the run.
        """
        wanted = run.model.sha256, run.request.output
        if self._network is None or self._opened != wanted:
            network = open_network(run.model.path, run.request.output)
            refuse_changed(network, run)
            self._network, self._opened = network, wanted
        return self._network

    def refuse_changed_set(self, dataset: Dataset, counted: DatasetSummary, cancel: CancelToken) -> None:
        """As the engine's, but a set is read whole only once, and not at all if it was not written since the run."""
        known = dataset.path, dataset.stamp, counted.sha256
        if dataset.stamp == UNKNOWN_STAMP or (dataset.stamp != counted.stamp and known not in self._unchanged):
            refuse_changed_set(dataset, counted, cancel)
            self._unchanged.add(known)

    def built(self, run: PruningRun, row: GoodNetRow | None) -> GoodNet:
        """A run's pair; None stands for B behind the guard alone."""
        network = self.network(run)
        return build_goodnet(run, row, network) if row else build_guarded_badnet(run, network)

    def take(self, run: PruningRun, row: GoodNetRow | None) -> GoodNet:
        """Put a run's pair into use for checking pictures."""
        self._goodnet = self.built(run, row)
        return self._goodnet

    def take_saved(self, paths: Sequence[Path]) -> GoodNet:
        """Put a saved pair into use for checking pictures.

        Raises:
            EngineError: the files aren't one; the pair before stays in use.
        """
        self._goodnet = open_goodnet(paths)
        return self._goodnet

    @property
    def goodnet(self) -> GoodNet:
        """The pair in use.

        Raises:
            EngineError: there is none.
        """
        if self._goodnet is None:
            raise EngineError("There is no GoodNet yet to check pictures with: press Run, or open a saved one. "
                              "A folder of pictures with labels has one sub-folder for each label.")
        return self._goodnet
