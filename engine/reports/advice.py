"""What a run means for someone who must decide whether to deploy, in plain words and with what it can't tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.assessment import HARMLESS_ATTACK, Assessment, Level, assess, percent
from engine.reports.headline import BEST_FIRST, headline
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow

# A threshold whose step costs so many points more than asked for is worth a sentence.
_OVERSHOOT_POINTS = 2.0
_HEADLINES: dict[Level, str] = {
    "repaired": "One of these defences holds on the images given",
    "costly": "The attack can be stopped, but only at the price of much accuracy",
    "weakened": "Don't deploy: the attack is weakened, not stopped",
    "failed": "Don't deploy: nothing in this run stops the attack",
    "unknown": "Nobody can say from this run whether the backdoor is gone",
}
_CHOSEN_BY_RESULT = ("The best of several defences is named first, chosen on the images that measured it, which "
                     "flatters it. Measure it once more on images that nobody has used yet.")


@dataclass(frozen=True)
class Advice:
    """The best that the run found, as a level and a headline; sentences on what was found and on what isn't known."""

    level: Level
    headline: str
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
    compared = _best_compared(run)
    if compared and BEST_FIRST.index(compared.level) < BEST_FIRST.index(level):
        level = compared.level
        found.append(compared.sentence)
    pruned = min((row.assessment for row in rows), key=_place, default=None)
    if pruned and pruned.level != level:
        found.append(f"Pruning alone: {pruned.sentence}")
    found += _prices(run, rows)
    several = len(rows) + (run.guarded is not None) + (run.comparison is not None) > 1
    return Advice(level, _HEADLINES[level], tuple(found), (*_unknown(run), *([_CHOSEN_BY_RESULT] if several else [])))


def _best_compared(run: PruningRun) -> Assessment | None:
    """The best of the comparison's rows, against its first one: B without a defence."""
    if run.comparison is None:
        return None
    alone, *others = run.comparison.rows
    if alone.attack_success is None or alone.attack_success.value <= HARMLESS_ATTACK:
        return None  # there is no attack to stop
    verdicts = []
    for row in others:
        behind = "" if row.guard == "none" else f" behind the {row.guard} guard"
        verdicts.append(assess(f"In the comparison, with {row.defence}{behind},", row.clean_accuracy,
                               alone.clean_accuracy, row.attack_success))
    return min(verdicts, key=_place, default=None)


def _place(verdict: Assessment) -> int:
    return BEST_FIRST.index(verdict.level)


def _without_defence(run: PruningRun) -> str:
    clean = percent(run.curve.clean.b_prime_rate(0).value)
    before = run.curve.poisoned[0].b_prime_rate(0) if run.curve.poisoned else None
    if before is None or before.value <= HARMLESS_ATTACK:
        return f"Without a defence, B answers {clean} of clean images right."
    return (f"Without a defence, B answers {clean} of clean images right and {percent(before.value)} of poisoned ones "
            "with the attacker's target: it must not be deployed as it is.")


def _prices(run: PruningRun, rows: Sequence[GoodNetRow]) -> Iterator[str]:
    for row in rows:
        asked = row.drop_points if run.request.drop_mode == "points" else row.drop_relative_percent
        if asked > row.x + _OVERSHOOT_POINTS:
            yield (f"Mind that X = {row.x:g} really costs {row.drop_points:.1f} points on the validation images: the "
                   "step before it loses less than was asked for.")


def _unknown(run: PruningRun) -> tuple[str, ...]:
    sets = run.curve.poisoned
    found = []
    if sets:
        found.append("Only the trigger of the poisoned images given was tried. The network may hold another one, and "
                     "these figures say nothing about it.")
        found.append(f"They rest on {run.curve.clean.images:,} clean and {sets[0].images:,} poisoned images. Look at "
                     "the upper end of each interval, not at the rate alone.")
    else:
        found.append("Without images that carry the trigger, nothing here measures the attack. That clean accuracy "
                     "falls while channels are pruned doesn't show a backdoor: it does so in a clean network too.")
    if run.curve.test is None:
        found.append("No test set was given: clean accuracy is measured on the images that channels were ranked and "
                     "the thresholds chosen by, which flatters it.")
    seen = run.datasets[0].labels
    if seen < run.model.labels:
        found.append(f"The clean validation images show only {seen:,} of the network's {run.model.labels:,} labels. "
                     "How any defence treats the others isn't known, and a network trained anew (fine-pruned or "
                     "repaired) forgets them.")
    if run.guarded:
        found.append("The guard was measured on this trigger. Corner patches, blended or warped triggers and attackers "
                     "who know the guard are untested.")
    found.append("A GoodNet that labels an image N doesn't prove a trigger, and one that doesn't label it N doesn't "
                 "prove a clean image: see false alarms and detection.")
    found.append("Images in use may differ from those measured here; then so do the figures.")
    return tuple(found)
