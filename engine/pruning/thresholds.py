"""Which pruning step answers "lose X points of clean accuracy", and what it really costs."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from engine.pruning.sweep import PruningCurve, SetCounts

DropMode = Literal["points", "relative"]
Stop = Literal["first-past", "last-within"]

DEFAULT_DROPS = (2.0, 4.0, 10.0, 30.0)


def drop_percent(validation: SetCounts, step: int, mode: DropMode) -> float:
    """How much of B's validation accuracy the copy at `step` has lost.

    Returns:
        Percentage points, or per cent of B's accuracy when relative (0 when B has none). Negative for a gain.
    """
    before, whole = _before_and_whole(validation, mode)
    return float(Fraction(100 * (before - int(validation.correct[step])), whole)) if whole else 0.0


def choose_step(curve: PruningCurve, x: float, mode: DropMode = "points", stop: Stop = "first-past") -> int | None:
    """The number of channels pruned at which the validation accuracy has lost X.

    Computed on counts, not on rounded rates, so a drop of exactly X counts as X.

    Args:
        x: the drop asked for, in percentage points or relative per cent, at least 0.
        stop: "first-past" takes the first step whose drop is at or past X (the lab's rule), "last-within" the
            step before the drop first exceeds X.
    Returns:
        The step, 0 to C, or None when no step of the order loses that much (first-past).
    """
    before, whole = _before_and_whole(curve.validation, mode)
    # All multiplied by what they are divided by: fractions of two thousand steps would take a moment.
    wanted = Fraction(str(x))
    limit, each = wanted.numerator * whole, 100 * wanted.denominator
    drops = [each * (before - now) for now in curve.validation.correct.tolist()]
    if not whole:
        limit, drops = wanted.numerator, [0] * len(drops)
    if stop == "first-past":
        return next((step for step, drop in enumerate(drops) if drop >= limit), None)
    return next((step - 1 for step, drop in enumerate(drops) if drop > limit), len(drops) - 1)


def rule_text(mode: DropMode, stop: Stop) -> str:
    """Which step answers a threshold, and what the other rule would do, in one sentence for people."""
    unit = "points" if mode == "points" else "per cent of B's accuracy"
    if stop == "first-past":
        return (f"The rule: the first step past X {unit}, as the lab did; it can lose far more than X. The other rule "
                "stays within X.")
    return (f"The rule: the last step that stays within X {unit}. The other rule, the lab's, takes the first step past "
            "X.")


def _before_and_whole(validation: SetCounts, mode: DropMode) -> tuple[int, int]:
    """How many images B answers right, and how many are a hundred per cent."""
    before = int(validation.correct[0])
    return before, validation.images if mode == "points" else before
