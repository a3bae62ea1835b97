"""The GoodNet of each threshold as a row of figures, read off the curves, and B as one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.assessment import Assessment, Figures, assess
from engine.guards.guarded_curve import GuardedCurve
from engine.pruning.sweep import PruningCurve
from engine.pruning.thresholds import DropMode, Stop, choose_step, drop_percent
from engine.runs.prune import PruningRun

# A threshold whose step costs so many points or per cent more than asked for is worth a sentence.
_OVERSHOOT = 2.0


@dataclass(frozen=True, kw_only=True)
class GoodNetRow(Figures):
    """One threshold's GoodNet: what was asked for, what it got, what it costs and stops.

    Clean figures are from the test set when there is one, else from validation.

    Attributes:
        x: the drop asked for, in percentage points or, `mode` "relative", in per cent of B's accuracy.
        channels_pruned: the step that answers it.
        drop_points, drop_relative_percent: what validation accuracy really lost.
        guarded, guarded_assessment: the same behind the run's guard, None without one.
    """

    x: float
    channels_pruned: int
    drop_points: float
    drop_relative_percent: float
    assessment: Assessment
    guarded: Figures | None = None
    guarded_assessment: Assessment | None = None
    mode: DropMode = "points"

    @property
    def lost(self) -> float:
        """What was lost, in the unit in which it was asked for."""
        return self.drop_points if self.mode == "points" else self.drop_relative_percent


def price_text(rows: Sequence[GoodNetRow]) -> str:
    """A sentence on the rows that cost much more than was asked for; empty where none does."""
    dear = [row for row in rows if row.lost > row.x + _OVERSHOOT]
    if not dear:
        return ""
    unit = "points" if dear[0].mode == "points" else "per cent"
    told = ", ".join(f"X = {row.x:g} really costs {row.lost:.1f} {unit}" for row in dear)
    return (f"Mind the price: {told} of validation accuracy, because the step before loses less than was asked for and "
            "one more channel costs so much.")


def rows_of(run: PruningRun) -> list[GoodNetRow]:
    """A GoodNet for each threshold the run was asked for and that its curve reaches."""
    request = run.request
    rows = (goodnet_row(run.curve, x, request.drop_mode, request.stop, run.guarded, run.plausible)
            for x in request.drops)
    return [row for row in rows if row is not None]


def goodnet_row(
    curve: PruningCurve, x: float, mode: DropMode = "points", stop: Stop = "first-past",
    guarded: GuardedCurve | None = None, plausible: bool = True,
) -> GoodNetRow | None:
    """The GoodNet that answers a threshold, or None where no step loses that much."""
    step = choose_step(curve, x, mode, stop)
    return None if step is None else _row(curve, step, x, mode, f"At X = {x:g}", guarded, plausible)


def badnet_row(run: PruningRun) -> GoodNetRow | None:
    """B as a row of no channel pruned: its own figures, and those behind the guard alone. None without a guard."""
    return _row(run.curve, 0, 0.0, "points", "For B", run.guarded, run.plausible) if run.guarded else None


def _row(
    curve: PruningCurve, step: int, x: float, mode: DropMode, name: str, guarded: GuardedCurve | None,
    plausible: bool,
) -> GoodNetRow:
    """The figures of the GoodNet whose B' has lost `step` channels, computed from the curves alone."""
    plain, behind = curve.figures_at(step), guarded.figures_at(step) if guarded else None

    def judged(name: str, figures: Figures, guarded: bool) -> Assessment:
        return assess(name, figures, changed=step > 0, guarded=guarded, plausible=plausible)

    return GoodNetRow(
        clean=plain.clean, clean_before=plain.clean_before, false_alarms=plain.false_alarms, attacks=plain.attacks,
        x=x, channels_pruned=step, mode=mode, drop_points=drop_percent(curve.validation, step, "points"),
        drop_relative_percent=drop_percent(curve.validation, step, "relative"), assessment=judged(name, plain, False),
        guarded=behind, guarded_assessment=judged(f"{name} behind the guard", behind, True) if behind else None)
