"""A defence of a comparison as a pair to save, from what the comparison made: nothing is trained or calibrated anew."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from engine.defences.comparison import BADNET, UNLEARNT_UNPAIRED, UNPAIRED, ComparisonRow
from engine.defences.training import Repair, repaired_network
from engine.errors import EngineError
from engine.goodnets.pair import GoodNet
from engine.guards.calibration import Guard
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.runs.inputs import open_inputs
from engine.runs.prune import PruningRun
from engine.runs.repair import RepairedPair, measured, notes_of


@dataclass(frozen=True, eq=False)
class Made:
    """What a comparison made, as plain values.

    Attributes:
        pruned: the channels that are pruned, by the defence's name; repairs: trained copies, likewise.
        guards: by their kind.
    """

    pruned: dict[str, tuple[int, ...]] = field(default_factory=dict)
    repairs: dict[str, Repair] = field(default_factory=dict)
    guards: dict[str, Guard] = field(default_factory=dict)

    def can_build(self, row: ComparisonRow) -> bool:
        """Whether a row is a pair, a copy that answers alone, or B alone behind a guard."""
        if row.guard != "none" and row.guard not in self.guards:
            return False
        return row.defence in self.pruned or row.defence in self.repairs or \
            (row.defence == BADNET and row.guard != "none")


def kept_pair(
    run: PruningRun, made: Made, row: ComparisonRow, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> RepairedPair:
    """Build a row's pair with its guard, and measure it on the run's data sets.

    Args:
        row: one that `made` can build.
    Raises:
        EngineError: the model or another file was changed since the run, or can't be opened any more.
        Cancelled: the token was set; nothing is kept.
    """
    opened = open_inputs(dataclasses.replace(run.request, layer=run.model.layer, scale=run.model.scale),
                         progress=progress, cancel=cancel)
    b = opened.network
    if b.sha256 != run.model.sha256:
        raise EngineError(f"{run.model.path}: was changed since the run. Run again, or bring the old file back.")
    b_prime, notes, warning = _copy(b, run, made, row)
    notes["classes"] = list(run.model.classes)
    goodnet = GoodNet(b, b_prime, opened.preprocessing, notes, made.guards.get(row.guard))
    clean, test = opened.to_make_and_measure()
    return measured(row.name, warning, goodnet, clean, test, opened.of("poisoned"), progress, cancel)


def _copy(b: Network, run: PruningRun, made: Made, row: ComparisonRow) -> tuple[Network, dict[str, Any], str]:
    """B', what is noted of it, and what a person must know before using it."""
    if row.defence in made.repairs:
        repair, alone = made.repairs[row.defence], row.defence in (UNPAIRED, UNLEARNT_UNPAIRED)
        return repaired_network(b, repair), notes_of(repair, b, alone), repair.warning
    source = {"name": run.model.path.name, "sha256": run.model.sha256}
    if row.defence in made.pruned:
        channels = list(made.pruned[row.defence])
        return b.pruned(run.model.layer, channels), {
            "method": row.defence, "layer": run.model.layer, "pruned_channels": channels, "b": source}, ""
    assert made.can_build(row)
    return b.copy(), {"method": "guard", "b": source}, ""
