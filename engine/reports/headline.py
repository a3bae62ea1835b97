"""What a person takes home from a run: which defence is best, and what it does to the attack and to clean accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from engine.assessment import HARMLESS_ATTACK, Assessment, Level, percent
from engine.guards.calibration import Guard
from engine.rates import Rate
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, badnet_row

BEST_FIRST: tuple[Level, ...] = ("repaired", "costly", "weakened", "unknown", "failed")

_MEANINGS: dict[Level, str] = {
    "repaired": "repaired, as far as these images tell",
    "costly": "the attack is stopped, but at more accuracy than it is worth",
    "weakened": "the attack is weakened, not stopped",
    "failed": "the best there is here, and it does not repair the model",
    "unknown": "without poisoned images nobody can say whether the backdoor is gone",
}


@dataclass(frozen=True)
class Headline:
    """The best of a run's defences.

    Attributes:
        row: the GoodNet; None for B behind the guard alone, or where nothing is best.
        level: of its assessment, for an icon.
        figures: such as "Attack success 100 % → 0 %, clean accuracy 95 % → 95 %".
        sentence: what does that and what it means.
        name: what does it, such as "B behind the margin guard"; "B" where there is nothing to stop.
        clean, attack: its clean accuracy and attack success, the latter None without poisoned images.
    """

    row: GoodNetRow | None
    level: Level
    figures: str
    sentence: str
    name: str
    clean: Rate
    attack: Rate | None


@dataclass(frozen=True)
class _Candidate:
    """A row's figures, plain or behind the guard; `row` is None for B behind the guard alone."""

    row: GoodNetRow | None
    name: str
    clean: Rate
    attack: Rate | None
    assessment: Assessment


def headline(run: PruningRun, rows: Iterable[GoodNetRow]) -> Headline | None:
    """The best of B behind the guard and of all rows, plain and guarded; None when there is nothing to choose from.

    The best has the best assessment; of equals, the least sum of attack success and loss of clean accuracy; of equals,
    the one that comes first, where B behind the guard comes before all GoodNets.

    Args:
        rows: a run's GoodNets, as engine.runs.rows.goodnet_row makes them.
    """
    candidates = list(_candidates(run, rows))
    if not candidates:
        return None
    poisoned = run.curve.poisoned[0] if run.curve.poisoned else None
    clean_before, attack_before = run.curve.clean.b_prime_rate(0), poisoned.b_prime_rate(0) if poisoned else None
    best = min(candidates, key=_harm)
    if attack_before and attack_before.value <= HARMLESS_ATTACK:
        return Headline(None, "unknown", "These poisoned images don't show a backdoor in this network",
                        f"B itself answers the target label on {percent(attack_before.value)} of them, so there is "
                        "nothing here that a defence could stop.", "B", clean_before, attack_before)
    figures = f"lean accuracy {percent(clean_before.value)} → {percent(best.clean.value)}"
    if best.attack and attack_before:
        figures = f"Attack success {percent(attack_before.value)} → {percent(best.attack.value)}, c{figures}"
    else:
        figures = f"C{figures}"
    return Headline(best.row, best.assessment.level, figures, f"{best.name}: {_meaning(best)}.", best.name,
                    best.clean, best.attack)


def calibration_text(guard: Guard) -> str:
    """How a guard came to its threshold and what it really flags, in words."""
    facts = guard.calibration
    name = f"{guard.kind.capitalize()} guard"
    if math.isinf(guard.threshold):
        return f"{name}: {guard.note}"
    asked = (f"{name}: set on {facts.images:,} clean images to flag at most {percent(facts.false_alarms)} of clean "
             "images.")
    if guard.note:
        return f"{asked} {guard.note}"
    low, high = facts.held_back.interval
    return (f"{asked} Of {facts.held_back.total:,} clean images held back it flagged {percent(facts.held_back.value)} "
            f"({percent(low)} to {percent(high)} at 95 % confidence).")


def _candidates(run: PruningRun, rows: Iterable[GoodNetRow]) -> Iterable[_Candidate]:
    guard = f"behind the {run.guarded.guard.kind} guard" if run.guarded else ""
    badnet = badnet_row(run)
    for row in [*([badnet] if badnet else []), *rows]:
        name = "B" if row is badnet else f"The GoodNet at X = {row.x:g}"
        if row is not badnet:
            yield _Candidate(row, name, row.clean, row.attack, row.assessment)
        if row.guarded and row.guarded_assessment:
            yield _Candidate(None if row is badnet else row, f"{name} {guard}", row.guarded.clean, row.guarded.attack,
                             row.guarded_assessment)


def _harm(candidate: _Candidate) -> tuple[int, float]:
    """What is left of the attack and what is missing of clean accuracy, within the assessment's level."""
    attack = candidate.attack.value if candidate.attack else 0.0
    # Sums of the same two rates must compare as equal.
    return BEST_FIRST.index(candidate.assessment.level), round(attack - candidate.clean.value, 9)


def _meaning(best: _Candidate) -> str:
    meaning = _MEANINGS[best.assessment.level]
    if best.attack is None or best.assessment.level not in ("repaired", "costly"):
        return meaning
    return (f"{meaning} ({best.attack.total:,} poisoned ones: the true rate is up to "
            f"{percent(best.attack.interval[1])} at 95 % confidence)")
