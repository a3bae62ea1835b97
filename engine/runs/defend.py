"""From a network under suspicion to the best defence there is for it: examine, make all defences, measure, choose."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.assessment import HARMLESS_ATTACK, Attack, percent
from engine.data.datasets import Dataset
from engine.defences.comparison import UNPAIRED, Comparison, ComparisonRow
from engine.files.scratch import scratch_folder
from engine.guards.calibration import SPARING_GUARD
from engine.guards.transplant import refuse_other_sizes
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.runs.all_defences import compare_defences
from engine.runs.doubts.plausibility import WEAK_ATTACK
from engine.runs.examine import Examination, examine
from engine.runs.kept import Made, kept_pair
from engine.runs.opening.inputs import Opened
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.reconstructed import write_stand_ins
from engine.runs.repair import RepairedPair

# What a defence may cost, in points of clean accuracy, before one that costs less but stops less is looked at; and the
# share of an attack that it may leave before one that costs more is.
BEARABLE_POINTS = 3.0
BEARABLE_ATTACK = 0.15
# Of a network that lost more, training left little to use: there were too few clean images to learn from.
SPOILT_POINTS = 10.0
# So many images of each set are parted: one half chooses, the other tells what was chosen is worth.
FEWEST_TO_PART = 80
# All networks that defences were measured on are right on more of the clean images. Of one that is right on half of
# them what was chosen left 56 % of an attack, and 2 % of what was computed from it.
MEASURED_ACCURACY = 0.9
NOT_TRIED = (
    "Triggers over the whole picture (blends, stripes, warps, colour filters) other than those of the images measured "
    "on: of three colour filters 47 to 85 % were left before guard and examination looked at colours, and at most 0.3 "
    "since.",
    "The attacker's trigger worn stronger than where it was measured: of two networks taught a faint one, the copy let "
    "71 and 88 % of the strongest through without its guard, and none of it behind that.",
    "Triggers that work on certain people only, or send each label to another.",
    "Attackers who know this defence, on this network; of twelve who had read one defence's source and were tried on "
    "others, two kept more than a tenth of their attack against what is chosen without poisoned images (18 and 35 %).")

_NO_ATTACK = ("The poisoned images given show no attack: B hardly ever answers their label, so it isn't the attacker's "
              "target, or they don't wear a trigger. Reconstructed triggers were measured beside them.")


@dataclass(frozen=True, eq=False)
class Defended:
    """The defence that was chosen, and what it was chosen from.

    Attributes:
        examination: what was found without poisoned images.
        run: the pruning run with the comparison of all defences.
        chosen: the comparison's row, on images that it wasn't chosen by if `apart`; pair: as it is saved.
        estimated: whether the attack was measured with reconstructed triggers, for want of real ones that work.
        holds_against: what it was measured to stop, a sentence each; not_tried: what nobody has tried here.
        cautions: what a person must know before relying on it, the gravest first.
    """

    examination: Examination
    run: PruningRun
    chosen: ComparisonRow
    pair: RepairedPair
    apart: bool
    estimated: bool
    holds_against: tuple[str, ...]
    not_tried: tuple[str, ...]
    cautions: tuple[str, ...]
    seconds: float

    @property
    def candidates(self) -> tuple[ComparisonRow, ...]:
        """Everything that was measured, on all images, B without a defence first."""
        return self.run.comparison.rows if self.run.comparison else ()

    @property
    def without_guard(self) -> str:
        """What the files that can't hold the pair's guard are, and let through; empty where it has none."""
        return self.pair.without_guard


def defend(
    opened: Opened, request: PruningRequest, seed: int = 0, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Defended:
    """Examine a network, make every defence that fits, measure all on the same images and build the best.

    Where no poisoned images are given, clean images that wear the reconstructed stamps of the labels that stand out,
    and patterns over the whole picture, stand in for them; where none does, those of the most suspicious label. They
    stand beside poisoned images that show no attack, too.

    Args:
        opened: the request's files.
        request: layer, false alarms and thresholds as of a pruning run. Guards are always tried.
    Raises:
        EngineError: an input is at fault.
        Cancelled: the token was set; nothing is kept.
    """
    started = time.monotonic()
    clean, test = opened.to_make_and_measure()
    refuse_other_sizes(clean, filter(None, (test, *opened.of("poisoned"))))  # before the work
    found = examine(opened.network, clean, seed, notices=opened.notices,
                    progress=progress, cancel=cancel)
    with scratch_folder() as folder:
        shown = any(_falls_for(opened.network, given, cancel) for given in opened.of("poisoned"))
        stand_ins = [] if shown else write_stand_ins(
            opened, found.foremost, folder, progress=progress, cancel=cancel)
        # The comparison calibrates guards; the run needs none of its own.
        asked = dataclasses.replace(request, layer=opened.layer, scale=opened.preprocessing.name, guard="none",
                                    poisoned=(*request.poisoned, *stand_ins))
        run = run_pruning(asked, progress=progress, cancel=cancel)
        complete = len(np.unique(clean.labels)) == opened.network.labels
        made = Made()
        comparison = compare_defences(run, trained=complete, made=made, standing_out=found.judgement.standing_out,
                                      progress=progress, cancel=cancel)
        run = dataclasses.replace(run, comparison=comparison)
        estimated = are_estimates(comparison.rows[0].attacks)
        choosing, telling, apart = parted(comparison)
        rows = [row for row in choosing if made.can_build(row)]
        chosen = telling[choosing.index(best_row(broad_rows(rows) if estimated else rows))]
        pair = kept_pair(run, made, chosen, told=apart, progress=progress, cancel=cancel)
    cautions = _cautions(run, found, chosen, opened, complete, estimated=estimated,
                         stood_in=not shown, apart=apart)
    without_attack = (_NO_ATTACK,) if request.poisoned and not shown else ()
    said = (*without_attack, *cautions, *made.left_out, *made.refused.values(), *filter(None, [pair.warning]))
    return Defended(found, run, chosen, pair, apart, estimated, stopped(chosen.attacks) if run.plausible else (),
                    NOT_TRIED, said, time.monotonic() - started)


def _falls_for(network: Network, poisoned: Dataset, cancel: CancelToken) -> bool:
    """Whether B answers the attacker's labels on enough of these images to tell defences apart by them."""
    fooled = 0
    for chunk in poisoned.chunks(network.batch):
        fooled += int((network.predict_labels(chunk.images, cancel) == chunk.labels).sum())
    return fooled > HARMLESS_ATTACK * len(poisoned)


