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
        self._opened: tuple[str, str | None] | None = None  # the SHA-256 and the output that were asked for
        self._goodnet: GoodNet | None = None

    def network(self, run: PruningRun) -> Network:
        """A run's network, opened once.

        Raises:
            ModelError: its file can't be used any more.
        """
        wanted = run.model.sha256, run.request.output
        if self._network is None or self._opened != wanted:
            self._network, self._opened = open_network(run.model.path, run.request.output), wanted
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
            raise EngineError("There is no GoodNet yet to check pictures with: press Run, or open a saved one. "
                              "A folder of pictures with labels has one sub-folder for each label.")
        return self._goodnet
