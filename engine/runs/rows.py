"""The GoodNet of each threshold as a row of figures, read off the curves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from engine.assessment import Assessment, assess
from engine.guards.guarded_curve import GuardedCurve, GuardedFigures, figures_at
from engine.pruning.sweep import PruningCurve
from engine.pruning.thresholds import DropMode, Stop, choose_step, drop_percent
from engine.rates import Rate
from engine.runs.prune import PruningRun


@dataclass(frozen=True)
class GoodNetRow:
    """One threshold's GoodNet: what was asked for, what it got, what it costs and stops.

    Attributes:
        x: the drop asked for.
        channels_pruned: the step that answers it.
        drop_points, drop_relative_percent: what validation accuracy really lost.
        clean, false_alarms: on the test set when there is one, else on validation.
        attack, detection: on the first poisoned set; None without one.
        guarded, guarded_assessment: the same behind the run's guard, None without one.
    """

    x: float
    channels_pruned: int
    drop_points: float
    drop_relative_percent: float
    clean: Rate
    attack: Rate | None
    false_alarms: Rate
    detection: Rate | None
    assessment: Assessment
    guarded: GuardedFigures | None = None
    guarded_assessment: Assessment | None = None


def goodnet_row(
    curve: PruningCurve, x: float, mode: DropMode = "points", stop: Stop = "first-past",
    guarded: GuardedCurve | None = None,
) -> GoodNetRow | None:
    """The GoodNet that answers a threshold, or None where no step loses that much."""
    step = choose_step(curve, x, mode, stop)
    return None if step is None else row_at(curve, step, x, guarded)


def row_at(curve: PruningCurve, step: int, x: float, guarded: GuardedCurve | None = None) -> GoodNetRow:
    """The figures of the GoodNet whose B' has lost `step` channels, computed from the curves alone."""
    poisoned = curve.poisoned[0] if curve.poisoned else None
    clean, attack = curve.clean.goodnet_rate(step), poisoned.goodnet_rate(step) if poisoned else None
    before, behind = curve.clean.b_prime_rate(0), figures_at(guarded, step) if guarded else None
    return GoodNetRow(
        x, step,
        drop_percent(curve.validation, step, "points"), drop_percent(curve.validation, step, "relative"),
        clean, attack, curve.clean.flagged_rate(step), poisoned.flagged_rate(step) if poisoned else None,
        assess(f"At X = {x:g}", clean, before, attack), behind,
        assess(f"At X = {x:g} behind the guard", behind.clean, before, behind.attack) if behind else None)


def rows_of(run: PruningRun) -> list[GoodNetRow]:
    """A GoodNet for each threshold the run was asked for and that its curve reaches."""
    request = run.request
    rows = (goodnet_row(run.curve, x, request.drop_mode, request.stop, run.guarded) for x in request.drops)
    return [row for row in rows if row is not None]


def badnet_row(run: PruningRun) -> GoodNetRow | None:
    """B as a row of no channel pruned: its own figures, and those behind the guard alone. None without a guard."""
    if run.guarded is None:
        return None
    row = row_at(run.curve, 0, 0.0, run.guarded)
    assert row.guarded is not None
    before = row.clean
    return dataclasses.replace(
        row, assessment=assess("For B without a guard", before, before, row.attack),
        guarded_assessment=assess("For B behind the guard", row.guarded.clean, before, row.guarded.attack))
