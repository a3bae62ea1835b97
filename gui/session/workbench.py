"""What stays open between tasks: networks. Used on the worker's thread only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import EngineError
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet
from engine.models.networks import Network, open_network
from engine.runs.pairs import build_goodnet, build_guarded_badnet
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow


class Workbench:
    """The network of the run on show, and the pair that pictures are checked with."""

    def __init__(self) -> None:
        self._network: Network | None = None
        self._goodnet: GoodNet | None = None

    def network(self, run: PruningRun) -> Network:
        """A run's network, opened once.

        Raises:
            ModelError: its file can't be used any more.
        """
        if self._network is None or self._network.sha256 != run.model.sha256:
            self._network = open_network(run.model.path)
        return self._network

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
            raise EngineError("There is no GoodNet to check pictures with. Run the pruning, or open a saved GoodNet.")
        return self._goodnet
