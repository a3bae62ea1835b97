"""What a run means for someone who must decide whether to deploy, in plain words and with what it can't tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.assessment import HARMLESS_ATTACK, RANK, Level, percent
from engine.reports.headline import RECOMMENDATIONS, headline, measured_text
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, price_text

_CHOSEN_BY_RESULT = ("The best of several defences is named first, chosen on the images that measured it, which "
                     "flatters it. Measure it once more on images that nobody has used yet.")


@dataclass(frozen=True)
class Advice:
    """The best that the run found, as a level and what to do; sentences on what is doubtful, found and not known."""

    level: Level
    headline: str
    warnings: tuple[str, ...]
    found: tuple[str, ...]
    unknown: tuple[str, ...]


def advise(run: PruningRun, rows: Sequence[GoodNetRow]) -> Advice:
    """Weigh every defence that a run measured: pruned GoodNets, guards, what it was compared with.

    Args:
        rows: the run's GoodNets.
    """
    best = headline(run, rows)
    found = [_without_defence(run)]
    level: Level = best.level if best else "unknown"
    if best:
        found += [f"{best.figures}.", best.sentence]
    pruned = min((row.assessment for row in rows), key=lambda verdict: RANK[verdict.level], default=None)
    if pruned and pruned.level != level:
        found.append(f"Pruning alone: {pruned.sentence}")
    found += filter(None, [price_text(rows)])
    several = len(rows) + (run.guarded is not None) + (run.comparison is not None) > 1
    return Advice(level, best.recommendation if best else RECOMMENDATIONS["unknown"], best.warnings if best else (),
                  tuple(found), (*_unknown(run), *([_CHOSEN_BY_RESULT] if several else [])))


def _without_defence(run: PruningRun) -> str:
    clean = percent(run.curve.clean.b_prime_rate(0).value)
    shown = [(p.title, p.b_prime_rate(0).value) for p in run.curve.poisoned
             if p.b_prime_rate(0).value > HARMLESS_ATTACK]
    if not shown:
        return f"Without a defence, B answers {clean} of clean images right."
    several = len(run.curve.poisoned) > 1
    told = " and ".join(f"{percent(rate)} of {name if several else 'poisoned ones'}" for name, rate in shown)
    found = f"Without a defence, B answers {clean} of clean images right and {told} with the attacker's target"
    if not run.plausible:
        return f"{found}."
    return f"{found}. Unless those are pictures of the target itself, it must not be deployed as it is."


def _unknown(run: PruningRun) -> tuple[str, ...]:
    sets = run.curve.poisoned
    found = []
    if sets:
        found.append("Only the trigger of the poisoned images given was tried. The network may hold another one, and "
                     "these figures say nothing about it.")
        found.append("An image that is of the target label itself counts as attacked although nothing is wrong with "
                     "the answer: leave such images out of a poisoned set.")
        images = sum(counts.images for counts in sets)
        found.append(f"They rest on {run.curve.clean.images:,} clean and {images:,} poisoned images. Look at the upper "
                     "end of each interval, not at the rate alone.")
    else:
        found.append("Without images that carry the trigger, nothing here measures the attack. That clean accuracy "
                     "falls while channels are pruned doesn't show a backdoor: it does so in a clean network too.")
    if run.curve.test is None:
        found.append("No test set was given: clean accuracy is measured on the images that channels were ranked and "
                     "the thresholds chosen by, which flatters it.")
    seen = run.datasets[0].labels
    if seen < run.model.labels:
        measured = any(d.role == "test" and d.labels == run.model.labels for d in run.datasets)
        others = "The test images show the others, too, but the channels' order, the thresholds and a guard rest on " \
            "the validation images alone" if measured else "How any defence treats the others isn't known"
        found.append(f"The clean validation images show only {seen:,} of the network's {run.model.labels:,} labels. "
                     f"{others}, and a network trained anew (fine-pruned or repaired) forgets the others.")
    if run.guarded:
        if measured_text(run.guarded):
            found.append(measured_text(run.guarded))
        found.append("The guard was measured on the images given alone. It may miss triggers that none of them carries "
                     "(patches, blends, warps), above all those of attackers who know the guard.")
    found.append("A GoodNet that labels an image N doesn't prove a trigger, and one that doesn't label it N doesn't "
                 "prove a clean image: see false alarms and detection.")
    found.append("Images in use may differ from those measured here; then so do the figures.")
    return tuple(found)
