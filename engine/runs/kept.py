"""A defence of a comparison as a pair to save, from what the comparison made: nothing is trained or calibrated anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.data.datasets import Dataset
from engine.data.subsets import halves, subset
from engine.defences.comparison import BADNET, ComparisonRow
from engine.defences.further import as_saved
from engine.defences.training import Repair, repaired_network
from engine.errors import EngineError
from engine.files.scratch import scratch_folder
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.guards.calibration import Guard
from engine.models.networks import Images, Network, open_network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.runs.pairs import open_again
from engine.runs.prune import PruningRun
from engine.runs.repair import RepairedPair, measured, notes_of


@dataclass(frozen=True, eq=False)
class Made:
    """What a comparison made, as plain values.

    Attributes:
        pruned: the channels that are pruned, by the defence's name; repairs: trained copies, likewise.
        guards: by what rows call them.
        networks, own_guards: what further defences made, by name: the bytes of a network's `.keras` file, or a guard.
        refused: why what a further defence made can't be saved, a sentence by its name.
        left_out: guards that would flag nothing and plug-ins that failed, which aren't compared, and images that no
            guard was set on, a sentence each.
    """

    pruned: dict[str, tuple[int, ...]] = field(default_factory=dict)
    repairs: dict[str, Repair] = field(default_factory=dict)
    guards: dict[str, Guard] = field(default_factory=dict)
    networks: dict[str, bytes] = field(default_factory=dict)
    own_guards: dict[str, Guard] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def can_build(self, row: ComparisonRow) -> bool:
        """Whether a row is a pair, a copy that answers alone, or B alone behind a guard, and can be saved."""
        return not self.hindrance(row)

    def hindrance(self, row: ComparisonRow) -> str:
        """Why a row can't be built again and saved, a sentence; empty where it can."""
        if row.defence in self.refused:
            return self.refused[row.defence]
        if row.defence in self.own_guards:
            return "" if row.guard == "none" else "A saved GoodNet has one guard, and these are two."
        if row.guard != "none" and row.guard not in self.guards:
            return f"The {row.guard} guard isn't there any more."
        copied = row.defence in {*self.pruned, *self.repairs, *self.networks}
        if copied or (row.defence == BADNET and row.guard != "none"):
            return ""
        return "Only a pair of B and a copy, a copy alone, or B behind a guard can be saved."

    def keep(self, name: str, found: Network | Guard, b: Network, images: Images) -> None:
        """Keep what a further defence made, once it is known that it answers the same when it is saved and opened.

        Args:
            b: the network that was defended; images: some of its input range, to try that with.
        """
        try:
            kept = as_saved(name, found, b, images)
        except EngineError as error:
            self.refused[name] = str(error)
            return
        if isinstance(kept, Guard):
            self.own_guards[name] = kept
        else:
            self.networks[name] = kept


def kept_pair(
    run: PruningRun, made: Made, row: ComparisonRow, *, told: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> RepairedPair:
    """Build a row's pair with its guard, and measure it on the run's data sets.

    Args:
        row: one that `made` can build.
        told: measure it on the halves that tell what others chose, see `Comparison.halves`.
    Raises:
        EngineError: the model or another file was changed since the run, or can't be opened any more.
        Cancelled: the token was set; nothing is kept.
    """
    opened = open_again(run, progress=progress, cancel=cancel)
    b = opened.network
    b_prime, notes, warning = _copy(b, run, made, row)
    guard = made.own_guards.get(row.defence) or made.guards.get(row.guard)
    notes |= {**run.notes(), "guard": row.guard}
    goodnet = GoodNet(b, b_prime, opened.preprocessing, notes, guard)
    clean, test = opened.to_make_and_measure()
    poisoned = opened.of("poisoned")
    if told:
        poisoned = [_telling(dataset) for dataset in poisoned]
        clean, test = _telling(clean), test and _telling(test)
    return measured(row.name, warning, goodnet, clean, test, poisoned, progress, cancel, half=told)


def _telling(dataset: Dataset) -> Dataset:
    return subset(dataset, halves(dataset.labels)[1].tolist(), dataset.part)


def ranked_on_text(run: PruningRun) -> str:
    """What flatters a pruned copy where there is no test set; nothing where there is one.

    Images that are held back from training aren't held back from a run's ranking.
    """
    if run.request.test:
        return ""
    return ("Which channels a pruned copy lost, and how many, was chosen on all validation images, those measured on "
            "included, which flatters it.")


def _copy(b: Network, run: PruningRun, made: Made, row: ComparisonRow) -> tuple[Network, dict[str, Any], str]:
    """B', what is noted of it, and what a person must know before using it."""
    if row.defence in made.repairs:
        repair = made.repairs[row.defence]
        warning = " ".join(filter(None, (repair.warning, ranked_on_text(run) if repair.pruned else "")))
        return repaired_network(b, repair), notes_of(repair, not row.paired), warning
    if row.defence in made.pruned:
        channels = list(made.pruned[row.defence])
        return b.pruned(run.model.layer, channels), {
            "method": row.defence, "layer": run.model.layer, "pruned_channels": channels}, ranked_on_text(run)
    if row.defence in made.networks:
        return _network(made.networks[row.defence], b), {ANSWERS: B_PRIME, "method": row.defence}, ""
    assert made.can_build(row)
    return b.copy(), {"method": "guard"}, ""


def _network(content: bytes, b: Network) -> Network:
    """A further defence's network from its file's bytes."""
    with scratch_folder() as folder:
        (folder / "network.keras").write_bytes(content)
        return Network(open_network(folder / "network.keras").model, b.path)