def are_estimates(attacks: Sequence[Attack]) -> bool:
    """Whether only stand-ins tell what defences are worth: of sets that B doesn't fall for nothing can be told.

    Poisoned images that an examination made are stand-ins, too, whoever chose the files.
    """
    return all(attack.reconstructed for attack in attacks if attack.before.value > HARMLESS_ATTACK)


def parted(comparison: Comparison) -> tuple[tuple[ComparisonRow, ...], tuple[ComparisonRow, ...], bool]:
    """Rows to choose by, the same on the other half of the images, to tell what was chosen is worth, and whether that
    is so: of too few images both are those of all."""
    counts = [rate.total for row in comparison.rows[:1]
              for rate in (row.clean, *(attack.success for attack in row.attacks))]
    if comparison.halves is None or min(counts, default=0) < FEWEST_TO_PART:
        return comparison.rows, comparison.rows, False
    return *comparison.halves, True


def best_row(rows: Sequence[ComparisonRow]) -> ComparisonRow:
    """The cheapest of those that leave at most 5 % of the worst attack and cost at most 3 points; where there is none,
    the one with the least sum of attack left and clean accuracy lost, at first of those that leave at most 15 % for
    that cost, then of all. Of equals the first."""
    def harm(row: ComparisonRow) -> tuple[int, float]:
        attack = row.attack.value if row.attack else 0.0
        bearable = row.points_lost <= BEARABLE_POINTS
        if bearable and attack <= HARMLESS_ATTACK:
            return 0, row.points_lost
        return 1 if bearable and attack <= BEARABLE_ATTACK else 2, round(100 * attack + row.points_lost, 7)

    return min(rows, key=harm)


