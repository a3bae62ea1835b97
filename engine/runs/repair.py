"""A B' trained in one of several ways, and made useful: beside B as a pair, behind a guard if wanted, and measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.assessment import Assessment, assess, astray, enumerated, percent
from engine.data.datasets import Dataset
from engine.data.fingerprints import Fingerprints
from engine.data.subsets import HELD_BACK, stored_pictures, subset
from engine.defences.distillation import distil
from engine.defences.fine_pruning import fine_prune
from engine.defences.training import Repair, missing_labels_warning, repaired_network
from engine.defences.unlearning import unlearn
from engine.errors import DatasetError, EngineError
from engine.goodnets.evaluation import Evaluation, evaluate, figures_of
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.goodnets.saved import FILES_WITHOUT_GUARD
from engine.guards.calibration import DEFAULT_FALSE_ALARMS, SPARING_GUARD, Guard, calibrate, calibrate_both
from engine.guards.transplant import refuse_other_sizes
from engine.models.networks import Images, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.pruning.ranking import rank_channels
from engine.runs.doubts.alarms_borne import borne_text
from engine.runs.doubts.measured import doubts_measured
from engine.runs.doubts.plausibility import Doubt, uneven_text
from engine.runs.opening.feeding import counted_answers
from engine.runs.opening.inputs import Opened

# A label is lost where of so many images that B was right on B' is right on less than half; so many are named.
_ENOUGH, _NAMED = 5, 3

RepairGuard = Literal["none", "transplant", "margin", "sparing"]

# What trains a B' from B and clean images alone, by the method's name.
TRAINED: dict[str, Callable[..., Repair]] = {"distillation": distil, "unlearning": unlearn}
FINE_PRUNING = "fine-pruning"
METHODS = (*TRAINED, FINE_PRUNING)
DEFAULT_METHOD = "distillation"
FLATTERED = ("No test set was given, and the clean images are too few to hold some back: clean accuracy and false "
             "alarms are measured on the images that the defence was made from, which flatters it.")


@dataclass(frozen=True, eq=False)
class RepairedPair:
    """B beside a copy, and what the pair is worth: on a clean set first, then on each poisoned one.

    Attributes:
        method: how the copy was made.
        pictures: some images of those sets as stored, that saved files are tried with.
        warning: what a person must know before trusting that; empty when all is well.
        assessment: what the figures mean, where a repair was measured on poisoned images.
    """

    method: str
    goodnet: GoodNet
    evaluations: tuple[Evaluation, ...]
    pictures: Images
    warning: str
    assessment: Assessment | None = None

    @property
    def without_guard(self) -> str:
        """What the files that can't hold the pair's guard are, and let through; empty where it has none."""
        return str(self.goodnet.notes.get("guard_note", ""))


def repair(
    opened: Opened, method: str = DEFAULT_METHOD, *, channels: int | None = None, guard: RepairGuard = "none",
    false_alarms: float = DEFAULT_FALSE_ALARMS, alone: bool = False, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Repair, RepairedPair]:
    """Train a B' by one of METHODS, put it beside B, or in its place, and measure the pair.

    Args:
        channels, allow_missing_labels: as repair_by's.
        guard: as rows of a comparison with that false-alarm rate call it, and calibrated as there.
        alone: B' answers without B having to agree.
    Returns:
        How the training went, and the pair.
    Raises:
        EngineError, DatasetError: as repair_by; or the guard can't be calibrated, or images have another size than
            those that it would be set on, which is asked before anything is trained.
        Cancelled: the token was set; nothing is kept.
    """
    clean, test = opened.to_make_and_measure()
    if guard in ("transplant", SPARING_GUARD):
        refuse_other_sizes(clean, filter(None, (test, *opened.of("poisoned"))))
    missing_labels_warning(opened.network, clean, allow_missing_labels)  # refuses before a guard is calibrated
    standing = calibrated(guard, opened.network, clean, false_alarms, progress=progress, cancel=cancel)
    found = repair_by(method, opened.network, clean, opened.layer, channels, seed=seed, guard=standing,
                      allow_missing_labels=allow_missing_labels, progress=progress, cancel=cancel)
    return found, _as_pair(opened, clean, test, found, guard, standing, alone, progress, cancel)


def repair_by(
    method: str, network: Network, clean: Dataset, layer: str, channels: int | None = None, *, seed: int = 0,
    allow_missing_labels: bool = False, guard: Guard | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a B' by one of METHODS.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        layer, channels: with fine-pruning, where and how many channels of the lowest mean activation are pruned
            first; None: nine tenths.
        allow_missing_labels: train although labels have no image; the result carries a warning.
        guard: one that was calibrated on these images; a transplant guard tells which of them may carry a trigger.
            Without such a one, one is calibrated for that alone.
    Raises:
        EngineError: no channel would be left.
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    clean, doubt = _trusted(network, clean, guard, progress, cancel)
    repair = _trained(method, network, clean, layer, channels, seed, allow_missing_labels, progress, cancel)
    return dataclasses.replace(repair, warning=" ".join(filter(None, (doubt, repair.warning))))


def without(guards: Sequence[Guard], clean: Dataset) -> Dataset:
    """Clean images but for those that a guard was set without, if every label keeps one."""
    left_out = {number for guard in guards for number in guard.left_out}
    kept = [number for number in range(len(clean)) if number not in left_out]
    if not left_out or len(np.unique(clean.labels[kept])) < len(np.unique(clean.labels)):
        return clean
    return subset(clean, kept, clean.part)


def _trusted(
    network: Network, clean: Dataset, guard: Guard | None, progress: ProgressCallback, cancel: CancelToken,
) -> tuple[Dataset, str]:
    """The images to learn from, without those that may carry a trigger and bear the attacker's label, from which a
    student would learn it; and a sentence on these."""
    def looking(report: Progress) -> None:
        progress(dataclasses.replace(report, what="Looking for a trigger among the clean images"))

    if not guard or guard.kind != "transplant":
        try:
            guard = calibrate(network, clean, progress=looking, cancel=cancel)
        except DatasetError:  # too few or too small for a guard; what can't be read is refused where it is learnt
            return clean, ""
    return without([guard], clean), guard.doubt


def _trained(
    method: str, network: Network, clean: Dataset, layer: str, channels: int | None, seed: int,
    allow_missing_labels: bool, progress: ProgressCallback, cancel: CancelToken,
) -> Repair:
    if method != FINE_PRUNING:
        return TRAINED[method](network, clean, seed=seed, allow_missing_labels=allow_missing_labels,
                               progress=progress, cancel=cancel)
    order = rank_channels(network, layer, clean, progress=progress, cancel=cancel).order
    count = channels if channels is not None else len(order) * 9 // 10
    if not 0 <= count < len(order):
        raise EngineError(f"{count} channels can't be pruned: {layer} has {len(order)} channels and at least one must "
                          f"stay. Choose 0 to {len(order) - 1}.")
    return fine_prune(network, clean, layer, [int(c) for c in order[:count]], seed=seed,
                      allow_missing_labels=allow_missing_labels, progress=progress, cancel=cancel)


def _as_pair(
    opened: Opened, clean: Dataset, test: Dataset | None, repair: Repair, guard: RepairGuard, standing: Guard | None,
    alone: bool, progress: ProgressCallback, cancel: CancelToken,
) -> RepairedPair:
    """A repair beside B, or in its place, and what the pair is worth; what is doubtful about the input comes first in
    its warning."""
    network, poisoned = opened.network, opened.of("poisoned")
    made_from = opened.files[0].dataset.sha256(cancel)
    notes = {**notes_of(repair, alone), **opened.model_summary().notes(made_from), "guard": guard}
    goodnet = GoodNet(network, repaired_network(network, repair), opened.preprocessing, notes, standing)
    uneven = uneven_text(clean.name, clean.labels, network.labels) if standing else ""
    answers = counted_answers(network, clean, progress=progress, cancel=cancel)
    led = astray(clean.name, answers, network.labels, len(clean))
    said = " ".join(filter(None, (*opened.notices, led, uneven, repair.warning)))
    prints = [Fingerprints(dataset) for dataset in (test or clean, *poisoned)]
    on, *against = (one.dataset for one in prints)
    pair = measured(repair.method, said, goodnet, on, on if test else None, against, progress, cancel)
    doubts = doubts_measured(goodnet, prints, pair.evaluations, clean if test else None, progress=progress,
                             cancel=cancel)
    return _judged(pair, doubts)


def _judged(pair: RepairedPair, doubts: Sequence[Doubt]) -> RepairedPair:
    """A pair with what is doubtful about its figures and, where an attack was measured, with what they mean, in
    goodnet.json too."""
    warning = " ".join(filter(None, (*(doubt.sentence for doubt in doubts), pair.warning)))
    if not pair.evaluations[1:]:
        return dataclasses.replace(pair, warning=warning)
    goodnet = pair.goodnet
    guarded = f" behind the {goodnet.guard_name} guard" if goodnet.guard else ""
    found = assess(f"With {pair.method}{guarded}", figures_of(pair.evaluations), guarded=bool(guarded),
                   plausible=not any(doubt.implausible for doubt in doubts))
    goodnet = dataclasses.replace(goodnet, notes=goodnet.notes | {"assessment": found.sentence})
    return dataclasses.replace(pair, goodnet=goodnet, warning=warning, assessment=found)


def calibrated(
    guard: RepairGuard, network: Network, clean: Dataset, false_alarms: float, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Guard | None:
    """The guard that a repair is asked for, calibrated; None where none is.

    Raises:
        DatasetError: as engine.guards.calibration.calibrate.
        Cancelled: the token was set.
    """
    if guard == "none":
        return None
    if guard == "sparing":
        return calibrate_both(network, clean, "transplant", false_alarms, progress=progress, cancel=cancel)[1]
    return calibrate(network, clean, guard, false_alarms, progress=progress, cancel=cancel)


def measured(
    method: str, warning: str, goodnet: GoodNet, clean: Dataset, test: Dataset | None, poisoned: Sequence[Dataset],
    progress: ProgressCallback, cancel: CancelToken, *, half: bool = False,
) -> RepairedPair:
    """A pair with what it is worth.

    Args:
        warning: of how the copy was made.
        clean, test: as Opened.to_make_and_measure gives them. All data sets are in the networks' input range.
        half: each set is half of the one of its name.
    Raises:
        Cancelled: the token was set.
    """
    found = [evaluate(goodnet, test or clean, progress=progress, cancel=cancel)]
    found += [evaluate(goodnet, dataset, poisoned=True, progress=progress, cancel=cancel) for dataset in poisoned]
    pictures = stored_pictures([test or clean, *poisoned])
    # On images that B' learnt from, what lowered labels cost was told when it was made.
    by_label = _by_label_text(found[0], test or clean, goodnet.notes.get("lowered_labels", []) if test else [], half)
    note = goodnet.guard.note() if goodnet.guard else ""
    borne = _borne_text(goodnet, found[0], half)
    said = " ".join(filter(None, (warning, by_label, measured_on_text(test), note, borne)))
    if goodnet.guard:
        goodnet = dataclasses.replace(goodnet, notes=goodnet.notes | {"guard_note": _without_guard_text(found[1:])})
    return RepairedPair(method, goodnet, tuple(found), pictures, said)


def _borne_text(goodnet: GoodNet, found: Evaluation, half: bool) -> str:
    """Which labels bear the false alarms of a pair's guard on a set."""
    alarms = found.alarms and dataclasses.replace(found.alarms, name=_part(found.name, half))
    return borne_text(goodnet.guard, goodnet.guard_name, goodnet.classes, alarms) if goodnet.guard else ""