def broad_rows(rows: Sequence[ComparisonRow]) -> Sequence[ComparisonRow]:
    """Those to choose from where triggers computed from the network stand in for the attacker's own: the copy repaired
    by distillation behind the guard that spares nearly all clean images, or alone where only that is bearable.

    Measured on networks of known truth, a guard or a narrower repair often stops the stand-ins and lets the attacker's
    own trigger through; that copy learnt to ignore what no trigger needs to be known for. What it leaves of the
    stand-ins, which were made to move the network, says little of the attacker's own. Only where nothing was trained,
    or training spoilt the network, all rows are left.
    """
    repaired = {row.guard: row for row in rows if row.defence == UNPAIRED}
    both = [repaired[guard] for guard in (SPARING_GUARD, "none") if guard in repaired]
    for most in (BEARABLE_POINTS, SPOILT_POINTS):
        if bearable := [row for row in both if row.points_lost <= most]:
            return bearable[:1]
    return rows


def stopped(attacks: Sequence[Attack]) -> tuple[str, ...]:
    """What attacks a defence was measured to stop, a sentence each."""
    return tuple(
        f"{'The reconstructed trigger' if attack.reconstructed else 'The trigger'} of {attack.name}: "
        f"{percent(attack.before.value)} of {attack.success.total:,} images fell for it with B alone, "
        f"{percent(attack.success.value)} do now (up to {percent(attack.success.interval[1])} at 95 % confidence)."
        for attack in _shown(attacks) if attack.success.value <= HARMLESS_ATTACK)


def left_over(attacks: Sequence[Attack]) -> tuple[str, ...]:
    """That a defence was measured not to stop an attack, in a sentence about the worst; nothing where it stops all."""
    worst = max(_shown(attacks), key=lambda attack: attack.success.value, default=None)
    if worst is None or worst.success.value <= HARMLESS_ATTACK:
        return ()
    return (f"The best defence found leaves an attack that works on {percent(worst.success.value)} of {worst.title} "
            f"(with B alone on {percent(worst.before.value)}): don't rely on it to stop that trigger.",)


def _shown(attacks: Sequence[Attack]) -> list[Attack]:
    """Those that B falls for; of a trigger computed from the network that it falls for on less than half of the images
    there is little to stop."""
    return [attack for attack in attacks if attack.before.value > HARMLESS_ATTACK
            and (attack.before.value >= WEAK_ATTACK or not attack.reconstructed)]


def _cautions(
    run: PruningRun, found: Examination, chosen: ComparisonRow, opened: Opened, complete: bool, *,
    estimated: bool, stood_in: bool, apart: bool,
) -> tuple[str, ...]:
    # The run was told which preprocessing to take, so it doesn't know what is doubtful about that choice.
    said = list(dict.fromkeys((*left_over(chosen.attacks), *opened.notices,
                               *(doubt.sentence for doubt in run.doubts))))
    if chosen.points_lost > BEARABLE_POINTS:
        said.append(f"The best defence found costs {chosen.points_lost:.1f} points of clean accuracy. More clean "
                    "images of every label would let a repair keep more.")
    if not apart:
        said.append(f"One of the sets holds fewer than {FEWEST_TO_PART} images, so the best defence was chosen by the "
                    "images that measured it, which flatters it.")
    if opened.network.is_large:
        said.append("The network is large, so fewer stamps were tried and fewer images were learnt at a step. What "
                    "defences hold against was measured on small networks; here only an attacker's own images tell.")
    if estimated:
        said.append("There were no poisoned images of an attacker's that B falls for: attack success is that of a "
                    "trigger reconstructed from the network, an estimate. A defence may stop it and not the "
                    "attacker's own.")
        right = min(counts.b_prime_rate(0).value for counts in run.curve.sets if counts.role != "poisoned")
        if right < MEASURED_ACCURACY:
            said.append(f"B is right on only {percent(right)} of the clean images. Defences were measured on networks "
                        f"that are right on more than {percent(MEASURED_ACCURACY)}; one that was right on half of its "
                        "images kept more than half of its attack, though the estimate was small.")
        if stood_in and not found.guilty:
            which = "triggers are those of the labels that stand out" if found.foremost[1:] else \
                "trigger is that of the most suspicious one"
            said.append(f"The examination named no label, so the reconstructed {which}, which may be harmless.")
    if not found.judgement.decided:
        said.append(f"The examination's answer: {found.judgement.sentence}")
    if not complete:
        said.append("The clean images don't show every label, so nothing was trained: a trained network would forget "
                    "the others.")
    return tuple(said)