def _part(name: str, half: bool) -> str:
    return f"half of {name}" if half else name


def _without_guard_text(poisoned: Sequence[Evaluation]) -> str:
    """That some files of a guarded pair hold no guard, and what gets through these."""
    through = [f"{percent(one.correct.value)} of {one.title}" for one in poisoned]
    said = f" Without the guard, as in these files, {enumerated(through)} get through." if through else ""
    return f"{FILES_WITHOUT_GUARD}{said}"


def _by_label_text(found: Evaluation, dataset: Dataset, lowered: Sequence[int], half: bool) -> str:
    """What lowered labels cost on a set, and which other labels B' has lost; nothing where there is none such.

    Of a label that hardly any image was learnt from, as where most were left out, accuracy over all labels says little.
    """
    before, after = np.array(found.b_right), np.array(found.b_prime_right)
    shown = np.bincount(dataset.labels, minlength=len(before))

    def told(labels: Iterable[int]) -> str:
        return "; ".join(f"of label {label}'s {shown[label]:,} images B answers {before[label]:,} right and B' "
                         f"{after[label]:,}" for label in labels)

    name = _part(dataset.name, half)
    measured = told(label for label in lowered if shown[label])
    lost = [int(label) for label in np.flatnonzero((before >= _ENOUGH) & (2 * after < before))
            if label not in lowered]
    more = f", and so of {len(lost) - _NAMED:,} labels more" if len(lost) > _NAMED else ""
    return " ".join((*([f"Measured on {name}: {measured}."] if measured else []),
                     *([f"B' has lost what it knew of some labels: on {name}, {told(lost[:_NAMED])}{more}."]
                       if lost else [])))


def measured_on_text(test: Dataset | None) -> str:
    """Which clean images a defence was measured on, where that isn't a test set.

    Args:
        test: None for those that it was made from.
    """
    if test is None:
        return FLATTERED
    return (f"No test set was given: clean accuracy and false alarms are measured on {len(test):,} validation images "
            "that were held back when the defence was made.") if test.part == HELD_BACK else ""


def notes_of(repair: Repair, alone: bool) -> dict[str, Any]:
    """What goodnet.json says of a repair, and whether it answers alone."""
    return {**({ANSWERS: B_PRIME} if alone else {}),
            "method": repair.method, "seed": repair.seed, "steps": repair.steps, "kept_step": repair.kept_step,
            "warning": repair.warning, "layer": repair.layer, "pruned_channels": list(repair.pruned),
            "lowered_labels": list(repair.lowered)}
